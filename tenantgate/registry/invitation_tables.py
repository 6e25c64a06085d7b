"""The table of invitations. It is in no change feed: nothing of it lets anybody in."""

from __future__ import annotations

import sqlalchemy as sa
from sqlmodel import Field

from tenantgate.registry.tables import Written


class Invitation(Written, table=True):
    """A link for a partner's developer; `code_hash` is the SHA-256 of its code in hexadecimal.

    `app_roles` are of `resource`, to be granted until `role_ends_at`. `tid` and `client_id` are what the developer
    entered, at `redeemed_at`, from `redeemed_from`: untrusted until an operator approved. `daemon` is what came of it.
    """

    __table_args__ = (
        sa.UniqueConstraint("code_hash"),
        sa.CheckConstraint("state IN ('open', 'redeemed', 'approved', 'rejected', 'revoked')", name="state"),
        sa.Index(None, "partner"),
        sa.Index(None, "state", "expires_at"),
    )
    partner: str = Field(foreign_key="partner.id")
    issuer: str
    resource: str
    app_roles: list[str] = Field(sa_type=sa.JSON(none_as_null=True))
    role_ends_at: int | None = Field(default=None, sa_type=sa.BigInteger)
    reason: str
    code_hash: str
    expires_at: int = Field(sa_type=sa.BigInteger)
    state: str
    tid: str | None = None
    client_id: str | None = None
    redeemed_at: int | None = Field(default=None, sa_type=sa.BigInteger)
    redeemed_from: str | None = None
    decided_by: str | None = None
    decided_at: int | None = Field(default=None, sa_type=sa.BigInteger)
    daemon: str | None = None
