"""Algorithm confusion: the key says how it verifies, the token never does."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import utils

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied, Granted
from tenantgate.core.policy import IssuerRow
from tenantgate.core.rules import check_row
from tests.builders import (
    V2_TEMPLATE,
    an_oidc_issuer,
    ask,
    b64url,
    cloud_key,
    json_bytes,
    oidc_claims,
    oidc_key,
    oidc_token,
    public_members,
    signer,
    v2_claims,
    v2_token,
)

Serialise = Callable[[], bytes]
PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
SPKI, PKCS1 = serialization.PublicFormat.SubjectPublicKeyInfo, serialization.PublicFormat.PKCS1


def public(encoding: serialization.Encoding, form: serialization.PublicFormat) -> bytes:
    """Return the cloud's public key in one of its serialisations."""
    return cloud_key().private.public_key().public_bytes(encoding, form)  # type: ignore[no-any-return]


SERIALISATIONS: list[tuple[str, Serialise]] = [
    ("PEM", lambda: public(PEM, SPKI)),
    ("PEM stripped", lambda: public(PEM, SPKI).strip()),
    ("PEM with BOM", lambda: b"\xef\xbb\xbf" + public(PEM, SPKI)),
    ("PEM with CRLF", lambda: public(PEM, SPKI).replace(b"\n", b"\r\n")),
    ("PEM PKCS1", lambda: public(PEM, PKCS1)),
    ("DER", lambda: public(DER, SPKI)),
    ("DER PKCS1", lambda: public(DER, PKCS1)),
    ("base64 of DER", lambda: base64.b64encode(public(DER, SPKI))),
    ("SSH", lambda: public(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)),
    ("JWK", lambda: json_bytes(cloud_key().jwk())),
    ("JWK with issuer", lambda: json_bytes(cloud_key().jwk(issuer=V2_TEMPLATE))),
    ("JWKS", lambda: json_bytes({"keys": [cloud_key().jwk()]})),
    ("n", lambda: public_members(cloud_key().private)["n"].encode()),
    ("n as bytes", lambda: cloud_key().private.public_key().public_numbers().n.to_bytes(256, "big")),
    ("kid", lambda: str(cloud_key().kid).encode()),
    ("empty", lambda: b""),
]


def hmac_token(alg: str, secret: bytes) -> str:
    """Return acme's claims under an HMAC, as a forger makes who knows only public things."""
    signed = (
        f"{b64url(json_bytes({'typ': 'JWT', 'alg': alg, 'kid': cloud_key().kid}))}.{b64url(json_bytes(v2_claims()))}"
    )
    digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}[alg]
    return f"{signed}.{b64url(hmac.new(secret, signed.encode(), digest).digest())}"


@pytest.mark.threat(2)
@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("serialise", [pytest.param(make, id=name) for name, make in SERIALISATIONS])
def test_a_public_key_is_no_hmac_secret(alg: str, serialise: Serialise) -> None:
    """An HMAC under any spelling of the issuer's public key is refused: no symmetric algorithm exists here."""
    decision = ask(hmac_token(alg, serialise()))

    assert isinstance(decision, Denied)
    assert decision.reason is R.ALGORITHM_NOT_ALLOWED


@pytest.mark.threat(2, 14)
@pytest.mark.parametrize("algorithm", ["HS256", "none", "", "ES256K", "dir", "A128KW"])
def test_no_policy_can_allow_a_symmetric_algorithm(algorithm: str) -> None:
    """`algorithms` of an issuer takes public-key signatures only."""
    with pytest.raises(Exception, match="is no public-key signature"):
        check_row(an_oidc_issuer(algorithms=(algorithm,)))


@pytest.mark.threat(1)
@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", "NoNe ", None, ...])
@pytest.mark.parametrize("signature", ["empty", "kept", "absent"])
def test_an_unsigned_token_is_refused(alg: object, signature: str) -> None:
    """`none` in any case, or no `alg` at all, with, without or with somebody's signature."""
    token = cloud_key().sign(v2_claims(), alg=alg)
    if signature != "kept":
        token = token.rpartition(".")[0] + ("." if signature == "empty" else "")
    decision = ask(token)

    assert isinstance(decision, Denied)
    assert decision.reason is (R.TOKEN_MALFORMED if signature == "absent" else R.ALGORITHM_NOT_ALLOWED)


@pytest.mark.threat(3)
@pytest.mark.parametrize("alg", ["RS384", "RS512", "PS256", "PS384", "PS512"])
@pytest.mark.parametrize("truly", [True, False])
def test_an_rsa_key_verifies_one_algorithm(alg: str, truly: bool) -> None:
    """The RS256 key refuses every other RSA algorithm, though the very key has truly signed with it."""
    token = cloud_key().using(alg).sign(v2_claims()) if truly else cloud_key().sign(v2_claims(), alg=alg)
    decision = ask(token)

    assert isinstance(decision, Denied)
    assert decision.reason is R.ALGORITHM_NOT_ALLOWED


