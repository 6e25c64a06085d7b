"""How tokens are read: the profile of an issuer, and what its row says otherwise."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns in place.

    Batch mode would copy the table and drop the old one, which SQLite refuses while tenants refer to it.
    """
    # A default in the database too: rows that are there keep the reading they have had.
    op.add_column("issuer", sa.Column("profile", sa.String(), nullable=False, server_default="standard"))
    op.add_column("issuer", sa.Column("roles_claim", sa.String(), nullable=True))
    op.add_column("issuer", sa.Column("subject_pin", sa.Boolean(), nullable=True))


def downgrade() -> None:
    """Take the columns away."""
    for column in ("subject_pin", "roles_claim", "profile"):
        op.drop_column("issuer", column)
