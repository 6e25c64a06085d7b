"""Indexes on what entries of the audit say, by which it is told who held which role at a moment, a page at a time."""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

oldest_compatible = "0005"
"""An older version writes the same entries, and the indexes without knowing of them."""


def upgrade() -> None:
    """Make the indexes; one by kind and id becomes one in the order of the chain."""
    for name, parts, where in indexes():
        op.execute(f"CREATE INDEX {name} ON audit_entry ({', '.join(parts)}){where}")
    op.create_index("ix_audit_entry_of_row", "audit_entry", ["kind", "row_id", "sequence", "at"])
    op.drop_index("ix_audit_entry_kind_row_id", "audit_entry")


def downgrade() -> None:
    """Take them away."""
    op.create_index("ix_audit_entry_kind_row_id", "audit_entry", ["kind", "row_id"])
    op.drop_index("ix_audit_entry_of_row", "audit_entry")
    for name, _, _ in indexes():
        op.execute(f"DROP INDEX {name}")


def indexes() -> list[tuple[str, tuple[str, ...], str]]:
    """Return name, parts and condition of each index: ids by bytes, and only what there is to be found.

    But on PostgreSQL, which estimates by the statistics of an expression only where its index has every row.
    """
    id_ = 'row_id COLLATE "C"' if is_postgres() else "row_id"
    subject = f"coalesce({said('role_assignment', 'daemon')}, {said('role_assignment', 'tenant')})"
    found = [
        ("ix_audit_entry_by_assignment_subject", subject, (id_, "at")),
        ("ix_audit_entry_by_assignment_role", said("role_assignment", "app_role"), (id_, "at")),
        ("ix_audit_entry_by_daemon_tenant", said("daemon", "tenant"), ("row_id",)),
        ("ix_audit_entry_by_daemon_partner", said("daemon", "partner"), ("row_id",)),
        ("ix_audit_entry_by_tenant_partner", said("tenant", "partner"), ("row_id",)),
    ]
    if not is_postgres():
        return [(name, (f"({what})", *rest), f" WHERE {what} IS NOT NULL") for name, what, rest in found]
    made = [(name, (f"({what})", *rest), "") for name, what, rest in found]
    # SQLite compares by bytes as it is: its index of rows serves.
    return [*made, ("ix_audit_entry_by_assignment", (id_, "at"), " WHERE kind = 'role_assignment'")]


def said(kind: str, member: str) -> str:
    """Return a member of what a thing of a kind was after an entry; `registry.access_pages.said` is the same."""
    if is_postgres():
        return f"(CASE WHEN kind = '{kind}' THEN after ->> '{member}' END)"
    return f"(CASE WHEN kind = '{kind}' AND json_valid(after) THEN json_extract(after, '$.{member}') END)"


def is_postgres() -> bool:
    """Whether the database is PostgreSQL."""
    return op.get_bind().dialect.name == "postgresql"
