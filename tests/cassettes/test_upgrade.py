"""Plain vcrpy and us on the same files: its cassettes in ours, ours in its, its filters on what we record."""

from __future__ import annotations

import gzip
import ssl

import httpx2
import pytest
import vcr

from capture.loopback import ASKED, serving, stream, streamed
from pytest_llmperf.cassettes import document
from pytest_llmperf.cassettes.errors import CassetteMiss, CassetteUnreadable
from pytest_llmperf.cassettes.upgrade import can_upgrade, upgrade

pytestmark = pytest.mark.skipif(not can_upgrade(), reason="this vcrpy does not let its own patches be left out")

BARE = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
CHUNKS = streamed("Hel", "lo")
ZIPPED = gzip.compress(b"".join(CHUNKS))


def ask(url, **headers):
    """The chunks of one answer, decoded."""
    with (
        httpx2.Client(verify=BARE) as client,
        client.stream("POST", f"{url}/v1/messages", json=ASKED, headers=headers) as response,
    ):
        return list(response.iter_bytes())


@pytest.fixture
def timed():
    """A VCR object whose cassettes are timed."""

    def make(**options):
        made = vcr.VCR(**options)
        upgrade(made)
        return made

    return make


@pytest.fixture
def path(tmp_path):
    """Where the cassette is."""
    return tmp_path / "tape.yaml"


@pytest.mark.parametrize("match_on", [("method", "path"), ("method", "path", "body"), ("uri", "raw_body")])
def test_ours_in_plain_vcrpy(timed, path, match_on):
    """Plain vcrpy plays what we recorded: the same bytes, compressed or not, in one piece."""
    with serving(stream(CHUNKS), stream([ZIPPED], **{"content-encoding": "gzip"})) as server:
        with timed().use_cassette(path):
            there = [ask(server.url), ask(server.url)]
        with vcr.VCR(record_mode="none").use_cassette(path, match_on=match_on) as cassette:
            here = [ask(server.url), ask(server.url)]
    assert [b"".join(one) for one in here] == [b"".join(one) for one in there]
    assert cassette.play_count == 2


def test_plain_vcrpys_in_ours(timed, path):
    """We play what plain vcrpy recorded, which has no timing, and leave the file alone."""
    with serving(stream(CHUNKS)) as server:
        with vcr.VCR().use_cassette(path):
            there = ask(server.url)
        before = path.read_bytes()
        with timed().use_cassette(path) as cassette:
            here = ask(server.url)
    assert here == there
    assert cassette.timings == [None]
    assert path.read_bytes() == before


OLD = """
interactions:
- request: {body: '', headers: {}, method: POST, uri: URL/v1/messages}
  response: {content: hello, headers: {x-a: b}, http_version: HTTP/1.1, status_code: 200}
version: 1
"""


def test_the_layout_of_old(timed, path):
    """What vcrpy wrote of httpx years ago is played with us as well."""
    path.write_text(OLD.replace("URL", "http://127.0.0.1:9"))
    with timed(record_mode="none").use_cassette(path):
        assert ask("http://127.0.0.1:9") == [b"hello"]


def cut(request, response):
    response["body"]["string"] = "cut"
    return request, response


def test_a_body_that_a_hook_changes_while_saving(timed, path):
    """An interaction whose body is not the recorded one any more is played whole, without times."""
    with serving(stream(CHUNKS)) as server:
        with timed(before_save_interaction=cut).use_cassette(path):
            ask(server.url)
        with timed(record_mode="none").use_cassette(path) as cassette:
            assert ask(server.url) == [b"cut"]
    assert cassette.timings == [None]


def test_new_episodes_are_added(timed, path):
    """What is there is played, what is not is recorded behind it."""
    with serving(stream(CHUNKS)) as server:
        with timed().use_cassette(path):
            ask(server.url)
        with timed(record_mode="new_episodes").use_cassette(path) as cassette:
            ask(server.url)
            ask(server.url)
    assert cassette.play_count == 1
    starts = [one.timing.start_ns for one in document.read(path)]
    assert len(starts) == 2
    assert starts == sorted(starts)


def test_in_the_order_they_began(timed, path):
    """What began first stands first, though it ended last."""
    with (
        serving(stream(CHUNKS)) as server,
        timed().use_cassette(path),
        httpx2.Client(verify=BARE) as client,
        client.stream("POST", f"{server.url}/first", json=ASKED) as slow,
    ):
        ask(f"{server.url}/second")
        slow.read()
    assert [one.request.path for one in document.read(path)] == ["/first", "/second/v1/messages"]


