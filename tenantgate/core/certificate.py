"""A client certificate as somebody gives it: read within bounds, and what of it is kept.

What tells one certificate from another is the SHA-256 over its DER; what survives a renewal with the same key is the
SHA-256 over its SubjectPublicKeyInfo. Names and serial are for people: anybody can write them into a certificate.

Codes of `PolicyError`, `path` is always `certificate`: `certificate_too_large` · `certificate_private_key` a private
key came along · `certificate_malformed` · `certificate_chain` more than one · `certificate_weak` its key or signature
· `certificate_expired`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from tenantgate.core.fields import LATEST
from tenantgate.core.keys import Unusable, check_ed25519, check_rsa
from tenantgate.core.policy import PolicyError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, Name

CERTIFICATE_LENGTH: Final = 16 * 1024
"""Characters of a certificate in PEM."""
SHOWN_LENGTH: Final = 1_000
"""Characters of a name as people read it."""

_CURVES: Final = ("secp256r1", "secp384r1", "secp521r1")
_WEAK_HASHES: Final = frozenset(("md5", "sha1"))


class CertificateFacts(msgspec.Struct, frozen=True):
    """What is kept of a certificate. Thumbprints and serial are lower-case hexadecimal.

    `not_before` and `not_after` are epoch seconds, both inclusive (RFC 5280 §4.1.2.5). `subject` and `issuer` are
    RFC 4514 texts, for people alone.
    """

    thumbprint: str
    spki_thumbprint: str
    subject: str
    issuer: str
    serial: str
    not_before: int
    not_after: int


def parse_certificate(pem: str, *, now: int) -> CertificateFacts:
    """Return what is kept of one certificate in PEM (untrusted). Whether its issuer is anybody's is not asked.

    Raises:
        PolicyError: one of the codes above. No message quotes what was given.
    """
    if len(pem) > CERTIFICATE_LENGTH:
        raise _refused("certificate_too_large", f"must not have more than {CERTIFICATE_LENGTH} characters")
    if "PRIVATE KEY" in pem:  # it would be shown, audited and kept
        raise _refused("certificate_private_key", "holds a private key: send the certificate alone, and make a new key")
    certificate = _only(pem)
    try:
        facts = _facts(certificate)
        public = certificate.public_key()
        signed_with = certificate.signature_hash_algorithm
    except Exception as error:
        # The library reads members when they are asked for, and each kind of nonsense has an exception of its own.
        raise _refused("certificate_malformed", "holds what cannot be read") from error
    _check_key(public)
    if signed_with is not None and signed_with.name in _WEAK_HASHES:
        raise _refused("certificate_weak", f"is signed with {signed_with.name}")
    if now > facts.not_after:
        raise _refused("certificate_expired", "has expired")
    return facts


def _only(pem: str) -> Certificate:
    from cryptography.x509 import InvalidVersion, load_pem_x509_certificates

    try:
        found = load_pem_x509_certificates(pem.encode("ascii"))
    except (ValueError, InvalidVersion) as error:
        raise _refused("certificate_malformed", "must be one certificate in PEM") from error
    if len(found) > 1:
        raise _refused("certificate_chain", f"holds {len(found)} certificates: send the daemon's own alone")
    return found[0]


def _facts(certificate: Certificate) -> CertificateFacts:
    from cryptography.hazmat.primitives.hashes import SHA256, Hash
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    spki = Hash(SHA256())
    spki.update(certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    begins, ends = (
        int(each.timestamp()) for each in (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
    )
    if not 0 <= begins <= ends <= LATEST or certificate.serial_number <= 0:
        raise ValueError("dates or a serial that no authority may give (RFC 5280 §4.1.2)")
    return CertificateFacts(
        thumbprint=certificate.fingerprint(SHA256()).hex(),
        spki_thumbprint=spki.finalize().hex(),
        subject=_shown(certificate.subject),
        issuer=_shown(certificate.issuer),
        serial=f"{certificate.serial_number:x}",
        not_before=begins,
        not_after=ends,
    )


def _shown(name: Name) -> str:
    """Return a name as RFC 4514 writes it; what is not printable as hex pairs (§2.4), so that it cannot deceive."""
    written = name.rfc4514_string()
    text = "".join(each if each.isprintable() else _pairs(each) for each in written)
    if len(text) > SHOWN_LENGTH:
        raise ValueError("a name is too long")
    return text


def _pairs(char: str) -> str:
    return "".join(f"\\{octet:02x}" for octet in char.encode())


def _check_key(public: Any) -> None:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    try:
        if isinstance(public, RSAPublicKey):
            check_rsa(public)
        elif isinstance(public, Ed25519PublicKey):
            check_ed25519(public)
        elif not (isinstance(public, EllipticCurvePublicKey) and public.curve.name in _CURVES):
            raise _refused("certificate_weak", "has a key that is none of RSA, a NIST curve, Ed25519")
    except Unusable as error:
        raise _refused("certificate_weak", f"has a weak key: {error}") from None


def _refused(code: str, message: str) -> PolicyError:
    return PolicyError(code, message, "certificate")
