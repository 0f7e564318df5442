"""The reference, written from what the code itself reads: marks, options, metrics, hooks, fixtures, commands, files.

It gives Markdown and knows nothing of Sphinx. What is missing here is missing in the code: an argument is explained in
`plugin/arguments.py`, an option in `plugin/options.py`, a metric in `core/metrics.py`, a hook in `hookspecs.py`, a
command in its parser, a key of the JSON report in its schema.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import typing
from collections.abc import Callable, Iterable, Mapping
from importlib import resources
from typing import Any

import docstrings
from pytest_llmperf import hookspecs, testing
from pytest_llmperf.cassettes import timeline
from pytest_llmperf.cli import COMMANDS
from pytest_llmperf.core.metrics import METRICS, Metric
from pytest_llmperf.plugin.arguments import ARGUMENTS, DESCRIPTIONS, Argument
from pytest_llmperf.plugin.fixtures import CurrentArm, LLMPerf
from pytest_llmperf.plugin.options import FILTERS, OF_THE_PROJECT, OPTIONS, Option
from pytest_llmperf.reports.report import Report, TestResult
from pytest_llmperf.simulator import conditions
from pytest_llmperf.simulator.profile import FAULTS, Profile
from pytest_llmperf.simulator.prompt import CLASSES
from pytest_llmperf.wire import Protocol


def marks() -> str:
    """Every mark with its arguments: what each means, may be, and is by default."""
    return _joined(
        _section(f"mark-{name}", f"`{name}`", _sentence(DESCRIPTIONS[name]), _arguments(arguments))
        for name, arguments in ARGUMENTS.items()
    )


def _arguments(arguments: Mapping[str, Argument]) -> str:
    if not arguments:
        return _definition("any name", "A factor: a list of plain values, each different.")
    return _joined(_definition(_call_of(name, one), _explained(one)) for name, one in arguments.items())


def _call_of(name: str, argument: Argument) -> str:
    return f"`{name}`" if argument.default in (None, "") else f"`{name} = {argument.default!r}`"


def _explained(argument: Argument) -> str:
    return f"{_sentence(argument.meaning)} *{_sentence(may_be(argument))}*"


def may_be(argument: Argument) -> str:
    """What values an argument takes, in the words with which any other is refused."""
    try:
        argument.check(object())
    except ValueError as refusal:
        return re.sub(r"'([^']+)'", r"`\1`", str(refusal))
    return "anything"


def options() -> str:
    """Every option in its three places, and those that stand in the ini file only."""
    projects = OF_THE_PROJECT | {name: f"{meaning}, one a line" for name, meaning in FILTERS.items()}
    only = _joined(_definition(f"`{name}`", _sentence(meaning)) for name, meaning in projects.items())
    return _joined([*map(_option, OPTIONS), _section("ini-only", "In the ini file only", only)])


def _option(option: Option) -> str:
    facts = {
        "Value": ", ".join(f"`{choice}`" for choice in option.choices or filter(None, [option.metavar])),
        "Default": "" if option.default in (None, False) else f"`{option.default}`",
        "Ini file": f"`{option.ini}`" + (" = true" if option.flag else ""),
        "Environment": f"`{option.variable}`" + (" = true" if option.flag else ""),
    }
    return _section(f"option-{option.name}", f"`{option.cli}`", _sentence(option.help), _fields(facts))


_PER = {
    "call": "Of a call",
    "event": "Of an event",
    "round": "Of a round",
    "series": "Of all calls of a test or arm",
}


def metrics() -> str:
    """Every metric of the table: unit, direction, definition, and where that comes from."""
    groups = {per: [metric for metric in METRICS.values() if metric.per == per] for per in _PER}
    return _joined(f"## {_PER[per]}\n\n{_joined(map(_metric, group))}" for per, group in groups.items())


def _metric(metric: Metric) -> str:
    facts = {
        "Unit": metric.unit,
        "Better": metric.better or "neither",
        "Definition": metric.formula,
        "After": metric.source,
    }
    return _section(f"metric-{metric.name}", f"`{metric.name}`", _fields(facts), level=3)


def hooks() -> str:
    """Every hook, in its own words, with the example that stands with it."""
    names = [name for name in hookspecs.__all__ if hasattr(getattr(hookspecs, name), "pytest_spec")]
    return _joined(map(_hook, names))


def _hook(name: str) -> str:
    function = getattr(hookspecs, name)
    text, _, example = docstrings.of(function).partition("Example::")
    answers = "the first that is not None counts" if function.pytest_spec["firstresult"] else "all count"
    shown = docstrings.block("python", docstrings.dedented(example)) if example else ""
    return _section(
        f"hook-{name}",
        f"`{name}`",
        docstrings.signature(function, name),
        text.strip(),
        _fields({"Answers": answers}),
        shown,
    )


def hook_values() -> str:
    """The classes that hooks are given and give."""
    classes = (hookspecs.CallMetric, Protocol, Report, TestResult)
    return _joined(docstrings.of_class(one, level=3) for one in classes)


def fixtures() -> str:
    """Both fixtures and what can be asked of them."""
    return _joined(
        _section(f"fixture-{name}", f"`{name}`", docstrings.of(made), docstrings.members(made, f"{name}."))
        for name, made in (("llmperf", LLMPerf), ("arm", CurrentArm))
    )


def testing_api() -> str:
    """Everything that `pytest_llmperf.testing` offers."""
    offered = [(name, getattr(testing, name)) for name in testing.__all__]
    functions = [docstrings.of_function(one, level=3) for _, one in offered if not isinstance(one, type)]
    classes = [docstrings.of_class(one, level=3) for _, one in offered if isinstance(one, type)]
    return f"## Functions\n\n{_joined(functions)}\n\n## Values\n\n{_joined(classes)}"


def commands() -> str:
    """Every command with its arguments, from its parser."""
    return _joined(_command(name, command) for name, command in COMMANDS.items())


def _command(name: str, command: Any) -> str:
    parser = argparse.ArgumentParser(prog=f"llmperf {name}", add_help=False, formatter_class=_wide)
    command.add_arguments(parser)
    usage = docstrings.block("text", parser.format_usage().removeprefix("usage: ").replace("\n       ", "\n"))
    arguments = _joined(_definition(_flags(action), _help(action)) for action in parser._actions)
    return _section(f"command-{name}", f"`llmperf {name}`", docstrings.of(command), usage, arguments)


def _wide(prog: str) -> argparse.HelpFormatter:
    return argparse.HelpFormatter(prog, width=80)


def _flags(action: argparse.Action) -> str:
    value = action.metavar or ("" if action.nargs == 0 else action.dest.upper())
    if not action.option_strings:
        return f"`{value}`"
    return ", ".join(f"`{flag} {value}`".replace(" `", "`") for flag in action.option_strings)


def _help(action: argparse.Action) -> str:
    return _sentence((action.help or "") % vars(action)) + (" *Required.*" if action.required else "")


def report_schema() -> str:
    """The JSON report, key by key, from its schema."""
    text = resources.files("pytest_llmperf.reports").joinpath("schema-1.json").read_text("utf-8")
    schema = json.loads(text)
    parts = [_section("schema-report", "The report", schema["description"], _properties(schema))]
    for name, part in schema["$defs"].items():
        parts.append(_section(f"schema-{name}", f"`{name}`", part.get("description", ""), _properties(part)))
    return _joined(parts)


def _properties(schema: Mapping[str, Any], prefix: str = "") -> str:
    return _joined(_property(f"{prefix}{name}", part) for name, part in schema.get("properties", {}).items())


def _property(name: str, part: Mapping[str, Any]) -> str:
    whole = _definition(f"`{name}`", f"{part.get('description', '')} *{_sentence(_type(part))}*".strip())
    return _joined([whole, _properties(part, f"{name}.")]) if "properties" in part and "$ref" not in part else whole


def _type(part: Mapping[str, Any]) -> str:
    if "$ref" in part:
        name = part["$ref"].rpartition("/")[2]
        return f"A [{name}](#schema-{name})"
    if "const" in part:
        return f"always `{json.dumps(part['const'])}`"
    if "enum" in part:
        return "one of " + ", ".join(f"`{json.dumps(value)}`" for value in part["enum"])
    if "anyOf" in part:
        return " or ".join(map(_type, part["anyOf"]))
    if "items" in part:
        return f"a list; each: {_type(part['items'])}"
    if isinstance(part.get("additionalProperties"), dict):
        return f"an object; each value: {_type(part['additionalProperties'])}"
    kinds = part.get("type", "anything")
    return " or ".join([kinds] if isinstance(kinds, str) else kinds)


def cassette_key() -> str:
    """What stands under `x-llmperf` in a recorded response, from the module that reads and writes it."""
    return docstrings.markdown(docstrings.of(timeline).partition("\n\n")[2], "yaml")


def simulator_conditions() -> str:
    """What the simulated API takes from a request, from the module that reads it."""
    return docstrings.markdown(docstrings.of(conditions).partition("\n\n")[2])


def simulator_names() -> str:
    """The names that conditions and profiles are made of."""
    return _joined([_definition("Kinds of fault", _names(FAULTS)), _definition("Classes of prompt", _names(CLASSES))])


def simulator_profile() -> str:
    """Every table and key of a profile, from the classes that read it."""
    hints = typing.get_type_hints(Profile)
    derived = [one.name for one in dataclasses.fields(Profile) if one.metadata.get("derived")]
    tables = {name: _table_of(hint) for name, hint in hints.items() if _table_of(hint)}
    alone = [line for line in docstrings.fields(Profile).splitlines() if not _key(line) & {*tables, *derived}]
    parts = [
        _table(f"{name}{'' if dataclasses.is_dataclass(hints[name]) else '.NAME'}", tables[name]) for name in tables
    ]
    return _joined(["\n".join(alone), *parts])


def _table(title: str, table: type) -> str:
    return _joined([f"### `[{title}]`", docstrings.of(table), docstrings.fields(table)])


def _table_of(hint: Any) -> Any:
    """The class that reads a table of TOML, or each table of several; None where the key holds a plain value."""
    return next((one for one in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(one)), None)


def _key(line: str) -> set[str]:
    return {line.removeprefix("- `").partition(":")[0]}


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _section(anchor: str, title: str, *parts: str, level: int = 2) -> str:
    return _joined([f"({anchor})=", f"{'#' * level} {title}", *filter(None, parts)])


def _definition(term: str, meaning: str) -> str:
    return f"{term}\n: {meaning}"


def _fields(facts: Mapping[str, str]) -> str:
    return "\n".join(f":{name}: {value}" for name, value in facts.items() if value)


def _sentence(text: str) -> str:
    """The text with a capital at its front and a stop at its end, unless it begins with code."""
    return text and f"{text[0].upper()}{text[1:]}".rstrip(".") + "."


def _joined(parts: Iterable[str]) -> str:
    return "\n\n".join(parts)


SECTIONS: dict[str, Callable[[], str]] = {
    "marks": marks,
    "options": options,
    "metrics": metrics,
    "hooks": hooks,
    "hook-values": hook_values,
    "fixtures": fixtures,
    "testing": testing_api,
    "commands": commands,
    "report-schema": report_schema,
    "cassette-key": cassette_key,
    "simulator-conditions": simulator_conditions,
    "simulator-names": simulator_names,
    "simulator-profile": simulator_profile,
}
"""What a page may ask for, by the name it asks with."""
