"""Tables of a run as a whole, in words, and in every report that shows them."""

import json
from dataclasses import replace

import jsonschema
import pytest

from factories import report, result
from pytest_llmperf.core.environment import Source
from pytest_llmperf.core.overview import (
    Beside,
    BesideRow,
    BesideTable,
    Synthesis,
    SynthesisFigure,
    SynthesisRow,
)
from pytest_llmperf.core.plain import from_plain, to_plain
from pytest_llmperf.reports import html_file, json_file, markdown
from pytest_llmperf.reports.junit import of_run
from pytest_llmperf.reports.overview import Group, Overview, overviews
from pytest_llmperf.reports.report import Report
from pytest_llmperf.reports.terminal import render

SYNTHESIS = Synthesis(
    source=Source.SIMULATED,
    clock="virtual",
    confidence=0.95,
    rows=(
        SynthesisRow(
            "code generation",
            2500,
            (
                SynthesisFigure("ttft", "p50", "s", 1250, 0.8912, 0.87, 0.91),
                SynthesisFigure("output_tps", "p50", "tokens/s", 1250, 33.84, 33.0, 34.5),
                SynthesisFigure("cost", "per_mtok", "USD/Mtok", 2500, 15.43, 15.4, 15.5),
            ),
        ),
        SynthesisRow(
            "mail",
            10,
            (
                SynthesisFigure("ttft", "p50", "s", 0, None, None, None),
                SynthesisFigure("output_tps", "p50", "tokens/s", 0, None, None, None),
                SynthesisFigure("cost", "per_mtok", "USD/Mtok", 10, 3.0, 2.9, 3.1),
            ),
        ),
    ),
    calls=2510,
    seconds=37_000.0,
    usd=2423.5,
    advice=("stream where somebody waits",),
)
BESIDE = Beside(
    title="a study",
    foreword="Read with care.",
    confidence=0.95,
    tables=(
        BesideTable(
            "Throughput",
            (
                BesideRow("short", "output_tps", "p50", "tokens/s", (42.7, 42.7), 43.0, 42.5, 43.4, 1000, "inside"),
                BesideRow(
                    "long / short", "output_tps", "p50", "", (0.75, 0.85), 0.7, 0.69, 0.71, 2000, "outside", "", (1,)
                ),
                BesideRow("odd", "output_tps", "p50", "tokens/s", None, 31.1, 30.8, 31.3, 500, "", "", (1, 2)),
            ),
        ),
        BesideTable(
            "Times",
            (
                BesideRow("first", "ttft", "p95", "s", (1.54, 1.54), 1.62, 1.44, 1.98, 1250, "inside"),
                BesideRow("mail", "ttft", "p95", "s", (1.0, 1.0), None, None, None, 0, "not measured", "nothing was"),
            ),
        ),
    ),
    notes=("Thirty | percent.", "None is given."),
    remarks=("Apart.",),
)
WHOLE = replace(report(result()), syntheses=(SYNTHESIS,), beside=BESIDE)


def document():
    return json.loads(json_file.text(json_file.document(WHOLE)))


def test_the_synthesis_in_words():
    """Units that a heading says are not repeated; what is absent is a dash; totals and advice stand below."""
    assert overviews(document())[0] == Overview(
        name="synthesis",
        title="synthesis (simulated, virtual clock)",
        foreword="",
        columns=("test", "calls", "first token p50", "tokens/s p50", "of 1M tokens"),
        groups=(
            Group("", (("code generation", "2,500", "891.2 ms", "33.84", "$15.43"), ("mail", "10", "–", "–", "$3"))),
        ),
        below=("2,510 calls: 10 h 16 min one after the other, $2,423.50", "advice: stream where somebody waits"),
    )


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {"usd": None, "usd_at_least": 978.36, "unpriced": 160},
            "2,510 calls: 10 h 16 min one after the other, at least $978.36; 160 calls without a price",
        ),
        ({"usd": None, "unpriced": 2510}, "2,510 calls: 10 h 16 min one after the other; 2,510 calls without a price"),
        (
            {"seconds": None, "seconds_at_least": 36_000.0, "untimed": 1},
            "2,510 calls: at least 10 h 0 min one after the other, $2,423.50; 1 round without a known end",
        ),
        ({"seconds": None, "untimed": 2510}, "2,510 calls: $2,423.50"),
        ({"seconds": None, "usd": None, "unpriced": 1}, "2,510 calls; 1 call without a price"),
    ],
)
def test_totals_that_are_known_in_part(fields, told):
    """What is known of most is told as the least it can be, with how much it lacks."""
    partly = replace(WHOLE, syntheses=(replace(SYNTHESIS, **fields),))
    assert overviews(json_file.document(partly))[0].below[0] == told


def test_published_figures_in_words():
    """A long unit is said above its rows; marks lead to notes; a row that was not measured says why."""
    assert overviews(document())[1] == Overview(
        name="beside",
        title="beside a study",
        foreword="Read with care.",
        columns=("", "published", "measured (95 % interval)", "n", "published is"),
        groups=(
            Group(
                "Throughput, tokens/s",
                (
                    ("short", "42.7", "43 (42.5 … 43.4)", "1,000", "inside"),
                    ("long / short", "0.75 … 0.85", "0.7 (0.69 … 0.71)", "2,000", "outside [1]"),
                    ("odd", "–", "31.1 (30.8 … 31.3)", "500", "[1] [2]"),
                ),
            ),
            Group(
                "Times",
                (
                    ("first", "1540 ms", "1620 (1440 … 1980) ms", "1,250", "inside"),
                    ("mail", "1000 ms", "–", "", "not measured"),
                ),
            ),
        ),
        below=("mail: nothing was", "[1] Thirty | percent.", "[2] None is given.", "Apart."),
    )


