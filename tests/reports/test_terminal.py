"""The summary in the terminal, against texts that were looked at and found good.

A golden text in `tests/data/reports` is replaced by what `LLMPERF_GOLDEN=write` makes the test write there.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from factories import calls, failed_measurement, report, result, series, verdict
from pytest_llmperf.core.environment import Source
from pytest_llmperf.reports.terminal import progress_text, render

GOLDEN = Path(__file__).parent.parent / "data" / "reports"

SPEED = verdict(
    claim="p50 output_tps >= 40 tokens/s",
    metric="output_tps",
    statistic="p50",
    direction=">=",
    bound=40.0,
    unit="tokens/s",
    estimate=42.7,
    low=41.9,
    high=43.5,
    reason="21 of 100 calls below 40 tokens/s; a pass needs at most 41, a fail at least 59",
)
COST = verdict(
    claim="mean cost <= $0.06",
    metric="cost",
    statistic="mean",
    bound=0.06,
    unit="USD",
    estimate=0.0517,
    low=0.0511,
    high=0.0523,
    reason="mean of 100 rounds is $0.0517, 95 % interval $0.0511 … $0.0523",
)
SLOW = verdict(
    "failed",
    claim="p95 ttft <= 1540 ms",
    bound=1.54,
    estimate=1.892,
    low=1.61,
    high=2.113,
    reason="14 of 100 calls above 1540 ms; a pass needs at most 1, a fail at least 10",
)
RARE = verdict(
    "inconclusive",
    claim="p99 ttft <= 2890 ms",
    statistic="p99",
    bound=2.89,
    estimate=2.75,
    low=2.33,
    high=float("inf"),
    reason="1 of 100 calls above 2890 ms; a pass is out of reach, a fail at least 4",
    remedy="raise rounds: 299 clean ones are the fewest that can pass",
)


def varied():
    """One test of each fate, with what may happen while sampling."""
    failing = [
        *calls(99),
        failed_measurement(99),
        failed_measurement(100, failure="APITimeoutError: Request timed out."),
    ]
    return report(
        result("tests/test_latency.py::test_code_generation", verdicts=[verdict(), SPEED, COST]),
        result("tests/test_latency.py::test_writing[150k]", verdicts=[SLOW, RARE], series_=[series(failing, warmup=1)]),
        result(
            "tests/test_plain.py::test_without_claim",
            series_=[series(calls(40), ended_by="the cap of $2 was reached")],
            interrupted=True,
            notes=("anthropic 1.9 is older than any version this was tried with",),
        ),
        result("tests/test_plain.py::test_broken", outcome="error", series_=[], error="CaptureError: no seam\nmore"),
    )


def armed():
    """One test with arms, numbers of a live run."""
    arms = [
        series(calls(60), arm=f"concurrency={n}", source=Source.LIVE, clock="realtime", loop_lag=0.0004 * n)
        for n in (1, 25)
    ]
    return report(
        result(
            "tests/test_load.py::TestLoad::test_arms",
            verdicts=[verdict(arm=one.arm, n=60) for one in arms],
            series_=arms,
        )
    )


def plain_text(run, width, **options):
    return render(run, console_width=width, color=False, **options)


@pytest.mark.parametrize(
    ("name", "run", "width", "options"),
    [
        ("narrow-60", varied(), 60, {}),
        ("ordinary-80", varied(), 80, {}),
        ("wide-120", varied(), 120, {}),
        ("wider-200", varied(), 200, {}),
        ("quiet-80", varied(), 80, {"verbosity": -1}),
        ("verbose-80", varied(), 80, {"verbosity": 1}),
        ("verbose-120", varied(), 120, {"verbosity": 1}),
        ("ascii-80", varied(), 80, {"verbosity": 1, "encoding": "ascii"}),
        ("arms-60", armed(), 60, {}),
        ("arms-120", armed(), 120, {}),
    ],
)
def test_golden_texts(name, run, width, options):
    """The whole text, as it was found good."""
    shown, path = plain_text(run, width, **options), GOLDEN / f"{name}.txt"
    if os.environ.get("LLMPERF_GOLDEN") == "write":
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8")


class TestWhatIsShown:
    def test_a_run_without_tests_says_nothing(self):
        """Silence where nothing was marked."""
        assert plain_text(report(), 80) == ""

    def test_quiet_is_one_line_when_all_hold(self):
        """`-q` counts, and names only what does not hold."""
        run = report(result("a.py::a", verdicts=[verdict(), COST]), result("a.py::b", verdicts=[verdict()]))
        assert plain_text(run, 80, verbosity=-1) == "llmperf: 3 of 3 claims passed, simulated\n"

    def test_claims_that_do_not_hold_give_their_reason(self):
        """At every verbosity, with what to do next; a claim that holds gives its reason at `-v` only."""
        run = report(result(verdicts=[SLOW, RARE, SPEED]))
        for verbosity in (-1, 0, 1):
            shown = plain_text(run, 120, verbosity=verbosity)
            assert all(words in shown for words in (SLOW.reason, RARE.reason, f"next: {RARE.remedy}"))
            assert (SPEED.reason in shown) == (verbosity > 0)

    def test_sources_never_share_a_table(self):
        """Each has its section, whose heading says it."""
        live = result(
            "test_b.py::test_live",
            verdicts=[verdict()],
            series_=[series(calls(5), source=Source.LIVE, clock="realtime")],
        )
        shown = plain_text(report(result(verdicts=[verdict()]), live, result("test_c.py::test_c")), 80)
        headings = [line.strip("= ") for line in shown.splitlines() if line.startswith("===")]
        assert headings == ["llmperf: simulated, virtual clock", "llmperf: live, realtime clock"]
        assert shown.endswith("llmperf: 2 of 2 claims passed, simulated and live\n")

    def test_a_formula_stands_with_its_number(self):
        """`-v` says what each shown metric means and where its definition comes from."""
        run = report(result(verdicts=[verdict(metric="tpot", claim="p95 tpot <= 40 ms/token", unit="s/token")]))
        shown = plain_text(run, 200, verbosity=1)
        assert "(last content delta − first content delta) / (output tokens − 1) (MLPerf inference" in shown
        assert "return of the SDK" not in shown

    def test_folders_are_shown_where_they_tell_tests_apart(self):
        """Two modules of one name keep their folders."""
        run = report(result("one/test_a.py::test_x"), result("two/test_a.py::test_x"), result("two/test_a.py::test_y"))
        shown = plain_text(run, 120)
        assert "one/test_a.py::test_x" in shown
        assert "two/test_a.py::test_x" in shown
        assert "two/test_a.py::test_y" not in shown

    def test_a_contrast_stands_with_the_figures_of_its_arms(self):
        """The claim names both arms, so no column does; below it stands what each of them came to."""
        both = [series(calls(101, e2e=e2e), warmup=1, arm=arm) for arm, e2e in (("warm", 8.0), ("cold", 10.0))]
        ratio = verdict(
            claim="p50 e2e: warm / cold <= 0.9",
            metric="e2e",
            statistic="p50",
            bound=0.9,
            unit="",
            estimate=0.8,
            low=0.7,
            high=0.85,
            arm="warm",
            to="cold",
        )
        text = plain_text(report(result(verdicts=[ratio], series_=both)), 80)
        assert "  p50 e2e: warm / cold <= 0.9  0.8 (0.7 … 0.85)          100  passed" in text.splitlines()
        assert "  warm: e2e p50 8000 ms" in text.splitlines()
        assert "  cold: e2e p50 10 s" in text.splitlines()

    def test_what_arms_share_is_said_once(self):
        """Below the last of them, with their names; what differs stays with its arm."""
        own = {
            "claim": RARE.claim,
            "bound": RARE.bound,
            "remedy": RARE.remedy,
            "reason": "1 of 100 calls above 2890 ms",
        }
        verdicts = [verdict("inconclusive", arm=arm, **own) for arm in ("cold", "warm")]
        verdicts.append(verdict("inconclusive", arm="hot", **own | {"reason": "2 of 100 calls above 2890 ms"}))
        arms = [series(calls(5), arm=arm) for arm in ("cold", "warm", "hot")]
        shown = plain_text(report(result(verdicts=verdicts, series_=arms)), 120)
        assert shown.count("raise rounds") == shown.count("1 of 100 calls above 2890 ms") == 1
        assert "cold and warm: 1 of 100 calls above 2890 ms" in shown
        assert "next for cold, warm and hot: raise rounds" in shown
        assert shown.index("2 of 100") < shown.index("next for")

    def test_an_expected_failure_is_none(self):
        """It is counted apart, weighs nothing, and `-q` does not show it."""
        run = report(
            result(verdicts=[SLOW, SPEED], outcome="xfailed"), result("b.py::b", outcome="xfailed", error="no")
        )
        assert "llmperf: 1 of 2 claims passed, 2 xfailed, simulated" in plain_text(run, 80)
        assert plain_text(run, 80, verbosity=-1) == "llmperf: 1 of 2 claims passed, 2 xfailed, simulated\n"
        assert "FAILED" not in plain_text(run, 80)

    def test_numbers_stay_with_what_they_count(self):
        """No line ends between a number and its unit, or inside of `n of m`."""
        stops = verdict(stops="passes with " + ", ".join(f"{bad} of {72 + 27 * bad}" for bad in range(30)) + " bad")
        lines = plain_text(report(result(verdicts=[stops])), 80, verbosity=1).splitlines()
        assert not [line for line in lines if re.search(r"(\d of|, \d+)$", line)]

    def test_a_note_is_listed_once(self):
        """However many tests carry it."""
        run = report(*(result(f"a.py::test_{n}", notes=("prices are old",)) for n in range(3)))
        assert re.findall("note: .*", plain_text(run, 80)) == ["note: prices are old (3 tests)"]

    def test_differing_confidences_are_not_mixed_up(self):
        """The heading names a confidence only when it is that of all."""
        run = report(result(verdicts=[verdict(), verdict(confidence=0.9)]))
        assert "measured (interval)" in plain_text(run, 120)
        assert "measured (95 % interval)" in plain_text(report(result(verdicts=[verdict()])), 120)


class TestColour:
    def test_colour_changes_no_word(self):
        """With its colours taken out, the text is the plain one."""
        colored = render(varied(), console_width=100, color=True)
        without = "\n".join(re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in colored.split("\n"))
        assert without == plain_text(varied(), 100)

    def test_the_environment_does_not_decide(self, monkeypatch):
        """What pytest was told of colour and width is what counts."""
        before = render(varied(), console_width=100, color=True)
        for name, value in {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "30", "FORCE_COLOR": "1"}.items():
            monkeypatch.setenv(name, value)
        assert render(varied(), console_width=100, color=True) == before
        assert "\x1b" not in plain_text(varied(), 100)

    def test_what_does_not_hold_is_red_or_yellow(self):
        """What holds is green, and the counting line has the colour of the gravest."""
        lines = render(report(result(verdicts=[verdict(), SLOW, RARE])), console_width=100, color=True).splitlines()
        assert [
            re.findall(r"\x1b\[([0-9;]+)m(passed|FAILED|INCONCLUSIVE)", line) for line in lines if "ttft <=" in line
        ] == [
            [("32", "passed")],
            [("1;31", "FAILED")],
            [("1;33", "INCONCLUSIVE")],
        ]
        assert lines[-1].startswith("\x1b[1;31mllmperf: ")


class TestProgress:
    def test_one_line(self):
        """What is done, how long it took, what is left, what it cost."""
        claims = {"passed": 1, "failed": 0, "undecided": 0, "open": 2}
        shown = progress_text(37, 100, spend_usd=1.92, elapsed_s=12.3, remaining_s=80.0, claims=claims, note="live")
        assert shown == "37/100 rounds, 12 s, about 1 min 20 s left, $1.92, 1 passed, 2 open, live"

    def test_what_is_not_known_is_left_out(self):
        """No guess of the rest, no dollars where none were spent."""
        assert progress_text(0, 1, spend_usd=0.0, elapsed_s=0.0, remaining_s=None) == "0/1 round, 0 s"


def test_nothing_heavy_is_imported_before_it_is_needed():
    """The plugin loads in every pytest run: renderers cost nothing until they render."""
    code = """
import sys
import pytest_llmperf.reports.terminal, pytest_llmperf.reports.failure, pytest_llmperf.reports.junit
import pytest_llmperf.reports.json_file
heavy = {"rich", "numpy", "scipy", "cattrs", "pytest", "_pytest", "anthropic", "httpx", "httpx2", "genai_prices"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
