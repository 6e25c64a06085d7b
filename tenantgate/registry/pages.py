"""Pages of lists, and the cursors between them.

A cursor names the last row seen by what the list is sorted by, so the next page begins there at once, however far in;
rows that come or go meanwhile shift nothing. It is opaque to callers, and untrusted: it can only say where to begin.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple, TypeVar

import sqlalchemy as sa
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from tenantgate.core.policy import is_id
from tenantgate.registry import tables
from tenantgate.registry.errors import InvalidError
from tenantgate.registry.ordering import Condition, Key, Orders, bytewise, orders_of, unindexed

LARGEST_PAGE: Final = 500
LONGEST_CURSOR: Final = 2_048

N = TypeVar("N", bound=tables.Named)
Q = TypeVar("Q", bound=sa.Select[Any])


@dataclass(frozen=True, slots=True)
class Page(Generic[N]):
    """Some rows in the order asked for, and the cursor for the next ones, or None at the end."""

    items: tuple[N, ...]
    after: str | None


def check_limit(limit: int) -> None:
    """Refuse a page that is empty or too large.

    Raises:
        InvalidError: `number_out_of_range`.
    """
    if not 1 <= limit <= LARGEST_PAGE:
        raise InvalidError("number_out_of_range", f"must be between 1 and {LARGEST_PAGE}", field="limit")


def page(
    session: Session,
    query: SelectOfScalar[N],
    table: type[N],
    *,
    after: str | None,
    limit: int,
    equal: Mapping[str, object] | None = None,
    sort: str | None = None,
    orders: Orders | None = None,
) -> Page[N]:
    """Run a query as one page, filtered by columns that equal a value (None: not filtered).

    `sort` is a name in `orders` (a table's id, `created_at` and `updated_at` where none are given), with `-` before it
    for the other way round, and `id` where it is None; rows that are alike in it come in order of id.

    Raises:
        InvalidError: `number_out_of_range` (limit), `value_unknown` (sort), `cursor_malformed`.
    """
    check_limit(limit)
    sort = sort or "id"
    key, down = _order(orders or orders_of(table), sort)
    by = [key] if _is_id(sort) else [key, bytewise(col(table.id))]
    place = read_cursor(after, sort, *(each.type.python_type for each in by)) if after is not None else ()
    if (conditions := equal_to(table, equal)) is None:
        return Page((), None)
    shown = query.where(*conditions).add_columns(key.label("sorted_by"))
    found: list[Any] = []
    for rows in ranges_after(by, place, down=down):
        if len(found) <= limit:
            found += session.execute(rows.of(shown, limit + 1 - len(found), down=down))
    items = tuple(row[0] for row in found[:limit])
    return Page(items, write_cursor(sort, found[limit - 1][1], items[-1].id) if len(found) > limit else None)


def equal_to(
    table: type[N], equal: Mapping[str, object] | None, *, unread: Collection[str] = ()
) -> list[Condition] | None:
    """Return the conditions that columns equal what is not None; None where no text of ours could.

    Rows are not to be read by an index on the `unread` ones.
    """
    wanted = {name: value for name, value in (equal or {}).items() if value is not None}
    # PostgreSQL would refuse to look for it.
    if any(isinstance(value, str) and "\0" in value for value in wanted.values()):
        return None
    columns = {name: getattr(table, name) for name in wanted}
    return [(unindexed(columns[name]) if name in unread else columns[name]) == value for name, value in wanted.items()]


def rows_in_order(session: Session, table: type[N], ids: Sequence[str]) -> tuple[N, ...]:
    """Return the rows of these ids, in this order."""
    if not ids:
        return ()
    found = {row.id: row for row in session.exec(select(table).where(col(table.id).in_(ids)))}
    return tuple(found[id_] for id_ in ids)


def _is_id(sort: str) -> bool:
    return sort.removeprefix("-") == "id"


def _order(orders: Orders, sort: str) -> tuple[Key, bool]:
    name = sort.removeprefix("-")
    if name not in orders:
        raise InvalidError(
            "value_unknown", f"must be one of {', '.join(orders)}, or one with - before it", field="sort"
        )
    return orders[name], sort.startswith("-")


class Range(NamedTuple):
    """Some of the rows of a list: their conditions, and what is left to sort them by."""

    conditions: list[Condition]
    by: Sequence[Key]

    def of(self, query: Q, limit: int, *, down: bool = False) -> Q:
        """Return a query narrowed to these rows, in order."""
        order = (each.desc() if down else each for each in self.by)
        return query.where(*self.conditions).order_by(*order).limit(limit)


def ranges_after(by: Sequence[Key], place: Sequence[Any], *, down: bool = False) -> list[Range]:
    """Return the rows after a place, in the order of `by`; all rows where it is empty.

    First those that are alike in what comes first, then the others: each is one range of an index on all of `by`. We do
    not compare whole rows, because SQLite uses no index for that where the first is an expression.
    """
    if not place:
        return [Range([], by)]
    first, value = by[0], place[0]
    alike = ranges_after(by[1:], place[1:], down=down) if by[1:] else []
    found = [Range([sa.and_(first == value), *rest.conditions], rest.by) for rest in alike]
    return [*found, Range([sa.and_(first < value if down else first > value)], by)]


def write_cursor(sort: str, *place: str | int) -> str:
    """Return the cursor of a row: what it is sorted by, then its id. Where it is sorted by id, the id is the cursor."""
    if _is_id(sort):
        return str(place[-1])
    text = json.dumps([sort, *place], separators=(",", ":"))
    return urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def read_cursor(cursor: str, sort: str, *kinds: type) -> tuple[Any, ...]:
    """Return the place, values of `kinds`, that a cursor names in a list sorted like this. `cursor` is untrusted.

    Raises:
        InvalidError: `cursor_malformed`.
    """
    if _is_id(sort) and is_id(cursor):
        return (cursor,)
    found = _decoded(cursor)
    if not isinstance(found, list) or found[:1] != [sort] or tuple(map(type, found[1:])) != kinds:
        raise _malformed()
    if not all(map(_comparable, found[1:])):
        raise _malformed()
    return tuple(found[1:])


def _decoded(cursor: str) -> object:
    if len(cursor) > LONGEST_CURSOR:
        return None
    try:
        return json.loads(urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)))
    except (NotBase64, ValueError, RecursionError):
        return None


def _comparable(value: str | int) -> bool:
    """Whether a database can compare with it: no NUL, no half of a character, 64 bits."""
    if isinstance(value, int):
        return abs(value) < 2**63
    return not any(each == "\0" or "\ud800" <= each <= "\udfff" for each in value)


def _malformed() -> InvalidError:
    return InvalidError("cursor_malformed", "is not `next` of a page of this list, sorted like this", field="cursor")
