"""What decoding one answer costs: `python benchmarks/decode.py [repeats]`.

Prints the fastest and the median time of `wire.decode` over a stream of 300 tokens in 60 deltas, one chunk for each
event, and over its variants. Best of many: what disturbs a run only ever adds time.
"""

import json
import statistics
import sys
import time
import zlib

from pytest_llmperf import wire
from pytest_llmperf.core.exchange import Chunk, End, Exchange

DELTAS = 60
TOKENS = 300
WORDS = " the model says about five"


def event(name: str, **fields: object) -> bytes:
    data = json.dumps({"type": name, **fields}, separators=(",", ":"), ensure_ascii=False)
    return f"event: {name}\ndata: {data}\n\n".encode()


def stream(words: str) -> list[bytes]:
    usage = {"input_tokens": 1024, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 1}
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-4", "content": []}
    delta = event("content_block_delta", index=0, delta={"type": "text_delta", "text": words})
    return [
        event("message_start", message=head | {"stop_reason": None, "usage": usage}),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        event("ping"),
        *[delta] * DELTAS,
        event("content_block_stop", index=0),
        event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": TOKENS}),
        event("message_stop"),
    ]


def compressed(pieces: list[bytes]) -> list[bytes]:
    gzip = zlib.compressobj(wbits=31)
    return [gzip.compress(piece) + gzip.flush(zlib.Z_SYNC_FLUSH) for piece in pieces] + [gzip.flush()]


def exchange(pieces: list[bytes], *, prompt: int = 100, coding: str = "") -> Exchange:
    asked = {"max_tokens": 1024, "messages": [{"role": "user", "content": "word " * (prompt // 5)}]}
    return Exchange(
        method="POST",
        url="https://api.anthropic.com/v1/messages",
        request_headers=(("content-type", "application/json"),),
        request_body=json.dumps(asked | {"model": "claude-opus-4", "stream": True}).encode(),
        started_ns=0,
        sent_ns=1,
        status=200,
        response_headers=(("content-type", "text/event-stream"),) + ((("content-encoding", coding),) if coding else ()),
        chunks=tuple(Chunk(1_000_000 * at, piece) for at, piece in enumerate(pieces)),
        end=End.COMPLETE,
    )


def cases() -> dict[str, Exchange]:
    plain = stream(WORDS)
    return {
        "60 text deltas": exchange(plain),
        "every delta with escapes": exchange(stream(' "quoted"\n\t — ünï')),
        "CR LF": exchange([piece.replace(b"\n", b"\r\n") for piece in plain]),
        "gzip": exchange(compressed(plain), coding="gzip"),
        "one chunk": exchange([b"".join(plain)]),
        "600 kB of prompt": exchange(plain, prompt=600_000),
    }


def times_us(case: Exchange, repeats: int) -> list[float]:
    times = []
    for _ in range(repeats):
        start = time.perf_counter_ns()
        wire.decode(case)
        times.append((time.perf_counter_ns() - start) / 1000)
    return times


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    events = len(stream(WORDS))
    print(f"{TOKENS} tokens in {DELTAS} deltas, {events} events; {repeats} repeats; µs")
    print(f"{'':26}{'best':>8}{'median':>8}{'best/event':>12}")
    for name, case in cases().items():
        seen = wire.decode(case)
        assert seen is not None
        assert seen.complete
        assert seen.usage.output_tokens == TOKENS
        times = times_us(case, repeats)
        print(f"{name:26}{min(times):8.0f}{statistics.median(times):8.0f}{min(times) / events:12.2f}")


if __name__ == "__main__":
    main()
