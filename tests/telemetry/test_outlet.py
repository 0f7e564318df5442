"""What an SDK gets: real providers, with exporters in memory."""

import pytest
from opentelemetry import context, trace

from exporters import Sdk, children
from pytest_llmperf.telemetry.outlet import SCOPE, Outlet, set_up
from pytest_llmperf.telemetry.span import Event, Points, Span

CALL = Span(
    "chat m",
    start_ns=11,
    end_ns=20,
    attributes={"gen_ai.response.finish_reasons": ("end_turn",)},
    client=True,
    error="overloaded_error",
    points=(Points("gen_ai.client.operation.duration", (0.3, 50.0), {"llmperf.source": "live"}),),
)
TEST = Span("llmperf test_a", 10, 30, {"a": 1}, events=(Event("llmperf.verdict", 29, {"b": 2.0}),), children=(CALL,))


@pytest.fixture
def sdk():
    return Sdk()


def test_spans_have_their_times_and_their_place(sdk):
    """They are children of the span that was current, and no other clock is asked."""
    with sdk.tracers.get_tracer("team").start_as_current_span("team") as parent:
        inside = context.get_current()
    Outlet(sdk.tracers, None).tell(TEST, inside)
    test, call = sdk.spans("llmperf")[0], sdk.span("chat")
    assert children(sdk.spans(), parent) == [test]
    assert children(sdk.spans(), test) == [call]
    assert (test.start_time, test.end_time, call.start_time, call.end_time) == (10, 30, 11, 20)
    assert [(event.name, event.timestamp, dict(event.attributes)) for event in test.events] == [
        ("llmperf.verdict", 29, {"b": 2.0})
    ]
    assert (test.kind, call.kind) == (trace.SpanKind.INTERNAL, trace.SpanKind.CLIENT)
    assert (test.status.is_unset, call.status.status_code) == (True, trace.StatusCode.ERROR)
    assert test.instrumentation_scope.name == SCOPE
    assert sdk.points("gen_ai.client.operation.duration") == []


def test_values_go_to_histograms_with_the_recommended_bounds(sdk):
    """Also where nobody wants spans."""
    Outlet(None, sdk.meters).tell(TEST, context.get_current())
    Outlet(None, sdk.meters).tell(TEST, context.get_current())
    (point,) = sdk.points("gen_ai.client.operation.duration")
    assert (point.count, point.sum) == (4, pytest.approx(100.6))
    assert list(point.explicit_bounds)[:3] == [0.01, 0.02, 0.04]
    assert dict(point.attributes) == {"llmperf.source": "live"}
    assert sdk.spans() == []


def test_a_value_belongs_to_the_span_of_its_call(sdk):
    """As an exemplar, which leads from the histogram to the trace."""
    Outlet(sdk.tracers, sdk.meters).tell(TEST, context.get_current())
    (point,) = sdk.points("gen_ai.client.operation.duration")
    assert {one.span_id for one in point.exemplars} == {sdk.span("chat").context.span_id}


def test_an_sdk_that_keeps_little_gets_time_to_send(sdk):
    """A batch processor drops what it has no room for; it is asked to send before that."""
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    kept = InMemorySpanExporter()
    batch = BatchSpanProcessor(kept, max_queue_size=300, max_export_batch_size=300, schedule_delay_millis=60_000)
    slow = Sdk(batch)
    many = Span("llmperf test_many", 0, 1, {}, children=tuple(Span(str(number), 0, 1, {}) for number in range(1000)))
    Outlet(slow.tracers, None).tell(many, context.get_current())
    batch.shutdown()
    assert len(kept.get_finished_spans()) == 1001


def test_after_it_is_closed_nothing_more_is_handed_over(sdk):
    """Whoever gave up waiting does not want to find the rest during the next measurement."""
    outlet = Outlet(sdk.tracers, sdk.meters, closed=True)
    outlet.tell(TEST, context.get_current())
    assert (sdk.spans(), outlet.handed_over) == ([], 0)


def test_what_is_set_up(sdk, monkeypatch):
    """The providers of the process; those of the API itself, which do nothing, are none."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.delenv("OTEL_PYTHON_TRACER_PROVIDER", raising=False)
    monkeypatch.delenv("OTEL_PYTHON_METER_PROVIDER", raising=False)
    assert set_up() is None
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", trace.NoOpTracerProvider())
    assert set_up() is None
    sdk.is_the_process(monkeypatch)
    found = set_up()
    assert (found.tracer_provider, found.meter_provider) == (sdk.tracers, sdk.meters)
