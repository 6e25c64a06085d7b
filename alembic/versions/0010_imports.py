"""Imports of CSV files: how far each is, and what came of every line."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

oldest_compatible = "0005"
"""An older version knows of no imports, and nothing it does depends on them."""


def upgrade() -> None:
    """Make the two tables."""
    counts = [sa.Column(name, sa.Integer(), nullable=False) for name in ("lines", "done", "created", "changed")]
    counts += [sa.Column(name, sa.Integer(), nullable=False) for name in ("existing", "refused")]
    op.create_table(
        "import_job",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("problem", sa.String(), nullable=True),
        *counts,
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("state IN ('running', 'done', 'interrupted')", name=op.f("ck_import_job_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_job")),
    )
    op.create_table(
        "import_line",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("partner", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=True),
        sa.Column("cell", sa.String(), nullable=True),
        sa.Column("message", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["job"], ["import_job.id"], name=op.f("fk_import_line_job_import_job")),
        sa.PrimaryKeyConstraint("job", "line", name=op.f("pk_import_line")),
    )


def downgrade() -> None:
    """Take them away; what was imported stays."""
    op.drop_table("import_line")
    op.drop_table("import_job")
