"""The first registry: partners and what they may do, who administers, the audit chain and the change feed."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import context, op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True)
CREDENTIALS = "min_credential IN ('none', 'secret', 'certificate')"
GENESIS = "0" * 64


def upgrade() -> None:
    """Make all tables, and the counter that says this database is a registry."""
    create_policy()
    create_grants()
    create_administration()
    revision_table = create_history()
    epoch = context.config.attributes["epoch"]
    op.bulk_insert(
        revision_table,
        [{"id": 1, "epoch": epoch, "revision": 0, "audit_sequence": 0, "audit_hash": GENESIS}],
    )


def downgrade() -> None:
    """Drop everything, those first that refer to others."""
    for table in (
        "instance", "change", "audit_entry", "revision", "session", "sign_in_link", "admin_key", "operator",
        "role_assignment", "app_role", "resource", "daemon", "tenant", "partner", "issuer",
    ):  # fmt: skip
        op.drop_table(table)


def written() -> tuple[sa.Column, ...]:
    """Return the columns that say who wrote a row."""
    return (
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
    )


def text(name: str, *, nullable: bool = False) -> sa.Column:
    """Return a column of text."""
    return sa.Column(name, sa.String(), nullable=nullable)


def instant(name: str, *, nullable: bool = False) -> sa.Column:
    """Return a column of epoch seconds."""
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def flag(name: str) -> sa.Column:
    """Return a column of true or false."""
    return sa.Column(name, sa.Boolean(), nullable=False)


def document(name: str, *, nullable: bool = False) -> sa.Column:
    """Return a column of JSON."""
    return sa.Column(name, JSON, nullable=nullable)


def refers(table: str, column: str, other: str) -> sa.ForeignKeyConstraint:
    """Return a reference to another table's id."""
    return sa.ForeignKeyConstraint([column], [f"{other}.id"], name=f"fk_{table}_{column}_{other}")


def create_policy() -> None:
    """Make the tables of who is trusted and who is listed."""
    op.create_table(
        "issuer",
        *written(),
        text("id"),
        text("kind"),
        text("authority", nullable=True),
        text("v1_issuer", nullable=True),
        text("v2_issuer", nullable=True),
        text("v1_metadata_url", nullable=True),
        text("issuer", nullable=True),
        text("metadata_url", nullable=True),
        document("jwks", nullable=True),
        document("v1_jwks", nullable=True),
        document("jwks_hosts"),
        document("algorithms"),
        text("client_id_claim", nullable=True),
        document("token_types"),
        flag("allow_private_addresses"),
        flag("insecure_allow_http"),
        sa.PrimaryKeyConstraint("id", name="pk_issuer"),
        sa.UniqueConstraint("authority", name="uq_issuer_authority"),
        sa.UniqueConstraint("issuer", name="uq_issuer_issuer"),
        sa.CheckConstraint("kind IN ('entra', 'oidc')", name=op.f("ck_issuer_kind")),
    )
    op.create_table(
        "partner",
        *written(),
        text("id"),
        text("name"),
        text("state"),
        instant("ends_at", nullable=True),
        document("contacts"),
        text("notes"),
        sa.PrimaryKeyConstraint("id", name="pk_partner"),
        sa.CheckConstraint("state IN ('invited', 'active', 'suspended', 'archived')", name=op.f("ck_partner_state")),
    )
    op.create_index("ix_partner_name", "partner", ["name"])
    op.create_table(
        "tenant",
        *written(),
        text("id"),
        text("issuer"),
        text("partner", nullable=True),
        text("tid", nullable=True),
        text("state"),
        flag("hosted"),
        sa.PrimaryKeyConstraint("id", name="pk_tenant"),
        sa.UniqueConstraint("issuer", "tid", name="uq_tenant_issuer_tid"),
        sa.CheckConstraint("state IN ('active', 'suspended')", name=op.f("ck_tenant_state")),
        sa.CheckConstraint("hosted = (partner IS NULL)", name=op.f("ck_tenant_hosted")),
        refers("tenant", "issuer", "issuer"),
        refers("tenant", "partner", "partner"),
    )
    op.create_index("ix_tenant_partner", "tenant", ["partner"])
    op.create_index("ix_tenant_tid", "tenant", ["tid"])
    without_tid = sa.text("tid IS NULL")
    op.create_index(
        "uq_tenant_issuer_without_tid",
        "tenant",
        ["issuer"],
        unique=True,
        sqlite_where=without_tid,
        postgresql_where=without_tid,
    )
    op.create_table(
        "daemon",
        *written(),
        text("id"),
        text("tenant"),
        text("client_id"),
        text("oid", nullable=True),
        text("subject", nullable=True),
        text("partner", nullable=True),
        text("state"),
        text("min_credential"),
        sa.PrimaryKeyConstraint("id", name="pk_daemon"),
        sa.UniqueConstraint("tenant", "client_id", name="uq_daemon_tenant_client_id"),
        sa.CheckConstraint("state IN ('active', 'suspended')", name=op.f("ck_daemon_state")),
        sa.CheckConstraint(CREDENTIALS, name=op.f("ck_daemon_min_credential")),
        refers("daemon", "tenant", "tenant"),
        refers("daemon", "partner", "partner"),
    )
    op.create_index("ix_daemon_client_id", "daemon", ["client_id"])
    op.create_index("ix_daemon_partner", "daemon", ["partner"])


