"""One change, whole or not at all: rows, audit and change feed in one transaction.

A service function gets the `Work`, changes rows and says so (`record` for the audit, `change` for the
feed). At the end the one counter row is locked; from then on nobody else can commit, so the order of
revisions is the order of commits, and a follower that has seen revision n has seen all before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlmodel import Session, col

from tenantgate.core.policy import KINDS, ROW_VERSION, Op
from tenantgate.registry.approved import require_approved
from tenantgate.registry.audit import entry_hash
from tenantgate.registry.engine import (
    database_clock,
    is_concurrent,
    lock_history,
    tell_followers,
    translated,
    writing,
)
from tenantgate.registry.errors import SchemaError
from tenantgate.registry.ids import NewId
from tenantgate.registry.rows import TABLES, data_of_row, json_of
from tenantgate.registry.tables import AuditEntry, Change, Revision

_PLACE: Final = {kind: place for place, kind in enumerate(KINDS)}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does it: an operator's id, by which scheme they came (`admin_key`, `session`, `cli` …), from where.

    `admin_key` is the id of the key they came with, or opened their session with; empty where it was none.
    """

    operator_id: str
    scheme: str
    address: str
    request_id: str = ""
    admin_key: str = ""


@dataclass(frozen=True, slots=True)
class _Entry:
    action: str
    kind: str
    row_id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    actor: Actor


@dataclass(frozen=True, slots=True)
class _Epoch:
    """A new epoch, what it takes the place of, and the revision that it begins beyond."""

    name: str
    supersedes: tuple[str, ...]
    beyond: int


class Work:
    """A unit of work under way. `now` is epoch seconds; `revision` is set when it ends, if the policy changed.

    `reserved_audiences` (in one spelling) are those of administrators' tokens: no resource may accept one.
    """

    def __init__(
        self,
        session: Session,
        *,
        actor: Actor,
        now: int,
        new_id: NewId,
        reserved_audiences: frozenset[str] = frozenset(),
    ) -> None:
        self.session = session
        self.actor = actor
        self.now = now
        self.new_id = new_id
        self.reserved_audiences = reserved_audiences
        self.revision: int | None = None
        self._entries: list[_Entry] = []
        self.at_end: Callable[[Work], None] | None = None
        """What is written besides when the revision is known; it is no policy and not audited."""
        self._changes: dict[tuple[str, str], Op] = {}
        self._epoch: _Epoch | None = None

    def record(
        self, action: str, kind: str, row_id: str, before: dict[str, Any] | None, after: dict[str, Any] | None
    ) -> None:
        """Put an entry into the audit (`daemon.suspended`). `before` and `after` hold no secret, nor its hash."""
        self._entries.append(_Entry(action, kind, row_id, before, after, self.actor))

    def change(self, kind: str, row_id: str, op: Op) -> None:
        """Put a row into the change feed; its content is read when the work ends. The last `op` of a row counts."""
        self._changes[kind, row_id] = op

    def begin_epoch(self, name: str, supersedes: tuple[str, ...], *, beyond: int) -> None:
        """Begin a new epoch with this work, at a revision after `beyond`. To be recorded in the audit, too."""
        self._epoch = _Epoch(name, supersedes, beyond)

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Do something that may fail without the rest of the work: on an exception it alone is undone.

        Raises:
            RegistryError: as the database's error reads, besides what is raised inside.
        """
        entries, changes = len(self._entries), dict(self._changes)
        try:
            with translated(), self.session.begin_nested():
                yield
        except BaseException:
            del self._entries[entries:]
            self._changes = changes
            raise

    def act_as(self, operator_id: str) -> None:
        """Go on in the name of an operator who was found out only now, by the sign-in code they hold."""
        self.actor = replace(self.actor, operator_id=operator_id)

    def _finish(self) -> None:
        if (self._changes or self._epoch) and not self._entries:
            raise RuntimeError("a change of the policy must be recorded in the audit")
        self.session.flush()
        if not self._entries:
            return
        require_approved(self.session, self._entries, now=self.now)
        state = self._lock_counter()
        for entry in self._entries:
            self._append(state, entry)
        for ordinal, (kind, row_id, op) in enumerate(self._in_order()):
            self._publish(state.revision, ordinal, kind, row_id, op)
        self.revision = state.revision if self._changes or self._epoch else None
        self.session.flush()
        if self.revision is not None and is_concurrent(self.session):
            tell_followers(self.session, state.revision)

    def _lock_counter(self) -> Revision:
        step = 1 if self._changes or self._epoch else 0
        made: dict[str, Any] = {"revision": col(Revision.revision) + step}
        if step:
            made["revised_at"] = database_clock(self.session)
        self.session.execute(sa.update(Revision).values(made))
        state = self.session.get(Revision, 1, populate_existing=True)
        if state is None:
            raise SchemaError("revision_missing", "the database lost its revision counter")
        if self._epoch is not None:
            state.epoch, state.supersedes = self._epoch.name, list(self._epoch.supersedes)
            state.revision = max(state.revision, self._epoch.beyond + 1)
        return state

    def _append(self, state: Revision, entry: _Entry) -> None:
        row = AuditEntry(
            sequence=state.audit_sequence + 1,
            revision=state.revision,
            at=self.now,
            operator=entry.actor.operator_id,
            scheme=entry.actor.scheme,
            address=entry.actor.address,
            request_id=entry.actor.request_id,
            action=entry.action,
            kind=entry.kind,
            row_id=entry.row_id,
            before=entry.before,
            after=entry.after,
            previous_hash=state.audit_hash,
            hash="",
        )
        row.hash = entry_hash(row)
        self.session.add(row)
        state.audit_sequence, state.audit_hash = row.sequence, row.hash

    def _in_order(self) -> list[tuple[str, str, Op]]:
        """Return the changes in an order a reader can apply: deletes before puts, referred-to rows put first."""
        changes = [(kind, row_id, op) for (kind, row_id), op in self._changes.items()]
        deletes = [change for change in changes if change[2] == "delete"]
        puts = [change for change in changes if change[2] == "put"]
        deletes.sort(key=lambda change: -_PLACE[change[0]])
        puts.sort(key=lambda change: _PLACE[change[0]])
        return deletes + puts

    def _publish(self, revision: int, ordinal: int, kind: str, row_id: str, op: Op) -> None:
        data = None
        if op == "put":
            data = json_of(data_of_row(kind, self.session.get_one(TABLES[kind], row_id)))
        self.session.add(
            Change(revision=revision, ordinal=ordinal, kind=kind, row_id=row_id, op=op, data=data, v=ROW_VERSION)
        )


@contextmanager
def unit_of_work(
    engine: Engine, *, actor: Actor, now: int, new_id: NewId, reserved_audiences: frozenset[str] = frozenset()
) -> Iterator[Work]:
    """Run a unit of work: everything in it is committed at the end, or nothing on any exception.

    Holds the write lock from the beginning (a second one in the same thread waits for itself and fails).
    It is never run again by itself: where it says `database_busy`, nothing was done and the caller may try again.

    Raises:
        DatabaseError: the database cannot be written now.
        ConflictError: `conflict`, another change was faster.
        SchemaError: `revision_missing`.
    """
    with writing(engine) as session:
        if is_concurrent(session):
            lock_history(session)
        work = Work(session, actor=actor, now=now, new_id=new_id, reserved_audiences=reserved_audiences)
        yield work
        work._finish()  # noqa: SLF001 (the other half of this module)
        if work.at_end is not None:
            work.at_end(work)
