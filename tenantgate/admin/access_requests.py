"""`/access-requests`: authentic callers on no list, waiting for a human."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Query

from tenantgate.admin.parameters import Cursor, Limit, PathId, Text, listing, searching, sorting
from tenantgate.admin.route import Calling, Routes
from tenantgate.admin.shapes_access_requests import AccessRequestOut, AccessRequestState, ApprovalIn
from tenantgate.admin.wire import Listing
from tenantgate.registry import access_requests
from tenantgate.registry.errors import ConflictError, NotFoundError, TransitionError

routes: Final = Routes("Access requests")

Sort = Annotated[str | None, sorting(access_requests.ACCESS_REQUESTS)]
Search = Annotated[str | None, searching("an id, a tid or a client id")]
State = Annotated[AccessRequestState, Query(description="Only those in this state.")]


@routes.get("/access-requests")
def list_access_requests(
    call: Calling,
    cursor: Cursor = None,
    limit: Limit = 50,
    sort: Sort = None,
    search: Search = None,
    state: State = "open",
    resource: Text = None,
    issuer: Text = None,
    tid: Text = None,
) -> Listing[AccessRequestOut]:
    """List callers that ask to be let in: the open requests where no other state is named."""
    with call.reading() as session:
        page = access_requests.list_(
            session,
            after=cursor,
            limit=limit,
            sort=sort,
            search=search,
            state=state,
            resource=resource,
            issuer=issuer,
            tid=tid,
        )
    return listing(page, AccessRequestOut)


@routes.get("/access-requests/{id}", NotFoundError)
def get_access_request(call: Calling, id_: PathId) -> AccessRequestOut:
    """Show an access request."""
    with call.reading() as session:
        return AccessRequestOut.model_validate(access_requests.get(session, id_))


@routes.change("/access-requests/{id}/approve", NotFoundError, ConflictError, TransitionError, body=True)
def approve_access_request(call: Calling, id_: PathId, body: ApprovalIn) -> AccessRequestOut:
    """Put the caller on the list with all that it needs, in one go or not at all."""
    with call.changing() as work:
        row, _ = access_requests.approve(work, id_, body.to_spec())
    return AccessRequestOut.model_validate(row)


@routes.change("/access-requests/{id}/dismiss", NotFoundError, TransitionError, policy=False)
def dismiss_access_request(call: Calling, id_: PathId) -> AccessRequestOut:
    """Show this caller's request no more, however often it asks."""
    with call.changing() as work:
        row = access_requests.dismiss(work, id_)
    return AccessRequestOut.model_validate(row)


@routes.change("/access-requests/{id}/reopen", NotFoundError, TransitionError, policy=False)
def reopen_access_request(call: Calling, id_: PathId) -> AccessRequestOut:
    """Show a dismissed request again."""
    with call.changing() as work:
        row = access_requests.reopen(work, id_)
    return AccessRequestOut.model_validate(row)
