"""What an action costs, in units that no busy machine changes: memory on the way, and calls of functions."""

from __future__ import annotations

import sys
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


def calls_of(action: Callable[[], object]) -> int:
    """Return how many functions an action calls, ours and the interpreter's own: the same on every machine."""
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    action()
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(before)
    return calls
