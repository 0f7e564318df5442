"""The arithmetic that turns a call into a measurement; first the traps of measuring LLM calls, one test each."""

import math

import pytest

from factories import attempt, call
from pytest_llmperf.core.exchange import Connection
from pytest_llmperf.core.generation import Usage
from pytest_llmperf.core.metrics import LATENCIES, METRICS, RATES_OF_A_CALL, measure, needs_waiting
from pytest_llmperf.core.pricing import Price, PriceBook

INF = math.inf
PRICES = PriceBook(own={"claude-opus-4-20250514": Price(15, 75, 18.75, 1.5, 30)})


def measured(one, *, clock="realtime", zero=0, round_number=0):
    return measure(one, round_number=round_number, zero_ns=zero * 1_000_000, clock=clock, prices=PRICES)


def values(one, *names, clock="realtime"):
    found = measured(one, clock=clock)
    return tuple(found.values.get(name) for name in names)


def why(one, name, clock="realtime"):
    return measured(one, clock=clock).absent[name]


def connected(state="new", wait=None, tcp=None, tls=None):
    nanoseconds = (None if part is None else part * 1_000_000 for part in (wait, tcp, tls))
    return Connection(state, *nanoseconds)


# --- the traps -------------------------------------------------------------------------------------------------------


class TestTheHeadIsNotAToken:
    def test_ttft_is_the_first_content_delta(self):
        """Headers and the stream's opening events at 5 ms are no token: the first delta at 100 ms is."""
        streamed = call(head=5, deltas=[(5, "other", 0), (100, "text", 5), (200, "text", 5)])
        assert values(streamed, "ttft") == (0.100,)

    def test_a_stream_without_content_has_no_ttft(self):
        """A refusal may stream a head and an end and nothing between: no first token, rather than an early one."""
        refused = call(head=5, deltas=[], ended=80, usage=Usage(1000, 3))
        assert values(refused, "ttft", "ttfat", "e2e") == (None, None, 0.080)
        assert why(refused, "ttft") == "the answer held no content"


class TestThinkingBeforeText:
    thought = call(deltas=[(100, "thinking", 9), (250, "thinking", 9), (300, "signature", 0), (400, "text", 5)])

    def test_both_waits_are_told(self):
        """TTFT ends with the first thinking, time to first answer token with the first text."""
        assert values(self.thought, "ttft", "ttfat") == (0.100, 0.400)

    def test_a_tool_call_is_an_answer(self):
        """Arguments of a tool call end the wait for an answer as text does."""
        assert values(call(deltas=[(100, "thinking", 9), (300, "tool", 4)]), "ttft", "ttfat") == (0.100, 0.300)

    def test_thinking_alone_is_no_answer(self):
        """With the tokens used up by thinking there is a first token and no first answer token."""
        cut = call(deltas=[(100, "thinking", 9), (300, "thinking", 9)], stop_reason="max_tokens")
        assert values(cut, "ttft", "ttfat") == (0.100, None)
        assert why(cut, "ttfat") == "the answer held no text and no tool call"

    def test_withheld_thinking_is_seen_by_its_signature(self):
        """Where only a signature stands for the thinking, it is the first sign of output."""
        withheld = call(deltas=[(300, "signature", 0), (400, "text", 5), (600, "text", 5)])
        assert values(withheld, "ttft", "ttfat") == (0.300, 0.400)

    def test_withheld_thinking_takes_no_part_in_the_time_per_token(self):
        """Of 111 tokens 100 were thought unseen: the 200 ms of text hold the ten gaps of the other eleven."""
        deltas = [(300, "signature", 0), (400, "text", 5), (600, "text", 5)]
        counted = call(deltas=deltas, usage=Usage(1000, 111, thinking_tokens=100))
        assert values(counted, "tpot") == (0.020,)
        assert why(call(deltas=deltas, usage=Usage(1000, 111)), "tpot").startswith("thinking was withheld")

    def test_thinking_that_left_no_trace_but_a_count_takes_no_part_either(self):
        """Some protocols count reasoning tokens and stream nothing for them."""
        counted = call(deltas=[(400, "text", 5), (600, "text", 5)], usage=Usage(1000, 111, thinking_tokens=100))
        assert values(counted, "tpot") == (0.020,)

    def test_shown_thinking_is_output_like_any(self):
        """Thinking that is streamed counts in time and in tokens."""
        shown = call(deltas=[(100, "thinking", 5), (300, "text", 5)], usage=Usage(1000, 21, thinking_tokens=10))
        assert values(shown, "tpot") == (0.010,)

    @pytest.mark.parametrize("first", ["thinking", "text"])
    def test_redacted_thinking_leaves_no_time_per_token(self, first):
        """Tokens that came without a delta and without a count of their own cannot be told from the others."""
        redacted = call(deltas=[(100, first, 5), (300, "text", 5)], blocks=("redacted_thinking", first, "text"))
        assert "withheld" in why(redacted, "tpot")


