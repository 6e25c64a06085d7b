"""What is believed of a metadata document, and what is refused with which code."""

from __future__ import annotations

from typing import Any

import pytest

from tenantgate.core.policy import IssuerRow
from tenantgate.discovery.errors import DiscoveryError
from tenantgate.discovery.metadata import Metadata, parse_metadata
from tests.builders import json_bytes
from tests.discovery.fakes import ISSUER, JWKS, a_row, checked, metadata

CLOUD = checked(
    IssuerRow(
        id="cloud",
        kind="entra",
        authority="https://login.cloud.example",
        v1_issuer="https://sts.cloud.example/{tenantid}/",
    )
)


def refusal(raw: bytes, row: IssuerRow, document: Any = "v2") -> str:
    """Return the code with which a document is refused."""
    with pytest.raises(DiscoveryError) as refused:
        parse_metadata(raw, row, document)
    return refused.value.code


def test_reads_issuer_and_jwks_uri():
    """A document of the configured issuer, keys on its own host, is believed."""
    assert parse_metadata(metadata(), a_row(), "v2") == Metadata(ISSUER, JWKS)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<html>hello</html>",
        b"[]",
        b"null",
        b'{"issuer": "https://id.globex.example"',
        b"\xef\xbb\xbf" + metadata(),
        metadata().replace(b"{", b'{"issuer":"https://id.globex.example",', 1),
        metadata(issuer=...),
        metadata(issuer=None),
        metadata(issuer=[ISSUER]),
        metadata(jwks_uri=...),
        metadata(jwks_uri={"url": JWKS}),
        metadata(deep=[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]),
        metadata(**{f"m{number}": 1 for number in range(300)}),
    ],
)
def test_what_is_no_metadata_is_malformed(raw: bytes):
    """Only one strict JSON object with both members of the right type is metadata."""
    assert refusal(raw, a_row()) == "metadata_malformed"


@pytest.mark.parametrize(
    "issuer",
    [
        "https://id.initech.example",
        ISSUER + "/",
        ISSUER.upper(),
        ISSUER[:-1],
        ISSUER + "\u200b",
        "http://id.globex.example",
        "",
    ],
)
def test_another_issuer_is_refused(issuer: str):
    """The document's issuer is compared to the configured one character by character."""
    assert refusal(metadata(issuer=issuer), a_row()) == "issuer_mismatch"


def test_an_issuer_that_ends_in_a_slash_keeps_it():
    """A trailing slash belongs to the issuer: with it the document matches, without it it does not."""
    row = a_row(issuer=ISSUER + "/")

    assert parse_metadata(metadata(issuer=ISSUER + "/"), row, "v2").jwks_uri == JWKS
    assert refusal(metadata(), row) == "issuer_mismatch"


@pytest.mark.parametrize(
    ("document", "issuer"),
    [("v2", "https://login.cloud.example/{tenantid}/v2.0"), ("v1", "https://sts.cloud.example/{tenantid}/")],
)
def test_entra_documents_name_their_own_template(document: Any, issuer: str):
    """Each document of an Entra cloud names the template of its version, literally; no other will do."""
    uri = "https://login.cloud.example/organizations/discovery/v2.0/keys"

    def raw(named: str) -> bytes:
        return json_bytes({"issuer": named, "jwks_uri": uri})

    assert parse_metadata(raw(issuer), CLOUD, document) == Metadata(issuer, uri)
    other = "v1" if document == "v2" else "v2"
    assert refusal(raw(issuer), CLOUD, other) == "issuer_mismatch"
    for tid in ("{tenantId}", "bbbbbbbb-0000-4000-8000-000000000002", "common", ""):
        assert refusal(raw(issuer.replace("{tenantid}", tid)), CLOUD, document) == "issuer_mismatch"


@pytest.mark.threat(5)
@pytest.mark.parametrize(
    "uri",
    [
        "http://id.globex.example/keys",
        "https://keys.globex.example/keys",
        "https://id.globex.example.evil.example/keys",
        "https://id.globex.example:8443/keys",
        "https://id.globex.example@evil.example/keys",
        "https://user@id.globex.example/keys",
        "https://id.globex.example/keys#a",
        "https://evil.example\\@id.globex.example/keys",
        "file:///etc/passwd",
        "data:application/json,{}",
        "//id.globex.example/keys",
        "/keys",
        "",
        "https://169.254.169.254/latest/",
        "https://id.globex.example:99999/keys",
        "https://id.globex.example/\nkeys",
    ],
)
def test_keys_elsewhere_are_refused(uri: str):
    """`jwks_uri` leads to https on the metadata's own host and port, or nowhere."""
    assert refusal(metadata(jwks_uri=uri), a_row()) == "jwks_uri_refused"


@pytest.mark.parametrize(
    "uri",
    [
        "https://id.globex.example:443/keys",
        "https://ID.Globex.example/keys",
        "https://id.globex.example/other/keys?appid=1",
    ],
)
def test_the_own_host_may_be_spelled_otherwise(uri: str):
    """The default port written out, capital letters and a query do not make it another host."""
    assert parse_metadata(metadata(jwks_uri=uri), a_row(), "v2").jwks_uri == uri


@pytest.mark.parametrize(
    ("hosts", "uri", "listed"),
    [
        (("keys.globex.example",), "https://keys.globex.example/keys", True),
        (("keys.globex.example",), "https://keys.globex.example:443/keys", True),
        (("keys.globex.example:443",), "https://keys.globex.example/keys", True),
        (("keys.globex.example",), "https://keys.globex.example:8443/keys", False),
        (("keys.globex.example:8443",), "https://keys.globex.example:8443/keys", True),
        (("keys.globex.example:8443",), "https://keys.globex.example/keys", False),
        (("keys.globex.example",), "https://a.keys.globex.example/keys", False),
        (("keys.globex.example",), "http://keys.globex.example/keys", False),
    ],
)
def test_keys_may_live_on_a_listed_host(hosts: tuple[str, ...], uri: str, *, listed: bool):
    """A host in `jwks_hosts` is allowed exactly as listed: port and all, no subdomains, https."""
    row, raw = a_row(jwks_hosts=hosts), metadata(jwks_uri=uri)
    if listed:
        assert parse_metadata(raw, row, "v2").jwks_uri == uri
    else:
        assert refusal(raw, row) == "jwks_uri_refused"


@pytest.mark.threat(5)
def test_plain_http_needs_the_switch_and_this_machine():
    """With `insecure_allow_http` an issuer on loopback may have its keys there over http, and only there."""
    issuer = "http://127.0.0.1:8080"
    row = a_row(issuer=issuer, insecure_allow_http=True, jwks_hosts=("keys.globex.example",))

    assert parse_metadata(metadata(issuer=issuer, jwks_uri=issuer + "/keys"), row, "v2").jwks_uri == issuer + "/keys"
    for uri in ("http://keys.globex.example/keys", "http://127.0.0.1:8081/keys", "http://localhost:8080/keys"):
        assert refusal(metadata(issuer=issuer, jwks_uri=uri), row) == "jwks_uri_refused"


def test_a_refusal_quotes_no_more_than_a_bounded_ascii_excerpt():
    """What a document says is never repeated at length or with control characters."""
    with pytest.raises(DiscoveryError) as refused:
        parse_metadata(metadata(issuer="\u202e" + "x" * 5000), a_row(), "v2")

    assert len(str(refused.value)) < 300
    assert str(refused.value).isprintable()
