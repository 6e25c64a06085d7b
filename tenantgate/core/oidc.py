"""The claims of a verified token of another issuer than Entra, read by the issuer's profile.

A reader is made once, when the issuer's row is indexed; what comes from a payload here is what the issuer
signed, and still settles nothing but types and kinds: whether its bearer is welcome is `core.judge`'s to say.
"""

from __future__ import annotations

from typing import Any, Final

from tenantgate.core.app_only import NEVER, AppOnly, never
from tenantgate.core.claims import Caller, VerifiedClaims, check_token_id, read_audiences, read_times
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.limits import LIMITS, Limits
from tenantgate.core.pointer import ABSENT, Pointer, find, parse_pointer
from tenantgate.core.policy import IssuerRow
from tenantgate.core.profiles.profile import TEXT, Fixed, Profile, Scope
from tenantgate.core.profiles.table import get_profile, narrowed_types, wants_pin
from tenantgate.core.strict import is_identity, shown
from tenantgate.core.token import Refused

_SUB: Final = ("sub",)
_LONGEST: Final = 300
_TELLING: Final = ("typ", "token_use", "gty", "preferred_username", "azp")
_ACCESS_TYPES: Final = ("bearer", "jwt", "at+jwt")
_YES: Final = AppOnly(None, None)
_PINNED: Final = AppOnly(R.NOT_APP_ONLY, None)
_NO: Final = AppOnly(R.NOT_APP_ONLY, R.NOT_APP_ONLY)
_WRONG_TYPE: Final = AppOnly(R.TOKEN_TYPE_NOT_ALLOWED, R.TOKEN_TYPE_NOT_ALLOWED)
_ID_TOKEN: Final = AppOnly(R.ID_TOKEN_PRESENTED, R.ID_TOKEN_PRESENTED)


class OidcReader:
    """Reads the verified payloads of one issuer, as its profile and its row say.

    `token_types` and `typ_required` are what the header's `typ` is held to; `subject_pin` is whether a daemon
    of this issuer must name its `subject`.
    """

    __slots__ = (
        "_client",
        "_digits",
        "_issuer",
        "_joined",
        "_profile",
        "_roles",
        "_split_roles",
        "subject_pin",
        "token_types",
        "typ_required",
    )

    def __init__(self, row: IssuerRow) -> None:
        """Make the reader of an issuer of kind oidc.

        Raises:
            PolicyError: unknown profile, a claim's place that cannot be read, no `typ` left to accept.
        """
        profile = get_profile(row.profile)
        client, form = profile.client, profile.client_form
        if row.client_id_claim is not None:
            client, form = (parse_pointer(row.client_id_claim, "client_id_claim"),), TEXT
        self._profile = profile
        self._issuer = row.id
        # Each place of the client id with those after it, which must agree.
        self._client = tuple((pointer, client[place + 1 :]) for place, pointer in enumerate(client))
        self._joined = profile.joined
        self._digits = form.digits
        self._roles = profile.roles if row.roles_claim is None else parse_pointer(row.roles_claim, "roles_claim")
        # One string with blanks is a list of scopes (RFC 6749 §3.3); a list of roles is a list.
        self._split_roles = row.roles_claim is not None or (profile.scope and profile.scope.claim) == self._roles
        self.token_types = narrowed_types(profile, row.token_types)
        self.typ_required = profile.typ_required
        self.subject_pin = wants_pin(profile, row)

    def read(self, payload: dict[str, Any], limits: Limits = LIMITS) -> VerifiedClaims:
        """Read a verified payload.

        Raises:
            Refused: claim_missing, claim_malformed or the profile's own reason, naming the claim.
        """
        profile = self._profile
        for fixed in profile.fixed:
            _check_fixed(payload, fixed)
        client = self._read_client(payload)
        check_token_id(payload)
        check_token_id(payload, "uti")
        sub = _identity(payload.get("sub"), _SUB)
        if profile.scope is not None:
            _check_scope(payload, profile.scope)
        caller = Caller(
            issuer=self._issuer,
            tid=None,
            client_id=client,
            client=client,
            sub=sub,
            holder=sub,
            audiences=_audiences(payload, profile, limits.audiences),
            app_only=_app_only(payload, client, sub, profile),
        )
        return VerifiedClaims(caller, *read_times(payload), self._read_roles(payload), payload)

    def told(self, payload: dict[str, Any], sub: str) -> str:
        """Return what a payload shows of who is behind it, for a trace; of what marks a user, the names alone."""
        said = [f"sub {shown(sub)}", *(f"{name} {_told(name, payload[name])}" for name in _TELLING if name in payload)]
        marks = sorted((NEVER | self._profile.user_marks) & payload.keys())
        text = ", ".join([*said, *(f"with {mark}" for mark in marks)])
        return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"

    @property
    def profile(self) -> str:
        """The name of the profile."""
        return self._profile.name

    def _read_client(self, payload: dict[str, Any]) -> str:
        if self._joined:
            return "/".join([self._read_id(find(payload, pointer), pointer) for pointer, _ in self._client])
        for pointer, others in self._client:
            value = find(payload, pointer)
            if value is ABSENT or value is None:
                continue
            for other in others:
                if find(payload, other) not in (ABSENT, value):
                    raise Refused(R.CLAIM_MALFORMED, f"{_name(pointer)} and {_name(other)} disagree")
            break
        return self._read_id(value, pointer)

    def _read_id(self, value: Any, pointer: Pointer) -> str:
        client = _identity(value, pointer)
        if self._digits and not (client.isascii() and client.isdigit()):
            raise Refused(R.CLAIM_MALFORMED, f"{_name(pointer)} is not a string of digits: {shown(client)}")
        return client

    def _read_roles(self, payload: dict[str, Any]) -> tuple[str, ...]:
        value = find(payload, self._roles)
        if self._split_roles and type(value) is str:
            value = [each for each in value.split(" ") if each]
        if type(value) is not list:
            return ()
        for each in value:
            if type(each) is not str:
                raise Refused(R.CLAIM_MALFORMED, f"{_name(self._roles)} is not a list of strings")
        ignored = self._profile.ignored_role
        return tuple(value) if ignored is None else tuple(each for each in value if not ignored(each))


