"""What bodies and answers look like: the other credentials of daemons, certificates and subscription keys."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from tenantgate.admin.shapes import DaemonId, Name, NewId, Written, arguments
from tenantgate.admin.wire import GivenInstant, In, Instant, Out, example, words
from tenantgate.core.certificate import CERTIFICATE_LENGTH
from tenantgate.core.fields import NAME_LENGTH
from tenantgate.registry.certificates import CertificateSpec
from tenantgate.registry.subscription_keys import (
    DEFAULT_OVERLAP,
    LONGEST_OVERLAP,
    NewSubscriptionKey,
    RotationSpec,
    SubscriptionKeySpec,
)

CertificateState = Literal["active", "suspended", "revoked"]

EXAMPLE_CERTIFICATE: Final = """\
-----BEGIN CERTIFICATE-----
MIIBMTCB2KADAgECAgJHETAKBggqhkjOPQQDAjAiMSAwHgYDVQQDDBduaWdodGx5
LmNvbnRvc28uZXhhbXBsZTAeFw0yNTAxMDEwMDAwMDBaFw00NTAxMDEwMDAwMDBa
MCIxIDAeBgNVBAMMF25pZ2h0bHkuY29udG9zby5leGFtcGxlMFkwEwYHKoZIzj0C
AQYIKoZIzj0DAQcDQgAETVFvinSxgUahTr+Y6iE2FlhUKKGkGkASRBH77O6Jpfqf
iaEbKDCtRq4ax0h/ra/O7FM/c8TJMNmm86UDNlIQZDAKBggqhkjOPQQDAgNIADBF
AiBImqw7BN8iNgkoytaqFa8UfiZAgToO2aDUoLWDG2Y4PgIhAL5LjngV8nivv0V0
Ain3U7zMHTLf/YqZp2jWNWnOl5Dq
-----END CERTIFICATE-----
"""
"""A certificate of nobody's: the key was thrown away."""


class ClientCertificateIn(In):
    """A certificate of a daemon's: the public part, alone, in PEM."""

    model_config = example(daemon="contoso-nightly", certificate=EXAMPLE_CERTIFICATE, name="nightly, from May 2030")
    id: NewId = None
    daemon: DaemonId
    certificate: Annotated[str, words(CERTIFICATE_LENGTH)] = Field(
        description="One certificate in PEM. Not the chain, and never the private key.", repr=False
    )
    name: Annotated[str, words(NAME_LENGTH, "nightly, from May 2030")] = Field("", description="What people call it.")

    def to_spec(self) -> CertificateSpec:
        """Return what the service asks for."""
        return CertificateSpec(**arguments(self))


class ClientCertificateOut(Written):
    """A certificate. Whether it has ended is judged by `not_after` and the time, never stored as a state."""

    daemon: str
    name: str
    thumbprint: str = Field(description="SHA-256 of the certificate (DER), in hexadecimal.")
    spki_thumbprint: str = Field(description="SHA-256 of its public key (SubjectPublicKeyInfo), in hexadecimal.")
    subject: str = Field(description="For people alone: anybody can write any name into a certificate.")
    issuer_name: str
    serial: str = Field(description="In hexadecimal.")
    not_before: Instant = Field(description="The certificate's own: valid from then on.")
    not_after: Instant = Field(description="The certificate's own: valid up to and including then.")
    state: CertificateState


class SubscriptionKeyIn(In):
    """A key for a daemon. Every key ends."""

    model_config = example(daemon="contoso-nightly", name="primary", expires_at="2031-01-31T00:00:00Z")
    daemon: DaemonId
    name: Annotated[Name, Field(description="What it is for.", examples=["primary"])]
    expires_at: GivenInstant = Field(description="Works until just before then.")

    def to_spec(self) -> SubscriptionKeySpec:
        """Return what the service asks for."""
        return SubscriptionKeySpec(daemon=self.daemon, name=self.name, expires_at=self.expires_at)


class RotationIn(In):
    """How to change over to a new key."""

    model_config = example(expires_at="2031-07-31T00:00:00Z", overlap=86_400)
    expires_at: GivenInstant = Field(description="The new key works until just before then.")
    overlap: int = Field(
        DEFAULT_OVERLAP,
        description="Seconds for which the old key works on; 0 ends it now.",
        json_schema_extra={"minimum": 0, "maximum": LONGEST_OVERLAP},
    )

    def to_spec(self) -> RotationSpec:
        """Return what the service asks for."""
        return RotationSpec(expires_at=self.expires_at, overlap=self.overlap)


class SubscriptionKeyOut(Out):
    """A subscription key; never its value."""

    id: str
    daemon: str
    name: str
    created_at: Instant
    created_by: str
    expires_at: Instant
    revoked_at: Instant | None


class NewSubscriptionKeyOut(SubscriptionKeyOut):
    """A subscription key just made. Keep `value` now: it is stored nowhere and never shown again."""

    value: str = Field(description="`tgs_…`, for the partner's daemon.", repr=False)

    @classmethod
    def of(cls, made: NewSubscriptionKey) -> NewSubscriptionKeyOut:
        """Return what is shown, once."""
        return cls(**dict(SubscriptionKeyOut.model_validate(made.row)), value=made.value)
