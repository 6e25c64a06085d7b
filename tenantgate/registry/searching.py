"""Searching by the beginning of one of several texts: of the row itself, or of rows that lead to it.

What is found comes in the order of the text that matched, so every page is a short range of an index for each text,
however many match, and no page is sorted. A row that matches by several texts comes once, by the first of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col, select

from tenantgate.registry.errors import InvalidError
from tenantgate.registry.ordering import NEVER, Condition, Key, Orders, begins, bytewise, fold
from tenantgate.registry.pages import (
    N,
    Page,
    Range,
    check_limit,
    equal_to,
    page,
    ranges_after,
    read_cursor,
    rows_in_order,
    write_cursor,
)

_SEARCH: Final = "search"
_ROUNDS: Final = 4
"""How often one page looks on where all that it found was shown before; then it is a short page."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text that is searched. `key` is the text as it is indexed, `via` the id of the row that has it.

    `owner` is the id of the row that is found by it: `via` itself, or what `source` (a join) leads to. `owners` are the
    columns that it may come from, by which it is looked up the other way round.
    """

    key: Key
    via: Any
    owner: Any
    source: Any
    owners: tuple[Any, ...]


class _Match(NamedTuple):
    """A text that matched, in the order of what is found."""

    key: str
    place: int
    via: str
    owner: str


@dataclass(frozen=True, slots=True)
class Catalogue(Generic[N]):
    """How the rows of a table are listed: what they can be sorted by, and which texts are searched.

    `wide` are columns of which many rows can share a value: a search goes along its texts, never by them.
    """

    table: type[N]
    orders: Orders
    texts: tuple[Text, ...] = ()
    wide: tuple[str, ...] = ()

    def page(
        self,
        session: Session,
        *,
        after: str | None,
        limit: int,
        sort: str | None = None,
        search: str | None = None,
        equal: Mapping[str, object] | None = None,
        where: Sequence[Condition] = (),
    ) -> Page[N]:
        """Return one page: as `pages.page` does, or of what a text begins with `search` (ASCII case does not matter).

        Raises:
            InvalidError: as `pages.page` does; `member_not_allowed`, a search that is to be sorted.
        """
        if not search:
            query = select(self.table).where(*where)
            options = {"after": after, "limit": limit, "sort": sort, "equal": equal, "orders": self.orders}
            return page(session, query, self.table, **options)  # type: ignore[arg-type]
        check_limit(limit)
        if sort is not None:
            raise InvalidError("member_not_allowed", "what is searched comes in order of what matched", field="sort")
        place = read_cursor(after, _SEARCH, str, int, str) if after is not None else None
        conditions = equal_to(self.table, equal, unread=self.wide)
        if conditions is None or "\0" in search:
            return Page((), None)
        return self._search(session, fold(search), place, limit, [*where, *conditions])

    def _search(
        self, session: Session, prefix: str, place: tuple[Any, ...] | None, limit: int, conditions: list[Condition]
    ) -> Page[N]:
        found: list[str] = []
        for _ in range(_ROUNDS):
            matches = self._matches(session, prefix, place, limit + 1, conditions)
            new = self._new(session, prefix, matches)
            for match in matches:
                if len(found) == limit:
                    return self._found(session, found, place)
                place = match[:3]
                if match in new:
                    found.append(match.owner)
            if len(matches) <= limit:
                return self._found(session, found, None)
        return self._found(session, found, place)

    def _found(self, session: Session, ids: list[str], place: tuple[Any, ...] | None) -> Page[N]:
        cursor = None if place is None else write_cursor(_SEARCH, *place)
        return Page(rows_in_order(session, self.table, ids), cursor)

    def _matches(
        self, session: Session, prefix: str, place: tuple[Any, ...] | None, limit: int, conditions: list[Condition]
    ) -> list[_Match]:
        """Return the next matches after a place, in order: at most `limit`."""
        found: list[_Match] = []
        for number, text in enumerate(self.texts):
            query = sa.select(text.key, text.via, text.owner).select_from(text.source).where(begins(text.key, prefix))
            query = query.where(*self._of_text(text, conditions))
            for some in _ranges_after(text, number, place):
                rows = session.execute(some.of(query, limit))
                found += (_Match(key, number, via, owner) for key, via, owner in rows)
        return sorted(found)[:limit]

    def _of_text(self, text: Text, conditions: list[Condition]) -> list[Condition]:
        if not conditions or text.source is self.table:
            return conditions
        return [sa.exists().where(col(self.table.id) == text.owner, *conditions)]

    def _new(self, session: Session, prefix: str, matches: list[_Match]) -> set[_Match]:
        """Return the matches that are the first of their row: the others were shown before."""
        first: dict[str, _Match] = {}
        owners = {match.owner for match in matches}
        if not owners:
            return set()
        for number, text in enumerate(self.texts):
            for owner in text.owners:
                query = sa.select(owner, text.key, sa.func.min(bytewise(text.via))).select_from(text.source)
                query = query.where(owner.in_(owners), begins(text.key, prefix)).group_by(owner, text.key)
                for id_, key, via in session.execute(query):
                    match = _Match(key, number, via, id_)
                    first[id_] = min(match, first.get(id_, match))
        return set(first.values())


def own(table: type[N], key: Key) -> Text:
    """Return a text of the row itself."""
    id_ = col(table.id)
    return Text(key, id_, id_, table, (id_,))


def _ranges_after(text: Text, number: int, place: tuple[Any, ...] | None) -> list[Range]:
    """Return the conditions of matches by one text after a place; of those alike, the earlier text's come first."""
    via = bytewise(text.via)
    by = (via,) if text.key.compare(via) else (text.key, via)  # no engine is to sort by an id twice
    if place is None:
        return ranges_after(by, ())
    key, at, via = place
    if number == at:
        return ranges_after(by, (key, via))
    return [Range([sa.and_(text.key >= key if number > at else text.key > key)], by)]


def ends_between(end: Key, after: int | None, before: int | None) -> list[Condition]:
    """Return the conditions of ends (as `ordering.end_of` has them) from one moment on and before another.

    Epoch seconds; where neither is given there is none, else those that never end are left out.
    """
    if after is None and before is None:
        return []
    return [end >= (after or 0), end < min(NEVER, before if before is not None else NEVER)]


def sort_by_end(name: str, sort: str | None, search: str | None, *moments: int | None) -> str | None:
    """Return how to sort: as asked; else by the end where ends are asked for, which is the order they are found in."""
    asked = any(moment is not None for moment in moments)
    return name if sort is None and asked and not search else sort
