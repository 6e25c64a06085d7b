"""Is there no user behind this token? Entra by its documented marks, other issuers by the client-credentials form.

Strict (the default) asks for proof; compatible is for publishers who cannot switch Entra's proof on. It
says nothing about other issuers: there the form itself, or a pinned `sub`, is the proof.
"""

from __future__ import annotations

from typing import Any, Final

from tenantgate.core.claims import VerifiedClaims
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.strict import guid_text

_ID_TOKEN_MARKS: Final = ("nonce", "at_hash", "c_hash", "s_hash")
_ENTRA_USER_MARKS: Final = ("name", "upn", "unique_name", "preferred_username", "puid", "amr", "scp")
_USER_MARKS: Final = ("amr", "auth_time", "sid", "session_state", "email", "given_name", "family_name", "upn")
_DELEGATED: Final = ("act", "may_act", "actortoken")
_ACCESS_TYPES: Final = ("bearer", "jwt", "at+jwt")
_AGENT: Final = 11
_NO_SERVICE_PRINCIPAL: Final = 13
_SERVICE_PRINCIPALS: Final = frozenset((7, 33))


def check_app_only(claims: VerifiedClaims, *, strict: bool, pinned: bool) -> R | None:
    """Return why a verified token may stand for a user, or None. `pinned`: the daemon's `sub` is pinned."""
    payload = claims.payload
    for mark in _ID_TOKEN_MARKS:
        if mark in payload:
            return R.ID_TOKEN_PRESENTED
    if "events" in payload:  # security event and logout tokens (RFC 8417)
        return R.TOKEN_TYPE_NOT_ALLOWED
    if any(mark in payload for mark in _DELEGATED):  # somebody acts for somebody else (RFC 8693 §4.1, §4.4)
        return R.NOT_APP_ONLY
    if claims.entra:
        return _entra(claims, payload, strict)
    return _other(claims, payload, pinned)


def _entra(claims: VerifiedClaims, payload: dict[str, Any], strict: bool) -> R | None:
    if "xms_idrel" in payload:
        relations = _numbers(payload["xms_idrel"])
        if relations is None:
            return R.CLAIM_MALFORMED
        if _NO_SERVICE_PRINCIPAL in relations:
            return R.SERVICE_PRINCIPAL_MISSING
        if _SERVICE_PRINCIPALS.isdisjoint(relations):
            return R.NOT_APP_ONLY
    for facets in ("xms_act_fct", "xms_sub_fct"):
        if facets in payload:
            numbers = _numbers(payload[facets])
            if numbers is None or _AGENT in numbers:
                return R.CLAIM_MALFORMED if numbers is None else R.AGENT_IDENTITY_NOT_ALLOWED
    if "idtyp" in payload:
        # An agent's app-only token may carry an empty scope; a real one contradicts idtyp.
        return None if payload["idtyp"] == "app" and payload.get("scp", "") in ("", "/") else R.NOT_APP_ONLY
    if strict or any(mark in payload for mark in _ENTRA_USER_MARKS):
        return R.NOT_APP_ONLY
    return None if claims.oid is not None and claims.sub.lower() == guid_text(claims.oid) else R.NOT_APP_ONLY


def _numbers(value: object) -> frozenset[int] | None:
    """Read Entra's number lists: `"7 28"`, `[7, 28]` or `7`. None: nobody knows what an unreadable one forbids."""
    words = value.split() if isinstance(value, str) else value if isinstance(value, list) else [value]
    texts = [word if type(word) is str else str(word) if type(word) is int else "" for word in words]
    readable = all(text.isascii() and text.isdigit() and len(text) < 19 for text in texts)
    return frozenset(map(int, texts)) if readable else None


def _other(claims: VerifiedClaims, payload: dict[str, Any], pinned: bool) -> R | None:
    typ = payload.get("typ")  # Keycloak says in the payload which kind of token it is
    if typ is not None and (type(typ) is not str or typ.lower() not in _ACCESS_TYPES):
        return R.TOKEN_TYPE_NOT_ALLOWED
    if payload.get("token_use", "access") != "access":
        return R.ID_TOKEN_PRESENTED
    if any(mark in payload for mark in _USER_MARKS):
        return R.NOT_APP_ONLY
    return None if pinned or _is_client(claims, payload) else R.NOT_APP_ONLY


def _is_client(claims: VerifiedClaims, payload: dict[str, Any]) -> bool:
    """RFC 9068 §2.2: with client credentials `sub` is the client. The other forms are Auth0's and Keycloak's."""
    client = claims.client_id
    return (
        claims.sub in (client, f"{client}@clients")
        or payload.get("preferred_username") == f"service-account-{client}"
        or payload.get("gty") == "client-credentials"
    )
