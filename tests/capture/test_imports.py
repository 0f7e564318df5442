"""A call back at the end of an import."""

from __future__ import annotations

import importlib
import inspect
import sys

import pytest

from pytest_llmperf.capture.imports import WhenImported


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module nobody has imported."""
    (tmp_path / "lately_written.py").write_text("value = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "lately_written"
    sys.modules.pop("lately_written", None)


def test_the_callback_gets_the_finished_module(module, monkeypatch):
    """When the module is called back for, its code has run."""
    values = []
    monkeypatch.setattr(sys, "meta_path", [WhenImported({module: lambda m: values.append(m.value)}), *sys.meta_path])
    importlib.import_module(module)
    assert values == [1]


def test_the_module_is_as_its_own_loader_made_it(module, monkeypatch):
    """No trace of the detour is left in the module, and its source can be read."""
    monkeypatch.setattr(sys, "meta_path", [WhenImported({module: lambda _: None}), *sys.meta_path])
    imported = importlib.import_module(module)
    assert type(imported.__loader__).__name__ == type(imported.__spec__.loader).__name__ == "SourceFileLoader"
    assert inspect.getsource(imported) == "value = 1\n"


def test_two_may_wait_for_one_module(module, monkeypatch):
    """Waiting nests: both are called."""
    called = []
    waiting = [WhenImported({module: lambda _, name=name: called.append(name)}) for name in ("outer", "inner")]
    monkeypatch.setattr(sys, "meta_path", [*waiting, *sys.meta_path])
    importlib.import_module(module)
    assert sorted(called) == ["inner", "outer"]


def test_an_import_that_fails_fails_as_ever(monkeypatch):
    """A module that does not exist is not found, and nobody is called."""
    waiting = WhenImported({"never_written": pytest.fail})
    monkeypatch.setattr(sys, "meta_path", [waiting, *sys.meta_path])
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("never_written")
