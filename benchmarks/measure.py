"""Paired measuring: every subject runs in every round, so that a slow moment slows what is compared alike.

A machine that is shared changes its speed from second to second, and microseconds with it. The ratio of two
subjects inside one round does not: figures are medians of such ratios, with the interquartile range beside
them. Time is the CPU time of this thread, garbage collection off as in `timeit`.
"""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

Clock = Callable[[], int]
"""Nanoseconds."""

Times = Mapping[str, Sequence[float]]
"""Name of a subject → microseconds a call, by round."""

_DIGITS: Final = 4


class Subject(NamedTuple):
    """Something to measure: `run` makes `calls` calls of it."""

    name: str
    run: Callable[[], Any]
    calls: int


def each(name: str, call: Callable[[Any], Any], inputs: Sequence[Any]) -> Subject:
    """Return the subject that calls `call` once with each input; the loop costs some 20 ns a call."""

    def run() -> None:
        for one in inputs:
            call(one)

    return Subject(name, run, len(inputs))


def measure(subjects: Sequence[Subject], rounds: int, clock: Clock = time.thread_time_ns) -> dict[str, list[float]]:
    """Run every subject once a round, in an order shuffled anew each time, after one round that does not count.

    Returns microseconds a call, by subject and round.
    """
    # A generator with a fixed seed: runs are alike, and no subject always comes after the same other one.
    order, shuffle = list(subjects), random.Random(1).shuffle
    times: dict[str, list[float]] = {subject.name: [] for subject in subjects}
    with _no_collections():
        for subject in subjects:
            subject.run()
        for _ in range(rounds):
            shuffle(order)
            for subject in order:
                begun = clock()
                subject.run()
                times[subject.name].append((clock() - begun) / 1000 / subject.calls)
    return times


@contextmanager
def _no_collections() -> Iterator[None]:
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def ratios(times: Times, subject: str, base: str) -> list[float]:
    """Return how many times as long as `base` a subject took, round by round."""
    return [one / other for one, other in zip(times[subject], times[base], strict=True) if other]


def figure(values: Iterable[float]) -> dict[str, float]:
    """Return `{"median": …, "spread": …}`; the spread is the interquartile range."""
    known = list(values)
    low, middle, high = statistics.quantiles(known, n=4) if len(known) > 1 else [known[0]] * 3
    return {"median": _rounded(middle), "spread": _rounded(high - low)}


def percentile(values: Iterable[float], percent: int) -> float:
    """Return the value that so many percent do not exceed (nearest rank: one that was measured)."""
    known = sorted(values)
    return _rounded(known[max(0, -(-len(known) * percent // 100) - 1)])


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
