"""What a request shows of itself: an `Ask`, read from host, headers and body, or the refusal it earns.

A simulated API knows only what is on the wire. So everything that shapes an answer is inferred here, in this order:

1. **Said outright**, where nothing else could say it: the headers ``x-llmperf-workload``, ``x-llmperf-region`` and
   ``x-llmperf-condition: key=value, …``, or ``metadata.user_id`` of the form ``llmperf:key=value,…``. Keys:
   ``workload``; ``region``; ``peak=yes`` (busy hours); ``connection=new``; ``release=first``; ``shots=5`` (few-shot
   examples, 0 to 5; the fewer, the oftener a tool's input lacks something); ``limits=on`` or ``off``;
   ``output_tokens=450`` (that length, whatever else is shown);
   ``prompt=`` one of `prompt.CLASSES` or several joined with ``+`` (in place of what 3. finds; ``plain`` is none);
   ``fault=kind`` or ``fault=kind:2`` (one of `profile.FAULTS`, or its bare status; in the first two attempts of the
   call, by ``x-stainless-retry-count``). An unknown key or value is refused with 400: it would silently do nothing.
2. **The parameters**: model, stream, max_tokens, temperature, top_p, thinking, tools, tool_choice, output format,
   cache_control, and the number of tokens. The region also from a label of the host name (``eu.api.example``).
3. **The words** at the edges of the prompt: the first 600 characters of the system prompt and both ends of the last
   message. The workload, by 600 characters at each end: a forced tool, an output schema or words of extraction:
   ``extraction``; else words of fiction: ``creative``; else of programming: ``code``; else a question, or a context
   of 10,000 tokens: ``qa``; else the profile's default. The class of the prompt, by 4,000 characters at each end: XML
   tags around its parts, an answer wanted as XML or JSON, LaTeX, mixed scripts, ten levels of nesting, known attacks.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pytest_llmperf.simulator import prompt
from pytest_llmperf.simulator.profile import FAULTS, Profile
from pytest_llmperf.simulator.prompt import Piece, Prefix, as_list, as_mapping

LONG_CONTEXT_TOKENS = 10_000
MOST_SHOTS = 5
LEAST_THINKING = 1_024

_KEYS = ("workload", "region", "peak", "connection", "release", "shots", "limits", "output_tokens", "prompt", "fault")


class Refused(Exception):
    """The API answers with an error of its own."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status, self.kind, self.message = status, kind, message


class Tool(NamedTuple):
    """The tool an answer calls."""

    name: str
    schema: Mapping[str, Any]
    forced: bool


@dataclass(frozen=True, slots=True)
class Ask:
    """Everything about a request that shapes its answer."""

    model: str
    stream: bool
    max_tokens: int
    input_tokens: int
    system_tokens: int
    workload: str
    region: str = ""
    """Empty where none is shown."""
    prompt: frozenset[str] = frozenset()
    """Members of `prompt.CLASSES`."""
    schema: Mapping[str, Any] | None = None
    """What the answer's text must fit, as JSON."""
    temperature: float | None = None
    top_p: float | None = None
    tool: Tool | None = None
    thinking_budget: int = 0
    prefixes: tuple[Prefix, ...] = ()
    shots: int | None = None
    """None where nothing is said of examples."""
    peak: bool = False
    new_connection: bool = False
    first_release: bool = False
    limits: bool | None = None
    """Whether the rate limit counts; None leaves it to the profile."""
    output_tokens: int | None = None
    fault: str = ""
    """The fault this very attempt asks for."""
    choices: int = 1
    """Answers to the one request, which only chat completions have."""


def read(profile: Profile, *, host: str, headers: Mapping[str, str], body: bytes, counting: bool = False) -> Ask:
    """Read a request.

    Args:
        profile: whose workloads, regions and models are known.
        host: of the URL.
        headers: names in lower case.
        body: the JSON document.
        counting: the request only counts tokens, and needs no `max_tokens`.

    Raises:
        Refused: with status, error type and message as the real API; 400 also for conditions nobody knows.
    """
    return read_document(profile, parsed(body), host=host, headers=headers, counting=counting)


