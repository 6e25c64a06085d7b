"""The metadata and key documents have Entra's shape."""

from __future__ import annotations

import base64
import hashlib
import json

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.testclient import TestClient

from tenantgate.emulator.authority import Authority
from tests.emulator.world import AUTHORITY, OTHER_TID, TID, UNKNOWN_TID
from tests.real_parts import vectors_dir

TEMPLATE = f"{AUTHORITY}/{{tenantid}}/v2.0"


@pytest.mark.parametrize("shared", ["common", "organizations"])
def test_shared_v2_metadata_names_the_issuer_by_a_template(client: TestClient, shared: str) -> None:
    """The tenant-independent documents cannot name one issuer, so they give the literal placeholder."""
    metadata = client.get(f"/{shared}/v2.0/.well-known/openid-configuration").json()

    assert metadata["issuer"] == TEMPLATE
    assert metadata["tenant_region_scope"] is None
    assert metadata["jwks_uri"] == f"{AUTHORITY}/{shared}/discovery/v2.0/keys"
    assert metadata["token_endpoint"] == f"{AUTHORITY}/{shared}/oauth2/v2.0/token"


def test_a_tenants_v2_metadata_names_its_issuer(client: TestClient) -> None:
    """A tenant's own document has its GUID where the shared one has the placeholder."""
    metadata = client.get(f"/{TID}/v2.0/.well-known/openid-configuration").json()

    assert metadata["issuer"] == f"{AUTHORITY}/{TID}/v2.0"
    assert metadata["tenant_region_scope"] == "WW"
    assert metadata["jwks_uri"] == f"{AUTHORITY}/{TID}/discovery/v2.0/keys"


@pytest.mark.parametrize(("tenant", "in_issuer"), [("common", "{tenantid}"), (TID, TID)])
def test_v1_metadata_names_an_issuer_of_another_form(client: TestClient, tenant: str, in_issuer: str) -> None:
    """The v1 issuer is not below the authority's tenant path, and ends with a slash."""
    metadata = client.get(f"/{tenant}/.well-known/openid-configuration").json()

    assert metadata["issuer"] == f"{AUTHORITY}/sts/{in_issuer}/"
    assert metadata["jwks_uri"] == f"{AUTHORITY}/{tenant}/discovery/keys"
    assert metadata["token_endpoint"] == f"{AUTHORITY}/{tenant}/oauth2/token"


@pytest.mark.vectors
@pytest.mark.parametrize("shared", ["common", "organizations"])
def test_v2_metadata_has_the_recorded_documents_members(client: TestClient, shared: str) -> None:
    """Member for member and value for value the document Entra served, but for its hosts."""
    file = vectors_dir("recorded-issuers") / f"entra-{shared}.json"
    recorded = json.loads(file.read_text())["metadata"]
    ours = client.get(f"/{shared}/v2.0/.well-known/openid-configuration").json()

    assert list(ours) == list(recorded)
    for name, value in recorded.items():
        if not isinstance(value, str):
            assert ours[name] == value, name
        elif value.startswith("https://login."):
            assert ours[name] == value.replace("https://login.microsoftonline.com", AUTHORITY), name
        else:
            assert "microsoft" not in ours[name], name


@pytest.mark.vectors
def test_v2_keys_have_the_recorded_keys_members(client: TestClient) -> None:
    """A key has exactly the members a recorded key of Entra's has."""
    recorded = json.loads((vectors_dir("recorded-issuers") / "entra-common.json").read_text())["jwks"]
    ours = client.get("/common/discovery/v2.0/keys").json()

    assert {frozenset(key) for key in ours["keys"]} == {frozenset(key) for key in recorded["keys"]}


