import pytest

from pytest_llmperf.clock.manual import ManualClock


def test_it_moves_by_hand_only():
    """It shows its start, then what it was advanced by, in nanoseconds."""
    clock = ManualClock(5)
    assert clock.now_ns() == 5
    clock.advance(1.5)
    clock.advance(0)
    assert clock.now_ns() == 1_500_000_005


def test_it_never_goes_back():
    """A negative step is refused and changes nothing."""
    clock = ManualClock()
    with pytest.raises(ValueError, match=r"cannot advance by -0\.1 s"):
        clock.advance(-0.1)
    assert clock.now_ns() == 0
