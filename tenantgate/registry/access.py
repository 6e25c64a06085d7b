"""Who held which role at a moment, granted by whom: told from the audit, which keeps what the tables no longer have."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

from sqlmodel import Session

from tenantgate.registry.audit import facts_until
from tenantgate.registry.pages import check_limit, read_cursor, write_cursor

_KINDS: Final = frozenset(("role_assignment", "app_role", "daemon", "tenant", "partner"))

_SORT: Final = "access"
_PARTS: Final = 6
"""Members of a place in the list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One role that somebody held. `daemon` and `client_id` are None where all of a tenant's daemons held it.

    `counted`: whether it let anybody in at that moment; not where daemon, tenant or partner was suspended or had ended.
    Times are epoch seconds; `expires_at` is exclusive.
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
    granted_at: int
    reason: str
    counted: bool


@dataclass(frozen=True, slots=True)
class HeldPage:
    """Some roles that were held, and the cursor for the next ones, or None at the end."""

    items: tuple[Held, ...]
    after: str | None


def held_at(session: Session, moment: int, *, partner: str | None = None, resource: str | None = None) -> list[Held]:
    """Return every role that was held in this second, in order of partner, tenant, daemon, resource and role.

    Only what the audit knows: changes made around it are no history. Reads the whole audit up to then.
    """
    rows = _as_of(session, moment)
    running = (each for each in rows["role_assignment"].values() if _runs(each[0], moment))
    found = (_held(each, at, rows, moment) for each, at in running)
    known = (each for each in found if each is not None)
    wanted = (each for each in known if partner in (None, each.partner) and resource in (None, each.resource))
    return sorted(wanted, key=_place)


def page_of(found: Sequence[Held], *, after: str | None, limit: int) -> HeldPage:
    """Return one page of what `held_at` returned. `after` is the page before's, untrusted.

    Raises:
        InvalidError: `number_out_of_range` (limit), `cursor_malformed`.
    """
    check_limit(limit)
    begin = 0 if after is None else bisect_right(found, read_cursor(after, _SORT, *[str] * _PARTS), key=_place)
    items = tuple(found[begin : begin + limit])
    return HeldPage(items, write_cursor(_SORT, *_place(items[-1])) if begin + limit < len(found) else None)


def _place(held: Held) -> tuple[str, ...]:
    return held.partner or "", held.tenant, held.daemon or "", held.resource, held.role, held.assignment


_Rows = dict[str, dict[str, tuple[dict[str, Any], int]]]
"""Kind → id → what it was, and since when it is there."""


def _as_of(session: Session, moment: int) -> _Rows:
    rows: _Rows = {kind: {} for kind in _KINDS}
    with closing(facts_until(session, moment + 1, _KINDS)) as entries:
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


def _held(assignment: dict[str, Any], granted_at: int, rows: _Rows, moment: int) -> Held | None:
    """Return what an assignment gave. None: by its server's clock something it names was not there then.

    Clocks of two servers differ: what was made in order may be dated the other way round, by seconds.
    """
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
        granted_at=granted_at,
        reason=assignment["reason"],
        counted=all(_active(each, moment) for each in (daemon, tenant, partner) if each is not None),
    )


def _known(rows: _Rows, kind: str, id_: str | None) -> dict[str, Any] | None:
    found = rows[kind].get(id_) if id_ is not None else None
    return None if found is None else found[0]


def _active(row: dict[str, Any], moment: int) -> bool:
    ends = row.get("ends_at")
    return row["state"] == "active" and (ends is None or moment < ends)
