"""The HTML page as text; `test_html_page` looks at it in a browser."""

import base64
import hashlib
import json
import re

import pytest

from factories import calls, environment, failed_measurement, report, result, series, verdict
from pytest_llmperf.core.environment import Source
from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.reports import html_file, json_file

WILD = "<script>alert(1)</script>\"'&<img src=x onerror=alert(2)>{{ 7 * 7 }}"


def page(*results, **fields):
    return html_file.render(json.loads(json_file.text(json_file.document(report(*results, **fields)))))


def scripts(text):
    """What stands in each script element, plotly aside."""
    found = re.findall(r"<script([^>]*)>(.*?)</script>", text, re.DOTALL)
    return [(kind.strip(), inner) for kind, inner in found]


class TestPage:
    def test_it_fetches_nothing(self):
        """Every address in it is a place on the page; no style, script, font or picture is elsewhere."""
        text = page(result(verdicts=[verdict()], series_=[series(calls(5))]))
        own = text.replace(html_file._library(), "")
        assert re.findall(r"""(?:src|href)=["']?(?!#|data:)[^"'> ]+""", own) == []
        assert "url(" not in own
        assert "@import" not in own

    def test_plotly_is_there_once_and_only_for_plots(self):
        """A run that measured nothing makes a small page."""
        text = page(*(result(f"a.py::{n}", series_=[series(calls(5))]) for n in range(3)))
        assert text.count(html_file._library()) == 1
        assert len(page(result(series_=[], outcome="error", error="no"))) < 60_000

    def test_sources_never_share_a_table(self):
        """One table of claims for each, which its caption names."""
        live = result("b.py::b", verdicts=[verdict()], series_=[series(calls(2), source=Source.LIVE, clock="realtime")])
        text = page(result(verdicts=[verdict()], series_=[series(calls(2))]), live)
        captions = re.findall(r'<caption class="unseen">(.*?)</caption>', text)
        assert captions == ["Claims: live, realtime clock", "Claims: simulated, virtual clock"]

    def test_every_table_has_a_caption_and_every_plot_its_words(self):
        """For screen readers."""
        arms = [series([*calls(3), failed_measurement(3)], arm=name) for name in ("cold", "warm")]
        text = page(result(verdicts=[verdict(arm="warm")], series_=arms))
        assert text.count("<table") == text.count("<caption") == 3
        assert text.count('class="plot"') == len(re.findall(r'class="plot" role="img" aria-label="[^"]+"', text)) == 2

    def test_what_other_plugins_add(self):
        """Sections at the end, facts and the baseline's key where it was made."""
        where = environment(facts={"rack": "7"}, baseline_key={"build": "x", "region": "eu"})
        text = page(environment=where, sections=(("seen", ("one", "two")),))
        assert re.search(r'<h2 id="added-1">seen</h2>\s*<ul class="told"><li>one</li><li>two</li></ul>', text)
        assert "<dt>rack</dt><dd>7</dd>" in text
        assert "<dt>baseline key</dt><dd>build=x, region=eu</dd>" in text

    def test_formulas_stand_by_the_metrics(self):
        """What a number means is said where it is."""
        assert "first content delta − first attempt&#39;s last request byte" in page(result(series_=[series(calls(2))]))


class TestSafety:
    def test_texts_of_tests_are_no_markup(self):
        """Names, arms, errors, notes, grounds and failures come from anywhere."""
        made = result(
            f"a.py::{WILD}",
            verdicts=[verdict("failed", claim=WILD, reason=WILD, remedy=WILD, arm=WILD, method=WILD)],
            series_=[series([*calls(3), failed_measurement(3, failure=WILD)], arm=WILD, ended_by=WILD)],
            notes=(WILD,),
            error=WILD,
            location=(WILD, 3),
        )
        text = page(made, sections=((WILD, (WILD,)),), environment=environment(facts={WILD: WILD}))
        assert "<script>alert" not in text
        assert "<img" not in text.replace(html_file._library(), "")
        assert "{{ 7 * 7 }}" in text
        assert [kind for kind, _ in scripts(text)].count("") == 3  # plotly's and the page's own two

    def test_data_of_plots_cannot_end_its_element(self):
        """It is JSON without a single angle bracket."""
        made = result(series_=[series([*calls(3), failed_measurement(3, failure="</script><b>")], arm="</script>")])
        data = [inner for kind, inner in scripts(page(made)) if kind == 'type="application/json"']
        assert len(data) == 2
        assert not any("<" in inner for inner in data)
        assert all(json.loads(inner)["data"] for inner in data)

    def test_only_the_scripts_it_was_written_with_may_run(self):
        """The page's policy names their hashes, and lets nothing be fetched."""
        text = page(result(series_=[series(calls(3))]))
        policy = re.search(r'Security-Policy" content="([^"]+)"', text)[1].replace("&#39;", "'")
        hashes = [
            f"'sha256-{base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()}'"
            for kind, inner in scripts(text)
            if not kind
        ]
        assert policy.startswith(f"default-src 'none'; script-src {' '.join(hashes)}; ")


class TestRequire:
    def test_a_missing_library_is_told_with_its_remedy(self, monkeypatch):
        """Before anything is rendered."""
        monkeypatch.setattr(html_file, "find_spec", lambda name: None)
        with pytest.raises(UsageError, match=r"needs jinja2 and plotly: pip install 'pytest-llmperf\[html\]'"):
            html_file.require()

    def test_with_both_there_is_nothing_to_tell(self):
        """As in this environment."""
        html_file.require()