class TestDeltasAreNotTokens:
    def test_tpot_counts_tokens_by_usage(self):
        """Two deltas 100 ms apart that held eleven tokens are 10 ms a token."""
        assert values(call(deltas=[(100, "text", 30), (200, "text", 30)], usage=Usage(1000, 11)), "tpot") == (0.010,)

    def test_output_tps_is_its_inverse(self):
        """10 ms a token is 100 tokens a second; of the whole time it is eleven tokens in 200 ms."""
        assert values(call(), "output_tps", "e2e_tps") == pytest.approx((100.0, 55.0))

    def test_event_gaps_are_a_metric_of_their_own(self):
        """What lies between events says nothing of tokens."""
        assert measured(call(deltas=[(100, "text", 30), (140, "text", 30), (200, "text", 1)])).event_gaps == (
            0.040,
            0.060,
        )

    @pytest.mark.parametrize(
        ("deltas", "tokens", "reason"),
        [
            ([(100, "text", 5)], 11, "fewer than two deltas or tokens: there is no time between them"),
            ([(100, "text", 5), (200, "text", 5)], 1, "fewer than two deltas or tokens: there is no time between them"),
            ([(100, "text", 5), (100, "text", 5)], 11, "all output arrived at once"),
            ([(100, "text", 5), (200, "text", 5)], None, "the stream carried no final usage"),
        ],
    )
    def test_no_time_per_token_is_made_up(self, deltas, tokens, reason):
        """One delta, one token, one instant or no count: tpot and its inverse are absent, for that reason."""
        answer = call(deltas=deltas, usage=Usage(1000, tokens))
        assert (why(answer, "tpot"), why(answer, "output_tps")) == (reason, reason)


class TestUsageIsSplit:
    def test_a_cut_stream_has_no_output_count(self):
        """A stream that was left early, or died, has no final count, whatever its head said."""
        left = call(end="closed", usage=Usage(1000, 1))
        died = call(end="error", error="ReadError: reset", usage=Usage(1000, 1))
        assert values(left, "output_tokens", "input_tokens") == (None, 1000.0)
        assert values(died, "output_tokens", "input_tokens") == (None, None)
        assert why(left, "output_tokens") == "the application stopped reading before the final count"
        assert why(died, "output_tokens") == "the call failed"

    def test_the_final_count_is_taken_as_it_is(self):
        """Nothing is added to the usage that was decoded."""
        whole = call(usage=Usage(25, 401, cache_creation_input_tokens=7, cache_read_input_tokens=5000))
        names = ("input_tokens", "output_tokens", "cache_write_tokens", "cache_read_tokens")
        assert values(whole, *names) == (25.0, 401.0, 7.0, 5000.0)

    def test_an_uncounted_kind_is_absent(self):
        """A wire that does not speak of caches has not said zero."""
        assert why(call(usage=Usage(25, 401)), "cache_read_tokens") == "the answer did not say"


