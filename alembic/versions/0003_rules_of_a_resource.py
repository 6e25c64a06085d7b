"""The rules of a resource: columns that a resource did not have, and the mappings of issuers' claims to its roles."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def columns() -> tuple[sa.Column, ...]:
    """Return the new columns. Rows that are there ask for no more than before: each default says so."""
    return (
        sa.Column("agent_identities", sa.Boolean(), nullable=False, server_default=sa.false()),
        *(
            sa.Column(name, sa.JSON(none_as_null=True), nullable=False, server_default="[]")
            for name in ("issuers", "clients", "token_versions", "required_claims", "addresses", "report_only")
        ),
        *(
            sa.Column(name, sa.String(), nullable=True)
            for name in ("signing_keys_appid", "token_header", "token_query")
        ),
        sa.Column("token_scheme", sa.String(), nullable=False, server_default="Bearer"),
        sa.Column("failure_status", sa.Integer(), nullable=True),
        sa.Column("failure_message", sa.String(), nullable=True),
    )


def upgrade() -> None:
    """Add the columns, and the table of mappings."""
    # Never recreated: other tables refer to this one, and SQLite adds and drops plain columns in place.
    with op.batch_alter_table("resource", recreate="never") as batch:
        for column in columns():
            batch.add_column(column)
    op.create_table(
        "role_mapping",
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("claim", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("app_role", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_role_mapping"),
        sa.UniqueConstraint("issuer", "app_role", "claim", "value", name="uq_role_mapping_issuer_app_role_claim_value"),
        sa.ForeignKeyConstraint(["issuer"], ["issuer.id"], name="fk_role_mapping_issuer_issuer"),
        sa.ForeignKeyConstraint(["app_role"], ["app_role.id"], name="fk_role_mapping_app_role_app_role"),
    )
    op.create_index("ix_role_mapping_app_role", "role_mapping", ["app_role"])


def downgrade() -> None:
    """Take both away. What the rules kept out comes in again: the older version knows none of them."""
    op.drop_table("role_mapping")
    with op.batch_alter_table("resource", recreate="never") as batch:
        for column in columns():
            batch.drop_column(column.name)
