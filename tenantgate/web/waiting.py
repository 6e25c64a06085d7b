"""What the attention page shows: the registry's items, the page each is dealt with on, and what a decision needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlmodel import Session, col

from tenantgate.registry import assignments, attention, invited
from tenantgate.registry.approval_tables import PendingGrant
from tenantgate.registry.attention import Item
from tenantgate.registry.credential_tables import ClientCertificate, SubscriptionKey
from tenantgate.registry.invitation_tables import Invitation
from tenantgate.registry.invited import Gives
from tenantgate.registry.tables import Daemon, RoleAssignment, Tenant
from tenantgate.web import asked
from tenantgate.web.asked import Asked
from tenantgate.web.links import partner_address
from tenantgate.web.texts import texts

SHOWN: Final = 50
"""Items of one kind that fit on the page."""
_OWN_PAGE: Final = {
    "access_request": "/access-requests/{}",
    "instance_lagging": "/enforcement",
    "instance_silent": "/enforcement",
    "partner_ending": "/partners/{}",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing. `address` is where it is dealt with, empty where that is no page (`attention.by_…` says where then).

    `grant` and `invitation` are what is decided right here, with what was `asked` for or what an approval `gives`, and
    what to know before (`warnings`); `own` is whether the visitor asked for it themselves.
    """

    item: Item
    address: str
    grant: PendingGrant | None = None
    invitation: Invitation | None = None
    own: bool = False
    withdrawable: bool = False
    asked: Asked | None = None
    gives: Gives | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """What there is of a kind: as many as fit, and how many there are."""

    kind: str
    entries: tuple[Entry, ...]
    count: int

    @property
    def how(self) -> str:
        """What to do about it, where that is no button and no link of this page."""
        return texts().get(f"attention_how.{self.kind}", "")


def read(session: Session, operator: str, *, now: int) -> tuple[Group, ...]:
    """Return what needs a person, by kind, for this operator to look at. `now` is epoch seconds."""
    by_kind = attention.read(session, now=now)
    found = []
    for kind, items in by_kind.items():
        if items:
            shown = items[:SHOWN]
            owners = _owners(session, kind, [item.id for item in shown])
            entries = tuple(_entry(session, item, owners, operator, now) for item in shown)
            found.append(Group(kind, entries, len(items)))
    return tuple(found)


def _entry(session: Session, item: Item, owners: Mapping[str, str], operator: str, now: int) -> Entry:
    if item.kind == "pending_grant":
        return _grant(session, item, operator)
    if item.kind == "invitation_redeemed":
        row = session.get_one(Invitation, item.id)
        gives = invited.read(session, row, now=now)
        return Entry(item, partner_address(row.partner), invitation=row, gives=gives, warnings=gives.warnings)
    if item.kind in _OWN_PAGE:
        return Entry(item, _OWN_PAGE[item.kind].format(item.id))
    return Entry(item, partner_address(owners[item.id]) if item.id in owners else "")


def _grant(session: Session, item: Item, operator: str) -> Entry:
    row = session.get_one(PendingGrant, item.id)
    found = asked.read(row)
    return Entry(
        item,
        partner_address(found.partner) if found.partner else "",
        grant=row,
        own=row.created_by.removeprefix("cli:") == operator,
        withdrawable=row.created_by == operator,
        asked=found,
        warnings=tuple(assignments.warnings_of(session, row.tenant)),
    )


def _owners(session: Session, kind: str, ids: Iterable[str]) -> dict[str, str]:
    """Return the partner that each of these belongs to, where it belongs to one."""
    owner = sa.func.coalesce(Daemon.partner, Tenant.partner)
    queries = {
        "object_id_conflict": sa.select(col(Daemon.id), owner).join(Tenant, col(Tenant.id) == col(Daemon.tenant)),
        "role_ending": sa.select(col(RoleAssignment.id), owner)
        .outerjoin(Daemon, col(Daemon.id) == col(RoleAssignment.daemon))
        .join(Tenant, col(Tenant.id) == sa.func.coalesce(Daemon.tenant, RoleAssignment.tenant)),
        "certificate_ending": _of_credential(ClientCertificate, owner),
        "subscription_key_ending": _of_credential(SubscriptionKey, owner),
        "invitation_ending": sa.select(col(Invitation.id), col(Invitation.partner)),
    }
    query = queries.get(kind)
    if query is None:
        return {}
    rows = session.execute(query.where(query.selected_columns[0].in_(list(ids))))
    return {id_: partner for id_, partner in rows if partner is not None}


def _of_credential(
    table: type[ClientCertificate] | type[SubscriptionKey], owner: sa.ColumnElement[str]
) -> sa.Select[str, str]:
    found = sa.select(col(table.id), owner).join(Daemon, col(Daemon.id) == col(table.daemon))
    return found.join(Tenant, col(Tenant.id) == col(Daemon.tenant))
