"""What a hostile token, key or document costs: bounded before anything is decoded, in bytes and in time."""

from __future__ import annotations

import zlib
from typing import Any

import pytest

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied
from tenantgate.core.keys import MalformedKeySet, parse_jwks
from tenantgate.core.policy import PolicyError, decode_row
from tenantgate.core.strict import _unique
from tests.builders import an_oidc_issuer, ask, b64url, json_bytes, oidc_claims, oidc_key, oidc_token
from tests.measuring import calls_of, peak_of

MIB = 1024 * 1024


def refused(token: str | bytes) -> Denied:
    """Return the denial of a token in the unchanged world."""
    decision = ask(token)
    assert isinstance(decision, Denied)
    return decision


# Size.

HUGE = [
    pytest.param(lambda size: "A" * size, id="one run of letters"),
    pytest.param(lambda size: b"A" * size, id="one run of bytes"),
    pytest.param(lambda size: f"{'A' * size}.{oidc_token().partition('.')[2]}", id="header"),
    pytest.param(lambda size: oidc_token().replace(".", "." + "A" * size, 1), id="payload"),
    pytest.param(lambda size: oidc_token() + "A" * size, id="signature"),
    pytest.param(lambda size: "é" * size, id="not ASCII"),
]


@pytest.mark.threat(11)
@pytest.mark.parametrize("size", [17 * 1024, MIB, 64 * MIB], ids=["17 KiB", "1 MiB", "64 MiB"])
@pytest.mark.parametrize("make", HUGE)
def test_an_oversized_token_is_refused_without_a_copy_of_it(make: Any, size: int) -> None:
    """However long, it is measured and refused: nothing of its size is made, and nothing of it is repeated."""
    token = make(size)
    denied = refused(token)

    assert denied.reason is R.TOKEN_TOO_LARGE
    assert len(denied.detail) < 200
    assert peak_of(lambda: refused(token)) < 16 * 1024


@pytest.mark.threat(11)
def test_an_oversized_header_is_refused_before_it_is_decoded() -> None:
    """Within the token's own limit a header still has one of its own, asked before its base64 and its JSON."""
    header = "!" * 5_000  # neither of the two
    denied = refused(f"{header}.{oidc_token().partition('.')[2]}")

    assert denied.reason is R.TOKEN_TOO_LARGE
    assert "header of 5000 bytes" in denied.detail


@pytest.mark.threat(12)
@pytest.mark.parametrize("dots", [3, 16_384, 1_000_000, 20_000_000])
def test_dots_are_counted_and_not_split_at(dots: int) -> None:
    """A token of nothing but dots makes no list of parts: little memory, and as few calls for a million as for four."""
    token = "." * dots
    assert refused(token).reason is (R.TOKEN_MALFORMED if dots <= 16_384 else R.TOKEN_TOO_LARGE)

    assert peak_of(lambda: refused(token)) < 64 * 1024
    assert calls_of(lambda: refused(token)) <= calls_of(lambda: refused("....")) + 20


# Encryption and compression.


