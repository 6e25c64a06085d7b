"""An issuer's keys: which not to trust, how long they judge, by which way they are fetched, and how they are doing."""

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
    """Add the columns, and the table of what instances say of their keys."""
    # Never recreated: other tables refer to this one, and SQLite adds and drops plain columns in place.
    with op.batch_alter_table("issuer", recreate="never") as batch:
        for column in columns():
            batch.add_column(column)
    op.create_table(
        "issuer_health",
        sa.Column("instance", sa.String(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("appid", sa.String(), nullable=False),
        sa.Column("reported_at", sa.BigInteger(), nullable=False),
        sa.Column("facts", sa.JSON(none_as_null=True), nullable=False),
        sa.PrimaryKeyConstraint("instance", "issuer", "document", "appid", name="pk_issuer_health"),
    )


def downgrade() -> None:
    """Take them away. A distrusted key verifies again: the older version knows of none."""
    op.drop_table("issuer_health")
    with op.batch_alter_table("issuer", recreate="never") as batch:
        for column in columns():
            batch.drop_column(column.name)
