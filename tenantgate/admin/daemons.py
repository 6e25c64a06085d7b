"""`/daemons`: partners' programs that may call."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Query

from tenantgate.admin.bulk import moved
from tenantgate.admin.parameters import LONGEST_TEXT, Cursor, Limit, PathId, Text, listing, searching, sorting
from tenantgate.admin.route import Calling, Routes
from tenantgate.admin.shapes import DaemonIn, DaemonOut
from tenantgate.admin.shapes_bulk import BulkIn, BulkOut
from tenantgate.admin.shapes_changes import DaemonChange
from tenantgate.admin.wire import Listing
from tenantgate.core.policy import DaemonState
from tenantgate.registry import daemons
from tenantgate.registry.errors import ConflictError, NotFoundError, TransitionError
from tenantgate.registry.tables import Daemon

routes: Final = Routes("Daemons")

Sort = Annotated[str | None, sorting(daemons.DAEMONS)]
Search = Annotated[str | None, searching("an id or a client id")]

OfIssuer = Annotated[str | None, Query(description="Of this issuer's tenants.", max_length=LONGEST_TEXT)]
OfPartner = Annotated[
    str | None, Query(description="Of this partner's tenants, and its own in hosted ones.", max_length=LONGEST_TEXT)
]


@routes.create("/daemons", ConflictError, TransitionError)
def create_daemon(call: Calling, body: DaemonIn) -> DaemonOut:
    """List a daemon, active at once; it may do nothing before a role is granted."""
    with call.changing() as work:
        row = daemons.create(work, body.to_spec())
    call.created(f"/daemons/{row.id}")
    return DaemonOut.model_validate(row)


@routes.get("/daemons")
def list_daemons(
    call: Calling,
    cursor: Cursor = None,
    limit: Limit = 50,
    sort: Sort = None,
    search: Search = None,
    tenant: Text = None,
    client_id: Text = None,
    issuer: OfIssuer = None,
    partner: OfPartner = None,
    state: DaemonState | None = None,
) -> Listing[DaemonOut]:
    """List daemons."""
    with call.reading() as session:
        page = daemons.list_(
            session,
            after=cursor,
            limit=limit,
            sort=sort,
            search=search,
            tenant=tenant,
            client_id=client_id,
            issuer=issuer,
            partner=partner,
            state=state,
        )
    return listing(page, DaemonOut)


@routes.get("/daemons/{id}", NotFoundError)
def get_daemon(call: Calling, id_: PathId) -> DaemonOut:
    """Show a daemon."""
    with call.reading() as session:
        return DaemonOut.model_validate(daemons.get(session, id_))


@routes.amend("/daemons/{id}", NotFoundError, TransitionError)
def change_daemon(call: Calling, id_: PathId, body: DaemonChange) -> DaemonOut:
    """Change pins, credential strength or notes of a daemon, from its next request on. Who it is stays."""
    with call.changing() as work:
        row = daemons.change(work, id_, body.to_members())
    return DaemonOut.model_validate(row)


@routes.change("/daemons/{id}/delete", NotFoundError, ConflictError)
def delete_daemon(call: Calling, id_: PathId) -> DaemonOut:
    """List a daemon no more, where nothing names it. It is gone then; what it was stays in the audit."""
    with call.changing() as work:
        row = daemons.delete(work, id_)
    return DaemonOut.model_validate(row)


@routes.change("/daemons/{id}/suspend", NotFoundError, TransitionError)
def suspend_daemon(call: Calling, id_: PathId) -> DaemonOut:
    """Let this daemon in no more, from its next request on."""
    with call.changing() as work:
        row = daemons.suspend(work, id_)
    return DaemonOut.model_validate(row)


@routes.change("/daemons/{id}/activate", NotFoundError, TransitionError)
def activate_daemon(call: Calling, id_: PathId) -> DaemonOut:
    """Let this daemon in again."""
    with call.changing() as work:
        row = daemons.activate(work, id_)
    return DaemonOut.model_validate(row)


@routes.change("/daemons/suspend", body=True)
def suspend_daemons(call: Calling, body: BulkIn) -> BulkOut:
    """Let these daemons in no more: all of them, or none, by one revision."""
    return moved(call, Daemon, daemons.suspend, body)


@routes.change("/daemons/activate", body=True)
def activate_daemons(call: Calling, body: BulkIn) -> BulkOut:
    """Let these daemons in again: all of them, or none, by one revision."""
    return moved(call, Daemon, daemons.activate, body)
