"""Paired measuring with a clock of our own."""

from __future__ import annotations

import gc

import pytest

from benchmarks.measure import Subject, each, figure, measure, ratios


class Ticks:
    """A clock that subjects push forward themselves. Nanoseconds."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now

    def costs(self, name: str, nanoseconds: int, calls: int = 1) -> Subject:
        """Return a subject whose every call costs the same."""

        def run() -> None:
            self.now += nanoseconds * calls

        return Subject(name, run, calls)


def test_times_are_microseconds_a_call() -> None:
    """A batch's time is divided by its calls, and the round that warms up does not count."""
    clock = Ticks()

    times = measure([clock.costs("a", 2000, calls=10), clock.costs("b", 500)], 4, clock)

    assert times == {"a": [2.0] * 4, "b": [0.5] * 4}


def test_ratios_are_paired_by_round() -> None:
    """A round in which everything was slow has the ratio of every other round."""
    times = {"whole": [3.0, 30.0, 6.0], "raw": [1.0, 10.0, 2.0]}

    assert ratios(times, "whole", "raw") == [3.0, 3.0, 3.0]


@pytest.mark.parametrize(
    ("values", "median", "spread"),
    [([7.0], 7.0, 0.0), ([1.0, 2.0, 3.0], 2.0, 2.0), ([1.0] * 9 + [1000.0], 1.0, 0.0)],
)
def test_a_figure_is_median_and_interquartile_range(values: list[float], median: float, spread: float) -> None:
    """One outlier moves neither the median nor the spread."""
    assert figure(values) == {"median": median, "spread": spread}


def test_each_calls_once_with_every_input() -> None:
    """A subject over inputs makes as many calls as it says."""
    seen: list[int] = []

    subject = each("name", seen.append, [1, 2, 3])
    subject.run()

    assert (seen, subject.calls) == ([1, 2, 3], 3)


def test_collections_wait_until_all_is_measured() -> None:
    """Garbage is not collected while something is timed, and is again afterwards, even after a failure."""
    states: list[bool] = []

    def fail() -> None:
        states.append(gc.isenabled())
        raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        measure([Subject("fails", fail, 1)], 1)

    assert states == [False]
    assert gc.isenabled()
