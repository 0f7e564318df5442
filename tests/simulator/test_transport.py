import asyncio
import json
import time
from contextlib import aclosing

import anthropic
import anyio
import httpx
import httpx2
import pytest

from pytest_llmperf.clock.virtual import VirtualClock, enter_loop
from pytest_llmperf.core.exchange import SUBSTITUTED, TIMELINE
from pytest_llmperf.simulator.api import SimulatedApi
from pytest_llmperf.simulator.profile import load
from pytest_llmperf.simulator.transport import Simulator

QUESTION = [{"role": "user", "content": "Write a Python function that merges intervals."}]
GREETING = {"messages": [{"role": "user", "content": "hi"}]}
ASK = {"model": "claude-opus-4", "max_tokens": 1024, "messages": QUESTION}
TOOL = {"name": "record", "input_schema": {"type": "object", "properties": {"title": {"type": "string"}}}}
QUICK = {
    **{f"workloads.mixed.ttft_p{level}_ms": 30 for level in (50, 95)},
    "workloads.mixed.output_tokens": 10,
    "throughput.context_tokens_per_second": [[1, 200.0]],
}
"""Answers of some 80 ms, for tests in real time."""
SLEEPLESS = httpx2.Timeout(600.0, connect=600.0)


class SleptClock:
    """A clock that `time.sleep` moves; it remembers every sleep."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ns = 0
        self.slept: list[float] = []
        monkeypatch.setattr(time, "sleep", self.sleep)

    def __call__(self) -> int:
        return self.ns

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.ns += round(seconds * 1e9)


@pytest.fixture
def slept(monkeypatch):
    """A clock that `time.sleep` moves."""
    return SleptClock(monkeypatch)


def simulator(mode: str = "instant", overrides: dict | None = None, now_ns=None) -> Simulator:
    return Simulator(SimulatedApi(load("claude-opus-4").with_overrides(overrides or {}), 1, now_ns), mode)


def plain(message) -> dict:
    """A message without what only the SDK's helpers add."""
    document = message.model_dump()
    for block in document["content"]:
        block.pop("parsed_output", None)
    return document


def gather(chunks, seen: list) -> None:
    """Read all there is, keeping what came before an error."""
    for chunk in chunks:
        seen.append(chunk)  # noqa: PERF402 (a list copy would lose them)


def fault(kind: str) -> dict:
    return {"extra_headers": {"x-llmperf-condition": f"fault={kind}"}}


# --- the real SDK ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"max_tokens": 7},
        {"tools": [TOOL]},
        {"tools": [TOOL], "tool_choice": {"type": "any"}},
        {"max_tokens": 3000, "thinking": {"type": "enabled", "budget_tokens": 1024}},
        {"messages": [{"role": "user", "content": "Extract the items as JSON"}]},
        {"system": [{"type": "text", "text": "s" * 8_000, "cache_control": {"type": "ephemeral"}}]},
    ],
    ids=["text", "cut", "tool", "forced", "thinking", "extraction", "cache"],
)
def test_the_sdk_reads_the_same_message_streamed_or_not(client, members) -> None:
    """S06: `create` and `stream()` give one message for one seed: text, tool input, thinking, usage, ids."""
    whole = client().messages.create(**ASK | members)
    with client().messages.stream(**ASK | members) as stream:
        streamed = stream.get_final_message()
    assert plain(streamed) == plain(whole)
    assert whole.usage.output_tokens > 0
    assert whole._request_id.startswith("req_011C")


def test_the_sdk_iterates_the_events_of_a_stream(client) -> None:
    """`create(stream=True)` yields the protocol's events in their order."""
    events = [event.type for event in client().messages.create(stream=True, **ASK)]
    assert events[:2] == ["message_start", "content_block_start"]
    assert set(events[2:-3]) == {"content_block_delta"}
    assert events[-3:] == ["content_block_stop", "message_delta", "message_stop"]


