"""From what a request asks to a plan of timed bytes: a pure function of ask, profile, circumstances and random numbers.

The times of an answer: TTFT is log-normal through the workload's median and p95. From the first token on, tokens come
evenly at a rate that follows from the context and varies from call to call. The first delta carries one token, so that
(tokens - 1) / (last - first) is that rate exactly, and no formula for it needs to know how tokens were bundled. After
the last content comes a rest nobody explains (see the profile), then the end. An answer that is not streamed arrives
whole at that same end. Everything that slows the service (concurrency, caching, LLM, prompt) stretches all of it
alike, and the network (region, new connection) shifts it.

Random numbers are drawn in one order whether streamed or not: the same seed gives the same message in both.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from itertools import accumulate, chain, cycle
from random import Random
from statistics import NormalDist
from typing import NamedTuple

from pytest_llmperf.simulator import answers, messages_format
from pytest_llmperf.simulator.answers import Block
from pytest_llmperf.simulator.conditions import MOST_SHOTS, Ask, Refused
from pytest_llmperf.simulator.form import Form
from pytest_llmperf.simulator.messages_format import UNCACHED, Allowance, Answer, CacheUse, Headers
from pytest_llmperf.simulator.profile import Z95, Profile, height

MS = 1_000_000
TALLEST = 3.0
"""Normal deviates of lengths and rates are cut here; those of TTFT are not, its tail is what p95 claims are about."""
DELTA_SIGMA = 0.6
"""Spread of ln(tokens per delta): from one token to some forty, as recorded streams show."""
PING_COUNTS = (0, 0, 0, 0, 0, 0, 1, 1, 2, 3)
"""How many further pings a stream holds, each as likely: recorded ones hold up to four in all."""
JITTER = 0.8
"""How late a delta in the middle may come, in token times."""


class Cut(StrEnum):
    """How the network ends an exchange before its time."""

    NO = ""
    CONNECT = "connect"
    CONNECT_TIMEOUT = "connect_timeout"
    DISCONNECT = "disconnect"
    RESET = "reset"


class Piece(NamedTuple):
    """Bytes of the body, and when they leave: nanoseconds after the request's last byte."""

    at_ns: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything one request will see. Times are nanoseconds after its last byte."""

    request_id: str
    status: int
    """0 when the exchange ends before any response."""
    headers: Headers
    headers_ns: int
    pieces: tuple[Piece, ...]
    end_ns: int
    """The body's end, or the cut."""
    cut: Cut = Cut.NO

    @property
    def body(self) -> bytes:
        """All bytes of the body."""
        return b"".join(piece.data for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a request meets: the state other requests and time have left."""

    in_flight: int = 1
    """Requests under way when it came, itself included."""
    cache: CacheUse = UNCACHED
    elapsed_seconds: float = 0.0
    """Since the simulated API began."""
    allowance: Allowance | None = None
    throttled_seconds: float | None = None
    """Until the rate limit lets a request through; None when it does now."""


@dataclass(frozen=True, slots=True)
class Pace:
    """When the parts of one answer are due, in nanoseconds."""

    ttft_ns: int
    token_ns: float
    rest_ns: int
    """Between the last content and the end."""

    def token_at(self, number: int) -> int:
        """When the token of this number, from 1, is there."""
        return self.ttft_ns + round((number - 1) * self.token_ns)

    def end_at(self, tokens: int, unexplained_share: float) -> int:
        """When an answer of so many tokens is over."""
        return self.token_at(tokens) + self.rest_ns + round(unexplained_share * self.token_at(tokens))


def plan(ask: Ask, profile: Profile, circumstances: Circumstances, rng: Random, form: Form = messages_format) -> Plan:
    """What a well-formed request gets, in the bytes of *form*."""
    drawn = _drawn_fault(profile, rng.random())
    fault = ask.fault or drawn
    request = form.request_id(rng)
    if circumstances.throttled_seconds is not None:
        wait = max(1, math.ceil(circumstances.throttled_seconds))
        return _status(429, request, profile, circumstances, form, retry_after=wait)
    if fault.startswith("status_") or (fault == "error_event" and not ask.stream):
        return _status(int(fault[7:]) if fault.startswith("status_") else 529, request, profile, circumstances, form)
    if fault in ("connect", "connect_timeout"):
        return Plan(request, 0, (), 0, (), 0, Cut(fault))
    return _faulty(fault, _served(ask, profile, circumstances, request, rng, form), profile, rng, form)


def refusal(
    refused: Refused, profile: Profile, circumstances: Circumstances, rng: Random, form: Form = messages_format
) -> Plan:
    """What a request gets that the API refuses for what it says."""
    request = form.request_id(rng)
    body = form.error(refused.kind, refused.message, request)
    return _brief(refused.status, "application/json", body, request, profile, circumstances, form)


def count(ask: Ask, profile: Profile, circumstances: Circumstances, rng: Random) -> Plan:
    """What a request to count tokens gets."""
    request = messages_format.request_id(rng)
    body = b'{"input_tokens":%d}' % ask.input_tokens
    return _brief(200, "application/json", body, request, profile, circumstances, messages_format)


# --- a message ---------------------------------------------------------------------------------------------------


def _served(ask: Ask, profile: Profile, circumstances: Circumstances, request: str, rng: Random, form: Form) -> Plan:
    message_id = form.message_id(rng)
    pace = _pace(ask, profile, circumstances, rng)
    answer = _answer(ask, profile, circumstances.cache, message_id, rng)
    shift_ns = round(_network_ms(ask, profile) * MS)
    share = profile.workloads[ask.workload].unexplained_share
    ends_ns = [pace.end_at(one.output_tokens, share) + shift_ns for one in (answer, *answer.others)]
    end_ns = max(ends_ns)
    if ask.stream:
        pace = replace(pace, ttft_ns=pace.ttft_ns + shift_ns)
        pieces = tuple(_streamed(answer, pace, ends_ns, profile, rng, form))
    else:
        pieces = (Piece(end_ns, form.message(answer)),)
    headers = form.headers(
        "text/event-stream; charset=utf-8" if ask.stream else "application/json",
        status=200,
        request=request,
        elapsed_seconds=circumstances.elapsed_seconds,
        allowance=circumstances.allowance,
        length=None if ask.stream else len(pieces[0].data),
    )
    return Plan(request, 200, headers, pieces[0].at_ns, pieces, end_ns)


def _answer(ask: Ask, profile: Profile, cache: CacheUse, message_id: str, rng: Random) -> Answer:
    """What is said; several choices to one request are as long as each would be alone."""
    plain = ask.input_tokens - cache.read - cache.written_5m - cache.written_1h
    model = profile.aliases.get(ask.model, ask.model)
    first, *others = (
        Answer(message_id, model, *_blocks(ask, profile, rng), plain, cache, number) for number in range(ask.choices)
    )
    return replace(first, others=tuple(others))


def _blocks(ask: Ask, profile: Profile, rng: Random) -> tuple[tuple[Block, ...], str]:
    """The content, as long as `max_tokens` lets it be, and why it stops."""
    workload = profile.workloads[ask.workload]
    length = max(1, round(workload.output_tokens * (1 + workload.output_cv * _deviate(rng))))
    thought = max(1, round(profile.thinking.tokens * (1 + workload.output_cv * _deviate(rng))))
    if ask.output_tokens is not None:
        length = max(1, ask.output_tokens)
    complete = ask.shots is None or rng.random() < height(profile.prompt.complete_share_by_shots, ask.shots)
    whole = answers.compose(rng, ask, length, min(thought, ask.thinking_budget), complete=complete)
    blocks = answers.cut(whole, ask.max_tokens)
    if sum(len(block.pieces) for block in whole) > ask.max_tokens:
        return blocks, "max_tokens"
    return blocks, "tool_use" if ask.tool else "end_turn"


def _pace(ask: Ask, profile: Profile, circumstances: Circumstances, rng: Random) -> Pace:
    workload = profile.workloads[ask.workload]
    sigma = workload.ttft_sigma + (math.log(profile.peak_p95_factor) / Z95 if ask.peak else 0.0)
    ttft_ms = workload.ttft_p50_ms * math.exp(sigma * rng.gauss(0.0, 1.0)) + _prompt_ms(ask, profile, rng)
    rate = _tokens_per_second(ask, profile) * math.exp(profile.throughput.cv * _deviate(rng))
    stretch = _stretch(ask, profile, circumstances)
    return Pace(
        round(ttft_ms * stretch * MS), 1_000 * MS / rate * stretch, round(_form_ms(ask, profile) * stretch * MS)
    )


def _tokens_per_second(ask: Ask, profile: Profile) -> float:
    """The median rate of decoding."""
    rate = height(profile.throughput.context_tokens_per_second, ask.input_tokens, log=True) * profile.throughput.factor
    if ask.temperature is not None:
        rate *= height(profile.sampling.temperature_rate_factor, ask.temperature)
    if ask.top_p is not None:
        rate *= height(profile.sampling.top_p_rate_factor, ask.top_p)
    if ask.first_release:
        figures = profile.figures_of(ask.model)
        rate *= figures.first_release_rate_factor if figures else 1.0
    return rate * (1 + (profile.prompt.five_shots_rate_factor - 1) * (ask.shots or 0) / MOST_SHOTS)


def _stretch(ask: Ask, profile: Profile, circumstances: Circumstances) -> float:
    """By what all times of the service are multiplied."""
    prompt, cache, read = profile.prompt, profile.cache, circumstances.cache.read
    factor = _model_factor(ask, profile) * height(profile.in_flight_time_factor, circumstances.in_flight)
    if read:
        factor *= (
            cache.small_prefix_time_factor if read <= cache.small_prefix_tokens else cache.large_prefix_time_factor
        )
    for name, by in (
        ("verbose", prompt.verbose_time_factor),
        ("latex", prompt.latex_time_factor),
        ("mixed-scripts", prompt.mixed_scripts_time_factor),
        ("repetitive", prompt.repetitive_time_factor),
    ):
        factor *= by if name in ask.prompt else 1.0
    return factor


def _model_factor(ask: Ask, profile: Profile) -> float:
    figures = profile.figures_of(ask.model)
    if figures is None:
        return 1.0
    long = ask.input_tokens >= figures.long_context_tokens and figures.long_context_time_factor != 1
    return figures.long_context_time_factor if long else figures.time_factor


def _prompt_ms(ask: Ask, profile: Profile, rng: Random) -> float:
    """What the prompt's form adds before the first token."""
    prompt = profile.prompt
    added = prompt.xml_prompt_ttft_ms if "xml-prompt" in ask.prompt else 0.0
    added += prompt.nested_ttft_ms if "nested" in ask.prompt else 0.0
    added += prompt.long_system_ttft_ms if ask.system_tokens > prompt.long_system_tokens else 0.0
    if "adversarial" in ask.prompt:
        added += prompt.adversarial_ttft_ms * math.exp(prompt.adversarial_sigma * rng.gauss(0.0, 1.0))
    return added


def _form_ms(ask: Ask, profile: Profile) -> float:
    """What the form of the answer adds to the total."""
    added = profile.prompt.xml_output_ms if "xml-output" in ask.prompt else 0.0
    return added + (profile.prompt.json_output_ms if "json-output" in ask.prompt else 0.0)


def _network_ms(ask: Ask, profile: Profile) -> float:
    return profile.regions.get(ask.region, 0.0) + (profile.new_connection_ms if ask.new_connection else 0.0)


def _deviate(rng: Random) -> float:
    return max(-TALLEST, min(TALLEST, rng.gauss(0.0, 1.0)))


# --- a stream ----------------------------------------------------------------------------------------------------


def _streamed(
    answer: Answer, pace: Pace, ends_ns: Sequence[int], profile: Profile, rng: Random, form: Form
) -> list[Piece]:
    """The pieces of every choice as they come, all of them at one pace, and the end after the last."""
    choices = zip((answer, *answer.others), ends_ns, strict=True)
    pieces = [piece for one, end_ns in choices for piece in _streamed_one(one, pace, end_ns, profile, rng, form)]
    *pieces, last = sorted(pieces, key=lambda piece: piece.at_ns)
    return [*pieces, Piece(last.at_ns, last.data + form.closing(answer))]


def _streamed_one(answer: Answer, pace: Pace, end_ns: int, profile: Profile, rng: Random, form: Form) -> list[Piece]:
    """The head, one piece for each delta that is shown, and the end."""
    sizes = _delta_sizes(answer, profile, rng)
    deltas = sum(map(len, sizes))
    pads = cycle(rng.choices(range(messages_format.PADS), k=deltas + 1))
    bodies = form.stream(answer, sizes, pads, _pings(rng, deltas))
    times = [round(pace.ttft_ns * profile.stream.head_share), *_delta_times(sizes, pace, rng), end_ns]
    return [Piece(at_ns, body) for at_ns, body in zip(times, bodies, strict=True) if body]


def _delta_times(sizes: list[list[int]], pace: Pace, rng: Random) -> list[int]:
    """When each delta is due: with its last token, and a little later in the middle of the stream."""
    done = list(accumulate(chain.from_iterable(sizes)))
    ttft_ns, token_ns, random = pace.ttft_ns, pace.token_ns, rng.random
    times = [ttft_ns + round((tokens - 1 + JITTER * random()) * token_ns) for tokens in done]
    times[0], times[-1] = pace.token_at(done[0]), pace.token_at(done[-1])
    return times


def _delta_sizes(answer: Answer, profile: Profile, rng: Random) -> list[list[int]]:
    """How many tokens each delta has, block by block; the very first has one, none crosses blocks."""
    usual = _usual_sizes(profile.stream.tokens_per_delta, profile.stream.most_tokens_per_delta)
    drawn = cycle((1, *rng.choices(usual, k=answer.output_tokens // 5 + 8)))
    sizes = []
    for block in answer.blocks:
        left, of_block = len(block.pieces), []
        while left > 0:
            of_block.append(min(left, next(drawn)))
            left -= of_block[-1]
        sizes.append(of_block)
    return sizes


@cache
def _usual_sizes(median: float, most: int) -> tuple[int, ...]:
    """Equally likely sizes of a delta: quantiles of a log-normal distribution, whole numbers from 1."""
    quantile = NormalDist(0.0, DELTA_SIGMA).inv_cdf
    return tuple(max(1, min(most, round(median * math.exp(quantile((step + 0.5) / 500))))) for step in range(500))


def _pings(rng: Random, deltas: int) -> list[int]:
    """After which deltas a further ping comes."""
    return [int(rng.random() * deltas) for _ in range(rng.choices(PING_COUNTS)[0])]


# --- errors and faults -------------------------------------------------------------------------------------------


def _drawn_fault(profile: Profile, drawn: float) -> str:
    for kind, share in profile.faults.shares().items():
        if drawn < share:
            return kind
        drawn -= share
    return ""


def _status(
    status: int,
    request: str,
    profile: Profile,
    circumstances: Circumstances,
    form: Form,
    retry_after: int | None = None,
) -> Plan:
    if status == 429 and retry_after is None:
        retry_after = profile.faults.retry_after_seconds
    content_type, body = form.status_error(status, request)
    return _brief(form.answered(status), content_type, body, request, profile, circumstances, form, retry_after)


def _brief(
    status: int,
    content_type: str,
    body: bytes,
    request: str,
    profile: Profile,
    circumstances: Circumstances,
    form: Form,
    retry_after: int | None = None,
) -> Plan:
    at_ns = round(profile.faults.answer_ms * MS)
    headers = form.headers(
        content_type,
        status=status,
        request=request,
        elapsed_seconds=circumstances.elapsed_seconds,
        allowance=circumstances.allowance,
        length=len(body),
        retry_after=retry_after,
    )
    return Plan(request, status, headers, at_ns, (Piece(at_ns, body),), at_ns)


def _faulty(fault: str, served: Plan, profile: Profile, rng: Random, form: Form) -> Plan:
    """An answer that something befalls on its way."""
    if not fault:
        return served
    streamed = len(served.pieces) > 1
    first = 1 + int(rng.random() * (len(served.pieces) - 1)) if streamed else 0
    if fault == "stall":
        return _delayed(served, first, round(profile.faults.stall_seconds * 1_000 * MS))
    before, at_ns = served.pieces[:first], served.pieces[first].at_ns
    if fault == "error_event":
        return replace(
            served,
            pieces=(*before, Piece(at_ns, form.error_event("overloaded_error", "Overloaded"))),
            end_ns=at_ns,
        )
    if streamed:
        return replace(served, pieces=before, end_ns=at_ns, cut=Cut(fault))
    return replace(served, status=0, headers=(), pieces=(), headers_ns=at_ns, end_ns=at_ns, cut=Cut(fault))


def _delayed(served: Plan, first: int, by_ns: int) -> Plan:
    """Everything from one piece on comes later."""
    pieces = tuple(
        Piece(at_ns + by_ns, data) if number >= first else Piece(at_ns, data)
        for number, (at_ns, data) in enumerate(served.pieces)
    )
    return replace(served, pieces=pieces, headers_ns=pieces[0].at_ns, end_ns=served.end_ns + by_ns)
