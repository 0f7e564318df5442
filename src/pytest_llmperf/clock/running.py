"""Whether an event loop runs in this thread, asyncio's or trio's; it imports neither trio nor starts anything."""

import asyncio
import sys

__all__ = ["in_event_loop", "in_trio"]


def in_event_loop() -> bool:
    """Whether whatever blocks here holds up the tasks of a loop."""
    return asyncio._get_running_loop() is not None or in_trio()


def in_trio() -> bool:
    """Whether a task of trio's runs this."""
    trio = sys.modules.get("trio")
    if trio is None:
        return False
    try:
        trio.lowlevel.current_task()
    except RuntimeError:
        return False
    return True
