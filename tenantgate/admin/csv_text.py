"""Tables as CSV, and the one place that knows what a spreadsheet would do with a cell."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

MEDIA_TYPE: Final = "text/csv"

_BEGINS: Final = re.compile("[=+\\-@\uff1d\uff0b\uff0d\uff20\t\r\n]")
"""What a formula begins with, in full width too: some spreadsheets read that alike."""
_WITHIN: Final = re.compile('([;\t\r\n]"*)(?=[=+\\-@\uff1d\uff0b\uff0d\uff20])')
"""Where a cell begins to a spreadsheet that separates by semicolons or tabs; a quote amid its cell is a character."""
_QUOTED: Final = re.compile('[,;"\t\r\n]')


def csv_lines(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a header and a line for each row, as RFC 4180 has them."""
    yield _line(columns)
    for row in rows:
        yield _line([cell(row[name]) for name in columns])


def cell(value: Any) -> str:
    """Return one cell, not quoted yet. What a spreadsheet would take for a formula is text (CWE-1236)."""
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    text = _WITHIN.sub(r"\1'", text)
    return f"'{text}" if _BEGINS.match(text) else text


def _line(cells: Iterable[str]) -> str:
    return ",".join(map(_quoted, cells)) + "\r\n"


def _quoted(text: str) -> str:
    # Semicolons and tabs too, which RFC 4180 does not ask for: some programs separate by them as well as by commas.
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text
