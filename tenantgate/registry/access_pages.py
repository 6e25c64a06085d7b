"""Pages of who held which role at a moment: what `access.held_at` says, for about the cost of what a page shows.

The audit is looked up by object, along indexes on what its entries say (migration 0019): which assignments there were
by then, in order of id, and the last entry of each and of all that they name. Indexes of the database, not a table of
ours: an older version that writes beside this one keeps them, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlmodel import Session, col

from tenantgate.registry.access import Held, Known, held_by, is_wanted
from tenantgate.registry.ordering import Condition, bytewise, unindexed
from tenantgate.registry.pages import check_limit, read_cursor, write_cursor
from tenantgate.registry.tables import AuditEntry

_BATCH: Final = 200
_ROUNDS: Final = 10
"""Assignments looked at together where a page's own number did not do, and how often; then it is a short page."""

Select = sa.Select[Any]


@dataclass(frozen=True, slots=True)
class HeldPage:
    """Some roles that were held, in order of the assignment's id, and the cursor for the next ones, or None."""

    items: tuple[Held, ...]
    after: str | None


def page_at(
    session: Session,
    moment: int,
    *,
    after: str | None = None,
    limit: int = 50,
    partner: str | None = None,
    resource: str | None = None,
) -> HeldPage:
    """Return one page of what was held in this second (epoch seconds). `after` is the page before's, untrusted.

    It may hold fewer than `limit` where very many assignments had ended by then.

    Raises:
        InvalidError: `number_out_of_range` (limit), `cursor_malformed`.
    """
    check_limit(limit)
    (place,) = read_cursor(after, "id", str) if after is not None else ("",)
    if "\0" in f"{partner}{resource}":
        return HeldPage((), None)
    next_ids = _candidates(session, moment, partner, resource)
    found: list[Held] = []
    for size in (limit + 1, *[_BATCH] * (_ROUNDS - 1)):
        ids = next_ids(place, size)
        known = _known(session, moment, ids)
        for id_ in ids:
            held = held_by(id_, known, moment) if id_ in known[_GRANT] else None
            if held is not None and is_wanted(held, partner, resource):
                if len(found) == limit:
                    return HeldPage(tuple(found), write_cursor("id", place))
                found.append(held)
            place = id_
        if len(ids) < size:
            return HeldPage(tuple(found), None)
    return HeldPage(tuple(found), write_cursor("id", place))


class said(FunctionElement[str]):  # noqa: N801 (reads as a function of SQL)
    """A member of what a thing of one kind was after an entry, as migration 0019 has it; NULL in all other entries."""

    inherit_cache = True
    type = sa.String()

    def __init__(self, kind: str, member: str) -> None:
        # Written out, no parameters: they are part of the index.
        names: list[sa.ColumnElement[str]] = [sa.literal_column(f"'{each}'") for each in (kind, member)]
        super().__init__(col(AuditEntry.kind), col(AuditEntry.after), *names)


@compiles(said)
def _in_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    of_kind, after, kind, member = (compiler.process(each, **options) for each in element.clauses)
    # An entry that somebody damaged must not keep everybody from writing: it is found by the chain.
    path = "'$." + member.removeprefix("'")
    return f"CASE WHEN {of_kind} = {kind} AND json_valid({after}) THEN json_extract({after}, {path}) END"


@compiles(said, "postgresql")
def _in_postgres(element: Any, compiler: Any, **options: Any) -> str:
    of_kind, after, kind, member = (compiler.process(each, **options) for each in element.clauses)
    return f"CASE WHEN {of_kind} = {kind} THEN {after} ->> {member} END"


# Which assignments may have counted. More than did: what each was is told by its last entry.


