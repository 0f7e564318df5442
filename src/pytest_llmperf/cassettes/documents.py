"""A recording's bytes as the plain values of its YAML or JSON.

It knows the two notations and gzip, not what recordings mean. YAML is read by the safe loader: a tag that names an
object of some language is never made into one; the plain value below it stands for it.
"""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import yaml

from pytest_llmperf.cassettes.fields import Unreadable

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml where PyYAML was built with it, some ten times faster."""
_GZIP = b"\x1f\x8b"
_BLANK = b"\xef\xbb\xbf \t\r\n\0"
_OF_PYTHON = "tag:yaml.org,2002:python/"
_TIMESTAMP = "tag:yaml.org,2002:timestamp"


def unpacked(content: bytes) -> bytes:
    """The content without gzip, when the file as a whole was compressed.

    Raises:
        Unreadable: it is empty or damaged.
    """
    if content.startswith(_GZIP):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise Unreadable(f"damaged gzip: {error}") from error
    if not content.strip(_BLANK):
        raise Unreadable("the file is empty")
    return content


def is_json(content: bytes) -> bool:
    """Whether the content begins as a JSON object or array does."""
    return content.lstrip(_BLANK)[:1] in (b"{", b"[")


def parsed(content: bytes) -> Any:
    """The document's value.

    Raises:
        Unreadable: it is neither YAML nor JSON; the text says where it breaks off.
    """
    try:
        return json.loads(content) if is_json(content) else yaml.load(content, Loader=_Loader)
    except yaml.YAMLError as error:
        raise Unreadable(f"not valid YAML: {_problem(error)}") from error
    except RecursionError as error:
        raise Unreadable("it is nested too deeply") from error
    except ValueError as error:
        raise Unreadable(f"not valid {'JSON' if is_json(content) else 'YAML'}: {error}") from error
    except (AttributeError, LookupError, TypeError) as error:  # as PyYAML ends on `!!bool perhaps`
        raise Unreadable("not valid YAML: a value is not of the type that its tag names") from error


def _problem(error: yaml.YAMLError) -> str:
    """What is wrong and where, on one line."""
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or " ".join(str(error).split())
    return f"line {mark.line + 1}: {what}" if mark else what


class _Loader(_Base):  # type: ignore[misc]
    """Safe; dates stay the text they were in the traffic."""

    yaml_implicit_resolvers = {  # noqa: RUF012 — the name and type are PyYAML's
        first: [rule for rule in rules if rule[0] != _TIMESTAMP]
        for first, rules in _Base.yaml_implicit_resolvers.items()
    }


def _plain(loader: Any, node: yaml.Node) -> Any:
    """What stands below a tag, without the tag."""
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_mapping(node, deep=True)


def _of_python(loader: Any, _tag: str, node: yaml.Node) -> Any:
    """What an object of Python was made from: vcrpy wrote header names, iterators and buffers in this way."""
    value = _plain(loader, node)
    if isinstance(value, dict):
        value = value.get("args") or value.get("state") or value
    return value[0] if isinstance(value, list) and value else value


_Loader.add_multi_constructor(f"{_OF_PYTHON}object", _of_python)
_Loader.add_constructor(f"{_OF_PYTHON}tuple", _plain)
_Loader.add_constructor("!binary", _Base.construct_yaml_binary)
_Loader.add_constructor(None, _plain)
