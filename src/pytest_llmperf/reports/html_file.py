"""The report as one HTML page that opens offline: its style, its script and its plots are in the file.

Says what stands on the page; `templates/` lays it out and `figures` draws. Every text is escaped by the template, data
for the script travels as JSON, and the page's own policy lets no script run but those it was written with, nor anything
be fetched. Needs jinja2 and plotly, which are imported when a page is rendered.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.metrics import METRICS
from pytest_llmperf.core.verdict import Verdict
from pytest_llmperf.reports import rows
from pytest_llmperf.reports.figures import figures
from pytest_llmperf.reports.overview import overviews
from pytest_llmperf.reports.plot import Figure
from pytest_llmperf.reports.rows import HEADLINE, OUTCOMES, Document, Row, Section, headline, quantity

if TYPE_CHECKING:
    from jinja2 import Environment

STATISTICS = ("mean", "min", "p50", "p90", "p95", "p99", "max")
_OF_A_CHOICE = ("height", "xaxis", "yaxis", "annotations")
"""What the layouts of a plot's choices differ in."""
_NEEDED = ("jinja2", "plotly")
_OPENED = 3
"""So many of the tests that did not pass lie open at first."""
_DETAILED = 40
"""So many tests are drawn with all detail; of more, each has less, so that the page opens as quickly."""
_EXPECTED = ("passed", "xfailed")


@dataclass(frozen=True, slots=True)
class Gauge:
    """Where estimate and interval lie against the limit, in per cent of a line whose middle is the limit."""

    low: float
    estimate: float
    high: float
    allowed_from: float
    """Left end of the half that was claimed."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A row of a verdict table."""

    row: Row
    anchor: str
    """Of its test."""
    rank: int
    """Place of its outcome, the gravest 0."""
    gauge: Gauge | None


@dataclass(frozen=True, slots=True)
class Card:
    """One test."""

    anchor: str
    test: Document
    claims: tuple[Claim, ...]
    told: tuple[str, ...]
    figures: tuple[Figure, ...]
    opened: bool


@dataclass(frozen=True, slots=True)
class Part:
    """The tests of one source and clock."""

    section: Section
    claims: tuple[Claim, ...]
    cards: tuple[Card, ...]


def require() -> None:
    """See to it that a page can be rendered, before anything is paid for.

    Raises:
        UsageError: jinja2 or plotly is not installed.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise UsageError(f"an HTML report needs {' and '.join(missing)}: pip install 'pytest-llmperf[html]'")


def render(document: Document) -> str:
    """The page.

    Raises:
        UsageError: jinja2 or plotly is not installed.
    """
    require()
    parts = _parts(document)
    drawn = any(card.figures for part in parts for card in part.cards)
    scripts = {"library": _library() if drawn else "", "plots": _text("plots.js"), "own": _text("page.js")}
    return (
        _environment()
        .get_template("page.html")
        .render(
            document=document,
            parts=parts,
            outcomes=_outcomes(document),
            gravest=rows.gravest(document),
            counted=rows.counted(document),
            notes=rows.notes(document),
            overviews=overviews(document),
            added=document.get("sections", ()),
            headings=[f"{name} {statistic}" if statistic != "mean" else name for name, statistic in HEADLINE],
            headline=headline,
            statistics=STATISTICS,
            metrics=METRICS,
            quantity=quantity,
            style=_text("page.css"),
            scripts=scripts,
            policy=_policy(scripts),
        )
    )


def page(template: str, *, drawn: bool, **context: object) -> str:
    """A page of another template, in the same style and with the same plots; *drawn*: whether it has any.

    Raises:
        UsageError: jinja2 or plotly is not installed.
    """
    require()
    scripts = {"library": _library() if drawn else "", "plots": _text("plots.js"), "own": ""}
    style, policy = _text("page.css"), _policy(scripts)
    return _environment().get_template(template).render(style=style, scripts=scripts, policy=policy, **context)


def _parts(document: Document) -> list[Part]:
    found, opened = [], 0
    detail = min(1.0, _DETAILED / max(len(document["tests"]), 1))
    for section in rows.sections(document):
        anchors = {test["nodeid"]: f"test-{document['tests'].index(test)}" for test in section.tests}
        claims = tuple(_claim(row, anchors[row.nodeid]) for row in section.rows)
        cards = []
        for test in section.tests:
            opens = len(document["tests"]) == 1 or (test["outcome"] not in _EXPECTED and opened < _OPENED)
            opened += opens
            own = tuple(claim for claim in claims if claim.anchor == anchors[test["nodeid"]])
            drawn = tuple(figures(test, detail))
            cards.append(Card(anchors[test["nodeid"]], test, own, tuple(rows.told(test)), drawn, opens))
        found.append(Part(section, claims, tuple(cards)))
    return found


def _claim(row: Row, anchor: str) -> Claim:
    gauge = None if row.verdict is None else _gauge(row.verdict)
    return Claim(row, anchor, OUTCOMES.index(row.outcome), gauge)


def _gauge(answer: Verdict) -> Gauge | None:
    """None where there is no estimate, or no limit to measure it by."""
    if answer.estimate is None or answer.bound <= 0:
        return None
    ends = (answer.low, answer.estimate, answer.high)
    low, estimate, high = (_place(answer.estimate if end is None else end, answer.bound) for end in ends)
    return Gauge(low, estimate, high, 0.0 if answer.direction == "<=" else 50.0)


def _place(value: float, bound: float) -> float:
    return round(min(max(50.0 * value / bound, 1.0), 99.0), 1)


def _outcomes(document: Document) -> list[tuple[str, int]]:
    """Every outcome with the number of rows that have it."""
    counts = Counter(row.outcome for section in rows.sections(document) for row in section.rows)
    return [(outcome, counts[outcome]) for outcome in OUTCOMES]


def _policy(scripts: dict[str, str]) -> str:
    """Only these scripts run, and nothing is fetched: even a text that broke out of its place could do nothing."""
    hashes = " ".join(_hashes(scripts))
    return f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'"


def _hashes(scripts: dict[str, str]) -> Iterator[str]:
    for script in filter(None, scripts.values()):
        digest = hashlib.sha256(script.encode("utf-8")).digest()
        yield f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


@cache
def _library() -> str:
    """Plotly's own script; it cannot end its element early, and has the line ends a browser would read it with."""
    from plotly.offline import get_plotlyjs

    script: str = get_plotlyjs()
    return script.replace("\r\n", "\n").replace("</script", "<\\/script")


def _text(name: str) -> str:
    return Path(__file__).with_name("templates").joinpath(name).read_text(encoding="utf-8")


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plot"] = _plot
    return environment


def _plot(figure: Figure) -> dict[str, Any]:
    """What the script draws: one plot, or several to choose from, each with its words."""
    found: dict[str, Any] = {"data": figure.data, "layout": figure.layout}
    if figure.choices:
        shared = {key: value for key, value in figure.layout.items() if key not in _OF_A_CHOICE}
        own = [(choice.figure, {key: choice.figure.layout[key] for key in _OF_A_CHOICE}) for choice in figure.choices]
        found = {"layout": shared, "choices": [{"data": f.data, "layout": of, "words": f.words} for f, of in own]}
    return found
