"""The report as GitHub-flavoured Markdown."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from factories import calls, measurement, report, result, series, verdict
from pytest_llmperf.core.environment import Source
from pytest_llmperf.reports import json_file
from pytest_llmperf.reports.markdown import code, render, words

FIGURES = (
    "| test | arm | calls | ttft p50 | ttft p95 | e2e p50 | e2e p95 | output_tps p50 | cost mean | error_rate mean |\n"
    "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
)


def document(*results, **fields):
    return json.loads(json_file.text(json_file.document(report(*results, **fields))))


def cells(line):
    """The cells of a table's line, as GitHub splits it: at every bar that no backslash is before."""
    inner = line.replace("\\|", "\0").strip().removeprefix("|").removesuffix("|")
    return [cell.strip().replace("\0", "|") for cell in inner.split("|")]


class TestRender:
    def test_a_whole_report(self):
        """Literal in, literal out."""
        failed = verdict("failed", claim="p95 ttft <= 2 s", bound=2.0, estimate=2.1)
        made = document(
            result("tests/a.py::test_a[x|y]", verdicts=[verdict(), failed], series_=[series(calls(2))]),
            result("tests/b.py::test_b", outcome="error", series_=[], error="ValueError: <b>\nsecond"),
            result(
                "tests/c.py::test_c",
                verdicts=[verdict("inconclusive", estimate=None, low=None, high=None, n=0, remedy="measure")],
                series_=[
                    series([measurement(0, streamed=False)], source=Source.LIVE, clock="realtime", ended_by="cap")
                ],
                notes=("old prices",),
            ),
        )
        assert render(made) == (
            "## llmperf: 1 of 3 claims passed, 1 failed, 1 inconclusive, 1 error\n"
            "\n"
            "pytest-llmperf 0.1.0, 2026-03-02T09:30:00+00:00, Python 3.11.9, Linux x86_64, "
            "profile claude-opus-4, seed 7\n"
            "\n"
            "### simulated, virtual clock\n"
            "\n"
            "| outcome | test | claim | measured | n | ground |\n"
            "| --- | --- | --- | --- | ---: | --- |\n"
            "| 🛑 **error** | `tests/b.py::test_b` | nothing measured |  | 0 | ValueError: &lt;b&gt; |\n"
            "| ❌ **failed** | `tests/a.py::test_a[x\\|y]` | p95 ttft &lt;= 2 s | 2100 (1980 … 2210) ms | 100 | "
            "0 of 100 calls above 2340 ms; a pass needs at most 1, a fail at least 10 |\n"
            "| ✅ passed | `tests/a.py::test_a[x\\|y]` | p95 ttft &lt;= 2340 ms | 2100 (1980 … 2210) ms | 100 | "
            "0 of 100 calls above 2340 ms; a pass needs at most 1, a fail at least 10 |\n"
            "\n"
            "<details><summary>Metrics in short: simulated, virtual clock</summary>\n"
            "\n"
            f"{FIGURES}"
            "| `tests/a.py::test_a[x\\|y]` |  | 2 | 800 ms | 801 ms | 11 s | 11 s "
            "| 39.22 tokens/s | &#36;0.05 | 0 % |\n"
            "\n"
            "</details>\n"
            "\n"
            "### live, realtime clock\n"
            "\n"
            "| outcome | test | claim | measured | n | ground |\n"
            "| --- | --- | --- | --- | ---: | --- |\n"
            "| ⚠️ **inconclusive** | `tests/c.py::test_c` | p95 ttft &lt;= 2340 ms | nothing | 0 | "
            "0 of 100 calls above 2340 ms; a pass needs at most 1, a fail at least 10; next: measure |\n"
            "\n"
            "<details><summary>Metrics in short: live, realtime clock</summary>\n"
            "\n"
            f"{FIGURES}"
            "| `tests/c.py::test_c` |  | 1 |  |  | 11 s | 11 s |  | &#36;0.05 | 0 % |\n"
            "\n"
            "</details>\n"
            "\n"
            "- `tests/b.py::test_b`: ValueError: &lt;b&gt;<br>second\n"
            "- `tests/c.py::test_c`: sampling ended early: cap\n"
            "- note: old prices\n"
        )

    def test_arms_have_a_column_where_there_are_any(self):
        """Of a test with arms every claim says whose it is."""
        arms = [series(calls(2), arm=name) for name in ("cold", "warm")]
        text = render(document(result(verdicts=[verdict(arm="warm")], series_=arms)))
        heading, row = (line for line in text.splitlines() if line.startswith(("| outcome", "| ✅")))
        assert dict(zip(cells(heading), cells(row), strict=True))["arm"] == "warm"

    def test_what_other_plugins_add_stands_at_the_end(self):
        """A heading and a list for each, of words that stay words."""
        added = (("slow *ones*", ("<b>", "two\nlines")), ("empty", ()))
        text = render(document(result(verdicts=[verdict()], notes=("old",)), sections=added))
        assert text.endswith("\n- note: old\n\n### slow \\*ones\\*\n\n- &lt;b&gt;\n- two<br>lines\n\n### empty\n")

    def test_a_run_without_tests_is_a_heading(self):
        """And no empty table."""
        assert render(document()).startswith("## llmperf: no claim\n")


