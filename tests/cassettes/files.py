"""Cassettes for tests: literal interactions in vcrpy's layout, and files of them."""

import json
from pathlib import Path
from typing import Any

import yaml

from wire.attempts import ASKED, STOP, change, start, text

URL = "https://api.anthropic.com/v1/messages"
PIECES = (start(input_tokens=3), text("Hi"), change(output_tokens=2), STOP)
TIMING = {
    "v": 1,
    "start_us": 1_000,
    "sent_us": 500,
    "headers_us": 90_000,
    "end_us": 400_000,
    "end": "complete",
    "conn": "new",
    "chunks": " ".join(f"100000:{len(piece)}" for piece in PIECES),
}
"""Chunks arrive 100, 200, 300 and 400 ms after the request's last byte."""


def interaction(*, request: dict[str, Any] | None = None, **response: Any) -> dict[str, Any]:
    """A streamed message in vcrpy's layout."""
    return {
        "request": {"method": "POST", "uri": URL, "body": json.dumps(ASKED | {"stream": True}), "headers": {}}
        | (request or {}),
        "response": {
            "status": {"code": 200, "message": "OK"},
            "headers": {"Content-Type": ["text/event-stream"]},
            "body": {"string": b"".join(PIECES).decode()},
        }
        | response,
    }


def cassette(folder: Path, *interactions: Any, name: str = "cassette.yaml") -> Path:
    """A file of interactions in vcrpy's layout."""
    return written(folder, {"version": 1, "interactions": list(interactions)}, name)


def written(folder: Path, document: Any, name: str = "cassette.yaml") -> Path:
    """A file of a document, in the notation of its name."""
    path = folder / name
    path.write_text(json.dumps(document) if path.suffix in (".json", ".har") else yaml.safe_dump(document), "utf-8")
    return path