def read_document(
    profile: Profile, document: Mapping[str, Any], *, host: str, headers: Mapping[str, str], counting: bool = False
) -> Ask:
    """Read a request whose body is a JSON object already; see `read`."""
    _check(document, counting=counting)
    figures = profile.figures_of(document["model"])
    if figures is None:
        raise Refused(404, "not_found_error", f"model: {document['model']}{_known_models(profile)}")
    blocks = prompt.pieces(document)
    tokens = prompt.tokens(blocks)
    if tokens > figures.context_window:
        raise _invalid(f"prompt is too long: {tokens} tokens > {figures.context_window} maximum")
    said = _said(headers, document)
    return _ask(profile, document, blocks, said, region=_region(profile, said, host), fault=_fault(said, headers))


def _known_models(profile: Profile) -> str:
    """What helps whoever asked for a model that nothing is known of; the real API ends its message before."""
    known = ", ".join(profile.models)
    return f' (the simulated profile {profile.name} has {known}; one of your own adds others: [models."NAME*"])'


def _ask(
    profile: Profile,
    document: Mapping[str, Any],
    blocks: list[Piece],
    said: Mapping[str, str],
    *,
    region: str,
    fault: str,
) -> Ask:
    tokens, tool, schema = prompt.tokens(blocks), _tool(document), _schema(document)
    edges, wide_edges = prompt.edges(document)
    found = prompt.classes(wide_edges) | ({"json-output"} if schema is not None else set())
    forced = schema is not None or (tool is not None and tool.forced)
    return Ask(
        model=document["model"],
        stream=document.get("stream") is True,
        max_tokens=document.get("max_tokens", 1),
        input_tokens=tokens,
        system_tokens=prompt.tokens(prompt.system(document)),
        workload=_workload(profile, said, edges, forced=forced, tokens=tokens),
        region=region,
        prompt=_prompt_said(said) if "prompt" in said else found,
        schema=schema,
        temperature=_fraction(document, "temperature"),
        top_p=_fraction(document, "top_p"),
        tool=tool,
        thinking_budget=_thinking(document),
        prefixes=_prefixes(document, blocks),
        shots=_whole(said, "shots", most=MOST_SHOTS),
        peak=_flag(said, "peak", ("yes", "no")),
        new_connection=_flag(said, "connection", ("new", "reused")),
        first_release=_flag(said, "release", ("first", "current")),
        limits=_flag(said, "limits", ("on", "off")) if "limits" in said else None,
        output_tokens=_whole(said, "output_tokens", most=1_000_000),
        fault=fault,
    )


def _workload(profile: Profile, said: Mapping[str, str], words: str, *, forced: bool, tokens: int) -> str:
    if "workload" in said:
        return _one_of("workload", said["workload"], profile.workloads)
    long = tokens >= LONG_CONTEXT_TOKENS
    guesses = ("extraction" if forced else "", *prompt.workloads(words), "qa" if long else "")
    return next((name for name in guesses if name in profile.workloads), profile.default_workload)


# --- the body ----------------------------------------------------------------------------------------------------


def parsed(body: bytes) -> Mapping[str, Any]:
    """The JSON object of a body.

    Raises:
        Refused: it is none.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as problem:
        raise _invalid(f"The request body is not valid JSON: {problem}") from None
    if not isinstance(document, dict):
        raise _invalid("The request body is not valid JSON: it is no object")
    return document


def _check(document: Mapping[str, Any], *, counting: bool) -> None:
    _member(document, "model", str, "string")
    if not counting and _member(document, "max_tokens", int, "integer") < 1:
        raise _invalid("max_tokens: Input should be greater than or equal to 1")
    if not _member(document, "messages", list, "list"):
        raise _invalid("messages: at least one message is required")
    for number, message in enumerate(document["messages"]):
        if not isinstance(message, dict) or message.get("role") not in ("user", "assistant", "system"):
            raise _invalid(f"messages.{number}.role: Input should be 'user' or 'assistant'")
        if not isinstance(message.get("content"), str | list):
            raise _invalid(f"messages.{number}.content: Field required")


def _member(document: Mapping[str, Any], name: str, kind: type, called: str) -> Any:
    if name not in document:
        raise _invalid(f"{name}: Field required")
    value = document[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise _invalid(f"{name}: Input should be a valid {called}")
    return value


def _fraction(document: Mapping[str, Any], name: str) -> float | None:
    value = document.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise _invalid(f"{name}: Input should be between 0 and 1")
    return float(value)


def _thinking(document: Mapping[str, Any]) -> int:
    thinking, most = as_mapping(document.get("thinking")), document.get("max_tokens", 1) - 1
    if thinking.get("type") == "adaptive":
        return int(most)
    if thinking.get("type") != "enabled":
        return 0
    budget = thinking.get("budget_tokens")
    if not isinstance(budget, int) or not LEAST_THINKING <= budget <= most:
        raise _invalid(f"thinking.budget_tokens: must be at least {LEAST_THINKING} and below max_tokens")
    return budget


def _tool(document: Mapping[str, Any]) -> Tool | None:
    """The tool an answer calls: the forced one, or the first offered, unless the prompt ends with a tool's result."""
    choice = as_mapping(document.get("tool_choice"))
    forced = choice.get("type") in ("any", "tool")
    tools = [tool for tool in map(as_mapping, as_list(document.get("tools"))) if "input_schema" in tool]
    wanted = next((tool for tool in tools if tool.get("name") == choice.get("name")), tools[0] if tools else None)
    last = map(as_mapping, as_list(document["messages"][-1]["content"]))
    answered = any(block.get("type") == "tool_result" for block in last)
    if wanted is None or choice.get("type") == "none" or (answered and not forced):
        return None
    return Tool(str(wanted.get("name", "")), as_mapping(wanted["input_schema"]), forced)


