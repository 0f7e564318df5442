"""Where the tasks of an event loop wait, in words.

Rule: it looks at coroutines and frames only; it never runs or changes a task.
"""

import asyncio
from types import FrameType
from typing import Any

__all__ = ["waiting_tasks"]

_SHOWN = 10


def waiting_tasks(loop: asyncio.AbstractEventLoop) -> str:
    """One line for each unfinished task: its name, its coroutine and the place where it waits."""
    tasks = sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name())
    lines = [f"  {task.get_name()}: {_place(task.get_coro())}" for task in tasks[:_SHOWN]]
    if len(tasks) > _SHOWN:
        lines.append(f"  and {len(tasks) - _SHOWN} more")
    return "\n".join([f"Waiting ({len(tasks)}):", *lines])


def _place(coroutine: Any) -> str:
    name = getattr(coroutine, "__qualname__", repr(coroutine))
    frame = _innermost_frame(coroutine)
    if frame is None:
        return name
    return f"{name}, in {frame.f_code.co_qualname} ({frame.f_code.co_filename}:{frame.f_lineno})"


def _innermost_frame(coroutine: Any) -> FrameType | None:
    """The frame that awaits something that is not a coroutine itself."""
    frame: FrameType | None = None
    while coroutine is not None:
        frame = _either(coroutine, "cr_frame", "gi_frame", "ag_frame") or frame
        coroutine = _either(coroutine, "cr_await", "gi_yieldfrom", "ag_await")
    return frame


def _either(owner: Any, *names: str) -> Any:
    return next((getattr(owner, name) for name in names if getattr(owner, name, None) is not None), None)
