"""How true the measured times are, and what measuring costs: the real SDK against a server whose truth is known.

    python benchmarks/fidelity.py [--streams 1 10 50 200] [--turns 6] [--cost-turns 16]

Streams of 64 deltas, the first 50 ms after the request and then one each 10 ms, from `truth_server.py` in a process of
its own; starts are staggered, and every connection has made a call before. Three blocks take turns in one process:

    bare       nothing observed; the SDK's caller holds the clock, from the call to the first and the last content event
    observed   the recorder of this project, stamping at the read; each call decoded and measured as it ends
    watched    the same with connections followed off the loop where there are more than a few, and the event loop's
               lag watched: how the plugin runs live tests

The error is what is reported minus what the server knows: from its receipt of the request's last byte to its emission
of the first (TTFT) or last (E2E) delta. Ours are of the watched blocks, the SDK's of the bare ones. Each call also says
how late the client may have come to it: how often that covers its error is shown, beside how often the p99 of the
loop's lag would, which is one number for all. The last level has a loop that is blocked on purpose.

On a shared machine the client often has to wait for a processor, and no code here is to blame for that: every turn
tells how long it waited (Linux), the half of the turns that waited least is shown, and the waiting beside it. Nothing
is asserted, and the exit code is 0.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import random
import statistics
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter_ns

import anthropic
from truth_server import Truth, TruthServer, truth_server

from pytest_llmperf.capture import Recorder, observing
from pytest_llmperf.clock.lag import LoopLag
from pytest_llmperf.core.environment import Source
from pytest_llmperf.core.judge import judge
from pytest_llmperf.core.metrics import measure
from pytest_llmperf.core.objective import Objective
from pytest_llmperf.core.pricing import PriceBook, parse_prices
from pytest_llmperf.core.series import Measurement, Round, Series
from pytest_llmperf.runner.garbage import uncollected

ARMS = ("bare", "observed", "watched")
TARGETS_MS = {1: (0.2, 0.4), 10: (0.2, 1.2), 50: (1.5, 7), 200: (3, 18)}
"""Of our TTFT error: p50 and p95, by streams."""
TARGET_CPU = 0.05
SECONDS_OF_A_CALL = 0.69
PRICES = PriceBook(own=parse_prices(["m = 1, 1"]))
QUESTION = [{"role": "user", "content": "Hello"}]


@dataclass(slots=True)
class Block:
    """What one block of calls gave; times in seconds."""

    calls: int = 0
    own: dict[str, tuple[float, float]] = field(default_factory=dict)
    """TTFT and E2E by the caller's own clock."""
    measured: dict[str, Measurement] = field(default_factory=dict)
    truths: dict[str, Truth] = field(default_factory=dict)
    lag: float | None = None
    """The 99 % quantile of the loop's."""
    wall: float = 0.0
    cpu: float = 0.0
    waited: float = 0.0
    """For a processor."""
    decoding: float = 0.0


@dataclass(frozen=True, slots=True)
class Workload:
    """So many streams at once, each with so many calls, of answers of this shape."""

    streams: int
    calls: int
    deltas: int = 64
    ttft_us: int = 50_000
    gap_us: int = 10_000
    blocked: float = 0.0
    """Seconds for which the loop is blocked at random moments, every 0.3 s or so."""

    @property
    def headers(self) -> dict[str, str]:
        return {"x-deltas": str(self.deltas), "x-ttft-us": str(self.ttft_us), "x-gap-us": str(self.gap_us)}


