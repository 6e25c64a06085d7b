"""Signatures on curves and in PSS, and keys that stand in a key document but must not be used."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tenantgate.emulator.hostile.signing import raw_ecdsa
from tests.corpus import keys
from tests.corpus.case import Case
from tests.corpus.world import oidc

_ORDER_P256: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_ORDER_ED25519: Final = 2**252 + 27742317777372353535851937790883648493
_INVALID: Final = "signature_invalid"
_ALGORITHM: Final = "algorithm_not_allowed"
_UNKNOWN: Final = "signing_key_unknown"
_PUBLISHED_FOR_THIS: Final = ("kid-of-two-keys", "key-of-1024-bits", "key-with-exponent-3", "key-of-roca")

Sign = Callable[[bytes], bytes]


def cases() -> Iterator[Case]:
    """Yield all of them."""
    yield from _p256()
    yield from _ed25519()
    yield from _pss()
    yield from _key_documents()


def _signed(key: keys.OidcKey, sign: Sign, **header: Any) -> str:
    sound = oidc(key)
    return sound.token({**sound.header, **header}, sign=lambda _, signed: sign(signed))


def _halves(r: int, s: int) -> bytes:
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _hmac(secret: bytes) -> Sign:
    return lambda signed: hmac.digest(secret, signed, "sha256")


def _pem(key: keys.OidcKey) -> bytes:
    public: bytes = key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return public


def _keys(name: str, attacks: str, token: str, reason: str, reference: str, trust: str) -> Case:
    return Case("keys", name, attacks, token, reason, reference, trust, forged=True)


def _p256() -> Iterator[Case]:
    key, stranger = keys.GLOBEX, ec.derive_private_key(0xBAD, ec.SECP256R1())
    koblitz = ec.derive_private_key(0xBAD, ec.SECP256K1())
    der = utils.encode_dss_signature
    psychic = "CVE-2022-21449"
    for name, attacks, sign, reference in (
        (
            "zeros",
            "Both halves of the signature are 0, which holds for everything where nobody looks.",
            lambda _: bytes(64),
            psychic,
        ),
        ("r-zero", "The first half of the signature is 0.", lambda _: _halves(0, 1), psychic),
        ("s-zero", "The second half of the signature is 0.", lambda _: _halves(1, 0), psychic),
        (
            "order",
            "Both halves are the order of the curve, which is 0 to some.",
            lambda _: _halves(_ORDER_P256, _ORDER_P256),
            psychic,
        ),
        (
            "der",
            "A good signature is in DER and not side by side.",
            lambda signed: _as_der(key.sign(signed), der),
            "RFC 7518 §3.4",
        ),
        (
            "half",
            "Only the first half of a good signature is there.",
            lambda signed: key.sign(signed)[:32],
            "RFC 7518 §3.4",
        ),
        (
            "wide-halves",
            "Each half of a good signature is as wide as a larger curve's.",
            lambda signed: _widened(key.sign(signed)),
            "RFC 7518 §3.4",
        ),
        (
            "sha384",
            "The signature is over another hash than the header says.",
            lambda signed: raw_ecdsa(key.private, signed, "384"),
            "RFC 7518 §3.4",
        ),
        (
            "foreign-key",
            "A key that nobody published signs under the kid of one that is.",
            lambda signed: raw_ecdsa(stranger, signed),
            "RFC 7515 §5.2",
        ),
    ):
        yield _keys(f"es256-{name}", attacks, _signed(key, sign), _INVALID, reference, "globex")
    for name, attacks, sign, alg in (
        (
            "es384-by-a-p256-key",
            "The key's curve is for another algorithm.",
            lambda signed: raw_ecdsa(key.private, signed, "384"),
            "ES384",
        ),
        (
            "es256k-under-a-p256-kid",
            "The signature is on another curve of the same size.",
            lambda signed: raw_ecdsa(koblitz, signed),
            "ES256K",
        ),
        ("hs256-p256-pem", "The public key in PEM is the secret of an HMAC.", _hmac(_pem(key)), "HS256"),
    ):
        yield _keys(name, attacks, _signed(key, sign, alg=alg), _ALGORITHM, "RFC 8725 §3.1", "globex")


def _as_der(raw: bytes, encode: Callable[[int, int], bytes]) -> bytes:
    return encode(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))


def _widened(raw: bytes) -> bytes:
    return bytes(16) + raw[:32] + bytes(16) + raw[32:]


def _ed25519() -> Iterator[Case]:
    key = keys.HOOLI
    neutral = keys.SMALL_ORDER + bytes(32)

    def with_larger_s(signed: bytes) -> bytes:
        good = key.sign(signed)
        larger = int.from_bytes(good[32:], "little") + _ORDER_ED25519
        return good[:32] + larger.to_bytes(32, "little")

    for name, attacks, sign, reference in (
        ("zeros", "The signature is zeros.", lambda _: bytes(64), "RFC 8032 §5.1.7"),
        ("neutral", "The signature is the neutral point and 0.", lambda _: neutral, "RFC 8032 §5.1.7"),
        (
            "larger-s",
            "The order of the curve was added to a good signature, which gives the token a second spelling.",
            with_larger_s,
            "RFC 8032 §5.1.7, §8.4",
        ),
        (
            "half",
            "Only the first half of a good signature is there.",
            lambda signed: key.sign(signed)[:32],
            "RFC 8032 §5.1.7",
        ),
    ):
        yield _keys(f"ed25519-{name}", attacks, _signed(key, sign), _INVALID, reference, "hooli")
    raw = key.private.public_key().public_bytes_raw()
    yield _keys(
        "hs256-ed25519-bytes",
        "The 32 bytes of the public key are the secret of an HMAC.",
        _signed(key, _hmac(raw), alg="HS256"),
        _ALGORITHM,
        "RFC 8725 §3.1",
        "hooli",
    )
    yield _keys(
        "es256-under-an-ed25519-kid",
        "An elliptic curve's signature stands under the kid of an Ed25519 key.",
        _signed(key, keys.GLOBEX.sign, alg="ES256"),
        _ALGORITHM,
        "RFC 8725 §3.1",
        "hooli",
    )
    yield Case(
        "key-documents",
        "key-of-small-order",
        "Under this published key one signature, known to everybody, holds for every message.",
        _signed(key, lambda _: neutral, kid=keys.SMALL_ORDER_KID),
        _UNKNOWN,
        "RFC 8032 §5.1.7, RFC 8725 §3.4",
        "hooli",
        forged=True,
    )


def _pss() -> Iterator[Case]:
    key = keys.UMBRELLA
    digest = hashes.SHA256()

    def with_salt(length: int) -> Sign:
        return lambda signed: key.private.sign(signed, padding.PSS(padding.MGF1(digest), length), digest)

    for name, attacks, sign, header, reason, reference in (
        (
            "rs256-by-a-ps256-key",
            "The key is for PS256, and the token chose the older padding for it.",
            lambda signed: key.private.sign(signed, padding.PKCS1v15(), digest),
            {"alg": "RS256"},
            _ALGORITHM,
            "RFC 8725 §3.1",
        ),
        (
            "rs256-called-ps256",
            "The header names the key's algorithm, and the padding is the older one.",
            lambda signed: key.private.sign(signed, padding.PKCS1v15(), digest),
            {},
            _INVALID,
            "RFC 7518 §3.5",
        ),
        (
            "ps256-without-salt",
            "The salt has no length, where it must be as long as the hash.",
            with_salt(0),
            {},
            _INVALID,
            "RFC 7518 §3.5",
        ),
    ):
        yield _keys(name, attacks, _signed(key, sign, **header), reason, reference, "umbrella")


def _key_documents() -> Iterator[Case]:
    """Each is signed well, by a key that Soylent's document has beside its good one."""
    for name, key, attacks, reason, reference in (
        ("key-for-encryption", keys.ENCRYPTING, "The key is published for encryption.", _UNKNOWN, "RFC 7517 §4.2"),
        (
            "key-for-wrapping",
            keys.WRAPPING,
            "The key is published for operations other than this.",
            _UNKNOWN,
            "RFC 7517 §4.3",
        ),
        ("kid-of-two-keys", keys.TWICE, "Two keys are published under one kid.", _UNKNOWN, "RFC 7517 §4.5"),
        ("key-of-1024-bits", keys.SMALL, "The key is shorter than the algorithm allows.", _UNKNOWN, "RFC 7518 §3.3"),
        (
            "key-with-exponent-3",
            keys.EXPONENT_3,
            "Careless checks of the padding forge under such a key.",
            _UNKNOWN,
            "RFC 8725 §3.4",
        ),
        ("key-of-roca", keys.ROCA, "The key's primes can be found.", _UNKNOWN, "CVE-2017-15361"),
        (
            "key-published-whole",
            keys.PRIVATE,
            "The private half of the key is published as well.",
            _UNKNOWN,
            "RFC 7517 §9.2",
        ),
        (
            "key-for-ps256",
            keys.ONLY_PSS,
            "The key is published for another padding than the token's.",
            _ALGORITHM,
            "RFC 7517 §4.4, RFC 8725 §3.1",
        ),
        (
            "key-of-another-issuer",
            keys.FOR_ANOTHER,
            "The document names another issuer as the key's owner.",
            "key_issuer_mismatch",
            "Storm-0558 (2023)",
        ),
    ):
        token = _signed(keys.SOYLENT, key.sign, kid=key.kid)
        forged = name not in _PUBLISHED_FOR_THIS
        yield Case("key-documents", name, attacks, token, reason, reference, "soylent", forged=forged)
    yield Case(
        "key-documents",
        "secret-in-the-document",
        "The document has a secret for HMACs, which everybody can read.",
        _signed(keys.SOYLENT, _hmac(keys.SECRET), alg="HS256", kid=keys.SECRET_KID),
        _ALGORITHM,
        "RFC 7517 §9.2, RFC 8725 §3.1",
        "soylent",
        forged=True,
    )
    yield Case(
        "key-documents",
        "kid-of-none-of-several",
        "The token names no key, while several are published.",
        _without_kid(),
        _UNKNOWN,
        "RFC 7515 §4.1.4",
        "soylent",
    )


def _without_kid() -> str:
    sound = oidc(keys.SOYLENT)
    return sound.token({name: value for name, value in sound.header.items() if name != "kid"})
