"""The HTML page in a real browser: offline, drawn, sorted, filtered, light and dark."""

import json
from dataclasses import replace

import pytest

from chromium import FOUND, Chromium
from factories import calls, failed_measurement, measurement, report, result, series, verdict
from pytest_llmperf.core.claims import Scaling
from pytest_llmperf.core.curves import curves
from pytest_llmperf.core.environment import Source
from pytest_llmperf.core.series import AttemptTimes
from pytest_llmperf.reports import html_file, json_file, past
from pytest_llmperf.reports.past import Past, PastChange, PastLimit, PastRun

pytestmark = pytest.mark.skipif(FOUND is None, reason="no chromium is installed")

TRACE = (AttemptTimes(started=0.0, sent=0.1, headers=0.5, first=1.0, last=11.0, ended=11.1, status=200),)
WILD = "<img src=x onerror=\"document.title='hurt'\"><script>document.title='hurt'</script>"


def several():
    """Tests of every outcome, with arms, of two sources."""
    measured = [replace(one, trace=TRACE) for one in (*calls(20), failed_measurement(20), measurement(21, attempts=2))]
    arms = [series(calls(9), arm=name) for name in ("cold", WILD)]
    live = series(calls(5), source=Source.LIVE, clock="realtime")
    levels = [
        series(calls(8, e2e=e2e), arm=f"tokens={at}", factors={"tokens": at}) for at, e2e in ((100, 5.0), (400, 9.0))
    ]
    claim = Scaling(over="tokens", metric="e2e", max_rise=0.5, shape="linear", no_knee_before=300)
    return report(
        result("tests/b.py::test_slow", verdicts=[verdict("failed", n=9), verdict(n=100)], series_=[series(measured)]),
        result("tests/a.py::test_arms", verdicts=[verdict("inconclusive", arm="cold", n=20)], series_=arms),
        result(f"tests/c.py::test[{WILD}]", outcome="error", series_=[], error=WILD, notes=(WILD,)),
        result("tests/d.py::test_live", verdicts=[verdict(n=5)], series_=[live]),
        result(
            "tests/f.py::test_known",
            outcome="xfailed",
            verdicts=[verdict("failed", n=7)],
            series_=levels,
            curves=curves(levels, [claim]),
        ),
        result("tests/e.py::test_fine", verdicts=[verdict("passed", claim=WILD, n=3)], series_=[series(measured)]),
    )


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """One for all tests."""
    made = Chromium(tmp_path_factory.mktemp("chromium"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """The page's file."""
    written = tmp_path_factory.mktemp("page") / "report.html"
    written.write_text(html_file.render(json.loads(json_file.text(json_file.document(several())))), encoding="utf-8")
    return written


@pytest.fixture
def page(browser, path):
    """The browser with the page open, which must have gone without a complaint at the end."""
    browser.open(path)
    yield browser
    browser.js("localStorage.clear()")
    assert browser.complaints() == []
    assert browser.requests() == [path.as_uri()]
    assert "hurt" not in browser.js("document.title")


def column(browser, number, table=0):
    """The texts of a column of a verdict table that are shown."""
    return browser.js(
        f"[...document.querySelectorAll('.verdicts')[{table}].tBodies[0].rows].filter(row => !row.hidden)"
        f".map(row => row.cells[{number}].innerText.trim())"
    )


def sort(browser, number, table=0):
    browser.js(f"document.querySelectorAll('.verdicts')[{table}].querySelectorAll('thead button')[{number}].click()")
    return browser.js(f"document.querySelectorAll('.verdicts')[{table}].querySelectorAll('th')[{number}].ariaSort")


OUTCOMES = ["error", "failed", "inconclusive", "xfailed", "passed", "passed"]


class TestOpening:
    def test_plots_are_drawn_when_they_come_into_view(self, page):
        """Those of a closed test wait until it is opened."""
        page.js("document.querySelector('#test-1 .plot').scrollIntoView()")
        page.until("document.querySelector('#test-1 .plot[data-drawn] svg .scatterlayer .trace') !== null")
        assert page.js("document.querySelectorAll('#test-4 .plot[data-drawn]').length") == 0
        page.js("document.querySelector('#test-4 summary').click()")
        page.js("document.querySelector('#test-4 .plot').scrollIntoView()")
        page.until("document.querySelector('#test-4 .plot[data-drawn] svg') !== null")

    def test_every_plot_can_be_drawn(self, page):
        """No kind of plot fails."""
        count = page.js("document.querySelectorAll('.plot').length")
        page.js("document.querySelectorAll('details').forEach(one => one.open = true)")
        page.js(
            "(async () => { for (const plot of document.querySelectorAll('.plot')) { "
            "plot.scrollIntoView({behavior: 'instant'}); "
            "await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done))) } })()"
        )
        page.until(f"document.querySelectorAll('.plot[data-drawn] svg.main-svg').length >= {count}")
        assert count == 13

    def test_what_did_not_pass_lies_open(self, page):
        """And a link in the table opens what is closed."""
        opened = "[...document.querySelectorAll('details.test[open]')].map(one => one.id)"
        assert page.js(opened) == ["test-2", "test-1", "test-0"]
        page.click(".verdicts a[href='#test-4']")
        assert "test-4" in page.js(opened)

    def test_the_gravest_stand_first(self, page):
        """Before anything is sorted."""
        assert column(page, 0) == OUTCOMES
        assert column(page, 0, table=1) == ["passed"]

    def test_a_link_from_elsewhere_opens_its_test(self, browser, path):
        """As a note in a review would give it."""
        browser.open(path, fragment="#test-4")
        assert browser.js("document.getElementById('test-4').open")


class TestChoosing:
    def test_any_of_some_calls_is_drawn_stage_by_stage(self, page):
        """In the place of the slowest, and told in words."""
        page.js("document.querySelector('#test-1 figure select').scrollIntoView()")
        page.until("document.querySelector('#test-1 .choice ~ .plot[data-drawn] svg') !== null")
        page.js(
            "const choice = document.querySelector('#test-1 figure select');"
            "choice.value = [...choice.options].find(one => one.text.includes('the median')).value;"
            "choice.dispatchEvent(new Event('change'))"
        )
        told = "One call, stage by stage: round "
        page.until(f"document.querySelector('#test-1 .choice ~ .plot').ariaLabel.startsWith('{told}')")
        assert page.js("document.querySelector('#test-1 .choice ~ .words p').textContent").startswith(told)

    def test_a_history_is_a_page_of_its_own(self, browser, tmp_path):
        """Drawn, on a phone too, without a request or a complaint."""
        runs = tuple(PastRun(f"2026-03-{day:02}T09:30", 60, 1.0, 0.9, 1.2, 1.4, 0.0) for day in range(1, 21))
        change = PastChange(10, 1.0, 1.3, WILD)
        shown = Past(WILD, "ttft", "s", "p50", runs, (change,), (PastLimit(1.5, WILD),), (WILD,))
        (tmp_path / "history.html").write_text(past.render([shown]), encoding="utf-8")
        browser.open(tmp_path / "history.html", width=390, scheme="dark")
        browser.until("document.querySelector('.plot[data-drawn] svg .scatterlayer .trace') !== null")
        assert browser.js("document.documentElement.scrollWidth <= innerWidth")
        assert browser.complaints() == []
        assert browser.requests() == [(tmp_path / "history.html").as_uri()]
        assert "hurt" not in browser.js("document.title")


class TestSorting:
    def test_numbers_are_sorted_as_numbers(self, page):
        """A second click turns the order round."""
        assert sort(page, 5) == "ascending"
        assert column(page, 5) == ["0", "3", "7", "9", "20", "100"]
        assert sort(page, 5) == "descending"
        assert column(page, 5) == ["100", "20", "9", "7", "3", "0"]

    def test_texts_are_sorted_as_texts(self, page):
        """And the heading that sorted before no longer says so."""
        sort(page, 5)
        assert sort(page, 1) == "ascending"
        assert [text[6] for text in column(page, 1)] == ["a", "b", "b", "c", "e", "f"]
        assert page.js("document.querySelectorAll('th[aria-sort=none]').length") == 5 + 5

    def test_outcomes_are_sorted_by_gravity(self, page):
        """Not by their names."""
        sort(page, 1)
        sort(page, 0)
        assert column(page, 0) == OUTCOMES

    def test_a_key_sorts_as_a_click_does(self, page):
        """The headings are buttons."""
        page.js("document.querySelectorAll('.verdicts thead button')[5].focus()")
        page.key("Enter", 13)
        assert column(page, 5) == ["0", "3", "7", "9", "20", "100"]


class TestFiltering:
    def test_an_outcome_is_hidden_and_shown(self, page):
        """With its tests, and a word of how many are left."""
        page.click(".toggle[data-outcome=passed]")
        assert column(page, 0) == OUTCOMES[:4]
        assert page.js("document.querySelector('.toggle[data-outcome=passed]').ariaPressed") == "false"
        assert page.js("document.getElementById('test-3').hidden")
        assert page.js("document.getElementById('shown').value") == "4 of 7 shown"
        page.click(".toggle[data-outcome=passed]")
        assert column(page, 0) == OUTCOMES
        assert page.js("document.getElementById('shown').value") == ""

    def test_words_are_looked_for_in_all_of_a_row(self, page):
        """Every one of them, in any case."""
        page.js(
            "const field = document.getElementById('words'); field.value = 'TTFT b.py'; "
            "field.dispatchEvent(new Event('input'))"
        )
        assert column(page, 0) == ["failed", "passed"]
        shown = page.js("[...document.querySelectorAll('details.test')].filter(one => !one.hidden).map(one => one.id)")
        assert shown == ["test-1"]


class TestTheme:
    GROUND = "getComputedStyle(document.body).backgroundColor"
    INK = "document.querySelector('#test-1 .plot .xtick text').style.fill"

    @pytest.mark.parametrize(("scheme", "ground"), [("light", "rgb(246, 247, 249)"), ("dark", "rgb(18, 21, 26)")])
    def test_the_system_decides_at_first(self, browser, path, scheme, ground):
        """By its preference."""
        browser.open(path, scheme=scheme)
        assert browser.js(self.GROUND) == ground
        assert browser.js("document.getElementById('theme').ariaPressed") == str(scheme == "dark").lower()

    def test_the_button_turns_page_and_plots(self, page):
        """Plots that are drawn are drawn again in the other colours."""
        page.js("document.querySelector('#test-1 .plot').scrollIntoView()")
        page.until("document.querySelector('#test-1 .plot .xtick text') !== null")
        before = page.js(self.INK)
        page.click("#theme")
        assert page.js(self.GROUND) == "rgb(18, 21, 26)"
        assert page.js("document.getElementById('theme').ariaPressed") == "true"
        page.until(f"{self.INK} !== '{before}'")
        page.click("#theme")
        assert page.js(self.GROUND) == "rgb(246, 247, 249)"


class TestWidths:
    @pytest.mark.parametrize("width", [390, 900, 1600])
    def test_nothing_sticks_out(self, browser, path, width):
        """On a phone, a tablet and a desk the page scrolls one way only."""
        browser.open(path, width=width)
        browser.js("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert browser.js("document.documentElement.scrollWidth <= innerWidth")

    def test_tables_stay_tables_on_a_phone(self, browser, path):
        """Laid out as cards they keep their roles, and their headings keep sorting."""
        browser.open(path, width=390)
        assert browser.js("getComputedStyle(document.querySelector('.verdicts td')).display") == "block"
        assert browser.js("document.querySelectorAll('.verdicts tbody tr:not([role=row])').length") == 0
        assert sort(browser, 5) == "ascending"
