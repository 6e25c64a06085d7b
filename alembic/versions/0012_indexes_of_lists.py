"""Lists at a million daemons: an index for everything a list can be sorted, searched or widely filtered by.

Not in the table classes: the expressions differ between the engines (see `registry/ordering.py`), and the tools that
compare schemas cannot read them. The plans that the engines make of them are tested.
"""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

oldest_compatible = "0005"
"""An older version reads the same rows, and writes the indexes without knowing of them."""

NEVER = 253_402_300_800
TABLES = (
    "issuer", "partner", "tenant", "daemon", "resource", "app_role", "role_assignment", "role_mapping", "operator",
    "admin_key",
)  # fmt: skip
TEXTS = {
    "issuer": ("issuer", "authority"),
    "partner": ("name",),
    "daemon": ("client_id",),
    "app_role": ("value", "display_name"),
    "role_mapping": ("value",),
    "operator": ("name",),
    "admin_key": ("name",),
}
"""Texts that people wrote, by table: sorted and searched without regard to ASCII case."""
ENDS = {"partner": "ends_at", "role_assignment": "expires_at", "admin_key": "expires_at"}
WIDE = {
    "partner": {"state": ("id", "name", "created_at", "updated_at", "ends_at")},
    "tenant": {"state": ("id", "created_at", "updated_at"), "issuer": ("id", "created_at", "updated_at")},
    "daemon": {"state": ("id", "created_at", "updated_at"), "tenant": ("id",), "partner": ("id",)},
    "role_assignment": {"app_role": ("id", "created_at", "updated_at", "expires_at")},
}
"""What many rows can share, by table, with the orders in which they are read."""


def upgrade() -> None:
    """Make the indexes."""
    for name, table, parts in indexes():
        op.execute(f"CREATE INDEX {name} ON {table} ({', '.join(parts)})")


def downgrade() -> None:
    """Take them away: lists are right without them, and slow."""
    for name, _, _ in indexes():
        op.execute(f"DROP INDEX {name}")


def indexes() -> list[tuple[str, str, tuple[str, ...]]]:
    """Return name, table and parts of each index."""
    found = []
    for table in TABLES:
        orders = ["id", "created_at", *(["updated_at"] if table != "admin_key" else [])]
        orders += [*TEXTS.get(table, ()), *([ENDS[table]] if table in ENDS else [])]
        found += [(f"ix_{table}_by_{order}", table, key(table, order)) for order in orders]
        for column, ways in WIDE.get(table, {}).items():
            found += [(f"ix_{table}_by_{column}_{way}", table, (column, *key(table, way))) for way in ways]
    found.append(("ix_tenant_by_tid", "tenant", (bytewise("tid"), bytewise("id"))))
    # SQLite compares by bytes as it is: its primary keys are these indexes already.
    return [each for each in found if is_postgres() or not each[0].endswith("_by_id")]


def key(table: str, order: str) -> tuple[str, ...]:
    """Return what rows are sorted by, and their id, which tells those apart that are alike in it."""
    if order == "id":
        return (bytewise("id"),)
    if order == ENDS.get(table):
        return (f"coalesce({order}, {NEVER})", bytewise("id"))
    if order in TEXTS.get(table, ()):
        return (f"lower({bytewise(order)})", bytewise("id"))
    return (order, bytewise("id"))


def bytewise(column: str) -> str:
    """Return a text column, compared by its bytes."""
    return f'{column} COLLATE "C"' if is_postgres() else column


def is_postgres() -> bool:
    """Whether the database is PostgreSQL."""
    return op.get_bind().dialect.name == "postgresql"
