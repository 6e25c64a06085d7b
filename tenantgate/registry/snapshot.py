"""The policy out of the tables: whole, or what changed since a revision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec
import sqlalchemy as sa
from sqlmodel import Session, col, select

from tenantgate.core.policy import PolicyDelta, PolicyError, PolicySnapshot, Row, decode_row
from tenantgate.registry.errors import DatabaseError, SchemaError
from tenantgate.registry.rows import MEMBERS, TABLES, data_of
from tenantgate.registry.tables import Change, Revision

_BATCH: Final = 5_000


def read_state(session: Session) -> Revision:
    """Return the counter: epoch, revision and head of the audit.

    Raises:
        SchemaError: `revision_missing`: whatever this database is, its policy is not an empty one.
    """
    state = session.get(Revision, 1, populate_existing=True)
    if state is None:
        raise SchemaError("revision_missing", "the database lost its revision counter")
    return state


def read_snapshot(session: Session) -> PolicySnapshot:
    """Return the whole policy, referred-to rows first. `session` (of `engine.reading`) sees one moment.

    Raises:
        SchemaError: `revision_missing`.
        DatabaseError: `row_malformed`: a policy with a hole is not given out.
    """
    state = read_state(session)
    rows = tuple(row for kind in TABLES for row in _rows(session, kind, state.revision))
    return PolicySnapshot(epoch=state.epoch, revision=state.revision, rows=rows)


def read_changes(session: Session, since: int) -> PolicyDelta | None:
    """Return what changed after revision `since`, or None where the feed cannot say: cut off, or `since` is ahead.

    Raises:
        SchemaError: `revision_missing`.
        DatabaseError: `row_malformed`.
    """
    state = read_state(session)
    if since > state.revision:
        return None
    query = select(Change).where(Change.revision > since).order_by(col(Change.revision), col(Change.ordinal))
    changes = session.exec(query).all()
    # Every revision has changes: where the first or one in between is missing, the feed was cut off.
    if len({change.revision for change in changes}) != state.revision - since:
        return None
    rows = tuple(_row_of(change) for change in changes)
    return PolicyDelta(epoch=state.epoch, since=since, revision=state.revision, rows=rows)


def _rows(session: Session, kind: str, revision: int) -> Iterator[Row]:
    table = TABLES[kind]
    columns = [getattr(table, name) for name in MEMBERS[kind]]
    # Columns, not objects: a session's objects cost ten times as much, and a policy can have a million rows.
    query = sa.select(*columns).order_by(col(table.id)).execution_options(yield_per=_BATCH)
    with session.execute(query) as found:
        for values in found:
            data = data_of(kind, dict(zip(MEMBERS[kind], values, strict=True)))
            yield Row(revision=revision, kind=kind, id=data.id, op="put", data=data)


def _row_of(change: Change) -> Row:
    loose = {
        "v": change.v,
        "revision": change.revision,
        "kind": change.kind,
        "id": change.row_id,
        "op": change.op,
        "data": change.data,
    }
    try:
        return decode_row(loose)
    except (PolicyError, msgspec.MsgspecError) as error:
        message = f"change {change.revision}/{change.ordinal} makes no sense: {error}"
        raise DatabaseError("row_malformed", message) from None
