"""Where a claim stands in a payload: a name, or a JSON Pointer for one that lies deeper (RFC 6901).

Member names of real issuers hold dots and slashes (`kubernetes.io`, a Keycloak client called `orders/api`), so a
path with dots would be read in several ways. Written by an operator, parsed once; asked of verified payloads.
"""

from __future__ import annotations

import re
from typing import Any, Final

from tenantgate.core.fields import IDENTITY_LENGTH, check_text
from tenantgate.core.policy import PolicyError

Pointer = tuple[str, ...]
"""The names to follow from the outer object."""

MAX_STEPS: Final = 8
"""Names in a pointer, at most."""

ABSENT: Final = object()
"""What `find` returns where nothing stands; null is a value."""

_STRAY: Final = re.compile(r"~(?![01])")


def parse_pointer(text: str, path: str) -> Pointer:
    """Return the names a claim's place consists of: `text` itself, or its parts where it begins with `/`.

    Raises:
        PolicyError: a text's own codes, or `pointer_malformed`; `path` is the member's.
    """
    check_text(text, path, limit=IDENTITY_LENGTH)
    if not text.startswith("/"):
        return (text,)
    if _STRAY.search(text):
        raise PolicyError("pointer_malformed", "~ stands for itself only as ~0, and / as ~1 (RFC 6901)", path)
    steps = tuple(part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/"))
    if len(steps) > MAX_STEPS or not all(steps):
        raise PolicyError("pointer_malformed", f"must be 1 to {MAX_STEPS} names, none of them empty", path)
    return steps


_CHANGEABLE: Final = frozenset(
    ("email", "upn", "preferred_username", "unique_name", "name", "given_name", "family_name", "nickname")
)
_TAKEN: Final = frozenset(("iss", "aud", "exp", "nbf", "iat", "jti", "uti", "cnf", "nonce"))


def check_believable(pointer: Pointer, path: str) -> None:
    """Refuse a claim that says who somebody is in a way that somebody can change, or that has another meaning.

    A user's address or name can be set by whoever administers the directory: identities and roles that hang on one
    have let strangers in elsewhere. The protocol's own claims mean what RFC 7519 says, and no client or role.

    Raises:
        PolicyError: `claim_not_allowed`.
    """
    if pointer[-1].lower() in _CHANGEABLE:
        raise PolicyError("claim_not_allowed", "can be changed by those it names, so nothing may hang on it", path)
    if pointer[0] in _TAKEN:
        raise PolicyError("claim_not_allowed", "has a meaning of its own (RFC 7519 §4.1)", path)


def find(payload: dict[str, Any], pointer: Pointer) -> Any:
    """Return what stands there, or ABSENT. Arrays are not walked: a position in a claim's list means nothing."""
    value: Any = payload
    for name in pointer:
        if type(value) is not dict or name not in value:
            return ABSENT
        value = value[name]
    return value


def texts(value: Any, separator: str | None = None) -> tuple[str, ...]:
    """Return a claim's value as the texts it consists of: none where absent or null, one, or those of a list.

    Numbers and booleans are spelled as JSON spells them; objects and lists in a list are no text and are left out.
    `separator` splits a string.
    """
    if type(value) is str:
        return tuple(part for part in value.split(separator) if part) if separator else (value,)
    if type(value) is list:
        return tuple(text for each in value if (text := _text(each)) is not None)
    text = _text(value)
    return () if text is None else (text,)


def _text(value: Any) -> str | None:
    if type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    return str(value) if type(value) is int else None
