"""Signing keys shaped like Entra's: RSA 2048, one self-signed certificate each, `kid` = `x5t` = SHA-1 of it.

Signatures are made with `cryptography` alone: the product verifies through PyJWT, and a mistake the two shared
would hide itself.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from tenantgate.emulator.errors import NameUnknown

UNPUBLISHED: Final = "unpublished"
"""Name of the ring's key that no document lists: what it signs is a forgery."""

_CERTIFICATE_LIFE: Final = timedelta(days=5 * 365)
_SUBJECT: Final = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "entra-shaped emulator")])


def base64url(data: bytes) -> str:
    """Encode without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One RSA key and its self-signed certificate. `only_tid`: the one tenant it may sign for, or None for all."""

    private_key: rsa.RSAPrivateKey = field(repr=False)
    certificate_der: bytes = field(repr=False)
    only_tid: str | None = None

    @property
    def kid(self) -> str:
        """The key's name: base64url of the certificate's SHA-1, 27 characters; Entra uses it as `x5t` as well."""
        return base64url(hashlib.sha1(self.certificate_der, usedforsecurity=False).digest())

    def sign(self, signing_input: bytes) -> bytes:
        """Sign with RS256 (RFC 7518 §3.3), whatever algorithm a header may claim."""
        return self.private_key.sign(signing_input, padding.PKCS1v15(), hashes.SHA256())

    def jwk(self) -> dict[str, object]:
        """Render the public half as Entra's v1 documents do: no `alg`, no `x5t#S256`, no `issuer`."""
        numbers = self.private_key.public_key().public_numbers()
        return {
            "kty": "RSA",
            "use": "sig",
            "kid": self.kid,
            "x5t": self.kid,
            "n": base64url(numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")),
            "e": base64url(numbers.e.to_bytes((numbers.e.bit_length() + 7) // 8, "big")),
            "x5c": [base64.b64encode(self.certificate_der).decode("ascii")],
        }


KeyFactory = Callable[[float], SigningKey]
"""Makes a fresh key; the argument is now, in epoch seconds."""


def self_signed(private_key: rsa.RSAPrivateKey, *, now: float, serial: int) -> SigningKey:
    """Give `private_key` a certificate of five years from `now` (epoch seconds). Same input, same `kid`."""
    not_before = datetime.fromtimestamp(int(now), UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_SUBJECT)
        .issuer_name(_SUBJECT)
        .public_key(private_key.public_key())
        .serial_number(serial)
        .not_valid_before(not_before)
        .not_valid_after(not_before + _CERTIFICATE_LIFE)
        .sign(private_key, hashes.SHA256())
    )
    return SigningKey(private_key, certificate.public_bytes(serialization.Encoding.DER))


def generate_key(now: float) -> SigningKey:
    """Make a fresh key from the system's randomness; takes about a tenth of a second."""
    private_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return self_signed(private_key, now=now, serial=x509.random_serial_number())


class KeyRing:
    """The authority's keys: those it publishes, and which one signs. The first is made when it is first needed.

    An application may have keys of its own beside them, as Entra makes them where claims are mapped.
    """

    def __init__(self, make_key: KeyFactory, clock: Callable[[], float]) -> None:
        """Make keys with `make_key`, dated by `clock` (epoch seconds)."""
        self._make_key = make_key
        self._clock = clock
        self._published: tuple[SigningKey, ...] = ()
        self._hidden: frozenset[str] = frozenset()
        self._own: dict[str, tuple[SigningKey, ...]] = {}
        self._unpublished: SigningKey | None = None
        self._changing = threading.RLock()  # keys are made in worker threads, and two first uses must agree on one

    def published(self) -> tuple[SigningKey, ...]:
        """Return every published key, oldest first."""
        if not self._published:
            with self._changing:
                self._published = self._published or (self._make_key(self._clock()),)
        return self._published

    def listed(self) -> tuple[SigningKey, ...]:
        """Return the published keys that the documents list at this moment."""
        return tuple(key for key in self.published() if key.kid not in self._hidden)

    def hide(self, kids: Iterable[str]) -> None:
        """Have the documents list all published keys but these, which sign on: Entra's key sets flap.

        Raises:
            NameUnknown: no such key is published.
        """
        hidden = frozenset(kids)
        unknown = hidden.difference(key.kid for key in self.published())
        if unknown:
            raise NameUnknown(f"no published key has the kid {min(unknown)!r}")
        self._hidden = hidden

    def own(self, client_id: str) -> tuple[SigningKey, ...]:
        """Return the keys an application has of its own, oldest first; most have none."""
        return self._own.get(client_id, ())

    def all_own(self) -> dict[str, tuple[SigningKey, ...]]:
        """Return every application that has keys of its own, and its keys."""
        return dict(self._own)

    def signing(self, client_id: str | None = None) -> SigningKey:
        """Return the key that signs for every tenant: the newest one not bound to a tenant.

        For an application with keys of its own, that is the newest of those.
        """
        own = self.own(client_id) if client_id is not None else ()
        return own[-1] if own else [key for key in self.published() if key.only_tid is None][-1]

    def rotate(self, *, retire: bool = False) -> SigningKey:
        """Publish a new key, which signs from now on; with `retire`, publish no other key any longer."""
        with self._changing:
            kept = () if retire else self.published()
            new = self._make_key(self._clock())
            self._published = (*kept, new)
        return new

    def rotate_own(self, client_id: str, *, retire: bool = False) -> SigningKey:
        """Publish a new key of an application's own, which signs its tokens from now on; its first begins that.

        With `retire`, no other key of its own is published any longer.
        """
        with self._changing:
            kept = () if retire else self.own(client_id)
            new = self._make_key(self._clock())
            self._own = {**self._own, client_id: (*kept, new)}
        return new

    def publish_for(self, tid: str) -> SigningKey:
        """Publish a key that may sign for one tenant only, as Entra's shared documents do for personal accounts."""
        with self._changing:
            kept = self.published()
            new = replace(self._make_key(self._clock()), only_tid=tid)
            self._published = (*kept, new)
        return new

    def get(self, kid: str) -> SigningKey:
        """Return a published key by `kid`, or, for `UNPUBLISHED`, one that no document lists.

        Raises:
            NameUnknown: no such key is published.
        """
        if kid == UNPUBLISHED:
            return self._forging_key()
        for key in (*self.published(), *(key for keys in self._own.values() for key in keys)):
            if key.kid == kid:
                return key
        raise NameUnknown(f"no published key has the kid {kid!r}")

    def _forging_key(self) -> SigningKey:
        with self._changing:
            if self._unpublished is None:
                self._unpublished = self._make_key(self._clock())
            return self._unpublished
