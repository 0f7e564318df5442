"""Credentials taken out of headers and addresses before they are kept.

Names are compared whole: a rule by the substring "token" would take the rate-limit headers, which are facts we need.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote, unquote, urlsplit, urlunsplit

REDACTED = "[redacted]"

SECRET_HEADERS = frozenset(
    {
        "anthropic-organization-id",
        "anthropic-workspace-id",
        "api-key",
        "authorization",
        "cookie",
        "openai-organization",
        "openai-project",
        "proxy-authorization",
        "set-cookie",
        "x-amz-security-token",
        "x-api-key",
        "x-auth-token",
        "x-goog-api-key",
    }
)
SECRET_PARAMETERS = frozenset({
    "access_token", "api-key", "api_key", "apikey", "code", "key", "sig", "signature", "token",
    "x-amz-credential", "x-amz-security-token", "x-amz-signature",
})  # fmt: skip


def clean_headers(raw: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    """Headers as text with names in lower case; the values of credentials are replaced by `[redacted]`."""
    return tuple(_pair(name, b"" if _is_secret(name) else value) for name, value in raw)


def clean_url(url: str) -> str:
    """The address without user, password and the values of query parameters that carry keys."""
    parts = urlsplit(url)
    if "@" not in parts.netloc and not parts.query:
        return url
    query = "&".join(_clean_parameter(part) for part in parts.query.split("&")) if parts.query else ""
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query))


def _clean_parameter(part: str) -> str:
    name, equals, _ = part.partition("=")
    return f"{name}={quote(REDACTED)}" if equals and unquote(name).lower() in SECRET_PARAMETERS else part


@lru_cache(maxsize=256)
def _is_secret(name: bytes) -> bool:
    return name.decode("latin-1").lower() in SECRET_HEADERS


@lru_cache(maxsize=1024)
def _pair(name: bytes, value: bytes) -> tuple[str, str]:
    """One header as text. Most are the same in every request of a client, so thousands of attempts share the pairs."""
    return name.decode("latin-1").lower(), REDACTED if _is_secret(name) else value.decode("latin-1")
