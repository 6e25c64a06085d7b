"""What is done with an issuer's keys: which not to trust, how long they judge, and by which way they are fetched."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def columns() -> tuple[sa.Column, ...]:
    """Return the new columns. Issuers that are there go on as before: each default says so."""
    return (
        sa.Column("distrusted_keys", sa.JSON(none_as_null=True), nullable=False, server_default="[]"),
        sa.Column("max_key_age", sa.Integer(), nullable=True),
        sa.Column("ca_bundle", sa.String(), nullable=True),
        sa.Column("proxy", sa.String(), nullable=True),
    )


def upgrade() -> None:
    """Add the columns."""
    # Never recreated: other tables refer to this one, and SQLite adds and drops plain columns in place.
    with op.batch_alter_table("issuer", recreate="never") as batch:
        for column in columns():
            batch.add_column(column)


def downgrade() -> None:
    """Take them away. A distrusted key verifies again: the older version knows of none."""
    with op.batch_alter_table("issuer", recreate="never") as batch:
        for column in columns():
            batch.drop_column(column.name)
