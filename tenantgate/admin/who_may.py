"""Who may do what: one table from route to the lowest role that may call it.

It never starts open: where nobody administers yet, every route refuses everybody, and the first key is
made on the machine itself (`tenantgate admin-key create`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tenantgate.registry.errors import InvalidError
from tenantgate.registry.operators import OperatorRole

WHO_MAY: Final[dict[tuple[str, str], OperatorRole]] = {
    # What is trusted to sign and what is protected: the ground everything else stands on.
    ("POST", "/issuers"): "Admin",
    ("GET", "/issuers"): "Viewer",
    ("GET", "/issuers/{id}"): "Viewer",
    ("PATCH", "/issuers/{id}"): "Admin",
    ("POST", "/issuers/{id}/delete"): "Admin",
    ("GET", "/issuers/{id}/health"): "Viewer",
    # By ways that only an Admin may list an issuer with, it is for Admins (`issuers.probe_issuer`).
    ("POST", "/issuers/probe"): "Operator",
    # Shutting a stolen key out is daily work, as suspending is; letting it in again is not.
    ("POST", "/issuers/{id}/distrust-key"): "Operator",
    ("POST", "/issuers/{id}/trust-key"): "Admin",
    ("POST", "/resources"): "Admin",
    ("GET", "/resources"): "Viewer",
    ("GET", "/resources/{id}"): "Viewer",
    ("PATCH", "/resources/{id}"): "Admin",
    ("POST", "/resources/{id}/delete"): "Admin",
    ("POST", "/app-roles"): "Admin",
    ("GET", "/app-roles"): "Viewer",
    ("GET", "/app-roles/{id}"): "Viewer",
    ("PATCH", "/app-roles/{id}"): "Admin",
    ("POST", "/app-roles/{id}/delete"): "Admin",
    # To ask for two where one was enough is daily work; to be content with one again is not.
    ("POST", "/app-roles/{id}/mark-sensitive"): "Operator",
    ("POST", "/app-roles/{id}/unmark-sensitive"): "Admin",
    ("POST", "/role-mappings"): "Admin",
    ("GET", "/role-mappings"): "Viewer",
    ("GET", "/role-mappings/{id}"): "Viewer",
    ("POST", "/role-mappings/{id}/delete"): "Admin",
    # Partners and what is theirs: the daily work.
    ("POST", "/partners"): "Operator",
    ("GET", "/partners"): "Viewer",
    ("GET", "/partners/{id}"): "Viewer",
    ("PATCH", "/partners/{id}"): "Operator",
    ("POST", "/partners/suspend"): "Operator",
    ("POST", "/partners/activate"): "Operator",
    ("POST", "/partners/{id}/suspend"): "Operator",
    ("POST", "/partners/{id}/activate"): "Operator",
    ("POST", "/partners/{id}/archive"): "Operator",
    ("POST", "/imports"): "Operator",
    ("GET", "/imports"): "Viewer",
    ("GET", "/imports/{id}"): "Viewer",
    ("GET", "/imports/{id}/lines"): "Viewer",
    ("POST", "/tenants"): "Operator",
    ("GET", "/tenants"): "Viewer",
    ("GET", "/tenants/{id}"): "Viewer",
    ("PATCH", "/tenants/{id}"): "Operator",
    ("POST", "/tenants/{id}/delete"): "Operator",
    ("POST", "/tenants/suspend"): "Operator",
    ("POST", "/tenants/activate"): "Operator",
    ("POST", "/tenants/{id}/suspend"): "Operator",
    ("POST", "/tenants/{id}/activate"): "Operator",
    ("POST", "/daemons"): "Operator",
    ("GET", "/daemons"): "Viewer",
    ("GET", "/daemons/{id}"): "Viewer",
    ("PATCH", "/daemons/{id}"): "Operator",
    ("POST", "/daemons/{id}/delete"): "Operator",
    ("POST", "/daemons/suspend"): "Operator",
    ("POST", "/daemons/activate"): "Operator",
    ("POST", "/daemons/{id}/suspend"): "Operator",
    ("POST", "/daemons/{id}/activate"): "Operator",
    ("POST", "/client-certificates"): "Operator",
    ("GET", "/client-certificates"): "Viewer",
    ("GET", "/client-certificates/{id}"): "Viewer",
    ("POST", "/client-certificates/{id}/suspend"): "Operator",
    ("POST", "/client-certificates/{id}/activate"): "Operator",
    ("POST", "/client-certificates/{id}/revoke"): "Operator",
    ("POST", "/subscription-keys"): "Operator",
    ("GET", "/subscription-keys"): "Viewer",
    ("GET", "/subscription-keys/{id}"): "Viewer",
    ("POST", "/subscription-keys/{id}/rotate"): "Operator",
    ("POST", "/subscription-keys/{id}/revoke"): "Operator",
    ("POST", "/role-assignments"): "Operator",
    ("GET", "/role-assignments"): "Viewer",
    ("GET", "/role-assignments/{id}"): "Viewer",
    ("PATCH", "/role-assignments/{id}"): "Operator",
    ("POST", "/role-assignments/{id}/revoke"): "Operator",
    ("POST", "/invitations"): "Operator",
    ("GET", "/invitations"): "Viewer",
    ("GET", "/invitations/{id}"): "Viewer",
    ("POST", "/invitations/{id}/approve"): "Operator",
    ("POST", "/invitations/{id}/reject"): "Operator",
    ("POST", "/invitations/{id}/revoke"): "Operator",
    ("POST", "/pending-grants"): "Operator",
    ("GET", "/pending-grants"): "Viewer",
    ("GET", "/pending-grants/{id}"): "Viewer",
    ("POST", "/pending-grants/{id}/approve"): "Operator",
    ("POST", "/pending-grants/{id}/reject"): "Operator",
    ("POST", "/pending-grants/{id}/withdraw"): "Operator",
    # Who administers.
    ("POST", "/operators"): "Admin",
    ("GET", "/operators"): "Viewer",
    ("GET", "/operators/{id}"): "Viewer",
    ("PATCH", "/operators/{id}"): "Admin",
    ("POST", "/operators/{id}/suspend"): "Admin",
    ("POST", "/operators/{id}/activate"): "Admin",
    ("POST", "/operators/{id}/identities"): "Admin",
    ("GET", "/operators/{id}/identities"): "Viewer",
    ("POST", "/operators/{id}/unlink-identity"): "Admin",
    ("POST", "/admin-keys"): "Admin",
    ("GET", "/admin-keys"): "Admin",
    ("GET", "/admin-keys/{id}"): "Admin",
    ("PATCH", "/admin-keys/{id}"): "Admin",
    ("POST", "/admin-keys/{id}/revoke"): "Admin",
    # What happened, and what is in force.
    ("GET", "/access-requests"): "Viewer",
    ("GET", "/access-requests/{id}"): "Viewer",
    ("POST", "/access-requests/{id}/approve"): "Operator",
    ("POST", "/access-requests/{id}/dismiss"): "Operator",
    ("POST", "/access-requests/{id}/reopen"): "Operator",
    ("POST", "/explain"): "Operator",
    ("GET", "/attention"): "Viewer",
    ("GET", "/access"): "Viewer",
    ("GET", "/audit"): "Viewer",
    ("GET", "/audit/export"): "Viewer",
    ("GET", "/decisions"): "Viewer",
    ("GET", "/decisions/counts"): "Viewer",
    ("GET", "/decisions/{id}"): "Viewer",
    ("GET", "/instances"): "Viewer",
    ("GET", "/instances/{id}"): "Viewer",
    ("GET", "/policy"): "Viewer",
    ("GET", "/me"): "Viewer",
}
"""Method and path (below /api/v1) → the lowest role. A route that is not here cannot be built."""

EVERYBODYS: Final = "me"
SCOPES: Final = tuple(sorted({path.split("/")[1] for _, path in WHO_MAY} - {EVERYBODYS}))
"""What a key can be for: the first word of a route's path. Every key may ask who it is."""


def known_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    """Return scopes that are some.

    Raises:
        InvalidError: `scope_unknown`.
    """
    found = tuple(scopes)
    for place, scope in enumerate(found):
        if scope not in SCOPES:
            raise InvalidError("scope_unknown", f"must be one of {', '.join(SCOPES)}", field=f"scopes[{place}]")
    return found
