"""`/access`: who held which role at a moment, granted and approved by whom, and why."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import Query, Request, Response
from fastapi.responses import StreamingResponse

from tenantgate.admin.csv_text import MEDIA_TYPE, csv_lines
from tenantgate.admin.parameters import LONGEST_TEXT, Cursor, Limit, Text, moment_of
from tenantgate.admin.route import Calling, Routes
from tenantgate.admin.shapes_access import COLUMNS, AccessOut, HeldOut
from tenantgate.registry import access, access_pages

routes: Final = Routes("Audit")

AsOf = Annotated[
    str | None,
    Query(description="An RFC 3339 timestamp, or a day, when it begins in UTC; now where left out.", max_length=64),
]
Resource = Annotated[str | None, Query(description="Only roles of this resource.", max_length=LONGEST_TEXT)]
Form = Annotated[
    Literal["json", "csv"] | None,
    Query(alias="format", description="csv: all of it, without pages. Else as `Accept` says."),
]


@routes.table("/access", AccessOut)
def list_access(
    call: Calling,
    request: Request,
    as_of: AsOf = None,
    partner: Text = None,
    resource: Resource = None,
    cursor: Cursor = None,
    limit: Limit = 50,
    form: Form = None,
) -> object:
    """Show who held which role at a moment, as the audit knows it: also what has long been taken back.

    In order of the assignment's id. With `Accept: text/csv` all of it, as a table: in order of partner, tenant, daemon,
    resource and role.
    """
    moment = moment_of(as_of, "as_of")
    moment = call.now if moment is None else moment
    if form == "csv" or (form is None and _wants_csv(request)):
        with call.reading() as session:
            return _table(access.held_at(session, moment, partner=partner, resource=resource))
    with call.reading() as session:
        page = access_pages.page_at(session, moment, after=cursor, limit=limit, partner=partner, resource=resource)
    return AccessOut(as_of=moment, items=[HeldOut.model_validate(each) for each in page.items], next=page.after)


def _table(found: list[access.Held]) -> Response:
    rows = (HeldOut.model_validate(each).model_dump(mode="json") for each in found)
    return StreamingResponse(csv_lines(COLUMNS, rows), media_type=MEDIA_TYPE)


def _wants_csv(request: Request) -> bool:
    """Whether `Accept` names CSV, and JSON not at all: who takes either gets JSON."""
    named = [each.partition(";")[0].strip().lower() for each in request.headers.get("accept", "").split(",")]
    return MEDIA_TYPE in named and "application/json" not in named