class TestRetriesHideThrottling:
    retried = call(
        attempt(sent=0, head=50, status=429),
        attempt(sent=650, head=680, status=429),
        attempt(sent=2000, head=2005, deltas=[(2100, "text", 5), (2200, "text", 5)]),
    )

    def test_every_attempt_is_counted(self):
        """Three requests, two of them answered 429."""
        found = measured(self.retried)
        assert (found.attempts, found.throttled, found.failure) == (3, 2, "")

    def test_the_wait_between_them_is_told(self):
        """600 ms and 1320 ms passed between one attempt's end and the next one's start."""
        assert values(self.retried, "retry_wait") == pytest.approx((1.920,))

    def test_the_caller_waits_from_the_first_attempt(self):
        """TTFT and E2E hold failed attempts and back-off; the last attempt's own are told apart."""
        names = ("ttft", "ttfat", "e2e", "attempt_ttft", "attempt_e2e")
        assert values(self.retried, *names) == (2.100, 2.100, 2.200, 0.100, 0.200)

    def test_time_per_token_is_the_last_attempts(self):
        """Waiting does not slow generation down, but it does the whole call."""
        assert values(self.retried, "tpot", "e2e_tps") == (0.010, 5.0)

    def test_a_call_of_one_attempt_did_not_wait(self):
        """No retry is a wait of nothing, not an absent one."""
        assert values(call(), "retry_wait", "attempts") == (0.0, 1.0)

    def test_an_attempt_without_a_seen_end_leaves_no_wait(self):
        """Without the end of the first attempt the time between the two is not known."""
        unseen = call(attempt(status=None, end="open"), attempt(sent=500, deltas=[(600, "text", 5)]))
        assert why(unseen, "retry_wait") == "the end of an earlier attempt was not seen"

    def test_an_error_inside_a_stream_fails_the_call(self):
        """HTTP 200 and two deltas before an error event are no short success."""
        overloaded = call(failure="overloaded_error: Overloaded")
        assert measured(overloaded).failure == "overloaded_error: Overloaded"
        assert values(overloaded, "ttft", "e2e", "tpot") == (INF, INF, INF)


class TestQueueBeforeTheWire:
    queued = call(
        started=20,
        sent=200,
        deltas=[(300, "text", 5), (400, "text", 5)],
        connection=connected(wait=150, tcp=10, tls=15),
        entered=0,
        first_event=302,
        returned=210,
    )

    def test_ttft_starts_at_the_last_byte_of_the_request(self):
        """180 ms went by before the request was sent, and are none of the provider's."""
        assert values(self.queued, "ttft", "e2e", "attempt_e2e") == (0.100, 0.200, 0.200)

    def test_the_wait_for_a_connection_is_told_apart(self):
        """Pool, TCP and TLS each have their metric."""
        assert values(self.queued, "queue", "connect", "tls") == (0.150, 0.010, 0.015)

    def test_what_remains_is_the_clients_own(self):
        """302 ms from call to event, less 175 of connection and 100 of TTFT: 27 ms were the client's."""
        assert values(self.queued, "client_lag") == pytest.approx((0.027,))

    def test_the_clients_own_has_two_parts(self):
        """25 ms beside the set-up until the request had left, 2 from the first delta to the event."""
        assert values(self.queued, "call_to_wire", "wire_to_event") == pytest.approx((0.025, 0.002))

    def test_a_part_may_be_known_alone(self):
        """The sending of a call that failed, or did not stream; the reading of one whose set-up was not seen."""
        reused = connected("reused", 1)
        assert values(call(body=500, entered=0, connection=reused), "call_to_wire", "wire_to_event") == (0.0, None)
        failed = attempt(sent=7, status=500, connection=reused)
        assert values(call(failed, entered=0), "call_to_wire") == (0.006,)
        unseen = call(entered=0, first_event=103, connection=connected("unknown"))
        assert values(unseen, "call_to_wire", "wire_to_event") == (None, 0.003)
        assert why(unseen, "call_to_wire") == "no connection was seen, so what of it was set-up is not known"
        never = attempt(sent=None, end="error", error="ConnectError: refused")
        assert why(call(never, entered=0), "call_to_wire") == "the first request was not seen to leave"
        assert why(call(), "call_to_wire") == "the call did not go through an SDK that is known here"

    def test_the_call_is_what_the_application_felt(self):
        """From calling the SDK to its return, everything inside."""
        assert values(self.queued, "call") == (0.210,)

    def test_retries_are_not_the_clients_lag(self):
        """A back-off of 900 ms is inside the TTFT, so it is not taken for lag."""
        retried = call(
            attempt(sent=2, head=50, status=429),
            attempt(sent=950, deltas=[(1000, "text", 5), (1100, "text", 5)]),
            entered=0,
            first_event=1001,
        )
        assert values(retried, "client_lag") == pytest.approx((0.003,))

    def test_only_the_set_up_before_the_first_request_is_taken_off(self):
        """A retry's new connection is inside the TTFT already: taken off twice, it would hide 25 ms of lag."""
        retried = call(
            attempt(started=2, sent=30, head=50, status=500, connection=connected("new", 0, 10, 5)),
            attempt(started=900, sent=950, deltas=[(1000, "text", 5)], connection=connected("new", 0, 20, 20)),
            entered=0,
            first_event=1010,
        )
        assert values(retried, "ttft", "client_lag") == pytest.approx((0.970, 0.025))

    def test_without_a_known_sdk_there_is_neither(self):
        """Who called, and when, is not known of a bare HTTP client."""
        bare = call()
        assert values(bare, "client_lag", "call") == (None, None)
        assert why(bare, "client_lag") == "the application saw no content event of a known SDK"

    def test_an_answer_in_one_piece_has_no_client_lag(self):
        """Without a first token there is nothing to compare the first event with."""
        assert why(call(body=500, entered=0, first_event=501), "client_lag") == "there is no TTFT to compare with"


