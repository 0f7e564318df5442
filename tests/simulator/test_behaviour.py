import json
import math
import statistics
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmperf.core.exchange import Chunk, End, Exchange
from pytest_llmperf.simulator import behaviour
from pytest_llmperf.simulator.behaviour import Circumstances, Cut, Plan
from pytest_llmperf.simulator.conditions import Ask, Tool
from pytest_llmperf.simulator.messages_format import CacheUse
from pytest_llmperf.simulator.profile import FAULTS, Z95, load
from pytest_llmperf.wire import decode

PROFILE = load("claude-opus-4")
ASK = Ask(model="claude-opus-4", stream=True, max_tokens=4096, input_tokens=1_000, system_tokens=0, workload="mixed")
ALONE = Circumstances()
FINE = {"throughput.cv": 0.0}


def planned(ask: Ask = ASK, rng: Random | None = None, profile=PROFILE, circumstances: Circumstances = ALONE) -> Plan:
    return behaviour.plan(ask, profile, circumstances, rng or Random(1))


def ttft(plan: Plan) -> float:
    """Milliseconds to the first delta."""
    return plan.pieces[1].at_ns / 1e6


def rate(plan: Plan) -> float:
    """Output tokens a second from the first delta to the last."""
    return (tokens(plan) - 1) / ((plan.pieces[-2].at_ns - plan.pieces[1].at_ns) / 1e9)


def tokens(plan: Plan) -> int:
    return generation(plan).usage.output_tokens


def generation(plan: Plan, ask: Ask = ASK):
    """What the wire layer reads from the plan's bytes."""
    return decode(
        Exchange(
            method="POST",
            url="https://api.anthropic.com/v1/messages",
            request_headers=(),
            request_body=json.dumps({"model": ask.model, "stream": ask.stream}).encode(),
            started_ns=0,
            sent_ns=0,
            status=plan.status,
            response_headers=plan.headers,
            headers_ns=plan.headers_ns,
            chunks=tuple(Chunk(*piece) for piece in plan.pieces),
            ended_ns=plan.end_ns,
            end=End.ERROR if plan.cut else End.COMPLETE,
        )
    )


# --- the figures, by fixed deviates: exact -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("workload", "p50", "p95"),
    [
        ("code", 892, 1540),
        ("qa", 1120, 2340),
        ("extraction", 780, 1280),
        ("creative", 1040, 2890),
        ("mixed", 847, 2340),
    ],
)
def test_ttft_has_the_median_and_p95_of_its_workload(fixed, workload, p50, p95) -> None:
    """S08, and S06 for a request that shows no workload."""
    ask = replace(ASK, workload=workload)
    assert ttft(planned(ask, fixed(0.0))) == pytest.approx(p50, abs=1e-3)
    assert ttft(planned(ask, fixed(Z95))) == pytest.approx(p95, abs=1e-3)


@pytest.mark.parametrize(
    ("context", "expected"), [(1_000, 42.7), (10_000, 38.3), (50_000, 34.1), (100_000, 31.387), (150_000, 29.8)]
)
def test_tokens_come_at_the_rate_of_the_context(fixed, context, expected) -> None:
    """S05: the median rate at each context length."""
    assert rate(planned(replace(ASK, input_tokens=context), fixed())) == pytest.approx(expected, abs=1e-3)


def test_the_context_does_not_change_ttft(fixed) -> None:
    """The study gives TTFT by workload only."""
    assert ttft(planned(replace(ASK, input_tokens=150_000), fixed())) == ttft(planned(ASK, fixed()))


@pytest.mark.parametrize(("workload", "length"), [("code", 450), ("qa", 280), ("extraction", 150)])
def test_answers_have_the_length_of_their_workload(fixed, workload, length) -> None:
    """S09 and S20: output tokens."""
    assert tokens(planned(replace(ASK, workload=workload), fixed())) == length


