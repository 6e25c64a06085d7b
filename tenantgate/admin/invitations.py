"""`/invitations`: links with which partners' developers name their daemons, for an operator to approve."""

from __future__ import annotations

from typing import Final

from tenantgate.admin.parameters import Cursor, Limit, PathId, Text, listing
from tenantgate.admin.route import Calling, Routes
from tenantgate.admin.shapes_invitations import (
    ApprovedInvitationOut,
    InvitationIn,
    InvitationOut,
    NewInvitationOut,
)
from tenantgate.admin.wire import Listing
from tenantgate.registry import invitations
from tenantgate.registry.errors import ConflictError, NotFoundError, TransitionError

routes: Final = Routes("Invitations")


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
    partner: Text = None,
    resource: Text = None,
    state: Text = None,
) -> Listing[InvitationOut]:
    """List invitations in order of id, those that ended included."""
    with call.reading() as session:
        page = invitations.list_(session, after=cursor, limit=limit, partner=partner, resource=resource, state=state)
    return listing(page, InvitationOut)


@routes.get("/invitations/{id}", NotFoundError)
def get_invitation(call: Calling, id_: PathId) -> InvitationOut:
    """Show an invitation, and what was entered; never its code."""
    with call.reading() as session:
        return InvitationOut.model_validate(invitations.get(session, id_))


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
