"""`/pending-grants`: sensitive roles that one operator asked for, and another approves."""

from __future__ import annotations

from typing import Annotated, Final

from tenantgate.admin.parameters import Cursor, Limit, PathId, Text, listing, searching, sorting
from tenantgate.admin.route import Calling, Routes
from tenantgate.admin.shapes_approval import PendingGrantIn, PendingGrantOut, PendingGrantShown, PendingState
from tenantgate.admin.wire import Listing
from tenantgate.registry import assignments, pending_grants
from tenantgate.registry.errors import ConflictError, InvalidError, NotFoundError, TransitionError

routes: Final = Routes("Pending grants")

Sort = Annotated[str | None, sorting(pending_grants.PENDING_GRANTS)]
Search = Annotated[str | None, searching("an id")]


@routes.create("/pending-grants", ConflictError, TransitionError, policy=False)
def request_wider_window(call: Calling, body: PendingGrantIn) -> PendingGrantShown:
    """Ask that an assignment of a sensitive role counts for longer. A new one is asked for at /role-assignments."""
    with call.changing() as work:
        row = pending_grants.request_window(
            work, body.assignment, not_before=body.not_before, expires_at=body.expires_at, reason=body.reason
        )
        warnings = assignments.warnings_of(work.session, row.tenant)
    call.created(f"/pending-grants/{row.id}")
    return PendingGrantShown.of(row, warnings)


@routes.get("/pending-grants")
def list_pending_grants(
    call: Calling,
    cursor: Cursor = None,
    limit: Limit = 50,
    sort: Sort = None,
    search: Search = None,
    state: PendingState | None = None,
    app_role: Text = None,
    daemon: Text = None,
    tenant: Text = None,
) -> Listing[PendingGrantOut]:
    """List pending grants, decided and expired ones included."""
    with call.reading() as session:
        page = pending_grants.list_(
            session,
            after=cursor,
            limit=limit,
            sort=sort,
            search=search,
            state=state,
            app_role=app_role,
            daemon=daemon,
            tenant=tenant,
        )
    return listing(page, PendingGrantOut)


@routes.get("/pending-grants/{id}", NotFoundError)
def get_pending_grant(call: Calling, id_: PathId) -> PendingGrantShown:
    """Show a pending grant, and how many daemons it reaches."""
    with call.reading() as session:
        row = pending_grants.get(session, id_)
        return PendingGrantShown.of(row, assignments.warnings_of(session, row.tenant))


@routes.change("/pending-grants/{id}/approve", NotFoundError, ConflictError, TransitionError, InvalidError)
def approve_pending_grant(call: Calling, id_: PathId) -> PendingGrantShown:
    """Give what was asked for. Who asked cannot: another operator does, by whichever credential."""
    with call.changing() as work:
        row = pending_grants.approve(work, id_)
        warnings = assignments.warnings_of(work.session, row.tenant)
    return PendingGrantShown.of(row, warnings)


@routes.change("/pending-grants/{id}/reject", NotFoundError, TransitionError, policy=False)
def reject_pending_grant(call: Calling, id_: PathId) -> PendingGrantOut:
    """Refuse it for good."""
    with call.changing() as work:
        row = pending_grants.reject(work, id_)
    return PendingGrantOut.model_validate(row)


@routes.change("/pending-grants/{id}/withdraw", NotFoundError, TransitionError, policy=False)
def withdraw_pending_grant(call: Calling, id_: PathId) -> PendingGrantOut:
    """Take your own request back."""
    with call.changing() as work:
        row = pending_grants.withdraw(work, id_)
    return PendingGrantOut.model_validate(row)
