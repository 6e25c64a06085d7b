"""A client certificate is read within bounds, and each kind that is not taken has its own code."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from tenantgate.core.certificate import CERTIFICATE_LENGTH, SHOWN_LENGTH, CertificateFacts, parse_certificate
from tenantgate.core.policy import PolicyError
from tests.client_certificates import BEGINS, ENDS, a_certificate, built, named, private_pem

NOW = 1_800_000_000
SECOND = timedelta(seconds=1)


def read(pem: str, *, now: int = NOW) -> CertificateFacts:
    """What is kept of it."""
    return parse_certificate(pem, now=now)


def refused(pem: str, *, now: int = NOW) -> str:
    """The code with which it is refused."""
    with pytest.raises(PolicyError) as caught:
        parse_certificate(pem, now=now)
    assert caught.value.path == "certificate"
    assert len(pem) < 60 or pem[30:60] not in caught.value.message
    return caught.value.code


def test_what_is_kept_of_a_certificate():
    """Both thumbprints are SHA-256 of DER; dates are the certificate's own; names are RFC 4514."""
    certificate = built(serial=0xBEEF)
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    assert read(a_certificate(serial=0xBEEF)) != read(a_certificate(serial=0xBEEE))
    assert read(certificate.public_bytes(Encoding.PEM).decode()) == CertificateFacts(
        thumbprint=hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest(),
        spki_thumbprint=hashlib.sha256(spki).hexdigest(),
        subject="CN=nightly.contoso.example",
        issuer="CN=nightly.contoso.example",
        serial="beef",
        not_before=int(BEGINS.timestamp()),
        not_after=int(ENDS.timestamp()),
    )


@pytest.mark.parametrize("kind", ["P-256", "P-384", "Ed25519", "RSA-2048"])
def test_usual_keys_are_taken(kind: str):
    """RSA from 2048 bits, NIST curves, and Ed25519."""
    assert read(a_certificate(kind)).subject == "CN=nightly.contoso.example"


@pytest.mark.parametrize("kind", ["RSA-1024", "RSA-3", "DSA", "secp256k1", "Ed448"])
def test_weak_and_unknown_keys_are_refused(kind: str):
    """A key of which nobody could verify a signature, or anybody could make one."""
    assert refused(a_certificate(kind)) == "certificate_weak"


def test_a_weak_signature_is_refused():
    """SHA-1 under a certificate: whoever pins it may pin another's."""
    assert refused(SHA1) == "certificate_weak"


def test_text_before_and_after_is_passed_over():
    """What openssl writes above the certificate is no fault of the partner's."""
    pem = a_certificate()

    assert read(f"Certificate:\n  Data:\n{pem}\n\n") == read(pem)


def test_its_own_dates_bound_it_inclusively():
    """RFC 5280 §4.1.2.5: valid up to and including notAfter. One that begins later may be added before."""
    ends = int(ENDS.timestamp())
    pem = a_certificate()

    assert read(pem, now=ends).not_after == ends
    assert refused(pem, now=ends + 1) == "certificate_expired"
    assert read(pem, now=0).not_before > 0


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_a_serial_that_is_none_is_refused():
    """RFC 5280 §4.1.2.2: a positive number. The library still reads others, and says that it will not for long."""
    der = built().public_bytes(Encoding.DER)
    assert der[12:15] == b"\x02\x01\x01"
    for serial in (b"\x00", b"\xff"):
        pem = base64.encodebytes(der[:14] + serial + der[15:]).decode()
        assert refused(f"-----BEGIN CERTIFICATE-----\n{pem}-----END CERTIFICATE-----\n") == "certificate_malformed"


@pytest.mark.parametrize(
    "pem",
    ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "\u00e9", "\ud800", "\x00" * 100],
)
def test_what_is_no_certificate_is_refused(pem: str):
    """Nothing, words, and an armour around something else."""
    assert refused(pem) == "certificate_malformed"


