"""`/role-mappings`: values of issuers' claims that give a role."""

from __future__ import annotations

from typing import Annotated, Final

from tenantgate.admin.parameters import Cursor, Limit, PathId, Text, listing, searching, sorting
from tenantgate.admin.route import Calling, Routes
from tenantgate.admin.shapes import RoleMappingIn, RoleMappingOut
from tenantgate.admin.wire import Listing
from tenantgate.registry import role_mappings
from tenantgate.registry.errors import ConflictError, NotFoundError, TransitionError

routes: Final = Routes("Role mappings")

Sort = Annotated[str | None, sorting(role_mappings.ROLE_MAPPINGS)]
Search = Annotated[str | None, searching("an id or a claim's value")]


@routes.create("/role-mappings", ConflictError, TransitionError)
def map_role(call: Calling, body: RoleMappingIn) -> RoleMappingOut:
    """Believe a value of an issuer's claim: it gives the role, from a listed daemon's next request on."""
    with call.changing() as work:
        row = role_mappings.create(work, body.to_spec())
    call.created(f"/role-mappings/{row.id}")
    return RoleMappingOut.model_validate(row)


@routes.get("/role-mappings")
def list_role_mappings(
    call: Calling,
    cursor: Cursor = None,
    limit: Limit = 50,
    sort: Sort = None,
    search: Search = None,
    issuer: Text = None,
    app_role: Text = None,
) -> Listing[RoleMappingOut]:
    """List role mappings."""
    with call.reading() as session:
        page = role_mappings.list_(
            session,
            after=cursor,
            limit=limit,
            sort=sort,
            search=search,
            issuer=issuer,
            app_role=app_role,
        )
    return listing(page, RoleMappingOut)


@routes.get("/role-mappings/{id}", NotFoundError)
def get_role_mapping(call: Calling, id_: PathId) -> RoleMappingOut:
    """Show a role mapping."""
    with call.reading() as session:
        return RoleMappingOut.model_validate(role_mappings.get(session, id_))


@routes.change("/role-mappings/{id}/delete", NotFoundError)
def delete_role_mapping(call: Calling, id_: PathId) -> RoleMappingOut:
    """Believe it no more, from the next request on. It is gone then; what it was stays in the audit."""
    with call.changing() as work:
        row = role_mappings.delete(work, id_)
    return RoleMappingOut.model_validate(row)
