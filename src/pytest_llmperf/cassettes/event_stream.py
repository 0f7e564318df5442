"""A bare event stream in a file: an answer's body without its request, as some projects keep them for their tests.

Whose API it came from, its first event tells. There is no status and no model that was asked for.
"""

from __future__ import annotations

import json

from pytest_llmperf.cassettes.fields import Unreadable
from pytest_llmperf.cassettes.interaction import Interaction

LAYOUT = "raw-sse"
_SOURCES = {
    b'"message_start"': "https://api.anthropic.com/v1/messages",
    b'"chat.completion.chunk"': "https://api.openai.com/v1/chat/completions",
    b'"response.created"': "https://api.openai.com/v1/responses",
}
_SEARCHED = 2000


def interaction(content: bytes) -> Interaction:
    """The file's only interaction.

    Raises:
        Unreadable: its first event is of no API known here.
    """
    head = content[:_SEARCHED].replace(b": ", b":")
    uri = next(
        (uri for mark, uri in _SOURCES.items() if b'"type":' + mark in head or b'"object":' + mark in head), None
    )
    if uri is None:
        raise Unreadable("an event stream of an API that is not known here")
    return Interaction(
        number=1,
        method="POST",
        uri=uri,
        request_headers=(),
        request_body=json.dumps({"stream": True}).encode(),
        status=None,
        response_headers=(("content-type", "text/event-stream"),),
        body=content,
    )
