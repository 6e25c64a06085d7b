"""Signatures other than the good one: none, somebody else's, another algorithm's, and a public key as a secret.

Everything is made with `cryptography` and the standard library, and always comes out the same.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tenantgate.emulator.hostile.recipe import Sign, Sound
from tenantgate.emulator.keys import SigningKey, base64url

_SHA: Final[Mapping[str, Callable[[], hashes.HashAlgorithm]]] = {
    "1": hashes.SHA1,
    "256": hashes.SHA256,
    "384": hashes.SHA384,
    "512": hashes.SHA512,
}


def by_nobody(sound: Sound, signed: bytes) -> bytes:
    """Leave the signature empty (RFC 7518 §3.6)."""
    return b""


def by_stranger(sound: Sound, signed: bytes) -> bytes:
    """Sign with a key that nobody published."""
    return sound.stranger.sign(signed)


def rsa_with(alg: str) -> Sign:
    """Return what signs with the issuer's RSA key in another algorithm: `RS1`, `RS256` … `PS512`."""

    def sign(sound: Sound, signed: bytes) -> bytes:
        private = sound.rsa.private_key
        if alg.startswith("PS"):
            return pss(private, signed, alg[2:])
        return private.sign(signed, padding.PKCS1v15(), _SHA[alg[2:]]())

    return sign


def pss(private: rsa.RSAPrivateKey, signed: bytes, bits: str) -> bytes:
    """Sign with RSASSA-PSS (RFC 8017 §8.1.1, §9.1.1), the salt as long as the hash (RFC 7518 §3.5).

    The salt comes from the message, as RFC 6979 has it for ECDSA, so that it is the same every time; a verifier
    cannot tell. `cryptography` takes no salt, hence the encoding by hand. For test keys only: the arithmetic
    takes a time that depends on the key.
    """
    numbers = private.private_numbers()
    modulus = numbers.public_numbers.n
    digest = functools.partial(hashlib.new, f"sha{bits}")
    size = digest().digest_size
    length = (modulus.bit_length() - 1 + 7) // 8
    salt = digest(b"salt" + signed).digest()
    hashed = digest(bytes(8) + digest(signed).digest() + salt).digest()
    block = bytes(length - 2 * size - 2) + b"\x01" + salt
    blocks = -(-len(block) // size)
    mask = b"".join(digest(hashed + number.to_bytes(4, "big")).digest() for number in range(blocks))
    masked = bytearray(a ^ b for a, b in zip(block, mask, strict=False))
    masked[0] &= 0xFF >> (8 * length - (modulus.bit_length() - 1))
    encoded = int.from_bytes(bytes(masked) + hashed + b"\xbc", "big")
    return pow(encoded, numbers.d, modulus).to_bytes((modulus.bit_length() + 7) // 8, "big")


def raw_ecdsa(private: ec.EllipticCurvePrivateKey, signed: bytes, bits: str = "256") -> bytes:
    """Sign with ECDSA, r and s side by side (RFC 7518 §3.4), the same every time (RFC 6979)."""
    der = private.sign(signed, ec.ECDSA(_SHA[bits](), deterministic_signing=True))
    size = (private.curve.key_size + 7) // 8
    return b"".join(number.to_bytes(size, "big") for number in utils.decode_dss_signature(der))


def by_ec_stranger(sound: Sound, signed: bytes) -> bytes:
    """Sign with a P-256 key that nobody published."""
    return raw_ecdsa(ec.derive_private_key(0x7E57, ec.SECP256R1()), signed)


def by_ed25519_stranger(sound: Sound, signed: bytes) -> bytes:
    """Sign with an Ed25519 key that nobody published."""
    return ed25519.Ed25519PrivateKey.from_private_bytes(b"a test key that protects nothing").sign(signed)


def hmac_with(secret: Callable[[SigningKey], bytes], bits: str = "256") -> Sign:
    """Return what makes an HMAC (RFC 7518 §3.2) under some spelling of the issuer's public key."""
    return lambda sound, signed: hmac.digest(secret(sound.rsa), signed, f"sha{bits}")


def pem(key: SigningKey) -> bytes:
    """Return the public key as it is handed out most: SubjectPublicKeyInfo in PEM."""
    return key.private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def pem_stripped(key: SigningKey) -> bytes:
    """Return the same without its last line end, as most configurations hold it."""
    return pem(key).strip()


def pem_pkcs1(key: SigningKey) -> bytes:
    """Return it as `BEGIN RSA PUBLIC KEY`."""
    return key.private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1)


def pem_behind_bom(key: SigningKey) -> bytes:
    """Return the PEM behind a byte order mark, which a search for `-----BEGIN` at the start does not find."""
    return b"\xef\xbb\xbf" + pem(key)


def der(key: SigningKey) -> bytes:
    """Return it as SubjectPublicKeyInfo in DER."""
    return key.private_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def ssh(key: SigningKey) -> bytes:
    """Return it as OpenSSH has it."""
    return key.private_key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)


def certificate_pem(key: SigningKey) -> bytes:
    """Return the certificate of `x5c` in PEM."""
    body = x5c(key)
    lines = "\n".join(body[place : place + 64] for place in range(0, len(body), 64))
    return f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n".encode()


def certificate_der(key: SigningKey) -> bytes:
    """Return the certificate in DER."""
    return key.certificate_der


def modulus(key: SigningKey) -> bytes:
    """Return the modulus, as the JWK's `n` decodes."""
    return _number(key.private_key.public_key().public_numbers().n)


def jwk_json(key: SigningKey) -> bytes:
    """Return the JWK as the published document spells it."""
    return json.dumps(key.jwk(), separators=(",", ":")).encode()


def jwks_json(key: SigningKey) -> bytes:
    """Return the whole key document, with this key alone."""
    return json.dumps({"keys": [key.jwk()]}, separators=(",", ":")).encode()


def nothing(key: SigningKey) -> bytes:
    """Return the empty secret."""
    return b""


def x5c(key: SigningKey) -> str:
    """Return the certificate as `x5c` has it: base64, not base64url."""
    return base64.b64encode(key.certificate_der).decode("ascii")


def bare_jwk(key: SigningKey) -> dict[str, Any]:
    """Return the public members alone, as an attacker puts them into a header."""
    return {"kty": "RSA", "n": base64url(modulus(key)), "e": "AQAB"}


def _number(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
