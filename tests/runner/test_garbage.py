"""When Python's garbage collector comes."""

import gc

import pytest

from pytest_llmperf.runner.garbage import uncollected


@pytest.fixture
def collections():
    """The collections since the test began."""
    seen = []

    def note(phase, info):
        if phase == "start":
            seen.append(info["generation"])

    gc.callbacks.append(note)
    yield seen
    gc.callbacks.remove(note)


def litter():
    return [[] for _ in range(20_000)]


def test_it_does_not_come_inside(collections):
    """However much is made and dropped."""
    with uncollected():
        litter()
        assert collections == []
    litter()
    assert collections


def test_it_comes_again_after_an_error():
    """The collector runs as before, whatever happened."""
    with pytest.raises(ZeroDivisionError), uncollected():
        1 / 0  # noqa: B018
    assert gc.isenabled()


def test_one_that_was_off_stays_off():
    """An application that has its own way with garbage keeps it."""
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
