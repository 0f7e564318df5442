"""How many jumps virtual time makes in a second of real time.

    python benchmarks/virtual_jumps.py [seconds of real time per row]

Each jump wakes one of so many sleeping tasks, or returns from one `time.sleep`. The bare loop runs the same tasks in
real time, without waiting: what lies between the two is the price of virtual time. The last row is that of an entry.
"""

import asyncio
import sys
import time

from pytest_llmperf.clock.virtual import VirtualClock, enter_loop, enter_sync
from pytest_llmperf.clock.wall import WallClock

now_ns = WallClock().now_ns  # real also while time is virtual


async def wakes_per_second(tasks: int, seconds: float, delay: float) -> float:
    """How often sleeping tasks wake up in a second of real time."""
    began, woken = now_ns(), 0

    async def sleep_again_and_again(number: int) -> None:
        nonlocal woken
        while now_ns() - began < seconds * 1e9:
            for _ in range(100):
                await asyncio.sleep(delay * (1 + number / 1e4))  # no two wake at once
                woken += 1

    await asyncio.gather(*map(sleep_again_and_again, range(tasks)))
    return woken / (now_ns() - began) * 1e9


async def virtual_wakes_per_second(tasks: int, seconds: float) -> float:
    with enter_loop(VirtualClock()):
        return await wakes_per_second(tasks, seconds, delay=0.02)


def sleeps_per_second(seconds: float) -> float:
    """How often `time.sleep` returns in a second of real time."""
    clock = VirtualClock(horizon_seconds=1e12)
    began = now_ns()
    with enter_sync(clock):
        while now_ns() - began < seconds * 1e9:
            for _ in range(100):
                time.sleep(0.02)
    return clock.jumps / (now_ns() - began) * 1e9


async def entry_ms(seconds: float) -> float:
    """Milliseconds to enter and leave."""
    began, entries = now_ns(), 0
    while now_ns() - began < seconds * 1e9:
        with enter_loop(VirtualClock()):
            entries += 1
    return (now_ns() - began) / entries / 1e6


def main(seconds: float) -> None:
    print(f"{'':32}{'virtual':>12}{'bare loop':>12}")
    for tasks in (1, 25, 1000):
        virtual = asyncio.run(virtual_wakes_per_second(tasks, seconds))
        bare = asyncio.run(wakes_per_second(tasks, seconds, delay=1e-9))
        print(f"{f'jumps/s, {tasks} sleeping tasks':32}{virtual:12,.0f}{bare:12,.0f}")
    print(f"{'jumps/s, time.sleep':32}{sleeps_per_second(seconds):12,.0f}")
    print(f"{f'ms per entry ({len(sys.modules):,} modules)':32}{asyncio.run(entry_ms(seconds)):12.2f}")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 2.0)
