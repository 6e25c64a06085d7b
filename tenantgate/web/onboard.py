"""The one form that lets a partner's daemon in: partner, tenant, daemon and roles, all or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlmodel import Session, col, select
from starlette.responses import Response

from tenantgate.registry import issuers, partners
from tenantgate.registry.errors import ConflictError, DatabaseError, InvalidError, RegistryError, TransitionError
from tenantgate.registry.onboarding import OnboardSpec, onboard
from tenantgate.registry.partners import PartnerSpec
from tenantgate.registry.service import LARGEST_PAGE
from tenantgate.registry.tables import AppRole, Issuer, Partner, Tenant
from tenantgate.web.call import Call, log
from tenantgate.web.filled import Filled, day
from tenantgate.web.guard import Visitor
from tenantgate.web.links import partner_address
from tenantgate.web.refusals import status_of, told
from tenantgate.web.rendering import see_other
from tenantgate.web.texts import texts

FIELDS: Final = ("partner", "name", "id", "ends", "issuer", "tid", "client_id", "oid", "role_ends", "reason")
"""The form's fields of one value; `roles` may be sent many times."""

_FIELD_OF: Final = {
    "partner.name": "name",
    "partner.id": "id",
    "partner.ends_at": "ends",
    "expires_at": "role_ends",
}
"""Which field holds the member of `OnboardSpec` that is at fault, where the two are called differently."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What the form offers: issuers, roles by resource, and the partner where it is not a new one."""

    issuers: tuple[Issuer, ...]
    roles: dict[str, list[AppRole]]
    partner: Partner | None


def show(call: Call, visitor: Visitor) -> Response:
    """Show the form: empty, or for a partner that is there (`?partner=`), in a tenant of theirs (`?tenant=`)."""
    filled = Filled(dict.fromkeys(FIELDS, ""))
    with call.reading() as session:
        _prefill(session, filled, call.asked("partner"), call.asked("tenant"))
        choices = _choices(session, filled.values["partner"])
    if len(choices.issuers) == 1 and not filled.values["issuer"]:
        filled.values["issuer"] = choices.issuers[0].id
    return call.page("onboard.html", visitor, filled=filled, choices=choices)


def submit(call: Call, visitor: Visitor) -> Response:
    """Onboard, and go to the partner's page; or show the form again with what is wrong beside what was typed."""
    filled = Filled.of(call.form, FIELDS)
    spec = _spec(filled)
    status = 422
    if spec is not None:
        try:
            with call.work(visitor) as work:
                done = onboard(work, spec)
        except (InvalidError, ConflictError, TransitionError) as error:
            filled.errors[_field_of(error)] = told(error)
        except DatabaseError as error:
            log.warning("onboarding could not be written", extra={"code": error.code})
            filled.errors[""], status = texts()["onboard.database"], status_of(error)
        else:
            return see_other(f"{partner_address(done.partner.id)}?onboarded={done.daemon.id}")
    with call.reading() as session:
        choices = _choices(session, filled.values["partner"])
    return call.page("onboard.html", visitor, status=status, filled=filled, choices=choices)


def _spec(filled: Filled) -> OnboardSpec | None:
    """Return what is asked for, or None and every fault that can be seen without the database in `filled`."""
    values = filled.values
    for name in ("issuer", "client_id", *(("name",) if not filled.values["partner"] else ())):
        if not values[name]:
            filled.errors[name] = texts()[f"onboard.missing_{name}"]
    if not filled.roles:
        filled.errors["roles"] = texts()["onboard.missing_roles"]
    ends, role_ends = (day(filled, name) for name in ("ends", "role_ends"))
    if filled.errors:
        return None
    new = PartnerSpec(name=values["name"], id=values["id"] or None, ends_at=ends)
    return OnboardSpec(
        partner=new if not filled.values["partner"] else values["partner"],
        issuer=values["issuer"],
        tid=values["tid"] or None,
        client_id=values["client_id"],
        oid=values["oid"] or None,
        app_roles=filled.roles,
        expires_at=role_ends,
        reason=values["reason"],
    )


def _field_of(error: RegistryError) -> str:
    member = "roles" if error.field.startswith("app_roles[") else _FIELD_OF.get(error.field, error.field)
    return member if member in (*FIELDS, "roles") and member != "partner" else ""


def _prefill(session: Session, filled: Filled, partner: str, tenant: str) -> None:
    """Put what the address asks for (untrusted) into the form. A tenant of somebody else's is passed over."""
    filled.values["partner"] = partner
    found = session.get(Tenant, tenant) if partner and tenant else None
    if found is not None and found.partner == partner:
        filled.values |= {"issuer": found.issuer, "tid": found.tid or ""}


def _choices(session: Session, partner: str) -> Choices:
    roles: dict[str, list[AppRole]] = {}
    order = (col(AppRole.resource), col(AppRole.value))
    for role in session.exec(select(AppRole).order_by(*order).limit(LARGEST_PAGE)):
        roles.setdefault(role.resource, []).append(role)
    known = issuers.list_(session, limit=LARGEST_PAGE).items
    return Choices(known, roles, partners.get(session, partner) if partner else None)
