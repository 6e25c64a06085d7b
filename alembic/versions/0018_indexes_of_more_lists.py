"""Indexes for the lists that had none of their own: credentials, invitations, pending grants, access requests and more.

As 0012; and for what the audit and decisions are filtered by, in the order in which those are listed.
"""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

oldest_compatible = "0005"
"""An older version reads the same rows, and writes the indexes without knowing of them."""

FOLDED = {"client_certificate": ("name", "subject"), "subscription_key": ("name",), "invitation": ("client_id",),
          "access_request": ("client_id",)}  # fmt: skip
"""Texts that are sorted and searched without regard to ASCII case, by table."""
BYTEWISE = {"client_certificate": ("thumbprint",), "invitation": ("tid",), "access_request": ("tid",)}
"""Texts in lower case as they are."""
MOMENTS = {
    "client_certificate": ("created_at", "updated_at", "not_after"),
    "subscription_key": ("created_at", "expires_at"),
    "invitation": ("created_at", "updated_at", "expires_at"),
    "pending_grant": ("created_at", "updated_at", "open_until"),
    "access_request": ("first_seen_at", "last_seen_at", "count"),
    "instance": ("started_at", "seen_at"),
    "import_job": ("created_at",),
}
WIDE = {
    "client_certificate": {"state": ("id", "created_at", "updated_at", "not_after", "name")},
    "invitation": {"state": ("id", "created_at", "updated_at", "expires_at")},
    "pending_grant": {"state": ("id", "created_at", "updated_at", "open_until"), "daemon": ("id",), "tenant": ("id",)},
    "access_request": {"state": ("id", "first_seen_at", "last_seen_at", "count")},
}
"""What many rows can share, by table, with the orders in which they are read; and what has no index otherwise."""
FILTERS = ("outcome", "resource", "partner", "tenant", "daemon", "client_id")
SHORTER = ("tenant", "client_id")
"""Filters of decisions, and those whose index did not end in the order of the list."""


def upgrade() -> None:
    """Make the indexes."""
    for name, table, parts in indexes():
        op.execute(f"CREATE INDEX {name} ON {table} ({', '.join(parts)})")
    for column in SHORTER:
        op.drop_index(f"ix_decision_{column}", "decision")
    for column in FILTERS:
        op.create_index(f"ix_decision_{column}", "decision", [column, "at", "id"])
    op.create_index("ix_audit_entry_of_kind", "audit_entry", ["kind", "sequence"])
    op.create_index("ix_audit_entry_of_operator", "audit_entry", ["operator", "sequence"])
    op.drop_index("ix_audit_entry_operator", "audit_entry")


def downgrade() -> None:
    """Take them away: lists are right without them, and slow."""
    op.create_index("ix_audit_entry_operator", "audit_entry", ["operator"])
    op.drop_index("ix_audit_entry_of_operator", "audit_entry")
    op.drop_index("ix_audit_entry_of_kind", "audit_entry")
    for column in FILTERS:
        op.drop_index(f"ix_decision_{column}", "decision")
    for column in SHORTER:
        op.create_index(f"ix_decision_{column}", "decision", [column, "at"])
    for name, _, _ in indexes():
        op.execute(f"DROP INDEX {name}")


def indexes() -> list[tuple[str, str, tuple[str, ...]]]:
    """Return name, table and parts of each index of a list."""
    found = []
    for table, moments in MOMENTS.items():
        orders = ("id", *moments, *FOLDED.get(table, ()), *BYTEWISE.get(table, ()))
        # SQLite compares by bytes as it is: its primary keys are indexes by id already. Of access requests one state is
        # asked for always.
        bare = [each for each in orders if each != "id" or is_postgres()]
        if table == "access_request":
            bare = [each for each in bare if each not in moments]
        found += [(f"ix_{table}_by_{order}", table, key(table, order)) for order in bare]
        for column, ways in WIDE.get(table, {}).items():
            found += [(f"ix_{table}_by_{column}_{way}", table, (column, *key(table, way))) for way in ways]
    return found


def key(table: str, order: str) -> tuple[str, ...]:
    """Return what rows are sorted by, and their id, which tells those apart that are alike in it."""
    if order == "id":
        return (bytewise("id"),)
    if order in FOLDED.get(table, ()):
        return (f"lower({bytewise(order)})", bytewise("id"))
    if order in BYTEWISE.get(table, ()):
        return (bytewise(order), bytewise("id"))
    return (order, bytewise("id"))


def bytewise(column: str) -> str:
    """Return a text column, compared by its bytes."""
    return f'{column} COLLATE "C"' if is_postgres() else column


def is_postgres() -> bool:
    """Whether the database is PostgreSQL."""
    return op.get_bind().dialect.name == "postgresql"
