"""The check of the place we observe at."""

from __future__ import annotations

import logging
import types

import httpx
import httpx2
import pytest

from pytest_llmperf.capture.selftest import seam_fault


def variant(**clients):
    """A module like httpx2 with other clients."""
    module = types.ModuleType("httpx2")
    vars(module).update(vars(httpx2) | clients)
    return module


class Unchoosing(httpx2.Client):
    def send(self, request, **_):
        return self._transport.handle_request(request)


class Renamed:
    def _pick_transport(self, url):
        raise NotImplementedError


class OtherSignature(httpx2.AsyncClient):
    def _transport_for_url(self, scheme, host, port):
        raise NotImplementedError


class Waiting(httpx2.AsyncClient):
    async def send(self, request, **_):
        import asyncio

        await asyncio.sleep(0)


@pytest.mark.parametrize("package", [httpx, httpx2])
def test_the_installed_packages_pass(package):
    """Both packages send through what `_transport_for_url` returns."""
    assert seam_fault(package) == ""


@pytest.mark.parametrize(
    ("module", "fault"),
    [
        (variant(Client=Renamed), "Client has no _transport_for_url"),
        (variant(AsyncClient=OtherSignature), "AsyncClient: TypeError: missing a required argument: 'host'"),
        (variant(Client=Unchoosing), "Client does not send through what _transport_for_url returns"),
        (variant(AsyncClient=Waiting), "AsyncClient: RuntimeError: the client waits"),
    ],
)
def test_a_package_that_works_otherwise_is_found_out(module, fault):
    """A missing method, another signature, and a method without effect are each named."""
    assert seam_fault(module).startswith(fault)


def test_the_check_is_not_heard_in_the_log(caplog):
    """A test that looks at the client's log lines does not see ours."""
    caplog.set_level(logging.DEBUG)
    seam_fault.cache_clear()
    seam_fault(httpx2)
    assert caplog.records == []
    assert logging.getLogger("httpx2").filters == []
