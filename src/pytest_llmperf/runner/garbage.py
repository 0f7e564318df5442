"""The garbage collector, kept from running where it would cost the most.

Decoding a call makes hundreds of small values that are gone a millisecond later. Python's collector counts them all
the same, comes sooner for it, and every now and then walks the whole heap, which an SDK makes large: the event loop,
and every stream on it, then waits for 100 to 250 ms.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """No automatic collection inside; for work that leaves next to nothing behind."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()
