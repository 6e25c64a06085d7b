"""The audit written out: lines that prove themselves, or a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from tenantgate.admin.csv_text import csv_lines
from tenantgate.admin.shapes_admin import AuditEntryOut
from tenantgate.registry.audit import canonical
from tenantgate.registry.tables import AuditEntry

COLUMNS: Final = (
    "sequence",
    "at",
    "operator",
    "scheme",
    "address",
    "request_id",
    "action",
    "kind",
    "row_id",
    "revision",
    "before",
    "after",
    "hash",
)
"""Of the table."""


def as_lines(entries: Iterable[AuditEntry]) -> Iterator[str]:
    """Yield a line for each entry: the text its hash is over, byte for byte, and the hash as one more member."""
    for entry in entries:
        yield f'{canonical(entry)[:-1]},"hash":"{entry.hash}"}}\n'


def as_table(entries: Iterable[AuditEntry]) -> Iterator[str]:
    """Yield the entries as CSV."""
    return csv_lines(COLUMNS, (AuditEntryOut.model_validate(entry).model_dump(mode="json") for entry in entries))
