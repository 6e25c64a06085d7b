"""The token endpoints grant what Entra grants and refuse as Entra refuses."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote_plus

import pytest
from cryptography.hazmat.primitives import serialization
from starlette.testclient import TestClient

from tenantgate.emulator.authority import Authority
from tenantgate.emulator.keys import self_signed
from tests.emulator.world import (
    AUTHORITY,
    CLIENT,
    LEGACY,
    NOW,
    OID,
    ORDERS,
    OTHER_TID,
    ROLELESS,
    SECRET,
    TID,
    UNKNOWN_TID,
    FakeClock,
    client_assertion,
    rsa_key,
    segments,
    verified,
)

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SIGNED_BY = "cccccccc-0000-4000-8000-00000000000c"


def a_form(**changed: str | None) -> dict[str, str]:
    """A granted request's form, but for what is changed; None takes a parameter away."""
    form = {
        "grant_type": "client_credentials",
        "client_id": CLIENT,
        "client_secret": SECRET,
        "scope": "api://orders/.default",
    }
    return {name: value for name, value in {**form, **changed}.items() if value is not None}


def post(client: TestClient, form: dict[str, str], path: str = f"/{TID}/oauth2/v2.0/token", **headers: str) -> Any:
    """Send a token request."""
    return client.post(path, data=form, headers=headers)


def test_a_v2_token_has_exactly_entras_claims(client: TestClient, authority: Authority) -> None:
    """A daemon gets a token for the API's client id, with the roles its tenant granted, signed by a published key."""
    answer = post(client, a_form())

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store, no-cache"
    body = answer.json()
    claims = verified(body["access_token"], authority.jwks(2))
    header, _ = segments(body["access_token"])
    assert header == {"typ": "JWT", "alg": "RS256", "kid": authority.keys.signing().kid}
    opaque = {name: claims.pop(name) for name in ("aio", "rh", "uti")}
    assert claims == {
        "aud": ORDERS,
        "iss": f"{AUTHORITY}/{TID}/v2.0",
        "iat": NOW - 300,
        "nbf": NOW - 300,
        "exp": NOW + body["expires_in"],
        "azp": CLIENT,
        "azpacr": "1",
        "idtyp": "app",
        "oid": OID,
        "sub": OID,
        "roles": ["Orders.Read"],
        "tid": TID,
        "ver": "2.0",
    }
    assert all(isinstance(value, str) and value for value in opaque.values())
    assert body == {
        "token_type": "Bearer",
        "expires_in": body["expires_in"],
        "ext_expires_in": body["expires_in"],
        "access_token": body["access_token"],
    }


def test_a_v1_token_has_exactly_entras_claims(client: TestClient, authority: Authority) -> None:
    """An API that asks for v1 gets the App ID URI as audience, `appid`, `idp` and `x5t`, even at the v2 endpoint."""
    answer = post(client, a_form(scope="https://legacy.example/.default"))

    token = answer.json()["access_token"]
    claims = verified(token, authority.jwks(1))
    header, _ = segments(token)
    kid = authority.keys.signing().kid
    assert header == {"typ": "JWT", "alg": "RS256", "x5t": kid, "kid": kid}
    for name in ("aio", "rh", "uti", "exp"):
        claims.pop(name)
    assert claims == {
        "aud": "https://legacy.example",
        "iss": f"{AUTHORITY}/sts/{TID}/",
        "iat": NOW - 300,
        "nbf": NOW - 300,
        "appid": CLIENT,
        "appidacr": "1",
        "idp": f"{AUTHORITY}/sts/{TID}/",
        "oid": OID,
        "sub": OID,
        "roles": ["Legacy.All"],
        "tid": TID,
        "ver": "1.0",
    }


@pytest.mark.parametrize("asked", ["https://legacy.example/", "https://legacy.example", LEGACY])
def test_a_v1_audience_is_what_the_daemon_asked_for(client: TestClient, asked: str) -> None:
    """Entra writes the resource as it was named, so an API sees several audiences."""
    answer = post(client, a_form(scope=f"{asked}/.default"))

    assert segments(answer.json()["access_token"])[1]["aud"] == asked


