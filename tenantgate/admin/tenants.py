"""`/tenants`: partners' slices of issuers."""

from __future__ import annotations

from typing import Annotated, Final

from tenantgate.admin.bulk import moved
from tenantgate.admin.parameters import Cursor, Limit, PathId, Text, listing, searching, sorting
from tenantgate.admin.route import Calling, Routes
from tenantgate.admin.shapes import TenantIn, TenantOut
from tenantgate.admin.shapes_bulk import BulkIn, BulkOut
from tenantgate.admin.shapes_changes import TenantChange
from tenantgate.admin.wire import Listing
from tenantgate.core.policy import TenantState
from tenantgate.registry import tenants
from tenantgate.registry.errors import ConflictError, NotFoundError, TransitionError
from tenantgate.registry.tables import Tenant

routes: Final = Routes("Tenants")

Sort = Annotated[str | None, sorting(tenants.TENANTS)]
Search = Annotated[str | None, searching("an id or a tid")]


@routes.create("/tenants", ConflictError, TransitionError)
def create_tenant(call: Calling, body: TenantIn) -> TenantOut:
    """List a tenant, active at once. Two partners never share one, but for a hosted tenant."""
    with call.changing() as work:
        row = tenants.create(work, body.to_spec())
    call.created(f"/tenants/{row.id}")
    return TenantOut.model_validate(row)


@routes.get("/tenants")
def list_tenants(
    call: Calling,
    cursor: Cursor = None,
    limit: Limit = 50,
    sort: Sort = None,
    search: Search = None,
    issuer: Text = None,
    partner: Text = None,
    tid: Text = None,
    state: TenantState | None = None,
    hosted: bool | None = None,
) -> Listing[TenantOut]:
    """List tenants. A `tid` is found in either case."""
    with call.reading() as session:
        page = tenants.list_(
            session,
            after=cursor,
            limit=limit,
            sort=sort,
            search=search,
            issuer=issuer,
            partner=partner,
            tid=tid,
            state=state,
            hosted=hosted,
        )
    return listing(page, TenantOut)


@routes.get("/tenants/{id}", NotFoundError)
def get_tenant(call: Calling, id_: PathId) -> TenantOut:
    """Show a tenant."""
    with call.reading() as session:
        return TenantOut.model_validate(tenants.get(session, id_))


@routes.amend("/tenants/{id}", NotFoundError)
def change_tenant(call: Calling, id_: PathId, body: TenantChange) -> TenantOut:
    """Change the notes of a tenant. Who it is and whose stays."""
    with call.changing() as work:
        row = tenants.change(work, id_, body.to_members())
    return TenantOut.model_validate(row)


@routes.change("/tenants/{id}/delete", NotFoundError, ConflictError)
def delete_tenant(call: Calling, id_: PathId) -> TenantOut:
    """List a tenant no more, where nothing names it. It is gone then; what it was stays in the audit."""
    with call.changing() as work:
        row = tenants.delete(work, id_)
    return TenantOut.model_validate(row)


@routes.change("/tenants/{id}/suspend", NotFoundError, TransitionError)
def suspend_tenant(call: Calling, id_: PathId) -> TenantOut:
    """Let no daemon of this tenant in any more, from its next request on."""
    with call.changing() as work:
        row = tenants.suspend(work, id_)
    return TenantOut.model_validate(row)


@routes.change("/tenants/{id}/activate", NotFoundError, ConflictError, TransitionError)
def activate_tenant(call: Calling, id_: PathId) -> TenantOut:
    """Let the tenant's listed daemons in again."""
    with call.changing() as work:
        row = tenants.activate(work, id_)
    return TenantOut.model_validate(row)


@routes.change("/tenants/suspend", body=True)
def suspend_tenants(call: Calling, body: BulkIn) -> BulkOut:
    """Let no daemon of these tenants in any more: all of them, or none, by one revision."""
    return moved(call, Tenant, tenants.suspend, body)


@routes.change("/tenants/activate", body=True)
def activate_tenants(call: Calling, body: BulkIn) -> BulkOut:
    """Let the listed daemons of these tenants in again: all of them, or none, by one revision."""
    return moved(call, Tenant, tenants.activate, body)