def _schema(document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    wanted = as_mapping(as_mapping(document.get("output_config")).get("format") or document.get("output_format"))
    return as_mapping(wanted.get("schema")) if wanted.get("type") == "json_schema" else None


def _prefixes(document: Mapping[str, Any], blocks: list[Piece]) -> tuple[Prefix, ...]:
    try:
        return prompt.prefixes(document, blocks)
    except ValueError as problem:
        raise _invalid(str(problem)) from None


# --- what is said outright ---------------------------------------------------------------------------------------


def _said(headers: Mapping[str, str], document: Mapping[str, Any]) -> dict[str, str]:
    user = str(as_mapping(document.get("metadata")).get("user_id", ""))
    texts = [user[len("llmperf:") :] if user.startswith("llmperf:") else "", headers.get("x-llmperf-condition", "")]
    said = {}
    for part in filter(None, map(str.strip, ",".join(texts).split(","))):
        key, _, value = part.partition("=")
        said[_one_of("condition", key.strip(), _KEYS)] = value.strip()
    for key in ("workload", "region"):
        if f"x-llmperf-{key}" in headers:
            said[key] = headers[f"x-llmperf-{key}"].strip()
    return said


def _region(profile: Profile, said: Mapping[str, str], host: str) -> str:
    if "region" in said:
        return _one_of("region", said["region"], profile.regions)
    return next((label for label in host.partition(":")[0].split(".") if label in profile.regions), "")


def _prompt_said(said: Mapping[str, str]) -> frozenset[str]:
    return frozenset(_one_of("prompt", name, prompt.CLASSES) for name in said["prompt"].split("+"))


def _fault(said: Mapping[str, str], headers: Mapping[str, str]) -> str:
    kind, colon, attempts = said.get("fault", "").partition(":")
    if not kind:
        return ""
    name = _one_of("fault", f"status_{kind}" if kind.isdecimal() else kind, FAULTS)
    if colon and not attempts.isdecimal():
        raise _invalid(f"x-llmperf: fault={kind}:{attempts} does not say in how many attempts, as fault={kind}:2 would")
    retry = headers.get("x-stainless-retry-count", "0")
    return "" if colon and retry.isdecimal() and int(retry) >= int(attempts) else name


def _flag(said: Mapping[str, str], key: str, values: tuple[str, str]) -> bool:
    """Whether a condition has the first of its two values; the second is the rule."""
    return _one_of(key, said.get(key, values[1]), values) == values[0]


def _whole(said: Mapping[str, str], key: str, *, most: int) -> int | None:
    value = said.get(key)
    if value is None:
        return None
    if not value.isdecimal() or int(value) > most:
        raise _invalid(f"x-llmperf: {key}={value} cannot be used; it must be a whole number up to {most}")
    return int(value)


def _one_of(what: str, value: str, valid: Collection[str]) -> str:
    if value not in valid:
        raise _invalid(f"x-llmperf: unknown {what} {value!r}; valid here: {', '.join(valid)}")
    return value


def _invalid(message: str) -> Refused:
    return Refused(400, "invalid_request_error", message)
