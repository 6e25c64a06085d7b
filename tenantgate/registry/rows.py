"""Between tables and the rows of `core.policy`, both ways; and what of a row the audit may tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tenantgate.core.policy import KINDS, RowData
from tenantgate.registry import tables
from tenantgate.registry.errors import DatabaseError

TABLES: Final[dict[str, type[tables.Written]]] = {
    "issuer": tables.Issuer,
    "partner": tables.Partner,
    "tenant": tables.Tenant,
    "daemon": tables.Daemon,
    "resource": tables.Resource,
    "app_role": tables.AppRole,
    "role_assignment": tables.RoleAssignment,
    "role_mapping": tables.RoleMapping,
}
"""The table of every kind of row, in the order of `core.policy.KINDS`: referred-to first."""

MEMBERS: Final[dict[str, tuple[str, ...]]] = {kind: struct.__struct_fields__ for kind, struct in KINDS.items()}
"""The columns that make up a row, by kind. Other columns are the registry's own."""

_UNTOLD: Final = frozenset({"secret_hash", "code_hash", "token_hash"})


def data_of(kind: str, row: Mapping[str, Any]) -> RowData:
    """Return the row struct that columns (those in `MEMBERS`, by name) stand for.

    Raises:
        DatabaseError: `row_malformed`: somebody else wrote there. It is refused, never guessed at.
    """
    struct: type[RowData] = KINDS[kind]
    try:
        return msgspec.convert(row, struct)
    except msgspec.ValidationError as error:
        raise DatabaseError("row_malformed", f"{kind} {row['id']} in the database makes no sense: {error}") from None


def data_of_row(kind: str, row: tables.Written) -> RowData:
    """Return the row struct that a row of a table stands for."""
    return data_of(kind, {name: getattr(row, name) for name in MEMBERS[kind]})


def columns_of(data: RowData) -> dict[str, Any]:
    """Return the columns that hold a row struct."""
    return {name: _plain(value) for name, value in msgspec.structs.asdict(data).items()}


def _plain(value: Any) -> Any:
    """Return a member as JSON can hold it: lists for tuples, objects (every member told) for structs."""
    if type(value) is tuple:
        return [_plain(each) for each in value]
    if isinstance(value, msgspec.Struct):
        return {name: _plain(each) for name, each in msgspec.structs.asdict(value).items()}
    return value


def json_of(data: RowData) -> dict[str, Any]:
    """Return a row struct as it stands in the change feed."""
    builtins: dict[str, Any] = msgspec.to_builtins(data)
    return builtins


def facts_of(row: tables.Base) -> dict[str, Any]:
    """Return a row of any table as the audit keeps it: everything but what was made from a secret."""
    return row.model_dump(exclude=set(_UNTOLD))
