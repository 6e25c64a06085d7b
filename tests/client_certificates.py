"""Client certificates in PEM, made on the spot: a good one, and each kind of bad one."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

BEGINS, ENDS = datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)

MAKERS: dict[str, Any] = {
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "Ed448": ed448.Ed448PrivateKey.generate,
    "RSA-1024": lambda: rsa.generate_private_key(65537, 1024),
    "RSA-2048": lambda: rsa.generate_private_key(65537, 2048),
    "RSA-3": lambda: rsa.generate_private_key(3, 2048),
    "DSA": lambda: dsa.generate_private_key(2048),
}


@functools.cache
def private_key(kind: str = "P-256") -> Any:
    """A key of a kind, made once."""
    return MAKERS[kind]()


def named(*names: str) -> x509.Name:
    """A name of common names."""
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, each) for each in names])


def built(
    kind: str = "P-256",
    *,
    subject: x509.Name | None = None,
    begins: datetime = BEGINS,
    ends: datetime = ENDS,
    serial: int = 1,
    digest: Any = None,
) -> x509.Certificate:
    """Contoso's certificate, self-signed; what is named differs."""
    key = private_key(kind)
    name = subject if subject is not None else named("nightly.contoso.example")
    builder = x509.CertificateBuilder(name, name, key.public_key(), serial, begins, ends)
    edwards = kind.startswith("Ed")
    return builder.sign(key, None if edwards else digest or hashes.SHA256())


def a_certificate(kind: str = "P-256", **changed: Any) -> str:
    """The same in PEM."""
    return built(kind, **changed).public_bytes(Encoding.PEM).decode()


def private_pem(kind: str = "P-256") -> str:
    """Its private key, which nobody should send."""
    return private_key(kind).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()  # type: ignore[no-any-return]
