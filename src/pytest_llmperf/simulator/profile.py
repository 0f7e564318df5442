"""What a simulated API is like, in figures: one frozen `Profile`, read from TOML.

The figures of a shipped profile come from a published study, and its file says from which of the study's systems
(`S05`, …) each comes, which figures contradict each other, and which are a choice where the study is silent. Names of
keys carry their unit; a `_factor` multiplies, and 1 changes nothing. Prices are no part of a profile.
"""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

from pytest_llmperf.core.errors import ProfileError
from pytest_llmperf.simulator.reading import Count, Curve, NotNegative, Positive, Share, build

SHIPPED = Path(__file__).parent / "profiles"
Z95 = 1.6448536269514722
"""The standard normal distribution's 0.95 quantile."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A kind of request: how soon its answer begins and how long it gets."""

    ttft_p50_ms: Positive
    ttft_p95_ms: Positive
    output_tokens: Count
    """Mean length of an answer that `max_tokens` does not cut."""
    output_cv: Share = 0.0
    unexplained_share: NotNegative = 0.0
    """Time after the last content, as a share of all time before it."""

    def __post_init__(self) -> None:
        if self.ttft_p95_ms < self.ttft_p50_ms:
            raise ValueError(f"ttft_p95_ms = {self.ttft_p95_ms:g} is below ttft_p50_ms = {self.ttft_p50_ms:g}")

    @property
    def ttft_sigma(self) -> float:
        """Standard deviation of ln TTFT for which the log-normal distribution has this median and p95."""
        return math.log(self.ttft_p95_ms / self.ttft_p50_ms) / Z95


@dataclass(frozen=True, slots=True)
class Throughput:
    """How fast tokens come once they come."""

    context_tokens_per_second: Curve
    """Output tokens a second at input tokens; between the points log-linear in the context, outside them level."""
    cv: Share = 0.0
    """Variation of one call's rate, log-normal about the curve."""
    factor: Positive = 1.0

    def __post_init__(self) -> None:
        if self.context_tokens_per_second[0].at < 1:
            raise ValueError("context_tokens_per_second begins below a context of 1 token")


@dataclass(frozen=True, slots=True)
class Stream:
    """How a stream is cut into events."""

    tokens_per_delta: Positive = 5.0
    """Median."""
    most_tokens_per_delta: Count = 41
    head_share: Share = 0.8
    """When headers and `message_start` leave, as a share of TTFT."""


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """How an LLM differs from the one the profile describes."""

    time_factor: Positive = 1.0
    long_context_time_factor: Positive = 1.0
    """In place of `time_factor`, from `long_context_tokens` on; 1 means the same."""
    long_context_tokens: Count = 50_000
    context_window: Count = 200_000
    first_release_rate_factor: Positive = 1.0


@dataclass(frozen=True, slots=True)
class Sampling:
    """Rate of decoding by sampling parameter; 1 where the request leaves it out."""

    temperature_rate_factor: Curve = ()
    top_p_rate_factor: Curve = ()


@dataclass(frozen=True, slots=True)
class Cache:
    """Prompt caching."""

    enabled: bool = False
    minimum_tokens: Count = 1024
    small_prefix_tokens: Count = 10_000
    small_prefix_time_factor: Positive = 1.0
    large_prefix_time_factor: Positive = 1.0
    lifetime_minutes: Positive = 60.0
    """From the last use, where the request gives no `ttl`."""


