"""The form an answer has on the wire, whoever's it is: what `behaviour` asks of a format, which knows no time.

`messages_format` is Anthropic's; `chat_format.Chat` is OpenAI's.
"""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Protocol

from pytest_llmperf.simulator.messages_format import Allowance, Answer, Headers


class Form(Protocol):
    """The bytes of one API."""

    def request_id(self, rng: Random) -> str:
        """An identifier of a request."""
        ...

    def message_id(self, rng: Random) -> str:
        """An identifier of an answer."""
        ...

    def message(self, answer: Answer) -> bytes:
        """The body of an answer that is not streamed, with all the others to the same request."""
        ...

    def stream(
        self, answer: Answer, sizes: Sequence[Sequence[int]], pads: Iterator[int], ping_after: Sequence[int]
    ) -> list[bytes]:
        """The head, one piece for each delta of each block (empty where it is not shown), and this answer's end."""
        ...

    def closing(self, answer: Answer) -> bytes:
        """What ends the stream, after the end of the last of the answers to a request."""
        ...

    def error(self, kind: str, text: str, request: str) -> bytes:
        """The body of an error, its kind in Anthropic's words."""
        ...

    def answered(self, status: int) -> int:
        """The status that a fault of this number is answered with."""
        ...

    def status_error(self, status: int, request: str) -> tuple[str, bytes]:
        """Content type and body of an error that has nothing to do with the request."""
        ...

    def error_event(self, kind: str, text: str) -> bytes:
        """An error inside a stream of status 200."""
        ...

    def headers(
        self,
        content_type: str,
        *,
        status: int,
        request: str,
        elapsed_seconds: float,
        allowance: Allowance | None = None,
        length: int | None = None,
        retry_after: int | None = None,
    ) -> Headers:
        """The headers of a response; a stream has no length."""
        ...
