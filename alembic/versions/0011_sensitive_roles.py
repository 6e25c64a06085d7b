"""Sensitive app roles, who approved an assignment, and what waits for a second operator."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

oldest_compatible = "0005"
"""Code of before grants any role alone: mark roles when all servers are of this version (decision 0065)."""


def upgrade() -> None:
    """Add the columns in place, and make the table."""
    op.add_column("app_role", sa.Column("sensitive", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("role_assignment", sa.Column("approved_by", sa.String(), nullable=True))
    op.create_table(
        "pending_grant",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("app_role", sa.String(), nullable=False),
        sa.Column("daemon", sa.String(), nullable=True),
        sa.Column("tenant", sa.String(), nullable=True),
        sa.Column("not_before", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("assignment", sa.String(), nullable=True),
        sa.Column("asked", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("scheme", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("open_until", sa.BigInteger(), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_scheme", sa.String(), nullable=True),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("kind IN ('grant', 'widen')", name=op.f("ck_pending_grant_kind")),
        sa.CheckConstraint(
            "state IN ('open', 'approved', 'rejected', 'withdrawn')", name=op.f("ck_pending_grant_state")
        ),
        sa.CheckConstraint("(daemon IS NULL) <> (tenant IS NULL)", name=op.f("ck_pending_grant_one_subject")),
        sa.PrimaryKeyConstraint("id", name="pk_pending_grant"),
    )
    op.create_index("ix_pending_grant_state_open_until", "pending_grant", ["state", "open_until"])
    op.create_index("ix_pending_grant_app_role", "pending_grant", ["app_role"])


def downgrade() -> None:
    """Take them away. What waited is forgotten, and every role is granted by one operator again."""
    op.drop_table("pending_grant")
    op.drop_column("role_assignment", "approved_by")
    op.drop_column("app_role", "sensitive")