def _told(name: str, value: Any) -> str:
    """Return a claim's value; of a user's name, who is a person, only that it is there."""
    is_a_person = name == "preferred_username" and not str(value).startswith("service-account-")
    return "of a user" if is_a_person else shown(value)


def _name(pointer: Pointer) -> str:
    """Return a claim's place as traces name it."""
    return shown("/".join(pointer))


def _check_fixed(payload: dict[str, Any], fixed: Fixed) -> None:
    value = _present(find(payload, fixed.claim), fixed.claim)
    if fixed.values and not any(type(value) is type(each) and value == each for each in fixed.values):
        wanted = " or ".join(shown(each) for each in fixed.values)
        raise Refused(fixed.reason, f"{_name(fixed.claim)} is {shown(value)}, not {wanted}")


def _check_scope(payload: dict[str, Any], scope: Scope) -> None:
    value = find(payload, scope.claim)
    if value is not ABSENT and type(value) is not scope.kind:
        wanted = "a string" if scope.kind is str else "a list"
        raise Refused(R.CLAIM_MALFORMED, f"{_name(scope.claim)} is not {wanted}: {shown(value)}")


def _app_only(payload: dict[str, Any], client: str, sub: str, profile: Profile) -> AppOnly:
    if not payload.keys().isdisjoint(NEVER):
        return never(payload)
    typ = payload.get("typ")  # Keycloak says in the payload which kind of token it is
    if typ is not None and (type(typ) is not str or typ.lower() not in _ACCESS_TYPES):
        return _WRONG_TYPE
    if payload.get("token_use", "access") != "access":
        return _ID_TOKEN
    if not payload.keys().isdisjoint(profile.user_marks):
        return _NO
    own = profile.no_user(payload, client, sub)
    return _YES if own else _PINNED if own is None else _NO


def _audiences(payload: dict[str, Any], profile: Profile, most: int) -> tuple[str, ...]:
    value = payload.get("aud")
    if "aud" not in payload and profile.without_aud is not None:
        value = list(profile.without_aud(payload)) or None
    return read_audiences(value, payload, most)


def _present(value: Any, pointer: Pointer) -> Any:
    if value is ABSENT or value is None:
        raise Refused(R.CLAIM_MISSING, f"{_name(pointer)} is {'null' if value is None else 'absent'}")
    return value


def _identity(value: Any, pointer: Pointer) -> str:
    if not is_identity(value):
        _present(value, pointer)
        raise Refused(R.CLAIM_MALFORMED, f"{_name(pointer)} is not a sane string")
    return value  # type: ignore[no-any-return]
