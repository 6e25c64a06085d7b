"""`/app-roles`: what resources let their callers do."""

from __future__ import annotations

from typing import Annotated, Final

from tenantgate.admin.parameters import Cursor, Limit, PathId, Text, listing, searching, sorting
from tenantgate.admin.route import Calling, Routes
from tenantgate.admin.shapes import AppRoleIn, AppRoleOut
from tenantgate.admin.shapes_changes import AppRoleChange
from tenantgate.admin.wire import Listing
from tenantgate.registry import app_roles
from tenantgate.registry.errors import ConflictError, NotFoundError, TransitionError

routes: Final = Routes("App roles")

Sort = Annotated[str | None, sorting(app_roles.APP_ROLES)]
Search = Annotated[str | None, searching("an id, a value or a name")]


@routes.create("/app-roles", ConflictError)
def create_app_role(call: Calling, body: AppRoleIn) -> AppRoleOut:
    """Define a role of a resource."""
    with call.changing() as work:
        row = app_roles.create(work, body.to_spec())
    call.created(f"/app-roles/{row.id}")
    return AppRoleOut.model_validate(row)


@routes.amend("/app-roles/{id}", NotFoundError)
def change_app_role(call: Calling, id_: PathId, body: AppRoleChange) -> AppRoleOut:
    """Change the name people read."""
    with call.changing() as work:
        row = app_roles.change(work, id_, body.to_members())
    return AppRoleOut.model_validate(row)


@routes.change("/app-roles/{id}/delete", NotFoundError, ConflictError)
def delete_app_role(call: Calling, id_: PathId) -> AppRoleOut:
    """Define a role no more, where nothing names it. It is gone then; what it was stays in the audit."""
    with call.changing() as work:
        row = app_roles.delete(work, id_)
    return AppRoleOut.model_validate(row)


@routes.change("/app-roles/{id}/mark-sensitive", NotFoundError, TransitionError, policy=False)
def mark_app_role_sensitive(call: Calling, id_: PathId) -> AppRoleOut:
    """From now on it takes two operators to grant it. Who has it keeps it, and mappings that give it stay."""
    with call.changing() as work:
        row = app_roles.mark_sensitive(work, id_)
    return AppRoleOut.model_validate(row)


@routes.change("/app-roles/{id}/unmark-sensitive", NotFoundError, TransitionError, policy=False)
def unmark_app_role_sensitive(call: Calling, id_: PathId) -> AppRoleOut:
    """From now on one operator grants it alone. What waits for approval goes on waiting."""
    with call.changing() as work:
        row = app_roles.unmark_sensitive(work, id_)
    return AppRoleOut.model_validate(row)


@routes.get("/app-roles")
def list_app_roles(
    call: Calling,
    cursor: Cursor = None,
    limit: Limit = 50,
    sort: Sort = None,
    search: Search = None,
    resource: Text = None,
    value: Text = None,
) -> Listing[AppRoleOut]:
    """List app roles."""
    with call.reading() as session:
        page = app_roles.list_(
            session,
            after=cursor,
            limit=limit,
            sort=sort,
            search=search,
            resource=resource,
            value=value,
        )
    return listing(page, AppRoleOut)


@routes.get("/app-roles/{id}", NotFoundError)
def get_app_role(call: Calling, id_: PathId) -> AppRoleOut:
    """Show an app role."""
    with call.reading() as session:
        return AppRoleOut.model_validate(app_roles.get(session, id_))
