"""What the tests of a report need when they are asked many times a day: workers, when to add one, dollars a month.

One request is one round of a test. Every test and arm is a line; with several, each is held against the first, or
against --against. All that is assumed is printed below.
"""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING

from pytest_llmperf.cli.numbers import positive, share
from pytest_llmperf.cli.operands import add_store, sessions
from pytest_llmperf.core.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from pytest_llmperf.core.capacity import Capacity, Demand

HELP = "workers, scaling and monthly cost, from measured tests"
_VOLUMES = (10_000, 50_000, 100_000)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what it takes."""
    parser.add_argument("report", metavar="REPORT", help="JSON report, session file or baseline's name")
    parser.add_argument("--requests-per-day", type=positive, required=True, metavar="N", help="volume of a day")
    parser.add_argument("--test", default="", metavar="TEXT", help="only tests and arms whose name holds this")
    parser.add_argument("--against", default="", metavar="TEXT", help="the test or arm that others are compared with")
    parser.add_argument(
        "--peak-factor", type=positive, default=2.0, metavar="X", help="busiest hours over the mean (default: 2)"
    )
    parser.add_argument("--headroom", type=share, default=0.2, metavar="SHARE", help="above p95 (default: 0.2)")
    parser.add_argument("--utilisation", type=share, default=0.7, metavar="SHARE", help="at most (default: 0.7)")
    parser.add_argument(
        "--queue-s", type=positive, default=2.0, metavar="S", help="mean wait that adds a worker (default: 2)"
    )
    parser.add_argument(
        "--idle-min", type=positive, default=5.0, metavar="MIN", help="idle time that takes one away (default: 5)"
    )
    parser.add_argument(
        "--fixed-usd", type=positive, metavar="USD", help="what the cheaper way costs a month beside, for break-even"
    )
    add_store(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print what each test needs.

    Raises:
        UsageError: nothing was measured that it could be reckoned from.
    """
    from rich.console import Console

    from pytest_llmperf.core.capacity import Demand

    demand = Demand(arguments.requests_per_day, arguments.peak_factor, arguments.headroom, arguments.utilisation)
    found = _found(arguments, demand)
    console = Console(highlight=False)
    _print_workers(console, found)
    if len(found) > 1:
        _print_costs(console, found, _reference(found, arguments.against), arguments.fixed_usd)
    _print_assumptions(console, arguments, demand, found)
    return 0


def _found(arguments: argparse.Namespace, demand: Demand) -> dict[str, Capacity]:
    from pytest_llmperf.core.capacity import load, sized

    session, found, reasons = sessions(arguments.report, arguments.store)[-1], dict[str, "Capacity"](), []
    for entry in session.entries:
        name = entry.subject.label
        if arguments.test not in name:
            continue
        try:
            found[name.rpartition("/")[2]] = sized(load(entry.series), demand)
        except UsageError as error:
            reasons.append(f"{name}: {error}")
    if not found:
        raise UsageError("; ".join(reasons) or f"no test of {arguments.report} has {arguments.test!r} in its name")
    return found


def _reference(found: dict[str, Capacity], text: str) -> str:
    try:
        return next(name for name in found if text in name)
    except StopIteration:
        raise UsageError(f"no test or arm has {text!r} in its name; there are {', '.join(found)}") from None


def _print_workers(console: Console, found: dict[str, Capacity]) -> None:
    from rich.table import Table

    from pytest_llmperf.core.wording import quantity

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("request", overflow="fold")
    for heading in ("mean", "p95", "in flight", "p95", "workers", "out at", "in at"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, one in found.items():
        times = (quantity(one.load.seconds, "s"), quantity(one.load.p95, "s"))
        table.add_row(
            name, *times, f"{one.busy:.1f}", *map(str, (one.busy_p95, one.workers, one.scale_out, one.scale_in))
        )
    console.print(table)
    for name, one in found.items():
        tokens = "" if one.tokens_per_minute is None else f" and {one.tokens_per_minute:,.0f} output tokens"
        cost = "cost unknown" if one.usd_per_month is None else _dollars(one.usd_per_month)
        console.print(f"{name}: {cost} a month; at the peak {one.calls_per_minute:,.0f} calls{tokens} a minute")


def _print_costs(console: Console, found: dict[str, Capacity], reference: str, fixed: float | None) -> None:
    from rich.table import Table

    from pytest_llmperf.core.capacity import break_even, monthly, saving

    dear = found[reference].load.usd
    volumes = sorted({*_VOLUMES, found[reference].demand.requests_per_day})
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("dollars a month", overflow="fold")
    for volume in volumes:
        table.add_column(f"{volume:,.0f}/day", justify="right", no_wrap=True)
    table.add_column("saves", justify="right", no_wrap=True)
    if fixed is not None:
        table.add_column("pays from", justify="right", no_wrap=True)
    for name, one in found.items():
        usd = one.load.usd
        (share,) = saving([usd], dear)
        cells = ["–" if usd is None else _dollars(monthly(usd, volume)) for volume in volumes]
        cells.append("–" if share is None or name == reference else f"{share * 100:.1f} %")
        if fixed is not None:
            least = None if usd is None or dear is None else break_even(dear, usd, fixed)
            cells.append("–" if least is None else f"{math.ceil(least):,}/day")
        table.add_row(name, *cells)
    console.print()
    console.print(table)


def _print_assumptions(
    console: Console, arguments: argparse.Namespace, demand: Demand, found: dict[str, Capacity]
) -> None:
    from pytest_llmperf.core.capacity import DAYS
    from pytest_llmperf.core.wording import percent

    failed = {name: one.load for name, one in found.items() if one.load.failed}
    rate, busy = f"{demand.rate:.3g} a second", percent(demand.utilisation)
    lines = [
        f"{demand.requests_per_day:,.0f} requests a day; at the peak {demand.peak_factor:g} times the mean rate",
        f"that is {rate}, arriving at random and independently of each other",
        "in flight on average: rate × mean time (Little's law); p95: of a Poisson number with that mean",
        f"workers, one request at a time each: the p95 in flight and {percent(demand.headroom)} more, or as many as it",
        f"takes to keep {busy} busy on average; with times as measured, which more load may lengthen",
        f"add a worker at “out at” busy ones, or when requests wait more than {arguments.queue_s:g} s on average",
        f"take one away after {arguments.idle_min:g} minutes with no more busy ones than “in at”",
        f"a month has {DAYS:g} days; a request costs the mean of the {_measured(found)} rounds measured",
    ]
    lines[3:5] = [" ".join(lines[3:5])]
    lines[0:2] = ["; ".join(lines[0:2])]
    if arguments.fixed_usd is not None:
        lines.append(f"pays from: where the saving is ${arguments.fixed_usd:,.0f} a month")
    lines += [f"{name}: {one.failed} of {one.n} rounds failed; their time is left out" for name, one in failed.items()]
    console.print("\nassumed", style="bold")
    for line in lines:
        console.print(f"- {line}")


def _measured(found: dict[str, Capacity]) -> str:
    fewest, most = (pick(one.load.n for one in found.values()) for pick in (min, max))
    return str(most) if fewest == most else f"{fewest} to {most}"


def _dollars(amount: float) -> str:
    return f"${amount:,.0f}" if amount >= 100 else f"${amount:,.2f}"
