"""A real OpenTelemetry SDK that keeps what it is given."""

from __future__ import annotations

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


class Sdk:
    """An SDK with exporters in memory, and what they were given."""

    def __init__(self, *processors: SpanProcessor) -> None:
        self._spans, self._reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.meters = MeterProvider([self._reader], shutdown_on_exit=False)
        for processor in processors or (SimpleSpanProcessor(self._spans),):
            self.tracers.add_span_processor(processor)

    def is_the_process(self, monkeypatch: pytest.MonkeyPatch) -> Sdk:
        """Let it be what the process has set up, which the API allows once only, until the test ends."""
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", self.tracers)
        monkeypatch.setattr(metrics._internal, "_METER_PROVIDER", self.meters)
        return self

    def spans(self, name=""):
        """The spans that begin so, by their start."""
        found = [span for span in self._spans.get_finished_spans() if span.name.startswith(name)]
        return sorted(found, key=lambda span: (span.start_time, -span.end_time))

    def span(self, name=""):
        """The one that begins so."""
        (found,) = self.spans(name)
        return found

    def points(self, instrument):
        """The data points of one histogram."""
        data = self._reader.get_metrics_data()
        scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics] if data else []
        return [
            point
            for scope in scopes
            for metric in scope.metrics
            if metric.name == instrument
            for point in metric.data.data_points
        ]


def children(spans, parent):
    """Those of *spans* whose parent this is."""
    return [span for span in spans if span.parent is not None and span.parent.span_id == parent.context.span_id]
