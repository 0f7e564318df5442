import threading

from hypothesis import given
from hypothesis import strategies as st

from pytest_llmperf.clock.virtual_clock import VirtualClock


@given(st.integers(0, 10**18), st.lists(st.tuples(st.booleans(), st.integers(0, 10**18))))
def test_it_never_goes_back(start, moves):
    """Whatever it is moved to, its time only grows, and only jumps are counted."""
    clock = VirtualClock(start)
    shown = [clock.now_ns()]
    for jumps, target in moves:
        (clock.jump_to if jumps else clock.flow_to)(target)
        shown.append(clock.now_ns())
    assert shown == sorted(shown)
    assert shown[-1] == max([start, *(target for _, target in moves)])
    assert clock.jumps == sum(jumps for jumps, _ in moves)


def test_holds_nest_across_threads():
    """It is held until the last of all holders lets go."""
    clock = VirtualClock()
    entered, leave = threading.Event(), threading.Event()

    def holder():
        with clock.hold():
            entered.set()
            leave.wait()

    thread = threading.Thread(target=holder)
    with clock.hold():
        thread.start()
        entered.wait()
    assert clock.held
    leave.set()
    thread.join()
    assert not clock.held