@pytest.mark.parametrize(
    ("temperature", "top_p", "factor"),
    [(0.0, None, 1.07), (0.7, None, 1.0), (1.0, None, 0.96), (None, 0.5, 1.0), (None, 1.0, 0.97), (0.0, 1.0, 1.0379)],
)
def test_sampling_parameters_change_the_rate(fixed, temperature, top_p, factor) -> None:
    """S07: temperature 0 is 7 % faster, 1.0 is 4 % slower, top_p 1.0 is 3 % slower."""
    plan = planned(replace(ASK, temperature=temperature, top_p=top_p), fixed())
    assert rate(plan) == pytest.approx(42.7 * factor, rel=1e-4)
    assert ttft(plan) == pytest.approx(847, abs=1e-3)


@pytest.mark.parametrize(("region", "added"), [("us-east", 0), ("us-west", 140), ("eu", 220), ("asia-pacific", 380)])
def test_a_region_adds_its_distance(fixed, region, added) -> None:
    """S10: milliseconds added to TTFT, and with it to everything after."""
    near, far = planned(ASK, fixed()), planned(replace(ASK, region=region), fixed())
    assert ttft(far) - ttft(near) == pytest.approx(added, abs=1e-3)
    assert (far.end_ns - near.end_ns) / 1e6 == pytest.approx(added, abs=1e-3)
    assert rate(far) == pytest.approx(rate(near))


def test_busy_hours_raise_p95_and_leave_the_median(fixed) -> None:
    """S11: p95 is 15 % higher."""
    busy = replace(ASK, peak=True)
    assert ttft(planned(busy, fixed(Z95))) == pytest.approx(1.15 * 2340, abs=1e-2)
    assert ttft(planned(busy, fixed(0.0))) == pytest.approx(847, abs=1e-3)


@pytest.mark.parametrize(("read", "factor"), [(0, 1.0), (2_000, 0.82), (10_000, 0.82), (10_001, 0.92)])
def test_a_cached_prefix_shortens_everything(fixed, read, factor) -> None:
    """S12: 18 % up to 10,000 tokens, 8 % beyond."""
    ask = replace(ASK, input_tokens=50_000)
    plan = planned(ask, fixed(), circumstances=Circumstances(cache=CacheUse(0, 0, read)))
    assert ttft(plan) == pytest.approx(847 * factor, abs=1e-2)
    assert plan.end_ns == pytest.approx(factor * planned(ask, fixed()).end_ns, rel=1e-6)


@pytest.mark.parametrize(("in_flight", "seconds"), [(1, 10.2), (5, 10.8), (10, 12.1), (25, 15.7), (100, 15.7)])
def test_requests_in_flight_slow_each_other(fixed, in_flight, seconds) -> None:
    """S15: total time at 1, 5, 10 and 25 in flight; level beyond what was measured."""
    alone = planned(ASK, fixed()).end_ns
    slowed = planned(ASK, fixed(), circumstances=Circumstances(in_flight=in_flight)).end_ns
    assert slowed / alone == pytest.approx(seconds / 10.2, abs=1e-4)


@pytest.mark.parametrize(
    ("model", "context", "workload", "factor"),
    [
        ("claude-opus-4-1", 1_000, "code", 1.0),
        ("claude-3-opus-20240229", 150_000, "qa", 1 / 0.77),
        ("gpt-4-turbo", 1_000, "code", 1.15),
        ("gpt-4-turbo", 50_000, "qa", 1.31),
    ],
)
def test_other_models_take_longer(fixed, model, context, workload, factor) -> None:
    """S04: 23 % lower latency than Claude 3 Opus, 15 and 31 % faster than GPT-4 Turbo."""
    ask = replace(ASK, input_tokens=context, workload=workload)
    other = planned(replace(ask, model=model), fixed()).end_ns
    assert other / planned(ask, fixed()).end_ns == pytest.approx(factor, abs=1e-4)


