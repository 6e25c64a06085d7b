"""What needs a person, and the way to where it is dealt with; two of those things are dealt with right here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from starlette.responses import Response

from tenantgate.registry import invitations, pending_grants
from tenantgate.registry.unit_of_work import Work
from tenantgate.web import waiting
from tenantgate.web.call import Call
from tenantgate.web.errors import PageUnknown
from tenantgate.web.guard import Visitor
from tenantgate.web.rendering import see_other

Change = Callable[[Work, str], Any]

GRANT_CHANGES: Final[dict[str, Change]] = {
    "approve": pending_grants.approve,
    "reject": pending_grants.reject,
    "withdraw": pending_grants.withdraw,
}
INVITATION_CHANGES: Final[dict[str, Change]] = {"approve": invitations.approve, "reject": invitations.reject}


def show(call: Call, visitor: Visitor) -> Response:
    """Show everything by kind, the most pressing first."""
    with call.reading() as session:
        groups = waiting.read(session, visitor.operator.id, now=call.now)
    return call.page("attention.html", visitor, groups=groups)


def change_grant(call: Call, visitor: Visitor) -> Response:
    """Approve, reject or withdraw a sensitive role that was asked for. Who comes second is told who was first."""
    return _change(call, visitor, GRANT_CHANGES)


def change_invitation(call: Call, visitor: Visitor) -> Response:
    """List what a partner's developer entered, or nothing of it."""
    return _change(call, visitor, INVITATION_CHANGES)


def _change(call: Call, visitor: Visitor, changes: dict[str, Change]) -> Response:
    change = changes.get(call.request.path_params["change"])
    if change is None:
        raise PageUnknown("page_not_found", "there is no such change")
    with call.work(visitor) as work:
        change(work, str(call.request.path_params["id"]))
    return see_other("/attention")
