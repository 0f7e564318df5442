"""HTTP clients observed: what went over the wire, when, and for which round.

Nothing here decides or computes a metric, and importing it imports no HTTP client and no SDK.

    from pytest_llmperf.capture import Recorder, observing

    recorder = Recorder(time.perf_counter_ns)
    with observing(recorder), recorder.round("first"):
        client.messages.create(...)
    (call,) = recorder.take("first")
"""

from pytest_llmperf.capture.recorder import Recorder
from pytest_llmperf.capture.transport import Substitute, observing

__all__ = ["Recorder", "Substitute", "observing"]