def test_all_replaces_what_it_matches(timed, path):
    """Recorded anew, a request replaces its old recording; others are kept."""
    with serving(stream(CHUNKS)) as server:
        with timed().use_cassette(path):
            ask(f"{server.url}/one")
            ask(f"{server.url}/two")
        with timed(record_mode="all").use_cassette(path) as cassette:
            ask(f"{server.url}/two")
    assert cassette.play_count == 0
    paths = [one.request.path for one in document.read(path)]
    assert sorted(paths) == ["/one/v1/messages", "/two/v1/messages"]


def test_the_users_filters(timed, path):
    """Headers, hosts and responses are filtered as vcrpy does it, credentials besides."""
    filters = {"filter_headers": ["x-mine"], "ignore_hosts": ["localhost"], "before_record_response": without_date}
    with serving(stream(CHUNKS)) as server, timed(**filters).use_cassette(path):
        ask(server.url, **{"x-mine": "1", "authorization": "Bearer x"})
        ask(server.url.replace("127.0.0.1", "localhost"))
    (one,) = document.read(path)
    assert "x-mine" not in one.request.headers
    assert one.request.headers["authorization"] == "[redacted]"
    assert "date" not in one.response["headers"]
    assert len(one.timing.sizes) >= 1


def without_date(response):
    del response["headers"]["date"]
    return response


def test_a_body_that_vcrpy_decodes(timed, path):
    """Decoded while recording, the chunks are those of the decoded body, at their times."""
    answer = stream([ZIPPED[:60], ZIPPED[60:]], gap=0.01, **{"content-encoding": "gzip"})
    with serving(answer) as server:
        with timed(decode_compressed_response=True).use_cassette(path):
            ask(server.url)
        (one,) = document.read(path)
        with timed().use_cassette(path):
            assert b"".join(ask(server.url)) == b"".join(CHUNKS)
    assert one.timing.rechunked == "decoded"
    assert one.response["body"]["string"] == b"".join(CHUNKS)


def shouting(response):
    response["body"]["string"] = response["body"]["string"].replace(b"Hel", b"HELLO")
    return response


def shortened(response):
    response["body"]["string"] = b"short"
    return response


def test_a_body_that_a_filter_rewrites(timed, path):
    """Events keep their times when there are as many as before; else the interaction is untimed."""
    with serving(stream(CHUNKS)) as server:
        with timed(before_record_response=shouting).use_cassette(path):
            ask(server.url)
        (one,) = document.read(path)
        assert one.timing.rechunked == "by-event"
        assert len(one.timing.sizes) == len(CHUNKS)
        path.unlink()
        with timed(before_record_response=shortened).use_cassette(path):
            ask(server.url)
    assert document.read(path)[0].timing is None


def test_a_miss_is_also_vcrpys(timed, path):
    """Who catches vcrpy's exception catches ours."""
    with serving(stream(CHUNKS)) as server:
        with timed().use_cassette(path):
            ask(server.url)
        with (
            timed(record_mode="none").use_cassette(path),
            pytest.raises(vcr.errors.CannotOverwriteExistingCassetteException, match="differs   host") as missed,
        ):
            ask(server.url.replace("127.0.0.1", "localhost"))
    assert isinstance(missed.value, CassetteMiss)


@pytest.mark.parametrize("damage", ["interactions: [", "interactions:\n- request: {}\n", "\xff"])
def test_a_damaged_file_is_never_new(timed, path, damage):
    """Not even a record mode that would write makes a damaged file a new one."""
    path.write_bytes(damage.encode("latin-1"))
    with (
        pytest.raises(CassetteUnreadable, match=r"cannot read the cassette .*tape\.yaml"),
        timed(record_mode="new_episodes").use_cassette(path),
    ):
        pass
    assert path.read_bytes() == damage.encode("latin-1")


def test_other_clients_stay_vcrpys(timed, path):
    """What urllib asks is recorded and played by vcrpy, in the same cassette."""
    from urllib.request import urlopen

    with serving(stream(CHUNKS)) as server:
        with timed().use_cassette(path):
            there = [urlopen(f"{server.url}/other", b"1").read(), ask(server.url)]
        with timed(record_mode="none").use_cassette(path) as cassette:
            here = [urlopen(f"{server.url}/other", b"1").read(), ask(server.url)]
    assert here[0] == there[0]
    assert b"".join(here[1]) == b"".join(there[1])
    assert cassette.all_played


def test_decorated_functions(timed, path):
    """A cassette can still decorate a function, as ever."""

    @timed().use_cassette(str(path))
    def asking(url):
        return ask(url)

    with serving(stream(CHUNKS)) as server:
        assert asking(server.url) == asking(server.url)
    assert len(document.read(path)) == 1
