"""Key hygiene: a bad key is dropped with its reason, the good ones serve, each with one algorithm."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantgate.core.keys import (
    MAX_KID,
    SUPPORTED,
    KeySet,
    KeySetRef,
    MalformedKeySet,
    NoKeys,
    StaticKeys,
    Unusable,
    build_key_set,
    has_roca_fingerprint,
    parse_jwk,
    parse_jwks,
)
from tenantgate.core.strict import shown
from tests.builders import (
    REMOVE,
    Signer,
    an_entra_issuer,
    an_oidc_issuer,
    b64uint,
    b64url,
    changed,
    cloud_key,
    json_bytes,
    oidc_key,
    signer,
)

OIDC = an_oidc_issuer()
RSA = signer("RS256", "plain")
EC = signer("ES256", "plain")
ED = signer("EdDSA", "plain")
MODULUS = RSA.private.public_key().public_numbers().n
PRIMES = [number for number in range(3, 168, 2) if all(number % other for other in range(3, number, 2))]
ROCA_PRODUCT = math.prod(PRIMES)


def rsa_jwk(n: int, e: int = 65537, **extra: Any) -> dict[str, Any]:
    """Return a JWK of any two numbers."""
    return changed({"kty": "RSA", "kid": "k", "n": b64uint(n), "e": b64uint(e)}, extra)


def a_modulus(bits: int) -> int:
    """Return a number of that many bits that passes for a modulus: no small factor."""
    number = (1 << (bits - 1)) + 1
    while any(number % prime == 0 for prime in (2, *range(3, 168, 2))):
        number += 2
    return number


def a_roca_modulus() -> int:
    """Return a 2048-bit number with the ROCA fingerprint: 1 modulo every prime of the test."""
    return ROCA_PRODUCT * (1 << (2047 - ROCA_PRODUCT.bit_length() + 1)) + 1


def why_dropped(jwk: object, **issuer: Any) -> str:
    """Return the reason for which a key is not used."""
    with pytest.raises(Unusable) as caught:
        parse_jwk(jwk, an_oidc_issuer(**issuer))
    return str(caught.value)


BAD = [
    ("not an object", "RSA", "not a JSON object"),
    ("no kty", RSA.jwk(kty=REMOVE), "kty None is not supported"),
    ("kty is a list", RSA.jwk(kty=["RSA"]), "kty ['RSA'] is not supported"),
    ("kty in lower case", RSA.jwk(kty="rsa"), "kty rsa is not supported"),
    ("symmetric", {"kty": "oct", "kid": "k", "k": b64url(b"x" * 32)}, "symmetric key"),
    ("symmetric without k", {"kty": "oct", "kid": "k"}, "symmetric key"),
    ("private RSA", RSA.jwk(d=b64uint(7)), "private members are published"),
    ("a single prime", RSA.jwk(p=b64uint(7)), "private members are published"),
    ("multi-prime", RSA.jwk(oth=[]), "private members are published"),
    ("private EC", EC.jwk(d=b64url(b"x" * 32)), "private members are published"),
    ("private Ed25519", ED.jwk(d=b64url(b"x" * 32)), "private members are published"),
    ("private, but null", EC.jwk(d=None), "private members are published"),
    ("RSA with k", RSA.jwk(k="AAAA"), "private members are published"),
    ("use enc", RSA.jwk(use="enc"), "use is enc, not sig"),
    ("use null", RSA.jwk(use=None), "use is None, not sig"),
    ("use a list", RSA.jwk(use=["sig"]), "use is ['sig'], not sig"),
    ("key_ops sign", RSA.jwk(key_ops=["sign"]), "key_ops has no verify"),
    ("key_ops empty", RSA.jwk(key_ops=[]), "key_ops has no verify"),
    ("key_ops a string", RSA.jwk(key_ops="verify"), "key_ops has no verify"),
    ("kid a number", RSA.jwk(kid=7), "kid is not a sane string"),
    ("kid empty", RSA.jwk(kid=""), "kid is not a sane string"),
    ("kid too long", RSA.jwk(kid="x" * (MAX_KID + 1)), "kid is not a sane string"),
    ("kid with NUL", RSA.jwk(kid="a\x00"), "kid is not a sane string"),
    ("issuer a list", RSA.jwk(issuer=["https://id.globex.example"]), "issuer member is not a string"),
    ("alg of another type", RSA.jwk(alg="ES256"), "alg ES256 does not fit the key"),
    ("alg symmetric", RSA.jwk(alg="HS256"), "alg HS256 does not fit the key"),
    ("alg none", RSA.jwk(alg="none"), "alg none does not fit the key"),
    ("alg for encryption", RSA.jwk(alg="RSA-OAEP"), "alg RSA-OAEP does not fit the key"),
    ("alg RS1", RSA.jwk(alg="RS1"), "alg RS1 does not fit the key"),
    ("alg a list", RSA.jwk(alg=["RS256"]), "alg ['RS256'] does not fit the key"),
    ("EC with RS256", EC.jwk(alg="RS256"), "alg RS256 does not fit the key"),
    ("P-256 with ES384", EC.jwk(alg="ES384"), "alg ES384 does not fit the key"),
    ("Ed25519 with Ed448", ED.jwk(alg="Ed448"), "alg Ed448 does not fit the key"),
    ("RSA with Ed25519", RSA.jwk(alg="Ed25519"), "alg EdDSA does not fit the key"),
    ("secp256k1", EC.jwk(crv="secp256k1"), "curve secp256k1 is not used for signatures here"),
    ("no curve", EC.jwk(crv=REMOVE), "curve None is not used for signatures here"),
    ("curve a list", EC.jwk(crv=["P-256"]), "curve ['P-256'] is not used for signatures here"),
    ("X25519", ED.jwk(crv="X25519"), "curve X25519 is not used for signatures here"),
    ("Ed448", ED.jwk(crv="Ed448"), "curve Ed448 is not used for signatures here"),
    ("EC with Ed25519", EC.jwk(crv="Ed25519"), "curve Ed25519 is not used for signatures here"),
    ("OKP with P-256", ED.jwk(crv="P-256"), "curve P-256 is not used for signatures here"),
    ("1024 bits", rsa_jwk(a_modulus(1024)), "RSA key of 1024 bits; 2048 to 8192 are accepted"),
    ("2047 bits", rsa_jwk(a_modulus(2047)), "RSA key of 2047 bits; 2048 to 8192 are accepted"),
    ("8193 bits", rsa_jwk(a_modulus(8193)), "RSA key of 8193 bits; 2048 to 8192 are accepted"),
    ("16384 bits", rsa_jwk((1 << 16_383) + 1), "n is longer than 8192 bits"),
    ("even modulus", rsa_jwk((1 << 2047) + 2), "RSA modulus has a small factor"),
    ("modulus with factor 3", rsa_jwk(3 * a_modulus(2048)), "RSA modulus has a small factor"),
    ("exponent 3", rsa_jwk(MODULUS, 3), "RSA exponent is not an odd number from 65537 to 2^32"),
    ("exponent 65535", rsa_jwk(MODULUS, 65535), "RSA exponent is not an odd number from 65537 to 2^32"),
    ("exponent beyond 32 bits", rsa_jwk(MODULUS, 2**33 + 1), "RSA exponent is not an odd number from 65537 to 2^32"),
    ("ROCA", rsa_jwk(a_roca_modulus()), "RSA key has the ROCA fingerprint (CVE-2017-15361)"),
    ("no modulus", RSA.jwk(n=REMOVE), "n is missing or not a string"),
    ("modulus a number", RSA.jwk(n=MODULUS), "n is missing or not a string"),
    ("modulus outside ASCII", RSA.jwk(n="é"), "n is missing or not a string"),
    ("modulus not base64", RSA.jwk(n="*" * 340), "n is not base64url"),
    ("no exponent", RSA.jwk(e=REMOVE), "e is missing or not a string"),
    ("x of 31 bytes", EC.jwk(x=b64url(b"\x01" * 31)), "x has not the full length of the curve"),
    ("x of 33 bytes", EC.jwk(x=b64url(b"\x00" + b"\x01" * 32)), "x has not the full length of the curve"),
    ("y of 31 bytes", EC.jwk(y=b64url(b"\x01" * 31)), "y has not the full length of the curve"),
    ("x padded", EC.jwk(x=EC.jwk()["x"] + "="), "x is not base64url"),
    ("no y", EC.jwk(y=REMOVE), "y is missing or not a string"),
    ("x of a short Ed25519 key", ED.jwk(x=b64url(b"\x01" * 31)), "x has not the full length of the curve"),
    ("Ed25519 identity point", ED.jwk(x=b64url(b"\x01" + b"\x00" * 31)), "Ed25519 key is a point of small order"),
]  # fmt: skip


@pytest.mark.threat(28, 30)
@pytest.mark.parametrize(("jwk", "reason"), [pytest.param(*row[1:], id=row[0]) for row in BAD])
def test_a_bad_key_is_dropped_and_the_good_one_serves(jwk: Any, reason: str) -> None:
    """One bad key never spoils a set: it is dropped for its own reason, the good key verifies."""
    assert why_dropped(jwk) == reason
    keys = build_key_set({"keys": [jwk, oidc_key().jwk()]}, OIDC)

    assert [drop.reason for drop in keys.dropped] == [reason]
    assert list(keys.keys) == [oidc_key().kid]
    assert verifies(keys, oidc_key())


@pytest.mark.threat(27, 28)
@pytest.mark.parametrize(
    ("name", "jwk"),
    [
        ("off the curve", EC.jwk(y=EC.jwk()["x"])),
        ("the point 0, 0", EC.jwk(x=b64url(bytes(32)), y=b64url(bytes(32)))),
        ("exponent 1", rsa_jwk(MODULUS, 1)),
        ("exponent 0", rsa_jwk(MODULUS, 0)),
        ("even exponent", rsa_jwk(MODULUS, 65538)),
        ("exponent as large as the modulus", rsa_jwk(MODULUS, MODULUS)),
        ("modulus 0", rsa_jwk(0)),
        ("empty modulus", RSA.jwk(n="")),
    ],
)
def test_what_cryptography_refuses_is_dropped_too(name: str, jwk: dict[str, Any]) -> None:
    """Numbers that are no key at all end as a dropped key, whatever was raised underneath."""
    assert why_dropped(jwk).endswith("public key (ValueError)"), name


SMALL_ORDER = [
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    b"\xec" + b"\xff" * 30 + b"\x7f",
    b"\xed" + b"\xff" * 30 + b"\x7f",
    b"\xee" + b"\xff" * 30 + b"\x7f",
]


@pytest.mark.threat(27)
@pytest.mark.parametrize("sign", [0, 128])
@pytest.mark.parametrize("point", SMALL_ORDER)
def test_ed25519_points_of_small_order_are_no_keys(point: bytes, sign: int) -> None:
    """Under such a key the signature (point, 0) holds for messages nobody signed."""
    x = point[:31] + bytes([point[31] | sign])

    assert why_dropped(ED.jwk(x=b64url(x))) == "Ed25519 key is a point of small order"


def test_rsa_numbers_may_be_in_plain_base64() -> None:
    """Some issuers write `n` with padding and leading zeros; a number is not signed, so both spellings are taken."""
    padded = RSA.jwk()["n"].replace("-", "+").replace("_", "/")
    padded += "=" * (-len(padded) % 4)

    assert verifies(build_key_set({"keys": [RSA.jwk(n=padded)]}, OIDC), RSA)
    assert verifies(build_key_set({"keys": [RSA.jwk(n=b64url(b"\x00" + MODULUS.to_bytes(256, "big")))]}, OIDC), RSA)


def verifies(keys: KeySet, by: Signer) -> bool:
    """Whether the set's key of that name verifies what `by` signs."""
    key = keys.find(by.kid)
    signature = by.signature(b"signed")
    return key is not None and key.verify(b"signed", signature) and not key.verify(b"other", signature)


