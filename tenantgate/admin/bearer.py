"""Tokens of people and automation that administer: authentic, for us, in time, an access token, and as what.

Verified by `core.verify` and held to `core.judge`'s own rules of time and audience; what is asked here besides is
what only administration asks. Nobody's name or address is ever looked at to say who somebody is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from tenantgate.admin.admission import PresentedToken
from tenantgate.admin.problems import IdentityRefused, KeyRefused, KeysUnavailable
from tenantgate.admin.trusted import Terms, Trusted
from tenantgate.core.app_only import NEVER, never
from tenantgate.core.claims import VerifiedClaims
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.fields import NAME_LENGTH, check_text
from tenantgate.core.judge import CHECKS, Case, line_of, own_reason
from tenantgate.core.keys import KeySetRef, KeySource
from tenantgate.core.limits import LIMITS, Limits
from tenantgate.core.pointer import find, texts
from tenantgate.core.policy import PolicyError, one_spelling
from tenantgate.core.strict import guid_text, shown
from tenantgate.core.token import TokenReader
from tenantgate.core.verify import NeedKeys, Verified, verify
from tenantgate.registry.identities import Identity
from tenantgate.registry.operators import RANK, OperatorRole

_UNJUDGED: Final = frozenset((R.KEY_SET_UNAVAILABLE, R.KEY_SET_TOO_OLD))
_ACCESS_TYPES: Final = frozenset(("bearer", "at+jwt"))
_NAMES: Final = ("name", "preferred_username", "upn", "unique_name", "app_displayname")


class AdminTokens:
    """Reads administrators' tokens. `fetch` waits for keys, within bounds of its own, and never raises.

    `unmapped` is the role of a caller in whose token no value gives one; None: no role. `enrols`: whether an
    authentic caller with a role, whom nobody has linked, becomes an operator by coming.
    """

    def __init__(
        self,
        trusted: Trusted,
        keys: KeySource,
        fetch: Callable[[KeySetRef, str | None], Awaitable[None]],
        *,
        unmapped: OperatorRole | None = None,
        enrols: bool = False,
        limits: Limits = LIMITS,
    ) -> None:
        self._trusted = trusted
        self._keys = keys
        self._fetch = fetch
        self._unmapped = unmapped
        self._enrols = enrols
        self._reader = TokenReader(limits)

    @property
    def audiences(self) -> frozenset[str]:
        """What no resource may accept, in one spelling."""
        return self._trusted.audiences

    async def read(self, token: str, *, now: float) -> PresentedToken:
        """Return whom an authentic token stands for. `token` is untrusted; `now` is epoch seconds.

        Raises:
            KeyRefused: it is not authentic, not for us, not in time, or no access token; the reason is for the log.
            IdentityRefused: it is, and gives no role here.
            KeysUnavailable: nobody can say now.
        """
        verified = await self._verified(token)
        claims = verified.claims
        terms = self._trusted.terms_of(claims.caller)
        if terms is None:
            raise _refused(R.TENANT_NOT_LISTED, f"{verified.issuer.id} is named for another tenant alone")
        self._check_own(claims, terms, now)
        reason = self._no_access_token(claims)
        if reason is not None:
            raise _refused(reason, f"an access token is needed, of a person or an application; got {_told(claims)}")
        identity = _identity(claims, terms)
        role, why = self._role(claims.payload, terms, identity)
        return PresentedToken(
            identity,
            role,
            why,
            _name(claims),
            terms.resource.audiences,
            self._enrols,
            claims.expires_at + terms.resource.row.clock_skew,
        )

    async def _verified(self, token: str) -> Verified:
        outcome = verify(token, self._trusted.index, self._keys, self._reader)
        if isinstance(outcome, NeedKeys):
            await self._fetch(outcome.ref, outcome.kid)
            outcome = verify(token, self._trusted.index, self._keys, self._reader)
        if isinstance(outcome, Verified):
            return outcome
        if outcome.reason in _UNJUDGED:
            raise KeysUnavailable("keys_unavailable", f"{outcome.reason}: nothing is said about the token")
        raise _refused(outcome.reason, outcome.detail)

    def _check_own(self, claims: VerifiedClaims, terms: Terms, now: float) -> None:
        """Refuse what is for somebody else, out of its time, too long, or bound to what nobody here asks for."""
        reason = own_reason(claims, terms.resource, now)
        if reason is not None:
            case = Case(claims, self._trusted.index, terms.resource, (), now)
            line = line_of(CHECKS[0], reason)  # the row that `own_reason` stands for
            raise _refused(reason, f"{line.name}: expected {line.expected(case)}, got {line.received(case)}")

    def _no_access_token(self, claims: VerifiedClaims) -> R | None:
        """Return why a token is neither a person's nor an application's access token, or None."""
        payload, caller = claims.payload, claims.caller
        if not payload.keys().isdisjoint(NEVER):  # an id token, a logout token, or somebody acting for somebody else
            return never(payload).proved
        if caller.app_only.vouched not in (None, R.NOT_APP_ONLY):
            return caller.app_only.vouched
        if caller.identity == "agent":
            return R.AGENT_IDENTITY_NOT_ALLOWED
        if caller.app_only.proved is None:
            return None
        if not caller.entra:
            return (
                None
                if _is_for_access(payload, typ_required=self._typ_required(caller.issuer))
                else R.ID_TOKEN_PRESENTED
            )
        if payload.get("idtyp", "user") != "user" and caller.app_only.vouched is not None:
            return R.TOKEN_TYPE_NOT_ALLOWED
        # A user's access token names scopes, an id token never does; without either it must look like an application's.
        scoped = type(payload.get("scp")) is str and payload["scp"].strip(" /") != ""
        return None if scoped or caller.app_only.vouched is None else R.ID_TOKEN_PRESENTED

    def _typ_required(self, issuer: str) -> bool:
        oidc = self._trusted.index.issuers[issuer].oidc
        return oidc is not None and oidc.typ_required

    def _role(self, payload: dict[str, Any], terms: Terms, identity: Identity) -> tuple[OperatorRole, str]:
        """Return the highest role that a value of the claim gives, and what gave it.

        Raises:
            IdentityRefused: `groups_overage`, `role_not_mapped`.
        """
        _refuse_overage(payload, terms, identity)
        given = [one_spelling(text) for text in texts(find(payload, terms.pointer))]
        found = [value for value in given if value in terms.values]
        if found:
            value = max(found, key=lambda each: RANK[terms.values[each]])
            role = terms.values[value]
            return role, f"claim {terms.claim} holds {value}, which {terms.name} maps to {role}"
        if self._unmapped is None:
            message = f"claim {terms.claim} of your token holds no value that gives a role here"
            raise IdentityRefused("role_not_mapped", message, identity)
        why = f"claim {terms.claim} holds no value that {terms.name} maps; TENANTGATE_ADMIN_UNMAPPED_ROLE gives"
        return self._unmapped, f"{why} {self._unmapped}"


def _refused(reason: R, detail: str) -> KeyRefused:
    return KeyRefused("admin_key_refused", f"{reason}: {detail}")


def _refuse_overage(payload: dict[str, Any], terms: Terms, identity: Identity) -> None:
    """Refuse a token that leaves out what it is asked for, as too much: fetched nowhere, and never taken for none."""
    first = terms.pointer[0]
    elsewhere = payload.get("_claim_names")
    left_out = elsewhere is not None and (type(elsewhere) is not dict or first in elsewhere)
    if left_out or (first == "groups" and payload.get("hasgroups") not in (None, False)):
        message = (
            f"your token does not carry its {first}: they are too many; use app roles, or groups assigned to the app"
        )
        raise IdentityRefused("groups_overage", message, identity)


def _is_for_access(payload: dict[str, Any], *, typ_required: bool) -> bool:
    """Whether a token of another issuer than Entra says that it is for access: an id token names no scope."""
    typ = payload.get("typ")
    return (
        typ_required  # at+jwt, and nothing else, is what its profile takes
        or "scope" in payload
        or "scp" in payload
        or (type(typ) is str and typ.lower() in _ACCESS_TYPES)
        or payload.get("token_use") == "access"
    )


def _told(claims: VerifiedClaims) -> str:
    payload = claims.payload
    said = [f"{name} {shown(payload[name])}" for name in ("idtyp", "scp", "scope", "typ") if name in payload]
    marks = sorted(NEVER & payload.keys())
    return ", ".join([*said, *(f"{mark}" for mark in marks)]) or "neither scopes nor another mark of one"


def _identity(claims: VerifiedClaims, terms: Terms) -> Identity:
    caller = claims.caller
    if caller.tid is None or caller.oid is None:
        return Identity(issuer=terms.issuer, sub=caller.sub)
    return Identity(issuer=terms.issuer, tid=guid_text(caller.tid), oid=guid_text(caller.oid))


def _name(claims: VerifiedClaims) -> str:
    """Return what to call somebody who is made an operator: for people to read, and for nothing else."""
    for name in _NAMES:
        value = claims.payload.get(name)
        if type(value) is str:
            try:
                check_text(value, name)
            except PolicyError:
                continue
            return value
    return f"caller {shown(claims.caller.holder)}"[:NAME_LENGTH]
