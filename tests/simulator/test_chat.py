"""The simulated API as OpenAI's clients see it: real SDK calls over the in-process transport."""

import itertools
import json

import anthropic
import httpx2
import openai
import pytest

from pytest_llmperf.capture import Recorder, observing
from pytest_llmperf.simulator.api import SimulatedApi
from pytest_llmperf.simulator.chat_format import Chat
from pytest_llmperf.simulator.transport import Simulator

QUESTION = {"model": "gpt-4-turbo", "messages": [{"role": "user", "content": "What is said here?"}]}
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string", "enum": ["Rome"]}}},
    },
}
COUNTED = {"stream": True, "stream_options": {"include_usage": True}}


@pytest.fixture
def chat(api):
    """A function that makes an OpenAI client served in process, without waiting."""
    made = []

    def make(overrides=None, **options):
        transport = Simulator(api(overrides), "instant").transport(httpx2, None, asynchronous=False)
        http = httpx2.Client(transport=transport)
        made.append(openai.OpenAI(api_key="none", http_client=http, **({"max_retries": 0} | options)))
        return made[-1]

    yield make
    for client in made:
        client.close()


def ask(client, condition="output_tokens=12", **asked):
    return client.chat.completions.create(**QUESTION, extra_headers={"x-llmperf-condition": condition}, **asked)


@pytest.fixture
def measured(chat):
    """A function that makes one call and gives what the wire layer reads of it."""

    def call(condition="output_tokens=12", **asked):
        recorder = Recorder(itertools.count().__next__)
        client = chat()
        with observing(recorder), recorder.round("one"):
            answer = ask(client, condition, **asked)
            if asked.get("stream"):
                answer = list(answer)
        (seen,) = recorder.take("one")
        assert recorder.warnings == []
        return answer, seen.last.generation

    return call


def test_a_completion(measured):
    """The SDK's own reader and ours see the same answer, with exactly the tokens that were asked for."""
    answer, read = measured()
    assert answer.choices[0].message.content == read.text
    assert (answer.choices[0].finish_reason, answer.id) == (read.stop_reason, read.message_id) == ("stop", answer.id)
    assert answer.usage.completion_tokens == read.usage.output_tokens == 12
    assert answer.usage.prompt_tokens == read.usage.input_tokens == 5
    assert read.missing == ()


def test_a_stream(measured):
    """It says the same as the whole answer, in deltas of which the first has one token."""
    chunks, read = measured(**COUNTED)
    assert chunks[-1].usage.completion_tokens == read.usage.output_tokens == 12
    assert read.text == measured()[1].text
    assert read.complete
    assert len(read.deltas) > 1
    assert read.missing == ()


def test_a_stream_whose_usage_nobody_asked_for(measured):
    """It has none, as the real one."""
    chunks, read = measured(stream=True)
    assert all(chunk.usage is None for chunk in chunks)
    assert read.usage.output_tokens is None
    assert read.complete


@pytest.mark.parametrize("options", [{}, COUNTED])
def test_a_tool_is_called(measured, options):
    """The forced tool, with an input that fits its schema."""
    forced = {"type": "function", "function": {"name": "weather"}}
    answer, read = measured(tools=[TOOL], tool_choice=forced, **options)
    assert (read.tool_names, read.stop_reason) == (("weather",), "tool_calls")
    if not options:
        assert json.loads(answer.choices[0].message.tool_calls[0].function.arguments) == {"city": "Rome"}


def test_a_tool_that_need_not_be_called(measured):
    """Is called after a few words, as the profile's model does it."""
    answer, _ = measured(tools=[TOOL])
    assert answer.choices[0].message.content
    assert answer.choices[0].message.tool_calls


@pytest.mark.parametrize("options", [{}, COUNTED])
def test_reasoning_is_counted_and_not_shown(measured, options):
    """Its tokens are part of the output; the stream begins with the answer."""
    _, read = measured(reasoning_effort="high", **options)
    assert read.usage.thinking_tokens > 0
    assert read.usage.output_tokens == read.usage.thinking_tokens + 12
    assert read.thinking_characters == 0


def test_a_limit_of_tokens(measured):
    """Cuts the answer, under either of its names."""
    for name in ("max_tokens", "max_completion_tokens"):
        answer, _ = measured(**{name: 5})
        assert (answer.choices[0].finish_reason, answer.usage.completion_tokens) == ("length", 5)


