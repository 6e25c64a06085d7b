"""`/admin-keys`: what operators show to be let in here."""

from __future__ import annotations

from typing import Annotated, Final

from tenantgate.admin.parameters import Cursor, EndsAfter, EndsBefore, Limit, PathId, Text, listing, searching, sorting
from tenantgate.admin.route import Calling, Routes
from tenantgate.admin.shapes_admin import AdminKeyIn, AdminKeyOut, NewAdminKeyOut
from tenantgate.admin.shapes_changes import AdminKeyChange
from tenantgate.admin.wire import Listing
from tenantgate.registry import operators
from tenantgate.registry.errors import NotFoundError, TransitionError

routes: Final = Routes("Admin keys")

Sort = Annotated[str | None, sorting(operators.ADMIN_KEYS)]
Search = Annotated[str | None, searching("an id or a name")]


@routes.create("/admin-keys", policy=False)
def create_admin_key(call: Calling, body: AdminKeyIn) -> NewAdminKeyOut:
    """Make an admin key for an operator. This answer is the only place where its value stands."""
    with call.changing() as work:
        made = operators.create_key(work, body.to_spec(), random_bytes=call.context.random_bytes)
    call.created(f"/admin-keys/{made.row.id}")
    return NewAdminKeyOut.of(made)


@routes.get("/admin-keys")
def list_admin_keys(
    call: Calling,
    cursor: Cursor = None,
    limit: Limit = 50,
    sort: Sort = None,
    search: Search = None,
    operator: Text = None,
    expires_after: EndsAfter = None,
    expires_before: EndsBefore = None,
) -> Listing[AdminKeyOut]:
    """List admin keys, those that ended included."""
    with call.reading() as session:
        page = operators.list_keys(
            session,
            after=cursor,
            limit=limit,
            sort=sort,
            search=search,
            operator=operator,
            expires_after=expires_after,
            expires_before=expires_before,
        )
    return listing(page, AdminKeyOut)


@routes.get("/admin-keys/{id}", NotFoundError)
def get_admin_key(call: Calling, id_: PathId) -> AdminKeyOut:
    """Show an admin key, never its value."""
    with call.reading() as session:
        return AdminKeyOut.model_validate(operators.get_key(session, id_))


@routes.amend("/admin-keys/{id}", NotFoundError, policy=False)
def change_admin_key(call: Calling, id_: PathId, body: AdminKeyChange) -> AdminKeyOut:
    """Change what an admin key is called."""
    with call.changing() as work:
        row = operators.change_key(work, id_, body.to_members())
    return AdminKeyOut.model_validate(row)


@routes.change("/admin-keys/{id}/revoke", NotFoundError, TransitionError, policy=False)
def revoke_admin_key(call: Calling, id_: PathId) -> AdminKeyOut:
    """End an admin key at once, and every session that was opened with it. Your own key may be the one."""
    with call.changing() as work:
        row = operators.revoke_key(work, id_)
    return AdminKeyOut.model_validate(row)
