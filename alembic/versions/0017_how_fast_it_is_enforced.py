"""When a revision was made and when a process said that it enforces it, by one clock: the database's."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

oldest_compatible = "0005"
"""An older version leaves these times as they are: what it wrote reads as unknown, or as slower than it was."""

COLUMNS = (("revision", "revised_at"), ("instance", "registered_at"), ("instance", "acknowledged_at"))


def upgrade() -> None:
    """Add the columns. Of what was before, nothing is known."""
    for table, column in COLUMNS:
        with op.batch_alter_table(table, recreate="never") as batch:
            batch.add_column(sa.Column(column, sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Take them away."""
    for table, column in reversed(COLUMNS):
        with op.batch_alter_table(table, recreate="never") as batch:
            batch.drop_column(column)
