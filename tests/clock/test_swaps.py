from types import SimpleNamespace

from pytest_llmperf.clock.swaps import Swaps


class Owner:
    kind = "class"


def test_what_was_there_comes_back():
    """An attribute that stood on the owner itself is set again; one that did not is removed."""
    owner = Owner()
    owner.own = "before"
    swaps = Swaps()
    swaps.put(owner, "own", "ours")
    swaps.put(owner, "kind", "ours")
    assert (owner.own, owner.kind) == ("ours", "ours")
    assert swaps.undo() == []
    assert vars(owner) == {"own": "before"}


def test_the_last_swap_is_undone_first():
    """Two swaps of one name lead back to the first value."""
    owner = SimpleNamespace(name=1)
    swaps = Swaps()
    swaps.put(owner, "name", 2)
    swaps.put(owner, "name", 3)
    swaps.undo()
    assert owner.name == 1


def test_a_foreign_value_stays_and_is_reported():
    """What somebody else has put over ours is left alone."""
    owner = SimpleNamespace(name=1, other=1)
    swaps = Swaps()
    swaps.put(owner, "name", 2)
    swaps.put(owner, "other", 2)
    owner.name = "foreign"
    assert swaps.undo() == ["SimpleNamespace.name"]
    assert vars(owner) == {"name": "foreign", "other": 1}


def test_a_class_method_survives():
    """The descriptor itself is put back, not what it gives."""

    class Backend:
        @classmethod
        def run(cls):
            return "before"

    before = vars(Backend)["run"]
    swaps = Swaps()
    swaps.put(Backend, "run", classmethod(lambda cls: "ours"))
    assert Backend.run() == "ours"
    swaps.undo()
    assert vars(Backend)["run"] is before
