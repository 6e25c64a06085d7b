"""Keys that the product makes for itself, sealed under the master key."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

oldest_compatible = "0005"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "product_key",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("sealed", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name", "version", name="pk_product_key"),
    )


def downgrade() -> None:
    """Drop it: who is signed in signs in again."""
    op.drop_table("product_key")
