"""Content codings undone with their times kept."""

import gzip
import sys
import zlib
from importlib.util import find_spec

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmperf.core.exchange import Chunk
from pytest_llmperf.wire.content_encoding import decoded
from wire.attempts import attempt

PIECES = [b"event: a\ndata: 1\n\n", b"event: b\ndata: \xc3\xa9\n\n", b"event: c\ndata: 3\n\n"]


def coded(coding: str, *pieces: bytes):
    return decoded(attempt(*pieces, response_headers=(("content-encoding", coding),)))


def flushed(wbits: int) -> list[bytes]:
    """The pieces, compressed so that each can be read when it has come; the trailer comes with the last."""
    packer = zlib.compressobj(wbits=wbits)
    packed = [packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH) for piece in PIECES]
    return [*packed[:-1], packed[-1] + packer.flush()]


@pytest.mark.parametrize(
    ("coding", "wbits"), [("gzip", 31), ("x-gzip", 31), ("GZIP", 31), ("deflate", 15), ("deflate", -15)]
)
def test_each_chunk_becomes_what_was_readable_with_it(coding, wbits):
    """Chunks that were flushed one by one come out one by one, at their own times."""
    assert coded(coding, *flushed(wbits)) == ([Chunk(at, piece) for at, piece in enumerate(PIECES, 1)], ())


def test_bytes_that_were_held_back_come_later():
    """What a compressor kept to itself arrives with the chunk that makes it readable."""
    packed = gzip.compress(b"".join(PIECES))
    chunks, damage = coded("gzip", packed[:10], packed[10:-9], packed[-9:])
    assert b"".join(chunk.data for chunk in chunks) == b"".join(PIECES)
    assert [chunk.at_ns for chunk in chunks] == [1, 2, 3]
    assert chunks[0].data == b""
    assert damage == ()


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "unheard-of"])
def test_stored_decoded_with_the_header_left_on(coding):
    """A body that is text is taken as it is, whatever its header says."""
    chunks, damage = coded(coding, *PIECES)
    assert [chunk.data for chunk in chunks] == PIECES
    assert damage == ()


def test_control_characters_are_no_text():
    """A compressed body may be valid UTF-8: its control characters tell it from text."""
    assert coded("deflate", b"\x03\x00") == ([Chunk(1, b"")], ())


@pytest.mark.parametrize("coding", ["", "identity", " , identity"])
def test_no_coding(coding):
    """A body without a coding passes untouched, whatever its bytes are."""
    assert coded(coding, b"\x1f\x8b\x00") == ((Chunk(1, b"\x1f\x8b\x00"),), ())


def test_two_codings():
    """Codings are undone in the reverse of the order in which they were applied."""
    chunks, damage = coded("deflate, gzip", gzip.compress(zlib.compress(b"twice")))
    assert ([chunk.data for chunk in chunks], damage) == ([b"twice"], ())


def test_members_and_padding():
    """Gzip may be several members, cut anywhere, with zeros after the last."""
    packed = gzip.compress(b"one ") + gzip.compress(b"two") + b"\0\0\0"
    chunks, damage = coded("gzip", *[packed[at : at + 1] for at in range(len(packed))])
    assert (b"".join(chunk.data for chunk in chunks), damage) == (b"one two", ())


def test_a_cut_body_gives_what_it_has():
    """A compressed body that ends early is read as far as it came, without a complaint of its own."""
    chunks, damage = coded("gzip", *flushed(31)[:2])
    assert ([chunk.data for chunk in chunks], damage) == (PIECES[:2], ())


def test_damage_is_named():
    """Bytes that cannot be decompressed are reported, and what came before them is kept."""
    chunks, damage = coded("gzip", flushed(31)[0], b"\xff" * 40)
    assert [chunk.data for chunk in chunks] == PIECES[:1]
    assert damage[0].startswith("content-encoding 'gzip' is damaged: ")


@pytest.mark.parametrize("coding", ["br", "zstd", "unheard-of"])
def test_a_coding_that_no_library_undoes(coding, monkeypatch):
    """A coding that cannot be undone here is named, and none of its bytes are taken for text."""
    for library in ("brotli", "brotlicffi", "zstandard"):
        monkeypatch.setitem(sys.modules, library, None)
    chunks, damage = coded(coding, b"\x0b\x02\x80\x00\xff\x03")
    assert (list(chunks), damage) == (
        [],
        (f"content-encoding {coding!r} cannot be undone here: no library for it is installed",),
    )


@pytest.mark.skipif(find_spec("brotli") is None, reason="brotli is not installed")
def test_brotli():
    """Brotli is undone where brotli is installed."""
    import brotli

    chunks, damage = coded("br", brotli.compress(b"".join(PIECES)))
    assert (b"".join(chunk.data for chunk in chunks), damage) == (b"".join(PIECES), ())


@pytest.mark.skipif(find_spec("zstandard") is None, reason="zstandard is not installed")
def test_zstandard():
    """Zstandard is undone where zstandard is installed."""
    import zstandard

    chunks, damage = coded("zstd", zstandard.compress(b"".join(PIECES)))
    assert (b"".join(chunk.data for chunk in chunks), damage) == (b"".join(PIECES), ())


@settings(deadline=None)
@given(
    st.sampled_from(["gzip", "deflate", "br", "zstd", "gzip, deflate"]), st.lists(st.binary(max_size=60), max_size=6)
)
def test_any_bytes(coding, pieces):
    """No bytes under any coding make decompression raise."""
    coded(coding, *pieces)


@settings(deadline=None)
@given(st.binary(max_size=300), st.sampled_from([("gzip", 31), ("deflate", 15)]), st.data())
def test_whatever_was_compressed_comes_back(body, coding, data):
    """Any body comes back whole from its compressed form, cut anywhere."""
    packer = zlib.compressobj(wbits=coding[1])
    packed = packer.compress(body) + packer.flush()
    place = data.draw(st.integers(0, len(packed)))
    chunks, damage = coded(coding[0], packed[:place], packed[place:])
    assert (b"".join(chunk.data for chunk in chunks), damage) == (body, ())
