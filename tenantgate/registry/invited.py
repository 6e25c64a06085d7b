"""What the approval of an invitation gives, for who approves to look at: more than was entered, and than it names.

A role says what it is and stays so, but deleted and made anew under its id it may be another. The audit knows: it tells
of every invitation, whichever version made it, what came after. One that it does not know is not approved.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from tenantgate.registry.invitation_tables import Invitation
from tenantgate.registry.owned import daemons_of
from tenantgate.registry.service import get_row
from tenantgate.registry.tables import AppRole, AuditEntry, Daemon, Partner, RoleAssignment, RoleMapping, Tenant


@dataclass(frozen=True, slots=True)
class Gives:
    """What an approval gives now. Of an invitation that was decided: nothing any more.

    `roles` are the invitation's own. A daemon of the tenant that was entered has the `wide` ones, too, and may get the
    `mapped` ones by what its tokens say. `warnings` are for who approves.
    """

    roles: tuple[AppRole, ...] = ()
    wide: tuple[AppRole, ...] = ()
    mapped: tuple[AppRole, ...] = ()
    warnings: tuple[str, ...] = ()


def read(session: Session, row: Invitation, *, now: int) -> Gives:
    """Return what the approval of an invitation would give. `now` is epoch seconds."""
    if row.state not in {"open", "redeemed"}:
        return Gives()
    own = {role.id: role for role in session.exec(select(AppRole).where(col(AppRole.id).in_(row.app_roles)))}
    mappings = sa.select(col(RoleMapping.app_role)).where(col(RoleMapping.issuer) == row.issuer)
    return Gives(
        roles=tuple(own[id_] for id_ in row.app_roles if id_ in own),
        wide=_roles(session, _wide(row, now)),
        mapped=_roles(session, mappings),
        warnings=(*_others(session, row, own), *_activation(session, row)),
    )


def changed_roles(session: Session, row: Invitation) -> list[str]:
    """Return which roles of an invitation are none of those that it was made with, sorted."""
    made = session.exec(_entries("invitation", [row.id], "invitation.created")).first()
    if made is None:
        return sorted(set(row.app_roles))
    deleted = _entries("app_role", row.app_roles, "app_role.deleted").where(col(AuditEntry.sequence) > made.sequence)
    was: dict[str, AuditEntry] = {}
    for entry in session.exec(deleted.order_by(col(AuditEntry.sequence))):
        was.setdefault(entry.row_id, entry)
    return sorted(id_ for id_, entry in was.items() if not _is_same(session.get(AppRole, id_), entry))


def _entries(kind: str, ids: list[str], action: str) -> SelectOfScalar[AuditEntry]:
    return select(AuditEntry).where(
        AuditEntry.kind == kind, col(AuditEntry.row_id).in_(ids), AuditEntry.action == action
    )


def _is_same(role: AppRole | None, deleted: AuditEntry) -> bool:
    before = deleted.before or {}
    return role is not None and (role.resource, role.value) == (before.get("resource"), before.get("value"))


def _wide(row: Invitation, now: int) -> sa.Select[str]:
    """Return the roles of every listed daemon of the tenant that was entered, if the partner has it already."""
    tenant = sa.select(col(Tenant.id)).where(
        col(Tenant.partner) == row.partner, col(Tenant.issuer) == row.issuer, col(Tenant.tid) == row.tid
    )
    ends = col(RoleAssignment.expires_at)
    return sa.select(col(RoleAssignment.app_role)).where(
        col(RoleAssignment.tenant).in_(tenant), sa.or_(ends.is_(None), ends > now)
    )


def _roles(session: Session, ids: sa.Select[str]) -> tuple[AppRole, ...]:
    return tuple(session.exec(select(AppRole).where(col(AppRole.id).in_(ids)).order_by(col(AppRole.id))))


def _others(session: Session, row: Invitation, own: dict[str, AppRole]) -> list[str]:
    others = sorted({*changed_roles(session, row), *(set(row.app_roles) - own.keys())})
    return [f"Role {id_} is not what it was when the invitation was made: it cannot be approved." for id_ in others]


def _activation(session: Session, row: Invitation) -> list[str]:
    if get_row(session, Partner, row.partner).state != "invited":
        return []
    theirs = sa.select(sa.func.count()).where(
        col(Daemon.id).in_(daemons_of(row.partner)), col(Daemon.state) == "active"
    )
    more = f", with the daemons that it has already ({count} active)" if (count := session.scalar(theirs)) else ""
    return [f"Partner {row.partner} becomes active{more}."]
