"""What bodies of changes look like: the members that are to be different. What is left out stays as it is."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from tenantgate.admin.shapes import Contact, Name, Notes, Oid, Reason, Subject, Ticket, arguments
from tenantgate.admin.wire import GivenInstant, In, changes, words
from tenantgate.core.fields import LIST_LENGTH, NAME_LENGTH
from tenantgate.core.policy import CredentialStrength
from tenantgate.registry.operators import OperatorRole


class Change(In):
    """A change. A member that is left out stays as it is; a list is replaced as a whole."""

    def to_members(self) -> dict[str, Any]:
        """Return what the service asks for: the members that were sent."""
        return {name: value for name, value in arguments(self).items() if name in self.model_fields_set}


class PartnerChange(Change):
    """What is to be different of a partner. Its state is changed by routes of its own."""

    model_config = changes(ends_at="2032-01-31T00:00:00Z", contacts=["integration@contoso.example"])
    name: Name = ""
    ends_at: GivenInstant | None = Field(None, description="From then on nothing of it is let in; null: no end.")
    contacts: list[Contact] = Field([], description="Whom to ask.", json_schema_extra={"maxItems": LIST_LENGTH})
    notes: Notes = ""


class TenantChange(Change):
    """What is to be different of a tenant. Issuer, tid and whose it is stay: list another one."""

    model_config = changes(notes="production")
    notes: Notes = ""


class DaemonChange(Change):
    """What is to be different of a daemon. Tenant and client id stay: list another one."""

    model_config = changes(min_credential="certificate")
    oid: Oid = None
    subject: Subject = None
    min_credential: CredentialStrength = Field("none", description="What it must have proved itself with.")
    pin_object_id: bool = Field(False, description="Entra: the object id of its first grant becomes its `oid`.")
    notes: Notes = ""


class RoleAssignmentChange(Change):
    """What is to be different of a role assignment: when it counts, and why. Who has which role stays."""

    model_config = changes(expires_at="2030-12-31T00:00:00Z", ticket="REQ-4712")
    not_before: GivenInstant | None = Field(None, description="Counts from then on; null: from the beginning.")
    expires_at: GivenInstant | None = Field(None, description="Counts until just before then; null: no end.")
    reason: Reason = ""
    ticket: Ticket = ""


class AppRoleChange(Change):
    """What is to be different of an app role. Resource and value stay: define another one."""

    model_config = changes(display_name="Read orders")
    display_name: Annotated[str, words(NAME_LENGTH, "Read orders")] = Field("", description="What people read.")


class OperatorChange(Change):
    """What is to be different of an operator."""

    model_config = changes(role="Viewer")
    name: Name = ""
    role: OperatorRole = Field("Viewer", description="Counts from their next request on.")


class AdminKeyChange(Change):
    """What is to be different of an admin key. What it may, and until when, stay: make another one."""

    model_config = changes(name="import by night")
    name: Name = ""
