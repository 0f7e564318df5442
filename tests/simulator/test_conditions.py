import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmperf.simulator import conditions
from pytest_llmperf.simulator.conditions import Refused
from pytest_llmperf.simulator.profile import FAULTS, load

TOOL = {"name": "record", "input_schema": {"type": "object", "properties": {}}}


def test_a_plain_request_shows_only_its_parameters(ask) -> None:
    """Nothing is inferred from a request that shows nothing."""
    asked = ask(tokens=1200, max_tokens=77)
    assert (asked.model, asked.stream, asked.max_tokens, asked.input_tokens) == ("claude-opus-4", False, 77, 1200)
    assert (asked.workload, asked.region, asked.prompt, asked.fault) == ("mixed", "", frozenset(), "")
    assert (asked.temperature, asked.top_p, asked.tool, asked.thinking_budget) == (None, None, None, 0)
    assert (asked.shots, asked.peak, asked.new_connection, asked.limits, asked.prefixes) == (
        None,
        False,
        False,
        None,
        (),
    )


@pytest.mark.parametrize(
    ("question", "workload"),
    [
        ("Implement a queue in Rust", "code"),
        ("Who wrote it?", "qa"),
        ("Extract the dates", "extraction"),
        ("A fable, please", "creative"),
        ("Hi", "mixed"),
    ],
)
def test_the_workload_is_inferred_from_the_question(ask, question, workload) -> None:
    """The four workloads of the study are told apart by ordinary words."""
    assert ask(messages=[{"role": "user", "content": question}]).workload == workload


def test_a_long_context_is_a_question_unless_its_words_say_otherwise(ask) -> None:
    """From 10,000 tokens on the default is long-context Q&A."""
    assert ask(tokens=9_999).workload == "mixed"
    assert ask(tokens=10_000).workload == "qa"
    code = [{"role": "user", "content": "x" * 40_000 + " Now refactor the function."}]
    assert ask(messages=code).workload == "code"


def test_a_forced_tool_or_a_schema_is_an_extraction(ask) -> None:
    """Structured answers are wanted, whatever the words."""
    assert ask(tools=[TOOL], tool_choice={"type": "any"}).workload == "extraction"
    assert ask(tools=[TOOL]).workload == "mixed"
    schema = {"format": {"type": "json_schema", "schema": {"type": "object"}}}
    asked = ask(output_config=schema)
    assert (asked.workload, asked.schema, asked.prompt) == ("extraction", {"type": "object"}, {"json-output"})


def test_conditions_are_said_by_header_or_metadata(profile, body, ask) -> None:
    """What nothing else can say is said by `x-llmperf-…` headers, or by `metadata.user_id`."""
    said = "workload=code, region=eu, peak=yes, connection=new, release=first, shots=2, limits=off, output_tokens=9"
    expected = ask(said)
    assert (expected.workload, expected.region, expected.peak) == ("code", "eu", True)
    assert (expected.new_connection, expected.first_release, expected.shots) == (True, True, 2)
    assert (expected.limits, expected.output_tokens) == (False, 9)
    assert ask(metadata={"user_id": f"llmperf:{said}"}) == expected
    headers = {"x-llmperf-workload": "code", "x-llmperf-region": "eu"}
    headed = conditions.read(profile, host="", headers=headers, body=body())
    assert (headed.workload, headed.region) == ("code", "eu")
    assert ask(metadata={"user_id": "customer-17"}) == ask()


def test_a_region_can_be_a_label_of_the_host(ask) -> None:
    """Arms over endpoints need no header."""
    assert ask(host="asia-pacific.llm.example:8443").region == "asia-pacific"
    assert ask(host="api.anthropic.com").region == ""
    assert ask("region=eu", host="us-west.llm.example").region == "eu"


def test_a_prompt_class_that_is_said_replaces_those_that_are_found(ask) -> None:
    """`prompt=plain` switches the search off."""
    question = [{"role": "user", "content": "<a>1</a> Respond with XML."}]
    assert ask(messages=question).prompt == {"xml-prompt", "xml-output"}
    assert ask("prompt=plain", messages=question).prompt == {"plain"}
    assert ask("prompt=latex+verbose", messages=question).prompt == {"latex", "verbose"}


@pytest.mark.parametrize(("retry", "fault"), [("0", "status_503"), ("1", "status_503"), ("2", "")])
def test_a_fault_can_befall_the_first_attempts_of_a_call(profile, body, retry, fault) -> None:
    """`fault=503:2` lets the third attempt through."""
    headers = {"x-llmperf-condition": "fault=503:2", "x-stainless-retry-count": retry}
    assert conditions.read(profile, host="", headers=headers, body=body()).fault == fault


