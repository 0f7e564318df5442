"""A cassette of vcrpy that knows the timing of its interactions, finds them by an index, and is never silently new.

It plays and keeps what vcrpy's cassette does, with vcrpy's record modes, filters and matchers, so that it can stand in
for one. What it is asked while the observed program runs is safe from several threads.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from vcr.cassette import Cassette
from vcr.record_mode import RecordMode
from vcr.request import Request

from pytest_llmperf.cassettes import document, redaction, timeline
from pytest_llmperf.cassettes.document import Interaction, Persister
from pytest_llmperf.cassettes.errors import CassetteError, CassetteMissing, CassetteUnreadable
from pytest_llmperf.cassettes.matching import Shelf, same_request
from pytest_llmperf.cassettes.redaction import NONE, Rules
from pytest_llmperf.cassettes.timeline import NO_ROUND, Label, Timing

_PAUSE_NS = 1_000_000_000
"""Between the end of what was on a cassette and the begin of what is added to it."""


class TimedCassette(Cassette):  # type: ignore[misc]
    """Recorded interactions with their timing.

    Args:
        path: of the file.
        rules: what is left out of it beside the usual credentials.
        options: as vcrpy's cassette takes them.
    """

    def __init__(self, path: Any, *, rules: Rules = NONE, **options: Any) -> None:
        super().__init__(path, **options)
        self.rules = rules
        self._filter = options.get("before_record_request")
        self._before_record_request = self._cleaned
        self._shelf = Shelf(self._match_on)
        self._loaded_count = 0
        """Interactions that came from the file; older releases of vcrpy do not count them."""
        self._timings: list[Timing | None] = []
        self._busy = threading.RLock()

    # --- loading and saving ---

    def _load(self) -> None:
        try:
            if self._persister is Persister:
                self._load_own()
            else:
                super()._load()
        except CassetteError:
            raise
        except Exception as error:
            raise self._unreadable(f"{type(error).__name__}: {error}") from error
        path = Path(self._path)
        if not self.rewound and path.is_file() and path.stat().st_size:
            raise self._unreadable("its encoding is broken")

    def _load_own(self) -> None:
        """As vcrpy loads, without copies: nobody else has hold of what was read just now."""
        with suppress(CassetteMissing):
            for request, response, timing in document.read(Path(self._path)):
                request = self._cleaned(request)  # noqa: PLW2901 - names may have been added to the rules since
                self._shelf.add(len(self.data), request, NO_ROUND if timing is None else timing.label)
                self.data.append((request, response))
                self._timings.append(timing)
            self._loaded_count = len(self.data)
            self.rewound = True

    def _unreadable(self, reason: str) -> CassetteUnreadable:
        return CassetteUnreadable(f"cannot read the cassette {self._path}: {reason}; mend the file, or record again")

    def _rerecorded_interactions(self) -> list[tuple[Any, Any]]:
        """As vcrpy does it, in linear time where the matchers are known here."""
        recorded: list[tuple[Any, Any]] = self.data[self._loaded_count :]
        if self.drop_unused_requests:
            return recorded
        shelf = Shelf(self._match_on)
        for number, (request, _) in enumerate(recorded):
            shelf.add(number, request, NO_ROUND)
        loaded: list[tuple[Any, Any]] = self.data[: self._loaded_count]
        return [pair for pair in loaded if not shelf.alike(pair[0])] + recorded

    def _persist(self, cassette_dict: dict[str, Any]) -> None:
        """Write in the order the attempts began; copies, since writing turns bodies into text."""
        pairs = list(zip(cassette_dict["requests"], cassette_dict["responses"], strict=True))
        pairs.sort(key=lambda pair: -1 if (timing := timing_in(pair[1])) is None else timing.start_ns)
        copies = [{**response, "body": copy.copy(response.get("body"))} for _, response in pairs]
        super()._persist({**cassette_dict, "requests": [request for request, _ in pairs], "responses": copies})

    # --- playing and keeping, in the words of vcrpy ---

    def append(self, request: Any, response: Any) -> None:
        """Add a pair, with vcrpy's filters and ours; the timing stands in the response."""
        with self._busy:
            before = len(self.data)
            super().append(request, document.of_today(response))
            if len(self.data) > before:
                self._index(*self.data[-1])

    def _index(self, request: Any, response: Any) -> None:
        timing = timing_in(response)
        self._shelf.add(len(self._timings), request, NO_ROUND if timing is None else timing.label)
        self._timings.append(timing)

    def can_play_response_for(self, request: Any) -> Any:
        """Whether `play_response` would find an answer now."""
        return bool(super().can_play_response_for(request))

    def play_response(self, request: Any) -> Any:
        """The next answer to a request."""
        number = self._found(self._before_record_request(request), NO_ROUND)
        return super().play_response(request) if number is None else self.data[number][1]

    def rewind(self) -> None:
        """Play everything again."""
        super().rewind()
        self._shelf.renew()

    def _responses(self, request: Any) -> Iterable[tuple[int, Any]]:
        request = self._before_record_request(request)
        return [] if not request else [(number, self.data[number][1]) for number in self._shelf.alike(request)]

    # --- playing and keeping, with rounds ---

    def take(self, request: Any, label: Label) -> Interaction | None:
        """The recording that answers a request of a round, marked as played; None when it is to go further.

        Args:
            request: filtered already, by `filter_request`.
            label: its round.
        """
        if self.record_mode == RecordMode.ALL or not (self.rewound or self.allow_playback_repeats):
            return None
        with self._busy:
            number = self._found(request, label)
        return None if number is None else self._at(number)

    def keep(self, interaction: Interaction) -> None:
        """Add what was recorded just now, filtered as it is."""
        with self._busy:
            self.data.append((interaction.request, interaction.response))
            self.dirty = True
            self._timings.append(interaction.timing)
            # Not on the shelf: what was recorded in this run is never played in it.

    def filter_response(self, response: Any) -> Any:
        """The response as the user's filters leave it; None when they drop it."""
        return self._before_record_response(response)

    def _found(self, request: Any, label: Label) -> int | None:
        if self.allow_playback_repeats:  # vcrpy's own rule: the first one, for ever
            number: int | None = next(iter(self._shelf.alike(request)), None)
        else:
            number = self._shelf.take(request, label)
        if number is not None:
            if self.play_counts[number] == 0 and number < self._loaded_count:
                self._played_interactions.append(self.data[number])
            self.play_counts[number] += 1
        return number

    def _cleaned(self, request: Any) -> Any:
        """The request as the user's filters leave it, without credentials."""
        request = self._filter(request) if self._filter is not None else request
        return None if not request else clean_request(request, self.rules)

    # --- what it holds ---

    @property
    def path(self) -> str:
        """The file."""
        return str(self._path)

    @property
    def interactions(self) -> list[Interaction]:
        """Everything on it."""
        return [self._at(number) for number in range(len(self.data))]

    def _at(self, number: int) -> Interaction:
        request, response = self.data[number]
        return Interaction(request, response, self._timings[number])

    @property
    def timings(self) -> list[Timing | None]:
        """The timing of each interaction, None where there is none."""
        return list(self._timings)

    @property
    def tells_hosts_apart(self) -> bool:
        """Whether a recording answers only to the host it was made of."""
        return same_request not in self._match_on

    @property
    def next_ns(self) -> int:
        """Where the times of what is added begin."""
        ends = [t.start_ns + (t.sent_ns or 0) + t.timeline.end_ns for t in self._timings if t is not None]
        return max(ends, default=-_PAUSE_NS) + _PAUSE_NS

    def alike(self, request: Any) -> int:
        """How many recordings, played or not, answer a filtered request."""
        return len(self._shelf.alike(request))