def test_the_sdk_parses_structured_output_and_counts_tokens(client) -> None:
    """An output schema is met; `count_tokens` is answered."""
    pydantic = pytest.importorskip("pydantic")
    invoice = pydantic.create_model("Invoice", number=(int, ...), payer=(str, ...), lines=(list[str], ...))
    assert client().messages.parse(output_format=invoice, **ASK).parsed_output.number == 1
    counted = client().messages.count_tokens(model="claude-opus-4", messages=[{"role": "user", "content": "x" * 400}])
    assert counted.input_tokens == 100


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ({"model": "claude-9"}, anthropic.NotFoundError),
        ({"max_tokens": 0}, anthropic.BadRequestError),
        (fault("429"), anthropic.RateLimitError),
        (fault("500"), anthropic.InternalServerError),
        (fault("503"), anthropic.InternalServerError),
        (fault("529"), anthropic.APIStatusError),
        (fault("connect"), anthropic.APIConnectionError),
        (fault("connect_timeout"), anthropic.APITimeoutError),
        (fault("disconnect"), anthropic.APIConnectionError),
        (fault("reset"), anthropic.APIConnectionError),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else None,
)
def test_the_sdk_raises_what_it_would_raise(client, members, error) -> None:
    """Every failure that is not in the middle of a stream becomes the SDK's own exception."""
    with pytest.raises(error):
        client().messages.create(**ASK | members)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("disconnect", httpx2.RemoteProtocolError),
        ("reset", httpx2.ReadError),
        ("error_event", anthropic.APIStatusError),
    ],
)
def test_a_stream_fails_in_the_middle(client, kind, error) -> None:
    """Some events arrive, then the network's or the provider's error."""
    seen = []
    with pytest.raises(error):
        gather(client(seed=3).messages.create(stream=True, **ASK | fault(kind)), seen)
    assert seen[0].type == "message_start"


def test_the_sdk_retries_what_may_be_retried(client, slept) -> None:
    """S25: two 503s, then the answer; a bad request is sent once."""
    retrying = client(max_retries=2)
    retrying.messages.create(**ASK | fault("503:2"))
    assert len(slept.slept) == 2
    with pytest.raises(anthropic.BadRequestError):
        retrying.messages.create(**ASK | {"max_tokens": 0})
    assert len(slept.slept) == 2


# --- time --------------------------------------------------------------------------------------------------------


def test_timed_answers_wait_by_absolute_deadlines(client, slept) -> None:
    """However slowly a client reads, later pieces are not late for it."""
    timed = client(mode="timed", now_ns=slept, timeout=SLEEPLESS)
    plan = (
        simulator(now_ns=lambda: 0)
        .api.receive("POST", "/v1/messages", host="", headers={}, body=json_of(stream=True))
        .plan
    )
    moments = []
    for event in timed.messages.create(stream=True, **ASK):
        moments.append(slept.ns)
        if event.type == "content_block_delta" and len(moments) == 10:
            slept.ns += 3_000_000_000
    assert moments[0] == pytest.approx(plan.headers_ns, abs=10)
    assert moments[2] == pytest.approx(plan.pieces[1].at_ns, abs=10)
    assert moments[-1] == pytest.approx(plan.end_ns, abs=10)


def json_of(*, stream: bool, **members: object) -> bytes:
    """The body as the SDK sends it, but for the order of its members, which does not matter."""
    return json.dumps(ASK | {"stream": stream} | members).encode()


def test_an_answer_that_is_not_streamed_takes_its_whole_time(client, slept) -> None:
    """S06: nothing is seen until the end, which is the stream's end too."""
    client(mode="timed", now_ns=slept, timeout=SLEEPLESS).messages.create(**ASK)
    whole = slept.ns
    slept.ns = 0
    list(client(mode="timed", now_ns=slept, timeout=SLEEPLESS).messages.create(stream=True, **ASK))
    assert slept.ns == pytest.approx(whole, abs=10)
    assert whole > 5e9