class TestConnections:
    def test_a_reused_connection_took_no_set_up(self):
        """Reuse is a set-up of nothing, which is known."""
        assert values(call(connection=connected("reused", wait=1)), "queue", "connect", "tls") == (0.001, 0.0, 0.0)

    def test_attempts_add_up(self):
        """A retry on a new connection sets up twice."""
        twice = call(
            attempt(status=500, connection=connected("new", 1, 10, 20)),
            attempt(sent=300, deltas=[(400, "text", 5)], connection=connected("new", 2, 30, 40)),
        )
        assert values(twice, "queue", "connect", "tls") == pytest.approx((0.003, 0.040, 0.060))

    @pytest.mark.parametrize("state", ["unknown", "none"])
    def test_what_was_not_seen_is_absent(self, state):
        """A transport that tells nothing, or an answer that nobody fetched, has no connection times."""
        assert why(call(connection=Connection(state)), "queue") == "no connection was seen"

    def test_one_unseen_attempt_hides_the_sum(self):
        """Half a sum is no sum."""
        half = call(
            attempt(status=500), attempt(sent=300, deltas=[(400, "text", 5)], connection=connected("new", 2, 30, 40))
        )
        assert values(half, "queue", "connect") == (None, None)

    def test_a_wait_that_ended_in_vain_is_still_a_wait(self):
        """A pool that gave no connection in time: the wait is known, and what was not reached is not."""
        in_vain = call(
            sent=None, status=None, end="error", error="PoolTimeout: ", connection=connected("unknown", wait=5000)
        )
        assert values(in_vain, "queue", "connect") == (5.0, None)

    def test_a_connection_that_never_stood_has_no_set_up_time(self):
        """A new connection without an end of its set-up is not one that took no time."""
        assert why(call(connection=connected("new", wait=1)), "connect").startswith("the set-up of a new connection")


