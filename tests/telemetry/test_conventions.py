"""How things are put in the terms of OpenTelemetry's conventions."""

from pathlib import Path

import pytest
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics

from pytest_llmperf.telemetry.conventions import HISTOGRAMS, TPOT, error_type, provider, server


@pytest.mark.parametrize(
    ("protocol", "host", "expected"),
    [
        ("anthropic.messages", "api.anthropic.com", "anthropic"),
        ("anthropic.messages", "gateway.example.com", "anthropic"),
        ("anthropic.bedrock", "bedrock-runtime.eu-west-1.amazonaws.com", "aws.bedrock"),
        ("anthropic.messages", "europe-west1-aiplatform.googleapis.com", "gcp.vertex_ai"),
        ("openai.chat", "api.openai.com", "openai"),
        ("openai.responses", "ours.openai.azure.com", "azure.ai.openai"),
        ("openai.chat", "api.x.ai", "x_ai"),
        ("openai.chat", "notapi.x.ai.example.com", "openai"),
        ("ours.talk", "", "ours"),
    ],
)
def test_providers(protocol, host, expected):
    """The host tells, where one speaks another's protocol; else the protocol's vendor does."""
    assert provider(protocol, host) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.anthropic.com/v1/messages?beta=true", ("api.anthropic.com", 443)),
        ("http://user:secret@127.0.0.1:8080/v1/messages", ("127.0.0.1", 8080)),
        ("http://[::1]/v1", ("::1", 80)),
        ("https://host:99999/", ("host", None)),
        ("", ("", None)),
    ],
)
def test_servers(url, expected):
    """Host and port, without what stands before and after them."""
    assert server(url) == expected


@pytest.mark.parametrize(
    ("failure", "status", "expected"),
    [
        ("", 500, ""),
        ("overloaded_error: Overloaded", 529, "overloaded_error"),
        ("overloaded_error", 529, "overloaded_error"),
        ("round 3 of 20 [warm]: ValueError: words", None, "ValueError"),
        ("warm-up round 1 of 2: AssertionError", None, "AssertionError"),
        ("httpx.ReadTimeout: the words of SECRET", None, "httpx.ReadTimeout"),
        ("HTTP 529", 529, "529"),
        ("HTTP 502: a page of a proxy", 200, "502"),
        ("still running when its round ended", 200, "_OTHER"),
        ("the body, 5 bytes, is no whole JSON document", 400, "400"),
    ],
)
def test_errors(failure, status, expected):
    """One word for each failure, and none of its message."""
    assert error_type(failure, status) == expected


def test_histograms_are_those_of_the_conventions():
    """Their names are known to the installed conventions; one is ours, and says so by its name."""
    known = {value for value in vars(gen_ai_metrics).values() if isinstance(value, str)}
    ours = HISTOGRAMS.keys() - known
    assert ours <= {TPOT, *(name for name in HISTOGRAMS if name.endswith("_chunk"))}  # which older releases lack
    assert TPOT in ours
    assert all(list(made.bounds) == sorted(set(made.bounds)) for made in HISTOGRAMS.values())
    assert max(HISTOGRAMS["gen_ai.client.token.usage"].bounds) == 67108864


def test_histograms_are_those_of_the_documentation():
    """Each is told with its unit, and none that there is not."""
    text = (Path(__file__).parents[2] / "docs" / "opentelemetry.md").read_text("utf-8")
    rows = [line.split(" | ") for line in text.partition("## Metrics")[2].splitlines() if line.startswith("| `")]
    assert {row[0].strip("| `"): row[1] for row in rows} == {name: made.unit for name, made in HISTOGRAMS.items()}
