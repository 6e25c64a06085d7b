"""The example of every answer of the description: one whole value of each shape, and what is made of them.

They are made by the shapes themselves, so a member that comes, goes or changes its type is noticed where they are made.
"""

from __future__ import annotations

from typing import Any, Final

from tenantgate.admin.audit_text import as_lines, as_table
from tenantgate.admin.csv_text import csv_lines
from tenantgate.admin.examples_credentials import CREDENTIALS
from tenantgate.admin.examples_policy import LATER, POLICY
from tenantgate.admin.examples_seen import DECISION, ENTRY, HELD, IMPORT_FILE, SEEN
from tenantgate.admin.shapes_access import COLUMNS
from tenantgate.admin.wire import Out

SHAPES: Final[dict[str, Out]] = {type(each).__name__: each for each in (*POLICY, *CREDENTIALS, *SEEN)}
"""By the shape's name."""
FILES: Final[dict[tuple[str, str], str]] = {
    ("/api/v1/access", "text/csv"): "".join(csv_lines(COLUMNS, [HELD.model_dump(mode="json")])),
    ("/api/v1/audit/export", "text/csv"): "".join(as_table([ENTRY])),
    ("/api/v1/audit/export", "application/x-ndjson"): "".join(as_lines([ENTRY])),
    ("/api/v1/imports", "text/csv"): IMPORT_FILE,
}
"""What is no JSON, by path and media type."""
_LISTING: Final = "Listing_"
_NEXT: Final = {
    "AuditEntryOut": str(ENTRY.sequence),
    "ImportLineOut": "2",
    "DecisionOut": f"{DECISION.at}.{DECISION.id}",
}
"""Cursors of lists that are in another order than that of ids."""
_DECIDED: Final[dict[str, Any]] = {"decided_by": "grace", "decided_at": LATER, "decided_scheme": "admin_key"}
_AFTER: Final[dict[str, dict[str, Any]]] = {
    "/api/v1/imports": {"state": "running", "done": 0, "created": 0, "ended_at": None},
    "/api/v1/access-requests/{id}/approve": {"state": "approved", "daemon": "dmn-mfrggzdfmztwq2lk", **_DECIDED},
    "/api/v1/pending-grants/{id}/approve": {"state": "approved", "assignment": "asg-mfrggzdfmztwq2lk", **_DECIDED},
    "suspend": {"state": "suspended"},
    "archive": {"state": "archived"},
    "revoke": {"state": "revoked", "revoked_at": LATER, **_DECIDED},
    "dismiss": {"state": "dismissed", **_DECIDED},
    "reject": {"state": "rejected", **_DECIDED},
    "withdraw": {"state": "withdrawn", **_DECIDED},
}
"""By path, or by its last word: what of a thing is so when that has been done."""


def example_of(schema: str, path: str) -> tuple[str, Any]:
    """Return the name and the value of the example for an answer of this schema at `path`."""
    if schema.startswith(_LISTING):
        return schema.strip("_"), _page_of(SHAPES[schema.removeprefix(_LISTING).strip("_")])
    shape, word = SHAPES[schema], path.rpartition("/")[2]
    after = _AFTER[path] if path in _AFTER else _AFTER.get(word, {})
    after = {name: value for name, value in after.items() if name in type(shape).model_fields}
    if not after:
        return schema, shape.model_dump(mode="json")
    return f"{schema}_{word}", shape.model_copy(update=after).model_dump(mode="json")


def _page_of(shape: Out) -> dict[str, Any]:
    item = shape.model_dump(mode="json")
    return {"items": [item], "next": _NEXT.get(type(shape).__name__) or item["id"]}