def test_the_first_release_is_slower(fixed) -> None:
    """S29: 8 % fewer tokens a second."""
    assert rate(planned(replace(ASK, first_release=True), fixed())) == pytest.approx(0.92 * 42.7, rel=1e-6)


@pytest.mark.parametrize(
    ("changes", "before_first", "total"),
    [
        ({"prompt": {"xml-prompt"}}, 140, 140),
        ({"prompt": {"nested"}}, 340, 340),
        ({"prompt": {"adversarial"}}, 1840, 1840),
        ({"system_tokens": 501}, 95, 95),
        ({"system_tokens": 500}, 0, 0),
        ({"new_connection": True}, 85, 85),
        ({"prompt": {"xml-output"}}, 0, 220),
        ({"prompt": {"json-output"}}, 0, 180),
        ({"prompt": {"plain", "concise"}}, 0, 0),
    ],
)
def test_conditions_add_their_milliseconds(fixed, changes, before_first, total) -> None:
    """S17, S23 and S28: what is added to TTFT, and what to the total time (the unexplained share apart)."""
    profile = PROFILE.with_overrides({"workloads.mixed.unexplained_share": 0.0})
    ask = replace(ASK, workload="mixed", **changes)
    # the JSON condition also changes the words of the answer, not their number
    plain, shown = planned(ASK, fixed(), profile), planned(ask, fixed(), profile)
    assert ttft(shown) - ttft(plain) == pytest.approx(before_first, abs=1e-3)
    assert (shown.end_ns - plain.end_ns) / 1e6 == pytest.approx(total, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "factor"),
    [("latex", 2.3), ("mixed-scripts", 1.15), ("verbose", 1 / 0.88), ("repetitive", 3.0)],
)
def test_classes_of_prompt_stretch_everything(fixed, name, factor) -> None:
    """S23 and S28: all times grow alike."""
    stretched = planned(replace(ASK, prompt=frozenset({name})), fixed()).end_ns
    assert stretched / planned(ASK, fixed()).end_ns == pytest.approx(factor, abs=1e-4)


def test_five_shots_cost_eight_percent_of_throughput(fixed) -> None:
    """S23: 3,200 tokens more and what S05 does not explain make 8 % together."""
    shots = replace(ASK, input_tokens=ASK.input_tokens + 3_200, shots=5)
    assert rate(planned(shots, fixed())) / rate(planned(ASK, fixed())) == pytest.approx(0.92, abs=0.001)


@pytest.mark.parametrize(("shots", "share"), [(None, 1.0), (0, 0.73), (2, 0.89), (5, 0.94)])
def test_examples_make_answers_complete(shots, share) -> None:
    """S23: the share of complete answers by their number, where a request says it; else nothing is missing."""
    schema = {"type": "object", "properties": {"item": {"type": "string"}, "count": {"type": "integer"}}}
    asked = replace(ASK, stream=False, shots=shots, tool=Tool("keep", schema, forced=True), output_tokens=20)
    complete = sum(b"count" in planned(asked, Random(seed)).pieces[0].data for seed in range(400))
    assert complete / 400 == pytest.approx(share, abs=0.05)


@pytest.mark.parametrize(("workload", "context", "code_ms"), [("code", 1_200, 800), ("qa", 50_000, 400)])
def test_the_unexplained_time_comes_after_the_last_content(fixed, workload, context, code_ms) -> None:
    """S09: it is no part of TTFT or rate, only of the total."""
    plan = planned(replace(ASK, workload=workload, input_tokens=context), fixed())
    share = PROFILE.workloads[workload].unexplained_share
    last, end = plan.pieces[-2].at_ns, plan.pieces[-1].at_ns
    assert end - last == pytest.approx(share * last, rel=1e-6)
    assert (end - last) / 1e6 > code_ms / 2
    assert end == plan.end_ns


# --- the figures, by sampling ------------------------------------------------------------------------------------