class TestAsGitHubReadsIt:
    WILD = "a | b ` c `` <img src=x> [link](javascript:x) *bold* _it_ ~~gone~~ $x$ &amp; \\| \n# heading\n- item"

    def read(self, text):
        """The texts of its tables' cells, row by row, raw HTML, and the kinds of what stands inside of lines."""
        tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
        inline = [child for token in tokens for child in token.children or ()]
        raw = [token.content for token in (*tokens, *inline) if token.type.startswith("html")]
        rows, place = [], iter(tokens)
        for token in place:
            if token.type == "tr_open":
                rows.append([])
            elif token.type in ("td_open", "th_open"):
                rows[-1].append("".join(child.content for child in next(place).children))
        kinds = {child.type for child in inline}
        return rows, raw, kinds

    def test_every_row_is_a_row_of_its_table(self):
        """With as many cells as the heading and with the texts as they are, whatever they hold."""
        wild = self.WILD
        made = document(
            result(
                f"tests/a.py::test[{wild}]",
                verdicts=[verdict("failed", claim=wild, reason=wild, arm=wild), verdict("failed")],
                series_=[series(calls(2), arm=wild)],
                error=wild,
                notes=(wild,),
            ),
            result("tests/b.py::test_b", verdicts=[verdict()]),
        )
        rows, raw, kinds = self.read(render(made))
        assert [len(row) for row in rows] == [7] * 4 + [10] * 3
        told = wild.replace("\n", "<br>")
        assert [row[2] for row in rows[1:4]] == [told, "p95 ttft <= 2340 ms", "p95 ttft <= 2340 ms"]
        assert rows[1][3] == told
        assert rows[1][1] == f"tests/a.py::test[{wild}]".replace("\n", " ")
        summaries = ["<details><summary>Metrics in short: simulated, virtual clock</summary>\n", "</details>\n"]
        assert [tag for tag in raw if tag != "<br>"] == summaries
        assert kinds <= {
            "text",
            "text_special",
            "code_inline",
            "html_inline",
            "strong_open",
            "strong_close",
            "softbreak",
        }


class TestCut:
    @pytest.mark.parametrize("most", [2_000, 20_000, 100_000])
    def test_the_gravest_stay_and_a_line_says_what_went(self, most):
        """Whole rows are left out from the end, and the text keeps its size."""
        made = [
            result(f"t.py::test_{n}", verdicts=[verdict("failed" if n % 100 == 99 else "passed")], series_=[])
            for n in range(600)
        ]
        text = render(document(*made), most_bytes=most)
        shown = [cells(line)[0] for line in text.splitlines() if line.startswith(("| ❌", "| ✅"))]
        assert len(text.encode()) <= most
        assert shown[: min(len(shown), 6)] == ["❌ **failed**"] * min(len(shown), 6)
        assert f"Cut for its length: {600 - len(shown)} claims and more left out" in text

    def test_what_fits_is_not_cut(self):
        """The same text as without a limit."""
        made = document(result(verdicts=[verdict()]))
        assert render(made, most_bytes=200_000) == render(made)


class TestEscapes:
    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("p50 output_tps >= 45", "p50 output_tps &gt;= 45"),
            ("a|b", "a\\|b"),
            ("_x_ *y* `z` ~s~", "\\_x\\_ \\*y\\* \\`z\\` \\~s\\~"),
            ("[a](http://b)", "\\[a\\](http://b)"),
            ("<img src=x>&amp;", "&lt;img src=x&gt;&amp;amp;"),
            ("$1 to $2", "&#36;1 to &#36;2"),
            ("one\ntwo\r\nthree", "one<br>two<br>three"),
            ("back\\slash", "back\\\\slash"),
        ],
    )
    def test_words_stay_words(self, text, shown):
        """Nothing of Markdown or HTML begins in a text."""
        assert words(text) == shown

    @pytest.mark.parametrize(
        ("text", "shown"),
        [("a.py::b[1|2]", "`a.py::b[1\\|2]`"), ("a`b``c", "``` a`b``c ```"), ("a\nb", "`a b`"), ("<b>", "`<b>`")],
    )
    def test_a_name_stays_in_its_code_span(self, text, shown):
        """Whatever backticks, bars and line breaks it has."""
        assert code(text) == shown

    @given(st.text(st.characters(exclude_categories=["Cs"])))
    def test_no_text_adds_a_cell_or_a_line(self, text):
        """A row has as many cells as its heading."""
        made = [verdict("failed", claim=text or "x", reason=text, remedy=text, arm=text)]
        table = [
            line for line in render(document(result(verdicts=made, series_=[]))).splitlines() if line.startswith("|")
        ]
        assert {len(cells(line)) for line in table} == {7 if text else 6}
        assert len(table) == 3
