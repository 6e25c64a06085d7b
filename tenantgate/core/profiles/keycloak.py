"""Keycloak: `azp` names the client, `typ` in the payload the kind of token, and roles of the realm come along."""

from __future__ import annotations

from typing import Any, Final

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.profiles.profile import USER_MARKS, Fixed, Profile, Scope

_DEFAULTS: Final = frozenset(("offline_access", "uma_authorization"))
_PROTECTION: Final = "uma_protection"
"""Made for every client with authorization services, and held by its own service account: says nothing of a caller."""


def no_user(payload: dict[str, Any], client: str, sub: str) -> bool | None:
    """A service account is the user `service-account-<client>`; Keycloak writes every user name in small letters."""
    name = payload.get("preferred_username")
    if name is None:  # a client without the scope `profile`
        return None
    return bool(name == f"service-account-{client.lower()}")


def ignored_role(role: str) -> bool:
    """Roles that Keycloak gives to everybody, or to itself."""
    return role in _DEFAULTS or role == _PROTECTION or role.startswith("default-roles-")


KEYCLOAK: Final = Profile(
    name="keycloak",
    client=(("azp",), ("client_id",)),
    no_user=no_user,
    # ID, Refresh, Offline, Logout and DPoP are the others. The header's typ is JWT for most of them.
    fixed=(Fixed(("typ",), ("Bearer",), R.TOKEN_TYPE_NOT_ALLOWED),),
    scope=Scope(("scope",)),
    roles=("realm_access", "roles"),
    ignored_role=ignored_role,
    # Older versions give service accounts an address (`…@placeholder.org`), so an email marks nobody.
    user_marks=USER_MARKS - {"email"},
)