def sampled(ask: Ask, n: int) -> list[Plan]:
    return [planned(ask, Random(seed)) for seed in range(20_000, 20_000 + n)]


@pytest.mark.slow
@pytest.mark.parametrize(("workload", "p50", "p95"), [("qa", 1120, 2340), ("creative", 1040, 2890)])
def test_sampled_ttft_has_the_stated_quantiles(workload, p50, p95) -> None:
    """Over 3,000 calls median and p95 lie within three standard errors of the stated ones."""
    n, ask = 3_000, replace(ASK, workload=workload, max_tokens=2)
    below = [sum(ttft(plan) <= limit for plan in sampled(ask, n)) / n for limit in (p50, p95)]
    assert below[0] == pytest.approx(0.50, abs=3 * math.sqrt(0.25 / n))
    assert below[1] == pytest.approx(0.95, abs=3 * math.sqrt(0.0475 / n))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("workload", "context", "seconds", "per_second"), [("code", 1_200, 12.3, 36.6), ("qa", 50_000, 9.8, 28.6)]
)
def test_sampled_total_time_is_the_stated_one(workload, context, seconds, per_second) -> None:
    """S09: median total time of answers that are not streamed, and tokens per second of it, within 1.5 %."""
    plans = sampled(replace(ASK, stream=False, workload=workload, input_tokens=context), 3_000)
    counts = [json.loads(plan.body)["usage"]["output_tokens"] for plan in plans]
    total = statistics.median(plan.end_ns / 1e9 for plan in plans)
    assert total == pytest.approx(seconds, rel=0.015)
    assert statistics.mean(counts) == pytest.approx(PROFILE.workloads[workload].output_tokens, rel=0.01)
    assert statistics.mean(counts) / total == pytest.approx(per_second, rel=0.015)


@pytest.mark.slow
@pytest.mark.parametrize(("workload", "context", "seconds"), [("mixed", 1_000, 10.2), ("creative", 150_000, 18.7)])
def test_chosen_lengths_give_the_stated_waits(workload, context, seconds) -> None:
    """S15's median alone and S06's longest wait, from which the lengths the study leaves open were chosen."""
    plans = sampled(replace(ASK, stream=False, workload=workload, input_tokens=context), 2_000)
    assert statistics.median(plan.end_ns / 1e9 for plan in plans) == pytest.approx(seconds, rel=0.015)


@pytest.mark.slow
def test_sampled_rates_vary_about_the_stated_one() -> None:
    """S05: the median rate at 50,000 tokens within 1 %, with the profile's variation."""
    rates = [rate(plan) for plan in sampled(replace(ASK, input_tokens=50_000, max_tokens=120), 800)]
    assert statistics.median(rates) == pytest.approx(34.1, rel=0.01)
    assert statistics.stdev(map(math.log, rates)) == pytest.approx(PROFILE.throughput.cv, rel=0.15)


# --- where the study contradicts itself --------------------------------------------------------------------------


def test_ttft_and_rate_alone_do_not_explain_the_stated_total(fixed) -> None:
    """S09: without the unexplained share code takes 11.4 s and Q&A 9.3 s, not 12.3 and 9.8."""
    bare = PROFILE.with_overrides({"workloads.code.unexplained_share": 0, "workloads.qa.unexplained_share": 0})
    code = planned(replace(ASK, workload="code", input_tokens=1_000), fixed(), bare).end_ns / 1e9
    qa = planned(replace(ASK, workload="qa", input_tokens=50_000), fixed(), bare).end_ns / 1e9
    assert (round(code, 1), round(qa, 1)) == (11.4, 9.3)


