"""Reads JSON out of a database: what another program wrote there, or a disk gave back, is refused as such."""

from __future__ import annotations

import json
from typing import Any

from tenantgate.registry.errors import DatabaseError


def read_document(text: str | bytes) -> Any:
    """Return what a document holds.

    Both engines keep what no reader of JSON takes: numbers of thousands of digits, and depth without end.

    Raises:
        DatabaseError: `row_malformed`.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise DatabaseError("row_malformed", "a document in the database is no JSON") from None