class TestTheClock:
    retried = call(attempt(status=429), attempt(sent=900, deltas=[(1000, "text", 5), (1100, "text", 5)]), entered=0)

    def test_only_differences_mean_anything(self):
        """Any origin of the clock gives the same measurement."""
        late = call(
            sent=10**9, head=10**9 + 5, deltas=[(10**9 + 100, "text", 5), (10**9 + 200, "text", 5)], usage=Usage(9, 11)
        )
        assert measured(late, zero=10**9) == measured(call(usage=Usage(9, 11)))

    def test_the_instant_clock_tells_the_times_inside_one_attempt(self):
        """A timeline gives TTFT, E2E and time per token although nothing waited."""
        assert values(call(), "ttft", "e2e", "tpot", clock="instant") == (0.100, 0.200, 0.010)

    def test_the_instant_clock_refuses_what_spans_attempts(self):
        """The wait between two attempts did not happen, so no metric may hold it."""
        for name in ("ttft", "ttfat", "e2e", "e2e_tps", "retry_wait"):
            assert why(self.retried, name, clock="instant").startswith("the instant clock does not wait")
        assert values(self.retried, "attempt_ttft", "attempt_e2e", "tpot", clock="instant") == (0.100, 0.200, 0.010)

    @pytest.mark.parametrize(
        "name", ["call", "client_lag", "call_to_wire", "wire_to_event", "queue", "connect", "tls", "retry_wait"]
    )
    def test_the_instant_clock_refuses_what_needs_waiting(self, name):
        """The client's own times say nothing beside a timeline, even for one attempt."""
        seen = call(entered=0, returned=10, first_event=105, connection=connected("new", 1, 2, 3))
        assert needs_waiting(name)
        assert why(seen, name, clock="instant").startswith("the instant clock does not wait")

    def test_a_failure_needs_no_clock(self):
        """A call that failed after its retries is infinitely slow on the instant clock too."""
        failed = call(attempt(status=529), attempt(sent=900, status=529), entered=0)
        assert values(failed, "e2e", "call", "e2e_tps", clock="instant") == (INF, INF, 0.0)

    @pytest.mark.parametrize("name", ["client_lag", "call_to_wire", "wire_to_event"])
    def test_virtual_time_knows_no_client_lag(self, name):
        """Time that stands still while the client computes cannot tell how long it did."""
        seen = call(entered=0, returned=10, first_event=105)
        assert why(seen, name, clock="virtual") == "virtual time does not pass while the client computes"
        assert values(seen, "call", clock="virtual") == (0.010,)


class TestThePromptCache:
    def test_a_hit_is_seen_and_priced(self):
        """Tokens read from the cache have their own metric and their own price."""
        hit = call(usage=Usage(100, 10, cache_creation_input_tokens=0, cache_read_input_tokens=50_000))
        assert values(hit, "cache_read_tokens", "cache_write_tokens") == (50_000.0, 0.0)
        assert values(hit, "cost") == pytest.approx(((100 * 15 + 10 * 75 + 50_000 * 1.5) / 1e6,))


class TestStopReasons:
    def test_the_reason_is_kept(self):
        """An answer that was cut short by its limit of tokens is marked so."""
        assert measured(call(stop_reason="max_tokens")).stop_reason == "max_tokens"
        assert measured(call(status=500)).stop_reason == ""


# --- answers in one piece, left early, read by others ---------------------------------------------------------------


class TestAnswersInOnePiece:
    whole = call(body=500, usage=Usage(1000, 50))

    def test_e2e_ends_with_the_last_byte_of_the_body(self):
        """The one time there is."""
        assert values(self.whole, "e2e", "e2e_tps") == (0.500, 100.0)

    @pytest.mark.parametrize("name", ["ttft", "ttfat", "attempt_ttft", "tpot", "output_tps", "event_gap"])
    @pytest.mark.parametrize("one", [whole, call(body=500, status=500, streamed=False)], ids=["well", "failed"])
    def test_metrics_of_streams_are_absent_whether_it_failed_or_not(self, name, one):
        """A call that did not stream has no first token, not even an infinitely late one."""
        assert why(one, name) == "the call did not stream"
        assert measured(one).event_gaps == ()


class TestCallsThatWereLeft:
    left = call(deltas=[(100, "text", 5), (200, "text", 5)], end="closed", ended=210)

    def test_leaving_is_no_failure(self):
        """The first token came, and was read: that much is known."""
        assert measured(self.left).failure == ""
        assert values(self.left, "ttft") == (0.100,)
        assert measured(self.left).event_gaps == (0.100,)

    @pytest.mark.parametrize("name", ["e2e", "attempt_e2e", "tpot", "output_tps", "e2e_tps"])
    def test_what_the_end_would_have_told_is_absent(self, name):
        """An answer nobody waited for was not a quick one."""
        assert why(self.left, name) == "the application stopped reading before the end"

    def test_leaving_before_the_first_token_is_no_first_token(self):
        """A reader that left while it waited has seen no TTFT, good or bad."""
        early = call(deltas=[], end="closed", ended=3000)
        assert why(early, "ttft") == "the application stopped reading before it came"


