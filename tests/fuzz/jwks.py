"""Key documents: `parse_jwks` for issuers of several kinds."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from random import Random
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tenantgate.core.keys import (
    MAX_KID,
    MAX_RSA_BITS,
    MIN_RSA_BITS,
    PRIVATE_MEMBERS,
    SUPPORTED,
    KeySet,
    MalformedKeySet,
    VerifyKey,
    parse_jwks,
)
from tenantgate.core.strict import shown
from tests.builders import V2_TEMPLATE, an_entra_issuer, an_oidc_issuer, b64uint, b64url, json_bytes, signer, v2_issuer
from tests.fuzz.shapes import changed, document, text
from tests.fuzz.target import Change, Target, check_words, vector_files

ISSUERS: Final = (
    an_oidc_issuer(jwks=None),
    an_oidc_issuer(jwks=None, algorithms=("PS256", "ES256", "EdDSA")),
    an_entra_issuer(jwks=None, v1_jwks=None),
)
CURVES: Final = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
WORDS: Final[dict[str, tuple[Any, ...]]] = {
    "kty": ("RSA", "EC", "OKP", "oct", "rsa"),
    "crv": ("P-256", "P-384", "P-521", "Ed25519", "X25519", "secp256k1"),
    "alg": (*sorted(SUPPORTED), "Ed25519", "HS256", "none", "ES256K"),
    "use": ("sig", "enc", "tls"),
    "key_ops": (["verify"], ["sign"], ["sign", "verify"], []),
    "kid": ("a", "b", "x" * MAX_KID, "x" * (MAX_KID + 1)),
    "issuer": (V2_TEMPLATE, v2_issuer("bbbbbbbb-0000-4000-8000-000000000002")),
    "e": ("AQAB", "Aw", "AQ", "AQAC", "AAEAAQ", "AQAB="),
    "n": ("AQAB", b64uint(2**2048 + 1), b64uint(2**9000 + 1)),
    "x": ("AA", b64url(bytes(32)), b64url(b"\x01" + bytes(31)), b64url(b"\xff" * 66)),
    "y": ("AA", b64url(bytes(32)), b64url(b"\xff" * 66)),
    "d": ("AQAB",),
    "k": ("AQAB",),
    "x5c": (["MIIC"],),
}


def run(data: bytes) -> None:
    """Parse a document for each issuer, and hold the keys that serve to what is plain from the document."""
    for issuer in ISSUERS:
        found, again = parsed(data, issuer), parsed(data, issuer)
        assert plain(found) == plain(again), "parsed twice, read twice"
        if found is None:
            continue
        source = json.loads(data)["keys"]
        for key in served(found):
            check_key(key, source, issuer.algorithms)
            check_only_one(key, source, issuer)
            assert not key.verify(b"signed", data[:256].ljust(256, b".")), "anything is a signature"
        kids = {shown(each["kid"]) for each in source if isinstance(each, dict) and isinstance(each.get("kid"), str)}
        told = {shown(kid) for kid in found.keys} | {each.kid for each in found.dropped}
        assert kids <= told, "a key is neither used nor named as dropped"
        check_canonical(found, issuer)


def parsed(data: bytes, issuer: Any) -> KeySet | None:
    """Return the key set, or None where it is malformed: the one declared error."""
    try:
        return parse_jwks(data, issuer)
    except MalformedKeySet as error:
        check_words(str(error), 20_000)
        return None


def served(keys: KeySet) -> list[VerifyKey]:
    """Return every key that can be found in a set."""
    return [*keys.keys.values(), *([keys.nameless] if keys.nameless is not None else [])]


def plain(keys: KeySet | None) -> Any:
    """Return what a key set holds, as values that can be compared."""
    if keys is None:
        return None
    assert all(kid == key.kid for kid, key in keys.keys.items())
    return [as_jwk(key) for key in served(keys)], [(each.kid, each.reason) for each in keys.dropped]


def as_jwk(key: VerifyKey) -> dict[str, Any]:
    """Return a key as a JWK in the one canonical spelling, from the numbers that `cryptography` has of it."""
    named = {"kid": key.kid, "alg": key.alg, "issuer": key.issuer}
    public = key.key
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        own = {"kty": "RSA", "n": b64uint(numbers.n), "e": b64uint(numbers.e)}
    elif isinstance(public, ec.EllipticCurvePublicKey):
        size = (public.curve.key_size + 7) // 8
        x, y = (b64url(each.to_bytes(size, "big")) for each in (public.public_numbers().x, public.public_numbers().y))
        own = {"kty": "EC", "crv": CURVES[public.curve.name], "x": x, "y": y}
    else:
        assert isinstance(public, ed25519.Ed25519PublicKey), public
        own = {"kty": "OKP", "crv": "Ed25519", "x": b64url(public.public_bytes_raw())}
    return {name: value for name, value in {**named, **own}.items() if value is not None}


def check_key(key: VerifyKey, source: list[Any], algorithms: tuple[str, ...]) -> None:
    """A key that serves stands in the document, is public, for signatures, of one supported algorithm, and strong."""
    assert key.alg in SUPPORTED
    assert not algorithms or key.alg in algorithms
    assert key.kid is None or 0 < len(key.kid) <= MAX_KID
    named = [each for each in source if isinstance(each, dict) and each.get("kid") == key.kid]
    fitting = [each for each in named if not PRIVATE_MEMBERS & each.keys() and each.get("use", "sig") == "sig"]
    assert any(each.get("issuer") == key.issuer and each.get("kty") in ("RSA", "EC", "OKP") for each in fitting)
    if isinstance(key.key, rsa.RSAPublicKey):
        numbers = key.key.public_numbers()
        assert MIN_RSA_BITS <= numbers.n.bit_length() <= MAX_RSA_BITS
        assert 65_537 <= numbers.e < 2**32
        assert numbers.e % 2 == numbers.n % 2 == 1
        assert key.alg[:2] in ("RS", "PS")
    else:
        assert key.alg[:2] in ("ES", "Ed")


def check_only_one(key: VerifyKey, source: list[Any], issuer: Any) -> None:
    """No other key of the document would do under the same kid: nobody can tell which of two is meant."""
    named = [each for each in source if isinstance(each, dict) and each.get("kid") == key.kid]
    usable = [each for each in named if parsed(json_bytes({"keys": [each]}), issuer) is not None]
    assert len(usable) == 1, "two keys under one kid, and one of them serves"


def check_canonical(found: KeySet, issuer: Any) -> None:
    """What serves, written down anew, is read again as the same, and nothing is dropped."""
    again = parse_jwks(json_bytes({"keys": [as_jwk(key) for key in served(found)]}), issuer)
    assert plain(again) == (plain(found)[0], []), "what was read cannot be read again"


def seeds() -> Iterator[bytes]:
    """Yield sets of every kind of key, and what real issuers and test vectors publish."""
    keys = [signer(alg, "seed").jwk() for alg in ("RS256", "ES256", "ES384", "ES512", "EdDSA")]
    yield json_bytes({"keys": keys})
    for key in keys:
        yield json_bytes({"keys": [key]})
        yield json_bytes({"keys": [{name: value for name, value in key.items() if name != "kid"}]})
        yield json_bytes({"keys": [key, key, {**key, "kid": "b", "alg": "RS256", "issuer": V2_TEMPLATE}]})
    for path in vector_files("recorded-issuers"):
        yield json_bytes(json.loads(path.read_bytes())["jwks"])
    for path in vector_files("jose-cookbook", "jwk_*.json"):
        yield json_bytes({"keys": [json.loads(path.read_bytes())]})
    for path in vector_files("wycheproof", "json_web_key_test.json"):
        for group in json.loads(path.read_bytes())["testGroups"]:
            yield json_bytes(group.get("public") or group["private"])
    for path in vector_files("jsontestsuite", "test_parsing.json"):
        for case in json.loads(path.read_bytes()):
            yield b'{"keys":' + base64.b64decode(case["b64"])[:4_000] + b"}"


def mutate(data: bytes, number: int, change: Change) -> bytes:
    """Change one member of the set or of a key; now and then the bytes."""
    random = Random(number)
    if random.random() < 0.15:
        return change(data)
    return text(changed(document(data), random, change, WORDS))


TARGET: Final = Target(run, seeds, mutate, 16_384)
