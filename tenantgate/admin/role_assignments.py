"""`/role-assignments`: who may do what, from when to when, granted by whom and why."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Query, Response

from tenantgate.admin.parameters import (
    LONGEST_TEXT,
    Cursor,
    EndsAfter,
    EndsBefore,
    Limit,
    PathId,
    Text,
    listing,
    searching,
    sorting,
)
from tenantgate.admin.route import Calling, Routes
from tenantgate.admin.shapes import GrantedOut, RoleAssignmentIn, RoleAssignmentOut
from tenantgate.admin.shapes_approval import PendingGrantShown
from tenantgate.admin.shapes_changes import RoleAssignmentChange
from tenantgate.admin.wire import Listing
from tenantgate.registry import assignments, pending_grants
from tenantgate.registry.approval_tables import PendingGrant
from tenantgate.registry.errors import ConflictError, NotFoundError, TransitionError

routes: Final = Routes("Role assignments")

OfPartner = Annotated[str | None, Query(description="Of this partner's daemons and tenants.", max_length=LONGEST_TEXT)]
Sort = Annotated[str | None, sorting(assignments.ASSIGNMENTS)]
Search = Annotated[str | None, searching("an id")]


@routes.create("/role-assignments", ConflictError, TransitionError, makes=GrantedOut, waits=PendingGrantShown)
def grant_role(call: Calling, body: RoleAssignmentIn) -> GrantedOut | Response:
    """Grant a role; it counts from the daemon's next request on.

    A sensitive one is asked for: the answer is 202 and the pending grant, which a second operator approves.
    """
    with call.changing() as work:
        made = pending_grants.grant_or_request(work, body.to_spec())
        warnings = assignments.warnings_of(work.session, made.tenant)
    if isinstance(made, PendingGrant):
        return call.waiting(f"/pending-grants/{made.id}", PendingGrantShown.of(made, warnings))
    call.created(f"/role-assignments/{made.id}")
    return GrantedOut.of(made, warnings)


@routes.get("/role-assignments")
def list_role_assignments(
    call: Calling,
    cursor: Cursor = None,
    limit: Limit = 50,
    sort: Sort = None,
    search: Search = None,
    app_role: Text = None,
    daemon: Text = None,
    tenant: Text = None,
    partner: OfPartner = None,
    expires_after: EndsAfter = None,
    expires_before: EndsBefore = None,
) -> Listing[RoleAssignmentOut]:
    """List role assignments, those that have ended or not begun included."""
    with call.reading() as session:
        page = assignments.list_(
            session,
            after=cursor,
            limit=limit,
            sort=sort,
            search=search,
            app_role=app_role,
            daemon=daemon,
            tenant=tenant,
            partner=partner,
            expires_after=expires_after,
            expires_before=expires_before,
        )
    return listing(page, RoleAssignmentOut)


@routes.get("/role-assignments/{id}", NotFoundError)
def get_role_assignment(call: Calling, id_: PathId) -> RoleAssignmentOut:
    """Show a role assignment."""
    with call.reading() as session:
        return RoleAssignmentOut.model_validate(assignments.get(session, id_))


@routes.amend("/role-assignments/{id}", NotFoundError, ConflictError, TransitionError)
def change_role_assignment(call: Calling, id_: PathId, body: RoleAssignmentChange) -> RoleAssignmentOut:
    """Change when a role counts, and why, from the daemon's next request on.

    A sensitive one can be shortened; to widen it takes a pending grant.
    """
    with call.changing() as work:
        row = assignments.change(work, id_, body.to_members())
    return RoleAssignmentOut.model_validate(row)


@routes.change("/role-assignments/{id}/revoke", NotFoundError)
def revoke_role(call: Calling, id_: PathId) -> RoleAssignmentOut:
    """Take a role back, from the daemon's next request on. It is gone then; what it was stays in the audit."""
    with call.changing() as work:
        row = assignments.revoke(work, id_)
    return RoleAssignmentOut.model_validate(row)