def deflated(size: int) -> bytes:
    """Return that many zeros as raw DEFLATE, a thousandth of their size."""
    packer = zlib.compressobj(9, wbits=-15)
    packed = b"".join(packer.compress(bytes(MIB)) for _ in range(size // MIB))
    return packed + packer.flush()


def encrypted(header: dict[str, Any], ciphertext: bytes = b"x" * 40) -> str:
    """Return a compact JWE of five parts (RFC 7516 §3.1)."""
    return ".".join(map(b64url, (json_bytes(header), b"k" * 40, b"v" * 12, ciphertext, b"t" * 16)))


JWE_ALGORITHMS = [
    "dir", "RSA1_5", "RSA-OAEP", "RSA-OAEP-256", "A128KW", "A256KW", "A256GCMKW", "ECDH-ES", "ECDH-ES+A256KW",
    "PBES2-HS256+A128KW", "PBES2-HS384+A192KW", "PBES2-HS512+A256KW",
]  # fmt: skip


@pytest.mark.threat(9, 10)
@pytest.mark.parametrize("alg", JWE_ALGORITHMS)
def test_an_encrypted_token_is_refused_without_decrypting(alg: str) -> None:
    """Five parts, or a header that says so, whatever key management it names."""
    header = {"alg": alg, "enc": "A256GCM", "kid": oidc_key().kid}

    assert refused(encrypted(header)).reason is R.TOKEN_ENCRYPTED
    assert refused(oidc_key().sign(oidc_claims(), header)).reason is R.TOKEN_ENCRYPTED
    del header["enc"]
    assert refused(oidc_key().sign(oidc_claims(), header)).reason is R.ALGORITHM_NOT_ALLOWED


@pytest.mark.threat(10)
@pytest.mark.parametrize("rounds", [1, 10**6, 2**31 - 1, 2**63])
def test_rounds_asked_for_by_a_header_are_never_run(rounds: int) -> None:
    """The count of key derivation rounds that a token names costs nothing, for it is not looked at."""

    def work(rounds: int) -> list[int]:
        header = {"alg": "PBES2-HS512+A256KW", "enc": "A256GCM", "p2s": b64url(b"salt" * 4), "p2c": rounds}
        signed = oidc_key().sign(oidc_claims(), header), oidc_key().sign(oidc_claims(), p2c=rounds)
        return [calls_of(lambda token=token: refused(token)) for token in (encrypted(header), *signed)]  # type: ignore[misc]

    # A memory of headers may be full or not: that is a call more or less, and no rounds.
    assert all(abs(one - other) < 20 for one, other in zip(work(rounds), work(1), strict=True))


@pytest.mark.threat(9)
@pytest.mark.parametrize("size", [8 * MIB, 400 * MIB], ids=["as large as fits into a token", "larger"])
def test_a_compressed_token_is_never_inflated(size: int) -> None:
    """A thousandfold of DEFLATE in either form of token is refused, and nothing of what it unpacks to is ever made."""
    bomb = deflated(size)
    fits = size == 8 * MIB
    header = {"alg": "dir", "enc": "A256GCM", "zip": "DEF"}
    tokens = {
        encrypted(header, bomb): R.TOKEN_ENCRYPTED,
        oidc_key().sign(bomb, zip="DEF"): R.HEADER_NOT_ALLOWED,
        oidc_key().sign(bomb): R.TOKEN_MALFORMED,
    }

    for token, reason in tokens.items():
        assert refused(token).reason is (reason if fits else R.TOKEN_TOO_LARGE)
        assert peak_of(lambda token=token: refused(token)) < 128 * 1024  # type: ignore[misc]


# Names.


class Name(str):
    """A member's name that counts how often it is compared."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other: object) -> bool:
        Name.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_a_name_that_stands_twice_is_found_in_one_pass() -> None:
    """However many names stand before it and however often it comes again: each is looked at a few times."""
    names = [Name(f"n{number}") for number in range(250)] + [Name("twice") for _ in range(2000)]
    Name.compared = 0
    with pytest.raises(ValueError, match="duplicate member"):
        _unique([(name, 1) for name in names])

    assert Name.compared < 4 * len(names)


# Depth.

DEPTHS = [17, 900, 100_000]


def nested(depth: int) -> bytes:
    """Return lists within lists."""
    return b"[" * depth + b"]" * depth


def with_nested(document: dict[str, Any], depth: int) -> bytes:
    """Return an object with one more member, so that it nests `depth` levels in all."""
    return json_bytes(document)[:-1] + b',"deep":' + nested(depth - 1) + b"}"


@pytest.mark.threat(13)
@pytest.mark.parametrize("depth", DEPTHS)
def test_depth_in_a_token_ends_in_a_denial(depth: int) -> None:
    """Header and payload: no reader of ours or of a library's runs out of stack."""
    header = {"typ": "JWT", "alg": "ES256", "kid": oidc_key().kid}
    for token in (
        oidc_key().sign(oidc_claims(), with_nested(header, depth)),
        oidc_key().sign(with_nested(oidc_claims(), depth)),
        oidc_key().sign(nested(depth)),
    ):
        assert refused(token).reason is (R.TOKEN_TOO_LARGE if depth == 100_000 else R.TOKEN_MALFORMED)


@pytest.mark.threat(13)
@pytest.mark.parametrize("depth", DEPTHS)
def test_depth_in_a_fetched_key_set_or_a_row_ends_in_its_own_error(depth: int) -> None:
    """What an issuer answers and what a feed delivers are bounded by the same reader."""
    with pytest.raises(MalformedKeySet):
        parse_jwks(with_nested({"keys": [oidc_key().jwk()]}, depth), an_oidc_issuer())
    row = {"v": 1, "revision": 1, "kind": "partner", "id": "acme", "op": "put", "data": {"id": "acme", "name": "A"}}
    with pytest.raises(PolicyError):
        decode_row(with_nested(row, depth))


@pytest.mark.threat(28)
def test_a_giant_key_is_dropped_unread_and_its_tokens_find_no_key() -> None:
    """A modulus of 16 384 bits costs a look at its length; one bit of a token's signature is never computed with it."""
    giant = oidc_key().jwk(kty="RSA", n=b64url(b"\xff" * 2048), e="AQAB", kid="giant", crv=..., x=..., y=...)
    raw = json_bytes({"keys": [giant, oidc_key().jwk()]})
    keys = parse_jwks(raw, an_oidc_issuer())

    assert [(drop.kid, drop.reason) for drop in keys.dropped] == [("giant", "n is longer than 8192 bits")]
    assert keys.find("giant") is None
    world = {"oidc": {"jwks": {"keys": [giant, oidc_key().jwk()]}}}
    decision = ask(oidc_key().sign(oidc_claims(), kid="giant", alg="RS256"), **world)
    assert isinstance(decision, Denied)
    assert decision.reason is R.SIGNING_KEY_UNKNOWN