class Client:
    """The SDK, and who drives it."""

    def __init__(self, server: TruthServer) -> None:
        self.server = server
        self.sdk = anthropic.AsyncAnthropic(base_url=server.url, api_key="none", max_retries=0, timeout=60)
        self.recorders = {
            "observed": Recorder(perf_counter_ns, few_streams=math.inf),
            "watched": Recorder(perf_counter_ns),
        }

    async def block(self, arm: str, workload: Workload) -> Block:
        """Run one block, in the way of its arm."""
        block, lag = Block(), LoopLag()
        with ExitStack() as stack:
            if arm != "bare":
                stack.enter_context(observing(self.recorders[arm]))
            if arm == "watched":
                stack.enter_context(lag)
            with spent(block):
                blocking = asyncio.create_task(block_now_and_then(workload.blocked))
                workers = (self.worker(number, arm, workload, lag, block) for number in range(workload.streams))
                await asyncio.gather(*workers)
                blocking.cancel()
        block.truths = self.server.truths()
        block.lag = lag.quantile(0.99)
        return block

    async def worker(self, number: int, arm: str, workload: Workload, lag: LoopLag, block: Block) -> None:
        seconds = (workload.ttft_us + workload.deltas * workload.gap_us) / 1e6
        await asyncio.sleep(seconds * number / workload.streams)
        for index in range(workload.calls):
            name = f"{number}.{index}"
            with nullcontext() if arm == "bare" else self.recorders[arm].round(name):
                block.own[name] = await self.call(name, workload)
            block.calls += 1
            if arm != "bare":
                begin = time.thread_time()
                with uncollected():
                    block.measured[name] = measured(self.recorders[arm], name, lag)
                block.decoding += time.thread_time() - begin

    async def call(self, name: str, workload: Workload) -> tuple[float, float]:
        """One stream, timed as a user would who has nothing but the SDK."""
        begin = perf_counter_ns()
        first = last = None
        stream = await self.sdk.messages.create(
            model="m",
            max_tokens=64,
            messages=QUESTION,
            stream=True,
            extra_headers=workload.headers | {"x-truth": name},
        )
        async for event in stream:
            if event.type == "content_block_delta":
                last = perf_counter_ns()
                first = first or last
        return (first - begin) / 1e9, (last - begin) / 1e9


def measured(recorder: Recorder, name: str, lag: LoopLag) -> Measurement:
    """What a recorder saw of a call, taken from it."""

    def lateness(at_ns: int) -> float | None:
        known = [late for late in (lag.around(at_ns), recorder.lateness(at_ns)) if late is not None]
        return min(known, default=None)

    (call,) = recorder.take(name)
    return measure(call, round_number=0, zero_ns=0, clock="realtime", prices=PRICES, lateness=lateness)


async def block_now_and_then(seconds: float) -> None:
    """Do what nobody should do in an event loop."""
    while seconds:
        await asyncio.sleep(random.expovariate(1 / 0.3))
        time.sleep(seconds)


@contextmanager
def spent(block: Block) -> Iterator[None]:
    """Note what the block took of time and processor."""
    cpu, waited, wall = time.process_time(), waited_for_a_processor(), time.perf_counter()
    yield
    block.wall = time.perf_counter() - wall
    block.cpu, block.waited = time.process_time() - cpu, waited_for_a_processor() - waited


