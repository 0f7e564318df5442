"""The conditions that one test compares."""

from __future__ import annotations

import copy
import pickle

import pytest

from pytest_llmperf.runner.arms import Arm, matching, pairs, product

GRID = product({"cache": ["cold", "warm"], "shots": [0, 5]})


def names(arms):
    """What the arms are called."""
    return [arm.name for arm in arms]


class TestProduct:
    def test_no_factor_is_one_arm_without_a_name(self):
        """A test that compares nothing has the one arm that every test has."""
        assert product({}) == (Arm(),)

    def test_every_combination_is_an_arm(self):
        """The last factor changes fastest."""
        assert [dict(arm.factors) for arm in GRID] == [
            {"cache": "cold", "shots": 0},
            {"cache": "cold", "shots": 5},
            {"cache": "warm", "shots": 0},
            {"cache": "warm", "shots": 5},
        ]

    @pytest.mark.parametrize(
        ("factors", "named"),
        [
            ({"cache": ["cold", "warm"]}, ["cold", "warm"]),
            ({"temperature": [0, 0.7]}, ["temperature=0", "temperature=0.7"]),
            ({"stream": [True, False]}, ["stream=True", "stream=False"]),
            ({"region": ["", "eu"]}, ["region=''", "eu"]),
            ({"cache": ["warm"], "shots": [5]}, ["warm, shots=5"]),
            ({"asked": ["xml"], "answered": ["xml", "json"]}, ["xml, xml", "xml, json"]),
            ({"a": ["x, y", "x"], "b": ["z", "y, z"]}, ["a=x, y, b=z", "a=x, y, b=y, z", "a=x, b=z", "a=x, b=y, z"]),
        ],
    )
    def test_names_say_what_differs(self, factors, named):
        """A text stands by itself, another value with its factor, and no two arms have one name."""
        assert names(product(factors)) == named


class TestArm:
    def test_factors_are_attributes(self):
        """The arm answers by the factor's name."""
        assert (GRID[3].cache, GRID[3].shots, GRID[3].name) == ("warm", 5, "warm, shots=5")

    def test_an_unknown_factor_lists_those_there_are(self):
        """A slip in a body says what the mark has."""
        with pytest.raises(AttributeError, match="there is no factor 'cash'; the arms mark has: cache, shots"):
            _ = GRID[0].cash

    def test_it_is_a_value_like_others(self):
        """Copies and pickles of it are equal to it."""
        assert copy.copy(GRID[1]) == GRID[1] == pickle.loads(pickle.dumps(GRID[1]))


class TestMatching:
    @pytest.mark.parametrize(
        ("wanted", "found"),
        [
            ("warm, shots=5", ["warm, shots=5"]),
            ("warm", ["warm, shots=0", "warm, shots=5"]),
            (5, ["cold, shots=5", "warm, shots=5"]),
            (0.0, ["cold, shots=0", "warm, shots=0"]),
            ("shots=0", ["cold, shots=0", "warm, shots=0"]),
        ],
    )
    def test_a_name_or_a_value(self, wanted, found):
        """A name means its arm; a value means every arm that has it."""
        assert names(matching(GRID, wanted)) == found

    @pytest.mark.parametrize("wanted", ["hot", 1, False, None, ""])
    def test_what_is_not_there_lists_the_arms(self, wanted):
        """Also where only the kind of value is wrong: False is not 0."""
        with pytest.raises(ValueError, match=r"there is no arm .*Arms: 'cold, shots=0' · 'cold, shots=5' · 'warm"):
            matching(GRID, wanted)

    def test_a_value_of_two_factors_asks_for_one(self):
        """Which factor is meant is never guessed."""
        with pytest.raises(ValueError, match="write 'shots=1' or 'temperature=1'"):
            matching(product({"temperature": [0, 1], "shots": [1, 5]}), 1)


class TestPairs:
    def test_other_factors_stay_the_same(self):
        """Of several factors, a contrast in one is made at each value of the others."""
        assert [names(pair) for pair in pairs(GRID, "warm", "cold")] == [
            ["warm, shots=0", "cold, shots=0"],
            ["warm, shots=5", "cold, shots=5"],
        ]

    def test_two_names_are_one_pair(self):
        """Whole names may differ in more than one factor."""
        assert [names(pair) for pair in pairs(GRID, "warm, shots=5", "cold, shots=0")] == [
            ["warm, shots=5", "cold, shots=0"]
        ]

    @pytest.mark.parametrize(("arm", "to"), [("warm", "warm"), ("warm, shots=5", "warm, shots=5")])
    def test_an_arm_is_not_compared_with_itself(self, arm, to):
        """A contrast needs two arms."""
        with pytest.raises(ValueError, match="no two arms"):
            pairs(GRID, arm, to)
