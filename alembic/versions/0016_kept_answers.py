"""Answers that are kept for a day, so that a change which is asked for twice is made once."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

oldest_compatible = "0005"
"""A table that an older version does not know of: it keeps no answers."""


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "kept_answer",
        sa.Column("operator", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("location", sa.String(), nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=True),
        sa.Column("body", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("operator", "key", name="pk_kept_answer"),
    )
    op.create_index("ix_kept_answer_created_at", "kept_answer", ["created_at"])


def downgrade() -> None:
    """Take it away: what is asked for again is done again."""
    op.drop_table("kept_answer")