def test_stated_token_counts_do_not_cost_what_is_stated() -> None:
    """S20: at $15 and $75 a million, 1,200 and 450 tokens cost $0.05175, not $0.0198; tokens are what is simulated."""
    stated = {"code": (1_200, 0.0198), "qa": (50_000, 0.0847), "extraction": (8_000, 0.0134)}
    costs = {
        name: tokens_in * 15e-6 + PROFILE.workloads[name].output_tokens * 75e-6
        for name, (tokens_in, _) in stated.items()
    }
    assert costs == pytest.approx({"code": 0.05175, "qa": 0.771, "extraction": 0.13125})
    assert all(cost > 2 * stated[name][1] for name, cost in costs.items())


def test_no_workload_has_the_median_that_is_stated_for_all() -> None:
    """S06: 847 ms is no median of S08's four; only a request that shows no workload has it."""
    medians = {name: figures.ttft_p50_ms for name, figures in PROFILE.workloads.items()}
    assert [name for name, median in medians.items() if median == 847] == ["mixed"]


def test_the_drop_over_the_whole_range_is_above_the_stated_one(fixed) -> None:
    """S05: 30 % between 1,000 and 150,000 tokens, where 15 to 25 % is said."""
    short, long = (rate(planned(replace(ASK, input_tokens=context), fixed())) for context in (1_000, 150_000))
    assert 1 - long / short == pytest.approx(0.302, abs=0.001)


# --- the form of a plan ------------------------------------------------------------------------------------------

ASKS = st.builds(
    lambda stream, workload, max_tokens, context, budget, forced: replace(
        ASK,
        stream=stream,
        workload=workload,
        max_tokens=max_tokens,
        input_tokens=context,
        thinking_budget=budget,
        schema={"type": "object", "properties": {"a": {"type": "string"}}} if forced else None,
    ),
    stream=st.booleans(),
    workload=st.sampled_from(tuple(PROFILE.workloads)),
    max_tokens=st.integers(1, 700),
    context=st.integers(1, 200_000),
    budget=st.sampled_from((0, 2_000)),
    forced=st.booleans(),
)


@given(ask=ASKS, seed=st.integers(0, 2**32))
def test_times_never_run_backwards_and_decoding_finds_nothing_missing(ask, seed) -> None:
    """Every plan is a whole message in order, whatever was asked."""
    plan = planned(ask, Random(seed))
    times = [plan.headers_ns, *(piece.at_ns for piece in plan.pieces), plan.end_ns]
    assert times == sorted(times)
    assert times[0] > 0
    answer = generation(plan, ask)
    assert (answer.complete, answer.missing, answer.failure, answer.streamed) == (True, (), "", ask.stream)
    assert answer.usage.input_tokens == ask.input_tokens
    assert 1 <= answer.usage.output_tokens <= ask.max_tokens
    assert answer.stop_reason in ("end_turn", "max_tokens")


@given(ask=ASKS, seed=st.integers(0, 2**32))
def test_streamed_or_not_the_message_and_its_total_time_are_the_same(ask, seed) -> None:
    """S06: same text, usage and end for the same random numbers."""
    streamed, whole = (replace(ask, stream=stream) for stream in (True, False))
    plans = planned(streamed, Random(seed)), planned(whole, Random(seed))
    one, other = generation(plans[0], streamed), generation(plans[1], whole)
    assert (one.text, one.usage, one.message_id, one.blocks) == (
        other.text,
        other.usage,
        other.message_id,
        other.blocks,
    )
    assert one.stop_reason == other.stop_reason
    assert plans[0].end_ns == plans[1].end_ns


def test_the_same_random_numbers_give_the_same_plan() -> None:
    """Planning has no other source of chance."""
    assert planned(ASK, Random(9)) == planned(ASK, Random(9))
    assert planned(ASK, Random(9)) != planned(ASK, Random(10))


def test_max_tokens_cuts_the_answer() -> None:
    """A shorter answer ends sooner and says why."""
    short, long = planned(replace(ASK, max_tokens=50)), planned(ASK)
    assert (tokens(short), generation(short).stop_reason) == (50, "max_tokens")
    assert short.end_ns < long.end_ns
    assert ttft(short) == ttft(long)


