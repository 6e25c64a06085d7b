"""`/role-assignments`: who may do what, from when to when, granted by whom and why."""

from __future__ import annotations

from typing import Final

from tenantgate.admin.parameters import Cursor, Limit, PathId, Text, listing
from tenantgate.admin.route import Calling, Routes
from tenantgate.admin.shapes import RoleAssignmentIn, RoleAssignmentOut
from tenantgate.admin.wire import Listing
from tenantgate.registry import assignments
from tenantgate.registry.errors import ConflictError, NotFoundError

routes: Final = Routes("Role assignments")


@routes.create("/role-assignments", ConflictError)
def grant_role(call: Calling, body: RoleAssignmentIn) -> RoleAssignmentOut:
    """Grant a role; it counts from the daemon's next request on."""
    with call.changing() as work:
        row = assignments.grant(work, body.to_spec())
    call.created(f"/role-assignments/{row.id}")
    return RoleAssignmentOut.model_validate(row)


@routes.get("/role-assignments")
def list_role_assignments(
    call: Calling,
    cursor: Cursor = None,
    limit: Limit = 50,
    app_role: Text = None,
    daemon: Text = None,
    tenant: Text = None,
) -> Listing[RoleAssignmentOut]:
    """List role assignments in order of id, those that have ended or not begun included."""
    with call.reading() as session:
        page = assignments.list_(session, after=cursor, limit=limit, app_role=app_role, daemon=daemon, tenant=tenant)
    return listing(page, RoleAssignmentOut)


@routes.get("/role-assignments/{id}", NotFoundError)
def get_role_assignment(call: Calling, id_: PathId) -> RoleAssignmentOut:
    """Show a role assignment."""
    with call.reading() as session:
        return RoleAssignmentOut.model_validate(assignments.get(session, id_))


@routes.change("/role-assignments/{id}/revoke", NotFoundError)
def revoke_role(call: Calling, id_: PathId) -> RoleAssignmentOut:
    """Take a role back, from the daemon's next request on. It is gone then; what it was stays in the audit."""
    with call.changing() as work:
        row = assignments.revoke(work, id_)
    return RoleAssignmentOut.model_validate(row)
