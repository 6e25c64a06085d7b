"""`/invitations`: links with which partners' developers name their daemons, for an operator to approve."""

from __future__ import annotations

from typing import Annotated, Final

from tenantgate.admin.parameters import (
    Cursor,
    EndsAfter,
    EndsBefore,
    Limit,
    PathId,
    Text,
    listing,
    searching,
    sorting,
)
from tenantgate.admin.route import Calling, Routes
from tenantgate.admin.shapes_invitations import (
    ApprovedInvitationOut,
    InvitationIn,
    InvitationOut,
    InvitationShown,
    InvitationState,
    NewInvitationOut,
)
from tenantgate.admin.wire import Listing
from tenantgate.registry import invitations, invited
from tenantgate.registry.errors import ConflictError, NotFoundError, TransitionError

routes: Final = Routes("Invitations")

Sort = Annotated[str | None, sorting(invitations.INVITATIONS)]
Search = Annotated[str | None, searching("an id, or of a tid or client id that was entered")]


@routes.create("/invitations", ConflictError, TransitionError, policy=False)
def create_invitation(call: Calling, body: InvitationIn) -> NewInvitationOut:
    """Invite a partner's developer. This answer is the only place where the link stands; no mail is sent."""
    with call.changing() as work:
        made = invitations.create(work, body.to_spec(), random_bytes=call.context.random_bytes)
    call.created(f"/invitations/{made.row.id}")
    return NewInvitationOut.of(made, call.context.public_url)


@routes.get("/invitations")
def list_invitations(
    call: Calling,
    cursor: Cursor = None,
    limit: Limit = 50,
    sort: Sort = None,
    search: Search = None,
    partner: Text = None,
    issuer: Text = None,
    resource: Text = None,
    state: InvitationState | None = None,
    expires_after: EndsAfter = None,
    expires_before: EndsBefore = None,
) -> Listing[InvitationOut]:
    """List invitations, those that ended included."""
    with call.reading() as session:
        page = invitations.list_(
            session,
            after=cursor,
            limit=limit,
            sort=sort,
            search=search,
            partner=partner,
            issuer=issuer,
            resource=resource,
            state=state,
            expires_after=expires_after,
            expires_before=expires_before,
        )
    return listing(page, InvitationOut)


@routes.get("/invitations/{id}", NotFoundError)
def get_invitation(call: Calling, id_: PathId) -> InvitationShown:
    """Show an invitation, what was entered, and what an approval gives; never its code."""
    with call.reading() as session:
        row = invitations.get(session, id_)
        return InvitationShown.of(row, invited.read(session, row, now=call.now))


@routes.change("/invitations/{id}/approve", NotFoundError, ConflictError, TransitionError)
def approve_invitation(call: Calling, id_: PathId) -> ApprovedInvitationOut:
    """List what was entered, with the invitation's roles, and activate a partner who was invited: all or nothing."""
    with call.changing() as work:
        row, done = invitations.approve(work, id_)
    return ApprovedInvitationOut.of(row, done)


@routes.change("/invitations/{id}/reject", NotFoundError, TransitionError, policy=False)
def reject_invitation(call: Calling, id_: PathId) -> InvitationOut:
    """List nothing of what was entered, for good."""
    with call.changing() as work:
        row = invitations.reject(work, id_)
    return InvitationOut.model_validate(row)


@routes.change("/invitations/{id}/revoke", NotFoundError, TransitionError, policy=False)
def revoke_invitation(call: Calling, id_: PathId) -> InvitationOut:
    """End an invitation, redeemed or not: its link leads nowhere then."""
    with call.changing() as work:
        row = invitations.revoke(work, id_)
    return InvitationOut.model_validate(row)
