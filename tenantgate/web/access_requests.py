"""Access requests: who asks to be let in, and the form that puts them on the list.

What is shown of a caller comes from verified tokens, and anybody with a directory of their own can send such tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from sqlmodel import Session, col, select
from starlette.responses import Response

from tenantgate.registry import access_requests, partners
from tenantgate.registry.access_requests import ApprovalSpec
from tenantgate.registry.decision_tables import AccessRequest
from tenantgate.registry.errors import (
    ConflictError,
    DatabaseError,
    InvalidError,
    NotFoundError,
    RegistryError,
    TransitionError,
)
from tenantgate.registry.pages import LARGEST_PAGE, Page
from tenantgate.registry.partners import PartnerSpec
from tenantgate.registry.tables import AppRole, Partner, Resource, Tenant
from tenantgate.web.call import Call, log
from tenantgate.web.filled import Filled, day
from tenantgate.web.guard import Visitor
from tenantgate.web.links import partner_address
from tenantgate.web.refusals import status_of, told
from tenantgate.web.rendering import see_other
from tenantgate.web.texts import texts

FIELDS: Final = ("partner", "name", "role_ends", "reason", "pin")
_SEEN: Final = "seen"
"""The hidden field that says whose object id stood on the page: that caller is approved, or none."""
ROWS: Final = 50
_OFFERED: Final = 100
"""Partners whose ids are offered while somebody types."""
_FIELD_OF: Final = {"partner.name": "name", "expires_at": "role_ends"}
_GONE: Final = frozenset({"already_decided"})
"""What no other entry in the form can mend."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What the form offers: roles of the API that was asked for, ids of partners, and whose the tenant is already."""

    roles: tuple[AppRole, ...]
    partners: tuple[Partner, ...]
    owner: str


def show_list(call: Call, visitor: Visitor) -> Response:
    """Show a page of the open requests, in order of id; the cursor stands in the address."""
    after = call.asked("after")
    with call.reading() as session:
        page = _page(session, after)
        noting = tuple(session.exec(select(Resource.id).where(col(Resource.access_requests)).order_by(Resource.id)))
    return call.page("access_requests.html", visitor, page=page, after=after, noting=noting)


def show_one(call: Call, visitor: Visitor) -> Response:
    """Show a request, and while it is open the form that approves it."""
    with call.reading() as session:
        row = access_requests.get(session, _id(call))
        choices = _choices(session, row)
    filled = Filled(dict.fromkeys(FIELDS, ""))
    filled.values |= {"partner": choices.owner, "pin": "" if row.oids_differ else "yes"}
    return _form(call, visitor, row, choices, filled)


def _form(
    call: Call, visitor: Visitor, row: AccessRequest, choices: Choices, filled: Filled, *, status: int = 200
) -> Response:
    # In hexadecimal: a stranger's own words, which nobody types, and which would have to come back to the letter.
    seen = row.oid.encode(errors="surrogatepass").hex()
    return call.page("access_request.html", visitor, status=status, row=row, choices=choices, filled=filled, seen=seen)


def dismiss(call: Call, visitor: Visitor) -> Response:
    """Show a caller's request no more. Who comes second is told who was first."""
    with call.work(visitor) as work:
        access_requests.dismiss(work, _id(call))
    return see_other("/access-requests")


def reopen(call: Call, visitor: Visitor) -> Response:
    """Show a dismissed request again, and its form."""
    id_ = _id(call)
    with call.work(visitor) as work:
        access_requests.reopen(work, id_)
    return see_other(f"/access-requests/{id_}")


def approve(call: Call, visitor: Visitor) -> Response:
    """Put the caller on the list, and go to the partner's page; or show the form again with what is wrong."""
    filled = Filled.of(call.form, (*FIELDS, _SEEN))
    spec, status = _spec(filled), 422
    if spec is not None:
        try:
            with call.work(visitor) as work:
                _, done = access_requests.approve(work, _id(call), spec)
        except (InvalidError, ConflictError, TransitionError) as error:
            if error.code in _GONE:
                raise
            filled.errors[_field_of(error)] = told(error)
        except DatabaseError as error:
            log.warning("an approval could not be written", extra={"code": error.code})
            filled.errors[""], status = texts()["onboard.database"], status_of(error)
        else:
            return see_other(f"{partner_address(done.partner.id)}?onboarded={done.daemon.id}")
    with call.reading() as session:
        row = access_requests.get(session, _id(call))
        choices = _choices(session, row)
    return _form(call, visitor, row, choices, filled, status=status)


def _spec(filled: Filled) -> ApprovalSpec | None:
    """Return what is to be given, or None and every fault that can be seen without the database in `filled`."""
    values = filled.values
    if bool(values["partner"]) == bool(values["name"]):
        filled.errors["partner"] = texts()["access_request.one_partner"]
    if not filled.roles:
        filled.errors["roles"] = texts()["onboard.missing_roles"]
    expires_at = day(filled, "role_ends")
    if filled.errors:
        return None
    seen = _seen(values[_SEEN])
    spec = ApprovalSpec(partner=values["partner"], app_roles=filled.roles, reason=values["reason"], oid=seen)
    if values["name"]:
        spec = replace(spec, partner=PartnerSpec(name=values["name"]))
    return replace(spec, expires_at=expires_at, pin=bool(values["pin"]))


def _seen(text: str) -> str:
    """Return the object id, or `sub`, that stood on the page (untrusted: what is none is nobody's)."""
    try:
        return bytes.fromhex(text).decode(errors="surrogatepass")
    except ValueError:
        return ""


def _field_of(error: RegistryError) -> str:
    member = "roles" if error.field.startswith("app_roles[") else _FIELD_OF.get(error.field, error.field)
    return member if member in (*FIELDS, "roles") else ""


def _choices(session: Session, row: AccessRequest) -> Choices:
    roles = select(AppRole).where(AppRole.resource == row.resource).order_by(col(AppRole.value)).limit(LARGEST_PAGE)
    offered = partners.list_(session, limit=_OFFERED).items
    whose = select(Tenant.partner).where(Tenant.issuer == row.issuer, Tenant.tid == (row.tid or None))
    owner = session.exec(whose).first()
    open_ = tuple(each for each in offered if each.state != "archived")
    return Choices(tuple(session.exec(roles).all()), open_, owner or "")


def _page(session: Session, after: str) -> Page[AccessRequest]:
    try:
        return access_requests.list_(session, after=after or None, limit=ROWS)
    except (InvalidError, NotFoundError) as error:
        # An address that was cut short: people are shown the beginning, not an error.
        if error.code != "cursor_malformed":
            raise
        return access_requests.list_(session, limit=ROWS)


def _id(call: Call) -> str:
    return str(call.request.path_params["id"])
