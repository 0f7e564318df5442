"""Other tools that stand in the same traffic."""

from __future__ import annotations

import anthropic
import httpx
import httpx2
import respx
import vcr

from capture.loopback import ASKED, MESSAGE, json_answer, serving, stream, streamed
from pytest_llmperf.capture import observing
from pytest_llmperf.core.exchange import Connection, Provenance


def ask(url):
    with anthropic.Anthropic(api_key="k", base_url=url) as client:
        return client.messages.create(**ASKED).content[0].text


def test_what_vcrpy_records_was_buffered_and_what_it_replays_was_on_no_wire(observed, tmp_path):
    """Recording reads the whole body before the client sees it; replaying asks nobody. Both are seen as they are."""
    cassette = str(tmp_path / "cassette.yaml")
    with serving(stream(streamed("Hel", "lo"), gap=0.01)) as server:
        for _ in range(2):
            with vcr.use_cassette(cassette), anthropic.Anthropic(api_key="k", base_url=server.url) as client:
                assert client.messages.create(**ASKED, stream=True).response.read()
    recorded, replayed = (call.first.exchange for call in observed.take("round"))
    assert recorded.provenance is Provenance.BUFFERED
    assert recorded.connection.state == "new"
    assert replayed.provenance is Provenance.UNSERVED
    assert replayed.connection == Connection("none")


def test_vcrpy_may_be_entered_first_or_last(recorder, tmp_path):
    """The order of entering makes no difference: it patches other things."""
    with serving(json_answer(200, MESSAGE)) as server:
        with vcr.use_cassette(str(tmp_path / "a.yaml")), observing(recorder), recorder.round("first"):
            assert ask(server.url) == "Hello"
        with observing(recorder), recorder.round("last"), vcr.use_cassette(str(tmp_path / "b.yaml")):
            assert ask(server.url) == "Hello"
    for key in ("first", "last"):
        assert [call.first.exchange.provenance for call in recorder.take(key)] == [Provenance.BUFFERED]
    assert recorder.warnings == []


def test_what_respx_answers_was_on_no_wire(observed):
    """Its routes answer below the client's transport, and are observed above it."""
    with respx.mock:
        respx.post("http://api.test/v1/messages").mock(return_value=httpx.Response(200, json=MESSAGE))
        assert httpx.Client(trust_env=False).post("http://api.test/v1/messages", json=ASKED).json() == MESSAGE
    attempt = observed.take("round")[0].first
    assert attempt.generation.text == "Hello"
    assert attempt.exchange.provenance is Provenance.UNSERVED


def test_a_tool_at_the_same_place_is_no_hindrance(observed, monkeypatch):
    """A tool that replaces `_transport_for_url` for a while serves requests, which it then hides from us."""
    served = httpx2.MockTransport(lambda _: httpx2.Response(200, json=MESSAGE))
    with monkeypatch.context() as patch:
        patch.setattr(httpx2.Client, "_transport_for_url", lambda *_: served)
        assert ask("http://api.test") == "Hello"
    with serving(json_answer(200, MESSAGE)) as server:
        assert ask(server.url) == "Hello"
    assert len(observed.take("round")) == 1
    assert observed.warnings == []
