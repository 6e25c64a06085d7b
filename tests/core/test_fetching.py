"""What an issuer's row says about its keys beside where they are, and where the lines are drawn."""

from __future__ import annotations

import base64
import functools
import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from msgspec.structs import replace

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied, Granted
from tenantgate.core.fetching import BUNDLE_LENGTH
from tenantgate.core.keys import Unusable, build_key_set, parse_jwk, public_jwk, thumbprint
from tenantgate.core.policy import IssuerRow, PolicyError
from tenantgate.core.rules import check_row
from tenantgate.core.verify import NeedKeys, verify
from tests.builders import an_index, ask, cloud_key, oidc_key, oidc_token, signer, static_keys, v1_token, v2_token

ROW = IssuerRow(id="keycloak", kind="oidc", issuer="https://id.example/realms/main")
PRIVATE = ed25519.Ed25519PrivateKey.from_private_bytes(b"not a secret, but a test's own..")


@functools.cache
def certificate() -> str:
    """Return a certificate in PEM."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "an authority of tests")])
    start, end = datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, PRIVATE.public_key(), 1, start, end)
    return builder.sign(PRIVATE, None).public_bytes(Encoding.PEM).decode()


def of_no_version() -> str:
    """Return a certificate of a version that there is not (RFC 5280 §4.1.2.1): the library has an error of its own."""
    der = base64.b64decode("".join(certificate().splitlines()[1:-1]))
    der = der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x01", 1)
    return f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(der).decode()}-----END CERTIFICATE-----\n"


def private_key() -> str:
    """Return a private key in PEM."""
    return PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


TAKEN: list[dict[str, Any]] = [
    {"distrusted_keys": ("a", "A", "a b", "x" * 256)},
    {"distrusted_keys": tuple(f"k{n}" for n in range(64))},
    {"max_key_age": 3600},
    {"max_key_age": 31 * 86_400},
    {"ca_bundle": certificate()},
    {"ca_bundle": f"# ours\n{certificate()}\n{certificate()}"},
    {"ca_bundle": certificate().ljust(BUNDLE_LENGTH, "\n")},
    {"proxy": "http://proxy.example:3128"},
    {"proxy": "https://proxy.example"},
    {"proxy": "http://[2001:db8::1]:3128"},
    {"proxy": "http://" + "p" * 505},
    {"proxy": "http://PROXY-X.example"},
]
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"distrusted_keys": ("a", "")}, "text_empty", "distrusted_keys[1]"),
    ({"distrusted_keys": ("x" * 257,)}, "text_too_long", "distrusted_keys[0]"),
    ({"distrusted_keys": ("a\n",)}, "text_not_allowed", "distrusted_keys[0]"),
    ({"distrusted_keys": ("a", "a")}, "list_duplicate", "distrusted_keys[1]"),
    ({"distrusted_keys": tuple(f"k{n}" for n in range(65))}, "list_too_long", "distrusted_keys"),
    ({"max_key_age": 3599}, "number_out_of_range", "max_key_age"),
    ({"max_key_age": 31 * 86_400 + 1}, "number_out_of_range", "max_key_age"),
    ({"ca_bundle": ""}, "ca_bundle_malformed", "ca_bundle"),
    ({"ca_bundle": "certificate"}, "ca_bundle_malformed", "ca_bundle"),
    ({"ca_bundle": certificate()[:-40]}, "ca_bundle_malformed", "ca_bundle"),
    ({"ca_bundle": of_no_version()}, "ca_bundle_malformed", "ca_bundle"),
    ({"ca_bundle": certificate() + "ä"}, "ca_bundle_malformed", "ca_bundle"),
    ({"ca_bundle": certificate() + private_key()}, "ca_bundle_malformed", "ca_bundle"),
    ({"ca_bundle": certificate().ljust(BUNDLE_LENGTH + 1, "\n")}, "ca_bundle_malformed", "ca_bundle"),
    *(
        ({"proxy": proxy}, "proxy_malformed", "proxy")
        for proxy in (
            "",
            "proxy.example:3128",
            "http://",
            "http://:3128",
            "socks5://proxy.example",
            "http://proxy.example/",
            "http://proxy.example/path",
            "http://proxy.example?a",
            "http://proxy.example#a",
            "http://user@proxy.example",
            "http://user:word@proxy.example",
            "http://proxy.example:port",
            "http://proxy.example:99999",
            "http://[::1",
            "http://pröxy.example",
            "http://pro\txy.example",
            "http://pro xy.example",
            'http://"proxy.example',
            "HTTP://proxy.example",
            "http://" + "p" * 506,
        )
    ),
    ({"proxy": "http://localhost:1", "insecure_allow_http": True}, "member_not_allowed", "proxy"),
]


@pytest.mark.parametrize("members", TAKEN, ids=str)
def test_what_may_be_said_is_kept_as_it_is(members: dict[str, Any]):
    """On the line, inside."""
    row = check_row(replace(ROW, **members))

    assert {name: getattr(row, name) for name in members} == members


@pytest.mark.parametrize(("members", "code", "path"), REFUSED, ids=str)
def test_what_may_not_be_said_is_refused(members: dict[str, Any], code: str, path: str):
    """Beyond it. No message shows a password or a key."""
    with pytest.raises(PolicyError) as caught:
        check_row(replace(ROW, **members))

    assert (caught.value.code, caught.value.path) == (code, path)
    assert "word" not in caught.value.message.replace("a password would", "")


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"ca_bundle": "x" * (BUNDLE_LENGTH + 1)}, "must not have more than 262144 characters"),
        ({"ca_bundle": private_key()}, "holds a private key"),
        ({"ca_bundle": "x"}, "must be certificates in PEM, at least one"),
        ({"max_key_age": 1}, "must be between 3600 and 2678400"),
        ({"proxy": "x"}, "must be http:// or https://, a host and a port; a password would stand in the policy"),
        (
            {"proxy": "http://[::1"},
            "must be http:// or https://, a host and a port; a password would stand in the policy",
        ),
        (
            {"proxy": "http://localhost:1", "insecure_allow_http": True},
            "plain http stays on this machine and takes no proxy",
        ),
    ],
)
def test_a_refusal_says_why(members: dict[str, Any], words: str):
    """In an operator's words."""
    with pytest.raises(PolicyError) as caught:
        check_row(replace(ROW, **members))

    assert caught.value.message == words


