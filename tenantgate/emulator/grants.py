"""The judgement of the token endpoint: who asks, how it proves that, and for which resource.

Client credentials only (RFC 6749 §4.4), with a secret in the form or in HTTP Basic, or with a signed client
assertion (RFC 7523 §2.2). Everything a request says is untrusted.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote_plus

import jwt

from tenantgate.emulator.directory import Daemon, Directory, Resource, TokenVersion
from tenantgate.emulator.errors import (
    ASSERTION_NOT_FOR_US,
    ASSERTION_NOT_THIS_CLIENT,
    ASSERTION_OUT_OF_TIME,
    ASSERTION_UNTRUSTED,
    BODY_UNREADABLE,
    CLIENT_NOT_FOUND,
    CREDENTIAL_MISSING,
    CREDENTIALS_AMBIGUOUS,
    GRANT_NOT_SUPPORTED,
    PARAMETER_MISSING,
    PARAMETER_REPEATED,
    RESOURCE_NOT_FOUND,
    SCOPE_INVALID,
    SECRET_WRONG,
    ConfigInvalid,
    NameUnknown,
    RequestRefused,
)
from tenantgate.emulator.tokens import issuer_of

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
BY_SECRET: Final = "1"  # values of azpacr / appidacr
BY_CERTIFICATE: Final = "2"

_MAX_PARAMETERS: Final = 50
_DEFAULT_SCOPE: Final = "/.default"


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """One request at a token endpoint. `tid` is a known tenant, `endpoint` which of its two endpoints was asked."""

    tid: str
    endpoint: TokenVersion
    form: Mapping[str, str]
    authorization: str | None = None

    def required(self, parameter: str) -> str:
        """Return a parameter that must be there and not empty; raise RequestRefused."""
        if value := self.form.get(parameter):
            return value
        raise RequestRefused(PARAMETER_MISSING, parameter=parameter)


@dataclass(frozen=True, slots=True)
class Grant:
    """A request that is granted: a token for `daemon`, for `resource` as it was `asked` for."""

    daemon: Daemon
    resource: Resource
    asked: str
    client_auth: str


def parse_form(body: bytes) -> dict[str, str]:
    """Read a form body; raise RequestRefused where it is none or repeats a parameter (RFC 6749 §3.2)."""
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MAX_PARAMETERS, errors="strict")
    except UnicodeDecodeError:
        raise RequestRefused(BODY_UNREADABLE, why="it is not UTF-8") from None
    except ValueError:
        raise RequestRefused(BODY_UNREADABLE, why="it has too many parameters") from None
    for name, times in Counter(name for name, _ in pairs).items():
        if times > 1:
            raise RequestRefused(PARAMETER_REPEATED, parameter=name)
    return dict(pairs)


def judge(request: TokenRequest, directory: Directory, *, authority: str, now: float) -> Grant:
    """Grant or refuse one token request at `now`, epoch seconds.

    Raises:
        RequestRefused: with the error Entra answers the same mistake with.
    """
    grant = request.required("grant_type")
    if grant != "client_credentials":
        raise RequestRefused(GRANT_NOT_SUPPORTED, grant=grant)
    basic = _parse_basic(request.authorization)
    client_id = basic[0] if basic else request.required("client_id")
    daemon = _find_client(directory, request.tid, client_id)
    client_auth = _authenticate(request, daemon, basic, authority=authority, now=now)
    asked = _resource_asked_for(request)
    resource = directory.find_resource(asked)
    if resource is None:
        raise RequestRefused(RESOURCE_NOT_FOUND, resource=asked, tenant=request.tid)
    return Grant(daemon, resource, asked, client_auth)


def _find_client(directory: Directory, tid: str, client_id: str) -> Daemon:
    try:
        return directory.get_daemon(tid, client_id)
    except (ConfigInvalid, NameUnknown):
        raise RequestRefused(CLIENT_NOT_FOUND, client_id=client_id, tenant=tid) from None


def _authenticate(
    request: TokenRequest, daemon: Daemon, basic: tuple[str, str] | None, *, authority: str, now: float
) -> str:
    """Return how the client proved itself (`azpacr`); exactly one way must be used (RFC 6749 §2.3)."""
    secret = request.form.get("client_secret")
    assertion = request.form.get("client_assertion")
    ways = [way for way in (basic, secret, assertion) if way]
    if not ways:
        raise RequestRefused(CREDENTIAL_MISSING)
    if len(ways) > 1 or (basic and request.form.get("client_id", basic[0]) != basic[0]):
        raise RequestRefused(CREDENTIALS_AMBIGUOUS)
    if assertion:
        _check_assertion(assertion, request, daemon, authority=authority, now=now)
        return BY_CERTIFICATE
    offered = basic[1] if basic else secret or ""
    expected = daemon.client_secret
    if expected is None or not hmac.compare_digest(offered.encode(), expected.encode()):
        raise RequestRefused(SECRET_WRONG, client_id=daemon.client_id)
    return BY_SECRET


def _parse_basic(authorization: str | None) -> tuple[str, str] | None:
    """Read client id and secret from HTTP Basic; both are form-encoded inside it (RFC 6749 §2.3.1)."""
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise RequestRefused(CREDENTIAL_MISSING) from None
    return unquote_plus(user), unquote_plus(secret)


def _check_assertion(assertion: str, request: TokenRequest, daemon: Daemon, *, authority: str, now: float) -> None:
    """Check a client assertion (RFC 7523 §3). We do not remember `jti`, because Entra accepts an assertion again."""
    if request.required("client_assertion_type") != ASSERTION_TYPE or daemon.public_key is None:
        raise RequestRefused(ASSERTION_UNTRUSTED)
    try:
        claims = jwt.decode(
            assertion,
            daemon.public_key,
            algorithms=["RS256", "PS256"],
            options={"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False},
        )
    except jwt.InvalidTokenError:
        raise RequestRefused(ASSERTION_UNTRUSTED) from None
    if claims.get("iss") != daemon.client_id or claims.get("sub") != daemon.client_id:
        raise RequestRefused(ASSERTION_NOT_THIS_CLIENT)
    if claims.get("aud") not in _our_names(authority, request.tid):
        raise RequestRefused(ASSERTION_NOT_FOR_US)
    # PyJWT would ask the system's clock, and this authority may run on a frozen one.
    if not _is_in_time(claims.get("nbf", now), claims.get("exp"), now):
        raise RequestRefused(ASSERTION_OUT_OF_TIME)


def _our_names(authority: str, tid: str) -> tuple[str, ...]:
    return (f"{authority}/{tid}/oauth2/v2.0/token", f"{authority}/{tid}/oauth2/token", issuer_of(authority, tid, 2))


def _is_in_time(not_before: object, expires: object, now: float) -> bool:
    if not isinstance(not_before, int | float) or not isinstance(expires, int | float):
        return False
    return not_before <= now < expires


def _resource_asked_for(request: TokenRequest) -> str:
    """Return the resource's name as the daemon wrote it: `resource` at the v1 endpoint, `scope` at the v2 one."""
    if request.endpoint == 1:
        return request.required("resource")
    scope = request.required("scope")
    asked = scope.removesuffix(_DEFAULT_SCOPE)
    if not asked or asked == scope or " " in scope:
        raise RequestRefused(SCOPE_INVALID, scope=scope)
    return asked