@pytest.mark.parametrize("asked", ["api://orders/", "api://orders", ORDERS])
def test_a_v2_audience_is_always_the_client_id(client: TestClient, asked: str) -> None:
    """However the resource was named, a v2 token is for its client id."""
    answer = post(client, a_form(scope=f"{asked}/.default"))

    assert segments(answer.json()["access_token"])[1]["aud"] == ORDERS


def test_the_v1_endpoint_takes_resource_and_writes_numbers_as_strings(client: TestClient) -> None:
    """The older endpoint names the resource without `/.default`; the API's own version still decides the token's."""
    form = a_form(scope=None) | {"resource": "api://orders"}
    body = post(client, form, f"/{TID}/oauth2/token").json()

    _, claims = segments(body["access_token"])
    assert claims["ver"] == "2.0"
    assert body["expires_on"] == str(claims["exp"])
    assert body["not_before"] == str(claims["nbf"])
    assert body["expires_in"] == str(claims["exp"] - NOW)
    assert body["resource"] == "api://orders"


def test_a_daemon_without_roles_gets_a_token_without_roles(client: TestClient) -> None:
    """Entra issues a role-less token to any daemon of a tenant: `roles` is absent, not empty."""
    answer = post(client, a_form(client_id=ROLELESS))

    assert "roles" not in segments(answer.json()["access_token"])[1]


def test_lifetimes_are_between_60_and_90_minutes(client: TestClient) -> None:
    """No two tokens live equally long, none shorter than an hour and none longer than an hour and a half."""
    lifetimes = [post(client, a_form()).json()["expires_in"] for _ in range(5)]

    assert len(set(lifetimes)) > 1
    assert all(3600 <= lifetime <= 5400 for lifetime in lifetimes)


def test_a_client_may_authenticate_with_http_basic(client: TestClient) -> None:
    """Client id and secret may come form-encoded in HTTP Basic instead of the form (RFC 6749 §2.3.1)."""
    basic = base64.b64encode(f"{CLIENT}:{quote_plus(SECRET)}".encode()).decode()
    answer = post(client, a_form(client_id=None, client_secret=None), authorization=f"Basic {basic}")

    assert segments(answer.json()["access_token"])[1]["azpacr"] == "1"


@pytest.mark.parametrize(
    ("changed", "status", "error", "number"),
    [
        pytest.param({"client_secret": "wrong"}, 401, "invalid_client", 7000215, id="wrong secret"),
        pytest.param({"client_secret": None}, 401, "invalid_client", 7000218, id="no secret"),
        pytest.param({"client_secret": ""}, 401, "invalid_client", 7000218, id="empty secret"),
        pytest.param({"client_id": ORDERS}, 400, "unauthorized_client", 700016, id="unknown client"),
        pytest.param({"client_id": "nightly"}, 400, "unauthorized_client", 700016, id="client not a GUID"),
        pytest.param({"client_id": None}, 400, "invalid_request", 900144, id="no client"),
        pytest.param({"scope": "api://unknown/.default"}, 400, "invalid_resource", 500011, id="unknown resource"),
        pytest.param({"scope": "api://orders"}, 400, "invalid_scope", 70011, id="scope without default"),
        pytest.param({"scope": "/.default"}, 400, "invalid_scope", 70011, id="scope of nothing"),
        pytest.param(
            {"scope": "api://orders/.default https://legacy.example/.default"},
            400,
            "invalid_scope",
            70011,
            id="two resources",
        ),
        pytest.param({"scope": None}, 400, "invalid_request", 900144, id="no scope"),
        pytest.param({"grant_type": "password"}, 400, "unsupported_grant_type", 70003, id="other grant"),
        pytest.param({"grant_type": None}, 400, "invalid_request", 900144, id="no grant"),
        pytest.param({"client_assertion": "x"}, 401, "invalid_client", 50012, id="secret and assertion"),
    ],
)
def test_a_spoiled_request_is_refused_with_entras_error(
    client: TestClient, changed: dict[str, str | None], status: int, error: str, number: int
) -> None:
    """One thing wrong in a sound request gives the status, OAuth error and AADSTS number Entra gives for it."""
    answer = post(client, a_form(**changed))

    assert answer.status_code == status
    assert answer.headers["cache-control"] == "no-store, no-cache"
    body = answer.json()
    assert list(body) == ["error", "error_description", "error_codes", "timestamp", "trace_id", "correlation_id"]
    assert body["error"] == error
    assert body["error_codes"] == [number]
    assert body["error_description"].startswith(f"AADSTS{number}: ")
    assert f"Trace ID: {body['trace_id']}" in body["error_description"]
    assert body["timestamp"] == "2027-01-15 08:00:00Z"
    assert SECRET not in answer.text


