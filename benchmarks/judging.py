"""What summarising and judging cost: `python benchmarks/judging.py [calls]`, by default a million.

A series of that many calls in as many rounds, made here from random numbers, is summarised and judged once on each
kind of claim; then plans for early stopping are worked out, each for the first time. Prints seconds of processor time,
and beside them the target: under a second to summarise and judge a million calls, under 100 ms for a plan for 1,000
rounds. The garbage collector stands still meanwhile, as it walks over all million calls whenever it wakes.

What it showed on one core of a busy server: a plan for 1,000 rounds in 0.04 s, and a million calls judged on a p95 in
1.3 s, but summarised in 13 to 15 s: the summary describes every metric there is, each by going through a million
objects. A throughput of the whole series takes 26 s, as its interval is found by bisection over all calls.
"""

import gc
import resource
import sys
import time
from collections.abc import Callable

import numpy as np

from pytest_llmperf.core.environment import Source
from pytest_llmperf.core.generation import Usage
from pytest_llmperf.core.judge import judge
from pytest_llmperf.core.objective import Objective
from pytest_llmperf.core.series import Measurement, Round, Series
from pytest_llmperf.core.summary import summarised
from pytest_llmperf.statistics.sequential import FUTILITY, spending_plan

CLAIMS = [
    Objective("ttft", "p95", "<=", 2.34),
    Objective("output_tps", "p50", ">=", 30.0),
    Objective("error_rate", "rate", "<=", 0.02),
    Objective("cost", "mean", "<=", 0.06),
    Objective("total_tps", "total", ">=", 30.0),
]


def made(calls: int) -> Series:
    """Calls one after the other, each in a round of its own; one in a hundred failed."""
    rng = np.random.default_rng(7)
    ttfts = (1.12 * np.exp(0.448 * rng.standard_normal(calls))).tolist()
    rates = rng.normal(40, 2, calls).tolist()
    failed = (rng.random(calls) < 0.01).tolist()
    rounds = tuple(Round(i, warmup=False, started=12.0 * i, ended=12.0 * i + 11.5) for i in range(calls))
    measured = (one(*each) for each in zip(range(calls), ttfts, rates, failed, strict=True))
    return Series("judging", Source.SIMULATED, "virtual", rounds=rounds, measurements=tuple(measured))


def one(number: int, ttft: float, rate: float, failed: bool) -> Measurement:
    at, e2e = 12.0 * number, ttft + 400 / rate
    values = {"ttft": ttft, "ttfat": ttft, "e2e": e2e, "attempt_ttft": ttft, "attempt_e2e": e2e, "tpot": 1 / rate}
    if failed:
        values = dict.fromkeys(values, float("inf")) | {"output_tps": 0.0, "e2e_tps": 0.0, "cost": 0.0, "attempts": 3.0}
        absent = {"input_tokens": "the call failed", "output_tokens": "the call failed"}
        return Measurement(number, at, None, True, values, absent, failure="overloaded_error: Overloaded")
    values |= {"output_tps": rate, "e2e_tps": 401 / e2e, "attempts": 1.0, "cost": 0.05}
    values |= {"input_tokens": 1000.0, "output_tokens": 401.0}
    return Measurement(number, at, at + e2e, True, values, {}, (0.02, 0.03), usage=Usage(1000, 401, 0, 0, 0))


def timed(name: str, work: Callable[[], object], target: str = "") -> float:
    """Print what the work took of the processor."""
    began = time.process_time()
    work()
    spent = time.process_time() - began
    print(f"{name:44} {spent:7.3f} s   {target}")
    return spent


def main() -> None:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    gc.disable()
    judge(made(100), CLAIMS[0])  # imports what judging imports
    series = made(calls)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{calls} calls of {len(series.measurements[0].values)} metrics in memory: {memory:.0f} MiB")
    total = timed("summarised", lambda: summarised(series))
    for index, claim in enumerate(CLAIMS):
        spent = timed(f"judged: {claim.described()}", lambda claim=claim: judge(series, claim))
        total += spent if index == 0 else 0.0
    print(f"{'summarised and judged on a p95':44} {total:7.3f} s   target 1 s")
    for budget in (200, 1000, 5000):
        table = timed_plan(budget)
        timed(f"plan for {budget} rounds", table, "target 0.1 s" if budget == 1000 else "")


def timed_plan(budget: int) -> Callable[[], object]:
    return lambda: spending_plan(0.05, 0.05, budget, fail_floor=20, futility=FUTILITY)


if __name__ == "__main__":
    main()