@pytest.mark.parametrize("stream", [True, False])
def test_a_stall_longer_than_the_read_timeout_times_out_after_it(client, slept, stream) -> None:
    """S24: the client gives up its own time-out after the last byte, not after the stall."""
    waiting = client(mode="timed", now_ns=slept, timeout=httpx2.Timeout(7.0 if stream else 30.0))
    ask = ASK | fault("stall") | {"stream": stream}
    if stream:
        with pytest.raises(httpx2.ReadTimeout):
            list(waiting.messages.create(**ask))
    else:
        with pytest.raises(anthropic.APITimeoutError):
            waiting.messages.create(**ask)
    assert slept.slept[-1] == pytest.approx(7.0 if stream else 30.0)


def test_a_stall_within_the_read_timeout_is_waited_out(client, slept) -> None:
    """The rest of the answer comes after it."""
    list(client(mode="timed", now_ns=slept, timeout=SLEEPLESS).messages.create(stream=True, **ASK | fault("stall")))
    assert max(slept.slept) > 120


def test_a_connection_that_is_never_made_times_out_after_its_own_limit(client, slept) -> None:
    """The connect time-out counts, not the read time-out."""
    waiting = client(mode="timed", now_ns=slept, timeout=httpx2.Timeout(60.0, connect=4.0))
    with pytest.raises(anthropic.APITimeoutError):
        waiting.messages.create(**ASK | fault("connect_timeout"))
    assert slept.slept == [4.0]


def test_a_sync_stream_that_is_closed_early_is_in_flight_no_more(slept) -> None:
    """Closing tells the simulated API, whatever was still to come."""
    served = simulator("timed", now_ns=slept)
    transport = served.transport(httpx2, None, asynchronous=False)
    url = "https://api.anthropic.com/v1/messages"
    with httpx2.Client(transport=transport, timeout=None) as http:
        with http.stream("POST", url, content=json_of(stream=True)):
            assert served.api.under_way == 1
        assert served.api.under_way == 0


def test_sync_answers_really_wait(client) -> None:
    """In real time the first byte is not there before it is due."""
    began = time.monotonic_ns()
    client(QUICK, mode="timed").messages.create(**ASK | GREETING)
    assert time.monotonic_ns() - began >= 30_000_000


# --- async -------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    """Both event loops that the SDK runs on."""
    return request.param


@pytest.mark.anyio
async def test_async_clients_are_served_on_asyncio_and_trio() -> None:
    """Concurrent streams are each whole, and none is there before it is due."""
    served = simulator("timed", QUICK)
    began = time.monotonic_ns()
    messages = []
    async with httpx2.AsyncClient(transport=served.transport(httpx2, None, asynchronous=True)) as http:
        async_client = anthropic.AsyncAnthropic(api_key="none", http_client=http)

        async def call() -> None:
            async with async_client.messages.stream(**ASK | GREETING) as stream:
                messages.append(await stream.get_final_message())

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(call)
    assert [message.stop_reason for message in messages] == ["end_turn"] * 5
    assert time.monotonic_ns() - began >= 30_000_000
    assert served.api.under_way == 0


@pytest.mark.anyio
async def test_requests_are_in_flight_until_their_client_leaves() -> None:
    """Streams that are open at once are counted; closed early, or cancelled, they are not."""
    served = simulator("timed", QUICK | {"throughput.context_tokens_per_second": [[1, 10.0]]})
    url, long = "https://api.anthropic.com/v1/messages", {"x-llmperf-condition": "output_tokens=1000"}
    leave = anyio.Event()
    async with httpx2.AsyncClient(transport=served.transport(httpx2, None, asynchronous=True), timeout=None) as http:

        async def call(*, task_status) -> None:
            async with (
                http.stream("POST", url, content=json_of(stream=True, **GREETING), headers=long) as response,
                aclosing(response.aiter_raw()) as chunks,
            ):
                await anext(chunks)
                task_status.started()
                await leave.wait()

        async with anyio.create_task_group() as group:
            for _ in range(3):
                await group.start(call)
            with anyio.move_on_after(0.01) as scope:
                await http.post(url, content=json_of(stream=False, **GREETING), headers=long)
            assert scope.cancelled_caught
            assert served.api.under_way == 3
            leave.set()
    assert served.api.under_way == 0


