"""The two other credentials of a daemon: client certificates and subscription keys. Stored and audited."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

oldest_compatible = "0005"
"""Two new tables: who does not know them never meets them."""


def upgrade() -> None:
    """Make the two tables."""
    op.create_table(
        "client_certificate",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("daemon", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("thumbprint", sa.String(), nullable=False),
        sa.Column("spki_thumbprint", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("issuer_name", sa.String(), nullable=False),
        sa.Column("serial", sa.String(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.Column("not_after", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.CheckConstraint("state IN ('active', 'suspended', 'revoked')", name=op.f("ck_client_certificate_state")),
        sa.ForeignKeyConstraint(["daemon"], ["daemon.id"], name="fk_client_certificate_daemon_daemon"),
        sa.PrimaryKeyConstraint("id", name="pk_client_certificate"),
        sa.UniqueConstraint("thumbprint", name="uq_client_certificate_thumbprint"),
    )
    op.create_index("ix_client_certificate_daemon", "client_certificate", ["daemon"])
    op.create_index("ix_client_certificate_spki_thumbprint", "client_certificate", ["spki_thumbprint"])
    op.create_index("ix_client_certificate_not_after", "client_certificate", ["not_after"])
    op.create_table(
        "subscription_key",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("daemon", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("secret_hash", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["daemon"], ["daemon.id"], name="fk_subscription_key_daemon_daemon"),
        sa.PrimaryKeyConstraint("id", name="pk_subscription_key"),
    )
    op.create_index("ix_subscription_key_daemon", "subscription_key", ["daemon"])
    op.create_index("ix_subscription_key_expires_at", "subscription_key", ["expires_at"])


def downgrade() -> None:
    """Take them away, with what stood in them."""
    op.drop_table("subscription_key")
    op.drop_table("client_certificate")
