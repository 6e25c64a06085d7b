"""`/audit`: who did what."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import Query

from tenantgate.admin.parameters import LONGEST_TEXT, Limit, Text
from tenantgate.admin.route import Calling, Routes
from tenantgate.admin.shapes_admin import AuditEntryOut
from tenantgate.admin.wire import Listing
from tenantgate.registry import audit

routes: Final = Routes("Audit")

# As a text, like all cursors; bounded, because the database counts in 64 bits.
Sequence = Annotated[str | None, Query(description="`next` of the page before.", pattern="^[0-9]{1,18}$")]
Kind = Annotated[str | None, Query(description="What it was done to.", examples=["partner"], max_length=LONGEST_TEXT)]
Order = Annotated[Literal["newest", "oldest"], Query(description="What comes first.")]


@routes.get("/audit")
def list_audit(
    call: Calling,
    cursor: Sequence = None,
    limit: Limit = 50,
    order: Order = "newest",
    kind: Kind = None,
    row_id: Text = None,
    operator: Text = None,
) -> Listing[AuditEntryOut]:
    """List what was done, newest first. `tenantgate audit verify` proves that nobody changed it."""
    with call.reading() as session:
        page = audit.list_(
            session,
            after=None if cursor is None else int(cursor),
            limit=limit,
            newest_first=order == "newest",
            kind=kind,
            row_id=row_id,
            operator=operator,
        )
    items = [AuditEntryOut.model_validate(entry) for entry in page.items]
    return Listing[AuditEntryOut](items=items, next=None if page.after is None else str(page.after))
