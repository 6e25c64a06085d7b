"""Instances: the processes that enforce the policy, and the revision each says it enforces.

Not policy and not audited: the processes write this themselves, in sessions of `engine.writing`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlmodel import Session, col, select

from tenantgate.registry import issuer_health
from tenantgate.registry.engine import database_clock
from tenantgate.registry.ordering import bytewise, moment, orders_of
from tenantgate.registry.pages import Page
from tenantgate.registry.searching import Catalogue, own
from tenantgate.registry.service import check_slug, get_row
from tenantgate.registry.tables import Instance, Revision

HEARD_OF: Final = 60
"""Seconds. Instances say that they are there every ten; who was silent for six times as long is gone."""
KEPT: Final = 30 * 86_400
"""Seconds after which one that did not sign off is struck off: each start is another one, and some start all day."""
_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceSpec:
    """A process: an id of its own, what kind it is (`server`, `gate` …), its TenantGate version."""

    id: str
    kind: str
    version: str


def register(session: Session, spec: InstanceSpec, *, now: int) -> Instance:
    """Announce a process, or announce it again: what it enforces is then unknown until it says so.

    Those that have been gone for long are struck off.

    Raises:
        InvalidError: `id_malformed`.
    """
    check_slug(spec.id, "id")
    check_slug(spec.kind, "kind")
    for gone in session.exec(select(Instance.id).where(col(Instance.seen_at) < now - KEPT).limit(_AT_ONCE)).all():
        forget(session, gone)
    row = session.get(Instance, spec.id)
    if row is None:
        row = Instance(id=spec.id, kind=spec.kind, version=spec.version, started_at=now, seen_at=now)
        row.registered_at = session.execute(sa.select(database_clock(session))).scalar_one()
    row.sqlmodel_update(
        {
            "kind": spec.kind,
            "version": spec.version,
            "started_at": now,
            "seen_at": now,
            "acknowledged_revision": None,
            "refuses": None,
            "held_epoch": None,
            "held_revision": None,
        }
    )
    session.add(row)
    session.flush()
    return row


def acknowledge(session: Session, id_: str, revision: int | None, *, now: int) -> None:
    """Say that a process is alive and, where `revision` is given, enforces it.

    Raises:
        NotFoundError: `instance_not_found`: it was forgotten; it registers again.
    """
    row = get_row(session, Instance, id_)
    row.seen_at = now
    if revision is not None and revision != row.acknowledged_revision:
        _note_when(session, row)
        row.acknowledged_revision = revision
    session.add(row)
    session.flush()


def _note_when(session: Session, row: Instance) -> None:
    """Note when it said so; one that comes back to the database and says again what it had said, said it then."""
    clock, revised_at = session.execute(sa.select(database_clock(session), col(Revision.revised_at))).one()
    again = row.acknowledged_revision is None and revised_at is not None
    if not (again and row.acknowledged_at is not None and row.acknowledged_at >= revised_at):
        row.acknowledged_at = clock


def refuse(session: Session, id_: str, code: str, *, epoch: str, revision: int) -> None:
    """Say that a process does not follow this database, why, and what it holds instead.

    Raises:
        NotFoundError: `instance_not_found`.
    """
    row = get_row(session, Instance, id_)
    row.sqlmodel_update(
        {"acknowledged_revision": None, "refuses": code, "held_epoch": epoch, "held_revision": revision}
    )
    session.add(row)
    session.flush()


def forget(session: Session, id_: str) -> None:
    """Strike a process off the list; nothing happens where it is not on it."""
    issuer_health.forget(session, id_)
    session.execute(sa.delete(Instance).where(col(Instance.id) == id_))


def get(session: Session, id_: str) -> Instance:
    """Return an instance. Raises NotFoundError."""
    return get_row(session, Instance, id_)


INSTANCES: Final = Catalogue(
    Instance,
    orders_of(Instance, started_at=moment(Instance.started_at), seen_at=moment(Instance.seen_at)),
    (own(Instance, bytewise(col(Instance.id))),),
)


def list_(
    session: Session,
    *,
    after: str | None = None,
    limit: int = 50,
    sort: str | None = None,
    search: str | None = None,
    kind: str | None = None,
    seen_since: int | None = None,
) -> Page[Instance]:
    """Return instances, in order of id or as `sort` says.

    `seen_since` leaves out those that have not been heard of since then. `search` is the beginning of an id.
    """
    where = [] if seen_since is None else [col(Instance.seen_at) >= seen_since]
    return INSTANCES.page(
        session, after=after, limit=limit, sort=sort, search=search, equal={"kind": kind}, where=where
    )
