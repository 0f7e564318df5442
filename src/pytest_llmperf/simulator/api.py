"""One simulated API: the state that time and other requests leave, and the plan each request gets.

The state is small: how many requests are under way, the rate limiter's bucket, the prompt cache. Everything else is
`behaviour`. For one profile, seed and order of requests all answers are alike to the byte. Safe to use from threads.
"""

import math
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from typing import NamedTuple

from pytest_llmperf.simulator import behaviour, chat_request, conditions, messages_format
from pytest_llmperf.simulator.behaviour import Circumstances, Plan
from pytest_llmperf.simulator.chat_format import Chat
from pytest_llmperf.simulator.conditions import Ask, Refused
from pytest_llmperf.simulator.form import Form
from pytest_llmperf.simulator.messages_format import Allowance, CacheUse
from pytest_llmperf.simulator.profile import Cache, Limits, Profile
from pytest_llmperf.simulator.prompt import Prefix
from pytest_llmperf.wire import endpoints

_PATH = re.compile(r"/v1/messages(?:/(?P<rest>.*))?$")
_CHAT = re.compile(r"/chat/completions$")
_UNSERVED = re.compile(r"/v1/responses(?:/.*)?$|/model/[^/]*anthropic[^/]*/invoke(?:-with-response-stream)?$")
"""Calls of an LLM that are measured and not simulated: let through, they would reach a real one, and be billed. What
else is asked of a provider's own host is refused like them."""
_UNLIMITED = Allowance(4_000, 3_999, 0.0)
_MINUTE_NS = 60_000_000_000
_ROUNDING = 1e-9
_SEEDS = 2**64 - 1


class Served(NamedTuple):
    """A request that was taken, and what it will see."""

    ticket: int
    """To be given back to `SimulatedApi.finished` when the exchange is over."""
    arrived_ns: int
    """When its last byte came; the plan's times count from here."""
    plan: Plan


def _monotonic_ns() -> int:
    return time.monotonic_ns()


def serves(path: str, host: str = "") -> bool:
    """Whether a request is the simulated API's to answer or refuse: by its path, or as one to a provider's own host."""
    return any(pattern.search(path) for pattern in (_PATH, _CHAT, _UNSERVED)) or endpoints.is_provider(host)


def answers(path: str) -> bool:
    """Whether a path is of a protocol that the simulated API speaks."""
    return any(pattern.search(path) for pattern in (_PATH, _CHAT))


class SimulatedApi:
    """The far end of all requests of one test or one server.

    Args:
        profile: what it is like.
        seed: what its random numbers begin from.
        now_ns: its clock, in nanoseconds; by default the monotonic one, looked up at each call.
    """

    def __init__(self, profile: Profile, seed: int = 0, now_ns: Callable[[], int] | None = None) -> None:
        self.profile = profile
        self.now_ns = now_ns or _monotonic_ns
        self._seed = seed
        self._lock = threading.Lock()
        self._began_ns = self.now_ns()
        self._requests = 0
        self._under_way: dict[int, int] = {}
        self._bucket = Bucket(profile.limits, self._began_ns)
        self._cache = PromptCache(profile.cache)

    def receive(
        self,
        method: str,
        path: str,
        *,
        host: str,
        headers: Mapping[str, str],
        body: bytes,
        overlapping: bool = True,
        foreign: str = "",
    ) -> Served:
        """Take a request whose last byte came just now.

        Args:
            method: of HTTP.
            path: of the URL, without its query.
            host: of the URL.
            headers: names in lower case.
            body: as sent.
            overlapping: requests under way slow each other down; False where no time passes while they are.
            foreign: the protocol it speaks, where that is another plugin's: it is refused.
        """
        with self._lock:
            arrived_ns = self.now_ns()
            self._requests += 1
            ticket = self._requests
            self._under_way = {other: end_ns for other, end_ns in self._under_way.items() if end_ns > arrived_ns}
            plan = self._plan(
                method,
                path,
                host=host,
                headers=headers,
                body=body,
                arrived_ns=arrived_ns,
                rng=self._rng(ticket),
                foreign=foreign,
            )
            if overlapping:
                self._under_way[ticket] = arrived_ns + plan.end_ns
            return Served(ticket, arrived_ns, plan)

    def finished(self, ticket: int) -> None:
        """The exchange is over, by its end or because its client left. May be said twice."""
        with self._lock:
            self._under_way.pop(ticket, None)

    @property
    def under_way(self) -> int:
        """How many requests have neither finished nor outlived their plan."""
        now_ns = self.now_ns()
        return sum(end_ns > now_ns for end_ns in self._under_way.values())

    def _rng(self, number: int) -> Random:
        return Random(((self._seed & _SEEDS) << 40) | number)

    def _plan(
        self,
        method: str,
        path: str,
        *,
        host: str,
        headers: Mapping[str, str],
        body: bytes,
        arrived_ns: int,
        rng: Random,
        foreign: str = "",
    ) -> Plan:
        elapsed = (arrived_ns - self._began_ns) / 1e9
        chat, found = _CHAT.search(path) is not None, _PATH.search(path)
        rest = None if chat else found["rest"] if found else "?"
        of_openai = chat or path.endswith("/responses") or endpoints.is_openai(host)
        form: Form = Chat.of(body) if of_openai else messages_format
        try:
            _check_spoken(path, host, foreign)
            _check_route(method, rest)
            asked = conditions.parsed(body)
            document = chat_request.as_messages(asked) if chat else asked
            ask = conditions.read_document(
                self.profile, document, host=host, headers=headers, counting=rest is not None
            )
            ask = replace(ask, choices=chat_request.choices(asked)) if chat else ask
        except Refused as refused:
            circumstances = Circumstances(elapsed_seconds=elapsed, allowance=_UNLIMITED)
            return behaviour.refusal(refused, self.profile, circumstances, rng, form)
        if rest is not None:
            return behaviour.count(ask, self.profile, Circumstances(elapsed_seconds=elapsed, allowance=_UNLIMITED), rng)
        return behaviour.plan(ask, self.profile, self._circumstances(ask, arrived_ns, elapsed), rng, form)

    def _circumstances(self, ask: Ask, arrived_ns: int, elapsed: float) -> Circumstances:
        limited = self.profile.limits.enabled if ask.limits is None else ask.limits
        throttled = self._bucket.take(arrived_ns) if limited else None
        return Circumstances(
            in_flight=len(self._under_way) + 1,
            cache=self._cache.use(ask.prefixes, arrived_ns) if throttled is None else CacheUse(),
            elapsed_seconds=elapsed,
            allowance=self._bucket.allowance() if limited else _UNLIMITED,
            throttled_seconds=throttled,
        )