@pytest.mark.parametrize("alg", sorted(SUPPORTED))
def test_every_supported_algorithm_verifies_its_own_signature_only(alg: str) -> None:
    """Each algorithm has a key that verifies what it signed, and nothing signed otherwise."""
    key = signer(alg, "own")
    keys = build_key_set({"keys": [key.jwk(alg=alg)]}, OIDC)

    assert verifies(keys, key)
    found = keys.find(key.kid)
    assert found is not None
    assert found.alg == alg
    assert not found.verify(b"signed", b"")
    assert not found.verify(b"signed", key.signature(b"signed")[:-1])
    assert not found.verify(b"signed", key.signature(b"signed") + b"\x00")


@pytest.mark.parametrize(
    ("algorithms", "alg"),
    [
        ((), "RS256"),
        (("RS256",), "RS256"),
        (("PS256",), "PS256"),
        (("ES256", "RS384"), "RS384"),
    ],
)
def test_an_rsa_key_without_alg_takes_the_issuers_rsa_algorithm(algorithms: tuple[str, ...], alg: str) -> None:
    """Entra's keys carry no `alg`: the issuer's one RSA algorithm counts, RS256 where none is configured."""
    assert parse_jwk(RSA.jwk(), an_oidc_issuer(algorithms=algorithms)).alg == alg


