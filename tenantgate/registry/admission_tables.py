"""Tables of who is let in to administer: linked identities, and how much each operator has asked of late."""

from __future__ import annotations

import sqlalchemy as sa
from sqlmodel import Field

from tenantgate.registry.tables import Base, Named


class OperatorIdentity(Named, table=True):
    """Somebody at an issuer of administrators' tokens who is an operator here: `tid` and `oid`, or `sub`.

    No name and no address is in it: those can be changed by the ones they name.
    """

    __table_args__ = (
        # NULLs never clash in a unique constraint: each of the two is about its own kind of issuer.
        sa.UniqueConstraint("issuer", "tid", "oid"),
        sa.UniqueConstraint("issuer", "sub"),
        sa.CheckConstraint("(tid IS NULL) = (oid IS NULL) AND (oid IS NULL) <> (sub IS NULL)", name="one_subject"),
        sa.Index(None, "operator"),
    )
    operator: str = Field(foreign_key="operator.id")
    issuer: str
    tid: str | None = None
    oid: str | None = None
    sub: str | None = None
    created_at: int = Field(sa_type=sa.BigInteger)
    created_by: str


class RateBucket(Base, table=True):
    """What is left of an operator's requests, for all servers together (PostgreSQL). No history, no audit.

    `filled_at` is epoch seconds of the database's clock.
    """

    operator: str = Field(primary_key=True)
    left: float
    filled_at: float
