"""What the pages show, read in a few queries however much there is of it. Nothing here is written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import sqlalchemy as sa
from sqlmodel import Session, col, select

from tenantgate.registry import daemons, partners, tenants
from tenantgate.registry.approval_tables import PendingGrant
from tenantgate.registry.errors import InvalidError
from tenantgate.registry.pages import LARGEST_PAGE, Page
from tenantgate.registry.tables import AppRole, Daemon, Issuer, Partner, Resource, RoleAssignment, RoleMapping, Tenant
from tenantgate.web.credentials import Credential, is_near, of_daemons

ROWS: Final = 50
"""Partners on a page of the list."""
STATES: Final = ("invited", "active", "suspended", "archived")

R = TypeVar("R", Tenant, Issuer, Resource)


@dataclass(frozen=True, slots=True)
class PartnerLine:
    """A partner in the list."""

    row: Partner
    ended: bool
    daemons: int


@dataclass(frozen=True, slots=True)
class PartnerList:
    """A page of the list, and the cursor of the next one, or None at the end. `any` is whether there are any at all."""

    lines: tuple[PartnerLine, ...]
    after: str | None
    any: bool


@dataclass(frozen=True, slots=True)
class Grant:
    """A role somebody has, had, or will have: `live` says whether it counts now, `near` whether it ends soon."""

    row: RoleAssignment
    role: AppRole
    live: bool
    ended: bool
    near: bool


@dataclass(frozen=True, slots=True)
class Mapped:
    """A role that a value of an issuer's claim gives to whichever listed daemon's token carries it."""

    row: RoleMapping
    role: AppRole


@dataclass(frozen=True, slots=True)
class DaemonCard:
    """A daemon of a partner. `hindrance` names what keeps it out whatever it presents (`hindrance.…`), if anything."""

    row: Daemon
    grants: tuple[Grant, ...]
    hindrance: str
    credentials: tuple[Credential, ...]


@dataclass(frozen=True, slots=True)
class TenantCard:
    """A tenant with the partner's daemons in it, the roles that all of them have, and those that their tokens give."""

    row: Tenant
    issuer: Issuer
    wide: tuple[Grant, ...]
    mapped: tuple[Mapped, ...]
    daemons: tuple[DaemonCard, ...]


@dataclass(frozen=True, slots=True)
class PartnerView:
    """A partner with everything of theirs. `cut` where there is more than one page can show.

    `waiting` are sensitive roles that were asked for, and wait for a second operator.
    """

    row: Partner
    ended: bool
    near: bool
    tenants: tuple[TenantCard, ...]
    cut: bool
    waiting: tuple[PendingGrant, ...]


def list_partners(session: Session, *, search: str, state: str, after: str, now: int) -> PartnerList:
    """Return a page of the list of partners. `search`, `state` and `after` are untrusted; empty is no filter."""
    page = _page_of_partners(session, after or None, state=state or None, search=search or None)
    counts = _daemon_counts(session, [row.id for row in page.items])
    lines = tuple(PartnerLine(row, _ended(row, now), counts.get(row.id, 0)) for row in page.items)
    some = bool(lines) or session.exec(select(Partner.id).limit(1)).first() is not None
    return PartnerList(lines, page.after, some)


def _page_of_partners(session: Session, after: str | None, *, state: str | None, search: str | None) -> Page[Partner]:
    try:
        return partners.list_(session, after=after, limit=ROWS, state=state, search=search)
    except InvalidError as error:
        # An address that was cut short, or of another search: people are shown the beginning, not an error.
        if error.code != "cursor_malformed":
            raise
        return partners.list_(session, limit=ROWS, state=state, search=search)


def partner_line(session: Session, id_: str, *, now: int) -> PartnerLine:
    """Return one line of the list. Raises NotFoundError."""
    row = partners.get(session, id_)
    return PartnerLine(row, _ended(row, now), _daemon_counts(session, [id_]).get(id_, 0))


def view_partner(session: Session, id_: str, *, now: int) -> PartnerView:
    """Return a partner with tenants, daemons and roles. Raises NotFoundError."""
    row = partners.get(session, id_)
    own = tenants.list_(session, partner=id_, limit=LARGEST_PAGE)
    found = daemons.list_(session, partner=id_, limit=LARGEST_PAGE)
    by_tenant: dict[str, list[Daemon]] = defaultdict(list)
    for daemon in found.items:
        by_tenant[daemon.tenant].append(daemon)
    places = {tenant.id: tenant for tenant in own.items}
    own_ids = list(places)
    # Daemons in a hosted tenant are the partner's, the tenant is not.
    places |= _by_id(session, Tenant, by_tenant.keys() - places.keys())
    issuers = _by_id(session, Issuer, {tenant.issuer for tenant in places.values()})
    shown = of_daemons(session, [daemon.id for daemon in found.items], now=now)
    grants = _grants(session, [daemon.id for daemon in found.items], list(places), now=now)
    mapped = _mapped(session, issuers)
    cards = tuple(
        TenantCard(
            tenant,
            issuers[tenant.issuer],
            grants[tenant.id],
            mapped[tenant.issuer],
            tuple(
                DaemonCard(
                    daemon,
                    grants[daemon.id],
                    _hindrance(row, tenant, daemon, now)
                    or _without_role(mapped[tenant.issuer], *grants[daemon.id], *grants[tenant.id]),
                    shown[daemon.id],
                )
                for daemon in by_tenant[tenant.id]
            ),
        )
        for tenant in places.values()
    )
    cut = own.after is not None or found.after is not None
    waiting = _waiting(session, [daemon.id for daemon in found.items], own_ids, now=now)
    near = row.state != "archived" and is_near(row.ends_at, now)
    return PartnerView(row, _ended(row, now), near, cards, cut, waiting)


