"""What `llmperf benchmark` takes of a machine, and how much of it is the SDK's own.

    python benchmarks/study.py [--calls 1000]

Runs the command as a user would and reads what the system says of it. Then sends the same requests with the same SDK
from the same suite's code, without pytest and without us, through a transport that has its answers ready (as the
simulated API gives them, recorded beforehand), and gives the ratio of the processor times. Both are measured in
processes of their own, and without their start, which is that of a run with the least calls.

Measured with CPython 3.11 on two shared cores that others kept busy (seven and ten processes waited for them): the
command with 10,000 calls and all its files took 87.1 and 94.2 s of processor time (212 and 293 s in all), 300 MB at the
peak both times. With 1,000 calls, a call takes 6.7 ms of processor time, of which the SDK alone takes 4.4: 1.5 times as
much for the simulated API, observing, decoding, judging and reporting together.
"""

import argparse
import importlib.util
import resource
import subprocess
import sys
import time
from random import Random
from types import SimpleNamespace

from pytest_llmperf.cli.benchmark import CALLS, SUITE

LEAST = 200
VARIANTS = 5
"""Answers that are ready for each condition, taken in turns."""


def processor_time(command: list[str]) -> tuple[float, float, float]:
    """Seconds of processor and of wall time, and MB at the peak, of a process and its children."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall, used = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime, wall, used.ru_maxrss * 1024 / 1e6


def alone(calls: int) -> None:
    """Send so many of the suite's requests through the SDK alone; prints its seconds of processor time."""
    import httpx2
    from anthropic import Anthropic

    suite = _suite()
    conditions = [(ask, arm) for ask in _asks(suite) for arm in _arms(suite)]
    bodies = [_answers(suite, *condition) for condition in conditions]
    ready = _Ready()
    suite.client = Anthropic(api_key="none", http_client=httpx2.Client(transport=ready))
    began = time.process_time()
    for number in range(calls):
        (ask, arm), answers = conditions[number % len(conditions)], bodies[number % len(conditions)]
        ready.answer = answers[number // len(conditions) % VARIANTS]
        ask(arm)
    print(time.process_time() - began)


class _Ready:
    """A transport whose next answer is there already."""

    answer: tuple[list[tuple[str, str]], list[bytes]]

    def handle_request(self, request):
        import httpx2

        headers, pieces = self.answer
        request.read()
        return httpx2.Response(200, headers=headers, content=iter(pieces))

    def close(self) -> None: ...


def _suite():
    spec = importlib.util.spec_from_file_location("suite", SUITE / "test_benchmark.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _asks(suite):
    return [value for name, value in vars(suite).items() if name.startswith("test_")]


def _arms(suite):
    return [SimpleNamespace(context_tokens=n, streamed=flag) for n in suite.CONTEXTS for flag in (True, False)]


def _answers(suite, ask, arm):
    """What the simulated API answers this request, a few times."""
    import httpx2
    from anthropic import Anthropic

    from pytest_llmperf.simulator.api import SimulatedApi
    from pytest_llmperf.simulator.profile import load

    api, found = SimulatedApi(load("claude-opus-4"), seed=Random(str(vars(arm))).randrange(10**6)), []

    def served(request):
        headers = {name.lower(): value for name, value in request.headers.items()}
        plan = api.receive("POST", request.url.path, host="", headers=headers, body=request.read()).plan
        found.append((list(plan.headers), [piece.data for piece in plan.pieces]))
        return httpx2.Response(plan.status, headers=list(plan.headers), content=plan.body)

    suite.client = Anthropic(api_key="none", http_client=httpx2.Client(transport=httpx2.MockTransport(served)))
    for _ in range(VARIANTS):
        ask(arm)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1_000)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.alone:
        alone(asked.calls)
        return
    command = [sys.executable, "-m", "pytest_llmperf.cli", "benchmark", "--calls"]
    start, _, _ = processor_time([*command, str(LEAST)])
    whole, wall, peak = processor_time([*command, str(asked.calls)])
    itself = [sys.executable, __file__, "--alone", "--calls", str(asked.calls)]
    floor = float(subprocess.run(itself, check=True, capture_output=True, text=True).stdout)
    ours, theirs = (whole - start) / (asked.calls - LEAST), floor / asked.calls
    print(f"the command        {whole:.1f} s of processor time, {wall:.1f} s, {peak:.0f} MB at the peak")
    print(f"a call             {ours * 1e3:.2f} ms of processor time")
    print(f"by the SDK alone   {theirs * 1e3:.2f} ms; {ours / theirs:.2f} times as much with pytest-llmperf")
    print(f"{CALLS:,} calls       about {start + ours * (CALLS - LEAST):.0f} s of processor time")


if __name__ == "__main__":
    main()
