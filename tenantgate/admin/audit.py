"""`/audit`: who did what."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import Annotated, Final, Literal

from fastapi import Query, Response
from fastapi.responses import StreamingResponse

from tenantgate.admin.audit_text import as_lines, as_table
from tenantgate.admin.csv_text import MEDIA_TYPE
from tenantgate.admin.parameters import LONGEST_TEXT, Limit, Text, moment_of
from tenantgate.admin.route import Call, Calling, Routes
from tenantgate.admin.shapes_admin import AuditEntryOut
from tenantgate.admin.wire import Listing
from tenantgate.registry import audit
from tenantgate.registry.tables import AuditEntry

routes: Final = Routes("Audit")

# As a text, like all cursors; bounded, because the database counts in 64 bits.
Sequence = Annotated[str | None, Query(description="`next` of the page before.", pattern="^[0-9]{1,18}$")]
Kind = Annotated[str | None, Query(description="What it was done to.", examples=["partner"], max_length=LONGEST_TEXT)]
Order = Annotated[Literal["newest", "oldest"], Query(description="What comes first.")]

After = Annotated[str | None, Query(description="Only entries after this sequence.", pattern="^[0-9]{1,18}$")]
From = Annotated[str | None, Query(description="Only from this time on: RFC 3339, or a day.", max_length=64)]
Until = Annotated[str | None, Query(description="Only before this time.", max_length=64)]
Form = Annotated[Literal["jsonl", "csv"], Query(alias="format", description="jsonl has all there is.")]
_BATCH: Final = 1_000
"""Entries read at once: no transaction is open while the caller takes its time."""


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


@routes.export("/audit/export", "application/x-ndjson", MEDIA_TYPE)
def export_audit(
    call: Calling, form: Form = "jsonl", after: After = None, since: From = None, until: Until = None
) -> Response:
    """Write out what was done, oldest first.

    In jsonl a line is an entry: the text its hash is over, byte for byte, and the hash as one more member at its end.
    """
    entries = _entries(call, int(after or 0), moment_of(since, "since"), moment_of(until, "until"))
    # The first is read before anything is answered: a database that cannot be read is told as what it is.
    begun = list(islice(entries, 1))
    whole = chain(begun, entries)
    if form == "csv":
        return StreamingResponse(as_table(whole), media_type=MEDIA_TYPE)
    return StreamingResponse(as_lines(whole), media_type="application/x-ndjson")


def _entries(call: Call, after: int, since: int | None, until: int | None) -> Iterator[AuditEntry]:
    while True:
        with call.reading() as session:
            found = list(audit.export(session, after=after, since=since, until=until, limit=_BATCH))
        yield from found
        if len(found) < _BATCH:
            return
        after = found[-1].sequence
