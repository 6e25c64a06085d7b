"""Who held which role at a moment, granted and approved by whom: told from the audit, which keeps what tables do not.

What a thing was at a moment is its last entry, in the order of the chain, among those dated up to then.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

from sqlmodel import Session

from tenantgate.registry.audit import facts_until

KINDS: Final = ("role_assignment", "app_role", "daemon", "tenant", "partner")
"""Kinds of things that say who held what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One role that somebody held. `daemon` and `client_id` are None where all of a tenant's daemons held it.

    `counted`: whether it let anybody in at that moment; not where daemon, tenant or partner was suspended or had ended.
    `approved_by` is the second operator, where the role was sensitive. Times are epoch seconds; `expires_at` is
    exclusive.
    """

    assignment: str
    resource: str
    role: str
    partner: str | None
    tenant: str
    daemon: str | None
    client_id: str | None
    not_before: int | None
    expires_at: int | None
    granted_by: str
    approved_by: str | None
    granted_at: int
    reason: str
    counted: bool


Known = dict[str, dict[str, tuple[dict[str, Any], int]]]
"""Kind → id → what it was, and since when it is there."""


def held_at(session: Session, moment: int, *, partner: str | None = None, resource: str | None = None) -> list[Held]:
    """Return every role that was held in this second, in order of partner, tenant, daemon, resource and role.

    Only what the audit knows: changes made around it are no history. Reads the whole audit up to then, once; a page is
    had by `access_pages`, which says the same.
    """
    known = _as_of(session, moment)
    found = (held_by(each, known, moment) for each in known["role_assignment"])
    wanted = (each for each in found if each is not None and is_wanted(each, partner, resource))
    return sorted(wanted, key=_place)


def is_wanted(held: Held, partner: str | None, resource: str | None) -> bool:
    """Whether it is this partner's, on this resource (None: any)."""
    return partner in (None, held.partner) and resource in (None, held.resource)


def _place(held: Held) -> tuple[str, ...]:
    return held.partner or "", held.tenant, held.daemon or "", held.resource, held.role, held.assignment


def _as_of(session: Session, moment: int) -> Known:
    rows: Known = {kind: {} for kind in KINDS}
    with closing(facts_until(session, moment + 1, KINDS)) as entries:
        for at, kind, row_id, after in entries:
            if after is None:
                rows[kind].pop(row_id, None)
            else:
                since = rows[kind].get(row_id, (None, at))[1]
                rows[kind][row_id] = (after, since)
    return rows


def _runs(assignment: dict[str, Any], moment: int) -> bool:
    begins, ends = assignment["not_before"], assignment["expires_at"]
    return (begins is None or begins <= moment) and (ends is None or moment < ends)


def held_by(id_: str, rows: Known, moment: int) -> Held | None:
    """Return what an assignment gave. None: nothing then; or by its server's clock what it names was not there yet.

    Clocks of two servers differ: what was made in order may be dated the other way round, by seconds.
    """
    assignment, granted_at = rows["role_assignment"][id_]
    if not _runs(assignment, moment):
        return None
    role = _known(rows, "app_role", assignment["app_role"])
    daemon = _known(rows, "daemon", assignment["daemon"])
    tenant = _known(rows, "tenant", daemon["tenant"] if daemon is not None else assignment["tenant"])
    if role is None or tenant is None:
        return None
    partner_id = (daemon["partner"] if daemon is not None else None) or tenant["partner"]
    partner = _known(rows, "partner", partner_id)
    if partner is None and partner_id is not None:
        return None
    return Held(
        assignment=assignment["id"],
        resource=role["resource"],
        role=role["value"],
        partner=partner_id,
        tenant=tenant["id"],
        daemon=None if daemon is None else daemon["id"],
        client_id=None if daemon is None else daemon["client_id"],
        not_before=assignment["not_before"],
        expires_at=assignment["expires_at"],
        granted_by=assignment["granted_by"],
        # Entries from before there were sensitive roles do not name it.
        approved_by=assignment.get("approved_by"),
        granted_at=granted_at,
        reason=assignment["reason"],
        counted=all(_active(each, moment) for each in (daemon, tenant, partner) if each is not None),
    )


def _known(rows: Known, kind: str, id_: str | None) -> dict[str, Any] | None:
    found = rows[kind].get(id_) if id_ is not None else None
    return None if found is None else found[0]


def _active(row: dict[str, Any], moment: int) -> bool:
    ends = row.get("ends_at")
    return row["state"] == "active" and (ends is None or moment < ends)
