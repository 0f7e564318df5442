"""The one seam: which clients pass it, what it leaves alone, what stands in for the network."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import time
import types

import httpx
import httpx2
import pytest

from capture.loopback import ASKED, EVENT_STREAM, MESSAGE, serving, stream, streamed
from pytest_llmperf.capture import Recorder, observing, selftest, transport
from pytest_llmperf.core.exchange import SUBSTITUTED, End, Provenance

URL = "http://api.test/v1/messages"
PACKAGES = [httpx, httpx2]
CLASSES = [(package, name) for package in PACKAGES for name in ("Client", "AsyncClient")]


def mock(package):
    return package.MockTransport(lambda _: package.Response(200, json=MESSAGE))


def custom(package):
    """A transport that knows nothing of the package's own."""

    class Custom(package.BaseTransport):
        def handle_request(self, request):
            return package.Response(200, json=MESSAGE)

    return Custom()


def wrapping(package):
    """A transport around another one."""

    class Wrapping(package.BaseTransport):
        inner = mock(package)

        def handle_request(self, request):
            return self.inner.handle_request(request)

    return Wrapping()


def wsgi(package):
    """An application in this process."""

    def application(environ, start_response):
        start_response("200 OK", [("content-type", "application/json")])
        return [b"{}"]

    return package.WSGITransport(app=application)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