class TestBufferedAnswers:
    buffered = call(provenance="buffered")

    @pytest.mark.parametrize("name", ["ttft", "ttfat", "attempt_ttft", "tpot", "output_tps", "event_gap"])
    def test_no_time_inside_the_body_is_told(self, name):
        """When another tool read the body first, its chunks' times are those of that tool."""
        assert why(self.buffered, name) == "another tool read the whole answer before the client saw its first byte"

    def test_the_whole_time_is(self):
        """The end of the answer is where it was."""
        assert values(self.buffered, "e2e") == (0.200,)

    def test_a_failed_one_is_slow_all_the_same(self):
        """No time is needed to know that it never came."""
        failed = measured(call(provenance="buffered", failure="api_error: x"))
        assert (failed.values["ttft"], failed.event_gaps) == (INF, (INF,))


# --- failures --------------------------------------------------------------------------------------------------------


class TestFailedCalls:
    failed = call(attempt(status=529, ended=30), entered=0, returned=40)

    @pytest.mark.parametrize("name", sorted(LATENCIES))
    def test_a_failed_call_is_infinitely_slow(self, name):
        """However quickly it failed; the SDK's own time is no exception."""
        assert values(self.failed, name) == (INF,)

    @pytest.mark.parametrize("name", sorted(RATES_OF_A_CALL))
    def test_a_failed_call_has_no_speed(self, name):
        """Zero tokens a second."""
        assert values(self.failed, name) == (0.0,)

    def test_a_failed_stream_ends_in_an_infinite_gap(self):
        """After two deltas came an error: the next one never came."""
        assert measured(call(failure="overloaded_error: x")).event_gaps == (0.100, INF)

    def test_its_time_is_kept(self):
        """The moment of the failure is known, the time of its last content is not asked for."""
        assert measured(self.failed, zero=-1000).finished == pytest.approx(1.030)

    def test_a_call_still_running_has_no_end(self):
        """Nothing is made up for it."""
        running = measured(call(end="open"))
        assert (running.finished, running.failure) == (None, "still running when its round ended")

    def test_without_a_known_sdk_its_call_time_is_absent_too(self):
        """What other calls of this client do not have, a failed one does not have either."""
        assert values(call(status=529), "call", "e2e") == (None, INF)


class TestCost:
    def test_tokens_times_prices(self):
        """1000 tokens at $15 and 11 at $75 a million."""
        assert values(call(), "cost") == pytest.approx((0.015825,))

    @pytest.mark.parametrize("status", [400, 429, 500, 529])
    def test_an_error_status_is_not_billed(self, status):
        """Zero dollars here are known, not absent."""
        assert values(call(status=status), "cost") == (0.0,)

    @pytest.mark.parametrize(
        "broken",
        [
            {"failure": "overloaded_error: Overloaded"},
            {"end": "error", "error": "ReadTimeout: "},
            {"end": "closed"},
            {"end": "open"},
            {"status": None, "end": "error", "error": "ReadTimeout: "},
        ],
        ids=str,
    )
    def test_a_broken_answer_may_have_been_billed(self, broken):
        """Without the final usage its cost is unknown, not nothing."""
        assert why(call(**broken), "cost") == "the answer was cut before its final usage"

    @pytest.mark.parametrize(("error", "provenance"), [("ConnectError: refused", "unknown"), ("WriteError: x", "wire")])
    def test_a_request_that_never_left_cost_nothing(self, error, provenance):
        """A connection that was refused, or broke while the request was written."""
        unsent = call(sent=None, started=0, status=None, end="error", error=error, provenance=provenance)
        assert values(unsent, "cost") == (0.0,)

    def test_a_transport_that_does_not_tell_does_not_prove_it_either(self):
        """No sign of sending is no sign of not sending."""
        silent = call(sent=None, started=0, status=None, end="error", error="ReadTimeout: ", provenance="unknown")
        assert values(silent, "cost") == (None,)

    def test_a_retried_error_status_adds_nothing(self):
        """Only the answer is paid for."""
        retried = call(attempt(status=429), attempt(sent=900, deltas=[(1000, "text", 5), (1100, "text", 5)]))
        assert values(retried, "cost") == pytest.approx((0.015825,))

    def test_a_retried_time_out_may_have_been_billed(self):
        """The provider may have answered an attempt that the client gave up."""
        retried = call(
            attempt(status=None, end="error", error="ReadTimeout: ", ended=60_000),
            attempt(sent=61_000, deltas=[(61_100, "text", 5)]),
        )
        assert why(retried, "cost") == "an earlier attempt broke off after it was sent and may have been billed"


