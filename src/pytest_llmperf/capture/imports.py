"""A call back at the end of a module's first import, so that nothing has to be imported only to be observed."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

Callback = Callable[[ModuleType], None]


class WhenImported(MetaPathFinder):
    """A finder that finds nothing itself: it asks the others and lets the loader report back.

    The module is left exactly as its own loader would have made it.
    """

    def __init__(self, callbacks: Mapping[str, Callback]) -> None:
        self._callbacks = callbacks
        self._asking = threading.local()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec another finder gives for a module that is waited for; None for any other module."""
        callback = self._callbacks.get(fullname)
        # While it asks it is not asked: another one of its kind would ask it in return, for ever.
        if callback is None or getattr(self._asking, "now", False):
            return None
        self._asking.now = True
        try:
            spec = _first_found(fullname, path, target)
        finally:
            self._asking.now = False
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = _Reporting(spec, spec.loader, callback)
        return spec


def _first_found(*question: Any) -> ModuleSpec | None:
    for finder in list(sys.meta_path):
        find: Callable[..., ModuleSpec | None] | None = getattr(finder, "find_spec", None)
        spec = None if find is None else find(*question)
        if spec is not None:
            return spec
    return None


class _Reporting(Loader):
    def __init__(self, spec: ModuleSpec, loader: Any, callback: Callback) -> None:
        self._spec = spec
        self._loader = loader
        self._callback = callback

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        created: ModuleType | None = self._loader.create_module(spec)
        return created

    def exec_module(self, module: ModuleType) -> None:
        self._spec.loader = self._loader
        if getattr(module, "__loader__", None) is self:
            module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._callback(module)