def owner_of_tenant(session: Session, id_: str) -> str | None:
    """Return the partner a tenant belongs to; a hosted one belongs to none. Raises NotFoundError."""
    return tenants.get(session, id_).partner


def owner_of_daemon(session: Session, id_: str) -> str | None:
    """Return the partner a daemon belongs to. Raises NotFoundError."""
    daemon = daemons.get(session, id_)
    return daemon.partner or owner_of_tenant(session, daemon.tenant)


def audiences_of(session: Session, grants: Iterable[Grant]) -> dict[str, Sequence[str]]:
    """Return the audiences of the resources that these roles are for, by resource."""
    found = _by_id(session, Resource, {grant.role.resource for grant in grants})
    return {id_: found[id_].audiences for id_ in sorted(found)}


def _ended(partner: Partner, now: int) -> bool:
    return partner.ends_at is not None and partner.ends_at <= now


def _hindrance(partner: Partner, tenant: Tenant, daemon: Daemon, now: int) -> str:
    """Name the first thing that keeps a daemon out, from the partner down, as the gate would."""
    if partner.state != "active":
        return f"partner_{partner.state}"
    if _ended(partner, now):
        return "partner_ended"
    if tenant.state != "active":
        return "tenant_suspended"
    if daemon.state != "active":
        return "daemon_suspended"
    return ""


def _without_role(mapped: Sequence[Mapped], *grants: Grant) -> str:
    """Name that no role counts; where a token may bring one, nobody here can say that it is kept out."""
    return "" if mapped or any(grant.live for grant in grants) else "no_role"


def _grants(
    session: Session, daemon_ids: Sequence[str], tenant_ids: Sequence[str], *, now: int
) -> Mapping[str, tuple[Grant, ...]]:
    """Return the roles of daemons and of tenants, by the id of who has them, in order of resource and value."""
    query = (
        select(RoleAssignment, AppRole)
        .where(RoleAssignment.app_role == AppRole.id)
        .where(col(RoleAssignment.daemon).in_(daemon_ids) | col(RoleAssignment.tenant).in_(tenant_ids))
        .order_by(col(AppRole.resource), col(AppRole.value), col(RoleAssignment.id))
    )
    found: dict[str, tuple[Grant, ...]] = defaultdict(tuple)
    for row, role in session.exec(query):
        ended = row.expires_at is not None and row.expires_at <= now
        live = not ended and (row.not_before or 0) <= now
        found[row.daemon or row.tenant or ""] += (Grant(row, role, live, ended, live and is_near(row.expires_at, now)),)
    return found


def _waiting(
    session: Session, daemon_ids: Sequence[str], tenant_ids: Sequence[str], *, now: int
) -> tuple[PendingGrant, ...]:
    """Return what waits for a second operator, of these daemons and tenants, in order of role."""
    query = (
        select(PendingGrant)
        .where(PendingGrant.state == "open", PendingGrant.open_until > now)
        .where(col(PendingGrant.daemon).in_(daemon_ids) | col(PendingGrant.tenant).in_(tenant_ids))
        .order_by(col(PendingGrant.app_role), col(PendingGrant.id))
    )
    return tuple(session.exec(query).all())


def _mapped(session: Session, issuers: Iterable[str]) -> Mapping[str, tuple[Mapped, ...]]:
    """Return the roles that claims of these issuers give, by issuer, in order of resource and value."""
    query = (
        select(RoleMapping, AppRole)
        .where(RoleMapping.app_role == AppRole.id)
        .where(col(RoleMapping.issuer).in_(list(issuers)))
        .order_by(col(AppRole.resource), col(AppRole.value), col(RoleMapping.id))
    )
    found: dict[str, tuple[Mapped, ...]] = defaultdict(tuple)
    for row, role in session.exec(query):
        found[row.issuer] += (Mapped(row, role),)
    return found


def _daemon_counts(session: Session, partner_ids: Sequence[str]) -> dict[str, int]:
    owner = sa.func.coalesce(Daemon.partner, Tenant.partner)
    query = (
        select(owner, sa.func.count())
        .select_from(Daemon)
        .join(Tenant)
        .where(col(Daemon.partner).in_(partner_ids) | col(Tenant.partner).in_(partner_ids))
        .group_by(owner)
    )
    return dict(session.exec(query).all())


def _by_id(session: Session, table: type[R], ids: Iterable[str]) -> dict[str, R]:
    return {row.id: row for row in session.exec(select(table).where(col(table.id).in_(list(ids))))}
