"""What can be changed later: notes of tenants and daemons, the ticket of a grant, the version of an admin key."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

oldest_compatible = "0005"
"""Columns that an older version does not know of, each with a default."""

TEXTS = {"tenant": "notes", "daemon": "notes", "role_assignment": "ticket", "pending_grant": "ticket"}


def upgrade() -> None:
    """Add the columns."""
    # Never recreated: other tables refer to these, and SQLite adds and drops plain columns in place.
    for table, column in TEXTS.items():
        with op.batch_alter_table(table, recreate="never") as batch:
            batch.add_column(sa.Column(column, sa.String(), nullable=False, server_default=""))
    with op.batch_alter_table("admin_key", recreate="never") as batch:
        batch.add_column(sa.Column("version", sa.Integer(), nullable=False, server_default="1"))


def downgrade() -> None:
    """Take them away, and what was noted with them."""
    with op.batch_alter_table("admin_key", recreate="never") as batch:
        batch.drop_column("version")
    for table, column in TEXTS.items():
        with op.batch_alter_table(table, recreate="never") as batch:
            batch.drop_column(column)
