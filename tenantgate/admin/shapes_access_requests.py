"""What bodies and answers about access requests look like."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tenantgate.admin.shapes import AppRoleId, PartnerId, PartnerIn, Reason
from tenantgate.admin.wire import GivenInstant, In, Instant, Out, example, words
from tenantgate.core.fields import IDENTITY_LENGTH, LIST_LENGTH
from tenantgate.registry.access_requests import ApprovalSpec
from tenantgate.registry.errors import InvalidError

AccessRequestState = Literal["open", "approved", "dismissed"]
Seen = Annotated[str, words(IDENTITY_LENGTH)] | None


class AccessRequestOut(Out):
    """An authentic caller that is on no list. What its token said is what its issuer signed, no more."""

    id: str
    resource: str
    issuer: str
    tid: str = Field(description="Of its directory (Entra); else empty.")
    client_id: str
    oid: str = Field(description="Entra's object id; another issuer's `sub`. The first one seen.")
    oids_differ: bool = Field(description="Whether callers with another one asked as well.")
    reason: str = Field(description="Why it was refused last.", examples=["tenant_not_listed"])
    state: AccessRequestState
    count: int = Field(description="How often it asked.")
    first_seen_at: Instant
    last_seen_at: Instant
    decided_at: Instant | None
    decided_by: str | None
    daemon: str | None = Field(description="Id of the daemon it was listed as.")
    version: int


class ApprovalIn(In):
    """What the caller gets: of a partner that is there, or of a new one."""

    model_config = example(
        new_partner={"id": "fabrikam", "name": "Fabrikam"},
        app_roles=["orders-read"],
        expires_at="2031-01-31T00:00:00Z",
        reason="contract 4712",
        oid="dddddddd-1111-4222-8333-444444444444",
    )
    partner: PartnerId | None = Field(None, description="Whose it is, where the partner is there.")
    new_partner: PartnerIn | None = Field(None, description="Or the partner to be made.")
    app_roles: list[AppRoleId] = Field([], description="What it may do.", json_schema_extra={"maxItems": LIST_LENGTH})
    expires_at: GivenInstant | None = Field(None, description="Until when; exclusive.")
    reason: Reason = ""
    pin: bool = Field(True, description="Only the object id, or `sub`, that asked may come in.")
    oid: Seen = Field(None, description="As it was shown: refused where the request stands for another one by now.")
    tid: Seen = Field(None, description="The same of its directory (empty where it has none).")
    client_id: Seen = Field(None, description="The same of its client id.")

    def to_spec(self) -> ApprovalSpec:
        """Return what the service asks for.

        Raises:
            InvalidError: neither or both partners are named.
        """
        if (self.partner is None) is (self.new_partner is None):
            code = "member_missing" if self.partner is None else "member_not_allowed"
            raise InvalidError(code, "name a `partner`, or give a `new_partner`", field="partner")
        whose = self.new_partner.to_spec() if self.new_partner is not None else self.partner
        assert whose is not None
        return ApprovalSpec(
            partner=whose,
            app_roles=tuple(self.app_roles),
            expires_at=self.expires_at,
            reason=self.reason,
            pin=self.pin,
            oid=self.oid,
            tid=self.tid,
            client_id=self.client_id,
        )
