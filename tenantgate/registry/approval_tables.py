"""The table of what a second operator is asked to approve. It is in no change feed: nothing of it lets anybody in."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlmodel import Field

from tenantgate.registry.tables import Written


class PendingGrant(Written, table=True):
    """A sensitive role that was asked for: a new assignment, or another window of one that is there (`widen`).

    It refers to nothing by foreign key: what was decided stays to be read when role and daemon are gone. `asked` is
    what role and subject were when it was asked; approved is that and nothing else. `assignment` is the id that a new
    one was asked to have, or got; or that of the one to widen. Until `open_until` (exclusive) it may be decided.
    """

    __table_args__ = (
        sa.CheckConstraint("kind IN ('grant', 'widen')", name="kind"),
        sa.CheckConstraint("state IN ('open', 'approved', 'rejected', 'withdrawn')", name="state"),
        sa.CheckConstraint("(daemon IS NULL) <> (tenant IS NULL)", name="one_subject"),
        sa.Index(None, "state", "open_until"),
        sa.Index(None, "app_role"),
    )
    kind: str
    app_role: str
    daemon: str | None = None
    tenant: str | None = None
    not_before: int | None = Field(default=None, sa_type=sa.BigInteger)
    expires_at: int | None = Field(default=None, sa_type=sa.BigInteger)
    reason: str
    ticket: str = Field(default="", sa_column_kwargs={"server_default": ""})
    assignment: str | None = None
    asked: dict[str, Any] = Field(sa_type=sa.JSON(none_as_null=True))
    scheme: str
    state: str
    open_until: int = Field(sa_type=sa.BigInteger)
    decided_by: str | None = None
    decided_scheme: str | None = None
    decided_at: int | None = Field(default=None, sa_type=sa.BigInteger)
