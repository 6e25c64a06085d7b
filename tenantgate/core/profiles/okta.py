"""Okta, a custom authorization server: `cid` names the client, `scp` is a list."""

from __future__ import annotations

from typing import Any, Final

from tenantgate.core.profiles.profile import USER_MARKS, Fixed, Profile, Scope


def no_user(payload: dict[str, Any], client: str, sub: str) -> bool | None:
    """With client credentials `sub` is the client; a user's token has the user's login there, and `uid`."""
    return sub == client


OKTA: Final = Profile(
    name="okta",
    client=(("cid",),),
    no_user=no_user,
    fixed=(Fixed(("ver",), (1,)),),
    scope=Scope(("scp",), list),
    roles=("scp",),
    # Tokens of client credentials may carry `auth_time` as well.
    user_marks=(USER_MARKS - {"auth_time"}) | {"uid"},
)
