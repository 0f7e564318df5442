import asyncio

from pytest_llmperf.clock.waiting import waiting_tasks


async def innermost():
    await asyncio.get_running_loop().create_future()


async def outer():
    await innermost()


def test_it_names_the_innermost_place_of_each_task():
    """A line holds the task's name, its coroutine, and the function and line in which it really waits."""

    async def main():
        task = asyncio.create_task(outer(), name="fetcher")
        await asyncio.sleep(0)
        text = waiting_tasks(asyncio.get_running_loop())
        task.cancel()
        return text

    line = next(line for line in asyncio.run(main()).splitlines() if "fetcher" in line)
    first = innermost.__code__.co_firstlineno
    assert line == f"  fetcher: outer, in innermost ({__file__}:{first + 1})"


def test_many_tasks_are_cut_short():
    """Ten tasks are shown, the others counted."""

    async def main():
        tasks = [asyncio.create_task(outer()) for _ in range(30)]
        await asyncio.sleep(0)
        text = waiting_tasks(asyncio.get_running_loop())
        for task in tasks:
            task.cancel()
        return text.splitlines()

    lines = asyncio.run(main())
    assert lines[0] == "Waiting (31):"
    assert lines[-1] == "  and 21 more"
    assert len(lines) == 12
