"""The layout of the terminal's summary: what must hold at every width and in every encoding."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmperf.reports.page import OUTCOMES, Block, Line, Page, Row

HEADINGS = Row("arm", "claim", "measured (95 % interval)", "n", "outcome")
words = st.text("abc 12,.…−[]()%$:/é漢", max_size=40).map(str.strip)
names = st.text("abc_[]:.漢", min_size=1, max_size=60)
rows = st.builds(Row, words, words, words, st.integers(0, 10_000).map(str), st.sampled_from(sorted(OUTCOMES)))
blocks = st.lists(st.builds(Block, names, st.lists(rows, min_size=1, max_size=3).map(tuple)), min_size=1, max_size=3)

CLAIM = Row("", "p95 ttft <= 2340 ms", "2100 (1980 … 2210) ms", "100", "passed", (Line("the reason"),))


def shown(blocks, width, encoding="utf-8"):
    page = Page(width, color=False, encoding=encoding)
    page.table(blocks, HEADINGS)
    return page.text()


def columns(line):
    from rich.cells import cell_len

    return cell_len(line)


class TestEveryWidth:
    @given(blocks, st.integers(40, 200))
    def test_no_line_is_too_wide_and_none_ends_in_blanks(self, blocks, width):
        """Whatever the words, the terminal never has to fold."""
        for line in shown(blocks, width).split("\n"):
            assert columns(line) <= width
            assert line == line.rstrip()

    @given(blocks, st.integers(40, 200))
    def test_no_character_is_lost(self, blocks, width):
        """Text is folded, never cut: every character of every cell is there, in each form of the table."""
        seen = re.sub(r"\s", "", shown(blocks, width))
        for block in blocks:
            for row in block.rows:
                for cell in (row.claim, row.measured, row.n, row.arm, block.name):
                    for character in set(re.sub(r"\s", "", cell)):
                        assert seen.count(character) >= cell.count(character)

    @given(blocks, st.integers(40, 200), st.sampled_from(["ascii", "latin-1", "cp1252", "cp437", "utf-8"]))
    def test_the_terminal_can_write_it(self, blocks, width, encoding):
        """In its encoding, whatever the names hold, and no wider for it."""
        text = shown(blocks, width, encoding)
        text.encode(encoding)
        assert max(map(columns, text.split("\n"))) <= width


class TestForms:
    """The same block in the three forms."""

    block = Block("test_latency.py::test_greeting", (CLAIM,), (Line("of the test"),))

    def test_tests_beside_their_claims(self):
        """Where all fits on one line; what is said of a claim stands below it, a step in."""
        assert shown([self.block], 100).splitlines() == [
            "test                            claim                measured (95 % interval)    n  outcome",
            "───────────────────────────────────────────────────────────────────────────────────────────",
            "test_latency.py::test_greeting  p95 ttft <= 2340 ms  2100 (1980 … 2210) ms     100  passed",
            "                                  the reason",
            "                                of the test",
        ]

    def test_tests_above_their_claims(self):
        """Where only the claims fit on one line."""
        assert shown([self.block], 70).splitlines() == [
            "  claim                measured (95 % interval)    n  outcome",
            "─────────────────────────────────────────────────────────────",
            "test_latency.py::test_greeting",
            "  p95 ttft <= 2340 ms  2100 (1980 … 2210) ms     100  passed",
            "    the reason",
            "  of the test",
        ]

    def test_figures_below_their_claims(self):
        """Where not even those fit."""
        assert shown([self.block], 50).splitlines() == [
            "test_latency.py::test_greeting",
            "  p95 ttft <= 2340 ms                 passed",
            "    2100 (1980 … 2210) ms, n=100",
            "    the reason",
            "  of the test",
        ]

    def test_a_narrow_terminal_is_laid_out_for_forty_columns(self):
        """There is no sense in folding numbers letter by letter."""
        assert shown([self.block], 8) == shown([self.block], 40)


@pytest.mark.parametrize(
    ("words", "seen"), [("a\x1b[31mb", "a?[31mb"), ("a\rb\u2028c", "a?b?c"), ("caf\udce9", "caf?")]
)
def test_text_cannot_steer_the_terminal(words, seen):
    """An error message of a server may hold anything."""
    page = Page(80, color=False, encoding="utf-8")
    page.prose(words)
    assert page.text() == f"{seen}\n"


def test_markup_is_not_read():
    """Square brackets in a parameter id are letters like all others."""
    page = Page(80, color=True, encoding="utf-8")
    page.prose("test_x[red][/bold] :smile: 12")
    assert page.text() == "test_x[red][/bold] :smile: 12\n"


def test_prose_is_folded_where_it_can_be_read():
    """A line of two hundred columns is no pleasure to read."""
    page = Page(200, color=False, encoding="utf-8")
    page.prose("word " * 50, indent=4)
    assert {len(line) <= 104 and line.startswith("    word") for line in page.text().splitlines()} == {True}
