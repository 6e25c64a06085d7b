"""The claims of a token whose signature and issuer binding hold, read into their types.

`VerifiedClaims` is what the cache keeps and what `judge` asks. It says who signed what; whether its
bearer is welcome is policy, judged afresh each time (`core.judge`).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from tenantgate.core.app_only import (
    TELLING_CLAIMS,
    AppOnly,
    read_entra_app_only,
    read_identity,
)
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Identity, Strength
from tenantgate.core.limits import LIMITS, Limits
from tenantgate.core.policy import IssuerRow
from tenantgate.core.strict import guid_bytes, is_identity, shown
from tenantgate.core.token import Refused

LATEST: Final = 2**53
"""No instant lies here or beyond: every number up to it is exact in JSON (RFC 8259 §6)."""
_STRENGTHS: Final[dict[str, Strength]] = {"0": "none", "1": "secret", "2": "certificate"}


class _Names(NamedTuple):
    """What one form of Entra's tokens calls the client, the client in the other form, and its authentication."""

    client: str
    other: str
    strength: str
    version: str


_NAMES: Final = {"v1": _Names("appid", "azp", "appidacr", "1.0"), "v2": _Names("azp", "appid", "azpacr", "2.0")}

CALLER_CLAIMS: Final = TELLING_CLAIMS.union(("aud", "jti"), *(names[:3] for names in _NAMES.values()))
"""All that `read_entra_caller` asks: what it returns depends on these claims and on nothing else in a token."""


class Caller(msgspec.Struct, kw_only=True, eq=False, gc=False):
    """Who called, as the issuer signed it, and for whom: what all tokens of one client have alike.

    `issuer` is the id of its row, `version` Entra's (`1.0`, `2.0`; empty elsewhere). `client` is the look-up form of
    `client_id` (16 bytes for Entra). `oid` is Entra's object id, None elsewhere; `holder` is its text, elsewhere
    `sub`. `app_only` is whether a user may stand behind it; `idtyp` Entra's claim, if it is one of its two values or
    `other`. `standing` is `core.judge`'s own, of one moment's policy.
    """

    issuer: str
    tid: bytes | None
    client_id: str
    client: bytes | str
    sub: str
    holder: str
    audiences: tuple[str, ...]
    app_only: AppOnly
    entra: bool = False
    version: str = ""
    oid: bytes | None = None
    strength: Strength | None = None
    identity: Identity = "application"
    idtyp: str = ""
    standing: Any = None


class VerifiedClaims(msgspec.Struct, frozen=True, gc=False):
    """What an issuer we trust has signed: the caller, and what is this token's own. Times in epoch seconds.

    `payload` is the whole verified payload, for rules that name a claim.
    """

    caller: Caller
    issued_at: float
    not_before: float
    expires_at: float
    roles: tuple[str, ...]
    payload: dict[str, Any]


def read_claims(caller: Caller, payload: dict[str, Any]) -> VerifiedClaims:
    """Read what is an Entra token's own: times, roles, and the id that audit knows it by.

    Raises:
        Refused: claim_missing or claim_malformed, naming the claim.
    """
    check_token_id(payload, "uti")
    return VerifiedClaims(caller, *read_times(payload), _roles(payload.get("roles")), payload)


def read_times(payload: dict[str, Any]) -> tuple[float, float, float]:
    """Return `iat`, `nbf` (0 where it is absent) and `exp`.

    Raises:
        Refused: claim_missing or claim_malformed, naming the claim.
    """
    not_before = _instant(payload, "nbf") if "nbf" in payload else 0
    return _instant(payload, "iat"), not_before, _instant(payload, "exp")