# The example of RFC 7638 §3.1.
RFC7638 = {
    "kty": "RSA",
    "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjB"
    "ZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8"
    "KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_"
    "xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    "e": "AQAB",
    "alg": "RS256",
    "kid": "2011-04-29",
}


def test_a_thumbprint_is_that_of_the_rfc():
    """The name of a key by its numbers alone: other members do not matter."""
    key = parse_jwk(RFC7638, ROW)

    assert thumbprint(key.alg, key.key) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    other = parse_jwk({**RFC7638, "kid": "other", "use": "sig"}, ROW)
    assert thumbprint(other.alg, other.key) == thumbprint(key.alg, key.key)


@pytest.mark.parametrize("alg", ["RS256", "ES256", "ES384", "ES512", "EdDSA"])
def test_every_kind_of_key_has_a_thumbprint_of_its_own(alg: str):
    """43 characters of base64url; two keys never share one."""
    prints = []
    for name in ("one", "two"):
        key = parse_jwk(signer(alg, name).jwk(), ROW)
        prints.append(thumbprint(key.alg, key.key))
    one, two = prints

    assert one != two
    assert {len(one), len(two)} == {43}


@pytest.mark.parametrize("alg", ["RS256", "PS512", "ES256", "EdDSA"])
def test_a_key_written_down_is_read_as_the_same_key(alg: str):
    """Kid, algorithm and issuer come along; where there are none, none are made up."""
    whole = signer(alg, "kept").jwk(alg=alg, issuer="https://x.example")
    for left_out in ((), ("kid", "issuer")):
        key = parse_jwk({name: value for name, value in whole.items() if name not in left_out}, ROW)
        again = parse_jwk(public_jwk(key), ROW)

        assert (again.kid, again.alg, again.issuer, again.key) == (key.kid, key.alg, key.issuer, key.key)
        assert None not in public_jwk(key).values()


def distrusting(*keys: str, row: str = "oidc") -> dict[str, Any]:
    """Return the world in which an issuer's keys are distrusted."""
    return {row: {"distrusted_keys": keys}}


def print_of(key: Any) -> str:
    """Return the thumbprint of a signer's public key."""
    found = parse_jwk(key.jwk(), ROW)
    return thumbprint(found.alg, found.key)