# --- the record ------------------------------------------------------------------------------------------------------


class TestMeasurements:
    @pytest.mark.parametrize(
        "one",
        [call(), call(body=500), call(status=529), call(end="closed"), call(end="open"), call(deltas=[])],
        ids=["streamed", "whole", "failed", "left", "running", "empty"],
    )
    @pytest.mark.parametrize("clock", ["realtime", "virtual", "instant", "manual"])
    def test_every_metric_of_a_call_is_there_or_absent_with_a_reason(self, one, clock):
        """Never both, never neither, and never without words."""
        found = measured(one, clock=clock)
        per_call = {name for name, row in METRICS.items() if row.per == "call"}
        assert found.values.keys() | (found.absent.keys() - {"event_gap"}) == per_call
        assert not found.values.keys() & found.absent.keys()
        assert all(found.absent.values())
        assert not any(math.isnan(value) for value in found.values.values())

    def test_times_count_from_the_start_of_the_series(self):
        """Dispatch is the first attempt's last request byte, the end is the last content."""
        found = measured(call(sent=50, deltas=[(100, "text", 5), (200, "text", 5)], ended=230), zero=20, round_number=7)
        assert (found.round, found.dispatched, found.finished) == (7, 0.030, 0.180)

    def test_a_retried_call_is_dispatched_with_its_first_attempt(self):
        """Dispatch order is the order of calls, not of their last attempts."""
        retried = call(attempt(sent=30, head=50, status=429), attempt(sent=900, deltas=[(1000, "text", 5)]))
        assert measured(retried, zero=20).dispatched == 0.010

    def test_where_it_came_from_is_kept(self):
        """Model, endpoint, protocol and provenance stand beside the numbers."""
        found = measured(call(response_model="claude-opus-4-1", usage=Usage(1, 2)))
        assert (found.model, found.endpoint) == ("claude-opus-4-1", "api.anthropic.com")
        assert (found.protocol, found.provenance, found.usage) == ("anthropic.messages", "wire", Usage(1, 2))
        assert measured(call()).model == "claude-opus-4-20250514"


def test_the_table_says_everything_of_a_metric():
    """Each row has a formula, a source, a direction and a level it belongs to; no name is there twice."""
    for name, row in METRICS.items():
        assert row.name == name
        assert row.formula
        assert row.source
        assert row.better in {"lower", "higher", ""}
        assert row.per in {"call", "event", "round", "series"}


class TestLateness:
    """By how much the client may have come late to what each time ends with."""

    def late(self, one, moments):
        """By milliseconds of the moments, as the clock that is asked would say."""
        known = {at * 1_000_000: late / 1e3 for at, late in moments.items()}
        return measure(one, round_number=0, zero_ns=0, clock="realtime", prices=PRICES, lateness=known.get).late

    def test_each_time_has_that_of_its_end(self):
        """Thinking begins at 100 ms, the answer at 200, and the last of it comes at 300."""
        streamed = call(
            deltas=[(100, "thinking", 5), (200, "text", 5), (300, "text", 5)], entered=0, returned=50, first_event=101
        )
        late = self.late(streamed, {100: 1, 200: 2, 300: 3, 50: 4})
        assert late["ttft"] == late["attempt_ttft"] == 0.001
        assert late["ttfat"] == 0.002
        assert late["e2e"] == late["attempt_e2e"] == late["e2e_tps"] == 0.003
        assert late["call"] == 0.004

    @pytest.mark.parametrize(("first", "last", "expected"), [(1, 3, 0.003), (3, 1, 0.003)])
    def test_a_time_between_two_reads_has_the_greater(self, first, last, expected):
        """Either can be off."""
        late = self.late(call(deltas=[(100, "text", 5), (300, "text", 5)]), {100: first, 300: last})
        assert late["tpot"] == late["output_tps"] == expected

    def test_an_answer_in_one_piece_has_only_its_end(self):
        """There is no first token to be late for."""
        assert self.late(call(streamed=False, body=300), {300: 7}) == dict.fromkeys(
            ("e2e", "attempt_e2e", "e2e_tps"), 0.007
        )

    def test_what_nobody_knows_is_left_out(self):
        """A moment that was not watched leaves the metric without."""
        streamed = call(deltas=[(100, "text", 5), (300, "text", 5)])
        assert set(self.late(streamed, {300: 3})) == {"e2e", "attempt_e2e", "e2e_tps"}
        assert measured(streamed).late == {}