@dataclass(frozen=True, slots=True)
class Limits:
    """A token bucket of requests, off unless enabled."""

    enabled: bool = False
    requests_per_minute: Positive = 50.0
    """What is granted in the long run."""
    announced_per_minute: Count = 50
    """What the rate-limit headers say."""
    burst: Count = 1


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the form of a prompt costs."""

    xml_prompt_ttft_ms: NotNegative = 0.0
    xml_output_ms: NotNegative = 0.0
    json_output_ms: NotNegative = 0.0
    long_system_tokens: Count = 500
    long_system_ttft_ms: NotNegative = 0.0
    verbose_time_factor: Positive = 1.0
    five_shots_rate_factor: Positive = 1.0
    complete_share_by_shots: Curve = ()
    """Share of a tool's inputs that lack nothing, by few-shot examples, where a request says how many it has."""
    latex_time_factor: Positive = 1.0
    mixed_scripts_time_factor: Positive = 1.0
    nested_ttft_ms: NotNegative = 0.0
    repetitive_time_factor: Positive = 1.0
    adversarial_ttft_ms: NotNegative = 0.0
    """Median of a log-normal addition."""
    adversarial_sigma: NotNegative = 0.0


@dataclass(frozen=True, slots=True)
class Thinking:
    """Extended thinking, when a request asks for it."""

    tokens: Count = 120
    """Mean; never more than the request's budget."""


@dataclass(frozen=True, slots=True)
class Faults:
    """Share of the requests that end in each way, and what such an end looks like."""

    status_429: Share = 0.0
    status_500: Share = 0.0
    status_503: Share = 0.0
    status_529: Share = 0.0
    connect: Share = 0.0
    """The connection is refused."""
    connect_timeout: Share = 0.0
    """The connection is never made."""
    disconnect: Share = 0.0
    """The peer closes the connection in the middle of the answer."""
    reset: Share = 0.0
    """The connection is reset in the middle of the answer."""
    error_event: Share = 0.0
    """An `error` event in a stream of status 200; status 529 where none is streamed."""
    stall: Share = 0.0
    """Silence in the middle of the answer, then the rest."""
    stall_seconds: Positive = 120.0
    answer_ms: NotNegative = 150.0
    """How soon an error is answered."""
    retry_after_seconds: Count = 1
    """What a 429 of `status_429` asks for."""

    def __post_init__(self) -> None:
        if sum(self.shares().values()) > 1:
            raise ValueError(f"its shares add up to {sum(self.shares().values()):g}, more than 1")

    def shares(self) -> dict[str, float]:
        """The share of each kind of fault, in the order of the fields."""
        return {kind: getattr(self, kind) for kind in FAULTS}


FAULTS = (
    "status_429", "status_500", "status_503", "status_529", "connect", "connect_timeout", "disconnect", "reset",
    "error_event", "stall",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Profile:
    """Everything a simulated API is like."""

    models: Mapping[str, ModelFigures]
    """By shell pattern; the first that fits a request's model rules."""
    workloads: Mapping[str, Workload]
    default_workload: str
    throughput: Throughput
    description: str = ""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Which model answers for a requested name."""
    stream: Stream = Stream()
    sampling: Sampling = Sampling()
    regions: Mapping[str, NotNegative] = field(default_factory=dict)
    """Milliseconds added to TTFT."""
    peak_p95_factor: Positive = 1.0
    new_connection_ms: NotNegative = 0.0
    cache: Cache = Cache()
    in_flight_time_factor: Curve = ()
    """All times of a request, by the requests in flight when it comes, itself included."""
    limits: Limits = Limits()
    prompt: Prompt = Prompt()
    thinking: Thinking = Thinking()
    faults: Faults = Faults()
    name: str = field(default="", metadata={"derived": True})
    document: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False, metadata={"derived": True})
    """The tables this profile was built from."""

    def __post_init__(self) -> None:
        if self.default_workload not in self.workloads:
            raise ValueError(f"default_workload = {self.default_workload!r} is none of {', '.join(self.workloads)}")

    def with_overrides(self, overrides: Mapping[str, object]) -> Self:
        """Return this profile with single figures changed.

        Args:
            overrides: values by dotted key as TOML writes it, e.g. ``{"workloads.code.ttft_p95_ms": 2000}``.

        Raises:
            ProfileError: as `load`.
        """
        document: Mapping[str, Any] = self.document
        for key, value in overrides.items():
            document = _merged(document, _nested(key, value))
        changed = build(type(self), document, source=f"{self.name} with overrides")
        return replace(changed, name=self.name, document=document)

    def figures_of(self, model: str) -> ModelFigures | None:
        """What is known of a model, by its requested name; None when it is none of this profile's."""
        return next((figures for pattern, figures in self.models.items() if fnmatchcase(model, pattern)), None)


def load(name_or_path: str | Path) -> Profile:
    """Read a profile.

    Args:
        name_or_path: a shipped profile's name, or the path of a TOML file: what ends in ``.toml`` or names a folder.

    Raises:
        ProfileError: it is missing, is not TOML, or has an unknown key, a wrong type or an impossible number; the
            message names file, key, value and what is valid.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml" and path.parent == Path():
        return _shipped(str(name_or_path))
    return _built(_document(path, ()), name=path.stem, source=str(path))


def shipped() -> list[str]:
    """The names of the shipped profiles."""
    return list(shipped_files())


def shipped_files() -> dict[str, Path]:
    """The files of the shipped profiles, by name in alphabetical order."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.toml"))}


