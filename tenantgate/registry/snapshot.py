"""The policy out of the tables: whole, or what changed since a revision."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlmodel import Session, col, select

from tenantgate.core.policy import PolicyDelta, PolicyError, PolicySnapshot, PutRows, Row, RowData, decode_row
from tenantgate.feed.source import Mark
from tenantgate.registry.errors import DatabaseError, SchemaError
from tenantgate.registry.rows import MEMBERS, TABLES, data_of
from tenantgate.registry.tables import AuditEntry, Change, Revision

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


def mark_of(state: Revision) -> Mark:
    """Return how far a database got."""
    return Mark(
        epoch=state.epoch,
        revision=state.revision,
        audit_sequence=state.audit_sequence,
        audit_hash=state.audit_hash,
        supersedes=tuple(state.supersedes),
    )


def remembers(session: Session, state: Revision, last: Mark) -> bool:
    """Whether a database of the same epoch has the history in which `last` was read: else it was put back since."""
    if (state.audit_sequence, state.audit_hash) == (last.audit_sequence, last.audit_hash):
        return True
    if last.audit_sequence == 0:
        return True
    entry = session.get(AuditEntry, last.audit_sequence)
    return entry is not None and entry.hash == last.audit_hash


def read_snapshot(session: Session) -> PolicySnapshot:
    """Return the whole policy, referred-to rows first, else in no order. `session` (`engine.reading`) sees one moment.

    Raises:
        SchemaError: `revision_missing`.
        DatabaseError: `row_malformed`: a policy with a hole is not given out.
    """
    state = read_state(session)
    rows = PutRows({kind: list(_rows(session, kind)) for kind in TABLES}, state.revision)
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


class Ahead(NamedTuple):
    """What one statement finds: the counter, the hash of the audit entry asked about, and the changes since."""

    epoch: str
    revision: int
    audit_sequence: int
    audit_hash: str
    remembered: str | None
    changes: tuple[Row, ...]
    complete: bool
    """Whether no revision since is missing: the feed was not cut off."""


_AHEAD: Final = (
    sa.select(
        col(Revision.epoch),
        col(Revision.revision),
        col(Revision.audit_sequence),
        col(Revision.audit_hash),
        sa.select(col(AuditEntry.hash))
        .where(col(AuditEntry.sequence) == sa.bindparam("audit_sequence"))
        .scalar_subquery()
        .label("remembered"),
        *(
            getattr(Change, name).label(f"change_{name}")
            for name in ("revision", "ordinal", "kind", "row_id", "op", "data", "v")
        ),
    )
    .select_from(sa.outerjoin(Revision, Change, col(Change.revision) > sa.bindparam("since")))
    .order_by(col(Change.revision), col(Change.ordinal))
)


def read_ahead(glance: Callable[[Any, dict[str, Any]], Sequence[Any]], since: int, audit_sequence: int) -> Ahead | None:
    """Return what a follower asks each time something moved, by one statement: `glance` runs it on one moment.

    None where the counter is lost; `read_state` says so.

    Raises:
        DatabaseError: `row_malformed`, or what `glance` raises.
    """
    found = glance(_AHEAD, {"since": since, "audit_sequence": audit_sequence})
    if not found:
        return None
    first = found[0]
    changes = [_change_of(row) for row in found if row.change_revision is not None]
    complete = len({change.revision for change in changes}) == max(0, first.revision - since)
    rows = tuple(_row_of(change) for change in changes) if complete else ()
    return Ahead(first.epoch, first.revision, first.audit_sequence, first.audit_hash, first.remembered, rows, complete)


def _change_of(found: Any) -> Change:
    names = ("revision", "ordinal", "kind", "row_id", "op", "data", "v")
    return Change(**{name: getattr(found, f"change_{name}") for name in names})


def _rows(session: Session, kind: str) -> Iterator[RowData]:
    # A policy can have millions of rows. Columns by the connection, not objects by the session, which cost ten times as
    # much; in the order in which they lie there: by id would be one page of the file for each row.
    names, columns = MEMBERS[kind], sa.inspect(TABLES[kind]).local_table.c
    query = sa.select(*(columns[name] for name in names)).execution_options(yield_per=_BATCH)
    with session.connection().execute(query) as found:
        for values in found:
            yield data_of(kind, dict(zip(names, values, strict=True)))


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