@pytest.mark.anyio
async def test_async_clients_see_every_failure() -> None:
    """As sync ones do."""
    served = simulator("instant")
    async with httpx2.AsyncClient(transport=served.transport(httpx2, None, asynchronous=True)) as http:
        async_client = anthropic.AsyncAnthropic(api_key="none", http_client=http, max_retries=0)
        for kind in ("connect", "reset"):
            with pytest.raises(anthropic.APIConnectionError):
                await async_client.messages.create(**ASK | fault(kind))
        stream = await async_client.messages.create(stream=True, **ASK | fault("disconnect"))
        with pytest.raises(httpx2.RemoteProtocolError):
            async for _ in stream:
                pass


def test_the_async_wait_is_a_timer_of_the_running_loop(monkeypatch) -> None:
    """A loop that moves its own time moves the simulated API's: nothing else is waited for."""
    gained = 0.0
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        later = loop.call_at

        def at_once(when, callback, *args, context=None):
            nonlocal gained
            gained += max(0.0, when - loop.time())
            return later(when, callback, *args, context=context)

        monkeypatch.setattr(loop, "time", lambda: time.monotonic() + gained)
        monkeypatch.setattr(loop, "call_at", at_once)
        served = simulator("timed", now_ns=lambda: round(loop.time() * 1e9))

        async def call() -> float:
            began = loop.time()
            transport = served.transport(httpx2, None, asynchronous=True)
            async with httpx2.AsyncClient(transport=transport, timeout=None) as http:
                answer = await http.post("https://api.anthropic.com/v1/messages", content=json_of(stream=False))
            assert answer.status_code == 200
            return loop.time() - began

        assert runner.run(call()) > 5.0
        assert gained > 4.9


def test_virtual_time_is_exactly_the_plans() -> None:
    """Ten concurrent calls of some ten seconds end with the slowest of them, and take no real time."""

    async def run() -> list[int]:
        with enter_loop(VirtualClock()) as clock:
            served = simulator("timed", now_ns=clock.now_ns)
            transport = served.transport(httpx2, None, asynchronous=True)
            began_ns = clock.now_ns()
            ends = []
            async with httpx2.AsyncClient(transport=transport, timeout=None) as http:

                async def call() -> None:
                    await http.post("https://api.anthropic.com/v1/messages", content=json_of(stream=True))
                    ends.append(clock.now_ns() - began_ns)

                await asyncio.gather(*(call() for _ in range(10)))
        return ends

    planned, api = [], simulator(now_ns=lambda: 0).api
    for _ in range(10):
        body = json_of(stream=True)
        planned.append(api.receive("POST", "/v1/messages", host="", headers={}, body=body).plan.end_ns)
    assert asyncio.run(run()) == pytest.approx(sorted(planned), abs=1_000)


# --- what the transport says and leaves alone --------------------------------------------------------------------