def test_of_several_rsa_algorithms_a_key_must_name_its_own() -> None:
    """One algorithm per key: with two configured, an RSA key without `alg` might be used with both: so with none."""
    assert "names no alg" in why_dropped(RSA.jwk(), algorithms=("PS512", "RS256"))
    assert parse_jwk(RSA.jwk(alg="RS256"), an_oidc_issuer(algorithms=("PS512", "RS256"))).alg == "RS256"


@pytest.mark.parametrize(
    ("jwk", "alg"),
    [
        (RSA.jwk(alg="PS384"), "PS384"),
        (EC.jwk(), "ES256"),
        (signer("ES384", "plain").jwk(), "ES384"),
        (signer("ES512", "plain").jwk(), "ES512"),
        (ED.jwk(), "EdDSA"),
        (ED.jwk(alg="Ed25519"), "EdDSA"),
        (ED.jwk(alg="EdDSA"), "EdDSA"),
    ],
)
def test_the_jwks_own_alg_or_curve_decides(jwk: dict[str, Any], alg: str) -> None:
    """The key says what it is for; the token never does."""
    assert parse_jwk(jwk, OIDC).alg == alg


def test_an_algorithm_not_configured_for_the_issuer_drops_the_key() -> None:
    """An issuer agreed to sign with ES256 cannot bring in an RSA key."""
    assert why_dropped(RSA.jwk(), algorithms=("ES256",)) == "alg RS256 is not configured for this issuer"
    assert why_dropped(RSA.jwk(alg="RS512"), algorithms=("RS256",)) == "alg RS512 is not configured for this issuer"
    assert why_dropped(EC.jwk(), algorithms=("RS256",)) == "alg ES256 is not configured for this issuer"


