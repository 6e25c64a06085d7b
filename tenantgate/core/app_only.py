"""Is there no user behind this token? What all issuers share, and Entra by its documented marks.

Read once, when a token is verified; `core.judge` then asks, on every request, which of the two readings the
policy goes by. Strict (the default) asks for proof; compatible is for publishers who cannot switch Entra's
proof on. It says nothing about other issuers (`core.oidc`): there the form itself, or a pinned `sub`, is the proof.
"""

from __future__ import annotations

import functools
from typing import Any, Final, NamedTuple

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Identity
from tenantgate.core.strict import guid_text

_ID_TOKEN_MARKS: Final = frozenset(("nonce", "at_hash", "c_hash", "s_hash"))
_EVENTS: Final = "events"  # security event and logout tokens (RFC 8417)
_DELEGATED: Final = frozenset(("act", "may_act", "actortoken"))  # somebody acts for somebody else (RFC 8693 §4.1, §4.4)
NEVER: Final = _ID_TOKEN_MARKS | _DELEGATED | {_EVENTS}
"""Claims that no daemon's own access token has, whoever issued it."""
_USERS: Final = frozenset(("upn", "unique_name", "preferred_username", "puid", "amr"))
_NO_SERVICE_PRINCIPAL: Final = 13
_ENTRA_USER_MARKS: Final = (*_USERS, "name", "scp")
_AGENT: Final = 11
_FEDERATED: Final = 33
_SERVICE_PRINCIPALS: Final = frozenset((7, _FEDERATED))
_FACETS: Final = ("xms_act_fct", "xms_sub_fct")
TELLING_CLAIMS: Final = NEVER.union(
    _ENTRA_USER_MARKS, _FACETS, ("oid", "sub", "idtyp", "xms_idrel", "xms_mirid", "xms_ficinfo")
)
"""All that is asked of an Entra token here: its answers depend on these claims and on nothing else in it."""


class AppOnly(NamedTuple):
    """Why a token may stand for a user (None: it does not): by its own proof, and where the policy vouches for it.

    The policy vouches for an Entra token by `compatible`, for another issuer's by a pinned `sub`.
    """

    proved: R | None
    vouched: R | None


_YES: Final = AppOnly(None, None)
_NO: Final = AppOnly(R.NOT_APP_ONLY, R.NOT_APP_ONLY)


def read_identity(payload: dict[str, Any]) -> Identity:
    """Return what kind of client a verified Entra token says it stands for."""
    if any(_AGENT in (_numbers(payload[facets]) or ()) for facets in _FACETS if facets in payload):
        return "agent"
    if "xms_ficinfo" in payload or _FEDERATED in (_numbers(payload.get("xms_idrel")) or ()):
        return "federated"
    return "managed_identity" if "xms_mirid" in payload else "application"


def read_entra_app_only(payload: dict[str, Any], sub: str, oid: bytes) -> AppOnly:
    """Read the marks of a verified Entra token. Asks `TELLING_CLAIMS` and no others."""
    if not payload.keys().isdisjoint(NEVER):
        return never(payload)
    refused = _relations(payload)
    if refused is not None:
        return AppOnly(refused, refused)
    if "idtyp" in payload:
        # An agent's app-only token may carry an empty scope; a real one, or a user's name, contradicts idtyp.
        if payload["idtyp"] == "app" and payload.get("scp", "") in ("", "/") and payload.keys().isdisjoint(_USERS):
            return _YES
        return _NO
    looks_like_an_app = sub.lower() == guid_text(oid) and not any(mark in payload for mark in _ENTRA_USER_MARKS)
    return AppOnly(R.NOT_APP_ONLY, None if looks_like_an_app else R.NOT_APP_ONLY)


def never(payload: dict[str, Any]) -> AppOnly:
    """Return why a token with one of the claims in `NEVER` is refused in any case."""
    if not payload.keys().isdisjoint(_ID_TOKEN_MARKS):
        reason = R.ID_TOKEN_PRESENTED
    else:
        reason = R.TOKEN_TYPE_NOT_ALLOWED if _EVENTS in payload else R.NOT_APP_ONLY
    return AppOnly(reason, reason)


def _relations(payload: dict[str, Any]) -> R | None:
    if "xms_idrel" in payload:
        relations = _numbers(payload["xms_idrel"])
        if relations is None:
            return R.CLAIM_MALFORMED
        if _NO_SERVICE_PRINCIPAL in relations:
            return R.SERVICE_PRINCIPAL_MISSING
        if _SERVICE_PRINCIPALS.isdisjoint(relations):
            return R.NOT_APP_ONLY
    for facets in _FACETS:
        if facets in payload and _numbers(payload[facets]) is None:
            return R.CLAIM_MALFORMED
    return None


def _numbers(value: object) -> frozenset[int] | None:
    """Read Entra's number lists: `"7 28"`, `[7, 28]` or `7`. None: nobody knows what an unreadable one forbids."""
    if type(value) is str:
        return _read_numbers(value)
    words = value if isinstance(value, list) else [value]
    return _numbers_of([word if type(word) is str else str(word) if type(word) is int else "" for word in words])


@functools.lru_cache(maxsize=256)
def _read_numbers(text: str) -> frozenset[int] | None:
    return _numbers_of(text.split())


def _numbers_of(texts: list[str]) -> frozenset[int] | None:
    readable = all(text.isascii() and text.isdigit() and len(text) < 19 for text in texts)
    return frozenset(map(int, texts)) if readable else None
