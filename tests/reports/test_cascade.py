"""The stages of one call."""

from pytest_llmperf.reports.cascade import bars

NOTHING = dict.fromkeys(("queue", "connect", "tls", "sent", "headers", "first", "last", "ended", "status"))


def attempt(**moments):
    return {"started": 0.0, "failure": "", **NOTHING, **moments}


def stages(*attempts):
    found = bars({"round": 7, "attempts": attempts})
    return [(bar.attempt, bar.stage, round(bar.start, 9), round(bar.start + bar.seconds, 9)) for bar in found]


def test_stages_follow_one_another():
    """The connection first, then what lies between the moments that were seen."""
    whole = attempt(queue=0.1, connect=0.2, tls=0.3, sent=0.7, headers=1.0, first=1.5, last=3.0, ended=3.1, status=200)
    name = "round 7 (200)"
    assert stages(whole) == [
        (name, "wait for a connection", 0.0, 0.1),
        (name, "TCP connect", 0.1, 0.3),
        (name, "TLS", 0.3, 0.6),
        (name, "sending", 0.6, 0.7),
        (name, "wait for headers", 0.7, 1.0),
        (name, "wait for the first content", 1.0, 1.5),
        (name, "content", 1.5, 3.0),
        (name, "end of the answer", 3.0, 3.1),
    ]


def test_what_was_not_seen_has_no_bar():
    """An answer in one piece, over a connection that stood."""
    plain = attempt(sent=0.0, headers=2.0, ended=2.5, status=200)
    assert [stage for _, stage, *_ in stages(plain)] == ["wait for headers", "end of the answer"]


def test_attempts_are_numbered_with_their_answers():
    """The wait between them is the gap between their bars."""
    first = attempt(sent=0.0, headers=0.5, ended=0.5, status=529)
    second = attempt(started=1.5, sent=1.5)
    assert stages(first, second) == [
        ("attempt 1 (529)", "wait for headers", 0.0, 0.5),
        ("attempt 2 (no answer)", "sending", 1.5, 1.5),
    ]


def test_an_arm_is_named():
    """Where a plot holds the calls of several."""
    (bar,) = bars({"round": 7, "attempts": [attempt(sent=0.0, headers=1.0, status=200)]}, "warm")
    assert bar.attempt == "warm: round 7 (200)"
