"""What an action costs: the memory it takes on the way, and the time of this thread."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable


def peak_of(action: Callable[[], object]) -> int:
    """Return the most bytes an action held beyond what was there before. Run once before, so that caches are filled."""
    action()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        action()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def seconds_of(action: Callable[[], object], times: int = 7) -> float:
    """Return the processor seconds an action takes at its best, which a busy machine does not lengthen."""
    best = float("inf")
    for _ in range(times):
        begin = time.thread_time()
        action()
        best = min(best, time.thread_time() - begin)
    return best
