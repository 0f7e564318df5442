"""What the package promises to whoever installs it."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest_llmperf

ROOT = Path(__file__).parents[1]


def requirements():
    """Every requirement of the project and of its test extra, as {name: lower bound}."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = project["dependencies"] + project["optional-dependencies"]["test"]
    return dict(re.fullmatch(r"([\w-]+)>=([\d.]+)", line).groups() for line in lines)


def constraints():
    """What `tox -e py311-lowest` installs, as {name: version}."""
    lines = (ROOT / "constraints" / "lowest.txt").read_text("utf-8").splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def release(version):
    """`8.4` and `8.4.0` are the same release."""
    return re.sub(r"(\.0)+$", "", version)


def test_every_requirement_has_a_lower_bound_that_is_tested():
    """The oldest versions of tox's lowest environment are those that pyproject.toml allows."""
    assert {name: release(version) for name, version in requirements().items()} == {
        name: release(version) for name, version in constraints().items()
    }


def test_the_version_is_that_of_the_installed_distribution():
    """One place says it, and the wheel repeats it."""
    assert pytest_llmperf.__version__ == metadata.version("pytest-llmperf")


def test_the_distribution_says_what_it_is():
    """Pytest finds the plugin, type checkers its types, and a reader its licence."""
    distribution = metadata.distribution("pytest-llmperf")
    assert [(point.name, point.value) for point in distribution.entry_points if point.group == "pytest11"] == [
        ("llmperf", "pytest_llmperf.plugin")
    ]
    assert {"Framework :: Pytest", "Typing :: Typed"} <= set(distribution.metadata.get_all("Classifier"))
    assert distribution.metadata["License-Expression"] == "MIT"
    assert (Path(pytest_llmperf.__file__).parent / "py.typed").exists()


def test_everything_promised_is_there():
    """`__all__` names what exists."""
    assert all(hasattr(pytest_llmperf, name) for name in pytest_llmperf.__all__)
