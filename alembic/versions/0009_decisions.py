"""What gates say of their decisions: counts, details, callers that ask to be let in, object ids to be pinned."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

oldest_compatible = "0005"
"""Tables and columns that an older version does not know of, each with a default."""


def upgrade() -> None:
    """Add the tables, and what switches access requests and pinning on. Nothing is on before somebody says so."""
    _add_counts()
    _add_decisions()
    _add_access_requests()
    op.create_table(
        "object_id_sighting",
        sa.Column("daemon", sa.String(), nullable=False),
        sa.Column("oid", sa.String(), nullable=False),
        sa.Column("first_seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("daemon", "oid", name="pk_object_id_sighting"),
    )
    # Never recreated: other tables refer to these, and SQLite adds and drops plain columns in place.
    with op.batch_alter_table("resource", recreate="never") as batch:
        batch.add_column(sa.Column("access_requests", sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("daemon", recreate="never") as batch:
        batch.add_column(sa.Column("pin_object_id", sa.Boolean(), nullable=False, server_default=sa.false()))
    on = sa.text("pin_object_id")
    op.create_index(
        "ix_daemon_pin_object_id",
        "daemon",
        ["tenant", "client_id"],
        sqlite_where=on,
        postgresql_where=on,
    )


def _add_counts() -> None:
    texts = ("resource", "tenant", "client_id", "oid", "outcome", "roles", "credential", "strength", "idtyp", "version")
    op.create_table(
        "decision_count",
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in (*texts, "lifetime")),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("stranger", sa.Boolean(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hour", "key", name="pk_decision_count"),
    )
    stranger, dropped = sa.text("stranger"), sa.text("outcome = 'dropped'")
    op.create_index(
        "ix_decision_count_strangers",
        "decision_count",
        ["hour", "count"],
        sqlite_where=stranger,
        postgresql_where=stranger,
    )
    op.create_index(
        "ix_decision_count_dropped", "decision_count", ["hour"], sqlite_where=dropped, postgresql_where=dropped
    )


def _add_decisions() -> None:
    texts = ("roles", "would_deny", "partner", "tenant", "daemon", "issuer", "tid", "client_id", "oid", "credential")
    op.create_table(
        "decision",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("resource", "outcome", "detail")),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in (*texts, "strength", "idtyp", "version")),
        sa.Column("lifetime", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_decision"),
    )
    op.create_index("ix_decision_newest", "decision", ["at", "id"])
    op.create_index("ix_decision_tenant", "decision", ["tenant", "at"])
    op.create_index("ix_decision_client_id", "decision", ["client_id", "at"])


def _add_access_requests() -> None:
    op.create_table(
        "access_request",
        sa.Column("id", sa.String(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("resource", "issuer", "tid", "client_id", "oid")),
        sa.Column("oids_differ", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("count", "first_seen_at", "last_seen_at")),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("daemon", sa.String(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_access_request"),
        sa.CheckConstraint("state IN ('open', 'approved', 'dismissed')", name=op.f("ck_access_request_state")),
    )
    op.create_index("ix_access_request_resource", "access_request", ["resource", "state", "last_seen_at"])
    op.create_index("ix_access_request_tenant", "access_request", ["resource", "issuer", "tid"])


def downgrade() -> None:
    """Take them away; what gates said is lost, and the policy is as it was."""
    op.drop_index("ix_daemon_pin_object_id", "daemon")
    with op.batch_alter_table("daemon", recreate="never") as batch:
        batch.drop_column("pin_object_id")
    with op.batch_alter_table("resource", recreate="never") as batch:
        batch.drop_column("access_requests")
    for table in ("object_id_sighting", "access_request", "decision", "decision_count"):
        op.drop_table(table)
