"""10,000 simulated streamed calls of 30 tokens, 25 in flight, in virtual time: wall time, virtual time and peak memory.

    python benchmarks/scale.py [--calls 10000] [--in-flight 25] [--tokens 30]

Runs pytest in a process of its own on a suite of one test, as a user would, and reads the JSON report it writes.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SUITE = """
import pytest
from anthropic import AsyncAnthropic

client = AsyncAnthropic(api_key="none")

@pytest.mark.llmperf(rounds={calls}, concurrency={in_flight}, stop="fixed")
@pytest.mark.latency(p95_ms=3000)
async def test_scale():
    stream = await client.messages.create(
        model="claude-opus-4-6", max_tokens={tokens}, stream=True,
        messages=[{{"role": "user", "content": "Write a Python function that sorts a list."}}],
    )
    async for _ in stream:
        pass
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--in-flight", type=int, default=25)
    parser.add_argument("--tokens", type=int, default=30)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        suite, report = Path(folder, "test_scale.py"), Path(folder, "report.json")
        suite.write_text(SUITE.format(calls=asked.calls, in_flight=asked.in_flight, tokens=asked.tokens))
        Path(folder, "pytest.ini").write_text("[pytest]\n")
        command = [sys.executable, "-m", "pytest", "-q", "--llmperf-backend=simulate", f"--llmperf-json={report}"]
        started = time.perf_counter()
        ran = subprocess.run(command, cwd=folder, check=False, env=os.environ | {"PYTHONWARNINGS": "ignore"})
        wall = time.perf_counter() - started
        document = json.loads(report.read_text())
        size = report.stat().st_size
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    (test,) = document["tests"]
    (arm,) = test["arms"]
    virtual = arm["metrics"]["scenario"]["mean"] * asked.calls / asked.in_flight
    print(f"exit code          {ran.returncode}, {test['outcome']}, {test['source']}, {test['clock']} clock")
    print(f"calls              {arm['calls']} ({arm['attempts']} attempts), {asked.in_flight} in flight")
    cpu = used.ru_utime + used.ru_stime
    print(f"wall time          {wall:.1f} s ({cpu:.1f} s of CPU), {asked.calls / wall:.0f} calls/s")
    print(f"virtual time       about {virtual:.0f} s, {virtual / wall:.0f} times the wall time")
    print(f"peak memory        {used.ru_maxrss / 1024:.0f} MiB")
    print(f"JSON report        {size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
