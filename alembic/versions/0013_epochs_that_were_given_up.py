"""Which epochs the policy's history took the place of, and which processes do not follow it."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

oldest_compatible = "0005"


def instance_columns() -> tuple[sa.Column, ...]:
    """Return the new columns of a process."""
    return (
        sa.Column("refuses", sa.String(), nullable=True),
        sa.Column("held_epoch", sa.String(), nullable=True),
        sa.Column("held_revision", sa.BigInteger(), nullable=True),
    )


def upgrade() -> None:
    """Add the columns. A history of before took the place of none."""
    with op.batch_alter_table("revision", recreate="never") as batch:
        batch.add_column(sa.Column("supersedes", sa.JSON(none_as_null=True), nullable=False, server_default="[]"))
    with op.batch_alter_table("instance", recreate="never") as batch:
        for column in instance_columns():
            batch.add_column(column)


def downgrade() -> None:
    """Take them away. Gates that hold a mark of an epoch that was given up follow this database no more."""
    with op.batch_alter_table("instance", recreate="never") as batch:
        for column in instance_columns():
            batch.drop_column(column.name)
    with op.batch_alter_table("revision", recreate="never") as batch:
        batch.drop_column("supersedes")
