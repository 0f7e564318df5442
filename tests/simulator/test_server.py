import asyncio
import json
import signal
import socket
import subprocess
import sys
import time

import anthropic
import httpx2
import pytest

from pytest_llmperf.simulator.api import SimulatedApi
from pytest_llmperf.simulator.profile import load
from pytest_llmperf.simulator.server import running_server

QUESTION = [{"role": "user", "content": "hi"}]
ASK = {"model": "claude-opus-4", "max_tokens": 40, "messages": QUESTION}
BODY = json.dumps(ASK | {"stream": True}).encode()
FAST = """
extends = "claude-opus-4"
[workloads.mixed]
ttft_p50_ms = 20
ttft_p95_ms = 20
output_tokens = 40
output_cv = 0
unexplained_share = 0.1
[throughput]
context_tokens_per_second = [[1, 400.0]]
cv = 0
[faults]
answer_ms = 5
stall_seconds = 30
"""


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    """A profile whose answers take 130 ms."""
    path = tmp_path_factory.mktemp("profiles") / "fast.toml"
    path.write_text(FAST, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Where the server writes when it sent what."""
    return tmp_path_factory.mktemp("logs") / "emissions.jsonl"


@pytest.fixture(scope="module")
def url(profile, log):
    """The base URL of a running server."""
    with running_server(profile, seed=7, emission_log=log) as url:
        yield url


@pytest.fixture
def client(url):
    """A real client of the running server."""
    with anthropic.Anthropic(api_key="none", base_url=url, max_retries=0) as client:
        yield client


def logged(log, request_id: str) -> dict:
    """What the server says of one request; it writes after the last byte, so it may be a moment behind."""
    for _ in range(100):
        lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
        if found := [line for line in lines if line["request_id"] == request_id]:
            return found[0]
        time.sleep(0.02)
    raise AssertionError(f"{request_id} is not in the log")


def condition(value: str) -> dict:
    return {"extra_headers": {"x-llmperf-condition": value}}


def test_the_sdk_is_served_over_sockets(client) -> None:
    """`create`, `create(stream=True)` and `stream()` give whole messages."""
    assert client.messages.create(**ASK).stop_reason == "end_turn"
    assert [event.type for event in client.messages.create(stream=True, **ASK)][-1] == "message_stop"
    with client.messages.stream(**ASK) as stream:
        message = stream.get_final_message()
    assert (message.usage.input_tokens, message.usage.output_tokens) == (1, 40)


def test_the_async_sdk_is_served_side_by_side(url) -> None:
    """Thirty streams at once are all whole."""

    async def run() -> list[int]:
        async with anthropic.AsyncAnthropic(api_key="none", base_url=url) as client:

            async def call() -> int:
                async with client.messages.stream(**ASK) as stream:
                    return (await stream.get_final_message()).usage.output_tokens

            return await asyncio.gather(*(call() for _ in range(30)))

    assert asyncio.run(run()) == [40] * 30


def test_bytes_and_times_are_those_of_the_plan(profile, tmp_path) -> None:
    """What arrives is what the same profile and seed plan in process, and it leaves no sooner than planned."""
    log = tmp_path / "log.jsonl"
    with running_server(profile, seed=11, emission_log=log) as url, httpx2.Client() as http:
        response = http.post(f"{url}/v1/messages", content=BODY)
        line = logged(log, response.headers["request-id"])
    api = SimulatedApi(load(profile), 11)
    plan = api.receive("POST", "/v1/messages", host="127.0.0.1", headers={}, body=BODY).plan
    assert response.content == plan.body
    assert response.headers["request-id"] == plan.request_id
    assert [size for _, size in line["chunks"]] == [len(piece.data) for piece in plan.pieces]
    late = [
        at_ns - line["received_ns"] - due_ns
        for (at_ns, _), (due_ns, _) in zip(line["chunks"], plan.pieces, strict=True)
    ]
    assert min(late) >= 0
    assert line["complete"] is True


def test_the_log_brackets_what_the_client_saw(url, log) -> None:
    """Emissions are in the same monotonic time as the client's own clock, before the reads they caused."""
    with httpx2.Client() as http:
        began = time.monotonic_ns()
        with http.stream("POST", f"{url}/v1/messages", content=BODY) as response:
            read = [time.monotonic_ns() for _ in response.iter_raw()]
        line = logged(log, response.headers["request-id"])
    assert began < line["received_ns"] < line["headers_ns"] <= line["chunks"][0][0] < read[0]
    assert line["chunks"][-1][0] < read[-1]


def test_a_connection_is_kept_and_used_again(url) -> None:
    """Five requests, one connection."""
    traces = []
    with httpx2.Client() as http:
        for _ in range(5):
            http.post(
                f"{url}/v1/messages",
                content=BODY,
                extensions={"trace": lambda name, info: traces.append(name)},
            ).raise_for_status()
    assert traces.count("connection.connect_tcp.complete") == 1


def test_pipelined_and_split_requests_are_answered_in_order(url) -> None:
    """Requests that come together, or byte by byte, are each answered once."""
    host, port = url.removeprefix("http://").split(":")
    body = json.dumps(ASK | {"max_tokens": 1}).encode()
    request = b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
    last = request.replace(b"host: x", b"host: x\r\nconnection: close")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(request + request)
        for byte in last:
            raw.sendall(bytes([byte]))
        received = b""
        while data := raw.recv(65_536):
            received += data
    assert received.count(b"HTTP/1.1 200") == 3
    assert received.count(b'"stop_reason":"max_tokens"') == 3


def test_a_client_that_waits_for_leave_to_send_gets_it(url) -> None:
    """`Expect: 100-continue` is answered."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 100")
        raw.sendall(b"{}")
        assert raw.recv(1000).startswith(b"HTTP/1.1 400")


def test_nonsense_ends_the_connection(url) -> None:
    """What is no HTTP gets no answer, and harms nobody else."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(b"\x00\x01\x02 nonsense\r\n\r\n")
        assert raw.recv(100) == b""


def test_a_client_that_leaves_is_forgotten(url, log) -> None:
    """Its answer is broken off and logged as such."""
    with httpx2.Client() as http, http.stream("POST", f"{url}/v1/messages", content=BODY) as response:
        next(response.iter_raw())
    line = logged(log, response.headers["request-id"])
    assert line["complete"] is False
    assert 1 <= len(line["chunks"]) < 10


@pytest.mark.parametrize(("path", "status"), [("/", 404), ("/v1/models", 404), ("/v1/messages?beta=true", 200)])
def test_paths_are_told_apart(url, path, status) -> None:
    """Unknown ones are refused in JSON; a query does not matter."""
    with httpx2.Client() as http:
        response = http.post(f"{url}{path}", content=BODY)
    assert response.status_code == status
    assert status == 200 or response.json()["error"]["type"] == "not_found_error"


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("429", anthropic.RateLimitError),
        ("500", anthropic.InternalServerError),
        ("503", anthropic.InternalServerError),
        ("529", anthropic.APIStatusError),
        ("connect", anthropic.APIConnectionError),
        ("disconnect", anthropic.APIConnectionError),
        ("reset", anthropic.APIConnectionError),
    ],
)
def test_faults_happen_on_the_wire(client, kind, error) -> None:
    """Statuses, closed and reset connections reach the client as such."""
    with pytest.raises(error):
        client.messages.create(**ASK | condition(f"fault={kind}"))


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("disconnect", httpx2.RemoteProtocolError),
        ("reset", httpx2.ReadError),
        ("error_event", anthropic.APIStatusError),
    ],
)
def test_faults_happen_in_the_middle_of_a_stream(client, kind, error) -> None:
    """After the head has come."""
    with pytest.raises(error):
        list(client.messages.create(stream=True, **ASK | condition(f"fault={kind}")))


