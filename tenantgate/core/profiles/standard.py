"""Any OpenID provider or OAuth server that is none of the makes we know: the default."""

from __future__ import annotations

from typing import Any, Final

from tenantgate.core.profiles.profile import Profile


def no_user(payload: dict[str, Any], client: str, sub: str) -> bool | None:
    """RFC 9068 §2.2: with client credentials `sub` is the client. The other forms are Auth0's.

    Keycloak's user name `service-account-<client>` proves nothing here: elsewhere people choose their names.
    """
    return True if sub in (client, f"{client}@clients") or payload.get("gty") == "client-credentials" else None


STANDARD: Final = Profile(name="standard", client=(("client_id",), ("azp",)), no_user=no_user)
