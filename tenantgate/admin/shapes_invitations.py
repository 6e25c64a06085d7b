"""What bodies and answers look like: invitations."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tenantgate.admin.shapes import AppRoleId, IssuerId, NewId, PartnerId, Reason, ResourceId, Written, arguments
from tenantgate.admin.wire import GivenInstant, In, Instant, Out, example
from tenantgate.core.fields import LIST_LENGTH
from tenantgate.registry.invitation_tables import Invitation
from tenantgate.registry.invitations import InvitationSpec, NewInvitation
from tenantgate.registry.invited import Gives
from tenantgate.registry.onboarding import Onboarded
from tenantgate.registry.tables import AppRole

How = Literal["invitation", "tenant", "mapping"]
InvitationState = Literal["open", "redeemed", "approved", "rejected", "revoked"]


def invitation_address(public_url: str, code: str) -> str:
    """Return the link with which a partner's developer redeems an invitation.

    The code stands in the fragment: browsers send it to no server, so it is in no log. The page puts it into a form,
    and a person presses the button: a mail scanner that opens links uses up nothing.
    """
    return f"{public_url}/invitation#code={code}"


class InvitationIn(In):
    """A link for a partner's developer. It leads to a page that asks for the daemon; nothing is granted by it."""

    model_config = example(
        partner="contoso",
        issuer="entra",
        resource="orders",
        app_roles=["orders-read"],
        expires_at="2027-01-31T00:00:00Z",
        reason="contract 4711",
    )
    id: NewId = None
    partner: PartnerId
    issuer: IssuerId
    resource: ResourceId
    app_roles: list[AppRoleId] = Field(
        description="Roles of the resource, to be granted when it is approved.",
        json_schema_extra={"minItems": 1, "maxItems": LIST_LENGTH},
    )
    expires_at: GivenInstant | None = Field(
        None, description="Redeemable until just before then; a week where it is left out, 90 days at most."
    )
    role_ends_at: GivenInstant | None = Field(None, description="The roles count until just before then.")
    reason: Reason = ""

    def to_spec(self) -> InvitationSpec:
        """Return what the service asks for."""
        return InvitationSpec(**arguments(self))


class InvitationOut(Written):
    """An invitation; never its code. Whether it has expired is judged by `expires_at` and the time."""

    partner: str
    issuer: str
    resource: str
    app_roles: list[str]
    role_ends_at: Instant | None
    reason: str
    expires_at: Instant
    state: InvitationState
    tid: str | None = Field(description="What the developer entered. Ask the partner whether it is theirs.")
    client_id: str | None = Field(description="What the developer entered.")
    redeemed_at: Instant | None
    redeemed_from: str | None = Field(description="The address it was entered from.")
    decided_by: str | None
    decided_at: Instant | None
    daemon: str | None = Field(description="What came of it.")


class GivenRole(Out):
    """A role that an approval gives the daemon."""

    id: str
    resource: str
    value: str
    sensitive: bool = Field(description="It waits for a second operator, where it is the invitation's own.")
    how: How = Field(
        description="By the invitation; as any listed daemon of the tenant has it; or if the daemon's tokens say so."
    )

    @classmethod
    def of(cls, role: AppRole, how: How) -> GivenRole:
        """Return what is shown of one."""
        return cls(id=role.id, resource=role.resource, value=role.value, sensitive=role.sensitive, how=how)


class InvitationShown(InvitationOut):
    """One of them, and what to know before it is approved."""

    gives: list[GivenRole] = Field(description="What an approval gives; nothing where it is decided.")
    warnings: list[str] = Field(description="What else happens then, or keeps it from being approved.")

    @classmethod
    def of(cls, row: Invitation, gives: Gives) -> InvitationShown:
        """Return what is shown of one."""
        by_how: dict[How, tuple[AppRole, ...]] = {
            "invitation": gives.roles,
            "tenant": gives.wide,
            "mapping": gives.mapped,
        }
        roles = [GivenRole.of(role, how) for how, found in by_how.items() for role in found]
        return cls(**dict(InvitationOut.model_validate(row)), gives=roles, warnings=list(gives.warnings))


class NewInvitationOut(InvitationOut):
    """An invitation just made. Send `url` now: its code is stored nowhere and never shown again."""

    url: str = Field(description="For the partner's developer, by a way that is theirs alone.", repr=False)

    @classmethod
    def of(cls, made: NewInvitation, public_url: str) -> NewInvitationOut:
        """Return what is shown, once."""
        shown = InvitationOut.model_validate(made.row)
        return cls(**dict(shown), url=invitation_address(public_url, made.code))


class ApprovedInvitationOut(Out):
    """What an approval made."""

    invitation: InvitationOut
    partner: str
    tenant: str
    daemon: str
    role_assignments: list[str] = Field(description="Ids of what was granted.")
    pending_grants: list[str] = Field(description="Ids of what waits for a second operator, being sensitive.")

    @classmethod
    def of(cls, row: Invitation, done: Onboarded) -> ApprovedInvitationOut:
        """Return what is shown."""
        return cls(
            invitation=InvitationOut.model_validate(row),
            partner=done.partner.id,
            tenant=done.tenant.id,
            daemon=done.daemon.id,
            role_assignments=[each.id for each in done.assignments],
            pending_grants=[each.id for each in done.pending],
        )
