"""The list of partners, the page of one, and the buttons that suspend and activate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from sqlmodel import Session
from starlette.responses import Response

from tenantgate.registry import daemons, enforcement, partners, tenants
from tenantgate.registry.errors import TransitionError
from tenantgate.registry.unit_of_work import Work
from tenantgate.web import reading
from tenantgate.web.call import Call, log
from tenantgate.web.errors import PageUnknown
from tenantgate.web.guard import Visitor
from tenantgate.web.links import partner_address
from tenantgate.web.recipe import recipe
from tenantgate.web.rendering import see_other

Change = Callable[[Work, str], Any]

PARTNER_CHANGES: Final[dict[str, Change]] = {"suspend": partners.suspend, "activate": partners.activate}
TENANT_CHANGES: Final[dict[str, Change]] = {"suspend": tenants.suspend, "activate": tenants.activate}
DAEMON_CHANGES: Final[dict[str, Change]] = {"suspend": daemons.suspend, "activate": daemons.activate}


def home(call: Call, visitor: Visitor) -> Response:
    """Go on to the list."""
    del call, visitor
    return see_other("/partners")


def show_list(call: Call, visitor: Visitor) -> Response:
    """Show a page of the list; search, state and cursor stand in the address."""
    search, state, after = call.asked("search"), call.asked("state"), call.asked("after")
    state = state if state in reading.STATES else ""
    with call.reading() as session:
        found = reading.list_partners(session, search=search, state=state, after=after, now=call.now)
        proof = enforcement.read(session, now=call.now)
    values: dict[str, Any] = {"search": search, "state": state, "after": after, "states": reading.STATES}
    return call.page("partners.html", visitor, found=found, proof=proof, **values)


def show_one(call: Call, visitor: Visitor) -> Response:
    """Show a partner. After onboarding, the address names the new daemon: what to send its developer is open then."""
    with call.reading() as session:
        view = reading.view_partner(session, _id(call), now=call.now)
        recipes = _recipes(session, view)
        proof = enforcement.read(session, now=call.now)
    values: dict[str, Any] = {"view": view, "recipes": recipes, "proof": proof}
    return call.page("partner.html", visitor, onboarded=call.asked("onboarded"), **values)


def change_partner(call: Call, visitor: Visitor) -> Response:
    """Suspend or activate a partner; htmx gets the partner's line of the list, and the proof above it."""
    id_ = _id(call)
    _change(call, visitor, PARTNER_CHANGES, id_)
    if not (call.htmx and call.form.text("view") == "line"):
        return see_other(partner_address(id_))
    with call.reading() as session:
        line = reading.partner_line(session, id_, now=call.now)
        proof = enforcement.read(session, now=call.now)
    return call.page("_partner_changed.html", visitor, line=line, proof=proof)


def change_tenant(call: Call, visitor: Visitor) -> Response:
    """Suspend or activate a tenant."""
    _change(call, visitor, TENANT_CHANGES, _id(call))
    with call.reading() as session:
        return _to_owner(reading.owner_of_tenant(session, _id(call)))


def change_daemon(call: Call, visitor: Visitor) -> Response:
    """Suspend or activate a daemon."""
    _change(call, visitor, DAEMON_CHANGES, _id(call))
    with call.reading() as session:
        return _to_owner(reading.owner_of_daemon(session, _id(call)))


def _change(call: Call, visitor: Visitor, changes: dict[str, Change], id_: str) -> None:
    change = changes.get(call.request.path_params["change"])
    if change is None:
        raise PageUnknown("page_not_found", "there is no such change")
    try:
        with call.work(visitor) as work:
            change(work, id_)
    except TransitionError as error:
        # Somebody else, or a second press, was faster: it is as asked for, and the page will show it.
        if error.code != "state_unchanged":
            raise
        log.info("a state was as asked for already", extra={"id": id_})


def _recipes(session: Session, view: reading.PartnerView) -> dict[str, str]:
    """Return what to send the developer of each daemon that has a role, by the daemon's id."""
    cards = [(tenant, daemon) for tenant in view.tenants for daemon in tenant.daemons]
    every = reading.audiences_of(
        session, [grant for tenant, daemon in cards for grant in (*daemon.grants, *tenant.wide)]
    )
    found = {}
    for tenant, daemon in cards:
        mine = {grant.role.resource for grant in (*daemon.grants, *tenant.wide) if not grant.ended}
        if mine:
            audiences = {api: every[api] for api in sorted(mine)}
            found[daemon.row.id] = recipe(tenant.issuer, tenant.row, daemon.row, audiences)
    return found


def _id(call: Call) -> str:
    return str(call.request.path_params["id"])


def _to_owner(partner: str | None) -> Response:
    return see_other(partner_address(partner) if partner is not None else "/partners")
