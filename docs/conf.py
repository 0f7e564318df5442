"""How Sphinx makes the documentation of the Markdown files beside this one: `tox -e docs`.

Warnings are errors there. What is said of marks, options, metrics, hooks, fixtures, commands and files is written by
`_site/reference.py` from the code itself, in place of lines such as `<!-- generated: marks -->`; once the pages are
written, `_site/links.py` looks whether all that they link to is there, and that they ask nothing of the network.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmperf import __version__

sys.path.insert(0, str(Path(__file__).parent / "_site"))

import links
import reference

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "pytest-llmperf"
author = "the authors of pytest-llmperf"
project_copyright = author
version = release = __version__

extensions = ["myst_parser"]
exclude_patterns = ["_site"]
myst_enable_extensions = ["deflist", "fieldlist"]
myst_heading_anchors = 3
nitpicky = True
smartquotes = False  # options begin with two hyphens

html_theme = "furo"
html_title = "pytest-llmperf"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_show_search_summary = False  # it would be fetched, which pages opened from a disk may not do
html_use_index = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b5c8a", "color-brand-content": "#0b5c8a"},
    "dark_css_variables": {"color-brand-primary": "#7cc4f0", "color-brand-content": "#7cc4f0"},
}
pygments_style = "friendly"
pygments_dark_style = "github-dark"

_GENERATED = re.compile(r"^<!-- generated: ([\w-]+) -->$", re.MULTILINE)


def _fill_in(_app: Sphinx, _page: str, source: list[str]) -> None:
    source[0] = _GENERATED.sub(lambda found: reference.SECTIONS[found[1]](), source[0])


def _check(app: Sphinx, error: Exception | None) -> None:
    from sphinx.util import logging

    if error is None and app.builder.name == "html":
        for told in links.wrong(Path(app.outdir)):
            logging.getLogger(__name__).warning(told)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect what fills in and what checks."""
    app.connect("source-read", _fill_in)
    app.connect("build-finished", _check)
    return {"parallel_read_safe": True}
