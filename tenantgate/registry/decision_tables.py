"""The tables of what gates say of their decisions. Not policy and not audited: the gates write them themselves.

Times are epoch seconds. What is said of a caller comes from verified tokens; no token stands here.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlmodel import Field

from tenantgate.registry.tables import Base, Named

_DROPPED: Final = sa.text("outcome = 'dropped'")
DECISION_FILTERS: Final = ("outcome", "resource", "partner", "tenant", "daemon", "client_id")
"""What decisions are filtered by, each along an index in the order in which they are listed."""


class DecisionCount(Base, table=True):
    """How many decisions of one hour were alike: `feed.sink.Count`, member by member. `key` is a digest of all but the
    hour."""

    __table_args__ = (
        sa.Index(
            "ix_decision_count_strangers",
            "hour",
            "count",
            sqlite_where=sa.text("stranger"),
            postgresql_where=sa.text("stranger"),
        ),
        sa.Index("ix_decision_count_dropped", "hour", sqlite_where=_DROPPED, postgresql_where=_DROPPED),
    )
    hour: int = Field(primary_key=True, sa_type=sa.BigInteger)
    key: str = Field(primary_key=True)
    resource: str
    tenant: str
    client_id: str
    oid: str
    outcome: str
    roles: str
    credential: str
    strength: str
    idtyp: str
    version: str
    lifetime: str
    revision: int = Field(sa_type=sa.BigInteger)
    stranger: bool
    count: int = Field(sa_type=sa.BigInteger)


class Decision(Named, table=True):
    """One decision in full: `feed.sink.Detail`, member by member."""

    __table_args__ = (
        sa.Index("ix_decision_newest", "at", "id"),
        *(sa.Index(f"ix_decision_{name}", name, "at", "id") for name in DECISION_FILTERS),
    )
    at: int = Field(sa_type=sa.BigInteger)
    resource: str
    outcome: str
    detail: str
    revision: int = Field(sa_type=sa.BigInteger)
    roles: str
    would_deny: str
    partner: str
    tenant: str
    daemon: str
    issuer: str
    tid: str
    client_id: str
    oid: str
    credential: str
    strength: str
    idtyp: str
    version: str
    lifetime: int | None = Field(default=None, sa_type=sa.BigInteger)


class AccessRequest(Named, table=True):
    """An authentic caller that is on no list, as one issuer signed it, and what was made of it.

    The id is a digest of resource, issuer, tid and client id: a caller that asks again finds its own row. No foreign
    keys: what a stranger did must not keep anybody from deleting a resource.
    """

    __table_args__ = (
        sa.CheckConstraint("state IN ('open', 'approved', 'dismissed')", name="state"),
        sa.Index("ix_access_request_resource", "resource", "state", "last_seen_at"),
        sa.Index("ix_access_request_tenant", "resource", "issuer", "tid"),
    )
    resource: str
    issuer: str
    tid: str
    client_id: str
    oid: str
    oids_differ: bool
    reason: str
    state: str
    count: int = Field(sa_type=sa.BigInteger)
    first_seen_at: int = Field(sa_type=sa.BigInteger)
    last_seen_at: int = Field(sa_type=sa.BigInteger)
    decided_at: int | None = Field(default=None, sa_type=sa.BigInteger)
    decided_by: str | None = None
    daemon: str | None = None
    version: int = 1


class ObjectIdSighting(Base, table=True):
    """An object id that a daemon to be pinned was granted with."""

    daemon: str = Field(primary_key=True)
    oid: str = Field(primary_key=True)
    first_seen_at: int = Field(sa_type=sa.BigInteger)