@cache
def _shipped(name: str) -> Profile:
    path = SHIPPED / f"{name}.toml"
    if name not in shipped():
        raise ProfileError(
            f"no profile is called {name!r}; shipped are: {', '.join(shipped())}."
            " A file of your own is named by its path, which ends in .toml."
        )
    return _built(_document(path, ()), name=name, source=path.name)


def _built(document: Mapping[str, Any], *, name: str, source: str) -> Profile:
    return replace(build(Profile, document, source=source), name=name, document=document)


def _document(path: Path, seen: tuple[Path, ...]) -> Mapping[str, Any]:
    """The tables of a file over those it extends."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as problem:
        raise ProfileError(f"{path}: cannot be read: {problem}.") from None
    except tomllib.TOMLDecodeError as problem:
        raise ProfileError(f"{path}: is not TOML: {problem}.") from None
    base = document.pop("extends", None)
    if base is None:
        return document
    if path in seen or not isinstance(base, str):
        raise ProfileError(
            f"{path}: extends = {base!r} cannot be used; it must name a profile that does not extend this one."
        )
    return _merged(_document(_beside(path, base), (*seen, path)), document)


def _beside(path: Path, base: str) -> Path:
    if base in shipped():
        return SHIPPED / f"{base}.toml"
    if not base.endswith(".toml"):
        raise ProfileError(
            f"{path}: extends = {base!r} is no shipped profile ({', '.join(shipped())}) and no *.toml file."
        )
    return path.parent / base


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> Mapping[str, Any]:
    """Tables merged key by key; anything else is replaced."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merged(old, value) if isinstance(value, Mapping) and isinstance(old, Mapping) else value
    return merged


def _nested(key: str, value: object) -> dict[str, Any]:
    """`a."b.c"` and a value as nested tables; TOML itself reads the key."""
    try:
        tables = tomllib.loads(f"{key} = 0")
    except tomllib.TOMLDecodeError:
        raise ProfileError(
            f"{key!r} is no dotted key; write it as in the file, e.g. 'workloads.code.ttft_p95_ms'."
        ) from None
    table = tables
    while isinstance(inner := next(iter(table.values())), dict):
        table = inner
    table[next(iter(table))] = value
    return tables


def height(curve: Curve, at: float, *, log: bool = False) -> float:
    """Read a curve: between its points linear in `at`, or in its logarithm; level outside them; 1 when it has none."""
    if not curve:
        return 1.0
    if at <= curve[0].at:
        return curve[0].value
    for left, right in pairwise(curve):
        if at <= right.at:
            share = (
                math.log(at / left.at) / math.log(right.at / left.at) if log else (at - left.at) / (right.at - left.at)
            )
            return left.value + share * (right.value - left.value)
    return curve[-1].value