def read_entra_caller(
    payload: dict[str, Any], issuer: IssuerRow, document: str, tid: bytes, limits: Limits = LIMITS
) -> Caller:
    """Read who an Entra access token stands for (v1: `appid`, `appidacr`; v2: `azp`, `azpacr`).

    Raises:
        Refused: claim_missing, claim_malformed or service_principal_missing, naming the claim.
    """
    names = _NAMES[document]
    client_id, client = _guid(payload, names.client)
    if names.other in payload and payload[names.other] != payload[names.client]:
        raise Refused(R.CLAIM_MALFORMED, f"{names.client} and {names.other} disagree")
    if payload.get("oid") is None:
        raise Refused(R.SERVICE_PRINCIPAL_MISSING, "oid is absent")
    holder, oid = _guid(payload, "oid")
    sub, strength = _identity(payload, "sub"), payload.get(names.strength)
    if strength is not None and (type(strength) is not str or strength not in _STRENGTHS):
        raise Refused(R.CLAIM_MALFORMED, f"{names.strength} is {shown(strength)}")
    check_token_id(payload)
    return Caller(
        issuer=issuer.id,
        tid=tid,
        client_id=client_id,
        client=client,
        sub=sub,
        holder=holder,
        audiences=read_audiences(payload.get("aud"), payload, limits.audiences),
        app_only=read_entra_app_only(payload, sub, oid),
        entra=True,
        version=names.version,
        oid=oid,
        strength=None if strength is None else _STRENGTHS[strength],
        identity=read_identity(payload),
        idtyp=_idtyp(payload),
    )


def _idtyp(payload: dict[str, Any]) -> str:
    """Return what statistics call it: a text of the issuer's own must not become a dimension."""
    value = payload.get("idtyp", "")
    return value if value in ("", "app", "user") else "other"


def unusable(payload: dict[str, Any], name: str, why: str) -> Refused:
    """Return the refusal of a claim that is not what it must be: missing, or malformed."""
    return _missing(payload, name) if payload.get(name) is None else Refused(R.CLAIM_MALFORMED, f"{name} {why}")


def _missing(payload: dict[str, Any], name: str) -> Refused:
    return Refused(R.CLAIM_MISSING, f"{name} is {'null' if name in payload else 'absent'}")


def _identity(payload: dict[str, Any], name: str) -> str:
    value = payload.get(name)
    if not is_identity(value):
        raise unusable(payload, name, "is not a sane string")
    return str(value)


def _guid(payload: dict[str, Any], name: str) -> tuple[str, bytes]:
    value = payload.get(name)
    key = guid_bytes(value)
    if key is None:
        raise unusable(payload, name, "is not a GUID")
    return str(value).lower(), key


def _instant(payload: dict[str, Any], name: str) -> float:
    value = payload.get(name)
    kind = type(value)  # bool is an int to isinstance, and no NumericDate (RFC 7519 §2)
    if (kind is int or kind is float) and 0 <= value <= LATEST:  # type: ignore[operator]
        return value  # type: ignore[return-value]
    raise unusable(payload, name, f"is not a NumericDate: {shown(value)}")


def read_audiences(value: Any, payload: dict[str, Any], most: int) -> tuple[str, ...]:
    """Return the audiences that a value stands for: the payload's `aud`, or what a profile takes for it.

    Raises:
        Refused: claim_missing or claim_malformed.
    """
    if type(value) is str and is_identity(value):
        return (value,)
    if value is None:
        raise _missing(payload, "aud")
    if type(value) is not list or not 0 < len(value) <= most:
        raise Refused(R.CLAIM_MALFORMED, f"aud is not a string or a list of 1 to {most} strings")
    for each in value:
        if not is_identity(each):
            raise Refused(R.CLAIM_MALFORMED, "aud holds what is not a sane string")
    return tuple(value)


def check_token_id(payload: dict[str, Any], name: str = "jti") -> None:
    """Refuse an id that is no string: `jti` is optional (RFC 7519 §4.1.7), but audit knows a token by it.

    Raises:
        Refused: claim_malformed.
    """
    if name in payload and not is_identity(payload[name]):
        raise Refused(R.CLAIM_MALFORMED, f"{name} is not a sane string")


def _roles(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if type(value) is list:
        for each in value:
            if type(each) is not str:
                break
        else:
            return tuple(value)
    raise Refused(R.CLAIM_MALFORMED, "roles is not a list of strings")
