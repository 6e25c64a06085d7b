"""`/admin-keys`: what operators show to be let in here."""

from __future__ import annotations

from typing import Final

from tenantgate.admin.parameters import Cursor, Limit, PathId, Text, listing
from tenantgate.admin.route import Calling, Routes
from tenantgate.admin.shapes_admin import AdminKeyIn, AdminKeyOut, NewAdminKeyOut
from tenantgate.admin.wire import Listing
from tenantgate.registry import operators
from tenantgate.registry.errors import NotFoundError, TransitionError

routes: Final = Routes("Admin keys")


@routes.create("/admin-keys", policy=False)
def create_admin_key(call: Calling, body: AdminKeyIn) -> NewAdminKeyOut:
    """Make an admin key for an operator. This answer is the only place where its value stands."""
    with call.changing() as work:
        made = operators.create_key(work, body.to_spec(), random_bytes=call.context.random_bytes)
    call.created(f"/admin-keys/{made.row.id}")
    return NewAdminKeyOut.of(made)


@routes.get("/admin-keys")
def list_admin_keys(
    call: Calling, cursor: Cursor = None, limit: Limit = 50, operator: Text = None
) -> Listing[AdminKeyOut]:
    """List admin keys in order of id, those that ended included."""
    with call.reading() as session:
        page = operators.list_keys(session, after=cursor, limit=limit, operator=operator)
    return listing(page, AdminKeyOut)


@routes.get("/admin-keys/{id}", NotFoundError)
def get_admin_key(call: Calling, id_: PathId) -> AdminKeyOut:
    """Show an admin key, never its value."""
    with call.reading() as session:
        return AdminKeyOut.model_validate(operators.get_key(session, id_))


@routes.change("/admin-keys/{id}/revoke", NotFoundError, TransitionError, policy=False)
def revoke_admin_key(call: Calling, id_: PathId) -> AdminKeyOut:
    """End an admin key at once, and every session that was opened with it. Your own key may be the one."""
    with call.changing() as work:
        row = operators.revoke_key(work, id_)
    return AdminKeyOut.model_validate(row)
