"""Which older versions may go on beside this one: a column that every migration from here on writes (`env.py`)."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

oldest_compatible = "0005"
"""The oldest schema whose code may go on with this one: here the first that asks. See decision 0028."""


def upgrade() -> None:
    """Add the column in place."""
    op.add_column("revision", sa.Column("oldest_compatible", sa.String(), nullable=False, server_default="0005"))


def downgrade() -> None:
    """Take it away."""
    op.drop_column("revision", "oldest_compatible")