def test_a_request_for_a_certificate_is_none():
    """A CSR is often sent by mistake; so is a public key."""
    body = base64.b64encode(b"0" * 60).decode()
    for label in ("CERTIFICATE REQUEST", "PUBLIC KEY"):
        assert refused(f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n") == "certificate_malformed"


def test_a_private_key_is_refused_by_name():
    """Before or after the certificate, and alone; nothing of it is in the message."""
    for pem in (private_pem(), private_pem() + a_certificate(), a_certificate() + private_pem()):
        assert refused(pem) == "certificate_private_key"


def test_a_chain_is_refused():
    """The daemon's own certificate alone: which of several is meant is not guessed."""
    assert refused(a_certificate() + a_certificate(serial=2)) == "certificate_chain"


def test_size_is_bounded():
    """At the limit it is read, a character more and nothing is."""
    assert read(a_certificate().ljust(CERTIFICATE_LENGTH, "\n"))
    assert refused(a_certificate().ljust(CERTIFICATE_LENGTH + 1, "\n")) == "certificate_too_large"


def test_names_cannot_deceive():
    """What a terminal or a page would obey stands there as hex pairs; a name without end is refused."""
    shown = read(a_certificate(subject=named("a\u202eb\x1b[31m\x00<script>"))).subject

    assert shown.isprintable()
    assert "\\e2\\80\\ae" in shown
    assert "\\<script\\>" in shown
    assert read(a_certificate(subject=x509.Name([]))).subject == ""
    assert refused(a_certificate(subject=named(*["x" * 64] * 20))) == "certificate_malformed"
    assert len(read(a_certificate(subject=named(*["x" * 50] * 10))).subject) <= SHOWN_LENGTH


def test_dates_out_of_every_calendar_are_refused():
    """Before 1970: nothing that a daemon would show."""
    old = datetime(1960, 1, 1, tzinfo=UTC)

    assert refused(a_certificate(begins=old, ends=ENDS)) == "certificate_malformed"
    assert refused(a_certificate(begins=BEGINS, ends=BEGINS + SECOND)) == "certificate_expired"


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@settings(max_examples=200, deadline=None)
@given(place=st.integers(0, 250), value=st.integers(0, 255))
def test_any_octet_changed_ends_in_facts_or_a_refusal(place: int, value: int):
    """Whatever stands in the DER, it is read or refused with a code; nothing else comes out."""
    der = bytearray(built().public_bytes(Encoding.DER))
    der[place] = value
    pem = f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(bytes(der)).decode()}-----END CERTIFICATE-----\n"
    try:
        found = read(pem).thumbprint
    except PolicyError as error:
        found = error.code
    assert found == hashlib.sha256(bytes(der)).hexdigest() or found.startswith("certificate_")


def _with_sha1() -> str:
    """Change the two algorithm identifiers of a good certificate to ecdsa-with-SHA1; no library makes one any more."""
    der = built(digest=hashes.SHA256()).public_bytes(Encoding.DER)
    sha256, sha1 = bytes.fromhex("300a06082a8648ce3d040302"), bytes.fromhex("300906072a8648ce3d0401")
    assert der.count(sha256) == 2
    return _resized(der, sha256, sha1)


def _resized(der: bytes, old: bytes, new: bytes) -> str:
    """Replace both, and mend the lengths of the two sequences around them."""
    shorter = len(old) - len(new)
    changed = bytearray(der.replace(old, new))
    assert changed[:2] == b"\x30\x82"
    assert changed[4:6] in (b"\x30\x81", b"\x30\x82")
    changed[2:4] = (int.from_bytes(changed[2:4]) - 2 * shorter).to_bytes(2)
    if changed[5] == 0x81:
        changed[6] -= shorter
    else:
        changed[6:8] = (int.from_bytes(changed[6:8]) - shorter).to_bytes(2)
    return f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(bytes(changed)).decode()}-----END CERTIFICATE-----\n"


SHA1 = _with_sha1()
