"""`/operators`: who administers."""

from __future__ import annotations

from typing import Annotated, Final

from tenantgate.admin.parameters import Cursor, Limit, PathId, listing, searching, sorting
from tenantgate.admin.route import Calling, Routes
from tenantgate.admin.shapes_admin import OperatorIn, OperatorOut, OperatorState
from tenantgate.admin.shapes_changes import OperatorChange
from tenantgate.admin.wire import Listing
from tenantgate.registry import operators
from tenantgate.registry.errors import ConflictError, NotFoundError, TransitionError
from tenantgate.registry.operators import OperatorRole

routes: Final = Routes("Operators")

Sort = Annotated[str | None, sorting(operators.OPERATORS)]
Search = Annotated[str | None, searching("an id or a name")]


@routes.create("/operators", ConflictError, policy=False)
def create_operator(call: Calling, body: OperatorIn) -> OperatorOut:
    """Let somebody administer, once they have an admin key."""
    with call.changing() as work:
        row = operators.create(work, body.to_spec())
    call.created(f"/operators/{row.id}")
    return OperatorOut.model_validate(row)


@routes.get("/operators")
def list_operators(
    call: Calling,
    cursor: Cursor = None,
    limit: Limit = 50,
    sort: Sort = None,
    search: Search = None,
    role: OperatorRole | None = None,
    state: OperatorState | None = None,
) -> Listing[OperatorOut]:
    """List operators."""
    with call.reading() as session:
        page = operators.list_(
            session,
            after=cursor,
            limit=limit,
            sort=sort,
            search=search,
            role=role,
            state=state,
        )
    return listing(page, OperatorOut)


@routes.get("/operators/{id}", NotFoundError)
def get_operator(call: Calling, id_: PathId) -> OperatorOut:
    """Show an operator."""
    with call.reading() as session:
        return OperatorOut.model_validate(operators.get(session, id_))


@routes.amend("/operators/{id}", NotFoundError, policy=False)
def change_operator(call: Calling, id_: PathId, body: OperatorChange) -> OperatorOut:
    """Change name or role of an operator, from their next request on."""
    with call.changing() as work:
        row = operators.change(work, id_, body.to_members())
    return OperatorOut.model_validate(row)


@routes.change("/operators/{id}/suspend", NotFoundError, TransitionError, policy=False)
def suspend_operator(call: Calling, id_: PathId) -> OperatorOut:
    """Let the operator do nothing more: keys and sessions stop at once. Who suspends the last Admin needs the CLI."""
    with call.changing() as work:
        row = operators.suspend(work, id_)
    return OperatorOut.model_validate(row)


@routes.change("/operators/{id}/activate", NotFoundError, TransitionError, policy=False)
def activate_operator(call: Calling, id_: PathId) -> OperatorOut:
    """Let the operator administer again; keys that have not ended work."""
    with call.changing() as work:
        row = operators.activate(work, id_)
    return OperatorOut.model_validate(row)
