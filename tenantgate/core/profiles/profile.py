"""What a profile says: where an issuer's tokens name the client, what they must hold, how they prove there is no user.

A profile is code, written once for a make of issuer and chosen by name in the policy (`IssuerRow.profile`). It
is resolved when the issuer's row is indexed (`core.oidc.OidcReader`), never per token.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.pointer import Pointer

_DIGITS: Final = re.compile(r"[1-9][0-9]{0,29}\Z")
_OWNED: Final = re.compile(r"[1-9][0-9]{0,29}/[1-9][0-9]{0,29}\Z")
_GUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


class ClientForm(NamedTuple):
    """How client ids are written: a sentence for operators, the test, and whether a token's parts are digits."""

    told: str
    fits: Callable[[str], object]
    digits: bool = False


TEXT: Final = ClientForm("must be the client id, exactly as the issuer writes it", bool)
DIGITS: Final = ClientForm("must be the number of the account, in digits", _DIGITS.match, digits=True)
OWNED: Final = ClientForm("must be two numbers: the owner's, a slash, the repository's", _OWNED.match, digits=True)
GUID: Final = ClientForm("must be the uid: a GUID in small letters", _GUID.match)


class Fixed(NamedTuple):
    """A claim that every token of this make has. Without `values` anything but null will do.

    `reason` is given where it is there and none of the values; where it is missing, that is the reason.
    """

    claim: Pointer
    values: tuple[str | int, ...] = ()
    reason: R = R.CLAIM_MALFORMED


class Scope(NamedTuple):
    """The claim of the scopes, where there are any, and its type: a string with blanks between, or a list."""

    claim: Pointer
    kind: type[str] | type[list[str]] = str


USER_MARKS: Final = frozenset(("amr", "auth_time", "sid", "session_state", "email", "given_name", "family_name", "upn"))
"""Claims that only a token with a user behind it has, at most issuers. Not even a pinned `sub` outweighs one."""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """One make of issuer. Every claim is named by a parsed pointer (`core.pointer`).

    - `client`: where the client id stands. The first that is there counts, and each after it, where it is there,
      must say the same. `joined`: all of them, in order, with a slash between.
    - `client_form`: how a daemon's `client_id` must be written to be found at all.
    - `token_types`, `typ_required`: what the header's `typ` may be (None: what the issuer's row lists), and
      whether it may be absent.
    - `fixed`: what must be there beside the claims that every token needs (`iss aud sub iat exp`).
    - `scope`: the scopes' claim, whose type is then checked.
    - `roles`: the list of roles for `VerifiedClaims.roles`; `ignored_role` says which of them mean nothing.
    - `without_aud`: what stands for a missing `aud`, where this make leaves it out; an empty answer is a missing claim.
    - `user_marks`: claims that refuse in any case, since a user stands behind the token.
    - `no_user`: given payload, client id and `sub`, whether the token is the client's own: True proved, False somebody
      else's, None it does not say, so that a `subject` pinned on the daemon decides.
    - `subject_pin`: whether the client id alone says too little, so that a daemon must name its `subject`.
    """

    name: str
    client: tuple[Pointer, ...]
    no_user: Callable[[dict[str, Any], str, str], bool | None]
    joined: bool = False
    client_form: ClientForm = TEXT
    token_types: tuple[str, ...] | None = None
    typ_required: bool = False
    fixed: tuple[Fixed, ...] = ()
    scope: Scope | None = None
    roles: Pointer = ("roles",)
    ignored_role: Callable[[str], bool] | None = None
    without_aud: Callable[[dict[str, Any]], tuple[str, ...]] | None = None
    user_marks: frozenset[str] = USER_MARKS
    subject_pin: bool = False
