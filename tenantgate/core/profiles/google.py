"""Google service accounts: ID tokens that any account in the world can have made for our audience.

So everything hangs on the listed number: `sub`, the account's unique id, which is never given to another. The
address is not one: it is free again when the account is deleted.
"""

from __future__ import annotations

from typing import Any, Final

from tenantgate.core.profiles.profile import DIGITS, USER_MARKS, Fixed, Profile

_SERVICE_ACCOUNTS: Final = ".gserviceaccount.com"


def no_user(payload: dict[str, Any], client: str, sub: str) -> bool | None:
    """`azp` is the account itself, by number or by address; a person's token has the application there."""
    azp, email = payload["azp"], payload.get("email")
    if email is not None and not _is_service_account(payload, email):
        return False
    return bool(azp == sub or (email is not None and azp == email))


def _is_service_account(payload: dict[str, Any], email: object) -> bool:
    return type(email) is str and email.endswith(_SERVICE_ACCOUNTS) and payload.get("email_verified") is True


GOOGLE: Final = Profile(
    name="google",
    client=(("sub",),),
    no_user=no_user,
    client_form=DIGITS,
    fixed=(Fixed(("azp",)),),
    user_marks=(USER_MARKS - {"email"}) | {"hd", "name", "picture"},
)