@pytest.mark.parametrize("kind", ["stall", "connect_timeout"])
def test_silence_meets_the_clients_own_timeout(client, kind) -> None:
    """S24: it is the client that gives up."""
    with pytest.raises((anthropic.APITimeoutError, httpx2.ReadTimeout)):
        list(client.with_options(timeout=0.3).messages.create(stream=True, **ASK | condition(f"fault={kind}")))


def test_a_retry_gets_through(client) -> None:
    """S25: the first attempt fails, the second does not."""
    assert (
        client.with_options(max_retries=1).messages.create(**ASK | condition("fault=529:1")).usage.output_tokens == 40
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_announces_itself_and_stops_when_told(profile, number) -> None:
    """One JSON line when ready; a signal ends it with status 0, though an answer is under way."""
    command = [sys.executable, "-m", "pytest_llmperf.simulator.server", "--profile", str(profile)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        announced = json.loads(process.stdout.readline())
        assert (announced["profile"], announced["pid"]) == ("fast", process.pid)
        with (
            httpx2.Client() as http,
            http.stream(
                "POST",
                f"{announced['url']}/v1/messages",
                content=BODY,
                headers={"x-llmperf-condition": "fault=stall"},
            ),
        ):
            process.send_signal(number)
            assert process.wait(10) == 0
        assert process.stderr.read() == ""


def test_a_server_that_cannot_start_says_why(tmp_path) -> None:
    """The reason is in the exception, and no process is left."""
    with pytest.raises(RuntimeError, match=r"(?s)did not start.*missing.toml: cannot be read"):
        running_server(tmp_path / "missing.toml").__enter__()