@pytest.mark.parametrize("by", ["kid", "thumbprint", "both"])
def test_a_distrusted_key_verifies_nothing(by: str):
    """Named by its kid, or by its numbers whatever it is called."""
    key = oidc_key()
    names = {"kid": (key.kid,), "thumbprint": (print_of(key),), "both": (key.kid, print_of(key))}[by]
    assert isinstance(ask(oidc_token()), Granted)
    index = an_index(**distrusting(*names))

    denied = ask(oidc_token(), index, static_keys(index))

    assert isinstance(denied, Denied)
    assert denied.reason is R.SIGNING_KEY_DISTRUSTED
    assert denied.detail == f"key: expected a kid that oidc publishes and no operator distrusts, got kid {key.kid}"


@pytest.mark.parametrize("token", [v1_token, v2_token])
def test_a_clouds_key_is_distrusted_for_both_forms(token: Any):
    """The row is the cloud's: v1 and v2 documents share its keys."""
    index = an_index(**distrusting(print_of(cloud_key()), row="cloud"))

    denied = ask(token(), index, static_keys(index))

    assert isinstance(denied, Denied)
    assert denied.reason is R.SIGNING_KEY_DISTRUSTED


def test_other_keys_serve_on():
    """Of the issuer, and of others whose key has the same name."""
    for world in (distrusting("another"), distrusting(oidc_key().kid or "", row="cloud")):
        index = an_index(**world)
        assert isinstance(ask(oidc_token(), index, static_keys(index)), Granted)


def test_a_distrusted_kid_that_nobody_publishes_is_not_fetched():
    """Whoever has the stolen key may use it as often as he likes: no fetch is worth it."""
    index = an_index(oidc={"distrusted_keys": ("gone",), "jwks": None})
    keys = static_keys(index)
    iss = index.issuers["oidc"].row.issuer
    stolen, unknown = (oidc_key().sign({"iss": iss}, kid=kid) for kid in ("gone", "new"))

    refused, asked = verify(stolen, index, keys), verify(unknown, index, keys)

    assert isinstance(refused, Denied)
    assert refused.reason is R.SIGNING_KEY_DISTRUSTED
    assert isinstance(asked, NeedKeys)


def test_distrust_is_a_property_of_the_key():
    """It is settled when the key is read; a key without a kid can only be named by its numbers."""
    key = signer("ES256", "nameless")
    jwk = {name: value for name, value in key.jwk().items() if name != "kid"}
    for names, distrusted in (((print_of(key),), True), (("nameless", ""), False), ((), False)):
        found = build_key_set({"keys": [jwk]}, replace(ROW, distrusted_keys=names)).nameless
        assert found is not None
        assert found.distrusted is distrusted


@pytest.mark.parametrize("alg", ["RS256", "ES256", "ES384", "ES512", "EdDSA"])
def test_a_thumbprint_is_of_the_needed_members_in_order(alg: str):
    """RFC 7638 §3: each of them, sorted by name, without white space."""
    jwk = signer(alg, "printed").jwk()
    key = parse_jwk(jwk, ROW)
    needed = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}[jwk["kty"]]
    text = "{" + ",".join(f'"{name}":"{jwk[name]}"' for name in needed) + "}"
    expected = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")

    assert thumbprint(key.alg, key.key) == expected


def dropped(row: IssuerRow, **members: Any) -> str:
    """Return why a key is not used."""
    with pytest.raises(Unusable) as caught:
        parse_jwk(signer("RS256", "one").jwk(**members), row)
    return str(caught.value)


def test_a_key_of_another_algorithm_is_named():
    """Its own, where it says so; else the one it would have."""
    row = replace(ROW, algorithms=("ES256",))
    assert dropped(row, alg="RS384") == "alg RS384 is not configured for this issuer"
    assert dropped(row) == "alg RS256 is not configured for this issuer"
    several = replace(ROW, algorithms=("RS256", "PS256"))
    assert dropped(several) == "it names no alg, and several RSA algorithms are configured for this issuer"


def test_a_key_of_another_cloud_is_named():
    """One that names none is its document's; another issuer's clouds are nobody's business."""
    cloud = IssuerRow(id="entra", kind="entra", authority="https://login.microsoftonline.com")
    said = dropped(cloud, cloud_instance_name="microsoftonline.us")

    assert said == "it belongs to the cloud microsoftonline.us"
    for row, members in ((cloud, {}), (cloud, {"cloud_instance_name": "microsoftonline.com"}), (ROW, {})):
        assert parse_jwk(signer("RS256", "one").jwk(**members), row).alg == "RS256"
    assert parse_jwk(signer("RS256", "one").jwk(cloud_instance_name="anything"), ROW).alg == "RS256"
