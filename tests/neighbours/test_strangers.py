"""A suite as strangers write it: without us, with us unused, and with a claim that a conftest adds to every test."""

from __future__ import annotations

import pytest

SUITE = '''
import asyncio, json, ssl, unittest
from concurrent.futures import ThreadPoolExecutor
import anthropic, httpx2, openai, pytest

ASKED = {"model": "claude-opus-4-1", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
SAID = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-4-1", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "Hi"}], "usage": {"input_tokens": 1, "output_tokens": 2}}
CHAT = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4-turbo",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}
SEEN = {}


@pytest.fixture(autouse=True)
def log(request):
    """One line for each test: the requests that its transport saw."""
    SEEN.clear()
    yield
    with open("seen.log", "a") as file:
        file.write(f"{request.node.name} {sum(SEEN.values())}\\n")


def saw():
    SEEN["requests"] = SEEN.get("requests", 0) + 1


def answer(request):
    saw()
    return httpx2.Response(200, json=CHAT if "chat" in request.url.path else SAID)


def event(name, **fields):
    return f"event: {name}\\ndata: {json.dumps({'type': name} | fields)}\\n\\n".encode()


class Streaming(httpx2.BaseTransport):
    """A transport of somebody's own."""

    def handle_request(self, request):
        saw()

        def body():
            yield event("message_start", message=SAID | {"content": []})
            yield event("content_block_start", index=0, content_block={"type": "text", "text": ""})
            for _ in range(5):
                yield event("content_block_delta", index=0, delta={"type": "text_delta", "text": "Hi"})
            yield event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 5})
            yield event("message_stop")

        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body())


class Endless(httpx2.AsyncBaseTransport):
    """Answers nothing, or begins to and never ends."""

    def __init__(self, *begun):
        self.asked, self.begun = asyncio.Event(), begun

    async def handle_async_request(self, request):
        saw()
        if self.begun:
            return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=self.body())
        self.asked.set()
        await asyncio.Event().wait()

    async def body(self):
        for one in self.begun:
            yield one
        self.asked.set()
        await asyncio.Event().wait()


BEGUN = (
    event("message_start", message=SAID | {"content": []}),
    event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
    event("content_block_delta", index=0, delta={"type": "text_delta", "text": "Hi"}),
)


def sync(transport=None, **options):
    http = httpx2.Client(transport=transport or httpx2.MockTransport(answer))
    return anthropic.Anthropic(api_key="k", http_client=http, **options)


def asynchronous(transport=None):
    http = httpx2.AsyncClient(transport=transport or httpx2.MockTransport(answer))
    return anthropic.AsyncAnthropic(api_key="k", http_client=http, max_retries=0)


@pytest.fixture(scope="session")
def shared():
    with sync() as client:
        yield client


def test_a_client_of_its_own():
    with sync() as client:
        assert client.messages.create(**ASKED).content[0].text == "Hi"


def test_a_client_of_the_session(shared):
    for _ in range(2):
        shared.messages.create(**ASKED)


def test_a_stream_left_early():
    with sync(Streaming()) as client, client.messages.create(**ASKED, stream=True) as stream:
        for got in stream:
            if got.type == "content_block_delta":
                break


def test_a_stream_read_to_its_end():
    with sync(Streaming()) as client, client.messages.stream(**ASKED) as stream:
        assert stream.get_final_text() == "Hi" * 5


def test_a_retry():
    def unlucky(request):
        saw()
        late = request.headers["x-stainless-retry-count"] != "0"
        return httpx2.Response(200, json=SAID) if late else httpx2.Response(529, headers={"retry-after-ms": "1"})

    with sync(httpx2.MockTransport(unlucky)) as client:
        assert client.messages.create(**ASKED)


def test_threads(shared):
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: shared.messages.create(**ASKED), range(2)))


def test_another_vendor():
    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    with openai.OpenAI(api_key="k", http_client=http) as client:
        assert client.chat.completions.create(model="gpt-4-turbo", messages=ASKED["messages"]).choices


@pytest.mark.asyncio
async def test_several_at_once():
    async with asynchronous() as client:
        await asyncio.gather(*(client.messages.create(**ASKED) for _ in range(3)))


@pytest.mark.asyncio
async def test_a_cancelled_task():
    endless = Endless()
    async with asynchronous(endless) as client:
        task = asyncio.ensure_future(client.messages.create(**ASKED))
        await endless.asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.asyncio
async def test_a_timeout():
    endless = Endless()

    async def over(limit):
        await endless.asked.wait()
        limit.reschedule(0)

    async with asynchronous(endless) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(None) as limit, asyncio.TaskGroup() as group:
                group.create_task(over(limit))
                await client.messages.create(**ASKED)


@pytest.mark.asyncio
async def test_an_async_stream_left_early():
    async with asynchronous(Endless(*BEGUN)) as client:
        async with await client.messages.create(**ASKED, stream=True) as stream:
            async for got in stream:
                if got.type == "content_block_delta":
                    break


@pytest.mark.asyncio
async def test_a_stream_cancelled_midway():
    endless = Endless(*BEGUN)

    async def read(client):
        async with await client.messages.create(**ASKED, stream=True) as stream:
            async for _ in stream: ...

    async with asynchronous(endless) as client:
        task = asyncio.ensure_future(read(client))
        await endless.asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.anyio
async def test_under_anyio(anyio_backend):
    async with asynchronous() as client:
        await client.messages.create(**ASKED)


class TestOfOld(unittest.TestCase):
    def setUp(self):
        self.client = sync()
        self.addCleanup(self.client.close)

    def test_of_old(self):
        self.assertTrue(self.client.messages.create(**ASKED))


def test_red(shared):
    shared.messages.create(**ASKED)
    assert not "an answer"


@pytest.mark.xfail(raises=ZeroDivisionError, strict=True)
def test_expected_to_fail():
    1 / 0


@pytest.mark.skip
def test_skipped(): ...


def test_without_a_call(tmp_path, capsys):
    print("x")
    assert capsys.readouterr().out == "x\\n"
'''
CLAIMED = """
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.llmperf(rounds=8, stop="fixed"))
        item.add_marker(pytest.mark.claim(metric="scenario", statistic="p50", max=600.0))
"""
REQUESTS = {
    "test_a_client_of_its_own": 1,
    "test_a_client_of_the_session": 2,
    "test_a_stream_left_early": 1,
    "test_a_stream_read_to_its_end": 1,
    "test_a_retry": 2,
    "test_threads": 2,
    "test_another_vendor": 1,
    "test_several_at_once": 3,
    "test_a_cancelled_task": 1,
    "test_a_timeout": 1,
    "test_an_async_stream_left_early": 1,
    "test_a_stream_cancelled_midway": 1,
    "test_under_anyio[asyncio]": 1,
    "test_under_anyio[trio]": 1,
    "test_of_old": 1,
}
OUTCOMES = {"passed": 16, "failed": 1, "xfailed": 1, "skipped": 1}
ORDER = ("-p", "no:randomly")