def _candidates(
    session: Session, moment: int, partner: str | None, resource: str | None
) -> Callable[[str, int], list[str]]:
    """Return a function: the next ids, after one, of assignments that were there at a moment and may be wanted."""
    where: list[list[Condition]] = [[]]
    if partner is not None:
        where = [[_SUBJECT.in_(_subjects(partner))]]
    elif resource is not None:
        # Role by role: each is a range of an index in the order of the page.
        of_resource = sa.select(col(AuditEntry.row_id)).where(_of("app_role"), said("app_role", "resource") == resource)
        where = [[said(_GRANT, "app_role") == role] for role in sorted(set(session.execute(of_resource).scalars()))]

    def next_ids(after: str, limit: int) -> list[str]:
        found: set[str] = set()
        for conditions in where:
            found.update(session.execute(_next(moment, conditions, after, limit)).scalars())
        return sorted(found)[:limit]

    return next_ids


def _next(moment: int, conditions: Sequence[Condition], after: str, limit: int) -> Select:
    id_ = bytewise(col(AuditEntry.row_id))
    query = sa.select(id_).where(id_ > after, col(AuditEntry.at) <= moment)
    # Each index is of one kind; what is asked beside it would lead SQLite to one of all kinds.
    return query.where(*conditions or [_of(_GRANT)]).distinct().order_by(id_).limit(limit)


def _subjects(partner: str) -> sa.CompoundSelect[Any]:
    """Return the query of tenants and daemons that were ever a partner's."""
    tenants = _saying("tenant", "partner", partner)
    of_tenants = sa.select(_ID).where(said("daemon", "tenant").in_(tenants))
    return sa.union_all(tenants, of_tenants, _saying("daemon", "partner", partner))


def _saying(kind: str, member: str, value: str) -> Select:
    return sa.select(_ID).where(said(kind, member) == value)


def _of(kind: str) -> Condition:
    """Return the condition of a kind, written out: an index may be of one kind."""
    return col(AuditEntry.kind) == sa.literal_column(f"'{kind}'")


_GRANT: Final = "role_assignment"
_SUBJECT: Final = sa.func.coalesce(said(_GRANT, "daemon"), said(_GRANT, "tenant"))
_ID: Final = unindexed(col(AuditEntry.row_id))
"""An id as a bare value: SQLite searches what an entry says for no text of a column, whose affinity it would have."""


# What each thing was.


def _known(session: Session, moment: int, assignments: Sequence[str]) -> Known:
    """Return what these assignments, and all that they name, were at a moment."""
    known: Known = {_GRANT: _were(session, _GRANT, assignments, moment)}

    def named(kind: str, member: str) -> set[str]:
        return {row[member] for row, _ in known[kind].values() if row[member] is not None}

    known["app_role"] = _were(session, "app_role", named(_GRANT, "app_role"), moment)
    known["daemon"] = _were(session, "daemon", named(_GRANT, "daemon"), moment)
    tenants = named(_GRANT, "tenant") | named("daemon", "tenant")
    known["tenant"] = _were(session, "tenant", tenants, moment)
    known["partner"] = _were(session, "partner", named("daemon", "partner") | named("tenant", "partner"), moment)
    return known


def _were(session: Session, kind: str, ids: Iterable[str], moment: int) -> dict[str, tuple[dict[str, Any], int]]:
    """Return what these were, and since when each is there; what was not there is not among them."""
    entry, wanted = AuditEntry, sorted(ids)
    if not wanted:
        return {}
    # First without what they say: a thing that changes every hour has thousands of entries.
    query = sa.select(col(entry.sequence), col(entry.row_id), col(entry.at), col(entry.after).is_(None))
    query = query.where(_of(kind), col(entry.row_id).in_(wanted), col(entry.at) <= moment)
    last: dict[str, int] = {}
    since: dict[str, int] = {}
    for sequence, id_, at, gone in sorted(session.execute(query)):
        last[id_] = sequence
        if gone:
            last.pop(id_)
            since.pop(id_, None)
        else:
            since.setdefault(id_, at)
    facts = sa.select(col(entry.row_id), col(entry.after)).where(col(entry.sequence).in_(last.values()))
    return {id_: (after, since[id_]) for id_, after in session.execute(facts)} if last else {}
