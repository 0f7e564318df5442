"""How true the measured times are, and what measuring costs: the real SDK against a server whose truth is known.

    python benchmarks/fidelity.py [--streams 1 10 50 100] [--turns 6] [--cost-turns 12]

Streams of 64 deltas, the first 50 ms after the request and then one each 10 ms, from `truth_server.py` in a process of
its own; starts are staggered, and every connection has made a call before. Three blocks take turns in one process:

    bare       nothing observed; the SDK's caller holds the clock, from the call to the first and the last content event
    observed   the recorder of this project, decoding and measuring each call as it ends
    sampled    the same with the sampler of the event loop's lag, which is how the plugin runs live tests

The error is what is reported minus what the server knows: from its receipt of the request's last byte to its emission
of the first (TTFT) or last (E2E) delta. Ours are of the sampled blocks, the SDK's of the bare ones. On a shared machine
the client often has to wait for a processor, which is none's error here: every turn says how long it waited (Linux),
the half of the turns that waited least is shown, and the waiting beside it. Nothing is asserted; the exit code is 0.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter_ns

import anthropic
from truth_server import Truth, TruthServer, truth_server

from pytest_llmperf.capture import Recorder, observing
from pytest_llmperf.clock.lag import LoopLagSampler
from pytest_llmperf.core.environment import Source
from pytest_llmperf.core.judge import judge
from pytest_llmperf.core.metrics import measure
from pytest_llmperf.core.objective import Objective
from pytest_llmperf.core.pricing import PriceBook, parse_prices
from pytest_llmperf.core.series import Measurement, Round, Series

ARMS = ("bare", "observed", "sampled")
TARGETS_MS = {1: (0.6, 1.5), 10: (0.6, 3), 50: (4, 15)}
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
    lags: list[float] = field(default_factory=list)
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

    @property
    def headers(self) -> dict[str, str]:
        return {"x-deltas": str(self.deltas), "x-ttft-us": str(self.ttft_us), "x-gap-us": str(self.gap_us)}


class Client:
    """The SDK, and who drives it."""

    def __init__(self, server: TruthServer) -> None:
        self.server = server
        self.sdk = anthropic.AsyncAnthropic(base_url=server.url, api_key="none", max_retries=0)
        self.recorder = Recorder(perf_counter_ns)

    async def block(self, arm: str, workload: Workload) -> Block:
        """Run one block, in the way of its arm."""
        block, sampler = Block(), LoopLagSampler()
        with ExitStack() as stack:
            if arm != "bare":
                stack.enter_context(observing(self.recorder))
            if arm == "sampled":
                stack.enter_context(sampler)
            with spent(block):
                workers = (self.worker(number, arm, workload, sampler, block) for number in range(workload.streams))
                await asyncio.gather(*workers)
        block.truths = self.server.truths()
        block.lags = [lag / 1e9 for _, lag in sampler.lags]
        return block

    async def worker(self, number: int, arm: str, workload: Workload, sampler: LoopLagSampler, block: Block) -> None:
        seconds = (workload.ttft_us + workload.deltas * workload.gap_us) / 1e6
        await asyncio.sleep(seconds * number / workload.streams)
        for index in range(workload.calls):
            name = f"{number}.{index}"
            with self.recorder.round(name):
                block.own[name] = await self.call(name, workload)
            block.calls += 1
            if arm != "bare":
                begin = time.thread_time()
                (call,) = self.recorder.take(name)
                block.measured[name] = measure(
                    call, round_number=0, zero_ns=0, clock="realtime", prices=PRICES, lateness=sampler.around
                )
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
    await client.block("sampled", order[0][1])
    found = []
    for number in range(count):
        blocks = {}
        for arm, workload in order if number % 2 else order[::-1]:
            blocks[arm, workload] = await client.block(arm, workload)
        found.append(blocks)
    return found


# --- fidelity --------------------------------------------------------------------------------------------------------


async def fidelity(client: Client, streams: int, count: int) -> None:
    """One level of concurrency."""
    workload = Workload(streams, calls=max(2, 8 // streams))
    taken = await turns(client, ARMS, [workload], count)
    share = [
        sum(block.waited for block in turn.values()) / sum(block.wall for block in turn.values()) for turn in taken
    ]
    kept = [taken[index] for index in sorted(range(count), key=lambda index: share[index])[: (count + 1) // 2]]
    blocks = {arm: [turn[arm, workload] for turn in kept] for arm in ARMS}
    print(
        f"\n{streams} streams: {sum(b.calls for b in blocks['sampled'])} calls of each kind; waited for a processor "
        f"{sum(sorted(share)[: len(kept)]) / len(kept):.1%} of the time (in all turns {sum(share) / count:.1%}); "
        f"load {os.getloadavg()[0]:.1f}"
    )
    print_errors(streams, blocks)
    print_lags(blocks["sampled"])
    print_cpu(blocks)
    print_verdict(blocks["sampled"])


def print_errors(streams: int, blocks: dict[str, list[Block]]) -> None:
    sdk = [(own, block.truths[name]) for block in blocks["bare"] for name, own in block.own.items()]
    ours = [(found.values, block.truths[name]) for block in blocks["sampled"] for name, found in block.measured.items()]
    rows = {
        "TTFT error, ours": [values["ttft"] - truth.ttft for values, truth in ours],
        "TTFT error, SDK timing itself": [own[0] - truth.ttft for own, truth in sdk],
        "E2E error, ours": [values["e2e"] - truth.e2e for values, truth in ours],
        "E2E error, SDK timing itself": [own[1] - truth.e2e for own, truth in sdk],
    }
    for name, errors in rows.items():
        target = TARGETS_MS.get(streams) if name == "TTFT error, ours" else None
        aim = f"   target {target[0]:g} / {target[1]:g}" if target else ""
        print(f"  {name:32} p50 / p95  {ms(quantile(errors, 0.5))} / {ms(quantile(errors, 0.95))} ms{aim}")


def print_lags(sampled: list[Block]) -> None:
    client_lags = [found.values["client_lag"] for block in sampled for found in block.measured.values()]
    lags = [lag for block in sampled for lag in block.lags]
    print(
        f"  {'client lag':32} p50 / p95  {ms(quantile(client_lags, 0.5))} / {ms(quantile(client_lags, 0.95))} ms"
        f"   loop lag p99 {ms(quantile(lags, 0.99)).strip()} ms"
    )


def print_cpu(blocks: dict[str, list[Block]]) -> None:
    calls = sum(block.calls for block in blocks["bare"])
    decoding = sum(block.decoding for block in blocks["observed"]) / calls
    own = sum(block.cpu for block in blocks["bare"]) / calls
    ratios = {
        arm: statistics.median(
            with_.cpu / without.cpu - 1 for with_, without in zip(blocks[arm], blocks["bare"], strict=True)
        )
        for arm in ARMS[1:]
    }
    print(
        f"  {'CPU of a call':32} SDK {ms(own).strip()} ms; observed {ratios['observed']:+.1%}, of which decoding "
        f"{decoding / own:.1%}; with the sampler {ratios['sampled']:+.1%}"
    )


def print_verdict(sampled: list[Block]) -> None:
    """A limit half-way between the true and the measured median: whoever fails the server for it blames the wrong one."""
    measured = [found for block in sampled for found in block.measured.values()]
    truth = quantile([block.truths[name].ttft for block in sampled for name in block.measured], 0.5)
    late = quantile([found.values["ttft"] for found in measured], 0.5)
    lag = quantile([lag for block in sampled for lag in block.lags], 0.99)
    series = Series(
        "fidelity",
        Source.LIVE,
        "realtime",
        rounds=(Round(0, warmup=False, started=0, ended=1),),
        measurements=tuple(measured),
        loop_lag=lag,
        stop="fixed",
    )
    for bound in ((truth + late) / 2, truth / 2):
        verdict = judge(series, Objective("ttft", "p50", "<=", bound, unit="s"))
        reason = verdict.reason.partition(";")[0]
        print(f"  p50 ttft <= {ms(bound).strip()} ms is {verdict.outcome} (truth {ms(truth).strip()}): {reason}")


# --- cost ------------------------------------------------------------------------------------------------------------


async def cost(client: Client, count: int) -> None:
    """CPU of a request and of a chunk: the line through short and long answers, with and without observing."""
    short, long = (Workload(4, calls=6, deltas=deltas, ttft_us=5_000, gap_us=2_000) for deltas in (4, 64))
    taken = await turns(client, ("bare", "observed"), [short, long], count)
    per_call: Callable[[Block], float] = lambda block: (block.cpu - block.decoding) / block.calls  # noqa: E731
    rows = {
        arm: [(per_call(turn[arm, short]), per_call(turn[arm, long])) for turn in taken] for arm in ("bare", "observed")
    }
    chunk = {arm: [(b - a) / (long.deltas - short.deltas) for a, b in pairs] for arm, pairs in rows.items()}
    request = {
        arm: [a - short.deltas * one for (a, _), one in zip(pairs, chunk[arm], strict=True)]
        for arm, pairs in rows.items()
    }
    decoding = statistics.median(turn["observed", long].decoding / turn["observed", long].calls for turn in taken)
    print(f"\nCPU, 4 streams, an event each 2 ms, {count} pairs of blocks; load {os.getloadavg()[0]:.1f}")
    for name, found in (("a request", request), ("a chunk", chunk)):
        own = statistics.median(found["bare"])
        added = statistics.median(b - a for a, b in zip(found["bare"], found["observed"], strict=True))
        print(f"  {name:12} SDK {own * 1e6:8.1f} µs, observing {added * 1e6:+7.1f} µs ({added / own:+.1%})")
    whole = [b / a - 1 for (_, a), (_, b) in zip(rows["bare"], rows["observed"], strict=True)]
    print(
        f"  {'a call':12} of {long.deltas} deltas: {statistics.median(whole):+.1%} while it runs (target {TARGET_CPU:+.0%}), "
        f"and {decoding * 1e6:.0f} µs to decode and measure it afterwards"
    )


# --- output ----------------------------------------------------------------------------------------------------------


def quantile(values: Iterable[float], level: float) -> float:
    """Nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * level // 1).__int__() - 1)] if ordered else float("nan")


def ms(seconds: float) -> str:
    return f"{seconds * 1e3:7.2f}"


async def run(options: argparse.Namespace) -> None:
    with truth_server() as server:
        print(f"server: a process of its own, {'real-time' if server.real_time else 'ordinary'} priority")
        client = Client(server)
        for streams in options.streams:
            await fidelity(client, streams, options.turns)
        if options.cost_turns:
            await cost(client, options.cost_turns)
        await client.sdk.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, nargs="*", default=[1, 10, 50, 100])
    parser.add_argument("--turns", type=int, default=6, help="turns of the three kinds of blocks, at each level")
    parser.add_argument(
        "--cost-turns", type=int, default=12, help="pairs of blocks for the CPU of a request and a chunk"
    )
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
