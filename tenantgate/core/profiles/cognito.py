"""Amazon Cognito, app clients with client credentials: access tokens that mostly have no `aud`.

What stands for it are the scopes: each is the identifier of a resource server, a slash, and a name. The pool's
administrator decides which clients may ask for them.
"""

from __future__ import annotations

from typing import Any, Final

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.profiles.profile import USER_MARKS, Fixed, Profile, Scope


def no_user(payload: dict[str, Any], client: str, sub: str) -> bool | None:
    """With client credentials `sub` is the client."""
    return sub == client


def without_aud(payload: dict[str, Any]) -> tuple[str, ...]:
    """Return the resource servers that the scopes name. Scopes of Cognito's own (`openid`) have no slash."""
    scope = payload.get("scope")
    if type(scope) is not str:
        return ()
    servers = (each.rpartition("/")[0] for each in scope.split(" "))
    return tuple(dict.fromkeys(server for server in servers if server))


COGNITO: Final = Profile(
    name="cognito",
    client=(("client_id",),),
    no_user=no_user,
    fixed=(Fixed(("token_use",), ("access",), R.ID_TOKEN_PRESENTED),),
    scope=Scope(("scope",)),
    roles=("scope",),
    without_aud=without_aud,
    # Every access token carries `auth_time`.
    user_marks=(USER_MARKS - {"auth_time"}) | {"username", "cognito:groups"},
)