@pytest.mark.parametrize(
    ("tenant", "number"),
    [(UNKNOWN_TID, 90002), ("contoso", 900023), ("common", 50059), ("organizations", 50059)],
)
def test_tokens_come_from_a_known_tenant_only(client: TestClient, tenant: str, number: int) -> None:
    """A daemon asks at its own tenant: not at a shared name, and not at one nobody added."""
    answer = post(client, a_form(), f"/{tenant}/oauth2/v2.0/token")

    assert answer.status_code == 400
    assert answer.json()["error_codes"] == [number]


def test_a_daemon_of_one_tenant_is_unknown_in_another(client: TestClient) -> None:
    """The same client id in another tenant is nobody there."""
    answer = post(client, a_form(), f"/{OTHER_TID}/oauth2/v2.0/token")

    assert answer.json()["error_codes"] == [700016]


@pytest.mark.parametrize(
    ("authorization", "number"),
    [
        pytest.param("Basic !!!", 7000218, id="not base64"),
        pytest.param("Basic /w==", 7000218, id="not UTF-8"),
        pytest.param(f"Basic {base64.b64encode(f'{CLIENT}:wrong'.encode()).decode()}", 7000215, id="wrong secret"),
        pytest.param(f"Basic {base64.b64encode(f'{CLIENT}:'.encode()).decode()}", 7000215, id="empty secret"),
        pytest.param(f"Basic {base64.b64encode(f'{ROLELESS}:x'.encode()).decode()}", 50012, id="two clients"),
    ],
)
def test_spoiled_http_basic_is_refused(client: TestClient, authorization: str, number: int) -> None:
    """What cannot be read or does not match in HTTP Basic is refused as the same mistake in the form."""
    answer = post(client, a_form(client_secret=None), authorization=authorization)

    assert answer.status_code == 401
    assert answer.json()["error_codes"] == [number]


@pytest.mark.parametrize(
    ("body", "number"),
    [
        pytest.param(b"", 900144, id="empty"),
        pytest.param(b'{"grant_type": "client_credentials"}', 900144, id="JSON"),
        pytest.param(b"grant_type=%ff", 90013, id="not UTF-8"),
        pytest.param(b"\xff", 90013, id="raw not UTF-8"),
        pytest.param(b"&".join(b"p%d=x" % number for number in range(60)), 90013, id="too many parameters"),
        pytest.param(b"grant_type=a&grant_type=a", 9000411, id="repeated parameter"),
    ],
)
def test_a_body_that_is_no_form_is_refused(client: TestClient, body: bytes, number: int) -> None:
    """Whatever the bytes, the answer is an error of the token endpoint's own kind."""
    answer = client.post(f"/{TID}/oauth2/v2.0/token", content=body)

    assert answer.status_code == 400
    assert answer.json()["error_codes"] == [number]


def test_a_huge_body_is_not_read(client: TestClient) -> None:
    """A body longer than any honest one is refused before it is held in memory."""
    assert client.post(f"/{TID}/oauth2/v2.0/token", content=b"x" * 300_000).status_code == 413


def test_two_authorization_headers_are_refused(client: TestClient) -> None:
    """Nobody can say which of two Authorization headers counts."""
    headers = [("Authorization", "Basic eDp5"), ("Authorization", "Basic eDp5")]
    answer = client.post(f"/{TID}/oauth2/v2.0/token", data=a_form(), headers=headers)

    assert answer.json()["error_codes"] == [50012]


def pem_of(key_number: int, *, certificate: bool) -> str:
    """The public half of a test key, as a PEM key or certificate."""
    key = rsa_key(key_number)
    if certificate:
        signing_key = self_signed(key, now=NOW, serial=7)
        lines = base64.encodebytes(signing_key.certificate_der).decode()
        return f"-----BEGIN CERTIFICATE-----\n{lines}-----END CERTIFICATE-----\n"
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, spki).decode()


