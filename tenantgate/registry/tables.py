"""The tables. Policy tables mirror the row structs of `core.policy` member by member, and add who wrote them.

Ids are slugs. Times are epoch seconds. Lists and key sets are JSON. Nothing here holds a secret: of
keys, codes and session ids only a SHA-256 is stored. A change here needs a migration in `alembic/`
(a test compares) and, where a struct changed, a look at `rows.py`.
"""

from __future__ import annotations

import re
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import orm
from sqlmodel import Field, SQLModel

SCHEMA_REVISION: Final = "0019"
"""The newest migration this code was written for; `migrations.require_known_schema` asks for it."""

_NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
_PINNED_BY_US: Final = sa.text("pin_object_id")
_JSON: Final = sa.JSON(none_as_null=True)


def _later(server_default: Any, **options: Any) -> Any:
    """Return a column that a later migration added, with the value that rows of before have."""
    return Field(sa_column_kwargs={"server_default": server_default}, **options)


class Base(SQLModel, registry=orm.registry(metadata=sa.MetaData(naming_convention=_NAMING))):
    """What all tables share: their own metadata, names in snake case."""

    @orm.declared_attr.directive
    def __tablename__(cls) -> str:  # noqa: N805 (a class, says declared_attr)
        """Return the class's name in snake case."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()


class Named(Base):
    """A row with an id that people and addresses use."""

    id: str = Field(primary_key=True)


class Written(Named):
    """Who wrote a row and when. `version` counts the changes, from 1 or where an earlier row of the same id ended."""

    created_at: int = Field(sa_type=sa.BigInteger)
    created_by: str
    updated_at: int = Field(sa_type=sa.BigInteger)
    version: int = 1


class Issuer(Written, table=True):
    """`core.policy.IssuerRow`."""

    __table_args__ = (
        sa.UniqueConstraint("authority"),
        sa.UniqueConstraint("issuer"),
        sa.CheckConstraint("kind IN ('entra', 'oidc')", name="kind"),
    )
    kind: str
    authority: str | None = None
    v1_issuer: str | None = None
    v2_issuer: str | None = None
    v1_metadata_url: str | None = None
    issuer: str | None = None
    metadata_url: str | None = None
    jwks: dict[str, Any] | None = Field(default=None, sa_type=_JSON)
    v1_jwks: dict[str, Any] | None = Field(default=None, sa_type=_JSON)
    jwks_hosts: list[str] = Field(sa_type=_JSON)
    algorithms: list[str] = Field(sa_type=_JSON)
    profile: str = Field(sa_column_kwargs={"server_default": "standard"})
    client_id_claim: str | None = None
    roles_claim: str | None = None
    subject_pin: bool | None = None
    token_types: list[str] = Field(sa_type=_JSON)
    allow_private_addresses: bool
    insecure_allow_http: bool
    distrusted_keys: list[str] = Field(sa_type=_JSON, sa_column_kwargs={"server_default": "[]"})
    max_key_age: int | None = None
    ca_bundle: str | None = None
    proxy: str | None = None


class Partner(Written, table=True):
    """`core.policy.PartnerRow`, with whom to ask and what to remember."""

    __table_args__ = (
        sa.CheckConstraint("state IN ('invited', 'active', 'suspended', 'archived')", name="state"),
        sa.Index(None, "name"),
    )
    name: str
    state: str
    ends_at: int | None = Field(default=None, sa_type=sa.BigInteger)
    contacts: list[str] = Field(sa_type=_JSON)
    notes: str


class Tenant(Written, table=True):
    """`core.policy.TenantRow`."""

    __table_args__ = (
        sa.UniqueConstraint("issuer", "tid"),
        # NULLs never clash in a unique constraint, but an OIDC issuer has exactly one tenant.
        sa.Index(
            "uq_tenant_issuer_without_tid",
            "issuer",
            unique=True,
            sqlite_where=sa.text("tid IS NULL"),
            postgresql_where=sa.text("tid IS NULL"),
        ),
        sa.CheckConstraint("state IN ('active', 'suspended')", name="state"),
        sa.CheckConstraint("hosted = (partner IS NULL)", name="hosted"),
        sa.Index(None, "partner"),
        sa.Index(None, "tid"),
    )
    issuer: str = Field(foreign_key="issuer.id")
    partner: str | None = Field(default=None, foreign_key="partner.id")
    tid: str | None = None
    state: str
    hosted: bool
    notes: str = _later("", default="")


class Daemon(Written, table=True):
    """`core.policy.DaemonRow`, and whether the object id of its first grant is to become its `oid`."""

    __table_args__ = (
        sa.UniqueConstraint("tenant", "client_id"),
        sa.CheckConstraint("state IN ('active', 'suspended')", name="state"),
        sa.CheckConstraint("min_credential IN ('none', 'secret', 'certificate')", name="min_credential"),
        sa.Index(None, "client_id"),
        sa.Index(None, "partner"),
        sa.Index(
            "ix_daemon_pin_object_id", "tenant", "client_id", sqlite_where=_PINNED_BY_US, postgresql_where=_PINNED_BY_US
        ),
    )
    tenant: str = Field(foreign_key="tenant.id")
    client_id: str
    oid: str | None = None
    subject: str | None = None
    partner: str | None = Field(default=None, foreign_key="partner.id")
    state: str
    min_credential: str
    pin_object_id: bool = _later(sa.false(), default=False)
    notes: str = _later("", default="")


class Resource(Written, table=True):
    """`core.policy.ResourceRow`, and whether its gates note callers that are on no list.

    Columns with a server default came later: rows of before have its value.
    """

    __table_args__ = (
        sa.CheckConstraint("app_only IN ('strict', 'compatible')", name="app_only"),
        sa.CheckConstraint("token_roles IN ('ignore', 'intersect')", name="token_roles"),
        sa.CheckConstraint("min_credential IN ('none', 'secret', 'certificate')", name="min_credential"),
    )
    audiences: list[str] = Field(sa_type=_JSON)
    app_only: str
    agent_identities: bool = _later(sa.false())
    token_roles: str
    tenant_wide_roles: bool
    min_credential: str
    max_lifetime: int
    clock_skew: int
    issuers: list[str] = _later("[]", sa_type=_JSON)
    clients: list[str] = _later("[]", sa_type=_JSON)
    token_versions: list[str] = _later("[]", sa_type=_JSON)
    required_claims: list[dict[str, Any]] = _later("[]", sa_type=_JSON)
    addresses: list[str] = _later("[]", sa_type=_JSON)
    report_only: list[dict[str, Any]] = _later("[]", sa_type=_JSON)
    signing_keys_appid: str | None = None
    token_header: str | None = None
    token_query: str | None = None
    token_scheme: str = _later("Bearer")
    failure_status: int | None = None
    failure_message: str | None = None
    show_reasons: bool
    access_requests: bool = _later(sa.false(), default=False)


class AppRole(Written, table=True):
    """`core.policy.AppRoleRow`, with the name people read. To grant a `sensitive` one takes two operators."""

    __table_args__ = (sa.UniqueConstraint("resource", "value"),)
    resource: str = Field(foreign_key="resource.id")
    value: str
    display_name: str
    sensitive: bool = _later(sa.false(), default=False)


class RoleAssignment(Written, table=True):
    """`core.policy.RoleAssignmentRow`, with who granted it and why. A revoked one is deleted; the audit keeps it."""

    __table_args__ = (
        sa.CheckConstraint("(daemon IS NULL) <> (tenant IS NULL)", name="one_subject"),
        sa.Index(None, "app_role"),
        sa.Index(None, "daemon"),
        sa.Index(None, "tenant"),
    )
    app_role: str = Field(foreign_key="app_role.id")
    daemon: str | None = Field(default=None, foreign_key="daemon.id")
    tenant: str | None = Field(default=None, foreign_key="tenant.id")
    not_before: int | None = Field(default=None, sa_type=sa.BigInteger)
    expires_at: int | None = Field(default=None, sa_type=sa.BigInteger)
    granted_by: str
    approved_by: str | None = None
    reason: str
    ticket: str = _later("", default="")


class RoleMapping(Written, table=True):
    """`core.policy.RoleMappingRow`. A deleted one is gone; the audit keeps it."""

    __table_args__ = (sa.UniqueConstraint("issuer", "app_role", "claim", "value"), sa.Index(None, "app_role"))
    issuer: str = Field(foreign_key="issuer.id")
    claim: str
    value: str
    app_role: str = Field(foreign_key="app_role.id")


class Revision(Base, table=True):
    """One row: which epoch and revision the policy is at, the head of the audit chain, and who may go on with it.

    `oldest_compatible` names the oldest schema whose code may work with this database (written by migrations alone);
    `supersedes` holds the epochs that this one took the place of (`registry.adoption`). `revised_at` is when the
    revision was made, in epoch milliseconds by the database's own clock.
    """

    __table_args__ = (sa.CheckConstraint("id = 1", name="single"),)
    id: int = Field(primary_key=True)
    epoch: str
    revision: int = Field(sa_type=sa.BigInteger)
    audit_sequence: int = Field(sa_type=sa.BigInteger)
    audit_hash: str
    oldest_compatible: str = _later("0005", default="0005")
    supersedes: list[str] = _later("[]", default_factory=list, sa_type=_JSON)
    revised_at: int | None = Field(default=None, sa_type=sa.BigInteger)


class Change(Base, table=True):
    """The change feed: what a revision changed, as `core.policy.Row`s in the order to apply them."""

    revision: int = Field(primary_key=True, sa_type=sa.BigInteger)
    ordinal: int = Field(primary_key=True)
    kind: str
    row_id: str
    op: str
    data: dict[str, Any] | None = Field(default=None, sa_type=_JSON)
    v: int


class AuditEntry(Base, table=True):
    """One thing done by somebody. `hash` is over everything else in the entry, `previous_hash` included."""

    __table_args__ = (
        sa.Index("ix_audit_entry_of_row", "kind", "row_id", "sequence", "at"),
        sa.Index("ix_audit_entry_of_kind", "kind", "sequence"),
        sa.Index("ix_audit_entry_of_operator", "operator", "sequence"),
    )
    sequence: int = Field(primary_key=True, sa_type=sa.BigInteger)
    revision: int = Field(sa_type=sa.BigInteger)
    at: int = Field(sa_type=sa.BigInteger)
    operator: str
    scheme: str
    address: str
    request_id: str
    action: str
    kind: str
    row_id: str
    before: dict[str, Any] | None = Field(default=None, sa_type=_JSON)
    after: dict[str, Any] | None = Field(default=None, sa_type=_JSON)
    previous_hash: str
    hash: str


class Operator(Written, table=True):
    """A person or automation that administers."""

    __table_args__ = (
        sa.CheckConstraint("role IN ('Admin', 'Operator', 'Viewer')", name="role"),
        sa.CheckConstraint("state IN ('active', 'suspended')", name="state"),
    )
    name: str
    role: str
    state: str


class AdminKey(Named, table=True):
    """A key of an operator's, `tg_<id>_<secret>`; `secret_hash` is the SHA-256 of the secret in hexadecimal.

    `role` is the most it may do, None for all that its operator may; `scopes` is where, nothing for everywhere. Of a
    key with either, the hash is over both as well.
    """

    __table_args__ = (sa.Index(None, "operator"),)
    operator: str = Field(foreign_key="operator.id")
    name: str
    secret_hash: str
    created_at: int = Field(sa_type=sa.BigInteger)
    created_by: str
    expires_at: int = Field(sa_type=sa.BigInteger)
    revoked_at: int | None = Field(default=None, sa_type=sa.BigInteger)
    last_used_at: int | None = Field(default=None, sa_type=sa.BigInteger)
    role: str | None = None
    scopes: list[str] = _later("[]", sa_type=_JSON)
    version: int = _later("1", default=1)


class SignInLink(Named, table=True):
    """A single-use code that signs an operator in; `code_hash` is its SHA-256 in hexadecimal."""

    __table_args__ = (sa.UniqueConstraint("code_hash"),)
    operator: str = Field(foreign_key="operator.id")
    code_hash: str
    created_at: int = Field(sa_type=sa.BigInteger)
    created_by: str
    expires_at: int = Field(sa_type=sa.BigInteger)
    used_at: int | None = Field(default=None, sa_type=sa.BigInteger)


class Session(Named, table=True):
    """An operator signed in on the page; `token_hash` is the SHA-256 of what the cookie holds."""

    __table_args__ = (sa.UniqueConstraint("token_hash"), sa.Index(None, "operator"))
    operator: str = Field(foreign_key="operator.id")
    token_hash: str
    scheme: str
    admin_key: str | None = Field(default=None, foreign_key="admin_key.id")
    address: str
    created_at: int = Field(sa_type=sa.BigInteger)
    seen_at: int = Field(sa_type=sa.BigInteger)
    expires_at: int = Field(sa_type=sa.BigInteger)
    revoked_at: int | None = Field(default=None, sa_type=sa.BigInteger)


class Instance(Named, table=True):
    """A process that enforces the policy, and the revision it said it enforces.

    One that does not follow this database says why (`refuses`), and which epoch and revision it holds instead. When it
    first came (`registered_at`) and when it said what it enforces (`acknowledged_at`) are epoch milliseconds by the
    database's own clock; the other times are seconds by the process's.
    """

    kind: str
    version: str
    acknowledged_revision: int | None = Field(default=None, sa_type=sa.BigInteger)
    refuses: str | None = None
    held_epoch: str | None = None
    held_revision: int | None = Field(default=None, sa_type=sa.BigInteger)
    registered_at: int | None = Field(default=None, sa_type=sa.BigInteger)
    acknowledged_at: int | None = Field(default=None, sa_type=sa.BigInteger)
    started_at: int = Field(sa_type=sa.BigInteger)
    seen_at: int = Field(sa_type=sa.BigInteger)


class IssuerHealth(Base, table=True):
    """How one key set of an issuer is doing in one instance, as it last said. `appid` is empty for the shared one."""

    instance: str = Field(primary_key=True)
    issuer: str = Field(primary_key=True)
    document: str = Field(primary_key=True)
    appid: str = Field(primary_key=True)
    reported_at: int = Field(sa_type=sa.BigInteger)
    facts: dict[str, Any] = Field(sa_type=_JSON)
