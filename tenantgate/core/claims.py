"""The claims of a token whose signature and issuer binding hold, read into their types.

`VerifiedClaims` is what the cache keeps and what `judge` asks. It says who signed what; whether its
bearer is welcome is policy, judged afresh each time (`core.judge`).
"""

from __future__ import annotations

import functools
from typing import Any, Final

import msgspec

from tenantgate.core.app_only import AppOnly, read_entra_app_only
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Strength
from tenantgate.core.policy import IssuerRow
from tenantgate.core.strict import guid_bytes, is_identity, shown
from tenantgate.core.token import Refused

MAX_AUDIENCES: Final = 64
_LATEST: Final = 2**53
_CLIENT_CLAIMS: Final = {"v2": ("azp", "appid", "azpacr"), "v1": ("appid", "azp", "appidacr")}
_STRENGTHS: Final[dict[str, Strength]] = {"0": "none", "1": "secret", "2": "certificate"}


class VerifiedClaims(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What an issuer we trust has signed. Times in epoch seconds.

    `client` is the look-up form of `client_id` (16 bytes for Entra). `oid` is Entra's object id, None
    elsewhere. `app_only` is whether a user may stand behind it. `payload` is the whole verified payload, for
    rules that name a claim.
    """

    issuer: str
    entra: bool
    tid: bytes | None
    client_id: str
    client: bytes | str
    oid: bytes | None
    sub: str
    audiences: tuple[str, ...]
    issued_at: float
    not_before: float | None
    expires_at: float
    roles: tuple[str, ...]
    strength: Strength | None
    app_only: AppOnly
    payload: dict[str, Any]


def read_entra(payload: dict[str, Any], issuer: IssuerRow, document: str, tid: bytes) -> VerifiedClaims:
    """Read the verified payload of an Entra access token (v1: `appid`, `appidacr`; v2: `azp`, `azpacr`).

    Raises:
        Refused: claim_missing, claim_malformed or service_principal_missing, naming the claim.
    """
    client_claim, other_claim, strength_claim = _CLIENT_CLAIMS[document]
    client = _guid(payload, client_claim)
    if other_claim in payload and payload[other_claim] != payload[client_claim]:
        raise Refused(R.CLAIM_MALFORMED, f"{client_claim} and {other_claim} disagree")
    if payload.get("oid") is None:
        raise Refused(R.SERVICE_PRINCIPAL_MISSING, "oid is absent")
    oid, sub = _guid(payload, "oid"), _identity(payload, "sub")
    strength = payload.get(strength_claim)
    if strength is not None and (type(strength) is not str or strength not in _STRENGTHS):
        raise Refused(R.CLAIM_MALFORMED, f"{strength_claim} is {shown(strength)}")
    _check_token_id(payload)
    return VerifiedClaims(
        issuer=issuer.id,
        entra=True,
        tid=tid,
        client_id=payload[client_claim].lower(),
        client=client,
        oid=oid,
        sub=sub,
        audiences=_audiences(payload),
        issued_at=_instant(payload, "iat"),
        not_before=_optional_instant(payload, "nbf"),
        expires_at=_instant(payload, "exp"),
        roles=_roles(payload),
        strength=None if strength is None else _STRENGTHS[strength],
        app_only=read_entra_app_only(payload, sub, oid),
        payload=payload,
    )


def _present(payload: dict[str, Any], name: str) -> Any:
    value = payload.get(name)
    if value is None:
        raise Refused(R.CLAIM_MISSING, f"{name} is {'null' if name in payload else 'absent'}")
    return value


def _identity(payload: dict[str, Any], name: str) -> str:
    value = _present(payload, name)
    if not is_identity(value):
        raise Refused(R.CLAIM_MALFORMED, f"{name} is not a sane string")
    return str(value)


def _guid(payload: dict[str, Any], name: str) -> bytes:
    text = _present(payload, name)
    value = _known_guid(text) if type(text) is str else None
    if value is None:
        raise Refused(R.CLAIM_MALFORMED, f"{name} is not a GUID")
    return value


_known_guid: Final = functools.lru_cache(maxsize=16_384)(guid_bytes)
"""Of signed payloads only, so that a flood of forgeries cannot push the daemons' own ids out."""


def _instant(payload: dict[str, Any], name: str) -> float:
    value = _present(payload, name)
    kind = type(value)  # bool is an int to isinstance, and no NumericDate (RFC 7519 §2)
    if (kind is not int and kind is not float) or not 0 <= value <= _LATEST:
        raise Refused(R.CLAIM_MALFORMED, f"{name} is not a NumericDate: {shown(value)}")
    return value  # type: ignore[no-any-return]


def _optional_instant(payload: dict[str, Any], name: str) -> float | None:
    return _instant(payload, name) if name in payload else None


def _audiences(payload: dict[str, Any]) -> tuple[str, ...]:
    value = _present(payload, "aud")
    if is_identity(value):
        return (value,)
    if type(value) is not list or not 0 < len(value) <= MAX_AUDIENCES:
        raise Refused(R.CLAIM_MALFORMED, f"aud is not a string or a list of 1 to {MAX_AUDIENCES} strings")
    for each in value:
        if not is_identity(each):
            raise Refused(R.CLAIM_MALFORMED, "aud holds what is not a sane string")
    return tuple(value)


def _check_token_id(payload: dict[str, Any]) -> None:
    """`jti` (RFC 7519 §4.1.7) and Entra's `uti` are optional; what audit and revocation know a token by is a string."""
    for name in ("jti", "uti"):
        if name in payload and not is_identity(payload[name]):
            raise Refused(R.CLAIM_MALFORMED, f"{name} is not a sane string")


def _roles(payload: dict[str, Any]) -> tuple[str, ...]:
    value = payload.get("roles")
    if value is None:
        return ()
    if type(value) is not list:
        raise Refused(R.CLAIM_MALFORMED, "roles is not a list of strings")
    for each in value:
        if type(each) is not str:
            raise Refused(R.CLAIM_MALFORMED, "roles is not a list of strings")
    return tuple(value)
