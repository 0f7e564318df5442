"""Secrets planted in every place there is, and looked for in the bytes of every file that a recording leaves."""

from __future__ import annotations

import gzip
import json
import ssl

import httpx2
import pytest

from capture.loopback import MESSAGE, event, json_answer, serving, stream, streamed
from pytest_llmperf.cassettes import document
from pytest_llmperf.cassettes.redaction import rules

PLANTED = [f"planted-{number:02}-secret" for number in range(20)]
RULES = rules(headers=["X-Team"], parameters=["tenant"], fields=["password", "account"])
BARE = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def ask(url, *, key="planted-00-secret"):
    """One request with a secret wherever a request can have one, and no limit on tokens touched."""
    headers = {
        "authorization": "Bearer planted-01-secret",
        "x-api-key": key,
        "cookie": "session=planted-02-secret",
        "proxy-authorization": "Basic planted-03-secret",
        "anthropic-organization-id": "planted-04-secret",
        "x-team": "planted-05-secret",
    }
    body = {
        "max_tokens": 7,
        "metadata": {"password": "planted-06-secret", "note": key, "account": {"id": ["planted-07-secret"]}},
        "messages": [{"role": "user", "content": "count tokens"}],
    }
    address = f"{url}/v1/messages?tenant=planted-09-secret&beta=true&api_key=planted-10-secret"
    with httpx2.Client(verify=BARE) as client:
        response = client.post(address, json=body, headers=headers)
        client.post(url.replace("http://", "http://me:planted-08-secret@"), json={})
        return response.read()


ANSWER = MESSAGE | {
    "usage": {"input_tokens": 3, "output_tokens": 2, "account": "planted-11-secret"},
    "echo": "the key planted-00-secret is wrong",
}
HEADERS = {
    "set-cookie": "id=planted-12-secret",
    "anthropic-organization-id": "planted-13-secret",
    "x-team": "planted-14-secret",
    "x-echo": "planted-00-secret",
}
EVENTS = [
    *streamed("Hel", "lo")[:-1],
    event("extra", password={"a": 'planted-15-secret"}'}, key="planted-00-secret"),
    event("message_stop"),
]
ZIPPED = gzip.compress(json.dumps(ANSWER).encode())


@pytest.mark.parametrize(
    "answer",
    [
        json_answer(200, ANSWER, **{name.replace("-", "_"): value for name, value in HEADERS.items()}),
        stream(EVENTS, **HEADERS),
        stream(
            [ZIPPED[:50], ZIPPED[50:]], **HEADERS | {"content-type": "application/json", "content-encoding": "gzip"}
        ),
    ],
    ids=["json", "stream", "gzip"],
)
def test_no_secret_reaches_the_disk(tape, answer):
    """Not one planted secret is in any byte of the cassette or its journal; counts of tokens are all there."""
    tape.rules = RULES
    with serving(answer) as server, tape.recording():
        there = ask(server.url)
    files = [path for path in tape.path.parent.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".yaml", ".journal"}
    for path in files:
        text = path.read_bytes().decode()
        assert [secret for secret in PLANTED if secret in text] == []
    one, _ = document.read(tape.path)
    assert json.loads(one.request.body)["max_tokens"] == 7
    assert b'"output_tokens": 2' in one.response["body"]["string"]
    assert b"planted-00-secret" in there, "the application sees everything"


def test_the_same_request_with_another_key_is_answered(tape):
    """What is left out of the file plays no part in finding the recording."""
    tape.rules = RULES
    with serving(json_answer(200, ANSWER)) as server, tape.recording():
        ask(server.url)
    with tape.playing():
        assert b"the key [redacted] is wrong" in ask("http://elsewhere", key="another-key-altogether")


def test_an_error_that_quotes_a_key(tape):
    """The text of an exception is cleaned as well."""
    secret = PLANTED[0]

    class Refusing(httpx2.BaseTransport):
        def handle_request(self, request):
            raise httpx2.ProxyError(f"proxy refused {request.headers['authorization']}")

    with tape.recording(), httpx2.Client(transport=Refusing()) as client, pytest.raises(httpx2.ProxyError):
        client.post("http://host/v1/messages", json={}, headers={"authorization": f"Bearer {secret}"})
    assert tape.told[0]["error"] == "ProxyError: proxy refused [redacted]"
