"""One cassette file: read whole or refused, written whole or not at all, journalled while it is being recorded.

The layout is vcrpy's, and `timeline` says what is added. A file is replaced in one step, so that a crash leaves the old
one or the new one. While recording, each exchange goes to a journal beside it as soon as it ends: one JSON line, so
that killing the process loses what was under way and nothing else. In an event loop, which no disk may hold up, a
thread writes the lines; there the last one may be lost too.
"""

from __future__ import annotations

import base64
import json
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

import yaml
from vcr.persisters.filesystem import CassetteNotFoundError
from vcr.request import Request
from vcr.serializers import yamlserializer

from pytest_llmperf.cassettes import timeline
from pytest_llmperf.cassettes.errors import CassetteMissing, CassetteUnreadable
from pytest_llmperf.cassettes.timeline import Timing
from pytest_llmperf.clock.running import in_event_loop

VERSION = 1
"""Of vcrpy's layout."""
LARGE = 500
"""Interactions from which on a cassette is JSON: reading 1,000 long answers takes 1.5 s of YAML, and 0.12 s of that."""
SUFFIXES = (".yaml", ".json")
_REMEDY = "mend the file, or delete it and record again"


class Interaction(NamedTuple):
    """A request and what came of it, as vcrpy holds them, and when; without timing another tool recorded it."""

    request: Any
    """A `vcr.request.Request`."""
    response: dict[str, Any]
    """With the body as bytes."""
    timing: Timing | None = None


def read(path: Path) -> list[Interaction]:
    """All interactions of a cassette.

    Raises:
        CassetteMissing: there is no such file.
        CassetteUnreadable: with file, interaction (counted from 1) and reason.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise CassetteMissing(f"there is no cassette {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, str(error)) from None
    return [
        _checked(path, number, plain) for number, plain in enumerate(_interactions(path, _parsed(path, text)), start=1)
    ]


def write(path: Path, interactions: Sequence[Interaction]) -> Path:
    """Write a cassette in one step, beside or over the one of that name; where it was written.

    Args:
        path: with the suffix `.yaml`; a large cassette is written as `.json`, and the other one is gone afterwards.
        interactions: in the order they are to have.
    """
    plain = [as_plain(interaction) for interaction in interactions]
    # JSON holds no bytes: an answer that is compressed stays readable in YAML.
    large = len(plain) >= LARGE and not any(isinstance(one["response"]["body"]["string"], bytes) for one in plain)
    path = path.with_suffix(".json" if large else ".yaml")
    text = _as_json(plain) if path.suffix == ".json" else _as_yaml(plain)
    replace(path, text)
    for suffix in SUFFIXES:
        if suffix != path.suffix:
            path.with_suffix(suffix).unlink(missing_ok=True)
    return path


def replace(path: Path, text: str) -> None:
    """Give a file this text, so that at every moment it has either the old one or the new one whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def found(path: Path) -> Path | None:
    """The file of a cassette named without regard to its suffix; None when there is none.

    Raises:
        CassetteUnreadable: there are two, and nobody can know which one counts.
    """
    there = [one for suffix in SUFFIXES if (one := path.with_suffix(suffix)).exists()]
    if len(there) > 1:
        raise CassetteUnreadable(f"{there[0]} and {there[1]} are both there: delete the one that is out of date")
    return there[0] if there else None


class Persister:
    """vcrpy's way to files, by the functions above. It never takes an unreadable cassette for a missing one."""

    @staticmethod
    def load_cassette(cassette_path: Any, serializer: Any) -> tuple[list[Any], list[dict[str, Any]]]:
        """Requests and responses of a file."""
        try:
            interactions = read(Path(cassette_path))
        except CassetteMissing as error:
            raise CassetteNotFoundError(str(error)) from None
        return [one.request for one in interactions], [one.response for one in interactions]

    @staticmethod
    def save_cassette(cassette_path: Any, cassette_dict: dict[str, Any], serializer: Any) -> None:
        """Write requests and responses to a file."""
        pairs = zip(cassette_dict["requests"], cassette_dict["responses"], strict=True)
        write(Path(cassette_path), [Interaction(*pair) for pair in pairs])


# --- the journal -----------------------------------------------------------------------------------------------------


class Journal:
    """Exchanges as they end, one line each, in a file beside the cassette they are meant for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[str] | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._unwritten: deque[Future[None]] = deque()

    def add(self, interaction: Interaction) -> None:
        """Write an exchange down; once this returns, or in an event loop `settle`, only a failing machine can lose it.

        Raises:
            OSError: it, or one before it, could not be written.
        """
        line = json.dumps(_for_json(as_plain(interaction)), separators=(",", ":")) + "\n"
        if in_event_loop():
            self._thread = self._thread or ThreadPoolExecutor(1, "llmperf-journal")
            self._unwritten.append(self._thread.submit(self._write, line))
        else:
            self.settle()
            self._write(line)

    def settle(self) -> None:
        """Wait until all is written.

        Raises:
            OSError: something could not be.
        """
        while self._unwritten:
            self._unwritten.popleft().result()

    def _write(self, line: str) -> None:
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a", encoding="utf-8", newline="")
        self._file.write(line)
        self._file.flush()

    def close(self) -> None:
        """Leave the journal as it is, for the recording to be continued."""
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None
        if self._file is not None:
            self._file.close()
            self._file = None

    def discard(self) -> None:
        """The cassette holds it all, or it is not wanted any more."""
        self.close()
        self.path.unlink(missing_ok=True)


def journal_of(path: Path, *, replacing: bool = False) -> Path:
    """Where the journal of a cassette is.

    Args:
        path: of the cassette.
        replacing: the recording is to take the place of a cassette that is there; it cannot be added to that one.
    """
    return path.with_suffix(".new.journal" if replacing else ".journal")


def recovered(path: Path) -> list[Interaction]:
    """What a journal holds of a recording that was cut off; nothing when there is none.

    The last line may have been cut, and is then left out.

    Raises:
        CassetteUnreadable: another line cannot be read.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    interactions: list[Interaction] = []
    for number, line in enumerate(lines[:-1], start=1):
        with suppress(ValueError):
            interactions.append(_checked(path, number, _from_json(json.loads(line))))
            continue
        raise _unreadable(path, f"line {number} is no JSON")
    return interactions


