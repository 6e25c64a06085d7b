"""Signatures that the issuer did not make: by other keys, by its public key as a secret, and degenerate ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tenantgate.emulator.errors import ConfigInvalid
from tenantgate.emulator.hostile import signing
from tenantgate.emulator.hostile.recipe import Recipe, Sign, Sound, family, spoil_header
from tenantgate.emulator.keys import SigningKey

_INVALID: Final = "signature_invalid"
_CONFUSION: Final = "RFC 8725 §2.1, §3.1"


def _confused(
    name: str, attacks: str, secret: Callable[[SigningKey], bytes], reference: str = _CONFUSION, bits: str = "256"
) -> Recipe:
    """Return an HMAC with the issuer's public key, in one of its spellings, as the secret."""
    sign = signing.hmac_with(secret, bits)
    return spoil_header(name, "algorithm_not_allowed", attacks, reference, sign=sign, alg=f"HS{bits}")


def _signed(name: str, attacks: str, reference: str, sign: Sign, reason: str = _INVALID) -> Recipe:
    return Recipe(name, reason, attacks, reference, lambda sound: sound.token(sign=sign), forged=True)


def _of_another_tenant(sound: Sound) -> str:
    if sound.bound is None:
        raise ConfigInvalid('no key is published for another tenant alone; rotate with its "tid" first')
    bound = sound.bound
    return sound.token({**sound.header, "kid": bound.kid}, sign=lambda _, signed: bound.sign(signed))


def _flipped(sound: Sound, signed: bytes) -> bytes:
    good = sound.key.sign(signed)
    return good[:-1] + bytes([good[-1] ^ 1])


def _modulus(sound: Sound, signed: bytes) -> bytes:
    return signing.modulus(sound.rsa)


def _unpadded(sound: Sound, signed: bytes) -> bytes:
    """Return the one "signature" whose RSA encryption is known to everybody: 1 to any power is 1."""
    return (1).to_bytes(len(signing.modulus(sound.rsa)), "big")


KEYS: Final = family(
    "keys",
    _confused(
        "hs256-pem",
        "The public key in PEM is the secret of an HMAC.",
        signing.pem,
        f"{_CONFUSION}, CVE-2017-11424, CVE-2022-29217, CVE-2024-33663, CVE-2024-37568",
    ),
    _confused("hs384-pem", "The public key in PEM is the secret of a longer HMAC.", signing.pem, bits="384"),
    _confused("hs512-pem", "The public key in PEM is the secret of the longest HMAC.", signing.pem, bits="512"),
    _confused("hs256-pem-stripped", "The PEM without its last line end is the secret.", signing.pem_stripped),
    _confused("hs256-pem-pkcs1", "The PEM of PKCS #1 is the secret.", signing.pem_pkcs1),
    _confused("hs256-pem-behind-bom", "The PEM behind a byte order mark is the secret.", signing.pem_behind_bom),
    _confused("hs256-der", "The public key in DER is the secret.", signing.der, f"{_CONFUSION}, CVE-2026-48526"),
    _confused(
        "hs256-ssh", "The public key as OpenSSH writes it is the secret.", signing.ssh, f"{_CONFUSION}, CVE-2022-29217"
    ),
    _confused("hs256-jwk", "The published JWK is the secret.", signing.jwk_json, f"{_CONFUSION}, CVE-2026-48526"),
    _confused("hs256-jwks", "The published key document is the secret.", signing.jwks_json),
    _confused("hs256-modulus", "The modulus is the secret.", signing.modulus),
    _confused("hs256-certificate-pem", "The published certificate in PEM is the secret.", signing.certificate_pem),
    _confused("hs256-certificate-der", "The published certificate in DER is the secret.", signing.certificate_der),
    _confused("hs256-empty", "The secret is empty.", signing.nothing, "RFC 8725 §3.5, CVE-2026-49852"),
    _signed(
        "foreign-key-same-kid",
        "A key that nobody published signs under the kid of one that is.",
        "RFC 7515 §5.2",
        signing.by_stranger,
    ),
    spoil_header(
        "foreign-key-own-kid",
        "signing_key_unknown",
        "A key that nobody published signs under its own kid.",
        "RFC 7515 §4.1.4",
        sign=signing.by_stranger,
        kid=lambda sound: sound.stranger.kid,
    ),
    spoil_header(
        "kid-of-a-file",
        "signing_key_unknown",
        "The kid is the path of a file whose content is known: an empty secret.",
        "RFC 8725 §3.10",
        sign=signing.by_stranger,
        kid="../../../../../../dev/null",
    ),
    spoil_header(
        "kid-of-a-query",
        "signing_key_unknown",
        "The kid ends a query and begins another, which answers with a key.",
        "RFC 8725 §3.10",
        sign=signing.by_stranger,
        kid="x' UNION SELECT 'AAAA' --",
    ),
    Recipe(
        "kid-in-capitals",
        "signing_key_unknown",
        "A kid is compared with capitals; this one is nobody's.",
        "RFC 7515 §4.1.4",
        lambda sound: sound.token({**sound.header, "kid": sound.key.kid.swapcase()}),
    ),
    Recipe(
        "key-of-another-tenant",
        "key_issuer_mismatch",
        "A key that the cloud publishes for one tenant alone signs for another.",
        "Storm-0558 (2023)",
        _of_another_tenant,
        forged=True,
    ),
    _signed("signature-flipped", "One bit of a good signature is another.", "RFC 7515 §5.2", _flipped),
    _signed(
        "signature-shortened",
        "The last byte of a good signature is missing.",
        "RFC 8017 §8.2.2",
        lambda sound, signed: sound.key.sign(signed)[:-1],
    ),
    _signed(
        "signature-lengthened",
        "A zero stands before a good signature.",
        "RFC 8017 §8.2.2",
        lambda sound, signed: b"\0" + sound.key.sign(signed),
    ),
    _signed("signature-zero", "The signature is the number 0.", "RFC 8017 §5.2.2", lambda sound, _: bytes(256)),
    _signed("signature-one", "The signature is the number 1.", "RFC 8017 §5.2.2", _unpadded),
    _signed("signature-modulus", "The signature is as large as the modulus.", "RFC 8017 §5.2.2", _modulus),
    _signed(
        "signature-of-another-token",
        "The signature is one that the issuer made for another token.",
        "RFC 7515 §5.2",
        lambda sound, _: sound.key.sign(b"another token's header.and payload"),
    ),
)