# --- recordings ------------------------------------------------------------------------------------------------------


class TestRecordings:
    """What the instant clock can tell of an answer from a cassette."""

    def retried(self, provenance):
        """A call refused after 100 ms and answered from 600 ms on."""
        refused = attempt(sent=0, head=50, status=529, ended=100, provenance=provenance)
        answered = attempt(sent=600, deltas=[(700, "text", 5), (900, "text", 5)], provenance=provenance)
        return call(refused, answered)

    def test_the_time_between_attempts_is_known_of_a_recording(self):
        """All attempts have the times of one recording, so that the wait between them is one of them."""
        names = ("ttft", "e2e", "retry_wait")
        assert values(self.retried("replayed"), *names, clock="instant") == (0.7, 0.9, 0.5)

    def test_it_is_not_of_answers_that_were_made_up_one_by_one(self):
        """A simulated API that does not wait knows nothing of what lies between two of its answers."""
        assert values(self.retried("substituted"), "ttft", "retry_wait", clock="instant") == (None, None)

    def test_what_the_sdk_took_is_on_no_recording(self):
        """The SDK's own times are those of now, and mean nothing."""
        assert values(self.retried("replayed"), "call", "client_lag", clock="instant") == (None, None)
        assert needs_waiting("call", recorded=True)
        assert not needs_waiting("retry_wait", recorded=True)

    @pytest.mark.parametrize("clock", ["instant", "realtime", "virtual"])
    def test_an_untimed_recording_tells_no_time(self, clock):
        """Nobody noted when its parts came: every time is absent with that reason, usage and cost are there."""
        untimed = call(provenance="untimed")
        for name in ("ttft", "ttfat", "e2e", "tpot", "output_tps", "e2e_tps", "event_gap", "attempt_e2e", "connect"):
            assert why(untimed, name, clock).startswith("the cassette is untimed")
        assert None not in values(untimed, "input_tokens", "output_tokens", "cost", clock=clock)

    def test_an_untimed_failure_is_slow_all_the_same(self):
        """That a call failed needs no clock."""
        assert values(call(provenance="untimed", failure="api_error: x"), "ttft", "e2e") == (INF, INF)


UNASKED = "no usage came (stream_options.include_usage was not asked for)"


def test_tokens_that_nobody_asked_for_are_absent_for_that_reason():
    """Without usage no rate, no count and no cost is guessed; times are what they are."""
    one = measured(call(usage=Usage(), uncounted=UNASKED))
    names = ("tpot", "output_tps", "e2e_tps", "input_tokens", "output_tokens", "cost")
    assert {name: one.absent.get(name) for name in names} == dict.fromkeys(names, UNASKED)
    assert (one.values["ttft"], one.values["e2e"]) == (0.1, 0.2)


def test_a_protocol_that_is_not_decoded_has_an_end_and_nothing_else():
    """Bytes and times are measured, words and counts are absent."""
    reason = "protocol not decoded"
    made = attempt(0, 5, (), body=300, streamed=True, usage=Usage(), undecoded=reason, uncounted=reason)
    one = measured(call(made))
    names = ("ttft", "ttfat", "tpot", "output_tps", "event_gap", "output_tokens", "cost")
    assert {name: one.absent.get(name) for name in names} == dict.fromkeys(names, reason)
    assert one.values["e2e"] == 0.3
