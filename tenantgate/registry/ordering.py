"""How lists are ordered: by bytes, alike on both engines, along indexes that both engines use.

A database may compare texts by the rules of a language (PostgreSQL) or by bytes (SQLite). Lists go by bytes, with ASCII
letters in lower case where people wrote the text, so that a page ends at the same row everywhere and a prefix is a
range. The indexes are expressions, which the engines write differently: migration 0012 has them, named
`ix_TABLE_by_…`, and a test asks each engine whether it uses them.
"""

from __future__ import annotations

from typing import Any, Final, cast

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlmodel import col

from tenantgate.core.fields import LATEST
from tenantgate.registry import tables

Key = sa.ColumnElement[Any]
Condition = sa.ColumnElement[bool]
Orders = dict[str, Key]
"""What a list can be sorted by: name → an expression that is never NULL."""

NEVER: Final = LATEST + 1
"""Where a row without an end stands among ends: after all of them."""
_LAST: Final = 0x10FFFF
_SURROGATES: Final = range(0xD800, 0xE000)


class bytewise(FunctionElement[str]):  # noqa: N801 (reads as a function of SQL)
    """A text column, compared by its bytes in UTF-8."""

    inherit_cache = True
    type = sa.String()


@compiles(bytewise)
def _plain(element: Any, compiler: Any, **options: Any) -> str:
    return str(compiler.process(element.clauses, **options)).removeprefix("(").removesuffix(")")


@compiles(bytewise, "postgresql")
def _collated(element: Any, compiler: Any, **options: Any) -> str:
    (column,) = element.clauses
    return f'({compiler.process(column, **options)} COLLATE "C")'


class unindexed(FunctionElement[str]):  # noqa: N801 (reads as a function of SQL)
    """A column that a row is only looked at for: no index on it is taken where another one gives the order."""

    inherit_cache = True
    type = sa.String()


@compiles(unindexed)
def _as_it_is(element: Any, compiler: Any, **options: Any) -> str:
    # PostgreSQL knows how many rows share a value, and needs no telling.
    return _plain(element, compiler, **options)


@compiles(unindexed, "sqlite")
def _hidden(element: Any, compiler: Any, **options: Any) -> str:
    return f"+{_plain(element, compiler, **options)}"


def folded(column: Any) -> Key:
    """Return a text column with its ASCII letters in lower case, compared by bytes."""
    return sa.func.lower(bytewise(column), type_=sa.String())


def fold(value: str) -> str:
    """Return what `folded` makes of a text."""
    return value.encode(errors="replace").lower().decode()


def end_of(column: Any) -> Key:
    """Return a column of ends in which no end is later than any."""
    return sa.func.coalesce(column, sa.literal_column(str(NEVER)), type_=sa.BigInteger())


def moment(column: Any) -> Key:
    """Return a column of moments (or another number) that every row has."""
    return cast("Key", col(column))


def orders_of(table: type[tables.Named], **more: Key) -> Orders:
    """Return what every list can be sorted by, and `more`."""
    found: Orders = {"id": bytewise(col(table.id))}
    for name in ("created_at", "updated_at"):
        if name in table.model_fields:
            found[name] = moment(getattr(table, name))
    return found | more


def begins(key: Key, prefix: str) -> Condition:
    """Return the condition that a key begins with a text, as a range: no pattern, and any index on the key serves."""
    last = _after(prefix)
    return key >= prefix if last is None else sa.and_(key >= prefix, key < last)


def _after(prefix: str) -> str | None:
    """Return the first text after all that begin with a prefix, in the order of code points, which is that of UTF-8."""
    while prefix and ord(prefix[-1]) == _LAST:
        prefix = prefix[:-1]
    if not prefix:
        return None
    following = ord(prefix[-1]) + 1
    return prefix[:-1] + chr(_SURROGATES.stop if following in _SURROGATES else following)