def with_assertion(assertion: str, **changed: str | None) -> dict[str, str]:
    """A form that authenticates with a client assertion."""
    form = {"client_secret": None, "client_assertion": assertion, "client_assertion_type": JWT_BEARER}
    return a_form(**{**form, **changed})


@pytest.mark.parametrize("certificate", [True, False])
@pytest.mark.parametrize(
    "audience",
    [f"{AUTHORITY}/{TID}/oauth2/v2.0/token", f"{AUTHORITY}/{TID}/oauth2/token", f"{AUTHORITY}/{TID}/v2.0"],
)
def test_a_client_assertion_gives_the_stronger_credential_class(
    client: TestClient, authority: Authority, certificate: bool, audience: str
) -> None:
    """A daemon with a registered key signs an assertion (RFC 7523), and its token says so with azpacr 2."""
    authority.add_daemon(TID, SIGNED_BY, oid=OID, public_key=pem_of(2, certificate=certificate))
    assertion = client_assertion(rsa_key(2), iss=SIGNED_BY, sub=SIGNED_BY, aud=audience)

    answer = post(client, with_assertion(assertion, client_id=SIGNED_BY))

    assert segments(answer.json()["access_token"])[1]["azpacr"] == "2"


@pytest.mark.parametrize(
    ("changed", "number"),
    [
        pytest.param({"iss": CLIENT}, 700021, id="another issuer"),
        pytest.param({"sub": CLIENT}, 700021, id="another subject"),
        pytest.param({"aud": "https://login.example/token"}, 700023, id="another audience"),
        pytest.param({"aud": f"{AUTHORITY}/{OTHER_TID}/oauth2/v2.0/token"}, 700023, id="another tenant"),
        pytest.param({"exp": NOW}, 700024, id="expired"),
        pytest.param({"nbf": NOW + 1}, 700024, id="not yet valid"),
        pytest.param({"exp": None}, 700024, id="no end"),
        pytest.param({"exp": "soon"}, 700024, id="end not a number"),
    ],
)
def test_a_spoiled_client_assertion_is_refused(
    client: TestClient, authority: Authority, changed: dict[str, Any], number: int
) -> None:
    """A well-signed assertion that says the wrong thing is refused for that thing."""
    authority.add_daemon(TID, SIGNED_BY, oid=OID, public_key=pem_of(2, certificate=True))
    assertion = client_assertion(rsa_key(2), **{"iss": SIGNED_BY, "sub": SIGNED_BY, **changed})

    answer = post(client, with_assertion(assertion, client_id=SIGNED_BY))

    assert answer.status_code == 401
    assert answer.json()["error_codes"] == [number]


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"client_assertion": client_assertion(rsa_key(1), iss=SIGNED_BY, sub=SIGNED_BY)}, id="other key"),
        pytest.param({"client_assertion": "not.a.jwt"}, id="no JWT"),
        pytest.param({"client_assertion_type": "urn:example:other"}, id="other assertion type"),
        pytest.param({"client_id": CLIENT}, id="client without a key"),
    ],
)
def test_an_assertion_nobody_can_trust_is_refused(
    client: TestClient, authority: Authority, changed: dict[str, str]
) -> None:
    """Without a signature by the registered key, what the assertion says is not looked at."""
    authority.add_daemon(TID, SIGNED_BY, oid=OID, public_key=pem_of(2, certificate=True))
    assertion = client_assertion(rsa_key(2), iss=SIGNED_BY, sub=SIGNED_BY)

    answer = post(client, with_assertion(assertion, **{"client_id": SIGNED_BY, **changed}))

    assert answer.status_code == 401
    assert answer.json()["error_codes"] == [700027]


def test_the_endpoint_runs_on_the_clock_it_was_given(client: TestClient, clock: FakeClock) -> None:
    """Instants come from the authority's clock, never from the machine's."""
    clock.now = 2_000_000_000

    _, claims = segments(post(client, a_form()).json()["access_token"])

    assert claims["iat"] == 2_000_000_000 - 300


def test_the_token_endpoint_is_posted_to(client: TestClient) -> None:
    """A GET with the secret in the query is not a token request."""
    assert client.get(f"/{TID}/oauth2/v2.0/token", params=a_form()).status_code == 405
