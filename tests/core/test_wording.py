"""Times, spans and shell words as explanations write them."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tenantgate.core.fields import LATEST
from tenantgate.core.wording import exact, instant, lasting, listed, quoted

LEAP_DAYS = [951_782_399, 951_782_400, 951_868_800, 4_107_542_400, 1_709_164_800]


@given(st.integers(min_value=0, max_value=LATEST))
@example(0)
@example(LATEST)
@example(LEAP_DAYS[0])
@example(LEAP_DAYS[1])
@example(LEAP_DAYS[2])
@example(LEAP_DAYS[3])
@example(LEAP_DAYS[4])
def test_an_instant_is_what_the_calendar_says(seconds: int) -> None:
    """Every second up to the year 9999, leap days included, as Python's own calendar has it."""
    assert instant(seconds) == datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "-1"), (LATEST + 1, str(LATEST + 1)), (float("nan"), "nan"), (float("inf"), "inf"), (0.9, instant(0))],
)
def test_what_no_calendar_has_stays_a_number(seconds: float, text: str) -> None:
    """A clock gone mad is shown, not an exception; fractions of a second are left out."""
    assert instant(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (45.9, "45 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7_199, "119 min"),
        (7_200, "2 h"),
        (86_700, "24 h"),
        (172_799, "47 h"),
        (172_800, "2 days"),
        (-5, "-5 s"),
        (float("nan"), "nan s"),
    ],
)
def test_a_span_has_the_unit_a_reader_thinks_in(seconds: float, text: str) -> None:
    """From two of a unit on it is that unit; nothing is rounded up."""
    assert lasting(seconds) == text


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=256))
@example("it's")
@example("-x")
@example("$(id)`id`")
@example("'\"\\")
def test_a_shell_reads_back_what_was_quoted(value: str) -> None:
    """Whatever a client is called, the command's word is that very name, and one word."""
    assert shlex.split(quoted(value)) == [value]


@pytest.mark.parametrize("value", ["é", "a\nb", "\x1b[2J", "\u202e", "x" * 257])
def test_what_cannot_be_shown_whole_is_not_copied(value: str) -> None:
    """A cut or look-alike value would be another value: the operator is to look it up."""
    assert exact(value) == quoted(value) == "VALUE"


def test_a_list_is_bounded() -> None:
    """However many values there are, a list stays a line."""
    assert listed(["a", "b"]) == "a, b"
    assert len(listed(["role"] * 1_000)) == 300


def test_every_day_of_four_years_is_the_calendars() -> None:
    """A leap year among them."""
    from datetime import UTC, datetime

    for day in range(4 * 365 + 1):
        seconds = 1_800_000_000 + day * 86_400
        assert instant(seconds) == datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_spans_and_values_reach_to_their_bounds() -> None:
    """The last that is told, and the last that is copied."""
    assert lasting(253_402_300_799) == "2932896 days"
    assert lasting(253_402_300_800) == "253402300800 s"
    assert (exact("x" * 256), exact("x" * 257)) == ("x" * 256, "VALUE")
