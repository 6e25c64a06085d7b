"""RFC 9068, strictly: an access token says that it is one, and has every claim of §2.2."""

from __future__ import annotations

from typing import Any, Final

from tenantgate.core.profiles.profile import Fixed, Profile, Scope


def no_user(payload: dict[str, Any], client: str, sub: str) -> bool | None:
    """§2.2: where no resource owner takes part, `sub` is the client."""
    return True if sub == client else None


RFC9068: Final = Profile(
    name="rfc9068",
    client=(("client_id",), ("azp",)),  # the second is not of this RFC; where it is, it says the same
    no_user=no_user,
    token_types=("at+jwt",),
    typ_required=True,  # §4: any other type, and none, is refused
    fixed=(Fixed(("client_id",)), Fixed(("jti",))),
    scope=Scope(("scope",)),  # §2.2.3
)
