"""The audit: an append-only chain of who did what, and the proof that nobody touched it.

Each entry carries the hash of the one before; the `revision` row holds the hash of the last. An edit,
a removal or another order shows. Who can write the database can also forge the whole chain anew: only
a hash kept elsewhere (the high-water marks of servers and gates) shows that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlmodel import Session, col, select

from tenantgate.registry.errors import SchemaError
from tenantgate.registry.service import check_limit
from tenantgate.registry.tables import AuditEntry, Revision

GENESIS: Final = "0" * 64
"""What the first entry names as the hash before it."""

Entries = Generator[AuditEntry, None, None]

Facts = Generator[tuple[int, str, str, dict[str, Any] | None], None, None]

_HASHED: Final = tuple(name for name in AuditEntry.model_fields if name != "hash")
_BATCH: Final = 1_000


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What `verify_chain` found. Where `sound` is false, `first_bad` is the sequence of the first bad entry."""

    sound: bool
    entries: int
    head: str
    first_bad: int | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Some entries, and the cursor for the next ones, or None at the end."""

    items: tuple[AuditEntry, ...]
    after: int | None


def entry_hash(entry: AuditEntry) -> str:
    """Return the SHA-256, in hexadecimal, over the canonical JSON of everything in an entry but its hash.

    Canonical: members sorted, no white space, UTF-8 (RFC 8785 for what stands in an entry: texts, whole
    numbers, booleans and null under ASCII names).
    """
    return hashlib.sha256(canonical(entry).encode()).hexdigest()


def canonical(entry: AuditEntry) -> str:
    """Return the text that an entry's hash is over."""
    members = {name: getattr(entry, name) for name in _HASHED}
    return json.dumps(members, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def export(
    session: Session, *, after: int = 0, since: int | None = None, until: int | None = None, limit: int | None = None
) -> Entries:
    """Return every entry after a sequence, oldest first, read as it is asked for: close it, or read it to its end.

    `since` and `until` (exclusive) are epoch seconds; `limit`: so many of them.
    """
    at, query = col(AuditEntry.at), _everything().where(col(AuditEntry.sequence) > after)
    if since is not None:
        query = query.where(at >= since)
    if until is not None:
        query = query.where(at < until)
    return _entries(session, query if limit is None else query.limit(limit))


def facts_until(session: Session, moment: int, kinds: Iterable[str]) -> Facts:
    """Yield when, to what and with what outcome (None: it was deleted) each thing of these kinds was done before then.

    Oldest first, read as it is asked for: close it, or read it to its end.
    """
    names = (AuditEntry.at, AuditEntry.kind, AuditEntry.row_id, AuditEntry.after)
    query = sa.select(*map(col, names)).where(col(AuditEntry.at) < moment, col(AuditEntry.kind).in_(list(kinds)))
    query = query.order_by(col(AuditEntry.sequence)).execution_options(yield_per=_BATCH)
    with session.connection().execute(query) as found:
        yield from found


def list_(
    session: Session,
    *,
    after: int | None = None,
    limit: int = 50,
    newest_first: bool = False,
    kind: str | None = None,
    row_id: str | None = None,
    operator: str | None = None,
) -> AuditPage:
    """Return audit entries in their order, or the other way round; `after` is the last sequence seen.

    Raises:
        InvalidError: `number_out_of_range`, the limit.
    """
    check_limit(limit)
    query = select(AuditEntry)
    for column, wanted in ((AuditEntry.kind, kind), (AuditEntry.row_id, row_id), (AuditEntry.operator, operator)):
        if wanted is not None:
            query = query.where(col(column) == wanted)
    sequence = col(AuditEntry.sequence)
    if after is not None:
        query = query.where(sequence < after if newest_first else sequence > after)
    query = query.order_by(sequence.desc() if newest_first else sequence).limit(limit + 1)
    found = session.exec(query).all()
    items = tuple(found[:limit])
    return AuditPage(items, items[-1].sequence if len(found) > limit else None)


def verify_chain(session: Session) -> ChainReport:
    """Walk the whole chain and compare its head with the `revision` row. Reads in batches; changes nothing.

    Raises:
        SchemaError: `revision_missing`.
    """
    state = session.get(Revision, 1)
    if state is None:
        raise SchemaError("revision_missing", "the database lost its revision counter")
    head, count = GENESIS, 0
    with closing(_entries(session, _everything())) as entries:
        for entry in entries:
            problem = _problem(entry, count + 1, head)
            if problem:
                return ChainReport(False, count, head, entry.sequence, problem)
            head, count = entry.hash, count + 1
    if (count, head) != (state.audit_sequence, state.audit_hash):
        return ChainReport(False, count, head, count + 1, "entries after this one are gone, or the head was changed")
    return ChainReport(True, count, head)


def _problem(entry: AuditEntry, sequence: int, previous: str) -> str:
    if entry.sequence != sequence:
        return f"entry {sequence} is gone"
    if entry.previous_hash != previous:
        return "does not follow the entry before it"
    if entry.hash != entry_hash(entry):
        return "was changed after it was written"
    return ""


def _everything() -> sa.Select[Any]:
    return sa.select(AuditEntry.__table__).order_by(col(AuditEntry.sequence))  # type: ignore[attr-defined]


def _entries(session: Session, query: sa.Select[Any]) -> Entries:
    with session.connection().execution_options(yield_per=_BATCH).execute(query) as found:
        for row in found.mappings():
            # Plain instances: a million of them must not stay in the session.
            yield AuditEntry(**row)