# --- between values and files ----------------------------------------------------------------------------------------


def as_plain(interaction: Interaction) -> dict[str, Any]:
    """An interaction in the file's own shape: bodies are text where they are UTF-8, bytes elsewhere."""
    request, response = interaction.request, interaction.response
    asked = request._to_dict()
    asked["body"] = _as_text(asked["body"])
    body = dict(response["body"]) if isinstance(response.get("body"), Mapping) else {}
    return {"request": asked, "response": {**response, "body": {**body, "string": _as_text(body.get("string"))}}}


def _as_text(body: Any) -> Any:
    if isinstance(body, bytes | bytearray):
        try:
            return bytes(body).decode()
        except UnicodeDecodeError:
            return bytes(body)
    return body


def _as_yaml(interactions: list[dict[str, Any]]) -> str:
    text: str = yamlserializer.serialize({"interactions": interactions, "version": VERSION})
    return text


def _as_json(interactions: list[dict[str, Any]]) -> str:
    """One line for each interaction: large cassettes are compared line by line as well."""
    lines = ",\n".join(json.dumps(one, separators=(",", ":")) for one in interactions)
    return f'{{"interactions": [\n{lines}\n],\n"version": {VERSION}}}\n'


def _for_json(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode("ascii")}
    if isinstance(value, Mapping):
        return {key: _for_json(inner) for key, inner in value.items()}
    return [_for_json(inner) for inner in value] if isinstance(value, list | tuple) else value


def _from_json(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"base64"}:
            return base64.b64decode(value["base64"])
        return {key: _from_json(inner) for key, inner in value.items()}
    return [_from_json(inner) for inner in value] if isinstance(value, list) else value


def _parsed(path: Path, text: str) -> Any:
    try:
        return json.loads(text) if path.suffix == ".json" else yamlserializer.deserialize(text)
    except (ValueError, yaml.YAMLError) as error:
        raise _unreadable(path, " ".join(str(error).split())) from None


def _interactions(path: Path, data: Any) -> Iterable[Any]:
    interactions = data.get("interactions") if isinstance(data, Mapping) else None
    if not isinstance(interactions, list):
        raise _unreadable(path, "it has no list of interactions" if data else "it is empty")
    return interactions


def _checked(path: Path, number: int, plain: Any) -> Interaction:
    try:
        return _interaction(plain)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        missing = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        raise _unreadable(path, f"interaction {number}: {missing}") from None


def _interaction(plain: Mapping[str, Any]) -> Interaction:
    asked, response = plain["request"], dict(plain["response"])
    request = Request(asked["method"], asked["uri"], asked.get("body"), asked.get("headers") or {})
    response = of_today(response)
    int(response["status"]["code"])
    response["headers"] = {name: _listed(value) for name, value in (response.get("headers") or {}).items()}
    body = (response.get("body") or {}).get("string") or b""
    response["body"] = {**(response.get("body") or {}), "string": body.encode() if isinstance(body, str) else body}
    return Interaction(request, response, _timing(response))


def of_today(response: Any) -> Any:
    """A response in the layout of today; vcrpy had another for traffic of httpx before its version 5."""
    if not isinstance(response, dict) or "status_code" not in response:
        return response
    content = response.get("content")
    headers = {
        name: value
        for name, value in response["headers"].items()
        if name.lower() not in ("content-encoding", "transfer-encoding")  # the content was stored decoded
    }
    return {
        "status": {"code": response["status_code"], "message": ""},
        "headers": {name: _listed(value) for name, value in headers.items()},
        "body": {"string": content.encode() if isinstance(content, str) else content or b""},
    }


def _listed(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list | tuple) else [str(value)]


def _timing(response: Mapping[str, Any]) -> Timing | None:
    if timeline.KEY not in response:
        return None
    timing = timeline.from_plain(response[timeline.KEY])
    told, there = sum(timing.sizes), len(response["body"]["string"])
    if told != there:
        raise ValueError(
            f"{timeline.KEY}: its chunks add up to {told} bytes, and the body has {there}; without that key the "
            "interaction would be replayed untimed"
        )
    return timing


def _unreadable(path: Path, reason: str) -> CassetteUnreadable:
    return CassetteUnreadable(f"cannot read the cassette {path}: {reason}; {_REMEDY}")


def sorted_by_start(interactions: Iterable[Interaction]) -> Iterator[Interaction]:
    """In the order the attempts began; what has no timing keeps its place before all others."""
    yield from sorted(interactions, key=lambda one: -1 if one.timing is None else one.timing.start_ns)
