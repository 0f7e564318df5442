"""The scenario's time inside the standard module `time`.

Rule: this module knows which names are replaced, in which modules and for which threads. It knows no event loop.

- `time.time`, `monotonic`, `perf_counter`, their `_ns` forms and `sleep` are replaced as attributes of the module, and
  so are the names that other modules bound early (``from time import monotonic``).
- The replacements exist once and ask at each call whether someone stays in virtual time. A module that is imported
  meanwhile and keeps one of them keeps a function that tells real time afterwards.
- Only members see the scenario's time: the thread that entered, and worker threads while they run a job for its loop.
  Everyone else (timers of pytest-timeout, execnet, exporters of traces) goes on in real time.
- Modules that wait on the operating system themselves are shielded: a deadline that stands still would hang them.

Not reached: `datetime.now`, clocks of C extensions, and functions kept as a default argument or in an object.
"""

import asyncio
import concurrent.futures.thread
import queue
import subprocess
import sys
import time
from collections.abc import Callable, Container
from dataclasses import dataclass
from threading import get_ident
from types import ModuleType
from typing import Any

from pytest_llmperf.clock.swaps import Swaps

__all__ = ["Frame", "enter", "in_virtual_time", "leave", "real"]

# Shielded modules must be loaded before any entry: one that is first imported in virtual time would bind our functions.
_LOADED_EARLY = (asyncio, concurrent.futures.thread, queue, subprocess)

_READINGS = ("time", "monotonic", "perf_counter")

_SHIELDED = frozenset(
    (
        *("asyncio", "concurrent", "multiprocessing", "queue", "selectors", "socketserver", "subprocess", "threading"),
        *("gevent", "trio", "uvloop"),
        *("_pytest", "execnet", "pluggy", "pytest_timeout", "rich", "xdist"),
        "pytest_llmperf",
    )
)

_PART_OF_THE_SCENARIO = ("pytest_llmperf.simulator", "pytest_llmperf.cassettes")
"""The parts of this project that wait in the scenario's time: they are what the scenario waits for."""

real = ModuleType("time", "The standard module `time` as it was before anything was replaced.")
real.__dict__.update(vars(time))


@dataclass(frozen=True, slots=True)
class Frame:
    """One stay in virtual time, as the module `time` sees it.

    Attributes:
        now_ns: The scenario's time.
        members: Identifiers of the threads that live in it.
        offsets_ns: What to add for `time`, `monotonic` and `perf_counter`, so that each goes on from where it stood.
        sleep: What `time.sleep` does, for any thread.
    """

    now_ns: Callable[[], int]
    members: Container[int]
    offsets_ns: dict[str, int]
    sleep: Callable[[float], None]

    @staticmethod
    def offsets_from(now_ns: int) -> dict[str, int]:
        """The offsets at which the scenario's time meets the real clocks now."""
        return {name: getattr(real, f"{name}_ns")() - now_ns for name in _READINGS}


_frame: Frame | None = None


def in_virtual_time() -> bool:
    """Whether the calling thread lives in virtual time."""
    return _frame is not None and get_ident() in _frame.members


def enter(frame: Frame, swaps: Swaps) -> None:
    """Replaces the functions of `time` and every early-bound alias, until `leave` is called and `swaps` are undone."""
    global _frame  # noqa: PLW0603 - the module `time` is global, and so is this
    for name, replacement in _REPLACEMENTS.items():
        swaps.put(time, name, replacement)
    for module, name, value in _aliases():
        swaps.put(module, name, value)
    _frame = frame


def leave() -> None:
    """Makes every replacement tell real time again, wherever it is still held."""
    global _frame  # noqa: PLW0603
    _frame = None


def _reading_ns(name: str) -> Callable[[], int]:
    clock = name.removesuffix("_ns")
    real_reading = getattr(real, name)

    def read() -> int:
        frame = _frame
        if frame is None or get_ident() not in frame.members:
            return real_reading()  # type: ignore[no-any-return]
        return frame.now_ns() + frame.offsets_ns[clock]

    return read


def _reading(name: str) -> Callable[[], float]:
    real_reading = getattr(real, name)

    def read() -> float:
        frame = _frame
        if frame is None or get_ident() not in frame.members:
            return real_reading()  # type: ignore[no-any-return]
        return (frame.now_ns() + frame.offsets_ns[name]) / 1_000_000_000

    return read


def _sleep(seconds: float, /) -> None:
    frame = _frame
    if frame is None:
        real.sleep(seconds)
    else:
        frame.sleep(seconds)


def _named(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = getattr(real, name).__doc__
    return function


_REPLACEMENTS: dict[str, Callable[..., Any]] = {
    **{name: _named(name, _reading(name)) for name in _READINGS},
    **{f"{name}_ns": _named(f"{name}_ns", _reading_ns(f"{name}_ns")) for name in _READINGS},
    "sleep": _named("sleep", _sleep),
}

_BY_IDENTITY: dict[int, Any] = {id(getattr(real, name)): ours for name, ours in _REPLACEMENTS.items()}
_SHIELDING: dict[int, Any] = {id(time): real}


# Modules in which nothing was found, by name, with the identity and the number of their globals: not searched again.
_clean: dict[str, tuple[int, int]] = {}


def _aliases() -> list[tuple[ModuleType, str, Any]]:
    """Every global of every loaded module that must change, with what to put there.

    A module that only swaps one global for another after it was searched is not searched again.
    """
    found: list[tuple[ModuleType, str, Any]] = []
    for full_name, module in list(sys.modules.items()):
        if module is time or full_name == __name__ or not issubclass(type(module), ModuleType):
            continue
        names = _globals_of(module)
        fingerprint = id(names), len(names)
        if _clean.get(full_name) == fingerprint:
            continue
        shielded = full_name.partition(".")[0] in _SHIELDED and not full_name.startswith(_PART_OF_THE_SCENARIO)
        wanted = _SHIELDING if shielded else _BY_IDENTITY
        if wanted.keys().isdisjoint(map(id, list(names.values()))):
            _clean[full_name] = fingerprint
        else:
            items = list(names.items())
            found += [(module, name, wanted[id(value)]) for name, value in items if id(value) in wanted]
    return found


def _globals_of(module: ModuleType) -> dict[str, Any]:
    """The module's names, without waking a module that loads itself on first access."""
    return object.__getattribute__(module, "__dict__")  # type: ignore[no-any-return]