def test_the_first_delta_has_one_token_and_the_others_several() -> None:
    """Deltas are not tokens: median five, up to forty-one, as in recorded traffic."""
    sizes = []
    for seed in range(40):
        plan = planned(ASK, Random(seed), PROFILE.with_overrides(FINE))
        marks = [piece.at_ns for piece in plan.pieces[1:-1]]
        token_ns = (marks[-1] - marks[0]) / (tokens(plan) - 1)
        sizes += [(right - left) / token_ns for left, right in pairwise(marks)]
    assert statistics.median(sizes) == pytest.approx(5, abs=0.7)
    assert 20 <= max(sizes) <= 42


def test_a_stream_begins_with_head_and_ping_and_may_hold_more_pings() -> None:
    """`message_start`, the first block and a ping come before any content; further pings anywhere."""
    pings = []
    for seed in range(60):
        plan = planned(ASK, Random(seed))
        assert plan.pieces[0].data.endswith(b'event: ping\ndata: {"type": "ping"}\n\n')
        assert plan.headers_ns == plan.pieces[0].at_ns < plan.pieces[1].at_ns
        pings.append(generation(plan).pings)
    assert set(pings) <= {1, 2, 3, 4}
    assert len(set(pings)) > 1


def test_thinking_streams_before_the_answer() -> None:
    """Thinking is the first content, billed as output and told apart in usage."""
    answer = generation(planned(replace(ASK, thinking_budget=2_000)))
    assert answer.blocks == ("thinking", "text")
    assert answer.usage.thinking_tokens == pytest.approx(120, rel=0.5)
    assert answer.usage.output_tokens > answer.usage.thinking_tokens


def test_usage_tells_cached_tokens_apart() -> None:
    """Input tokens are without those written to or read from the cache."""
    cached = Circumstances(cache=CacheUse(written_5m=100, written_1h=200, read=300))
    usage = generation(planned(ASK, circumstances=cached)).usage
    assert (usage.input_tokens, usage.cache_creation_input_tokens, usage.cache_read_input_tokens) == (400, 300, 300)
    assert usage.cache_creation_1h_input_tokens == 200


def test_an_alias_is_answered_by_its_model() -> None:
    """The answering model's name differs from the asked one where the profile says so."""
    assert generation(planned(replace(ASK, model="claude-opus-4"))).response_model == "claude-opus-4-20250514"
    assert generation(planned(replace(ASK, model="claude-opus-4-9"))).response_model == "claude-opus-4-9"


def test_a_length_that_is_said_is_kept(fixed) -> None:
    """`output_tokens=` fixes the length, whatever the deviates."""
    assert tokens(planned(replace(ASK, output_tokens=77), fixed(2.0))) == 77


# --- faults ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 503, 529])
@pytest.mark.parametrize("stream", [True, False])
def test_error_statuses_are_answered_soon(status, stream) -> None:
    """An error comes after the profile's time, with the body its status has, streamed or not."""
    plan = planned(replace(ASK, stream=stream, fault=f"status_{status}"))
    assert (plan.status, plan.headers_ns, plan.end_ns) == (status, 150_000_000, 150_000_000)
    assert dict(plan.headers).get("retry-after") == ("1" if status == 429 else None)
    assert generation(plan).failure


@pytest.mark.parametrize("cut", ["connect", "connect_timeout"])
def test_a_connection_that_fails_has_no_response(cut) -> None:
    """Nothing is ever received."""
    plan = planned(replace(ASK, fault=cut))
    assert (plan.cut, plan.status, plan.pieces) == (Cut(cut), 0, ())


