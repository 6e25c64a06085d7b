"""What gates decided: counted for long, told in full for a while. Written by the gates, read by operators.

Details are kept for `TENANTGATE_DECISION_DAYS`; counts, which name no request, for `COUNT_DAYS`. Neither is audited.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from tenantgate.feed.sink import DROPPED, HOUR, OTHER, Count, Detail
from tenantgate.registry.decision_tables import Decision, DecisionCount
from tenantgate.registry.engine import is_concurrent
from tenantgate.registry.errors import InvalidError
from tenantgate.registry.pages import check_limit, equal_to
from tenantgate.registry.service import get_row

COUNT_DAYS: Final = 400
"""Days for which counts are kept: thirteen months, so that a month can be held against the same one of last year."""
STRANGERS_AN_HOUR: Final = 200
"""Callers on no list that are told apart in one hour; the rest of them counts in one row."""
LONGEST_SPAN: Final = 92 * 86_400
"""Seconds that one question about counts may reach over."""
MOST_VALUES: Final = 50
"""Values of one dimension that are told apart in an answer."""
DIMENSIONS: Final = tuple(name for name in Count._fields if name not in ("hour", "stranger"))
DAY: Final = 86_400
_AT_ONCE: Final = 1_000
_LONGEST: Final = 512


def add_counts(session: Session, counts: Mapping[Count, int]) -> None:
    """Add to what is counted already. `session` of `engine.writing`."""
    if not counts:
        return
    rows = [_columns(row, number) for row, number in counts.items()]
    rows.sort(key=lambda row: (row["hour"], row["key"]))  # always in one order: two gates must not wait for each other
    table: Any = DecisionCount.__table__  # type: ignore[attr-defined]
    insert = postgresql.insert if is_concurrent(session) else sqlite.insert
    statement = insert(table)
    added = table.c["count"] + statement.excluded["count"]
    session.execute(statement.on_conflict_do_update(index_elements=["hour", "key"], set_={"count": added}), rows)
    for hour in {row.hour for row in counts if row.stranger}:
        _fold_strangers(session, hour)


def _columns(row: Count, number: int) -> dict[str, Any]:
    told = row._asdict()
    told["roles"] = told["roles"][:_LONGEST]
    of = {name: value for name, value in told.items() if name != "hour"}
    key = hashlib.sha256(msgspec.json.encode(of)).hexdigest()[:32]
    return {**told, "key": key, "count": number}


def _fold_strangers(session: Session, hour: int) -> None:
    """Keep the busiest strangers of an hour apart; the others go into one row for each resource and outcome."""
    mine = (col(DecisionCount.hour) == hour, col(DecisionCount.stranger))
    order = (col(DecisionCount.count).desc(), col(DecisionCount.key))
    beyond = session.exec(
        select(DecisionCount).where(*mine).order_by(*order).offset(STRANGERS_AN_HOUR).limit(_AT_ONCE)
    ).all()
    if not beyond:
        return
    folded: dict[Count, int] = {}
    for row in beyond:
        many = Count(hour, row.resource, OTHER, OTHER, OTHER, row.outcome, "", "", "", "", "", "", 0, False)
        folded[many] = folded.get(many, 0) + row.count
    keys = [row.key for row in beyond]
    session.execute(sa.delete(DecisionCount).where(*mine, col(DecisionCount.key).in_(keys)))
    add_counts(session, folded)


def add_details(session: Session, details: Iterable[Detail]) -> None:
    """Keep details. One that is there already stays as it is."""
    rows = [msgspec.structs.asdict(each) for each in details]
    if rows:
        insert = postgresql.insert if is_concurrent(session) else sqlite.insert
        session.execute(insert(Decision.__table__).on_conflict_do_nothing(), rows)  # type: ignore[attr-defined]


def forget(session: Session, *, details_before: int, counts_before: int) -> bool:
    """Delete some of what is older (epoch seconds). Whether there may be more: it is done in short pieces."""
    old = select(Decision.id).where(col(Decision.at) < details_before).limit(_AT_ONCE)
    hours = select(DecisionCount.hour).where(col(DecisionCount.hour) < counts_before)
    details: Any = session.execute(sa.delete(Decision).where(col(Decision.id).in_(old)))
    hour = session.exec(hours.order_by(col(DecisionCount.hour)).limit(1)).first()
    if hour is not None:
        session.execute(sa.delete(DecisionCount).where(col(DecisionCount.hour) == hour))
    return hour is not None or details.rowcount == _AT_ONCE


@dataclass(frozen=True, slots=True)
class Decisions:
    """Some decisions, the newest first, and the cursor for those before them."""

    items: tuple[Decision, ...]
    after: str | None


def get(session: Session, id_: str) -> Decision:
    """Return a decision by the id its caller was told. Raises NotFoundError."""
    return get_row(session, Decision, id_)


def list_(
    session: Session,
    *,
    after: str | None = None,
    limit: int = 50,
    since: int | None = None,
    until: int | None = None,
    equal: Mapping[str, str | None] | None = None,
) -> Decisions:
    """Return decisions, newest first; `since` and `until` are epoch seconds, the end exclusive.

    What is in `equal` (`DECISION_FILTERS`) has an index each, in this order; of several the database takes one.

    Raises:
        InvalidError: `number_out_of_range`, `cursor_malformed`.
    """
    check_limit(limit)
    place = None if after is None else _place(after)
    if (where := equal_to(Decision, equal)) is None:
        return Decisions((), None)
    at, id_ = col(Decision.at), col(Decision.id)
    if since is not None:
        where.append(at >= since)
    if until is not None:
        where.append(at < until)
    if place is not None:
        where.append(sa.tuple_(at, id_) < sa.tuple_(*map(sa.literal, place)))
    found = session.exec(select(Decision).where(*where).order_by(at.desc(), id_.desc()).limit(limit + 1)).all()
    items = tuple(found[:limit])
    return Decisions(items, f"{items[-1].at}.{items[-1].id}" if len(found) > limit else None)


def _place(cursor: str) -> tuple[int, str]:
    at, _, id_ = cursor.partition(".")
    if not at.isascii() or not at.isdecimal() or len(at) > 15 or not id_:
        raise InvalidError("cursor_malformed", "is not a cursor of this list", field="cursor")
    return int(at), id_


@dataclass(frozen=True, slots=True)
class Slice:
    """How many decisions of one period had one value of a dimension."""

    begins_at: int
    value: str
    count: int


def counts(
    session: Session,
    *,
    by: str,
    since: int,
    until: int,
    step: int = HOUR,
    equal: Mapping[str, str | None] | None = None,
) -> list[Slice]:
    """Return counts between two hours (epoch seconds, the end exclusive) in steps of hours or days, by a dimension.

    The values that are most frequent over the whole span are told apart, the rest is `*`.

    Raises:
        InvalidError: `value_unknown`, `number_out_of_range`.
    """
    if by not in DIMENSIONS:
        raise InvalidError("value_unknown", f"must be one of {', '.join(DIMENSIONS)}", field="by")
    if not 0 < until - since <= LONGEST_SPAN:
        raise InvalidError(
            "number_out_of_range", "the span must be more than nothing and at most 92 days", field="since"
        )
    where = [col(DecisionCount.hour) >= since // HOUR * HOUR, col(DecisionCount.hour) < until]
    where += [getattr(DecisionCount, name) == wanted for name, wanted in (equal or {}).items() if wanted is not None]
    dimension, number = getattr(DecisionCount, by), sa.func.sum(DecisionCount.count)
    most = sa.select(dimension).where(*where).group_by(dimension).order_by(number.desc(), dimension).limit(MOST_VALUES)
    apart = set(session.execute(most).scalars())
    # Written out: PostgreSQL takes one parameter given twice for two different expressions.
    period = col(DecisionCount.hour) - col(DecisionCount.hour) % sa.literal_column(str(int(step)))
    found = session.execute(sa.select(period, dimension, number).where(*where).group_by(period, dimension))
    sums: dict[tuple[int, str], int] = {}
    for begins_at, value, amount in found:
        slot = int(begins_at), str(value) if value in apart else OTHER
        sums[slot] = sums.get(slot, 0) + int(amount)
    return [Slice(begins_at, value, amount) for (begins_at, value), amount in sorted(sums.items())]


def dropped_since(session: Session, since: int) -> tuple[int, int | None]:
    """Return how many decisions were counted as dropped from an hour on, and when last (the hour's begin)."""
    query = sa.select(sa.func.coalesce(sa.func.sum(DecisionCount.count), 0), sa.func.max(DecisionCount.hour))
    number, last = session.execute(
        # Written out, so that its own small index serves.
        query.where(col(DecisionCount.hour) >= since, col(DecisionCount.outcome) == sa.literal_column(f"'{DROPPED}'"))
    ).one()
    return int(number), last
