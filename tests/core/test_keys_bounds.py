"""Where the rules for keys draw their lines, and what is said of keys and key documents beyond them."""

from __future__ import annotations

from typing import Any

import pytest

from tenantgate.core.keys import (
    MAX_RSA_BITS,
    DroppedKey,
    KeySet,
    MalformedKeySet,
    build_key_set,
    has_roca_fingerprint,
    parse_jwks,
)
from tenantgate.core.limits import LIMITS
from tests.builders import REMOVE, an_oidc_issuer, b64uint, b64url, oidc_key, signer

OIDC = an_oidc_issuer()
GOOD = oidc_key().jwk()
PRIMES = [n for n in range(2, 168) if all(n % m for m in range(2, n))]


def rsa_jwk(n: int, e: int = 65537, **extra: Any) -> dict[str, Any]:
    """Return an RSA public key with these numbers, whoever could know its primes."""
    return {"kty": "RSA", "kid": "r", "n": b64uint(n), "e": b64uint(e), **extra}


def modulus(bits: int, ending: int = 1, below: int = 2) -> int:
    """Return a number of so many bits, of the remainder `ending` by `below`, without small factors or fingerprint."""
    n = 2 ** (bits - 1) + 2 ** (bits - 2)
    n += (ending - n) % below
    while any(n % prime == 0 for prime in PRIMES) or has_roca_fingerprint(n):
        n += below
    assert n.bit_length() == bits
    return n


def keys_with(jwk: Any) -> KeySet:
    """Return the set of this key and a good one."""
    return build_key_set({"keys": [jwk, GOOD]}, OIDC)


def reason_for(jwk: Any) -> str:
    """Return why a key is dropped."""
    (drop,) = keys_with(jwk).dropped
    return drop.reason


@pytest.mark.parametrize("bits", [2048, 2049, MAX_RSA_BITS])
def test_rsa_keys_on_the_bounds_serve(bits: int):
    """From 2048 to 8192 bits, both included."""
    assert keys_with(rsa_jwk(modulus(bits))).find("r") is not None


@pytest.mark.parametrize("bits", [2047, MAX_RSA_BITS + 1])
def test_rsa_keys_beyond_the_bounds_do_not(bits: int):
    """One bit less or more, and the reason says how many."""
    assert reason_for(rsa_jwk(modulus(bits))) == f"RSA key of {bits} bits; 2048 to 8192 are accepted"


def test_giant_numbers_are_not_even_read():
    """More octets than a key may have are refused before they become a number."""
    assert reason_for(rsa_jwk(2 ** (MAX_RSA_BITS + 8) + 1)) == "n is longer than 8192 bits"
    assert reason_for(rsa_jwk(modulus(2048), 2 ** (MAX_RSA_BITS + 8) + 1)) == "e is longer than 8192 bits"


@pytest.mark.parametrize("e", [65537, 65541, 2**32 - 1])
def test_odd_exponents_up_to_32_bits_serve(e: int):
    """65537 and odd numbers above it, multiples of three included."""
    assert keys_with(rsa_jwk(modulus(2048), e)).find("r") is not None


@pytest.mark.parametrize("e", [3, 65535, 2**32 + 1, 2**33 - 1])
def test_other_exponents_do_not(e: int):
    """Below 65537, or of 33 bits."""
    assert reason_for(rsa_jwk(modulus(2048), e)) == "RSA exponent is not an odd number from 65537 to 2^32"


def test_even_exponents_are_no_key():
    """`cryptography` already refuses them, whatever their size."""
    assert reason_for(rsa_jwk(modulus(2048), 65538)) == "not a RSA public key (ValueError)"


@pytest.mark.parametrize("prime", PRIMES)
def test_a_small_factor_is_found(prime: int):
    """Each prime up to 167, two included."""
    n = modulus(2048) * prime

    assert reason_for(rsa_jwk(n)) == "RSA modulus has a small factor"


def test_numbers_are_read_to_the_last_letter():
    """Only padding is taken off an RSA number, whatever letter it ends in."""
    n = modulus(2064, ending=23, below=64)
    jwk = rsa_jwk(n)
    assert jwk["n"].endswith("X")

    key = keys_with(jwk).find("r")
    assert key is not None
    assert key.key.public_numbers().n == n


def test_a_set_may_have_as_many_keys_as_a_list_may():
    """256 keys, and not one more."""
    jwks = [{**GOOD, "kid": str(n)} for n in range(LIMITS.members)]

    assert len(build_key_set({"keys": jwks}, OIDC).keys) == LIMITS.members
    with pytest.raises(MalformedKeySet):
        build_key_set({"keys": [*jwks, GOOD]}, OIDC)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, "the key set has no `keys` array of a sane length"),
        ({"keys": {}}, "the key set has no `keys` array of a sane length"),
        ({"keys": [GOOD] * 257}, "the key set has no `keys` array of a sane length"),
        ({"keys": []}, "the key set is empty"),
        ({"keys": [7, {"kty": "oct"}, 8]}, "the key set has no usable key: not a JSON object, symmetric key"),
    ],
)
def test_a_malformed_set_says_why(document: dict[str, Any], words: str):
    """And where no key can be used, each reason once."""
    with pytest.raises(MalformedKeySet) as caught:
        build_key_set(document, OIDC)
    assert str(caught.value) == words


def test_bytes_that_are_no_set_say_why():
    """What the strict reader says is passed on."""
    with pytest.raises(MalformedKeySet) as caught:
        parse_jwks(b"[]", OIDC)
    assert str(caught.value) == "the key set is not a JSON object"


@pytest.mark.parametrize(
    ("jwk", "drop"),
    [
        (7, DroppedKey("", "not a JSON object")),
        ({"kty": "oct"}, DroppedKey("", "symmetric key")),
        ({"kty": "oct", "kid": "a"}, DroppedKey("a", "symmetric key")),
        ({"kty": "oct", "kid": 7}, DroppedKey("7", "kid is not a sane string")),
        (signer("ES256").jwk(kid=REMOVE), DroppedKey("", "no kid, and it is not the only key")),
        (signer("ES256").jwk(x=b64url(bytes(31))), DroppedKey("a-ES256", "x has not the full length of the curve")),
    ],
)
def test_a_dropped_key_is_named(jwk: Any, drop: DroppedKey):
    """By its kid, or by nothing where it has none."""
    assert keys_with(jwk).dropped == (drop,)
