"""The documentation site: its reference names all there is, in the words of the code, and its links are looked at."""

import re

import pytest

import links
import reference
from pytest_llmperf import testing
from pytest_llmperf.cli import COMMANDS
from pytest_llmperf.core.metrics import METRICS
from pytest_llmperf.plugin.arguments import ARGUMENTS
from pytest_llmperf.plugin.options import OPTIONS
from pytest_llmperf.runner.plan import Plan
from shown import ROOT

PAGES = sorted((ROOT / "docs").rglob("*.md"))


def anchors(text):
    return re.findall(r"^\(([\w-]+)\)=$", text, re.MULTILINE)


class TestReference:
    def test_marks(self):
        """Each has a section, and each argument its meaning, what it may be, and its default."""
        text = reference.marks()
        assert anchors(text) == [f"mark-{name}" for name in ARGUMENTS]
        assert "`rounds = 100`\n: The most rounds that are judged, of each arm. *A whole number of at least 1.*" in text
        assert all(f"\n`{name}" in text for arguments in ARGUMENTS.values() for name in arguments)

    @pytest.mark.parametrize("name", ARGUMENTS["llmperf"])
    def test_defaults_are_those_that_count(self, name):
        """What the reference says an argument of `llmperf` is by default is what a plan has."""
        assert ARGUMENTS["llmperf"][name].default == getattr(Plan(), name)

    def test_options(self):
        """Each has a section with its name in the ini file and in the environment."""
        text = reference.options()
        assert anchors(text) == [*(f"option-{option.name}" for option in OPTIONS), "ini-only"]
        assert all(f"`{option.ini}`" in text and f"`{option.variable}`" in text for option in OPTIONS)

    def test_metrics(self):
        """Each has a section with its unit and its formula."""
        text = reference.metrics()
        assert sorted(anchors(text)) == sorted(f"metric-{name}" for name in METRICS)
        assert ":Unit: tokens/s\n:Better: higher\n:Definition: 1 / tpot" in text

    def test_hooks(self):
        """Each stands with how it is called, its words and its example, and says whether the first answer counts."""
        text = reference.hooks()
        assert "pytest_llmperf_price(config: pytest.Config, generation: Generation) -> float | None" in text
        assert text.count("def pytest_llmperf_") == len(anchors(text))
        assert text.count(":Answers: the first that is not None counts") == 2

    def test_fixtures(self):
        """Both stand with what can be asked of them, and with how."""
        text = reference.fixtures()
        assert anchors(text) == ["fixture-llmperf", "fixture-arm"]
        assert "`llmperf.score(value: float, name: str = 'accuracy')`\n: Say how good" in text
        assert "`arm.factors`\n: " in text

    def test_commands(self):
        """Each stands with its usage, its arguments and their defaults."""
        text = reference.commands()
        assert anchors(text) == [f"command-{name}" for name in COMMANDS]
        assert "`--rounds N`\n: Most rounds (default: 100)." in text

    def test_testing(self):
        """Everything that is promised to tests of users' own."""
        text = reference.testing_api()
        assert [name for name in testing.__all__ if f"### `{name}`\n" not in text] == []
        assert "`at_ns: int`" in text

    def test_files(self):
        """Every key of the JSON report, and of what cassettes add."""
        report = reference.report_schema()
        assert "`tests`" in report
        assert "A [figure](#schema-figure)" in report
        assert "| `chunks` |" in reference.cassette_key()

    def test_profiles(self):
        """Every table of a profile with its keys, and those that stand above all tables."""
        text = reference.simulator_profile()
        assert "### `[workloads.NAME]`" in text
        assert "- `peak_p95_factor: Positive = 1.0`" in text
        assert "- `stall: Share = 0.0`: Silence in the middle of the answer, then the rest." in text

    def test_pages_ask_for_what_there_is(self):
        """Every section that is written from the code stands on some page."""
        asked = re.findall(
            r"^<!-- generated: ([\w-]+) -->$", "\n".join(page.read_text() for page in PAGES), re.MULTILINE
        )
        assert sorted(asked) == sorted(reference.SECTIONS)


class TestLinks:
    @pytest.fixture
    def wrong(self, tmp_path):
        def found(body):
            (tmp_path / "other.html").write_text('<p id="here">')
            (tmp_path / "page.html").write_text(body)
            return links.wrong(tmp_path)

        return found

    @pytest.mark.parametrize("link", ["other.html#here", "#top", "https://example.org/a", "mailto:a@example.org"])
    def test_good_ones(self, wrong, link):
        """What is there may be linked to, and other sites."""
        assert wrong(f'<p id="top"><a href="{link}">') == []

    def test_a_page_that_is_not_there(self, wrong):
        """A link to it is told."""
        assert wrong('<a href="gone.html">') == ["page.html: gone.html leads nowhere"]

    def test_an_anchor_that_is_not_there(self, wrong):
        """On another page as well as on the same."""
        assert wrong('<a href="other.html#gone">') == ["page.html: other.html#gone has no such anchor"]
        assert wrong('<a href="#gone">') == ["page.html: #gone has no such anchor"]

    def test_no_address(self, wrong):
        """Another site is linked to by https and with a host that has a domain."""
        assert wrong('<a href="http://example.org">') == ["page.html: http://example.org is no address of another site"]

    @pytest.mark.parametrize(
        "tag", ['<script src="https://cdn.example/x.js">', '<link rel="stylesheet" href="https://cdn.example/x.js">']
    )
    def test_what_is_fetched_from_elsewhere(self, wrong, tag):
        """A page asks nothing of the network."""
        assert wrong(tag) == ["page.html: https://cdn.example/x.js is fetched from elsewhere"]
