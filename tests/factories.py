"""Values a reader can check by eye: only what a test is about is written out, the rest is ordinary.

Times are seconds, as in the values themselves. An ordinary call streams 401 tokens, the first after 1 s and the last
after 11 s: 25 ms a token, 40 tokens a second.
"""

import itertools
import math
from dataclasses import replace

from pytest_llmperf.core.call import Attempt, Call
from pytest_llmperf.core.environment import Environment, Source
from pytest_llmperf.core.exchange import Chunk, Connection, End, Exchange, Provenance
from pytest_llmperf.core.generation import Delta, Generation, Kind, Usage
from pytest_llmperf.core.series import Measurement, Round, Series
from pytest_llmperf.core.verdict import Outcome, Verdict
from pytest_llmperf.reports.report import Report, TestResult

NOT_STREAMED = "the call did not stream"


def measurement(
    round_number=0,
    *,
    ttft=1.0,
    e2e=11.0,
    input_tokens=1000,
    output_tokens=401,
    cost=0.05,
    at=None,
    streamed=True,
    attempts=1,
    throttled=0,
    gaps=(0.02, 0.03),
    absent=None,
    **values,
):
    """A call that ended well. *at* is its dispatch, by default 12 s after that of the round before.

    A metric named in *absent*, with its reason, has no value.
    """
    at = 12.0 * round_number if at is None else at
    absent = dict(absent or {})
    tpot = (e2e - ttft) / (output_tokens - 1)
    found = {
        "e2e": e2e,
        "attempt_e2e": e2e,
        "e2e_tps": output_tokens / e2e,
        "attempts": float(attempts),
        "input_tokens": float(input_tokens),
        "output_tokens": float(output_tokens),
        "cost": cost,
    }
    if streamed:
        found |= {"ttft": ttft, "ttfat": ttft, "attempt_ttft": ttft, "tpot": tpot, "output_tps": 1 / tpot}
    else:
        absent |= dict.fromkeys(("ttft", "ttfat", "attempt_ttft", "tpot", "output_tps", "event_gap"), NOT_STREAMED)
    return Measurement(
        round=round_number,
        dispatched=at,
        finished=at + e2e,
        streamed=streamed,
        values={name: value for name, value in (found | values).items() if name not in absent},
        absent=absent,
        event_gaps=gaps if streamed else (),
        throttled=throttled,
        protocol="anthropic.messages",
        model="claude-opus-4-20250514",
        endpoint="api.anthropic.com",
        provenance="substituted",
        stop_reason="end_turn",
        usage=Usage(input_tokens, output_tokens, 0, 0, 0),
    )


def failed_measurement(round_number=0, *, failure="overloaded_error: Overloaded", at=None, attempts=3, throttled=0):
    """A streamed call that failed in the end: infinitely slow, no tokens, nothing to pay."""
    at = 12.0 * round_number if at is None else at
    latencies = dict.fromkeys(("ttft", "ttfat", "e2e", "attempt_ttft", "attempt_e2e", "tpot"), math.inf)
    return Measurement(
        round=round_number,
        dispatched=at,
        finished=None,
        streamed=True,
        values=latencies | {"output_tps": 0.0, "e2e_tps": 0.0, "attempts": float(attempts), "cost": 0.0},
        absent={"input_tokens": "the call failed", "output_tokens": "the call failed"},
        failure=failure,
        throttled=throttled,
        protocol="anthropic.messages",
        model="claude-opus-4-20250514",
        endpoint="api.anthropic.com",
        provenance="substituted",
    )


def rounds(judged, warmup=0, *, seconds=11.5):
    """Rounds that start 12 s apart, warm-ups first."""
    return tuple(
        Round(number, warmup=number < warmup, started=12.0 * number, ended=12.0 * number + seconds)
        for number in range(warmup + judged)
    )


def series(measurements=(), *, rounds_=None, warmup=0, source=Source.SIMULATED, clock="virtual", **fields):
    """One round for each number that the measurements name, of which the first *warmup* are warm-ups."""
    measurements = tuple(measurements)
    numbers = {one.round for one in measurements}
    made = rounds(len(numbers) - warmup, warmup) if rounds_ is None else tuple(rounds_)
    fields = {"scenario": "test_greeting", "source": source, "clock": clock} | fields
    return Series(rounds=made, measurements=measurements, **fields)


