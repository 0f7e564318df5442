"""How many rounds a claim needs, and what a budget of rounds will probably do for it.

Limits are given as in the marks. With --p50-ms and --p95-ms together, truths are told as multiples of the limit, for
latencies that are spread as these two are; otherwise as shares of bad calls.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pytest_llmperf.cli.numbers import count, positive, share
from pytest_llmperf.core.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from pytest_llmperf.core.forecast import Forecast
    from pytest_llmperf.core.objective import Objective

HELP = "how many rounds a claim needs"

_LATENCIES = ("p50", "p90", "p95", "p99")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what it takes."""
    for name in _LATENCIES:
        parser.add_argument(f"--{name}-ms", type=positive, metavar="MS", help=f"limit of the {name} of a latency")
    parser.add_argument("--metric", default="ttft", help="which latency (default: %(default)s)")
    parser.add_argument("--min-tps", type=positive, metavar="TPS", help="least tokens a second, of half of the calls")
    parser.add_argument("--error-rate", type=share, metavar="SHARE", help="largest share of failed calls")
    parser.add_argument("--accuracy", type=share, metavar="SHARE", help="least share of right answers")
    parser.add_argument("--rounds", type=count, default=100, metavar="N", help="most rounds (default: %(default)s)")
    parser.add_argument("--confidence", type=share, default=0.95, metavar="SHARE", help="(default: %(default)s)")
    parser.add_argument(
        "--claims", type=count, default=1, metavar="N", help="claims in the run, this one among them (default: 1)"
    )
    parser.add_argument("--usd-per-round", type=positive, metavar="USD", help="what a round costs, to tell the spend")


def run(arguments: argparse.Namespace) -> int:
    """Print a forecast for each limit.

    Raises:
        UsageError: no limit was given, or the limits do not go together.
    """
    from rich.console import Console

    from pytest_llmperf.core.forecast import forecast
    from pytest_llmperf.core.watch import LARGEST_BUDGET

    if arguments.rounds > LARGEST_BUDGET:
        raise UsageError(f"--rounds {arguments.rounds}: sampling ends early for at most {LARGEST_BUDGET} rounds")
    claims = list(_objectives(arguments))
    if not claims:
        raise UsageError(
            "give a limit: --p95-ms 2340, say (or --p50-ms, --p90-ms, --p99-ms, --min-tps, --error-rate, --accuracy)"
        )
    spread, console = _spread(arguments), Console(highlight=False)
    for objective in claims:
        of_latency = objective.direction == "<=" and objective.level is not None
        _print(
            console,
            forecast(objective, arguments.rounds, spread=spread if of_latency else None),
            arguments.usd_per_round,
        )
    if spread is not None:
        console.print("Multiples of the limit suppose log-normal latencies; the verdicts themselves suppose nothing.")
    return 0


def _objectives(arguments: argparse.Namespace) -> Iterator[Objective]:
    from pytest_llmperf.core.objective import Objective

    common = {"confidence": arguments.confidence, "family": arguments.claims}
    for name in _LATENCIES:
        limit = getattr(arguments, f"{name}_ms")
        if limit is not None:
            yield Objective(arguments.metric, name, "<=", limit / 1e3, unit="s", **common)
    if arguments.min_tps is not None:
        yield Objective("output_tps", "p50", ">=", arguments.min_tps, **common)
    if arguments.error_rate is not None:
        yield Objective("error_rate", "rate", "<=", arguments.error_rate, **common)
    if arguments.accuracy is not None:
        yield Objective("accuracy", "rate", ">=", arguments.accuracy, unit="share", **common)


def _spread(arguments: argparse.Namespace) -> float | None:
    """σ of the logarithm of latencies with these two quantiles; None where they were not both given."""
    from pytest_llmperf.statistics.planning import log_spread

    if arguments.p50_ms is None or arguments.p95_ms is None:
        return None
    if arguments.p50_ms >= arguments.p95_ms:
        raise UsageError(f"--p50-ms {arguments.p50_ms:g} is not below --p95-ms {arguments.p95_ms:g}")
    return log_spread(arguments.p50_ms, arguments.p95_ms)


def _print(console: Console, found: Forecast, usd: float | None) -> None:
    from rich.table import Table

    from pytest_llmperf.core import wording

    console.print(f"{found.claim}, at most {wording.count(found.rounds, 'round')}", style="bold")
    least = found.least_to_pass
    console.print(f"  {least} is the least budget that can pass" if least else "  no number of rounds can pass")
    if found.stops:
        console.print(f"  {found.stops}")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("  if the truth is", "bad calls", "passes", "fails", "rounds", *(["spend"] if usd else [])):
        table.add_column(heading, justify="left" if heading.startswith(" ") else "right")
    table.add_column("80 % right from", justify="right")
    for row in found.supposed:
        spend = [wording.quantity(usd * row.rounds, "USD")] if usd else []
        shares = [wording.percent(share) for share in (row.bad_share, round(row.p_pass, 3), round(row.p_fail, 3))]
        table.add_row(
            f"  {row.truth}", *shares, f"{row.rounds:.0f}", *spend, "–" if row.enough is None else str(row.enough)
        )
    console.print(table)
    console.print()
