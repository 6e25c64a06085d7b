"""`/app-roles`: what resources let their callers do."""

from __future__ import annotations

from typing import Final

from tenantgate.admin.parameters import Cursor, Limit, PathId, Text, listing
from tenantgate.admin.route import Calling, Routes
from tenantgate.admin.shapes import AppRoleIn, AppRoleOut
from tenantgate.admin.wire import Listing
from tenantgate.registry import app_roles
from tenantgate.registry.errors import ConflictError, NotFoundError

routes: Final = Routes("App roles")


@routes.create("/app-roles", ConflictError)
def create_app_role(call: Calling, body: AppRoleIn) -> AppRoleOut:
    """Define a role of a resource."""
    with call.changing() as work:
        row = app_roles.create(work, body.to_spec())
    call.created(f"/app-roles/{row.id}")
    return AppRoleOut.model_validate(row)


@routes.get("/app-roles")
def list_app_roles(
    call: Calling, cursor: Cursor = None, limit: Limit = 50, resource: Text = None, value: Text = None
) -> Listing[AppRoleOut]:
    """List app roles in order of id."""
    with call.reading() as session:
        page = app_roles.list_(session, after=cursor, limit=limit, resource=resource, value=value)
    return listing(page, AppRoleOut)


@routes.get("/app-roles/{id}", NotFoundError)
def get_app_role(call: Calling, id_: PathId) -> AppRoleOut:
    """Show an app role."""
    with call.reading() as session:
        return AppRoleOut.model_validate(app_roles.get(session, id_))