def _check_spoken(path: str, host: str, foreign: str) -> None:
    unserved = _UNSERVED.search(path) is not None
    if foreign or unserved or (endpoints.is_provider(host) and not answers(path)):
        what = f"speak {foreign}" if foreign else f"answer {path}"
        kind = "invalid_request_error" if unserved else "not_found_error"
        raise Refused(404, kind, f"the simulated API does not {what}; it speaks Messages and Chat")


def _check_route(method: str, rest: str | None) -> None:
    if rest not in (None, "count_tokens"):
        raise Refused(404, "not_found_error", "Not Found")
    if method != "POST":
        raise Refused(405, "invalid_request_error", "Method Not Allowed")


class Bucket:
    """A token bucket of requests: full at first, refilled evenly, a refused request takes nothing."""

    def __init__(self, limits: Limits, now_ns: int) -> None:
        self._limits = limits
        self._left = float(limits.burst)
        self._seen_ns = now_ns

    def take(self, now_ns: int) -> float | None:
        """Take one request's worth; None when it was there, else the seconds until it will be."""
        per_ns = self._limits.requests_per_minute / _MINUTE_NS
        self._left = min(self._limits.burst, self._left + (now_ns - self._seen_ns) * per_ns)
        self._seen_ns = now_ns
        if self._left < 1 - _ROUNDING:
            return (1 - self._left) / per_ns / 1e9
        self._left -= 1
        return None

    def allowance(self) -> Allowance:
        """What the headers say of it."""
        missing = self._limits.burst - self._left
        return Allowance(
            self._limits.announced_per_minute, math.floor(self._left), missing / self._limits.requests_per_minute * 60
        )


class PromptCache:
    """Prefixes of prompts, each kept for a time after its last use."""

    def __init__(self, figures: Cache) -> None:
        self._figures = figures
        self._expires_ns: dict[bytes, int] = {}

    def use(self, prefixes: tuple[Prefix, ...], now_ns: int) -> CacheUse:
        """Read the longest prefix that is kept, and keep those the request marks."""
        large = [prefix for prefix in prefixes if prefix.tokens >= self._figures.minimum_tokens]
        if not large or not self._figures.enabled:
            return CacheUse()
        read = next(
            (prefix.tokens for prefix in reversed(large) if self._expires_ns.get(prefix.digest, now_ns) > now_ns), 0
        )
        marked = [prefix for prefix in large if prefix.marked]
        for prefix in large:
            if prefix.marked or (prefix.tokens <= read and prefix.digest in self._expires_ns):
                minutes = prefix.lifetime_minutes or self._figures.lifetime_minutes
                self._expires_ns[prefix.digest] = now_ns + round(minutes * _MINUTE_NS)
        written = max(0, marked[-1].tokens - read) if marked else 0
        hour = bool(marked) and marked[-1].lifetime_minutes == 60
        return CacheUse(0 if hour else written, written if hour else 0, read)
