"""The door to the wire layer."""

import subprocess
import sys

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
