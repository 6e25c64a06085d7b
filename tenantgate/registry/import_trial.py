"""A dry run: the import done in full, by the same code, on a copy of what the file could touch.

The copy is in memory and is thrown away. So a dry run holds nobody up (a real transaction that is rolled back would
keep every suspension waiting for minutes), and cannot tell another story than the real run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlmodel import Session, col, select

from tenantgate.registry.audit import GENESIS
from tenantgate.registry.engines.sqlite import open_scratch
from tenantgate.registry.import_file import ImportRow
from tenantgate.registry.import_lines import listed_client_id
from tenantgate.registry.tables import (
    AppRole,
    Base,
    Daemon,
    Issuer,
    Partner,
    Resource,
    Revision,
    RoleAssignment,
    Tenant,
    Written,
)

_CHUNK: Final = 500
"""Values a query asks for at once."""


def open_trial(session: Session, rows: Sequence[ImportRow]) -> Engine:
    """Return a database in memory with all that these lines could refer to or clash with. Dispose of it.

    `session` sees one moment of the real one. Issuers, resources and app roles are few and come whole.
    """
    partners = {row.cell("partner") for row in rows}
    tids = {row.cell("tid").lower() for row in rows if row.cell("tid")}
    clients = {
        listed_client_id(row.cell("client_id"), entra=bool(row.cell("tid"))) for row in rows if row.cell("client_id")
    }
    issuers = {row.cell("issuer") for row in rows if row.cell("issuer") and not row.cell("tid")}
    tenants = list(_where(session, Tenant, col(Tenant.tid), tids))
    tenants += [each for each in _where(session, Tenant, col(Tenant.issuer), issuers) if each.tid is None]
    places = {each.id for each in tenants}
    daemons = [each for each in _where(session, Daemon, col(Daemon.client_id), clients) if each.tenant in places]
    partners |= {each.partner for each in (*tenants, *daemons) if each.partner is not None}
    engine = open_scratch()
    Base.metadata.create_all(engine)
    with Session(engine) as trial:
        trial.add(Revision(id=1, epoch="trial", revision=0, audit_sequence=0, audit_hash=GENESIS))
        trial.flush()
        for table in (Issuer, Resource, AppRole):
            _copy(trial, session.exec(select(table)))
        _copy(trial, _where(session, Partner, col(Partner.id), partners))
        _copy(trial, tenants)
        _copy(trial, daemons)
        held = {each.id for each in daemons}
        _copy(trial, _where(session, RoleAssignment, col(RoleAssignment.daemon), held))
        trial.commit()
    return engine


def _where(session: Session, table: type[Any], column: Any, values: Iterable[str]) -> Iterator[Any]:
    left = iter(sorted(values))
    while chunk := list(islice(left, _CHUNK)):
        yield from session.exec(select(table).where(column.in_(chunk)))


def _copy(trial: Session, rows: Iterable[Written]) -> None:
    for row in rows:
        trial.execute(sa.insert(type(row)).values(**row.model_dump()))