def test_a_key_is_named_by_its_certificate(client: TestClient) -> None:
    """`kid` and `x5t` are the certificate's SHA-1, the certificate is self-signed and holds the key itself."""
    [jwk] = client.get("/common/discovery/v2.0/keys").json()["keys"]
    der = base64.b64decode(jwk["x5c"][0], validate=True)
    certificate = x509.load_der_x509_certificate(der)

    assert jwk["kid"] == jwk["x5t"] == jwt.utils.base64url_encode(hashlib.sha1(der).digest()).decode()
    assert len(jwk["kid"]) == 27
    assert certificate.issuer == certificate.subject
    certificate.verify_directly_issued_by(certificate)
    key = jwt.PyJWK(jwk, algorithm="RS256").key
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == 2048
    assert certificate.public_key() == key


@pytest.mark.parametrize(
    ("path", "issuer"),
    [
        pytest.param("/common/discovery/v2.0/keys", TEMPLATE, id="v2 shared"),
        pytest.param("/organizations/discovery/v2.0/keys", TEMPLATE, id="v2 organizations"),
        pytest.param(f"/{TID}/discovery/v2.0/keys", f"{AUTHORITY}/{TID}/v2.0", id="v2 tenant"),
        pytest.param("/common/discovery/keys", None, id="v1 shared"),
        pytest.param(f"/{TID}/discovery/keys", None, id="v1 tenant"),
    ],
)
def test_only_v2_keys_name_their_issuer(client: TestClient, path: str, issuer: str | None) -> None:
    """v2 keys carry `issuer`, v1 keys do not, and no key carries `alg` or `x5t#S256`."""
    [jwk] = client.get(path).json()["keys"]

    assert jwk.get("issuer") == issuer
    assert "alg" not in jwk
    assert "x5t#S256" not in jwk
    assert jwk["use"] == "sig"


def test_a_key_bound_to_a_tenant_says_so_and_is_hidden_from_others(client: TestClient, authority: Authority) -> None:
    """A bound key names its one issuer even in the shared document; another tenant's document does not list it."""
    bound = authority.keys.publish_for(TID)

    def issuers(path: str) -> dict[str, str]:
        return {key["kid"]: key["issuer"] for key in client.get(path).json()["keys"]}

    assert issuers("/common/discovery/v2.0/keys")[bound.kid] == f"{AUTHORITY}/{TID}/v2.0"
    assert bound.kid in issuers(f"/{TID}/discovery/v2.0/keys")
    assert bound.kid not in issuers(f"/{OTHER_TID}/discovery/v2.0/keys")
    assert authority.keys.signing() != bound


def test_appid_is_handed_on_to_the_key_document(client: TestClient) -> None:
    """Asked with `?appid=`, the metadata leads to keys asked for with the same, safely encoded."""
    metadata = client.get("/common/v2.0/.well-known/openid-configuration", params={"appid": "a b&c"}).json()

    assert metadata["jwks_uri"] == f"{AUTHORITY}/common/discovery/v2.0/keys?appid=a+b%26c"


@pytest.mark.parametrize("path", ["v2.0/.well-known/openid-configuration", "discovery/v2.0/keys", "discovery/keys"])
@pytest.mark.parametrize(
    ("tenant", "number"), [(UNKNOWN_TID, 90002), ("contoso.example", 900023), (f"{{{TID}}}", 900023)]
)
def test_an_unknown_tenant_is_refused_as_entra_does(client: TestClient, tenant: str, number: int, path: str) -> None:
    """A document of a tenant nobody added is a 400 with the AADSTS number, not a 404."""
    answer = client.get(f"/{tenant}/{path}")

    assert answer.status_code == 400
    assert answer.json()["error_codes"] == [number]
    assert answer.json()["error_description"].startswith(f"AADSTS{number}: ")


def test_a_tenant_is_found_in_any_case(client: TestClient) -> None:
    """GUIDs are compared without case, and answered in lower case."""
    metadata = client.get(f"/{TID.upper()}/v2.0/.well-known/openid-configuration").json()

    assert metadata["issuer"] == f"{AUTHORITY}/{TID}/v2.0"


@pytest.mark.parametrize("path", ["/common/v2.0/.well-known/openid-configuration/", "/common", "/", "/a/b/c/d"])
def test_any_other_path_is_not_found(client: TestClient, path: str) -> None:
    """There are no redirects and no other documents."""
    assert client.get(path, follow_redirects=False).status_code == 404
