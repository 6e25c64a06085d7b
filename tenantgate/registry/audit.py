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
from sqlalchemy import exc
from sqlmodel import Session, col, select

from tenantgate.registry.errors import DatabaseError, SchemaError
from tenantgate.registry.service import check_limit
from tenantgate.registry.tables import AuditEntry, Revision

GENESIS: Final = "0" * 64
"""What the first entry names as the hash before it."""

Entries = Generator[AuditEntry, None, None]

Facts = Generator[tuple[int, str, str, dict[str, Any] | None], None, None]

_HASHED: Final = tuple(name for name in AuditEntry.model_fields if name != "hash")
_SEQUENCE: Final = col(AuditEntry.sequence)
_BATCH: Final = 1_000
_NO_VALUE: Final = (ValueError, TypeError, RecursionError)
"""What reading or hashing raises where a value is none that an entry of ours could have."""
_UNREADABLE: Final = (DatabaseError, exc.SQLAlchemyError, *_NO_VALUE)

_Broken = tuple[int, str]
"""The number of the first bad entry, and what is wrong with it."""


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

    Whatever was done to an entry, it is the one that is named, also where it cannot even be read any more.

    Raises:
        SchemaError: `revision_missing`.
    """
    columns = col(Revision.audit_sequence), col(Revision.audit_hash)
    state = session.execute(sa.select(*columns).where(col(Revision.id) == 1)).one_or_none()
    if state is None:
        raise SchemaError("revision_missing", "the database lost its revision counter")
    walk = _Walk()
    try:
        with closing(_entries(session, _numbered())) as entries:
            broken = walk.over(entries)
    except _UNREADABLE as error:
        broken = _found_alone(session, walk, error)
    if broken is None and (walk.count, walk.head) != tuple(state):
        broken = walk.count + 1, "entries after this one are gone, or the head was changed"
    if broken is None and session.execute(_unnumbered()).scalar_one():
        broken = walk.count + 1, "an entry has no number"
    return ChainReport(broken is None, walk.count, walk.head, *(broken or ()))


@dataclass(slots=True)
class _Walk:
    """How far a chain was found to be sound."""

    count: int = 0
    head: str = GENESIS

    def over(self, entries: Iterable[AuditEntry]) -> _Broken | None:
        """Go on over the next entries, up to the first that is bad."""
        for entry in entries:
            problem = _problem(entry, self.count + 1, self.head)
            if problem:
                return _number(entry.sequence, self.count + 1), problem
            self.head, self.count = entry.hash, self.count + 1
        return None


def _found_alone(session: Session, walk: _Walk, error: Exception) -> _Broken:
    """Return which entry of a batch cannot be read, or is bad before that one; they are read one by one.

    Raises:
        Exception: `error` itself, where none is to blame: the database cannot be read at all.
    """
    for _ in range(_BATCH + 1):
        following = _numbered() if not walk.count else _numbered().where(walk.count <= _SEQUENCE).offset(1)
        try:
            with closing(_entries(session, following.limit(1))) as entries:
                found = walk.over(entries)
        except _UNREADABLE:
            try:
                # That it is there can be read: so it is the entry that cannot, and not the database.
                session.execute(following.with_only_columns(sa.literal(1)).limit(1)).scalar_one()
            except exc.SQLAlchemyError:
                raise error from None
            return walk.count + 1, "cannot be read: it was changed after it was written"
        if found is not None:
            return found
    raise error


def _number(found: object, expected: int) -> int:
    """Return an entry's number, or the one it should have where it has none."""
    return found if type(found) is int else expected


def _problem(entry: AuditEntry, sequence: int, previous: str) -> str:
    if entry.sequence != sequence:
        twice = type(entry.sequence) is int and 0 < entry.sequence < sequence
        return "is there twice" if twice else f"entry {sequence} is gone"
    if entry.previous_hash != previous:
        return "does not follow the entry before it"
    try:
        written = entry.hash == entry_hash(entry)
    except _NO_VALUE:
        written = False
    return "" if written else "was changed after it was written"


def _numbered() -> sa.Select[Any]:
    """All entries that have a number; on SQLite a key can be taken away, and NULL be where it was."""
    return _everything().where(_SEQUENCE.is_not(None))


def _unnumbered() -> sa.Select[Any]:
    return sa.select(sa.func.count()).select_from(AuditEntry).where(_SEQUENCE.is_(None))


def _everything() -> sa.Select[Any]:
    return sa.select(AuditEntry.__table__).order_by(col(AuditEntry.sequence))  # type: ignore[attr-defined]


def _entries(session: Session, query: sa.Select[Any]) -> Entries:
    with session.connection().execution_options(yield_per=_BATCH).execute(query) as found:
        for row in found.mappings():
            # Plain instances: a million of them must not stay in the session.
            yield AuditEntry(**row)
