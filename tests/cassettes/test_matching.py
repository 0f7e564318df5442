"""Which recording answers which request."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vcr import matchers
from vcr.request import Request

from pytest_llmperf.cassettes.matching import Shelf, canonical, same_request
from pytest_llmperf.cassettes.timeline import NO_ROUND, Label


def asked(body=b'{"a": 1}', *, host="api.anthropic.com", retry=0, query="", **headers):
    """A request for a message."""
    return Request(
        "POST", f"https://{host}/v1/messages{query}", body, {"x-stainless-retry-count": str(retry), **headers}
    )


def shelf(*recordings, match_on=(same_request,)):
    """A shelf with requests, each alone or with its label."""
    filled = Shelf(match_on)
    for number, one in enumerate(recordings):
        request, label = one if isinstance(one, tuple) else (one, NO_ROUND)
        filled.add(number, request, label)
    return filled


def test_each_once_in_order():
    """Identical requests get the recordings in the order they were made, and none twice."""
    there = shelf(asked(), asked(), asked(b"other"))
    assert [there.take(asked(), NO_ROUND) for _ in range(3)] == [0, 1, None]
    assert list(there.alike(asked())) == [0, 1]
    there.renew()
    assert there.take(asked(), NO_ROUND) == 0


@pytest.mark.parametrize(
    ("body", "found"),
    [(b'{ "a":1 }', 0), (b'{"a": 2}', None), (b"not json", None), (b"", None)],
)
def test_bodies_are_compared_by_what_they_say(body, found):
    """Space does not count in JSON; a value does."""
    assert shelf(asked()).take(asked(body), NO_ROUND) == found


def test_the_query_counts():
    """Its order does not."""
    there = shelf(asked(query="?a=1&b=2"))
    assert there.take(asked(), NO_ROUND) is None
    assert there.take(asked(query="?b=2&a=1"), NO_ROUND) == 0


def test_the_host_counts_once_there_are_several():
    """One host's recordings answer every host; those of two hosts only their own."""
    assert shelf(asked(host="127.0.0.1")).take(asked(), NO_ROUND) == 0
    there = shelf(asked(host="eu"), asked(host="us"))
    assert [there.take(asked(host=host), NO_ROUND) for host in ("us", "us", "eu", "asia")] == [1, None, 0, None]


def test_retries_come_from_their_lane_first():
    """A retry is answered from a retry, and from another attempt only when there is none."""
    there = shelf(asked(retry=0), asked(retry=1), asked(retry=0))
    assert [there.take(asked(retry=retry), NO_ROUND) for retry in (1, 0, 1, 0)] == [1, 0, 2, None]


def test_rounds_come_from_their_own():
    """A round is answered from its own recordings, and never from those that another needs."""
    there = shelf((asked(), Label(0)), (asked(), Label(1)), (asked(), Label(1)))
    assert [there.take(asked(), Label(one)) for one in (1, 0, 0, 1, 1)] == [1, 0, None, 2, None]


def test_a_round_without_recordings_of_its_own_takes_what_is_left():
    """A prompt that came about in another round is answered from there, but never from a warm-up."""
    there = shelf((asked(), Label(-1)), (asked(), Label(0)), (asked(), Label(0, "b")))
    assert [there.take(asked(), Label(7)) for _ in range(3)] == [1, 2, None]
    assert there.take(asked(), Label(-3)) == 0


def test_recordings_without_rounds_answer_any():
    """What was recorded without rounds is for all of them, warm-ups included."""
    there = shelf(asked(), asked(), asked())
    assert [there.take(asked(), label) for label in (Label(-1), Label(0), NO_ROUND)] == [0, 1, 2]


def test_arms_are_apart():
    """The same round of two arms is two rounds."""
    there = shelf((asked(), Label(0, "a")), (asked(), Label(0, "b")))
    assert [there.take(asked(), Label(0, arm)) for arm in "ba"] == [1, 0]


def test_matchers_of_vcrpy():
    """The matchers of vcrpy mean what they mean there, by the index where they can."""
    match_on = (matchers.method, matchers.scheme, matchers.host, matchers.port, matchers.path, matchers.query)
    there = shelf(asked(b"1"), asked(b"2", host="other"), match_on=match_on)
    assert there.take(asked(b"3", host="other"), NO_ROUND) == 1
    assert there.take(asked(b"3", host="third"), NO_ROUND) is None
    bodies = shelf(asked(b'{"a": 1}', **{"content-type": "application/json"}), match_on=(matchers.body,))
    assert bodies.take(asked(b'{"a":1}', **{"content-type": "application/json"}), NO_ROUND) == 0


def test_a_matcher_of_the_users_own():
    """A matcher that is not known is asked, also one that bears a known one's name."""

    def body(one, other):
        return one.body.lower() == other.body.lower()

    there = shelf(asked(b"ONE"), asked(b"Two"), match_on=(matchers.method, body))
    assert there.take(asked(b"two"), NO_ROUND) == 1
    assert there.take(asked(b"three"), NO_ROUND) is None


@given(
    st.lists(st.tuples(st.sampled_from([b"1", b"2"]), st.integers(-1, 2), st.integers(0, 1)), max_size=12), st.data()
)
def test_nothing_is_taken_twice(recorded, data):
    """Whatever is asked in whatever order, each recording is taken at most once, for a request it answers."""
    there = shelf(*((asked(body, retry=retry), Label(number)) for body, number, retry in recorded))
    questions = data.draw(st.permutations([*recorded, *recorded]))
    taken = [(one, there.take(asked(one[0], retry=one[2]), Label(one[1]))) for one in questions]
    numbers = [number for _, number in taken if number is not None]
    assert len(numbers) == len(set(numbers))
    assert all(recorded[number][0] == one[0] for one, number in taken if number is not None)


@given(st.dictionaries(st.text(), st.integers()), st.randoms())
def test_canonical_bodies(document, random):
    """The order of keys plays no part."""
    import json

    items = list(document.items())
    random.shuffle(items)
    assert canonical(json.dumps(document).encode()) == canonical(json.dumps(dict(items), indent=1).encode())