def test_a_kid_twice_drops_both() -> None:
    """Which of two keys of one name is meant cannot be known; the others serve."""
    for copies in (2, 3, 4):
        twins = [signer("ES256", f"twin{n}").jwk(kid="same") for n in range(copies)]
        keys = build_key_set({"keys": [*twins, oidc_key().jwk()]}, OIDC)

        assert keys.find("same") is None
        assert list(keys.keys) == [oidc_key().kid]
        assert {drop.reason for drop in keys.dropped} == {"kid appears twice"}


def test_a_dropped_key_is_named_in_visible_ascii() -> None:
    """Whatever the issuer calls it, the operator's list stays readable, for twins as for keys that cannot be used."""
    kid = "schl\u00fcssel" + "x" * 200
    twins = [signer("ES256", f"twin{n}").jwk(kid=kid) for n in range(2)]
    for jwks in (twins, [EC.jwk(kid=kid, use="enc")]):
        (drop,) = build_key_set({"keys": [*jwks, oidc_key().jwk()]}, OIDC).dropped

        assert drop.kid == shown(kid)


def test_twins_take_no_other_key_with_them() -> None:
    """A kid that begins as that of the twins does is another kid, however long the two are."""
    twins = [signer("ES256", f"twin{n}").jwk(kid="x" * 200) for n in range(2)]
    keys = build_key_set({"keys": [*twins, EC.jwk(kid="x" * 201)]}, OIDC)

    assert list(keys.keys) == ["x" * 201]


def test_a_kid_twice_with_another_type_drops_both() -> None:
    """Twins of different types are as ambiguous."""
    keys = build_key_set({"keys": [EC.jwk(kid="same"), RSA.jwk(kid="same"), oidc_key().jwk()]}, OIDC)

    assert list(keys.keys) == [oidc_key().kid]


