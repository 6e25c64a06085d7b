"""Reading the CSV file of an import: whole, bounded, and strictly before anything of it is believed.

The file was written by an operator or by a program of theirs. What is wrong with it as a whole is refused at once;
what is wrong with one line is that line's affair (`import_lines`).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from tenantgate.registry.errors import InvalidError

LARGEST_FILE: Final = 10 * 1024 * 1024
"""Bytes."""
MOST_LINES: Final = 50_000
"""Lines with something in them, the header not counted."""

COLUMNS: Final[dict[str, str]] = {
    "partner": "Id of the partner. The only column that every line must fill.",
    "partner_name": "What people call it; needed where the partner is new, and the new name where it is another.",
    "issuer": "Id of the issuer of the partner's tenant. It must be there: a file makes no issuers.",
    "tid": "Entra: the directory's id. Empty for an OIDC issuer.",
    "client_id": "The daemon's client id (`azp` or `appid`).",
    "oid": "Entra: the object id to pin the daemon to.",
    "subject": "OIDC: the `sub` its tokens must carry.",
    "roles": "Ids of app roles for the daemon, with blanks between them. They must be there.",
    "not_before": "The roles count from then on: an RFC 3339 timestamp, or a day.",
    "expires_at": "The roles count until just before then. Empty: new ones have no end, those there keep theirs.",
    "reason": "Why new roles are given, for who asks later.",
    "ticket": "Where that was agreed.",
}
"""Every column a file may have → what it is. They may stand in any order; only `partner` must be there."""

_MARK: Final = "\ufeff"


@dataclass(frozen=True, slots=True)
class ImportRow:
    """One line: its number in the file (the header is 1), and its cells by column; an empty cell is not there.

    `fault` is what is wrong with its form: it then has no cells.
    """

    line: int
    cells: dict[str, str] = field(default_factory=dict)
    fault: InvalidError | None = None

    def cell(self, name: str) -> str:
        """Return what stands in a column, or nothing."""
        return self.cells.get(name, "")


def read_file(raw: bytes) -> list[ImportRow]:
    """Return the lines of a file, those without anything left out.

    UTF-8, a byte order mark is passed over; separated by commas, or by semicolons where the header has no comma.

    Raises:
        InvalidError: `csv_too_large`, `csv_malformed`, `csv_header_unknown`.
    """
    if len(raw) > LARGEST_FILE:
        raise InvalidError("csv_too_large", f"a file has at most {LARGEST_FILE} bytes", field="file")
    try:
        text = raw.decode().removeprefix(_MARK)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InvalidError("csv_malformed", f"line {line} is not UTF-8", field="file") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise InvalidError("csv_malformed", f"line {line} holds a NUL character", field="file")
    return list(_rows(text))


def _rows(text: str) -> Iterator[ImportRow]:
    first = text.partition("\n")[0]
    separator = ";" if ";" in first and "," not in first else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    names: list[str] | None = None
    count = begins = 0
    try:
        for cells in reader:
            begins, line = reader.line_num, begins + 1  # a cell may have line feeds: the line is where its row begins
            if not any(cells):
                continue
            if names is None:
                names = _checked_header(cells)
                continue
            count += 1
            if count > MOST_LINES:
                raise InvalidError("csv_too_large", f"a file has at most {MOST_LINES} lines", field="file")
            yield _row(line, names, cells)
    except csv.Error as error:
        raise InvalidError("csv_malformed", f"line {reader.line_num}: {error}", field="file") from None
    if names is None:
        raise InvalidError("csv_header_unknown", "the file has no header", field="file")


def _checked_header(names: list[str]) -> list[str]:
    unknown = [name for name in names if name not in COLUMNS]
    if unknown:
        shown = ", ".join(repr(name[:40]) for name in unknown[:5])
        raise InvalidError(
            "csv_header_unknown", f"there is no column {shown}; known: {', '.join(COLUMNS)}", field="file"
        )
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidError("csv_header_unknown", f"the column {twice} is there twice", field="file")
    if "partner" not in names:
        raise InvalidError("csv_header_unknown", "the column partner is missing", field="file")
    return names


def _row(line: int, names: list[str], cells: list[str]) -> ImportRow:
    if len(cells) != len(names):
        message = f"the line has {len(cells)} cells, the header {len(names)}"
        return ImportRow(line, fault=InvalidError("csv_malformed", message))
    return ImportRow(line, {name: cell for name, cell in zip(names, cells, strict=True) if cell})
