"""Any OpenID provider or OAuth server that is none of the makes we know: the default."""

from __future__ import annotations

from typing import Any, Final

from tenantgate.core.profiles.profile import Profile


def no_user(payload: dict[str, Any], client: str, sub: str) -> bool | None:
    """RFC 9068 §2.2: with client credentials `sub` is the client. The other forms are Auth0's and Keycloak's."""
    proved = (
        sub in (client, f"{client}@clients")
        or payload.get("preferred_username") == f"service-account-{client}"
        or payload.get("gty") == "client-credentials"
    )
    return True if proved else None


STANDARD: Final = Profile(name="standard", client=(("client_id",), ("azp",)), no_user=no_user)
