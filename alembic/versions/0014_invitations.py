"""Invitations: links with which partners' developers name their daemons."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

oldest_compatible = "0005"
"""A new table: who does not know it never meets it."""


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "invitation",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("partner", sa.String(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("resource", sa.String(), nullable=False),
        sa.Column("app_roles", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("role_ends_at", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("code_hash", sa.String(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("tid", sa.String(), nullable=True),
        sa.Column("client_id", sa.String(), nullable=True),
        sa.Column("redeemed_at", sa.BigInteger(), nullable=True),
        sa.Column("redeemed_from", sa.String(), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("daemon", sa.String(), nullable=True),
        sa.CheckConstraint(
            "state IN ('open', 'redeemed', 'approved', 'rejected', 'revoked')", name=op.f("ck_invitation_state")
        ),
        sa.ForeignKeyConstraint(["partner"], ["partner.id"], name="fk_invitation_partner_partner"),
        sa.PrimaryKeyConstraint("id", name="pk_invitation"),
        sa.UniqueConstraint("code_hash", name="uq_invitation_code_hash"),
    )
    op.create_index("ix_invitation_partner", "invitation", ["partner"])
    op.create_index("ix_invitation_state_expires_at", "invitation", ["state", "expires_at"])


def downgrade() -> None:
    """Take it away. Links that were sent lead nowhere then."""
    op.drop_table("invitation")