@pytest.mark.parametrize(
    ("make", "provenance"),
    [
        (mock, Provenance.UNSERVED),
        (wsgi, Provenance.UNSERVED),
        (custom, Provenance.UNKNOWN),
        (wrapping, Provenance.UNKNOWN),
    ],
)
def test_every_transport_passes_the_seam(recorder, package, make, provenance):
    """Mock, application and custom transports of both packages are seen, also under a client made before."""
    client = package.Client(transport=make(package), trust_env=False)
    with observing(recorder), recorder.round("round"):
        client.post(URL, json=ASKED)
    exchange = recorder.take("round")[0].first.exchange
    assert (exchange.end, exchange.status, exchange.provenance) == (End.COMPLETE, 200, provenance)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_an_asgi_application_is_seen(observed, package):
    """An async application in this process is observed."""

    async def application(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def ask():
        async with package.AsyncClient(transport=package.ASGITransport(app=application)) as client:
            await client.post(URL, json=ASKED)

    asyncio.run(ask())
    assert observed.take("round")[0].first.exchange.provenance is Provenance.UNSERVED


def test_each_hop_of_a_redirect_is_an_attempt_of_one_call(observed):
    """A redirect is two requests on the wire and one call."""

    def answer(request):
        moved = request.url.path == "/old/v1/messages"
        return httpx2.Response(307, headers={"location": URL}) if moved else httpx2.Response(200, json=MESSAGE)

    client = httpx2.Client(transport=httpx2.MockTransport(answer), trust_env=False, follow_redirects=True)
    client.post("http://api.test/old/v1/messages", json=ASKED)
    client.post(URL, json=ASKED)
    calls = observed.take("round")
    assert [[attempt.exchange.status for attempt in call.attempts] for call in calls] == [[307, 200], [200]]


@pytest.mark.parametrize(("package", "name"), CLASSES)
def test_the_client_is_as_before_afterwards(recorder, package, name):
    """The very method is back on the class."""
    client = getattr(package, name)
    before = client._transport_for_url
    with observing(recorder):
        assert client._transport_for_url is not before
    assert client._transport_for_url is before


def test_observing_nests(recorder):
    """Two observers see the same request, and each leaves the other as it was."""
    inner = Recorder(time.perf_counter_ns)
    client = httpx2.Client(transport=mock(httpx2), trust_env=False)
    with observing(recorder), recorder.round("outer"):
        client.post(URL, json=ASKED)
        with observing(inner), inner.round("inner"):
            client.post(URL, json=ASKED)
        client.post(URL, json=ASKED)
    assert len(recorder.take("outer")) == 3
    assert len(inner.take("inner")) == 1


def test_somebody_elses_patch_made_meanwhile_survives(recorder, monkeypatch):
    """Another tool that patched the same method keeps its patch, is warned about, and sees requests unobserved."""
    original = httpx2.Client._transport_for_url
    with observing(recorder):
        ours = httpx2.Client._transport_for_url
        monkeypatch.setattr(httpx2.Client, "_transport_for_url", lambda self, url: ours(self, url))
    client = httpx2.Client(transport=mock(httpx2), trust_env=False)
    client.post(URL, json=ASKED)
    assert recorder.take_unattributed() == ()
    assert "httpx2.Client._transport_for_url was patched by somebody else" in recorder.warnings[0]
    monkeypatch.undo()
    assert httpx2.Client._transport_for_url is ours
    later = Recorder(time.perf_counter_ns)
    with observing(later):
        client.post(URL, json=ASKED)
    assert len(later.take_unattributed()) == 1
    httpx2.Client._transport_for_url = original


def test_an_exception_inside_still_undoes_everything(recorder):
    """A test that fails leaves nothing patched."""
    before = httpx2.Client._transport_for_url, list(sys.meta_path)
    with pytest.raises(ValueError, match="inside"), observing(recorder):
        raise ValueError("inside")
    assert (httpx2.Client._transport_for_url, sys.meta_path) == before


def test_what_the_application_put_under_trace_stays_its_own(observed):
    """Its trace callback gets every event while the request runs, and is found there afterwards."""
    events = []

    def trace(name, info):
        events.append(name)

    with serving(stream(streamed("Hi"))) as server, httpx2.Client(trust_env=False) as client:
        request = client.build_request("POST", server.url + "/v1/messages", json=ASKED, extensions={"trace": trace})
        client.send(request)
        assert request.extensions["trace"] is trace
    assert events[0] == "connection.connect_tcp.started"
    assert "http11.receive_response_body.complete" in events
    assert observed.take("round")[0].first.exchange.provenance is Provenance.WIRE


def test_the_applications_async_trace_is_awaited(observed):
    """The same with an async client, whose callback is a coroutine function."""
    events = []

    async def trace(name, info):
        events.append(name)

    async def ask(url):
        async with httpx2.AsyncClient(trust_env=False) as client:
            request = client.build_request("POST", url + "/v1/messages", json=ASKED, extensions={"trace": trace})
            await client.send(request)
            assert request.extensions["trace"] is trace

    with serving(stream(streamed("Hi"))) as server:
        asyncio.run(ask(server.url))
    assert "http11.send_request_body.complete" in events
    assert "http11.receive_response_body.complete" in events


def test_without_a_trace_of_its_own_the_request_has_none_afterwards(observed):
    """Nothing of ours is left in the request."""
    client = httpx2.Client(transport=mock(httpx2), trust_env=False)
    response = client.post(URL, json=ASKED)
    assert "trace" not in response.request.extensions


def test_what_a_transport_has_besides_is_reachable(observed):
    """Whoever asks the client for its transport finds the transport's attributes."""
    inner = mock(httpx2)
    client = httpx2.Client(transport=inner, trust_env=False)
    assert client._transport_for_url(httpx2.URL(URL)).handler is inner.handler


def test_a_clock_that_fails_in_the_trace_does_not_break_the_connection(recorder):
    """The client's own machinery goes on when an event cannot be timed, sync and async."""
    times = iter([1, 1])
    broken = Recorder(lambda: next(times, None) or 1 // 0)

    async def ask(url):
        async with httpx2.AsyncClient(trust_env=False) as client:
            return (await client.post(url, json=ASKED)).status_code

    with serving(stream(streamed("Hi"))) as server, observing(broken), broken.round("round"):
        url = server.url + "/v1/messages"
        with httpx2.Client(trust_env=False) as client:
            assert client.post(url, json=ASKED).status_code == 200
        times = iter([1, 1])
        assert asyncio.run(ask(url)) == 200
    assert all("ZeroDivisionError" in text for text in broken.warnings)


def test_what_was_patched_over_only_passes_through_afterwards(recorder, monkeypatch, unusable_seam):
    """Fallback methods that somebody kept send requests unobserved once observing is over."""
    with observing(recorder):
        kept = httpx2.HTTPTransport.handle_request, httpx2.AsyncHTTPTransport.handle_async_request
    monkeypatch.setattr(httpx2.HTTPTransport, "handle_request", kept[0])
    monkeypatch.setattr(httpx2.AsyncHTTPTransport, "handle_async_request", kept[1])

    async def ask(url):
        async with httpx2.AsyncClient(trust_env=False) as client:
            return (await client.post(url, json=ASKED)).status_code

    with serving(stream(streamed("Hi"))) as server:
        with httpx2.Client(trust_env=False) as client:
            assert client.post(server.url, json=ASKED).status_code == 200
        assert asyncio.run(ask(server.url)) == 200
    assert recorder.take_unattributed() == ()


def test_closing_a_client_closes_its_own_transport(observed):
    """Closing and leaving a client reach the transport it was made with, once each."""
    closed = []

    class Closing(httpx2.BaseTransport):
        def handle_request(self, request):
            return httpx2.Response(200)

        def close(self):
            closed.append(1)

    with httpx2.Client(transport=Closing(), trust_env=False) as client:
        client.get(URL)
    assert closed == [1]


def test_the_observing_transport_speaks_the_whole_transport_api(recorder):
    """Entered, left and closed by itself, it does so with the transport inside, sync and async."""
    done = []

    class Inner(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
        def close(self):
            done.append("closed")

        async def aclose(self):
            done.append("aclosed")

    async def go(observing_transport):
        async with observing_transport:
            pass
        await observing_transport.aclose()

    package = transport.package_of(httpx2)
    with transport.SyncObservingTransport(recorder, package, Inner()) as entered:
        pass
    entered.close()
    asyncio.run(go(transport.AsyncObservingTransport(recorder, package, Inner())))
    assert done == ["closed", "closed", "aclosed", "aclosed"]


class Simulated:
    """A substitute that answers everything and remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def transport(self, package, inner, *, asynchronous):
        self.asked.append((package.__name__, inner, asynchronous))
        return package.MockTransport(lambda _: package.Response(200, json=MESSAGE, extensions={SUBSTITUTED: True}))


def test_a_substitute_stands_in_for_the_network(recorder):
    """The client's own transport gets nothing, and the exchange says `substituted`."""
    substitute = Simulated()
    inner = httpx2.MockTransport(lambda _: pytest.fail("it left"))
    client = httpx2.Client(transport=inner, trust_env=False)
    with observing(recorder, substitute), recorder.round("round"):
        for _ in range(3):
            assert client.post(URL, json=ASKED).json() == MESSAGE
    calls = recorder.take("round")
    assert [call.first.exchange.provenance for call in calls] == [Provenance.SUBSTITUTED] * 3
    assert substitute.asked == [("httpx2", inner, False)]


def test_a_substitute_is_asked_for_each_kind_and_transport(recorder):
    """Sync and async clients of both packages each ask once for each of their transports."""
    substitute = Simulated()

    async def ask(package):
        async with package.AsyncClient(transport=mock(package)) as client:
            await client.get(URL)
            await client.get(URL)

    with observing(recorder, substitute):
        for package in PACKAGES:
            package.Client(transport=mock(package), trust_env=False).get(URL)
            asyncio.run(ask(package))
    assert [(name, kind) for name, _, kind in substitute.asked] == [
        ("httpx", False),
        ("httpx", True),
        ("httpx2", False),
        ("httpx2", True),
    ]


def test_a_substitute_may_leave_a_transport(recorder):
    """Returning the inner transport lets the request through."""

    class Leaving:
        def transport(self, package, inner, *, asynchronous):
            return inner

    with observing(recorder, Leaving()), recorder.round("round"):
        httpx2.Client(transport=mock(httpx2), trust_env=False).post(URL, json=ASKED)
    assert recorder.take("round")[0].first.exchange.provenance is Provenance.UNSERVED


def test_a_substitute_that_fails_lets_nothing_out(recorder):
    """Its exception reaches the application; the network is never asked instead."""

    class Failing:
        def transport(self, package, inner, *, asynchronous):
            raise LookupError("no profile")

    client = httpx2.Client(transport=httpx2.MockTransport(lambda _: pytest.fail("it left")), trust_env=False)
    with observing(recorder, Failing()), pytest.raises(LookupError, match="no profile"):
        client.get(URL)


def test_a_transport_that_allows_no_weak_reference_can_be_substituted(recorder):
    """A transport with slots is held instead, and asked for once as well."""

    class Slotted:
        __slots__ = ()

        def handle_request(self, request):
            raise NotImplementedError

        def close(self):
            pass

    substitute = Simulated()
    client = httpx2.Client(transport=Slotted(), trust_env=False)
    with observing(recorder, substitute):
        client.get(URL)
        client.get(URL)
    assert len(substitute.asked) == 1


@pytest.fixture
def unusable_seam(monkeypatch):
    """A package whose usual place is gone."""
    monkeypatch.setattr(transport, "seam_fault", lambda _: "Client has no _transport_for_url")


def test_without_the_seam_the_transport_classes_are_observed(recorder, unusable_seam):
    """The fallback sees real connections of both kinds, warns of what it does not see, and is undone."""
    before = httpx2.HTTPTransport.handle_request, httpx2.AsyncHTTPTransport.handle_async_request

    async def ask(url):
        async with httpx2.AsyncClient(trust_env=False) as client:
            await client.post(url, json=ASKED)

    with serving(stream(streamed("Hi"))) as server, observing(recorder), recorder.round("round"):
        url = server.url + "/v1/messages"
        httpx2.Client(transport=mock(httpx2), trust_env=False).post(url, json=ASKED)
        with httpx2.Client(trust_env=False) as client:
            client.post(url, json=ASKED)
        asyncio.run(ask(url))
    exchanges = [call.first.exchange for call in recorder.take("round")]
    assert [(e.provenance, e.connection.state) for e in exchanges] == [(Provenance.WIRE, "new")] * 2
    assert "httpx2 cannot be used (Client has no _transport_for_url)" in " ".join(recorder.warnings)
    assert (httpx2.HTTPTransport.handle_request, httpx2.AsyncHTTPTransport.handle_async_request) == before


def test_the_fallback_substitutes_too(recorder, unusable_seam):
    """What stands in for the network does so without the seam, once for each transport."""
    substitute = Simulated()
    with observing(recorder, substitute), recorder.round("round"), httpx2.Client(trust_env=False) as client:
        for _ in range(2):
            assert client.post(URL, json=ASKED).json() == MESSAGE
    assert len(substitute.asked) == 1
    assert recorder.take("round")[0].first.exchange.provenance is Provenance.SUBSTITUTED


def test_a_package_that_cannot_be_observed_is_a_warning(recorder, monkeypatch):
    """A module that only has the name is reported, and everything else is observed."""
    monkeypatch.setitem(sys.modules, "httpx", types.ModuleType("httpx"))
    with observing(recorder), recorder.round("round"):
        httpx2.Client(transport=mock(httpx2), trust_env=False).post(URL, json=ASKED)
    assert len(recorder.take("round")) == 1
    assert "AttributeError: module 'httpx' has no attribute 'Client'" in recorder.warnings[0]


def test_a_package_under_two_names_is_observed_once(recorder, monkeypatch):
    """Where httpx is an alias of httpx2 each request is one attempt."""
    monkeypatch.setitem(sys.modules, "httpx", httpx2)
    with observing(recorder), recorder.round("round"):
        httpx2.Client(transport=mock(httpx2), trust_env=False).post(URL, json=ASKED)
    assert len(recorder.take("round")) == 1


def test_chunks_reach_the_application_when_they_are_sent(observed):
    """A chunk is in the application's hands while the next is still to be sent."""
    sending = iter(streamed("Hi"))
    sent = []

    def chunks():
        for chunk in sending:
            yield chunk
            sent.append(chunk)

    class Body(httpx2.SyncByteStream):
        def __iter__(self):
            return chunks()

    answer = httpx2.MockTransport(lambda _: httpx2.Response(200, headers=EVENT_STREAM, stream=Body()))
    with httpx2.Client(transport=answer, trust_env=False).stream("POST", URL, json=ASKED) as response:
        for count, chunk in enumerate(response.iter_raw()):
            assert len(sent) == count
            assert chunk is streamed_at(sent, chunk)


def streamed_at(sent, chunk):
    return chunk if all(chunk is not earlier for earlier in sent) else None


def run(code):
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


def test_observing_imports_no_client():
    """Neither importing the layer nor observing with it imports a client, an SDK or pytest."""
    assert (
        run("""
        import sys
        from pytest_llmperf.capture import Recorder, observing
        recorder = Recorder(lambda: 0)
        with observing(recorder), recorder.round(1):
            pass
        print(*sys.modules.keys() & {"httpx", "httpx2", "anthropic", "pytest", "numpy", "scipy"})
        assert not recorder.warnings
    """)
        == []
    )


def test_a_client_first_imported_inside_a_round_is_observed():
    """A test that imports its SDK in its body is observed from the first request on."""
    assert run("""
        import time
        from pytest_llmperf.capture import Recorder, observing
        recorder = Recorder(time.perf_counter_ns)
        with observing(recorder), recorder.round(1):
            import anthropic, httpx2, httpx
            transport = httpx2.MockTransport(lambda _: httpx2.Response(200, json={}))
            client = anthropic.Anthropic(api_key="k", http_client=httpx2.Client(transport=transport))
            client.messages.create(model="m", max_tokens=1, messages=[])
            httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200))).post("http://a/v1/messages")
        first, second = recorder.take(1)
        print(first.entered_ns is not None, second.entered_ns is not None, len(recorder.warnings))
    """) == ["True", "False", "0"]


def test_the_self_test_is_run_once(recorder):
    """Observing again does not test again."""
    selftest.seam_fault.cache_clear()
    for _ in range(3):
        with observing(recorder):
            pass
    assert selftest.seam_fault.cache_info().misses == 2
