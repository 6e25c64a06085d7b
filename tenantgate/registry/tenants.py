"""Tenants: a partner's slice of an issuer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlmodel import Session, col, select

from tenantgate.core.policy import IssuerRow, TenantRow
from tenantgate.core.references import check_tenant, shares_v1_issuer
from tenantgate.registry.errors import ConflictError
from tenantgate.registry.ordering import bytewise, orders_of
from tenantgate.registry.pages import Page
from tenantgate.registry.partners import require_open
from tenantgate.registry.rows import columns_of, data_of_row
from tenantgate.registry.searching import Catalogue, own
from tenantgate.registry.service import (
    NOTES_LENGTH,
    add,
    amend,
    checked,
    choose_id,
    fitting,
    get_row,
    only,
    refer,
    refuse_in_use,
    remove,
    set_state,
    text,
    written_by,
)
from tenantgate.registry.tables import Issuer, Partner, Tenant
from tenantgate.registry.unit_of_work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantSpec:
    """What a tenant is to be. `tid` at an Entra cloud only; a hosted tenant names no partner, any other does."""

    issuer: str
    id: str | None = None
    partner: str | None = None
    tid: str | None = None
    hosted: bool = False
    notes: str = ""


def create(work: Work, spec: TenantSpec) -> Tenant:
    """List a tenant, active at once.

    Raises:
        InvalidError: a member is at fault, `reference_unknown`, `consumer_tenant`.
        ConflictError: `id_duplicate`, `tenant_duplicate`, `v1_issuer_shared`; `holder` is the tenant that has it.
        TransitionError: `partner_archived`.
    """
    id_ = choose_id(work, Tenant, "tnt", spec.id)
    members = asdict(spec) | {"id": id_}
    notes = text(members.pop("notes"), "notes", limit=NOTES_LENGTH, lines=True, empty=True)
    data = checked(TenantRow(**members))
    issuer = refer(work.session, Issuer, data.issuer, "issuer")
    if data.partner is not None:
        require_open(refer(work.session, Partner, data.partner, "partner"), "partner")
    fitting(check_tenant, data, data_of_row("issuer", issuer))
    same = select(Tenant).where(Tenant.issuer == data.issuer, Tenant.tid == data.tid)
    if (other := work.session.exec(same).first()) is not None:
        what = f"tid {data.tid}" if data.tid else f"issuer {data.issuer}"
        field = "tid" if data.tid else "issuer"
        raise ConflictError("tenant_duplicate", _already(what, other), field=field, holder=other.id)
    _refuse_shared(work.session, data, issuer)
    return add(work, Tenant(**columns_of(data), notes=notes, **written_by(work)), "tenant.created")


def change(work: Work, id_: str, members: Mapping[str, Any]) -> Tenant:
    """Change the notes, which is all that is not its identity.

    Raises:
        NotFoundError: `tenant_not_found`.
        InvalidError: a member is at fault.
    """
    row = get_row(work.session, Tenant, id_, for_change=True)
    notes = only(members, frozenset({"notes"})).get("notes", row.notes)
    return amend(
        work, row, {"notes": text(notes, "notes", limit=NOTES_LENGTH, lines=True, empty=True)}, "tenant.changed"
    )


def delete(work: Work, id_: str) -> Tenant:
    """List it no more. The row goes; what it was stays in the audit.

    Raises:
        NotFoundError: `tenant_not_found`.
        ConflictError: `tenant_in_use`; `holder` is the first that names it.
    """
    row = get_row(work.session, Tenant, id_, for_change=True)
    refuse_in_use(work.session, row)
    return remove(work, row, "tenant.deleted")


def get(session: Session, id_: str) -> Tenant:
    """Return a tenant. Raises NotFoundError."""
    return get_row(session, Tenant, id_)


TENANTS: Final = Catalogue(
    Tenant,
    orders_of(Tenant),
    (own(Tenant, bytewise(col(Tenant.id))), own(Tenant, bytewise(col(Tenant.tid)))),
    wide=("state", "issuer"),
)


def list_(
    session: Session,
    *,
    after: str | None = None,
    limit: int = 50,
    sort: str | None = None,
    search: str | None = None,
    issuer: str | None = None,
    partner: str | None = None,
    tid: str | None = None,
    state: str | None = None,
    hosted: bool | None = None,
) -> Page[Tenant]:
    """Return tenants, in order of id or as `sort` says. A `tid` is found in either case.

    `search` is the beginning of an id or of a tid.
    """
    own_tid = tid.lower() if tid else None
    equal = {"issuer": issuer, "partner": partner, "tid": own_tid, "state": state, "hosted": hosted}
    return TENANTS.page(session, after=after, limit=limit, sort=sort, search=search, equal=equal)


def suspend(work: Work, id_: str, *, reason: str = "") -> Tenant:
    """Let no daemon of this tenant in any more. Raises NotFoundError, TransitionError."""
    row = get_row(work.session, Tenant, id_, for_change=True)
    return set_state(work, row, "suspended", "tenant.suspended", reason=reason)


def activate(work: Work, id_: str, *, reason: str = "") -> Tenant:
    """Let the tenant's listed daemons in again.

    Raises:
        NotFoundError: `tenant_not_found`.
        TransitionError: `state_unchanged`, `partner_archived`.
        ConflictError: `v1_issuer_shared`.
    """
    row = get_row(work.session, Tenant, id_, for_change=True)
    if row.partner is not None:
        require_open(get_row(work.session, Partner, row.partner), "partner")
    data = data_of_row("tenant", row)
    assert isinstance(data, TenantRow)
    _refuse_shared(work.session, data, get_row(work.session, Issuer, row.issuer))
    return set_state(work, row, "active", "tenant.activated", reason=reason)


def _refuse_shared(session: Session, data: TenantRow, issuer: Issuer) -> None:
    """One tid active in two clouds that share a v1 issuer: a v1 token would not say which is meant."""
    if data.tid is None:
        return
    here = data_of_row("issuer", issuer)
    elsewhere = select(Tenant, Issuer).where(
        Tenant.issuer == Issuer.id, Tenant.tid == data.tid, Tenant.state == "active", Tenant.id != data.id
    )
    for other, cloud in session.exec(elsewhere.order_by(col(Tenant.id))):
        there = data_of_row("issuer", cloud)
        assert isinstance(here, IssuerRow)
        assert isinstance(there, IssuerRow)
        if shares_v1_issuer(here, there):
            raise ConflictError("v1_issuer_shared", _already(f"tid {data.tid}", other), field="tid", holder=other.id)


def _already(what: str, other: Tenant) -> str:
    owner = f"partner {other.partner}" if other.partner else "the publisher"
    return f"{what} is already listed as tenant {other.id} of {owner}"
