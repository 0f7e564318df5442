import importlib
import queue
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from time import monotonic, perf_counter, perf_counter_ns
from time import sleep as nap
from types import ModuleType

import pytest

from pytest_llmperf.clock.time_module import in_virtual_time, real
from pytest_llmperf.clock.virtual import VirtualClock, enter_sync

READINGS = ["time", "monotonic", "perf_counter", "time_ns", "monotonic_ns", "perf_counter_ns"]


class ReleasedAtExit(threading.Event):
    """An event that frees its waiters when a test is over, however it ends."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.set()


@pytest.mark.parametrize("name", READINGS)
def test_every_reading_moves_with_the_scenario(clock, name):
    """Each function of `time` goes on from where it stood, by exactly the virtual time that has passed."""
    unit = 1 if name.endswith("_ns") else 1e-9
    with enter_sync(clock):
        before = getattr(time, name)()
        time.sleep(1234.5)
        after = getattr(time, name)()
    assert after - before == pytest.approx(1_234_500_000_000 * unit, abs=1e-6)
    assert abs(before - getattr(real, name)()) < 60e9 * unit


def test_names_bound_early_move_too(clock):
    """A module that took the functions out of `time` before sees virtual time under its own names."""
    early = monotonic, perf_counter, perf_counter_ns, nap
    with enter_sync(clock):
        began = monotonic(), perf_counter(), perf_counter_ns()
        nap(100)
        passed = monotonic() - began[0], perf_counter() - began[1], perf_counter_ns() - began[2]
    assert passed == (pytest.approx(100), pytest.approx(100), 100_000_000_000)
    assert (monotonic, perf_counter, perf_counter_ns, nap) == early


def test_a_name_bound_between_two_entries_is_found(clock, monkeypatch):
    """A module that was clean at the first entry is searched again when it has changed."""
    module = ModuleType("a_clean_module")
    monkeypatch.setitem(sys.modules, "a_clean_module", module)
    with enter_sync(clock):
        pass
    module.bound_late = time.sleep
    with enter_sync(clock):
        module.bound_late(100)
    assert clock.now_ns() == 100_000_000_000


def test_everything_is_put_back_exactly(clock):
    """After the exit `time`, and the globals of all modules, are what they were."""

    def state():
        return {
            (name, key): id(value)
            for name, module in sys.modules.items()
            if not name.startswith("hypothesis")  # it counts collections of garbage, which may come at any time
            for key, value in vars(module).items()
        }

    before = state()
    with enter_sync(clock):
        assert state() != before
    assert state() == before


@pytest.mark.parametrize("module", ["threading", "queue", "subprocess", "_pytest.timing", "trio._core._run"])
def test_names_of_modules_that_wait_themselves_stay_real(clock, module):
    """Early-bound names of shielded modules are not touched."""
    namespace = vars(importlib.import_module(module))
    functions = [getattr(real, name) for name in (*READINGS, "sleep")]
    before = {name for name, value in namespace.items() if any(value is function for function in functions)}
    with enter_sync(clock):
        during = {name for name, value in namespace.items() if any(value is function for function in functions)}
    assert during == before != set()


def test_waiting_with_a_deadline_still_ends(clock):
    """Timeouts of threading, queues, futures and processes run in real time and do not hang."""
    child = [sys.executable, "-c", "import time; time.sleep(60)"]
    with ThreadPoolExecutor(1) as pool, ReleasedAtExit() as release, enter_sync(clock):
        assert not threading.Event().wait(0.01)
        with pytest.raises(queue.Empty):
            queue.Queue().get(timeout=0.01)
        with pytest.raises(TimeoutError):
            list(as_completed([pool.submit(release.wait)], timeout=0.01))
        with pytest.raises(subprocess.TimeoutExpired):
            subprocess.run(child, timeout=0.05, check=False)
    assert clock.now_ns() == 0


def test_a_thread_that_does_not_belong_sees_real_time(clock):
    """Another thread reads the real clocks while this one is far ahead."""
    seen = []
    ask, answered = threading.Event(), threading.Event()

    def bystander():
        ask.wait()
        seen.extend((time.monotonic(), in_virtual_time()))
        answered.set()

    thread = threading.Thread(target=bystander)
    thread.start()
    with enter_sync(clock):
        time.sleep(10_000)
        ask.set()
        answered.wait()
        seen.extend((time.monotonic(), in_virtual_time()))
    thread.join()
    assert seen[1::2] == [False, True]
    assert seen[2] - seen[0] > 9_000
    assert not in_virtual_time()


def test_a_module_first_imported_in_virtual_time_is_real_again_afterwards(clock, tmp_path, monkeypatch):
    """Such a module keeps our function, which then tells real time, and virtual time at the next entry."""
    (tmp_path / "imported_late.py").write_text("from time import monotonic, sleep\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with enter_sync(clock):
        late = importlib.import_module("imported_late")
        monkeypatch.delitem(sys.modules, "imported_late")
        time.sleep(1000)
        assert late.monotonic() == time.monotonic()
    assert abs(late.monotonic() - time.monotonic()) < 60
    late.sleep(0)
    with enter_sync(clock):
        began = late.monotonic()
        late.sleep(50)
        assert late.monotonic() - began == pytest.approx(50)


def test_a_lazy_module_is_not_woken(clock, monkeypatch):
    """Looking for names does not load a module that loads itself on first access."""

    class Lazy(ModuleType):
        def __getattribute__(self, name):
            raise AssertionError(f"woken by {name}")

    monkeypatch.setitem(sys.modules, "a_lazy_module", Lazy("a_lazy_module"))
    with enter_sync(clock):
        time.sleep(1)
    monkeypatch.undo()
    assert clock.now_ns() == 1_000_000_000


def test_bad_sleeps_are_refused_as_ever(clock):
    """A negative or senseless sleep raises what `time.sleep` raises."""
    with enter_sync(clock):
        with pytest.raises(ValueError, match="non-negative"):
            time.sleep(-1)
        with pytest.raises(TypeError):
            time.sleep("1")
    assert VirtualClock().now_ns() == clock.now_ns()