def opened(
    path: Path, *, record_mode: str, rules: Rules, extra: Iterable[Interaction] = (), blank: bool = False
) -> TimedCassette:
    """A cassette of our own: matched on the canonical body.

    Args:
        path: of its file, which need not be there.
        record_mode: as vcrpy knows them.
        rules: what is left out.
        extra: interactions it is to hold beside those of its file.
        blank: leave aside what its file holds.

    Raises:
        CassetteUnreadable: there is a file, and it cannot be read.
    """
    cassette = TimedCassette(
        str(path), rules=rules, record_mode=RecordMode(record_mode), match_on=(same_request,), persister=Persister
    )
    if not blank:
        cassette._load()
    for interaction in extra:
        cassette.append(interaction.request, interaction.response)
        cassette.rewound = True
    return cassette


def clean_request(request: Any, rules: Rules) -> Any:
    """A vcrpy request without what must not be kept."""
    headers = [(name, str(_text(value))) for name, value in request.headers.items()]
    secrets = redaction.secrets_of(headers, rules)
    body = request.body
    if isinstance(body, bytes):
        body = redaction.clean_body(body, rules, secrets)
    uri = redaction.clean_url(request.uri, rules, secrets)
    return Request(request.method, uri, body, dict(redaction.clean_headers(headers, rules, secrets)))


def timing_in(response: Any) -> Timing | None:
    """The timing of a vcrpy response; None also where a hook of the user's has changed the body since."""
    plain = response.get(timeline.KEY) if isinstance(response, dict) else None
    if plain is None:
        return None
    timing = timeline.from_plain(plain)
    return timing if sum(timing.sizes) == len(response["body"]["string"] or b"") else None


def _text(value: Any) -> Any:
    return value.decode("latin-1") if isinstance(value, bytes) else value
