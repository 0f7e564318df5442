"""Credentials never reach an exchange."""

from __future__ import annotations

import pytest

from pytest_llmperf.capture.redaction import REDACTED, SECRET_HEADERS, clean_headers, clean_url


@pytest.mark.parametrize("name", sorted(SECRET_HEADERS))
def test_a_credential_is_redacted_in_any_spelling(name):
    """The value of a credential's header is replaced, however its name is written."""
    raw = [(name.upper().encode(), b"secret"), (name.title().encode(), b"secret")]
    assert clean_headers(raw) == ((name, REDACTED), (name, REDACTED))


def test_other_headers_keep_their_value():
    """Headers that carry facts stay, also those with "token" in their name."""
    raw = [(b"Anthropic-RateLimit-Tokens-Remaining", b"80000"), (b"Request-Id", b"req_1")]
    assert clean_headers(raw) == (("anthropic-ratelimit-tokens-remaining", "80000"), ("request-id", "req_1"))


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://api.test/v1/messages", "https://api.test/v1/messages"),
        ("https://me:word@api.test:8443/v1", "https://api.test:8443/v1"),
        ("https://api.test/v1?key=abc&max_tokens=3", "https://api.test/v1?key=%5Bredacted%5D&max_tokens=3"),
        ("https://api.test/v1?Api%2DKey=abc&flag", "https://api.test/v1?Api%2DKey=%5Bredacted%5D&flag"),
    ],
)
def test_an_address_loses_its_secrets_only(url, clean):
    """User, password and key parameters go, the rest of the address stays as it is."""
    assert clean_url(url) == clean
