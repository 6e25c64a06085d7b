"""How a published JWS is put to the very functions that judge a token.

The payloads of the vectors are texts such as `foo`, not claims, so a token's own reader would refuse each
vector for its payload and nothing else would be asked. Here the payload is exchanged for `{}` while the form
is read, and read as base64url by itself; the signature is checked over what was really signed. The steps and
their order are those of `core.token` and `core.verify`: form, key by `kid`, algorithm of the key, signature.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from tenantgate.core.keys import KeySet, MalformedKeySet, build_key_set
from tenantgate.core.policy import IssuerRow
from tenantgate.core.strict import Unreadable, decode_base64url
from tenantgate.core.token import Refused
from tests.parsed import Parsed, parse_token

ISSUER: Final = IssuerRow(id="vectors", kind="oidc", issuer="https://id.vectors.example")
"""An issuer that takes every algorithm we support."""
_ANY_CLAIMS: Final = b"e30"


class Weighed(NamedTuple):
    """Whether a vector holds, and where it was refused."""

    holds: bool
    why: str


def weigh(jws: str, jwks: dict[str, Any], issuer: IssuerRow = ISSUER) -> Weighed:
    """Put one vector to the judge's functions, under an issuer that publishes `jwks`."""
    try:
        keys = build_key_set(jwks, issuer)
        token = read_form(jws)
    except MalformedKeySet as refused:
        return Weighed(False, f"key: {refused}")
    except (Refused, Unreadable) as refused:
        return Weighed(False, f"form: {refused}")
    return _verify(token, keys)


def read_form(jws: str) -> Parsed:
    """Read a JWS whose payload may be anything.

    Raises:
        Refused, Unreadable: as the judge's own reader.
    """
    parts = jws.encode().split(b".")
    if len(parts) != 3:
        token = parse_token(jws)
        raise AssertionError(f"{len(parts)} parts were read as a token: {token}")
    header, payload, signature = parts
    decode_base64url(payload)
    token = parse_token(b".".join((header, _ANY_CLAIMS, signature)))
    return token._replace(signed=b".".join((header, payload)))


def _verify(token: Parsed, keys: KeySet) -> Weighed:
    key = keys.find(token.header.kid)
    if key is None:
        return Weighed(False, "key: no such kid")
    if token.header.alg != key.alg:
        return Weighed(False, f"algorithm: {token.header.alg}, the key is for {key.alg}")
    holds = key.verify(token.signed, token.signature)
    return Weighed(holds, "" if holds else "signature")