@pytest.mark.parametrize("cut", ["disconnect", "reset"])
def test_a_stream_can_be_cut_in_the_middle(cut) -> None:
    """Some of the bytes arrive, then the connection ends."""
    lengths = set()
    for seed in range(30):
        whole, plan = planned(ASK, Random(seed)), planned(replace(ASK, fault=cut), Random(seed))
        assert (plan.cut, plan.status) == (Cut(cut), 200)
        assert plan.pieces == whole.pieces[: len(plan.pieces)]
        assert 1 <= len(plan.pieces) < len(whole.pieces)
        assert plan.pieces[-1].at_ns <= plan.end_ns <= whole.end_ns
        lengths.add(len(plan.pieces))
    assert len(lengths) > 10


@pytest.mark.parametrize("cut", ["disconnect", "reset"])
def test_an_answer_that_is_not_streamed_is_cut_before_it_begins(cut) -> None:
    """The client has waited for nothing."""
    plan = planned(replace(ASK, stream=False, fault=cut))
    assert (plan.cut, plan.status, plan.pieces) == (Cut(cut), 0, ())
    assert plan.end_ns > 1e9


def test_an_error_event_ends_a_stream_of_status_200() -> None:
    """After some deltas or none; where nothing is streamed it is a 529."""
    deltas = []
    for seed in range(60):
        plan = planned(replace(ASK, fault="error_event"), Random(seed))
        answer = generation(plan)
        assert (plan.status, answer.complete) == (200, False)
        assert answer.failure.startswith("overloaded_error")
        deltas.append(len(answer.deltas))
    assert min(deltas) < 10 < max(deltas)
    assert planned(replace(ASK, stream=False, fault="error_event")).status == 529


@pytest.mark.parametrize("stream", [True, False])
def test_a_stall_delays_the_rest(stream) -> None:
    """S24: silence of the profile's length somewhere in the answer, then everything else, whole."""
    whole = planned(replace(ASK, stream=stream))
    plan = planned(replace(ASK, stream=stream, fault="stall"))
    assert [piece.data for piece in plan.pieces] == [piece.data for piece in whole.pieces]
    delays = {late.at_ns - soon.at_ns for late, soon in zip(plan.pieces, whole.pieces, strict=True)}
    assert delays <= {0, 120_000_000_000}
    assert plan.end_ns - whole.end_ns == 120_000_000_000
    assert plan.headers_ns == plan.pieces[0].at_ns


@pytest.mark.slow
def test_faults_are_drawn_with_the_shares_of_the_profile() -> None:
    """Each kind befalls its share of the requests, and none by default."""
    shares = dict(zip(FAULTS, (0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.1, 0.11, 0.12, 0.0), strict=True))
    profile = PROFILE.with_overrides({f"faults.{kind}": share for kind, share in shares.items()})
    n, ask = 4_000, replace(ASK, max_tokens=3)
    plans = [planned(ask, Random(seed), profile) for seed in range(n)]
    seen = {status: sum(plan.status == status for plan in plans) / n for status in (429, 500, 503, 529)}
    seen |= {cut: sum(plan.cut == cut for plan in plans) / n for cut in Cut if cut}
    for kind, share in shares.items():
        key = int(kind[7:]) if kind.startswith("status") else kind
        if key in seen:
            assert seen[key] == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / n)), kind
    errors = sum(b"event: error" in plan.body for plan in plans) / n
    assert errors == pytest.approx(0.12, abs=0.02)
    assert all(planned(ask, Random(seed)).status == 200 for seed in range(200))


def test_a_fault_leaves_the_answer_it_befalls_unchanged() -> None:
    """Faults and answers draw from one source without disturbing each other."""
    profile = PROFILE.with_overrides({"faults.stall": 1.0})
    assert planned(ASK, Random(4), profile).body == planned(ASK, Random(4)).body


def test_throttled_requests_are_told_when_to_come_back() -> None:
    """A 429 of the rate limiter names whole seconds, at least one."""
    for wait, header in ((0.2, "1"), (1.2, "2")):
        plan = planned(circumstances=Circumstances(throttled_seconds=wait))
        assert (plan.status, dict(plan.headers)["retry-after"]) == (429, header)