@pytest.mark.parametrize(
    ("signed_by", "under"), [("ES256", "RS256"), ("EdDSA", "RS256"), ("RS256", "ES256"), ("ES384", "ES256")]
)
def test_a_key_of_another_type_does_not_verify(signed_by: str, under: str) -> None:
    """A token whose header names the algorithm of the key found, but was signed by another type of key."""
    forger, key = signer(signed_by, "forger"), signer(under, "honest")
    token = forger.sign(oidc_claims(), alg=under, kid=key.kid)
    decision = ask(token, oidc={"jwks": {"keys": [key.jwk()]}})

    assert isinstance(decision, Denied)
    assert decision.reason is R.SIGNATURE_INVALID


@pytest.mark.threat(3)
def test_an_issuer_configured_for_pss_refuses_pkcs1() -> None:
    """The issuer's one RSA algorithm binds its alg-less keys."""
    key = signer("RS256", "pss")
    row = {"algorithms": ("PS256",), "jwks": {"keys": [key.jwk()]}}

    assert isinstance(ask(key.using("PS256").sign(oidc_claims()), oidc=row), Granted)
    decision = ask(key.sign(oidc_claims()), oidc=row)
    assert isinstance(decision, Denied)
    assert decision.reason is R.ALGORITHM_NOT_ALLOWED


def test_eddsa_has_two_names_and_one_meaning() -> None:
    """RFC 9864 names EdDSA over Ed25519 `Ed25519`: key and token may each use either name."""
    key = signer("EdDSA", "named")
    for in_key in (..., "EdDSA", "Ed25519"):
        for in_token in ("EdDSA", "Ed25519"):
            row = {"jwks": {"keys": [key.jwk(alg=in_key)]}}
            assert isinstance(ask(key.sign(oidc_claims(), alg=in_token), oidc=row), Granted)
    decision = ask(oidc_key().sign(oidc_claims(), alg="Ed25519"))
    assert isinstance(decision, Denied)
    assert decision.reason is R.ALGORITHM_NOT_ALLOWED


ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def raw(r: int, s: int) -> bytes:
    """Return an ECDSA signature of two numbers as RFC 7518 §3.4 writes it."""
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@pytest.mark.threat(27)
@pytest.mark.parametrize(
    "signature",
    [
        pytest.param(raw(0, 0), id="0, 0"),
        pytest.param(raw(0, 1), id="0, 1"),
        pytest.param(raw(1, 0), id="1, 0"),
        pytest.param(raw(1, 1), id="1, 1"),
        pytest.param(raw(ORDER, 1), id="n, 1"),
        pytest.param(raw(ORDER, ORDER), id="n, n"),
        pytest.param(b"\xff" * 64, id="all ones"),
        pytest.param(utils.encode_dss_signature(5, 7), id="DER"),
        pytest.param(b"", id="empty"),
        pytest.param(bytes(63), id="63 bytes"),
        pytest.param(bytes(65), id="65 bytes"),
        pytest.param(bytes(96), id="of P-384"),
    ],
)
def test_degenerate_ecdsa_signatures_do_not_hold(signature: bytes) -> None:
    """Zeros, the order itself, DER instead of raw, other lengths: no message is signed by these."""
    token = f"{oidc_token().rpartition('.')[0]}.{b64url(signature)}"
    decision = ask(token)

    assert isinstance(decision, Denied)
    assert decision.reason is R.SIGNATURE_INVALID


@pytest.mark.threat(27)
def test_a_true_signature_in_der_does_not_hold() -> None:
    """The right numbers in the wrong form are another spelling of the token."""
    signed, _, _ = oidc_token().rpartition(".")
    numbers = oidc_key().signature(signed.encode())
    der = utils.encode_dss_signature(int.from_bytes(numbers[:32], "big"), int.from_bytes(numbers[32:], "big"))

    assert isinstance(ask(f"{signed}.{b64url(numbers)}"), Granted)
    decision = ask(f"{signed}.{b64url(der)}")
    assert isinstance(decision, Denied)
    assert decision.reason is R.SIGNATURE_INVALID


@pytest.mark.threat(27)
@pytest.mark.parametrize("zeros", [255, 256, 257])
def test_degenerate_rsa_signatures_do_not_hold(zeros: int) -> None:
    """Zero, and signatures of other lengths."""
    decision = ask(f"{v2_token().rpartition('.')[0]}.{b64url(bytes(zeros))}")

    assert isinstance(decision, Denied)
    assert decision.reason is R.SIGNATURE_INVALID


@pytest.mark.parametrize("part", [0, 1, 2])
def test_every_byte_counts(part: int) -> None:
    """Turning one bit anywhere in a token takes its grant away."""
    parts = v2_token().split(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    whole = parts[part]
    for place in range(0, len(whole), 7):
        other = alphabet[alphabet.index(whole[place]) ^ 1]
        parts[part] = whole[:place] + other + whole[place + 1 :]
        assert isinstance(ask(".".join(parts)), Denied)


def test_an_issuer_row_cannot_name_an_unsupported_curve() -> None:
    """What `algorithms` may list is exactly what keys can be used with."""
    row = check_row(an_oidc_issuer(algorithms=("RS256", "PS512", "ES384", "EdDSA")))

    assert isinstance(row, IssuerRow)
    assert row.algorithms == ("RS256", "PS512", "ES384", "EdDSA")
