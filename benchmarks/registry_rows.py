"""A registry of 10⁵ partners and 10⁶ daemons, written past the services: by COPY, or by the driver's own bulk insert.

Ids, GUIDs and names are invented and look like real ones: random, so that an index is hit all over. Each partner has a
tenant, each tenant ten daemons, each daemon one role; one in a hundred is suspended. The audit has what the services
wrote (a handful of entries), not the million that so many partners would have left: nothing that is measured reads it.
"""

from __future__ import annotations

import hashlib
import uuid
from base64 import b32encode
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy.engine import Engine

from tenantgate.registry.tables import Base, Daemon, Partner, RoleAssignment, Tenant

DAEMONS_A_PARTNER: Final = 10
SEEN_FROM: Final = 1_700_000_000
"""Epoch seconds in which the first partner was listed; one more each minute."""

_FIRST: Final = (
    "Amber",
    "Birch",
    "Cedar",
    "Delta",
    "Ember",
    "Fjord",
    "Granite",
    "Harbor",
    "Iris",
    "Juniper",
    "Kestrel",
)
_SECOND: Final = ("Freight", "Foods", "Optics", "Paper", "Steel", "Textiles", "Tools", "Motors", "Energy", "Pharma")


def partner_id(number: int) -> str:
    """Return the id of a partner by its number."""
    return _id("prt", number)


def tenant_id(number: int) -> str:
    """Return the id of a tenant by its number, which is its partner's."""
    return _id("tnt", number)


def daemon_id(number: int) -> str:
    """Return the id of a daemon by its number; the first ten are partner 0's."""
    return _id("dmn", number)


def assignment_id(number: int) -> str:
    """Return the id of the role assignment of a daemon."""
    return _id("asg", number)


def partner_name(number: int) -> str:
    """Return what people call a partner."""
    first = _FIRST[number % len(_FIRST)]
    return f"{first} {_SECOND[number // len(_FIRST) % len(_SECOND)]} {_digest('name', number)[:2].hex()} {number}"


def tid(number: int) -> str:
    """Return the tid of a tenant."""
    return _guid("tid", number)


def client_id(number: int) -> str:
    """Return the client id of a daemon."""
    return _guid("client", number)


def oid(number: int) -> str:
    """Return the object id that a daemon is pinned to."""
    return _guid("oid", number)


def fill(engine: Engine, partners: int) -> None:
    """Write so many partners with all that is theirs. Issuer `cloud` and app role `orders_read` are there."""
    daemons = partners * DAEMONS_A_PARTNER
    write = _copy if engine.dialect.name == "postgresql" else _insert
    for table, rows in (
        (Partner, map(_partner, range(partners))),
        (Tenant, map(_tenant, range(partners))),
        (Daemon, map(_daemon, range(daemons))),
        (RoleAssignment, map(_assignment, range(daemons))),
    ):
        write(engine, table, rows)


def _partner(number: int) -> dict[str, Any]:
    ends_at = SEEN_FROM + 200_000_000 + number if number % 3 == 0 else None
    state = "suspended" if number % 100 == 99 else "active"
    row = {"name": partner_name(number), "state": state, "ends_at": ends_at, "contacts": "[]", "notes": ""}
    return _written(partner_id(number), number, row)


def _tenant(number: int) -> dict[str, Any]:
    row = {"issuer": "cloud", "partner": partner_id(number), "tid": tid(number), "state": "active", "hosted": False}
    return _written(tenant_id(number), number, row)


def _daemon(number: int) -> dict[str, Any]:
    partner = number // DAEMONS_A_PARTNER
    state = "suspended" if number % 100 == 99 else "active"
    row = {"tenant": tenant_id(partner), "client_id": client_id(number), "oid": oid(number), "subject": None}
    row |= {"partner": None, "state": state, "min_credential": "none"}
    return _written(daemon_id(number), partner, row)


def _assignment(number: int) -> dict[str, Any]:
    expires_at = SEEN_FROM + 200_000_000 + number if number % 2 else None
    row = {"app_role": "orders_read", "daemon": daemon_id(number), "tenant": None, "not_before": None}
    row |= {"expires_at": expires_at, "granted_by": "bench", "reason": f"contract {number}"}
    return _written(assignment_id(number), number // DAEMONS_A_PARTNER, row)


def _written(id_: str, number: int, row: dict[str, Any]) -> dict[str, Any]:
    at = SEEN_FROM + 60 * number
    return {"id": id_, "created_at": at, "created_by": "bench", "updated_at": at, "version": 1, **row}


def _insert(engine: Engine, table: type[Base], rows: Iterator[dict[str, Any]]) -> None:
    """Write rows by the driver's own `executemany`, in one transaction."""
    first = next(rows)
    names = tuple(first)
    statement = f"INSERT INTO {table.__tablename__} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
    with engine.begin() as connection:
        driver: Any = connection.connection.driver_connection
        driver.execute(statement, tuple(first.values()))
        driver.executemany(statement, (tuple(row.values()) for row in rows))


def _copy(engine: Engine, table: type[Base], rows: Iterator[dict[str, Any]]) -> None:
    """Write rows by COPY, and have the statistics made that autovacuum would soon make."""
    first = next(rows)
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        driver: Any = connection.connection.driver_connection
        driver.execute("SET statement_timeout = 0")
        statement = f"COPY {table.__tablename__} ({', '.join(first)}) FROM STDIN"
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write_row(tuple(first.values()))
            for row in rows:
                copy.write_row(tuple(row.values()))
        driver.execute(f"VACUUM ANALYZE {table.__tablename__}")


def _id(prefix: str, number: int) -> str:
    """Return an id of the form that `registry.ids` makes."""
    return f"{prefix}-{b32encode(_digest(prefix, number)[:10]).decode().lower()}"


def _guid(kind: str, number: int) -> str:
    return str(uuid.UUID(bytes=_digest(kind, number), version=4))


def _digest(kind: str, number: int) -> bytes:
    return hashlib.md5(f"{kind}{number}".encode(), usedforsecurity=False).digest()