def seen(ran):
    """The requests of each test, by whoever answered them."""
    lines = (ran.path / "seen.log").read_text().splitlines()
    return {name: int(count) for name, count in map(str.split, lines) if name in REQUESTS}


@pytest.fixture
def claimed(suite):
    """The suite with a claim on every test."""
    undecided = "--llmperf-inconclusive=pass"  # real waits of a few rounds may be too much alike to decide anything
    return suite("claimed", SUITE, *ORDER, undecided, backend="live", conftest=CLAIMED)


def test_nothing_changes_where_we_are_not_used(suite):
    """The same outcomes as without us, the same requests, and no word of us."""
    pytest.importorskip("openai")
    without, idle = suite("alone", SUITE, *ORDER, without=True), suite("unused", SUITE, *ORDER, backend="live")
    assert without.outcomes == idle.outcomes == OUTCOMES, idle.text
    assert seen(without) == seen(idle) == REQUESTS
    assert "llmperf:" not in idle.text


def test_outcomes_are_the_same_with_a_claim_on_every_test(claimed):
    """What passed passes, what failed fails, and nothing warns."""
    assert claimed.outcomes == OUTCOMES, claimed.text


def test_counts_are_exact_with_a_claim_on_every_test(claimed):
    """Each test makes its requests once in each of eight rounds and a warm-up, and we see the eight."""
    assert seen(claimed) == {name: count * 9 for name, count in REQUESTS.items()}
    tests = {test["nodeid"].rpartition("::")[2]: test["arms"][0] for test in claimed.report["tests"]}
    assert {name: tests[name]["attempts"] for name in REQUESTS} == {name: count * 8 for name, count in REQUESTS.items()}
    assert tests["test_a_retry"]["calls"] == 8