@pytest.mark.parametrize("package", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_either_package_gets_objects_of_its_own(package) -> None:
    """Transports, responses and exceptions belong to the package that asked."""
    served = simulator()
    transport = served.transport(package, None, asynchronous=False)
    assert isinstance(transport, package.BaseTransport)
    assert isinstance(served.transport(package, None, asynchronous=True), package.AsyncBaseTransport)
    with package.Client(transport=transport, timeout=None) as http:
        response = http.post("https://api.anthropic.com/v1/messages", content=json_of(stream=False))
        assert isinstance(response, package.Response)
        assert response.extensions[SUBSTITUTED] is True
        headers = {"x-llmperf-condition": "fault=connect"}
        with pytest.raises(package.ConnectError):
            http.post("https://api.anthropic.com/v1/messages", content=json_of(stream=False), headers=headers)


def test_instant_answers_carry_their_timeline(slept) -> None:
    """Nothing waits: there is one moment for each chunk, in nanoseconds after the request's last byte."""
    with (
        httpx2.Client(transport=simulator().transport(httpx2, None, asynchronous=False)) as http,
        http.stream("POST", "https://api.anthropic.com/v1/messages", content=json_of(stream=True)) as response,
    ):
        chunks = list(response.iter_raw())
    assert slept.slept == []
    timeline = response.extensions[TIMELINE]
    assert len(timeline.chunks_ns) == len(chunks)
    assert 0 < timeline.headers_ns <= timeline.chunks_ns[0]
    assert list(timeline.chunks_ns) == sorted(timeline.chunks_ns)
    assert timeline.end_ns == timeline.chunks_ns[-1] > 5_000_000_000


def test_timed_answers_have_no_timeline(slept) -> None:
    """Who waited has its own clock to read."""
    transport = simulator("timed", now_ns=slept).transport(httpx2, None, asynchronous=False)
    with httpx2.Client(transport=transport, timeout=None) as http:
        response = http.post("https://api.anthropic.com/v1/messages", content=json_of(stream=False))
    assert TIMELINE not in response.extensions


def test_an_instant_timeline_ends_where_a_read_times_out() -> None:
    """The same chunks are yielded as the timeline has moments, then the time-out is raised."""
    url, headers = "https://api.anthropic.com/v1/messages", {"x-llmperf-condition": "fault=stall"}
    with (
        httpx2.Client(transport=simulator().transport(httpx2, None, asynchronous=False), timeout=8.0) as http,
        http.stream("POST", url, content=json_of(stream=True), headers=headers) as response,
    ):
        chunks, seen = response.iter_raw(), []
        with pytest.raises(httpx2.ReadTimeout):
            gather(chunks, seen)
    timeline = response.extensions[TIMELINE]
    assert len(seen) == len(timeline.chunks_ns) > 0
    assert timeline.end_ns - timeline.chunks_ns[-1] == 8_000_000_000


def test_a_failure_before_any_response_is_told_by_the_request() -> None:
    """There is no response to carry the timeline, so the request does."""
    with httpx2.Client(transport=simulator().transport(httpx2, None, asynchronous=False), timeout=9.0) as http:
        for kind, at_ns in (("connect", 0), ("connect_timeout", 9_000_000_000), ("stall", 9_000_000_000)):
            request = http.build_request(
                "POST",
                "https://api.anthropic.com/v1/messages",
                content=json_of(stream=False),
                headers={"x-llmperf-condition": f"fault={kind}"},
            )
            with pytest.raises(httpx2.TransportError):
                http.send(request)
            assert request.extensions[SUBSTITUTED] is True
            assert request.extensions[TIMELINE].end_ns == at_ns


def test_other_traffic_goes_to_the_transport_within() -> None:
    """Only the Messages API is simulated, on any host; the rest is untouched."""
    asked = []

    def answer(request):
        asked.append(request)
        return httpx2.Response(204)

    inner = httpx2.MockTransport(answer)
    with httpx2.Client(transport=simulator().transport(httpx2, inner, asynchronous=False), timeout=None) as http:
        response = http.get("https://example.org/health")
        assert (response.status_code, SUBSTITUTED in response.extensions) == (204, False)
        assert http.post("http://localhost:9/v1/messages", content=json_of(stream=False)).status_code == 200
    assert [str(request.url) for request in asked] == ["https://example.org/health"]
    assert SUBSTITUTED not in asked[0].extensions


def test_without_a_transport_within_other_traffic_is_an_error() -> None:
    """The message names what was asked for."""
    with (
        httpx2.Client(transport=simulator().transport(httpx2, None, asynchronous=False)) as http,
        pytest.raises(httpx2.UnsupportedProtocol, match=r"https://example.org/ is no part of the simulated API"),
    ):
        http.get("https://example.org/")


def test_closing_a_client_closes_the_transport_within() -> None:
    """As if ours were not there."""
    closed = []

    class Inner(httpx2.BaseTransport):
        def close(self) -> None:
            closed.append(self)

    httpx2.Client(transport=simulator().transport(httpx2, Inner(), asynchronous=False)).close()
    assert len(closed) == 1
