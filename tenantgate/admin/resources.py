"""`/resources`: the protected APIs."""

from __future__ import annotations

from typing import Annotated, Final

from tenantgate.admin.parameters import Cursor, Limit, PathId, listing, searching, sorting
from tenantgate.admin.route import Calling, Routes
from tenantgate.admin.shapes_resources import ResourceChange, ResourceIn, ResourceOut
from tenantgate.admin.wire import Listing
from tenantgate.registry import resources
from tenantgate.registry.errors import ConflictError, NotFoundError

routes: Final = Routes("Resources")

Sort = Annotated[str | None, sorting(resources.RESOURCES)]
Search = Annotated[str | None, searching("an id")]


@routes.create("/resources", ConflictError)
def create_resource(call: Calling, body: ResourceIn) -> ResourceOut:
    """Protect an API. Its id is what a gate asks for (`open_gate(…, resource="orders")`)."""
    with call.changing() as work:
        row = resources.create(work, body.to_spec())
    call.created(f"/resources/{row.id}")
    return ResourceOut.model_validate(row)


@routes.get("/resources")
def list_resources(
    call: Calling,
    cursor: Cursor = None,
    limit: Limit = 50,
    sort: Sort = None,
    search: Search = None,
) -> Listing[ResourceOut]:
    """List resources."""
    with call.reading() as session:
        page = resources.list_(
            session,
            after=cursor,
            limit=limit,
            sort=sort,
            search=search,
        )
    return listing(page, ResourceOut)


@routes.get("/resources/{id}", NotFoundError)
def get_resource(call: Calling, id_: PathId) -> ResourceOut:
    """Show a resource."""
    with call.reading() as session:
        return ResourceOut.model_validate(resources.get(session, id_))


@routes.amend("/resources/{id}", NotFoundError, ConflictError)
def change_resource(call: Calling, id_: PathId, body: ResourceChange) -> ResourceOut:
    """Change a resource's rules, from the next request on. What is so already makes no revision."""
    with call.changing() as work:
        row = resources.change(work, id_, body.to_members())
    return ResourceOut.model_validate(row)


@routes.change("/resources/{id}/delete", NotFoundError, ConflictError)
def delete_resource(call: Calling, id_: PathId) -> ResourceOut:
    """Protect an API no more, where no role of it is defined. It is gone then; what it was stays in the audit."""
    with call.changing() as work:
        row = resources.delete(work, id_)
    return ResourceOut.model_validate(row)
