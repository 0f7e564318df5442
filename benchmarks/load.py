"""Whether the open loop keeps its times, and what a closed loop hides: a server that stands still for one second.

    python benchmarks/load.py [--seconds 15] [--rate 600]

The real async SDK calls a loopback server in a process of its own, which answers each request after 20 ms, and answers
nobody in the second that begins in the middle of the run. Both loops meet it, one after the other: the open one at
*rate* rounds a minute, the closed one with one round in flight, for as many seconds. `late` is when rounds began minus
when they were due. Nothing is asserted, and the exit code is 0.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import anthropic

from pytest_llmperf.capture import Recorder, observing
from pytest_llmperf.clock.wall import WallClock
from pytest_llmperf.core.environment import Source
from pytest_llmperf.core.pricing import PriceBook, parse_prices
from pytest_llmperf.core.series import Series
from pytest_llmperf.runner.budget import Budget
from pytest_llmperf.runner.loop import Sampling
from pytest_llmperf.runner.plan import Plan

ANSWER_SECONDS, FROZEN_SECONDS, SLOW_SECONDS = 0.02, 1.0, 0.1
ANSWER = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "Hi"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 3, "output_tokens": 1},
}
QUESTION = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}


async def serve(freeze_after: float) -> None:
    """Answer on a port that is printed; the freeze is timed from the first request."""
    body = json.dumps(ANSWER).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    began: list[float] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await reader.readuntil(b"\r\n\r\n"):
            lines = request.lower().split(b"\r\n")
            await reader.readexactly(next(int(line[15:]) for line in lines if line.startswith(b"content-length:")))
            if not began:
                began.append(time.monotonic())
            passed = time.monotonic() - began[0] - freeze_after
            frozen = FROZEN_SECONDS - passed if 0 <= passed < FROZEN_SECONDS else 0.0
            await asyncio.sleep(ANSWER_SECONDS + frozen)
            writer.write(head + body)

    async def until_gone(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(until_gone, "127.0.0.1")
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def measured(plan: Plan, seconds: float) -> Series:
    """One loop against a server of its own."""
    command = [sys.executable, str(Path(__file__)), "--serve", str(seconds / 2)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = f"http://127.0.0.1:{server.stdout.readline().strip()}"
            return asyncio.run(_sampled(plan, url, seconds))
        finally:
            server.kill()


async def _sampled(plan: Plan, url: str, seconds: float) -> Series:
    clock = WallClock()
    recorder = Recorder(clock.now_ns)
    prices = PriceBook(own=parse_prices(["m = 1, 1"]))
    cap = Budget(max_seconds=seconds)
    sampling = Sampling(plan=plan, clock=clock, recorder=recorder, prices=prices, budgets=(cap,))
    async with anthropic.AsyncAnthropic(base_url=url, api_key="none", max_retries=0) as client:
        with observing(recorder):
            await sampling.run_async(lambda: client.messages.create(**QUESTION))
    return sampling.series("load", Source.LIVE)


def row(name: str, series: Series) -> str:
    waits = sorted(1e3 * call.values["e2e"] for call in series.judged)
    late = sorted(1e3 * (r.started - r.intended) for r in series.judged_rounds if r.intended is not None)
    slow = sum(wait > 1e3 * SLOW_SECONDS for wait in waits)
    told = f"{statistics.median(late):.2f} / {late[int(0.99 * len(late))]:.2f} / {late[-1]:.2f}" if late else "-"
    spread = [waits[int(level * len(waits))] for level in (0.5, 0.95, 0.99)]
    figures = "  ".join(f"{value:8.1f}" for value in (*spread, waits[-1]))
    return f"{name:8}{len(waits):6}{slow:7}  {figures}   {told}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=15, help="of each loop")
    parser.add_argument("--rate", type=float, default=600, help="rounds a minute of the open loop")
    parser.add_argument("--serve", type=float, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve is not None:
        asyncio.run(serve(given.serve))
        return
    most = round(given.rate * given.seconds / 60)
    print("loop     calls  >100ms  e2e p50       p95       p99       max ms   late p50 / p99 / max ms")
    for arrival in ("constant", "poisson"):
        plan = Plan(rounds=most, rate_per_minute=given.rate, arrival=arrival)
        print(row(arrival, measured(plan, given.seconds + 5)), flush=True)
    print(row("closed", measured(Plan(rounds=100_000), given.seconds)), flush=True)


if __name__ == "__main__":
    main()
