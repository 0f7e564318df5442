"""Attributes replaced for a while."""

from __future__ import annotations

import pytest

from pytest_llmperf.capture.patches import Patches


class Base:
    def speak(self):
        return "base"


class Child(Base):
    pass


def louder(patches):
    def make(original):
        def speak(self):
            return original(self) + "!" if patches.active else original(self)

        return speak

    return make


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def patches(warnings):
    return Patches(warnings.append)


def test_a_replacement_lasts_until_it_is_undone(patches, warnings):
    """The very object that was replaced is back afterwards."""
    before = vars(Base)["speak"]
    patches.replace(Base, "speak", louder(patches))
    assert Base().speak() == "base!"
    patches.undo()
    assert vars(Base)["speak"] is before
    assert not warnings


def test_an_inherited_attribute_is_not_left_behind(patches):
    """Replaced on a subclass, an inherited attribute is inherited again."""
    patches.replace(Child, "speak", louder(patches))
    assert (Base().speak(), Child().speak()) == ("base", "base!")
    patches.undo()
    assert "speak" not in vars(Child)


def test_two_replacements_are_undone_in_reverse(patches):
    """The last one made goes first, so that the first one's original comes back."""
    before = vars(Base)["speak"]
    patches.replace(Base, "speak", louder(patches))
    patches.replace(Base, "speak", louder(patches))
    assert Base().speak() == "base!!"
    patches.undo()
    assert vars(Base)["speak"] is before


def test_somebody_elses_patch_is_left_alone_and_named(patches, warnings, monkeypatch):
    """An attribute that is not ours any more stays as it is, ours inside it stops acting, and a warning says so."""
    before = vars(Base)["speak"]
    patches.replace(Base, "speak", louder(patches))
    ours = vars(Base)["speak"]
    monkeypatch.setattr(Base, "speak", lambda self: "theirs " + ours(self))
    patches.undo()
    assert Base().speak() == "theirs base"
    assert "Base.speak was patched by somebody else" in warnings[0]
    monkeypatch.undo()
    Base.speak = before


def test_a_replacement_that_outlived_its_time_is_seen_through(patches):
    """Put back by somebody else's late undo, ours does nothing, and the next patch does not build upon it."""
    before = vars(Base)["speak"]
    patches.replace(Base, "speak", louder(patches))
    ours = vars(Base)["speak"]
    Base.speak = before
    patches.undo()
    Base.speak = ours
    assert Base().speak() == "base"
    later = Patches(pytest.fail)
    later.replace(Base, "speak", louder(later))
    assert Base().speak() == "base!"
    later.undo()
    assert vars(Base)["speak"] is before


def test_what_is_not_there_cannot_be_replaced(patches):
    """A missing attribute is an error before anything is changed."""
    with pytest.raises(AttributeError, match="sing"):
        patches.replace(Base, "sing", louder(patches))