def test_a_single_key_may_be_nameless() -> None:
    """With one key there is nothing to choose; with two, the nameless one is dropped."""
    alone = build_key_set({"keys": [EC.jwk(kid=REMOVE)]}, OIDC)
    assert alone.nameless is not None
    assert alone.find(None) is alone.nameless
    assert alone.find("any") is None

    both = build_key_set({"keys": [EC.jwk(kid=REMOVE), oidc_key().jwk()]}, OIDC)
    assert both.nameless is None
    assert both.dropped[0].reason == "no kid, and it is not the only key"
    with pytest.raises(MalformedKeySet):
        build_key_set({"keys": [EC.jwk(kid=REMOVE), RSA.jwk(kid=None)]}, OIDC)


def test_a_token_without_kid_is_for_the_only_key() -> None:
    """Without `kid` the only usable key is meant; of two, neither."""
    one = build_key_set({"keys": [EC.jwk(), RSA.jwk(use="enc")]}, OIDC)
    two = build_key_set({"keys": [EC.jwk(), ED.jwk()]}, OIDC)

    assert one.find(None) is one.find(EC.kid)
    assert two.find(None) is None


@pytest.mark.parametrize(
    "document",
    [
        b"", b"null", b"[]", b'"keys"', b"{}", b'{"keys":null}', b'{"keys":{}}', b'{"keys":"x"}', b'{"keys":[]}',
        b'{"keys":[null]}', b'{"keys":[[]]}', b'{"keys":[{}]}', b'{"Keys":[]}', b"\xff", b"\xef\xbb\xbf{}",
        b'{"keys":[],"keys":[]}', b'{"keys":' + b"[" * 100_000, b'{"keys":[' + b"{}," * 300 + b"{}]}",
        json_bytes({"keys": [RSA.jwk(kty="oct")]}), b"<html></html>",
    ],
)  # fmt: skip
def test_a_set_without_a_usable_key_is_malformed(document: bytes) -> None:
    """No key to serve is an error of the document, and the set in use stays."""
    with pytest.raises(MalformedKeySet):
        parse_jwks(document, OIDC)


def test_duplicate_members_spoil_a_fetched_set() -> None:
    """Two `n` in one key: parsers differ in which counts."""
    raw = json_bytes({"keys": [oidc_key().jwk()]}).replace(b'"kty"', b'"kty":"RSA","kty"')

    with pytest.raises(MalformedKeySet):
        parse_jwks(raw, OIDC)


def test_a_fetched_set_is_read() -> None:
    """A key document as bytes gives the keys by their kid."""
    keys = parse_jwks(json_bytes({"keys": [oidc_key().jwk(x5t="opaque", unknown=[1])]}), OIDC)

    assert verifies(keys, oidc_key())


def test_reasons_name_no_key_material() -> None:
    """A dropped key is reported by kid and reason; not even a private member that was published is repeated."""
    secret = b64url(b"secret" * 8)
    leaky = [RSA.jwk(d=secret, kid="leaky\u202e"), RSA.jwk(d=secret, kid="leaky")]
    keys = build_key_set({"keys": [*leaky, oidc_key().jwk()]}, OIDC)

    assert secret not in repr(keys.dropped)
    assert RSA.jwk()["n"] not in repr(keys.dropped)
    assert [drop.kid for drop in keys.dropped] == ["leaky\\u202e", "leaky"]


def test_static_keys_are_those_of_the_rows() -> None:
    """A row's own key sets are at hand by issuer and document; another issuer, document or appid has none."""
    keys = StaticKeys([an_entra_issuer(), OIDC])

    assert isinstance(keys.key_set(KeySetRef("cloud", "v1")), KeySet)
    assert isinstance(keys.key_set(KeySetRef("cloud")), KeySet)
    assert isinstance(keys.key_set(KeySetRef("oidc")), KeySet)
    for ref in (KeySetRef("oidc", "v1"), KeySetRef("other"), KeySetRef("cloud", "v2", "appid")):
        assert keys.key_set(ref) == NoKeys(too_old=False)
    with pytest.raises(MalformedKeySet):
        StaticKeys([an_oidc_issuer(jwks={"keys": []})])


