"""Bodies as the client reads them: `content-encoding` undone chunk by chunk, so that arrivals stay true.

A compressed chunk becomes the bytes that were readable once it had come. It knows HTTP's codings and nothing of what is
inside. gzip and deflate come with Python; br and zstd are undone when a library for them is installed, and reported
otherwise.
"""

import zlib
from codecs import getincrementaldecoder
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from pytest_llmperf.core.exchange import Chunk, Exchange, header

Inflate = Callable[[bytes], bytes]
"""Takes the next compressed bytes and returns what they make readable. It remembers what came before."""

_HEAD_BYTES = 64
_NOT_IN_TEXT = frozenset(range(32)) - frozenset(b"\t\n\r")


def decoded(exchange: Exchange) -> tuple[Sequence[Chunk], tuple[str, ...]]:
    """The body without its content-encoding, and in words what could not be undone.

    A body that is plain text although its header names a coding was stored decoded: it passes as it is.
    """
    chunks: Sequence[Chunk] = exchange.chunks
    for coding in reversed((header(exchange.response_headers, "content-encoding") or "").lower().split(",")):
        name = coding.strip()
        if name in ("", "identity") or _is_text(chunks):
            continue
        inflate = _inflate(name, chunks)
        if inflate is None:
            return (), (f"content-encoding {name!r} cannot be undone here: no library for it is installed",)
        chunks, damage = _undo(inflate, chunks)
        if damage:
            return chunks, (f"content-encoding {name!r} is damaged: {damage}",)
    return chunks, ()


def _undo(inflate: Inflate, chunks: Sequence[Chunk]) -> tuple[Sequence[Chunk], str]:
    plain: list[Chunk] = []
    for chunk in chunks:
        try:
            plain.append(Chunk(chunk.at_ns, inflate(chunk.data)))
        except Exception as error:  # noqa: BLE001 — each library has an error class of its own
            return plain, str(error) or type(error).__name__
    return plain, ""


def _is_text(chunks: Sequence[Chunk]) -> bool:
    head = _head(chunks)
    try:
        getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return _NOT_IN_TEXT.isdisjoint(head)


def _head(chunks: Sequence[Chunk]) -> bytes:
    head = b""
    for chunk in chunks:
        head += chunk.data
        if len(head) >= _HEAD_BYTES:
            break
    return head[:_HEAD_BYTES]


def _inflate(name: str, chunks: Sequence[Chunk]) -> Inflate | None:
    if name in ("gzip", "x-gzip"):
        return _members()
    if name == "deflate":
        return zlib.decompressobj(zlib.MAX_WBITS if _has_zlib_header(_head(chunks)) else -zlib.MAX_WBITS).decompress
    if name == "br":
        return _brotli()
    return _zstandard() if name == "zstd" else None


def _members() -> Inflate:
    """Gzip, which may be several members one after the other; what follows the last one is padding."""
    member = zlib.decompressobj(zlib.MAX_WBITS | 16)

    def inflate(data: bytes) -> bytes:
        nonlocal member
        plain = b""
        while data:
            if member.eof:
                if not data.startswith(b"\x1f"):
                    break
                member = zlib.decompressobj(zlib.MAX_WBITS | 16)
            plain += member.decompress(data)
            data = member.unused_data
        return plain

    return inflate


def _has_zlib_header(head: bytes) -> bool:
    """Whether the two bytes of RFC 1950 are there; some servers send bare RFC 1951 as `deflate`."""
    return len(head) > 1 and head[0] & 0x0F == 8 and (head[0] << 8 | head[1]) % 31 == 0


def _brotli() -> Inflate | None:
    library = _library("brotli") or _library("brotlicffi")
    inflate: Inflate | None = library and library.Decompressor().process
    return inflate


def _zstandard() -> Inflate | None:
    library = _library("zstandard")
    inflate: Inflate | None = library and library.ZstdDecompressor().decompressobj().decompress
    return inflate


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        return None