def zigzag(values):
    """The same in an order in which a low one stands beside a high one, so that neighbours are not alike."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return [one for pair in itertools.zip_longest(ordered[half:], ordered[:half]) for one in pair if one is not None]


def scattered(found):
    """The same calls, one a round, in an order in which like and unlike ones follow each other."""
    golden = (5**0.5 - 1) / 2
    ordered = sorted(range(len(found)), key=lambda number: number * golden % 1)
    return [_moved(found[index], number) for number, index in enumerate(ordered)]


def _moved(one, number):
    finished = None if one.finished is None else 12.0 * number + one.finished - one.dispatched
    return replace(one, round=number, dispatched=12.0 * number, finished=finished)


def calls(n, *, first=0, slow=0, slow_ttft=3.0, **fields):
    """*n* calls in rounds of their own, of which *slow* take *slow_ttft* to their first token.

    The others have a TTFT from 0.80 s upwards in steps of a millisecond, so that every quantile is known. They come in
    an order in which neighbours are not alike.
    """
    ttfts = zigzag([*(0.8 + number / 1000 for number in range(n - slow)), *itertools.repeat(slow_ttft, slow)])
    return [measurement(first + number, ttft=ttft, **fields) for number, ttft in enumerate(ttfts)]


def attempt(
    sent=0,
    head=5,
    deltas=((100, "text", 5), (200, "text", 5)),
    *,
    body=None,
    ended=None,
    end="complete",
    status=200,
    error="",
    failure=None,
    complete=None,
    usage=None,
    connection=None,
    provenance="wire",
    started=None,
    **said,
):
    """One attempt, times in milliseconds: it starts and is sent at *sent* (None: never) and is answered at *head*.

    *deltas* are (time, kind, characters); *body* is when the body of an answer in one piece came, which then has no
    deltas. The end comes with the last of them, unless *ended* says otherwise. An answer with an error status or a
    *failure* is not complete.
    """
    streamed = said.pop("streamed", body is None)
    deltas = tuple(deltas) if body is None and status == 200 else ()
    times = [at for at, _, _ in deltas] + ([body] if body is not None else [])
    ended = max([head, *times]) if ended is None and end != "open" else ended
    well = status == 200 and not failure and end == "complete"
    complete = well if complete is None else complete
    used = Usage(input_tokens=1000, output_tokens=11) if complete else Usage()
    return Attempt(
        Exchange(
            method="POST",
            url="https://api.anthropic.com/v1/messages",
            request_headers=(),
            request_body=b"",
            started_ns=_ns((0 if sent is None else sent) if started is None else started),
            sent_ns=_ns(sent),
            status=status,
            headers_ns=None if status is None else _ns(head),
            chunks=tuple(Chunk(_ns(at), b"") for at in times),
            ended_ns=_ns(ended),
            end=End(end),
            error=error,
            connection=connection or Connection(),
            provenance=Provenance(provenance),
        ),
        Generation(
            protocol="anthropic.messages",
            streamed=streamed,
            request_model="claude-opus-4-20250514",
            usage=used if usage is None else usage,
            deltas=tuple(Delta(_ns(at), Kind(kind), characters) for at, kind, characters in deltas),
            stopped_ns=_ns(ended) if complete and streamed else None,
            failure=("" if (status or 200) == 200 else f"HTTP {status}") if failure is None else failure,
            complete=complete,
            **said,
        ),
    )


def call(*attempts, entered=None, returned=None, first_event=None, **fields):
    """One call of these attempts, or of a single one with these fields; times in milliseconds."""
    return Call(attempts or (attempt(**fields),), _ns(entered), _ns(returned), _ns(first_event))


def _ns(milliseconds):
    return None if milliseconds is None else round(milliseconds * 1_000_000)


def verdict(outcome=Outcome.PASSED, **fields):
    """An answer to `p95 ttft <= 2340 ms` from 100 calls."""
    ordinary = {
        "claim": "p95 ttft <= 2340 ms",
        "metric": "ttft",
        "statistic": "p95",
        "direction": "<=",
        "bound": 2.34,
        "unit": "s",
        "outcome": Outcome(outcome),
        "reason": "0 of 100 calls above 2340 ms; a pass needs at most 1, a fail at least 10",
        "confidence": 0.95,
        "method": "exact binomial test of the share beyond the limit",
        "n": 100,
        "estimate": 2.1,
        "low": 1.98,
        "high": 2.21,
        "mark": "latency(p95_ms=2340)",
    }
    return Verdict(**(ordinary | fields))


def result(nodeid="tests/test_latency.py::test_greeting", *, verdicts=(), series_=None, outcome=None, **fields):
    """A test with 100 ordinary calls after one warm-up; its outcome is that of its verdicts."""
    verdicts = tuple(verdicts)
    shown = [str(one.outcome) for one in verdicts]
    gravest = next((word for word in ("failed", "inconclusive") if word in shown), "passed")
    found = (series(calls(101), warmup=1),) if series_ is None else tuple(series_)
    ordinary = {"source": found[0].source, "clock": found[0].clock} if found else {}
    ordinary = {"source": Source.SIMULATED, "clock": "virtual"} | ordinary
    return TestResult(nodeid, outcome or gravest, series=found, verdicts=verdicts, **(ordinary | fields))


def environment(**fields):
    """A run against the simulated API on an ordinary machine."""
    ordinary = {
        "python": "3.11.9",
        "platform": "Linux x86_64",
        "processors": 2,
        "packages": {"anthropic": "2.12.0", "httpx2": "2.16.2"},
        "backend": "simulate",
        "clock": "virtual",
        "profile": "claude-opus-4",
        "seed": 7,
        "prices": "genai-prices 0.0.40",
    }
    return Environment(**(ordinary | fields))


def report(*results, **fields):
    """A run that holds these tests."""
    ordinary = {"version": "0.1.0", "started": "2026-03-02T09:30:00+00:00", "environment": environment()}
    return Report(tests=results, **(ordinary | fields))
