"""What answers look like: who held which role."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from tenantgate.admin.wire import Instant, Listing, Out


class HeldOut(Out):
    """One role that somebody held."""

    assignment: str = Field(description="Id of the role assignment; it may be gone by now.")
    resource: str
    role: str = Field(description="What the API asks for.", examples=["Orders.Read"])
    partner: str | None
    tenant: str
    daemon: str | None = Field(description="Null where all of the tenant's daemons held it.")
    client_id: str | None
    not_before: Instant | None
    expires_at: Instant | None
    granted_by: str = Field(description="Id of the operator.")
    approved_by: str | None = Field(description="Id of the second operator, where the role was sensitive.")
    granted_at: Instant
    reason: str
    counted: bool = Field(
        description="Whether it let anybody in then: not where daemon, tenant or partner was suspended or had ended."
    )


class AccessOut(Listing[HeldOut]):
    """Who held which role at a moment."""

    as_of: Instant = Field(description="The moment. Ask for the next page with the same.")


COLUMNS: Final = tuple(HeldOut.model_fields)
"""Of the table, in order."""