def test_good_moduli_have_no_roca_fingerprint() -> None:
    """Ordinary keys pass; the constructed one does not."""
    assert has_roca_fingerprint(a_roca_modulus())
    assert a_roca_modulus().bit_length() == 2048
    assert not has_roca_fingerprint(MODULUS)
    assert not has_roca_fingerprint(cloud_key().private.public_key().public_numbers().n)


JWK_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8),
    st.lists(st.text(max_size=3), max_size=3), st.dictionaries(st.text(max_size=3), st.none(), max_size=2),
    st.sampled_from(["RSA", "EC", "OKP", "oct", "P-256", "Ed25519", "sig", "RS256", "AQAB", oidc_key().jwk()["x"]]),
)  # fmt: skip
JWK_NAMES = st.sampled_from(["kty", "use", "key_ops", "alg", "kid", "n", "e", "crv", "x", "y", "d", "issuer", "x5c"])


@given(st.sampled_from([RSA, EC, ED]), st.dictionaries(JWK_NAMES, JWK_VALUES, max_size=4))
def test_any_jwk_is_used_or_dropped(base: Signer, changes: dict[str, Any]) -> None:
    """Whatever an issuer publishes, a key is a key or Unusable; nothing else escapes."""
    used = build_key_set({"keys": [base.jwk(**changes), oidc_key().jwk()]}, OIDC)

    assert len(used.keys) + len(used.dropped) == 2
    assert all(key.alg in SUPPORTED and not key.verify(b"signed", b"x" * 64) for key in used.keys.values())
    assert all(len(drop.reason) < 300 for drop in used.dropped)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_key_set_or_malformed(raw: bytes) -> None:
    """Whatever an address answers, it is a key set or MalformedKeySet."""
    with pytest.raises(MalformedKeySet):
        parse_jwks(raw, OIDC)


@pytest.mark.threat(28)
@pytest.mark.parametrize("power", range(0, 2_000, 97))
def test_every_modulus_of_the_weak_form_is_found(power: int) -> None:
    """Whatever power of 65537 the weak generator took, and whatever multiple it added, the product shows it."""
    weak = pow(65537, power, ROCA_PRODUCT) + (power + 2) * ROCA_PRODUCT

    assert has_roca_fingerprint(weak)
    assert not has_roca_fingerprint(weak + 2)


def _powers(prime: int) -> set[int]:
    """Return what 65537 generates modulo a prime."""
    return {pow(65537, power, prime) for power in range(prime)}


@pytest.mark.parametrize("prime", [prime for prime in PRIMES if len(_powers(prime)) < prime - 1])
def test_one_residue_outside_the_group_clears_a_key(prime: int) -> None:
    """The fingerprint asks every prime up to 167: a single residue that 65537 does not generate is proof enough."""
    other = next(residue for residue in range(2, prime) if residue not in _powers(prime))
    rest = ROCA_PRODUCT // prime
    modulus = 1 + rest * ((other - 1) * pow(rest, -1, prime) % prime)

    assert modulus % prime == other
    assert not has_roca_fingerprint(modulus)
    assert has_roca_fingerprint(1 + ROCA_PRODUCT)


@pytest.mark.parametrize("member", ["d", "p", "q", "dp", "dq", "qi", "oth", "k"])
@pytest.mark.parametrize("base", [RSA, EC, ED])
def test_any_private_member_drops_a_key(base: Signer, member: str) -> None:
    """A key whose secret, or a part of it, was published is everybody's key."""
    assert why_dropped(base.jwk(**{member: "AAAA"})) == "private members are published"


@pytest.mark.parametrize(
    "purpose",
    [{"use": REMOVE}, {"key_ops": ["verify"]}, {"key_ops": ["sign", "verify"], "use": REMOVE}, {"key_ops": None}],
)
def test_a_key_for_signatures_may_say_so_or_not(purpose: dict[str, Any]) -> None:
    """`use` and `key_ops` are optional (RFC 7517 §4.2, §4.3); what they must not do is name another purpose."""
    assert verifies(build_key_set({"keys": [RSA.jwk(**purpose)]}, OIDC), RSA)