def create_grants() -> None:
    """Make the tables of what may be called, and by whom."""
    op.create_table(
        "resource",
        *written(),
        text("id"),
        document("audiences"),
        text("app_only"),
        text("token_roles"),
        flag("tenant_wide_roles"),
        text("min_credential"),
        sa.Column("max_lifetime", sa.Integer(), nullable=False),
        sa.Column("clock_skew", sa.Integer(), nullable=False),
        flag("show_reasons"),
        sa.PrimaryKeyConstraint("id", name="pk_resource"),
        sa.CheckConstraint("app_only IN ('strict', 'compatible')", name=op.f("ck_resource_app_only")),
        sa.CheckConstraint("token_roles IN ('ignore', 'intersect')", name=op.f("ck_resource_token_roles")),
        sa.CheckConstraint(CREDENTIALS, name=op.f("ck_resource_min_credential")),
    )
    op.create_table(
        "app_role",
        *written(),
        text("id"),
        text("resource"),
        text("value"),
        text("display_name"),
        sa.PrimaryKeyConstraint("id", name="pk_app_role"),
        sa.UniqueConstraint("resource", "value", name="uq_app_role_resource_value"),
        refers("app_role", "resource", "resource"),
    )
    op.create_table(
        "role_assignment",
        *written(),
        text("id"),
        text("app_role"),
        text("daemon", nullable=True),
        text("tenant", nullable=True),
        instant("not_before", nullable=True),
        instant("expires_at", nullable=True),
        text("granted_by"),
        text("reason"),
        sa.PrimaryKeyConstraint("id", name="pk_role_assignment"),
        sa.CheckConstraint("(daemon IS NULL) <> (tenant IS NULL)", name=op.f("ck_role_assignment_one_subject")),
        refers("role_assignment", "app_role", "app_role"),
        refers("role_assignment", "daemon", "daemon"),
        refers("role_assignment", "tenant", "tenant"),
    )
    for column in ("app_role", "daemon", "tenant"):
        op.create_index(f"ix_role_assignment_{column}", "role_assignment", [column])


def create_administration() -> None:
    """Make the tables of operators and how they sign in."""
    op.create_table(
        "operator",
        *written(),
        text("id"),
        text("name"),
        text("role"),
        text("state"),
        sa.PrimaryKeyConstraint("id", name="pk_operator"),
        sa.CheckConstraint("role IN ('Admin', 'Operator', 'Viewer')", name=op.f("ck_operator_role")),
        sa.CheckConstraint("state IN ('active', 'suspended')", name=op.f("ck_operator_state")),
    )
    op.create_table(
        "admin_key",
        text("id"),
        text("operator"),
        text("name"),
        text("secret_hash"),
        instant("created_at"),
        text("created_by"),
        instant("expires_at"),
        instant("revoked_at", nullable=True),
        instant("last_used_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_admin_key"),
        refers("admin_key", "operator", "operator"),
    )
    op.create_index("ix_admin_key_operator", "admin_key", ["operator"])
    op.create_table(
        "sign_in_link",
        text("id"),
        text("operator"),
        text("code_hash"),
        instant("created_at"),
        text("created_by"),
        instant("expires_at"),
        instant("used_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_sign_in_link"),
        sa.UniqueConstraint("code_hash", name="uq_sign_in_link_code_hash"),
        refers("sign_in_link", "operator", "operator"),
    )
    op.create_table(
        "session",
        text("id"),
        text("operator"),
        text("token_hash"),
        text("scheme"),
        text("admin_key", nullable=True),
        text("address"),
        instant("created_at"),
        instant("seen_at"),
        instant("expires_at"),
        instant("revoked_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_session"),
        sa.UniqueConstraint("token_hash", name="uq_session_token_hash"),
        refers("session", "operator", "operator"),
        refers("session", "admin_key", "admin_key"),
    )
    op.create_index("ix_session_operator", "session", ["operator"])


def create_history() -> sa.Table:
    """Make the tables of what happened and who enforces it; return the counter's."""
    op.create_table(
        "audit_entry",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        instant("at"),
        text("operator"),
        text("scheme"),
        text("address"),
        text("request_id"),
        text("action"),
        text("kind"),
        text("row_id"),
        document("before", nullable=True),
        document("after", nullable=True),
        text("previous_hash"),
        text("hash"),
        sa.PrimaryKeyConstraint("sequence", name="pk_audit_entry"),
    )
    op.create_index("ix_audit_entry_kind_row_id", "audit_entry", ["kind", "row_id"])
    op.create_index("ix_audit_entry_operator", "audit_entry", ["operator"])
    op.create_table(
        "change",
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        text("kind"),
        text("row_id"),
        text("op"),
        document("data", nullable=True),
        sa.Column("v", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("revision", "ordinal", name="pk_change"),
    )
    op.create_table(
        "instance",
        text("id"),
        text("kind"),
        text("version"),
        sa.Column("acknowledged_revision", sa.BigInteger(), nullable=True),
        instant("started_at"),
        instant("seen_at"),
        sa.PrimaryKeyConstraint("id", name="pk_instance"),
    )
    return op.create_table(
        "revision",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        text("epoch"),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("audit_sequence", sa.BigInteger(), nullable=False),
        text("audit_hash"),
        sa.PrimaryKeyConstraint("id", name="pk_revision"),
        sa.CheckConstraint("id = 1", name=op.f("ck_revision_single")),
    )
