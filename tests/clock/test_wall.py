import time

from pytest_llmperf.clock.virtual import enter_sync
from pytest_llmperf.clock.wall import WallClock


def test_it_follows_the_finest_real_clock():
    """A reading lies between two readings of `perf_counter_ns`."""
    before = time.perf_counter_ns()
    now = WallClock().now_ns()
    assert before <= now <= time.perf_counter_ns()


now_ns = WallClock().now_ns  # a global name, as a module of an application might keep it


def test_virtual_time_does_not_move_it(clock):
    """The wall clock stays real while `time` is replaced, also when a module keeps its reading under a name."""
    began = now_ns()
    with enter_sync(clock):
        time.sleep(3600)
        assert now_ns() - began < 3600e9
