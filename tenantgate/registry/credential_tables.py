"""The tables of the two other credentials that a daemon may hold: client certificates and subscription keys.

Stored and audited. They are in no change feed: a gate that does not know their kind would refuse the whole feed.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlmodel import Field

from tenantgate.registry.tables import Named, Written


class ClientCertificate(Written, table=True):
    """A certificate of a daemon's. Thumbprints are SHA-256 in hexadecimal; names and serial are for people alone.

    `not_before` and `not_after` are the certificate's own, both inclusive (RFC 5280 §4.1.2.5).
    """

    __table_args__ = (
        sa.UniqueConstraint("thumbprint"),
        sa.CheckConstraint("state IN ('active', 'suspended', 'revoked')", name="state"),
        sa.Index(None, "daemon"),
        sa.Index(None, "spki_thumbprint"),
        sa.Index(None, "not_after"),
    )
    daemon: str = Field(foreign_key="daemon.id")
    name: str
    thumbprint: str
    spki_thumbprint: str
    subject: str
    issuer_name: str
    serial: str
    not_before: int = Field(sa_type=sa.BigInteger)
    not_after: int = Field(sa_type=sa.BigInteger)
    state: str


class SubscriptionKey(Named, table=True):
    """A key of a daemon's, `tgs_<id>_<secret>`; `secret_hash` is the SHA-256 of the secret in hexadecimal."""

    __table_args__ = (sa.Index(None, "daemon"), sa.Index(None, "expires_at"))
    daemon: str = Field(foreign_key="daemon.id")
    name: str
    secret_hash: str
    created_at: int = Field(sa_type=sa.BigInteger)
    created_by: str
    expires_at: int = Field(sa_type=sa.BigInteger)
    revoked_at: int | None = Field(default=None, sa_type=sa.BigInteger)
