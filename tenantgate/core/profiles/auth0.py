"""Auth0, both of its token profiles: `azp` and `gty` in its own, `client_id` in that of RFC 9068."""

from __future__ import annotations

from typing import Any, Final

from tenantgate.core.profiles.profile import Profile, Scope


def no_user(payload: dict[str, Any], client: str, sub: str) -> bool | None:
    """`sub` is `<client>@clients`, and the grant, which Auth0's own profile always names, is client credentials."""
    grant = payload.get("gty", None if "azp" in payload else "client-credentials")
    return sub == f"{client}@clients" and bool(grant == "client-credentials")


AUTH0: Final = Profile(
    name="auth0",
    client=(("azp",), ("client_id",)),
    no_user=no_user,
    scope=Scope(("scope",)),
    roles=("permissions",),
)