def waited_for_a_processor() -> float:
    """Seconds this thread was ready to run and did not; 0 where the kernel does not tell."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return 0.0


async def turns(
    client: Client, arms: Iterable[str], workloads: Iterable[Workload], count: int
) -> list[dict[tuple[str, Workload], Block]]:
    """Blocks of each arm and workload, *count* times, forwards and backwards by turns."""
    order = [(arm, workload) for workload in workloads for arm in arms]
    await client.block("watched", order[0][1])
    found = []
    for number in range(count):
        blocks = {}
        for arm, workload in order if number % 2 else order[::-1]:
            blocks[arm, workload] = await client.block(arm, workload)
        found.append(blocks)
    return found


# --- fidelity --------------------------------------------------------------------------------------------------------


async def fidelity(client: Client, workload: Workload, count: int) -> None:
    """One level of concurrency."""
    taken = await turns(client, ARMS, [workload], count)
    share = [sum(b.waited for b in turn.values()) / sum(b.wall for b in turn.values()) for turn in taken]
    quiet = sorted(range(count), key=lambda index: share[index])[: (count + 1) // 2]
    blocks = {arm: [taken[index][arm, workload] for index in quiet] for arm in ARMS}
    title = f"{workload.streams} streams" + (
        f", the loop blocked for {workload.blocked * 1e3:.0f} ms now and then" * bool(workload.blocked)
    )
    print(f"\n{title}: {sum(b.calls for b in blocks['watched'])} calls of each kind; load {os.getloadavg()[0]:.1f}")
    waited, at_all = statistics.mean(share[index] for index in quiet), statistics.mean(share)
    line("waited for a processor", f"{waited:.1%} of the time (in all turns {at_all:.1%})")
    print_errors(workload, blocks)
    print_lateness(blocks["watched"])
    print_cpu(blocks)
    print_verdicts(blocks["watched"])


def print_errors(workload: Workload, blocks: dict[str, list[Block]]) -> None:
    sdk = [(own, block.truths[name]) for block in blocks["bare"] for name, own in block.own.items()]
    ours = [(found.values, truth) for found, truth in pairs(blocks["watched"])]
    read = [(found.values, truth) for found, truth in pairs(blocks["observed"])]
    target = TARGETS_MS.get(workload.streams) if not workload.blocked else None
    aim = f"   target {target[0]:g} / {target[1]:g}" if target else ""
    line("TTFT error, ours", p50_p95([values["ttft"] - truth.ttft for values, truth in ours]) + aim)
    line("TTFT error, at the read", p50_p95([values["ttft"] - truth.ttft for values, truth in read]))
    line("TTFT error, SDK timing itself", p50_p95([own[0] - truth.ttft for own, truth in sdk]))
    line("E2E error, ours", p50_p95([values["e2e"] - truth.e2e for values, truth in ours]))
    line("E2E error, at the read", p50_p95([values["e2e"] - truth.e2e for values, truth in read]))
    line("E2E error, SDK timing itself", p50_p95([own[1] - truth.e2e for own, truth in sdk]))


def pairs(blocks: Iterable[Block]) -> list[tuple[Measurement, Truth]]:
    return [(found, block.truths[name]) for block in blocks for name, found in block.measured.items()]


def print_lateness(watched: list[Block]) -> None:
    lag = statistics.median(block.lag or 0.0 for block in watched)
    errors = [
        (found.values[name] - getattr(truth, name), found.late.get(name, lag))
        for found, truth in pairs(watched)
        for name in ("ttft", "e2e")
    ]
    line("client lag", p50_p95([found.values["client_lag"] for found, _ in pairs(watched)]))
    own = statistics.mean(error <= late for error, late in errors)
    by_lag = statistics.mean(error <= lag + 1e-3 for error, _ in errors)
    line(
        "how late it may have been",
        p50_p95([late for _, late in errors])
        + f"   covers {own:.1%} of the errors; the loop's p99 of {ms(lag).strip()} ms, and 1, {by_lag:.1%}",
    )


def print_cpu(blocks: dict[str, list[Block]]) -> None:
    calls = sum(block.calls for block in blocks["bare"])
    decoding = sum(block.decoding for block in blocks["observed"]) / calls
    own = sum(block.cpu for block in blocks["bare"]) / calls
    added = {
        arm: statistics.median(b.cpu / a.cpu - 1 for a, b in zip(blocks["bare"], blocks[arm], strict=True))
        for arm in ("observed", "watched")
    }
    line(
        "CPU of a call",
        f"SDK {ms(own).strip()} ms; observed {added['observed']:+.1%}, watched {added['watched']:+.1%}; of that, "
        f"decoding and measuring {decoding / own:.1%}",
    )


def print_verdicts(watched: list[Block]) -> None:
    """A limit half-way between the true and the measured median, and one the server breaks by far.

    To fail the server for the first is to blame the wrong one.
    """
    found = pairs(watched)
    truth = quantile([truth.ttft for _, truth in found], 0.5)
    measured = quantile([measurement.values["ttft"] for measurement, _ in found], 0.5)
    series = Series(
        "fidelity",
        Source.LIVE,
        "realtime",
        rounds=(Round(0, warmup=False, started=0, ended=1),),
        measurements=tuple(measurement for measurement, _ in found),
        loop_lag=statistics.median(block.lag or 0.0 for block in watched),
        stop="fixed",
    )
    for name, bound in (("limit true / measured", (truth + measured) / 2), ("limit half of true", truth / 2)):
        verdict = judge(series, Objective("ttft", "p50", "<=", bound, unit="s"))
        line(name, f"p50 ttft <= {ms(bound).strip()} ms: {verdict.outcome}; {verdict.reason.partition(';')[0]}")


# --- cost ------------------------------------------------------------------------------------------------------------


async def cost(client: Client, count: int) -> None:
    """CPU of a request and of a chunk: the line through short and long answers, with and without observing."""
    short, long = (Workload(4, calls=6, deltas=deltas, ttft_us=5_000, gap_us=2_000) for deltas in (4, 64))
    taken = await turns(client, ("bare", "observed"), [short, long], count)
    own, added = {}, {}
    for shape in (short, long):
        bare = [running_cpu(turn["bare", shape]) for turn in taken]
        observed = [running_cpu(turn["observed", shape]) for turn in taken]
        own[shape] = statistics.median(bare)
        added[shape] = statistics.median(b - a for a, b in zip(bare, observed, strict=True))
    print(f"\nCPU while calls run, 4 streams, an event each 2 ms, {count} pairs; load {os.getloadavg()[0]:.1f}")
    chunk, chunk_added = (per_chunk(found[short], found[long], short, long) for found in (own, added))
    request, request_added = own[short] - short.deltas * chunk, added[short] - short.deltas * chunk_added
    line("a request", f"SDK {request * 1e6:8.1f} µs, observing {request_added * 1e6:+8.2f} µs")
    line("a chunk", f"SDK {chunk * 1e6:8.1f} µs, observing {chunk_added * 1e6:+8.2f} µs")
    for shape in (short, long):
        ratio = added[shape] / own[shape]
        decoding = statistics.median(turn["observed", shape].decoding / turn["observed", shape].calls for turn in taken)
        line(
            f"a call of {shape.deltas} deltas",
            f"SDK {own[shape] * 1e6:8.1f} µs, observing {ratio:+.1%}   target {TARGET_CPU:+.0%}; to decode and measure "
            f"afterwards {decoding * 1e6:.0f} µs",
        )


def running_cpu(block: Block) -> float:
    """Seconds of CPU for each call, without what is done after its end."""
    return (block.cpu - block.decoding) / block.calls


def per_chunk(of_short: float, of_long: float, short: Workload, long: Workload) -> float:
    return (of_long - of_short) / (long.deltas - short.deltas)


# --- output ----------------------------------------------------------------------------------------------------------


def line(name: str, text: str) -> None:
    print(f"  {name:30} {text}")


def p50_p95(seconds: list[float]) -> str:
    return f"p50 / p95 {ms(quantile(seconds, 0.5))} / {ms(quantile(seconds, 0.95))} ms"


def quantile(values: Iterable[float], level: float) -> float:
    """Nearest rank."""
    ordered = sorted(values)
    return ordered[math.ceil(level * len(ordered)) - 1]


def ms(seconds: float) -> str:
    return f"{seconds * 1e3:7.2f}"


async def run(options: argparse.Namespace) -> None:
    with truth_server() as server:
        print(f"server: a process of its own, {'real-time' if server.real_time else 'ordinary'} priority")
        client = Client(server)
        for streams in options.streams:
            await fidelity(client, Workload(streams, calls=max(2, 8 // streams)), options.turns)
        if options.streams:
            await fidelity(client, Workload(10, calls=3, blocked=0.05), options.turns)
        if options.cost_turns:
            await cost(client, options.cost_turns)
        await client.sdk.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, nargs="*", default=[1, 10, 50, 200])
    parser.add_argument("--turns", type=int, default=6, help="turns of the three kinds of blocks, at each level")
    parser.add_argument(
        "--cost-turns", type=int, default=16, help="pairs of blocks for the CPU of a request and a chunk"
    )
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
