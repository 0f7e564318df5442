"""Whether the pages of a built site link to what is there, and ask nothing of the network.

It knows HTML files in a folder, and nothing of how they were made. Links to other sites cannot be followed offline: of
those only the form is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_FETCHED = {("link", "href"), ("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("use", "href")}
"""What a browser asks for by itself; of `link` only what it shows or runs."""
_MERELY_TOLD = {"canonical", "index", "search", "next", "prev", "author", "alternate"}
_LINKS = {("a", "href"), *_FETCHED}


class _Page(HTMLParser):
    """What one page links to, fetches, and can be linked to."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.anchors |= {found[key] or "" for key in ("id", "name") if found.get(key)}
        for key, value in attrs:
            if value is None or (tag, key) not in _LINKS:
                continue
            self.links.append(value)
            if (tag, key) in _FETCHED and found.get("rel") not in _MERELY_TOLD:
                self.fetched.append(value)


def wrong(folder: Path) -> list[str]:
    """What is wrong with the links of the site in a folder, a line each."""
    pages = {path.resolve(): _read(path) for path in sorted(folder.rglob("*.html"))}
    return [f"{path.name}: {what}" for path, page in pages.items() for what in _wrong_with(path, page, pages)]


def _read(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text("utf-8"))
    return page


def _wrong_with(path: Path, page: _Page, pages: dict[Path, _Page]) -> Iterator[str]:
    for link in page.links:
        parts = urlsplit(link)
        if parts.scheme in ("data", "mailto"):
            continue
        if parts.scheme or parts.netloc:
            if link in page.fetched:
                yield f"{link} is fetched from elsewhere"
            elif parts.scheme != "https" or "." not in parts.netloc:
                yield f"{link} is no address of another site"
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        if not target.exists():
            yield f"{link} leads nowhere"
        elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
            yield f"{link} has no such anchor"
