"""The one module that knows OpenTelemetry: whether somebody set it up, and how spans are handed to it.

It imports nothing of it that is not loaded already. Who sets up an SDK has imported the API; where nobody did there is
nobody to tell, and to find that out is a look-up.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any

from pytest_llmperf._version import __version__
from pytest_llmperf.telemetry.conventions import HISTOGRAMS
from pytest_llmperf.telemetry.span import Points, Span

SCOPE = "pytest_llmperf"
"""The name of everything that comes from here, by which it can be told from what other instrumentations send."""
_AT_ONCE = 256
"""Spans after which an SDK is asked to send what it has: a batch processor drops what it cannot keep, usually 2048."""


@dataclass(slots=True)
class Outlet:
    """Where spans and values go: what the process has set up. Either may be missing."""

    tracer_provider: Any = None
    meter_provider: Any = None
    handed_over: int = 0
    """Spans so far."""
    closed: bool = False
    """Nobody waits any more: what is left is not handed over."""
    _instruments: dict[str, Any] = field(default_factory=dict)

    def tell(self, span: Span, context: Any) -> None:
        """Hand over a span with all that is within it.

        Args:
            span: the outermost.
            context: of OpenTelemetry, in which it happened: the span that is current there is its parent.

        Raises:
            Exception: whatever the SDK raises.
        """
        tracer = self.tracer_provider.get_tracer(SCOPE, __version__) if self.tracer_provider is not None else None
        self._tell(tracer, span, context)

    def _tell(self, tracer: Any, span: Span, context: Any) -> None:
        if self.closed:
            return
        made = None if tracer is None else _started(tracer, span, context)
        inside = context if made is None else _trace().set_span_in_context(made, context)
        for points in span.points if self.meter_provider is not None else ():
            self._record(points, inside)
        for child in span.children:
            self._tell(tracer, child, inside)
        if made is not None:
            made.end(span.end_ns)
        self.handed_over += 1
        if made is not None and self.handed_over % _AT_ONCE == 0:
            self._make_room()

    def _record(self, points: Points, context: Any) -> None:
        if points.instrument not in self._instruments:
            self._instruments[points.instrument] = self._made(points.instrument)
        for value in points.values:
            self._instruments[points.instrument].record(value, points.attributes, context)

    def _made(self, name: str) -> Any:
        told = HISTOGRAMS[name]
        return self.meter_provider.get_meter(SCOPE, __version__).create_histogram(
            name, told.unit, told.description, explicit_bucket_boundaries_advisory=told.bounds
        )

    def _make_room(self) -> None:
        flush = getattr(self.tracer_provider, "force_flush", None)
        if flush is not None:
            flush()


def set_up() -> Outlet | None:
    """The outlet of this process; None where nobody has set one up, with the API loaded or not."""
    tracers = _provider("opentelemetry.trace", "get_tracer_provider")
    meters = _provider("opentelemetry.metrics", "get_meter_provider")
    return None if tracers is None and meters is None else Outlet(tracers, meters)


def current_context() -> Any:
    """That of the running code, of which the current span is a part."""
    from opentelemetry import context

    return context.get_current()


def _provider(module: str, getter: str) -> Any:
    """The global provider, unless it is one of the API itself, which stands in while there is none and does nothing."""
    get = getattr(sys.modules.get(module), getter, None)
    provider = None if get is None else get()
    return None if type(provider).__module__.startswith(module) else provider


def _started(tracer: Any, span: Span, context: Any) -> Any:
    trace = _trace()
    kind = trace.SpanKind.CLIENT if span.client else trace.SpanKind.INTERNAL
    made = tracer.start_span(span.name, context, kind, span.attributes, start_time=span.start_ns)
    for event in span.events:
        made.add_event(event.name, event.attributes, event.at_ns)
    if span.error:
        made.set_status(trace.StatusCode.ERROR, span.error)
    return made


def _trace() -> Any:
    from opentelemetry import trace

    return trace