def test_a_report_without_them_has_none():
    """They are there only where they were asked for."""
    plain = json_file.document(report(result()))
    assert overviews(plain) == []
    assert not {"synthesis", "beside"} & plain.keys()


def test_they_survive_the_way_through_json():
    """As all values of a report do."""
    assert from_plain(Report, json.loads(json.dumps(to_plain(WHOLE)))) == WHOLE


def test_the_document_keeps_to_its_schema():
    """Both are described there."""
    jsonschema.Draft202012Validator(json_file.schema()).validate(document())


def test_the_terminal_shows_both():
    """In columns where they fit, each row under the other where they do not; nothing is cut."""
    wide = render(WHOLE, console_width=100, color=False)
    assert "= llmperf: synthesis (simulated, virtual clock) =" in wide
    assert "  code generation  2,500         891.2 ms         33.84        $15.43\n" in wide
    assert "  Throughput, tokens/s\n  short " in wide
    assert "[1] Thirty | percent.\n[2] None is given.\nApart.\n" in wide
    narrow = render(WHOLE, console_width=44, color=False)
    assert (
        "  long / short\n    published 0.75 … 0.85, measured (95 %\n    interval) 0.7 (0.69 … 0.71), n 2,000,\n"
        in narrow
    )
    assert max(map(len, narrow.splitlines())) <= 44


def test_markdown_shows_both():
    """As tables whose groups are rows, with nothing that could end a cell."""
    text = markdown.render(document())
    assert (
        "### beside a study\n\nRead with care.\n\n|  | published | measured (95 % interval) | n | published is |\n"
        in text
    )
    assert "| **Throughput, tokens/s** |  |  |  |  |\n| short | 42.7 | 43 (42.5 … 43.4) | 1,000 | inside |\n" in text
    assert "- \\[1\\] Thirty \\| percent.\n" in text
    tables = [line for line in text.splitlines() if line.startswith("| ")]
    assert len({line.replace("\\|", "").count("|") for line in tables if "inside" in line}) == 1


def test_markdown_leaves_them_out_whole():
    """Where a summary has no room for them, and says so."""
    short = markdown.render(document(), most_bytes=len(markdown.render(document()).encode()) - 1)
    assert "beside a study" not in short
    assert "Cut for its length" in short


def test_the_page_shows_both():
    """As sections with headings; text of a file is escaped."""
    whole = json_file.document(replace(WHOLE, beside=replace(BESIDE, title="<b>")))
    page = html_file.render(whole)
    assert '<h2 id="synthesis">Synthesis (simulated, virtual clock)</h2>' in page
    assert '<h2 id="beside">Beside &lt;b&gt;</h2>' in page
    assert '<th scope="row">short</th><td>42.7</td><td>43 (42.5 … 43.4)</td><td>1,000</td><td>inside</td>' in page


def test_junit_has_the_figures_of_the_run():
    """A property for each figure of each test, all of its arms together, and for each piece of advice."""
    assert of_run([SYNTHESIS]) == [
        ("llmperf.synthesis.source", "simulated"),
        ("llmperf.synthesis.clock", "virtual"),
        ("llmperf.synthesis[code generation].ttft.p50_ms", "891.2"),
        ("llmperf.synthesis[code generation].output_tps.p50", "33.84"),
        ("llmperf.synthesis[code generation].cost.per_mtok_usd_per_mtok", "15.43"),
        ("llmperf.synthesis[mail].cost.per_mtok_usd_per_mtok", "3"),
        ("llmperf.synthesis.advice1", "stream where somebody waits"),
    ]


def test_every_source_and_clock_stands_by_itself():
    """In each format under its own heading, and in names of its own."""
    live = replace(SYNTHESIS, source=Source.LIVE, clock="realtime", advice=())
    both = replace(WHOLE, syntheses=(live, SYNTHESIS))
    whole = json.loads(json_file.text(json_file.document(both)))
    jsonschema.Draft202012Validator(json_file.schema()).validate(whole)
    titles = ["synthesis (live, realtime clock)", "synthesis (simulated, virtual clock)"]
    assert [one.title for one in overviews(whole)[:2]] == titles
    shown = render(both, console_width=100, color=False)
    assert all(f"= llmperf: {title} =" in shown for title in titles)
    assert all(f"### {title}\n" in markdown.render(whole) for title in titles)
    page = html_file.render(whole)
    assert '<h2 id="synthesis">Synthesis (live, realtime clock)</h2>' in page
    assert '<h2 id="synthesis-2">Synthesis (simulated, virtual clock)</h2>' in page
    names = [name for name, _ in of_run(both.syntheses)]
    assert len(set(names)) == len(names)
    assert "llmperf.synthesis.live.realtime[mail].cost.per_mtok_usd_per_mtok" in names
    assert "llmperf.synthesis.simulated.virtual.advice1" in names
