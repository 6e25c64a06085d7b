"""Tables as CSV, and the one place that knows what a spreadsheet would do with a cell."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

MEDIA_TYPE: Final = "text/csv"

_FORMULA: Final = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
"""What a formula begins with, in full width too: some spreadsheets read that alike."""


def csv_lines(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a header and a line for each row, as RFC 4180 has them."""
    written = io.StringIO(newline="")
    table = csv.writer(written)
    table.writerow(columns)
    for row in rows:
        yield _taken(written)
        table.writerow([cell(row[name]) for name in columns])
    yield _taken(written)


def cell(value: Any) -> str:
    """Return one cell. What a spreadsheet would take for a formula is text (CWE-1236)."""
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text[:1] in _FORMULA else text


def _taken(written: io.StringIO) -> str:
    text = written.getvalue()
    written.seek(0)
    written.truncate()
    return text
