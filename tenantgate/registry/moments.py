"""Points in time as people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# RFC 3339 §5.6, whole seconds: policy is judged in seconds, and a lost fraction would be a lost promise.
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d([Zz]|[+-]\d\d:\d\d)\Z", re.ASCII)
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d\Z", re.ASCII)


def read_instant(value: str) -> int | None:
    """Return epoch seconds for an RFC 3339 timestamp with an offset, or None where it is none. Untrusted."""
    if not _INSTANT.match(value):
        return None
    try:
        return (datetime.fromisoformat(value.upper()) - _EPOCH) // timedelta(seconds=1)
    except (ValueError, OverflowError):
        return None


def read_moment(value: str) -> int | None:
    """Return epoch seconds for a timestamp, or for a day (`2031-01-31`), when it begins in UTC; None for neither."""
    return read_instant(f"{value}T00:00:00Z" if _DAY.match(value) else value)


def written(seconds: int) -> str:
    """Return epoch seconds (0 to the end of the year 9999) as an RFC 3339 timestamp in UTC."""
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
