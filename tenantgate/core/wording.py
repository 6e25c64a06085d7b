"""Times, spans, lists and shell words as explanations write them: bounded, visible ASCII, whatever they are made of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from tenantgate.core.fields import IDENTITY_LENGTH, LATEST
from tenantgate.core.strict import shown

_DAY: Final = 86_400
_SPANS: Final = ((_DAY, "day", 2), (3_600, "h", 2), (60, "min", 2), (1, "s", 0))
_PLAIN: Final = re.compile(r"[A-Za-z0-9_./:@%+=,-]+\Z")


def instant(seconds: float) -> str:
    """Return epoch seconds in RFC 3339, UTC, as 2031-01-31T00:00:00Z; what no calendar has as the number it is."""
    if not 0 <= seconds <= LATEST:  # NaN and infinities too
        return shown(seconds)
    days, rest = divmod(int(seconds), _DAY)
    year, month, day = _civil(days)
    return f"{year:04}-{month:02}-{day:02}T{rest // 3_600:02}:{rest // 60 % 60:02}:{rest % 60:02}Z"


def _civil(days: int) -> tuple[int, int, int]:
    """Return year, month and day of the Gregorian calendar. Years begin in March, so that a leap day ends one."""
    era, day_of_era = divmod(days + 719_468, 146_097)  # days from 1 March of the year 0; days in 400 years
    year = (day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year + year // 4 - year // 100)
    shifted = (5 * day_of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return era * 400 + year + (month <= 2), month, day_of_year - (153 * shifted + 2) // 5 + 1


def lasting(seconds: float) -> str:
    """Return a span of time in the unit a reader thinks in: 45 s, 12 min, 26 h, 3 days."""
    if not 0 <= seconds <= LATEST:
        return f"{shown(seconds)} s"
    for unit, name, least in _SPANS:
        if seconds >= unit * least:
            count = int(seconds // unit)
            return f"{count} {name}s" if name == "day" else f"{count} {name}"
    raise AssertionError("the last unit fits any span")


def listed(values: Iterable[str], limit: int = 300) -> str:
    """Return values joined by commas, however many there are."""
    return shown(", ".join(values), limit)


def exact(value: str) -> str:
    """Return a value fit to be copied, or `VALUE` where it cannot be shown whole: a cut one would be another value."""
    return value if value.isascii() and value.isprintable() and len(value) <= IDENTITY_LENGTH else "VALUE"


def quoted(value: str) -> str:
    """Return a value as one word of a POSIX shell, or `VALUE` (see `exact`)."""
    value = exact(value)
    return value if _PLAIN.match(value) else "'" + value.replace("'", "'\\''") + "'"
