"""Docstrings as Markdown: what a function, a class or a module says of itself.

Ours are written in Markdown, with google's sections and literal blocks after `::`; that much is read here, no more.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import textwrap
from collections.abc import Iterator
from enum import Enum
from typing import Any

_SECTIONS = {"Args": "Arguments", "Raises": "Raises", "Attributes": "Attributes"}
_SECTION = re.compile(rf"^({'|'.join(_SECTIONS)}):\n((?:    .*\n?|\n)*)", re.MULTILINE)
_ENTRY = re.compile(r"^(\w+): ((?:.*\n?)(?:    .*\n?)*)", re.MULTILINE)
_LITERAL = re.compile(r"^((?: {4}.*\n|\n)* {4}.*\n?)", re.MULTILINE)


def of(thing: Any) -> str:
    """The docstring, its margin taken away."""
    return inspect.getdoc(thing) or ""


def of_function(function: Any, level: int) -> str:
    """A section of a function: how it is called, and what its docstring says."""
    name = function.__name__
    return "\n\n".join([f"{'#' * level} `{name}`", signature(function, name), markdown(of(function))])


def of_class(one: type, level: int) -> str:
    """A section of a class: its docstring, its fields, and what can be asked of it."""
    listed = "\n".join(_listed(f"`{name}`", meaning) for name, meaning in _members(one))
    parts = [f"{'#' * level} `{one.__name__}`", markdown(of(one)), "\n".join(filter(None, [fields(one), listed]))]
    return "\n\n".join(filter(None, parts))


def markdown(text: str, language: str = "python") -> str:
    """A docstring's sections as definitions, its literal blocks as code; the rest is Markdown as it is."""
    told = _SECTION.sub(_definitions, text.replace("``", "`") + "\n").replace("::\n", ":\n")
    return _LITERAL.sub(lambda found: f"\n{block(language, dedented(found[1]))}\n", told).strip()


def _definitions(found: re.Match[str]) -> str:
    entries = _ENTRY.findall(textwrap.dedent(found[2]))
    listed = "\n\n".join(f"`{name}`\n: {' '.join(meaning.split())}" for name, meaning in entries)
    return f"**{_SECTIONS[found[1]]}**\n\n{listed}\n\n"


def block(language: str, text: str) -> str:
    """A block of code."""
    return f"```{language}\n{text.strip()}\n```"


def dedented(text: str) -> str:
    """The text without its margin and the empty lines around it."""
    return textwrap.dedent(text.strip("\n")).strip()


def signature(function: Any, name: str) -> str:
    """How it is called, a parameter a line where they are many."""
    found = inspect.signature(function)
    parameters = list(_parameters(found))
    returned = "" if found.return_annotation is found.empty else f" -> {_annotation(found.return_annotation)}"
    line = f"{name}({', '.join(parameters)}){returned}"
    if len(line) > 90:
        line = f"{name}(\n    " + ",\n    ".join(parameters) + f",\n){returned}"
    return block("python", line)


def _parameters(found: inspect.Signature) -> Iterator[str]:
    starred = False
    for parameter in found.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            starred = True
            yield "*"
        starred = starred or parameter.kind is parameter.VAR_POSITIONAL
        stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else ""
        annotated = "" if parameter.annotation is parameter.empty else f": {_annotation(parameter.annotation)}"
        default = "" if parameter.default is parameter.empty else f" = {_default(parameter.default)}"
        yield f"{stars}{parameter.name}{annotated}{default}"


def _annotation(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))


def _default(value: Any) -> str:
    shown = repr(value)
    return "..." if " at 0x" in shown or len(shown) > 40 else shown


def fields(one: type) -> str:
    """A data class's or an enumeration's fields, with what stands below each in the source."""
    if not dataclasses.is_dataclass(one) and not issubclass(one, tuple | Enum):
        return ""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(one))).body
    assert isinstance(tree, ast.ClassDef)
    following = [*tree.body[1:], None]
    listed = zip(tree.body, following, strict=True)
    return "\n".join(_listed(_field(node), _told(after)) for node, after in listed if _field(node))


def _listed(name: str, meaning: str) -> str:
    return f"- {name}: {meaning}" if meaning else f"- {name}"


def _field(node: ast.stmt) -> str:
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        default = f" = {node.value.value!r}" if isinstance(node.value, ast.Constant) else ""
        return f"`{node.target.id}: {ast.unparse(node.annotation)}{default}`"
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id[0] != "_":
        return f"`{node.targets[0].id} = {ast.unparse(node.value)}`"
    return ""


def _told(node: ast.stmt | None) -> str:
    """The text of a docstring below a field."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return " ".join(node.value.value.split())
    return ""


def members(one: type, before: str) -> str:
    """The public properties and methods, in the order of the source."""
    return "\n\n".join(f"`{before}{name}`\n: {meaning}" for name, meaning in _members(one))


def _members(one: type) -> Iterator[tuple[str, str]]:
    for name, member in vars(one).items():
        public = not name.startswith("_") and (isinstance(member, property) or inspect.isfunction(member))
        if public and (told := of(member)):
            yield f"{name}{_call(member)}", " ".join(told.partition("\n\nRaises:")[0].split())


def _call(member: Any) -> str:
    if isinstance(member, property):
        return ""
    parameters = [text for text in _parameters(inspect.signature(member)) if text != "self"]
    return f"({', '.join(parameters)})"
