"""What cassettes cost and how true they are, beside plain vcrpy: seconds to save and load, requests a second, TTFT.

    python benchmarks/cassettes.py [--interactions 1000] [--seconds 10]

Speed: the same interactions, 30 tokens each and every body another, in both cassettes, matched on the body; CPU time,
since the machine may be shared. A peer that is slow is asked only as long as `--seconds` lets it, and its requests a
second are those of that time, at the beginning of the cassette, where it is fastest.

Fidelity: one streamed answer of a server on loopback, at most so late as the application saw it: straight, while it is
recorded, and replayed.
"""

from __future__ import annotations

import argparse
import json
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import anthropic
import httpx2
import vcr
from vcr.request import Request

from pytest_llmperf.capture import Recorder, observing
from pytest_llmperf.cassettes import document, timeline
from pytest_llmperf.cassettes.cassette import opened
from pytest_llmperf.cassettes.deck import Deck, Mode
from pytest_llmperf.cassettes.document import Interaction
from pytest_llmperf.cassettes.redaction import NONE
from pytest_llmperf.cassettes.timeline import Label, Timing
from pytest_llmperf.core.exchange import Timeline
from pytest_llmperf.simulator.server import running_server

URL = "https://api.anthropic.com/v1/messages"
TOKENS = 30
DELTA = b'event: content_block_delta\ndata: {"type": "content_block_delta", "index": 0, "delta": {"text": " word"}}\n\n'
BARE = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
JSON = {"content-type": "application/json"}
ASKED = {
    "model": "claude-opus-4-1",
    "max_tokens": 64,
    "messages": [{"role": "user", "content": "Hi"}],
    "metadata": {"user_id": "llmperf:output_tokens=60"},
}


def question(number: int) -> bytes:
    said = [{"role": "user", "content": f"question {number} {'x' * 500}"}]
    return json.dumps({"model": "m", "max_tokens": 64, "messages": said, "stream": True}).encode()


def interaction(number: int) -> Interaction:
    times = tuple(500_000_000 + token * 20_000_000 for token in range(TOKENS))
    line = Timeline(400_000_000, times, times[-1])
    timing = Timing(line, (len(DELTA),) * TOKENS, start_ns=number * 10**9, label=Label(number))
    response = {
        "status": {"code": 200, "message": "OK"},
        "headers": {"content-type": ["text/event-stream"]},
        "body": {"string": DELTA * TOKENS},
        timeline.KEY: timeline.to_plain(timing),
    }
    return Interaction(Request("POST", URL, question(number), JSON), response, timing)


@contextmanager
def ours(
    path: Path, mode: Mode = "instant", *, record: str = "none", recorder: Recorder | None = None
) -> Iterator[Deck]:
    cassette = opened(path, record_mode=record, rules=NONE)
    deck = Deck(cassette, now_ns=time.perf_counter_ns, takes=lambda _: True)
    deck.mode = mode
    with observing(recorder or Recorder(time.perf_counter_ns), deck):
        yield deck


def plain(path: Path, *, record: str = "none") -> ExitStack:
    serializer = path.suffix.removeprefix(".")
    return vcr.VCR(record_mode=record, match_on=("method", "path", "body"), serializer=serializer).use_cassette(path)


def opened_and_closed(path: Path) -> None:
    with plain(path):
        pass


def cpu(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def requests_per_second(count: int, seconds: float) -> tuple[float, int]:
    """Answers a second of CPU time, and how many were asked for."""
    began, asked = time.process_time(), 0
    with httpx2.Client(verify=BARE) as client:
        while asked < count and time.process_time() - began < seconds:
            with client.stream("POST", URL, content=question(asked), headers=JSON) as response:
                for _ in response.iter_raw():
                    pass
            asked += 1
    return asked / (time.process_time() - began), asked


def speed(folder: Path, count: int, seconds: float) -> None:
    kept = [interaction(number) for number in range(count)]
    path = folder / "tape.yaml"
    saved = cpu(lambda: document.write(path, kept))
    path = document.found(path) or path
    as_yaml = folder / "same.yaml"
    document.replace(as_yaml, document._as_yaml([document.as_plain(one) for one in kept]))
    print(f"{count:,} interactions, {path.suffix} {path.stat().st_size / 1e6:.1f} MB", end="")
    print(f", .yaml {as_yaml.stat().st_size / 1e6:.1f} MB")
    print(f"{'':24}{'save s':>10}{'load s':>10}{'replay 1/s':>12}{'requests':>10}")
    loaded = cpu(lambda: opened(path, record_mode="none", rules=NONE))
    with ours(path):
        rate, asked = requests_per_second(count, seconds)
    print(f"{f'pytest-llmperf, {path.suffix}':24}{saved:10.2f}{loaded:10.2f}{rate:12,.0f}{asked:10,}")
    for form in dict.fromkeys((path, as_yaml)):
        with plain(form) as cassette:
            saved = cpu(lambda cassette=cassette: cassette._save(force=True))
        loaded = cpu(lambda form=form: opened_and_closed(form))
        with plain(form):
            rate, asked = requests_per_second(count, seconds)
        print(f"{f'plain vcrpy, {form.suffix}':24}{saved:10.2f}{loaded:10.2f}{rate:12,.0f}{asked:10,}")


def seen(client: anthropic.Anthropic) -> tuple[float, float]:
    """Milliseconds to the first and to the last content."""
    began = time.perf_counter()
    stream = client.messages.create(**ASKED, stream=True)
    times = [(time.perf_counter() - began) * 1e3 for event in stream if event.type == "content_block_delta"]
    return times[0], times[-1]


def fidelity(folder: Path) -> None:
    """The same seed gives the same answers: each way has a server of its own, and asks for its first one."""
    print(f"\n{'as the application saw it':32}{'TTFT ms':>10}{'last ms':>10}")

    def row(name: str, way: Callable[[], object], url: str) -> None:
        http_client = anthropic.DefaultHttpxClient(verify=BARE)
        with anthropic.Anthropic(api_key="none", base_url=url, http_client=http_client) as client, way():
            first, last = seen(client)
        print(f"{name:32}{first:10.1f}{last:10.1f}")

    tape, other = folder / "fidelity.yaml", folder / "other.yaml"
    ways = {
        "straight": ExitStack,
        "recorded by pytest-llmperf": lambda: ours(tape, record="once"),
        "recorded by plain vcrpy": lambda: plain(other, record="once"),
    }
    for name, way in ways.items():
        with running_server(seed=7) as url:
            if name == "recorded by pytest-llmperf":
                with ours(tape, record="once") as deck:
                    row(name, ExitStack, url)
                document.write(tape, deck.cassette.interactions)
            else:
                row(name, way, url)
    row("replayed in real time", lambda: ours(tape, "timed"), "http://127.0.0.1:9")
    recorder = Recorder(time.perf_counter_ns)
    with ours(tape, recorder=recorder), recorder.round("judged"):
        row("replayed at once, seen", ExitStack, "http://127.0.0.1:9")
    attempt = recorder.take("judged")[0].last
    times = [(delta.at_ns - attempt.exchange.zero_ns) / 1e6 for delta in attempt.generation.deltas]
    print(f"{'replayed at once, judged':32}{times[0]:10.1f}{times[-1]:10.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interactions", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        speed(Path(scratch), options.interactions, options.seconds)
        fidelity(Path(scratch))


if __name__ == "__main__":
    main()
