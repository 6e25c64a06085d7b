"""The page a partner's developer is invited to: they name their daemon, and an operator approves.

Nobody is signed in here. Whoever holds the code learns what they are invited to; whoever does not, nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from sqlmodel import Session, col, select
from starlette.responses import Response

from tenantgate.registry import invitations
from tenantgate.registry.errors import CredentialError, InvalidError
from tenantgate.registry.invitation_tables import Invitation
from tenantgate.registry.tables import AppRole, Issuer, Partner
from tenantgate.registry.unit_of_work import Actor, unit_of_work
from tenantgate.web.call import Call, log
from tenantgate.web.refusals import told

_CODE: Final = re.compile(r"[A-Za-z0-9_-]{43}\Z")
_FIELDS: Final = ("tid", "client_id")


@dataclass(frozen=True, slots=True)
class Invited:
    """What an invitation says, for who holds it."""

    row: Invitation
    partner: Partner
    issuer: Issuer
    roles: tuple[AppRole, ...]


def show(call: Call) -> Response:
    """Show a page that waits for the code in the address's fragment, and for a person to press the button."""
    return call.page("invitation.html", None, step="link")


def submit(call: Call) -> Response:
    """Open an invitation, as often as somebody likes, or write down what was entered, once."""
    code = call.form.text("code")
    try:
        invited = _find(call, code)
        if invited.row.state == "open" and call.form.text("send"):
            return _redeem(call, code, invited)
    except CredentialError as error:
        log.warning("an invitation was refused", extra={"code": error.code, "address": call.address})
        return call.page("invitation.html", None, status=403, step="refused", why=error.code)
    return _shown(call, code, invited)


def _redeem(call: Call, code: str, invited: Invited) -> Response:
    context = call.context
    actor = Actor("", "invitation", call.address, call.id)
    try:
        with unit_of_work(context.engine, actor=actor, now=call.now, new_id=context.new_id) as work:
            invitations.redeem(work, code, tid=call.form.text("tid") or None, client_id=call.form.text("client_id"))
    except InvalidError as error:
        field = error.field if error.field in _FIELDS else ""
        return _shown(call, code, invited, errors={field: told(error)}, status=422)
    return _shown(call, code, _find(call, code))


def _find(call: Call, code: str) -> Invited:
    """Return what a code (untrusted) stands for. What is plainly none of ours costs no look into the database."""
    if not _CODE.match(code):
        raise CredentialError("invitation_unknown", "this is no code of an invitation")
    with call.reading() as session:
        row = invitations.find(session, code, now=call.now)
        issuer = session.get(Issuer, row.issuer)
        if issuer is None:  # nothing keeps it there once the invitation was decided
            raise CredentialError("invitation_closed", f"issuer {row.issuer} of the invitation is gone")
        return Invited(row, session.get_one(Partner, row.partner), issuer, _roles(session, row))


def _roles(session: Session, row: Invitation) -> tuple[AppRole, ...]:
    query = select(AppRole).where(col(AppRole.id).in_(row.app_roles)).order_by(col(AppRole.value))
    return tuple(session.exec(query).all())


def _shown(
    call: Call, code: str, invited: Invited, *, errors: dict[str, str] | None = None, status: int = 200
) -> Response:
    values = {name: call.form.text(name) for name in _FIELDS}
    step = "form" if invited.row.state == "open" else "done"
    return call.page(
        "invitation.html",
        None,
        status=status,
        step=step,
        code=code,
        invited=invited,
        values=values,
        errors=errors or {},
    )
