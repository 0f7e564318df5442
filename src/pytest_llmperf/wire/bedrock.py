"""Anthropic's models on Amazon Bedrock: recognised by host and path, not read.

A stream there is framed in a binary form of its own. So an attempt is bytes and times: how it began and ended is
measured, and whatever would need its words or its counts is absent with that reason. Nothing is guessed.
"""

import re
from urllib.parse import unquote

from pytest_llmperf.core.exchange import End, Exchange
from pytest_llmperf.core.generation import Generation
from pytest_llmperf.wire.failures import bad_status

NAME = "anthropic.bedrock"
INPUT_HOLDS_CACHED = False
NOT_DECODED = "protocol not decoded"

_HOST = re.compile(r"bedrock-runtime(?:-fips)?\.[\w-]+\.amazonaws\.com(?:\.cn)?(?::\d+)?")
_PATH = re.compile(r"/model/(?P<model>[^/]*anthropic[^/]*)/(?P<how>invoke(?:-with-response-stream)?)")


def is_host(host: str) -> bool:
    """Whether a host, with or without its port, is where Bedrock runs models."""
    return _HOST.fullmatch(host) is not None


def recognises(exchange: Exchange) -> bool:
    """Whether the attempt invokes one of Anthropic's models on Bedrock."""
    found = _PATH.fullmatch(exchange.path) if exchange.method.upper() == "POST" else None
    return found is not None and is_host(exchange.host)


def decode(exchange: Exchange) -> Generation:
    """What host, path and status say; never raises.

    A stream is taken to be whole when its body came to its end, and to end with its last bytes.

    Args:
        exchange: an attempt that `recognises` accepted.
    """
    found = _PATH.fullmatch(exchange.path)
    streamed = found is not None and found["how"] != "invoke"
    failure = bad_status(exchange.status)
    whole = exchange.end is End.COMPLETE and not failure
    return Generation(
        protocol=NAME,
        streamed=streamed,
        request_model=unquote(found["model"]) if found else None,
        stopped_ns=exchange.chunks[-1].at_ns if whole and streamed and exchange.chunks else None,
        failure=failure,
        complete=whole,
        missing=(NOT_DECODED,),
        undecoded=NOT_DECODED,
        uncounted=NOT_DECODED,
    )
