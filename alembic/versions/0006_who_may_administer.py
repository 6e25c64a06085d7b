"""Who may administer: linked identities, admin keys that may do less than their operator, and rates."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

oldest_compatible = "0005"
"""Code of before refuses the keys it does not know the limits of (decision 0061), and knows no other scheme."""


def columns() -> tuple[sa.Column, ...]:
    """Return the new columns. A key that is there may go on doing all that its operator may."""
    return (
        sa.Column("role", sa.String(), nullable=True),
        sa.Column("scopes", sa.JSON(none_as_null=True), nullable=False, server_default="[]"),
    )


def upgrade() -> None:
    """Add the columns and the tables."""
    # Never recreated: other tables refer to this one, and SQLite adds and drops plain columns in place.
    with op.batch_alter_table("admin_key", recreate="never") as batch:
        for column in columns():
            batch.add_column(column)
    op.create_table(
        "operator_identity",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("operator", sa.String(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("tid", sa.String(), nullable=True),
        sa.Column("oid", sa.String(), nullable=True),
        sa.Column("sub", sa.String(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_operator_identity"),
        sa.ForeignKeyConstraint(["operator"], ["operator.id"], name="fk_operator_identity_operator_operator"),
        sa.UniqueConstraint("issuer", "tid", "oid", name="uq_operator_identity_issuer_tid_oid"),
        sa.UniqueConstraint("issuer", "sub", name="uq_operator_identity_issuer_sub"),
        sa.CheckConstraint(
            "(tid IS NULL) = (oid IS NULL) AND (oid IS NULL) <> (sub IS NULL)",
            name=op.f("ck_operator_identity_one_subject"),
        ),
    )
    op.create_index("ix_operator_identity_operator", "operator_identity", ["operator"])
    op.create_table(
        "rate_bucket",
        sa.Column("operator", sa.String(), nullable=False),
        sa.Column("left", sa.Float(), nullable=False),
        sa.Column("filled_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("operator", name="pk_rate_bucket"),
    )


def downgrade() -> None:
    """Take them away. A key that may do less lets nobody in at the older version: its hash says so (decision 0061)."""
    op.drop_table("rate_bucket")
    op.drop_index("ix_operator_identity_operator", "operator_identity")
    op.drop_table("operator_identity")
    with op.batch_alter_table("admin_key", recreate="never") as batch:
        for column in columns():
            batch.drop_column(column.name)
