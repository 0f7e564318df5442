"""The door to the wire layer."""

import gzip
import subprocess
import sys

import pytest

from pytest_llmperf import wire
from wire.attempts import STOP, attempt, change, start, text

WHOLE = (start(input_tokens=1), text("Hi"), change(output_tokens=2), STOP)


def test_a_generation_call():
    """An attempt of a known protocol is named and decoded by it."""
    exchange = attempt(*WHOLE)
    assert wire.recognise(exchange) == "anthropic.messages"
    assert wire.decode(exchange) == wire.anthropic_messages.decode(exchange)


def test_other_traffic():
    """An attempt of no protocol we know is nothing, whatever it carries."""
    exchange = attempt(*WHOLE, url="https://api.anthropic.com/v1/messages/batches")
    assert wire.recognise(exchange) is None
    assert wire.decode(exchange) is None


def test_every_protocol_has_a_name_of_its_own():
    """Protocols are told apart by their names."""
    names = [protocol.NAME for protocol in wire.PROTOCOLS]
    assert len(set(names)) == len(names)


def test_importing_it_is_light():
    """The layer imports nothing outside the standard library."""
    heavy = ("anthropic", "brotli", "httpx", "httpx2", "numpy", "scipy", "vcr", "yaml", "zstandard")
    code = f"import sys, pytest_llmperf.wire; print([name for name in {heavy!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://api.anthropic.com/v1/messages", "anthropic.messages"),
        ("https://api.openai.com/v1/chat/completions", "openai.chat"),
        ("https://api.openai.com/v1/responses", "openai.responses"),
        ("https://bedrock-runtime.eu-west-1.amazonaws.com/model/anthropic.claude-v2/invoke", "anthropic.bedrock"),
    ],
)
def test_calls_that_are_measured(url, name):
    """Each provider's generation calls have their protocol's name."""
    assert wire.recognise(attempt(url=url)) == name


def test_other_protocols_may_be_asked():
    """Whoever asks says which protocols are known."""
    assert wire.recognise(attempt(), [wire.openai_chat]) is None
    assert wire.decode(attempt(), [wire.openai_chat]) is None


def test_what_is_legible_is_measured():
    """There is no protocol that is read in recordings and nowhere else."""
    assert set(wire.LEGIBLE) < set(wire.PROTOCOLS)


def test_events_by_name():
    """Events are counted by their names, or by their data's type where they have none."""
    nameless = b'data: {"type": "ping"}\n\ndata: [DONE]\n\n'
    events = wire.events(attempt(*WHOLE, nameless))
    assert events == {
        "message_start": 1,
        "content_block_delta": 1,
        "message_delta": 1,
        "message_stop": 1,
        "ping": 1,
        "": 1,
    }


def test_events_of_a_compressed_stream():
    """A compressed body is looked into."""
    body = gzip.compress(b"".join(WHOLE))
    assert (
        wire.events(attempt(body[:9], body[9:], response_headers=(("content-encoding", "gzip"),)))["message_stop"] == 1
    )


def test_no_events():
    """A document, and an answer without a body, are no event stream."""
    assert wire.events(attempt(b"{}")) is None
    assert wire.events(attempt()) is None