def test_an_answer_that_fits_a_schema(measured):
    """Structured output parses."""
    schema = {"type": "object", "properties": {"name": {"type": "string"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    assert set(json.loads(measured(response_format=wanted)[1].text)) == {"name"}


@pytest.mark.parametrize(
    ("condition", "error", "status"),
    [
        ("fault=429", openai.RateLimitError, 429),
        ("fault=500", openai.InternalServerError, 500),
        ("fault=529", openai.InternalServerError, 503),
        ("nonsense=1", openai.BadRequestError, 400),
    ],
)
def test_errors(chat, condition, error, status):
    """They have OpenAI's form, and statuses it has."""
    with pytest.raises(error) as caught:
        ask(chat(), condition)
    assert caught.value.status_code == status
    assert caught.value.type
    assert caught.value.request_id.startswith("req_")


def test_errors_are_retried(chat):
    """The SDK tries again, and the fault is over by then."""
    assert ask(chat(max_retries=1), "fault=500:1").choices


def test_an_error_inside_a_stream(chat):
    """The SDK raises it where the stream has come to."""
    with pytest.raises(openai.APIError, match="Overloaded"):
        list(ask(chat(), "fault=error_event", stream=True))


def test_a_model_the_profile_does_not_have(chat):
    """It does not exist, until a profile of the user's own adds it."""
    with pytest.raises(
        openai.NotFoundError, match=r"model: gpt-none \(the simulated profile .* has .*gpt-4-turbo"
    ) as caught:
        chat().chat.completions.create(**(QUESTION | {"model": "gpt-none"}))
    assert caught.value.code == "model_not_found"
    added = chat({'models."gpt-n*".time_factor': 0.5}).chat.completions.create(**(QUESTION | {"model": "gpt-none"}))
    assert (added.model, bool(added.choices[0].message.content)) == ("gpt-none", True)


def test_several_choices(measured):
    """Each is an answer of its own; the usage is of all of them, and the input counts once."""
    answer, read = measured("workload=creative", n=3)
    texts = [choice.message.content for choice in answer.choices]
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert len(set(texts)) == 3
    assert read.text == texts[0]
    assert measured("workload=creative")[0].choices[0].message.content == texts[0]
    assert measured(n=3)[0].usage.completion_tokens == 36
    assert measured(n=3)[1].usage.input_tokens == 5


def test_a_stream_of_several_choices(measured):
    """They come side by side, say what they say at once, and each has its reason; the usage comes once, at the end."""
    chunks, read = measured("workload=creative", n=3, **COUNTED)
    whole, _ = measured("workload=creative", n=3)
    said, order = {0: "", 1: "", 2: ""}, []
    for choice in (choice for chunk in chunks for choice in chunk.choices):
        said[choice.index] += choice.delta.content or ""
        order.append(choice.index)
    assert list(said.values()) == [choice.message.content for choice in whole.choices]
    assert order[:3] == [0, 1, 2]
    assert order != sorted(order)
    ended = [choice.index for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert sorted(ended) == [0, 1, 2]
    assert [chunk.usage for chunk in chunks if chunk.usage] == [whole.usage]
    assert read.complete
    assert read.usage.output_tokens == whole.usage.completion_tokens


def test_choices_that_call_a_tool_have_calls_of_their_own(measured):
    """No two have one identifier."""
    forced = {"type": "function", "function": {"name": "weather"}}
    answer, read = measured(tools=[TOOL], tool_choice=forced, n=2)
    first, second = (choice.message.tool_calls[0] for choice in answer.choices)
    assert first.id != second.id
    assert first.function == second.function
    assert read.tool_names == ("weather",)


@pytest.mark.parametrize(
    ("asked", "said"),
    [({"n": 0}, "from 1 to 128"), ({"n": True}, "from 1 to 128"), ({"messages": []}, "at least one message")],
)
def test_what_is_not_simulated_is_refused(chat, asked, said):
    """Rather than ignored."""
    with pytest.raises(openai.BadRequestError, match=said):
        chat().chat.completions.create(**(QUESTION | asked))


def test_responses_are_refused_and_never_let_through(chat):
    """A simulated run calls no real API: one that is not simulated says so."""
    with pytest.raises(openai.NotFoundError, match="does not answer /v1/responses"):
        chat().responses.create(model="gpt-4-turbo", input="Hi")


def test_nothing_that_is_asked_of_a_provider_is_let_through(chat, client):
    """Whatever the path; its client reads the refusal as an error of its own API."""
    with pytest.raises(openai.NotFoundError, match="does not answer /v1/embeddings; it speaks"):
        chat().embeddings.create(model="text-embedding-3-small", input="Hi")
    with pytest.raises(openai.NotFoundError, match="does not answer /v1/files; it speaks"):
        chat().files.create(file=b"{}", purpose="batch")
    with pytest.raises(anthropic.NotFoundError, match="does not answer /v1/models; it speaks"):
        client().models.list()


def test_both_formats_take_the_same_time(profile):
    """The same request draws the same times in either form: only the bytes differ."""
    ends = []
    for path in ("/v1/messages", "/v1/chat/completions"):
        body = json.dumps(QUESTION | {"max_tokens": 500, "stream": True}).encode()
        served = SimulatedApi(profile, 7).receive("POST", path, host="api.test", headers={}, body=body)
        ends.append((served.plan.pieces[1].at_ns, served.plan.end_ns))
    assert ends[0] == ends[1]


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'{"stream_options": 5}', b"\xff"])
def test_the_form_of_a_body_that_is_no_request(body):
    """Is the plain one; the refusal is another's affair."""
    assert Chat.of(body) == Chat(counted=False)


def test_a_conversation_is_counted_as_a_whole(measured):
    """System prompt, earlier turns, tool calls and their results are input; an image counts as one of Anthropic's."""
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "x" * 400}}
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    messages = [
        {"role": "system", "content": "x" * 400},
        {"role": "user", "content": [{"type": "text", "text": "x" * 400}, image]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "x" * 400},
    ]
    body = json.dumps(QUESTION | {"messages": messages}).encode()
    answer, _ = measured(extra_body=json.loads(body))
    assert answer.usage.prompt_tokens == pytest.approx(400 + 1_600, abs=2)