@pytest.mark.parametrize("kind", FAULTS)
def test_every_kind_of_fault_can_be_asked_for(ask, kind) -> None:
    """Tests reach each failure without drawing lots."""
    assert ask(f"fault={kind}").fault == kind


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("workload=poetry", "unknown workload 'poetry'; valid here: code, qa, extraction, creative, mixed"),
        ("region=mars", "unknown region 'mars'; valid here: us-east"),
        ("weather=bad", "unknown condition 'weather'; valid here: workload"),
        ("peak=maybe", "unknown peak 'maybe'; valid here: yes, no"),
        ("prompt=odd", "unknown prompt 'odd'"),
        ("fault=418", "unknown fault 'status_418'"),
        ("fault=503:often", "fault=503:often does not say in how many attempts"),
        ("shots=6", "a whole number up to 5"),
        ("output_tokens=-1", "a whole number"),
    ],
)
def test_an_unknown_condition_is_refused_and_not_ignored(ask, said, message) -> None:
    """A misspelt condition would silently do nothing, so it is a bad request."""
    with pytest.raises(Refused) as caught:
        ask(said)
    assert caught.value.status == 400
    assert message in caught.value.message


ANSWERED = [{"role": "user", "content": [{"type": "tool_result", "content": "4"}]}]
USER = [{"role": "user", "content": "hi"}]
GOOD = {"model": "claude-opus-4", "max_tokens": 10, "messages": USER}
INVALID = [
    (b"{", 400, "not valid JSON"),
    (b"[" * 100_000, 400, "not valid JSON"),
    (b"\xff", 400, "not valid JSON"),
    ([], 400, "no object"),
    ({"model": "claude-opus-4", "messages": USER}, 400, "max_tokens: Field required"),
    ({"model": "claude-opus-4", "max_tokens": 1}, 400, "messages: Field required"),
    ({"max_tokens": 1, "messages": USER}, 400, "model: Field required"),
    (GOOD | {"messages": []}, 400, "at least one message"),
    (GOOD | {"messages": [1]}, 400, "messages.0.role"),
    (GOOD | {"messages": [{"role": "user"}]}, 400, "messages.0.content: Field required"),
    (GOOD | {"max_tokens": "10"}, 400, "max_tokens: Input should be a valid integer"),
    (GOOD | {"max_tokens": True}, 400, "max_tokens: Input should be a valid integer"),
    (GOOD | {"max_tokens": 0}, 400, "max_tokens"),
    (GOOD | {"temperature": 1.5}, 400, "temperature"),
    (GOOD | {"top_p": "high"}, 400, "top_p"),
    (GOOD | {"thinking": {"type": "enabled", "budget_tokens": 10}}, 400, "budget_tokens"),
    (GOOD | {"system": [{"text": "a", "cache_control": {"ttl": "2h"}}]}, 400, "cache_control.ttl"),
    (GOOD | {"messages": [{"role": "user", "content": "x" * 800_004}]}, 400, "200001 tokens > 200000 maximum"),
    (GOOD | {"model": "claude-9"}, 404, "model: claude-9"),
]


@pytest.mark.parametrize(("document", "status", "message"), INVALID)
def test_what_the_real_api_refuses_is_refused(profile, document, status, message) -> None:
    """Bad JSON, missing and wrong members, too long a prompt and unknown models get their status and a message."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    with pytest.raises(Refused) as caught:
        conditions.read(profile, host="", headers={}, body=body)
    assert caught.value.status == status
    assert caught.value.kind == {400: "invalid_request_error", 404: "not_found_error"}[status]
    assert message in caught.value.message


def test_counting_tokens_needs_no_max_tokens(profile) -> None:
    """The endpoint that counts takes a request without `max_tokens`."""
    body = json.dumps({"model": "claude-opus-4", "messages": USER}).encode()
    assert conditions.read(profile, host="", headers={}, body=body, counting=True).input_tokens == 1


@pytest.mark.parametrize(
    ("members", "name"),
    [
        ({"tool_choice": {"type": "auto"}}, "record"),
        ({"tool_choice": {"type": "tool", "name": "other"}}, "other"),
        ({"tool_choice": {"type": "none"}}, None),
        ({}, "record"),
        ({"messages": ANSWERED}, None),
        ({"messages": ANSWERED, "tool_choice": {"type": "any"}}, "record"),
    ],
)
def test_the_tool_an_answer_calls(ask, members, name) -> None:
    """The forced or first tool is called, but not when it is forbidden or has just answered."""
    asked = ask(tools=[TOOL, TOOL | {"name": "other"}], **members)
    assert (asked.tool.name if asked.tool else None) == name


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = (
    "messages",
    "system",
    "tools",
    "tool_choice",
    "metadata",
    "thinking",
    "output_config",
    "cache_control",
    "stream",
)


@given(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=4), st.lists(JSON, max_size=2))
def test_any_json_is_read_or_refused(members, blocks) -> None:
    """No request, however odd, ends in an exception of another kind."""
    document = GOOD | {"messages": [{"role": "user", "content": blocks}]} | members
    with suppress(Refused):
        asked = conditions.read(load("claude-opus-4"), host="", headers={}, body=json.dumps(document).encode())
        assert asked.input_tokens >= 0
