"""Pinning a daemon to the object id of its first grant, where an operator asked for it (`pin_object_id`).

Gates say which object ids they let in; the one that is seen first, and alone, becomes the daemon's `oid`: audited, in
the name of `system:pin`. Where two were seen before one was pinned nothing is, and attention says so: which of them is
the partner's, a human has to find out. Entra only: another issuer's `sub` says by itself whether it may be believed
without one (`subject_pin`), and pinning it would loosen that.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlmodel import Session, col, select

from tenantgate.core.policy import is_guid
from tenantgate.feed.sink import GRANTED, Count
from tenantgate.registry.decision_tables import ObjectIdSighting
from tenantgate.registry.engine import reading
from tenantgate.registry.ids import NewId
from tenantgate.registry.service import amend
from tenantgate.registry.tables import AuditEntry, Daemon
from tenantgate.registry.unit_of_work import Actor, unit_of_work

ACTOR: Final = Actor("system:pin", "system", "")
_MOST_OIDS: Final = 5
"""Object ids noted of one daemon: two are a conflict already."""
_AT_ONCE: Final = 200
_SAID: Final = ("daemon.created", "daemon.changed")


def note(session: Session, counts: Iterable[Count], *, now: int) -> None:
    """Note the object ids that were let in of daemons that wait to be pinned, and of those pinned in this way."""
    seen: dict[tuple[str, str, str], int] = {}
    for row in counts:
        if row.outcome == GRANTED and is_guid(row.oid):
            name = row.tenant, row.client_id, row.oid
            seen[name] = max(row.revision, seen.get(name, 0))
    if not seen:
        return
    to_pin = select(Daemon).where(
        col(Daemon.pin_object_id), col(Daemon.client_id).in_({client_id for _, client_id, _ in seen})
    )
    by_name = {(daemon.tenant, daemon.client_id): daemon for daemon in session.exec(to_pin)}
    for (tenant, client_id, oid), revision in sorted(seen.items()):
        daemon = by_name.get((tenant, client_id))
        if daemon is not None and daemon.oid != oid.lower() and revision >= _said_at(session, daemon.id):
            _note_one(session, daemon.id, oid.lower(), now)
    session.flush()


def _said_at(session: Session, daemon: str) -> int:
    """Return the revision since which somebody wants it as it is. Gates may tell of what was before: hours later, after
    an outage; and who was let in then may be the very one it is not to be pinned to. Pinning begins with a revision of
    its own (`daemons.change`): what is of that one came after it."""
    said = (AuditEntry.kind == "daemon", AuditEntry.row_id == daemon, col(AuditEntry.action).in_(_SAID))
    return session.exec(select(sa.func.max(AuditEntry.revision)).where(*said)).one() or 0


def _note_one(session: Session, daemon: str, oid: str, now: int) -> None:
    noted = session.exec(select(ObjectIdSighting.oid).where(ObjectIdSighting.daemon == daemon)).all()
    if oid not in noted and len(noted) < _MOST_OIDS:
        session.add(ObjectIdSighting(daemon=daemon, oid=oid, first_seen_at=now))
        session.flush()


def settle(engine: Engine, *, now: int, new_id: NewId) -> int:
    """Pin every waiting daemon of which one object id was seen. How many were pinned.

    Raises:
        RegistryError: the database cannot do it now; what was seen is kept, and the next time is soon.
    """
    with reading(engine) as session:
        ready = _ready(session)
    pinned = 0
    for id_ in ready:
        with unit_of_work(engine, actor=ACTOR, now=now, new_id=new_id) as work:
            row = work.session.get(Daemon, id_, with_for_update=True, populate_existing=True)
            oids = work.session.exec(select(ObjectIdSighting.oid).where(ObjectIdSighting.daemon == id_)).all()
            # Again, now that nobody else can write: it is pinned once, and never to one of two.
            if row is not None and row.pin_object_id and row.oid is None and len(oids) == 1:
                amend(work, row, {"oid": oids[0]}, "daemon.pinned")
                pinned += 1
    return pinned


def _ready(session: Session) -> list[str]:
    ready = (
        select(ObjectIdSighting.daemon)
        .join(Daemon, col(Daemon.id) == col(ObjectIdSighting.daemon))
        .where(col(Daemon.pin_object_id), col(Daemon.oid).is_(None))
        .group_by(col(ObjectIdSighting.daemon))
        .having(sa.func.count() == 1)
        .order_by(col(ObjectIdSighting.daemon))
    )
    return list(session.exec(ready.limit(_AT_ONCE)))


def forget(session: Session, daemon: str) -> bool:
    """Forget what was seen of a daemon: an operator changed what it is pinned to. Whether anything was."""
    seen = session.exec(select(ObjectIdSighting.oid).where(ObjectIdSighting.daemon == daemon)).all()
    session.execute(sa.delete(ObjectIdSighting).where(col(ObjectIdSighting.daemon) == daemon))
    return bool(seen)


def conflicts(session: Session, *, limit: int) -> list[tuple[Daemon, list[ObjectIdSighting]]]:
    """Return daemons with `pin_object_id` that came with several object ids, and these."""
    several = select(ObjectIdSighting.daemon).group_by(col(ObjectIdSighting.daemon)).having(sa.func.count() > 1)
    query = select(Daemon).where(col(Daemon.pin_object_id), col(Daemon.id).in_(several)).order_by(col(Daemon.id))
    found = []
    for daemon in session.exec(query.limit(limit)):
        seen = select(ObjectIdSighting).where(ObjectIdSighting.daemon == daemon.id).order_by(col(ObjectIdSighting.oid))
        found.append((daemon, list(session.exec(seen))))
    return found
