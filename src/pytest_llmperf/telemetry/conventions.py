"""How OpenTelemetry's conventions for generative AI put things: providers, errors, addresses, histograms and bounds.

Names and bounds are those of the GenAI semantic conventions, which are still in development (repository
`open-telemetry/semantic-conventions-genai`, 2026). Older names (`gen_ai.system`, `cache_creation`) are not written
beside newer ones. The metrics are the *client's*: what a server calls time to first token begins and ends elsewhere. A
chunk of a stream is taken to be an event with content, as Anthropic's own SDK takes it: a stream's head says nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

OPERATION = "chat"
"""What a message, a chat completion and a response are called alike."""
OTHER = "_OTHER"
"""An error that has no short name."""

_HOSTS = {
    "openai.azure.com": "azure.ai.openai",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.perplexity.ai": "perplexity",
    "api.x.ai": "x_ai",
}
"""Providers that are reached by the protocol of another, by the end of their host's name."""
_PROTOCOLS = {"anthropic.bedrock": "aws.bedrock"}
_NAMED_ERROR = re.compile(r"(?:(?:warm-up )?round \d+ of \d+(?: \[.*?\])?: )?([A-Za-z_][\w.]*)(?::|$)")
_STATUS = re.compile(r"HTTP (\d{3})\b")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Histogram:
    """An instrument, with the bounds that the conventions recommend for it."""

    unit: str
    description: str
    bounds: tuple[float, ...]


DURATION = "gen_ai.client.operation.duration"
TOKENS = "gen_ai.client.token.usage"
FIRST_CHUNK = "gen_ai.client.operation.time_to_first_chunk"
EACH_CHUNK = "gen_ai.client.operation.time_per_output_chunk"
TPOT = "llmperf.client.time_per_output_token"
"""Ours: the conventions know time per token of a server only."""

_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
HISTOGRAMS = {
    DURATION: Histogram("s", "From the first attempt of a call to the end of its answer.", _SECONDS),
    TOKENS: Histogram("{token}", "Tokens that a call was billed for.", tuple(float(4**power) for power in range(14))),
    FIRST_CHUNK: Histogram("s", "From the first attempt of a call to the first content of its stream.", _SECONDS),
    EACH_CHUNK: Histogram("s", "Between the content events of a stream.", _SECONDS),
    TPOT: Histogram(
        "s",
        "From the first content of a stream to the last, over its output tokens less one.",
        (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5),
    ),
}


def provider(protocol: str, host: str) -> str:
    """Who answers, as `gen_ai.provider.name` has it.

    Args:
        protocol: `vendor.api`.
        host: without its port.
    """
    by_host = (name for end, name in _HOSTS.items() if host == end or host.endswith((f".{end}", f"-{end}")))
    return _PROTOCOLS.get(protocol) or next(by_host, protocol.partition(".")[0])


def server(url: str) -> tuple[str, int | None]:
    """Host and port that a URL leads to; without a scheme we know and a port of its own the latter is None."""
    parts = urlsplit(url)
    try:
        return parts.hostname or "", parts.port or _PORTS.get(parts.scheme)
    except ValueError:  # no number, or none that a port can have
        return parts.hostname or "", None


def error_type(failure: str, status: int | None = None) -> str:
    """One word for a failure, never its message, which may quote what was asked or said; empty where there is none.

    Args:
        failure: `TypeName: message`, `error_type: message`, `HTTP 529`, or other words.
        status: of the answer, where there was one.
    """
    if not failure:
        return ""
    if found := _NAMED_ERROR.match(failure):
        return found[1]
    by_text = _STATUS.match(failure)
    code = by_text[1] if by_text else str(status) if (status or 0) >= 400 else ""
    return code or OTHER
