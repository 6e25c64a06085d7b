"""`docs/migrate-from-api-management.md`: every attribute and element has its row, and the examples do what they say."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied
from tenantgate.core.policy import KINDS, IssuerRow, PolicySnapshot, RequiredClaim, ResourceRow, RowData, row_of
from tenantgate.feed.file import parse_policy
from tenantgate.gate.request import RequestView
from tests.builders import NOW, REMOVE, cloud_key, oidc_claims, oidc_key, v2_claims
from tests.gate.world import a_gate
from tests.real_parts import ROOT

PAGE = (ROOT / "docs" / "migrate-from-api-management.md").read_text(encoding="utf-8")
ENTRA = "https://login.microsoftonline.com/{tenantid}/v2.0"
ISSUER = "https://id.globex.example/realms/daemons"

# What the two policies know, as Microsoft's reference has it.
ATTRIBUTES = {
    "## `validate-jwt`": """
        header-name query-parameter-name token-value failed-validation-httpcode failed-validation-error-message
        require-expiration-time require-scheme require-signed-tokens clock-skew output-token-variable-name
        openid-config issuer-signing-keys key n e certificate-id id decryption-keys audiences audience issuers issuer
        required-claims claim name match separator value
    """,
    "## `validate-azure-ad-token`": """
        tenant-id header-name query-parameter-name token-value authentication-endpoint failed-validation-httpcode
        failed-validation-error-message output-token-variable-name client-application-ids backend-application-ids
        application-id audiences audience required-claims claim decryption-keys
    """,
}
MEMBERS = {name for struct in (*KINDS.values(), RequiredClaim) for name in struct.__struct_fields__} | {
    f"{kind}s" for kind in KINDS
}


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading."""
    section = PAGE.split(f"{heading}\n", 1)[1].split("\n#", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"(?m)^\| `.*$", section)]


def example(heading: str, language: str) -> str:
    """Return the block of a language below a heading."""
    section = PAGE.split(f"{heading}\n", 1)[1].split("\n## ", 1)[0]
    (block,) = re.findall(rf"(?ms)^```{language}\n(.*?)^```$", section)
    return str(block)


def policy_of(heading: str) -> list[RowData]:
    """Return the rows of an example, with our keys in place of those that would be fetched."""
    found = []
    for row in parse_policy(tomllib.loads(example(heading, "toml")), Path()):
        if isinstance(row, IssuerRow):
            key = cloud_key().jwk(issuer=ENTRA) if row.kind == "entra" else oidc_key().jwk()
            row = replace(row, jwks={"keys": [key]})
        found.append(row)
    return found


def resource_of(heading: str) -> ResourceRow:
    """Return the resource of an example."""
    return next(row for row in policy_of(heading) if isinstance(row, ResourceRow))


def asked(heading: str, *headers: tuple[str, str], query: str = "") -> Any:
    """Return decision and answer of a gate over an example."""
    put = tuple(row_of(row, 1) for row in policy_of(heading))
    gate = a_gate(news=PolicySnapshot(epoch="e", revision=1, rows=put))
    raw = [(name.encode(), value.encode()) for name, value in headers]
    decision = gate.decide(RequestView("GET", "/orders", raw, "192.0.2.7", query.encode()), ("Orders.Read",))
    return decision, gate.answer(decision)


def reason_of(decision: Any) -> R | None:
    """Return why it was denied, None where it was not."""
    return decision.reason if isinstance(decision, Denied) else None


@pytest.mark.parametrize("heading", ATTRIBUTES)
def test_every_attribute_and_element_has_its_row(heading: str):
    """The first cells name all of them, and nothing else."""
    named = {name for row in rows(heading) for name in re.findall(r"`([a-z-]+)`", row[0])}

    assert named == set(ATTRIBUTES[heading].split())


@pytest.mark.parametrize("heading", ATTRIBUTES)
def test_every_equal_is_a_member_of_the_policy(heading: str):
    """What the second cell begins with is a member that exists, or it says that there is none, or that it is always."""
    for there, here in rows(heading):
        named = re.match(r"(?:a row of |the rows of )?`([a-z_]+)`", here)
        if named is not None:
            assert named[1] in MEMBERS, there
        else:
            assert re.match(r"none|always|a key in that set|the (?:certificate's public key|key's `kid`)", here), there


@pytest.mark.parametrize("heading", ATTRIBUTES)
def test_both_forms_of_an_example_say_the_same(heading: str):
    """Audiences, claims, skew, place, status, text, tenant and clients of the XML are those of the policy file."""
    xml = ElementTree.fromstring(example(heading, "xml"))
    document = tomllib.loads(example(heading, "toml"))
    row = resource_of(heading)

    assert xml.tag in heading
    assert set(xml.attrib) <= set(ATTRIBUTES[heading].split())
    assert [each.text for each in xml.iter("audience")] == list(row.audiences)
    assert [
        RequiredClaim(
            claim=each.attrib["name"],
            values=tuple(value.text or "" for value in each),
            match=each.get("match", "all"),  # type: ignore[arg-type]
            separator=each.get("separator"),
        )
        for each in xml.iter("claim")
    ] == list(row.required_claims)
    assert int(xml.get("clock-skew", "60")) == row.clock_skew
    assert (xml.get("header-name"), xml.get("query-parameter-name")) == (row.token_header, row.token_query)
    assert int(xml.get("failed-validation-httpcode", "0")) == (row.failure_status or 0)
    assert xml.get("failed-validation-error-message") == row.failure_message
    assert [each.text for each in xml.iter("issuer")] == [
        each["issuer"] for each in document["issuers"] if "issuer" in each
    ]
    assert [each.attrib["url"] for each in xml.iter("openid-config")] == [
        each["metadata_url"] for each in document["issuers"] if "metadata_url" in each
    ]
    assert xml.get("tenant-id") == document["tenants"][0].get("tid")
    assert xml.get("authentication-endpoint") == document["issuers"][0].get("authority")
    clients = [each.text for each in xml.iter("application-id")]
    assert clients in ([], [each["client_id"] for each in document["daemons"]])


def globex_token(**changes: Any) -> str:
    """Return a token of globex's daemon that the first example grants, but for what is changed."""
    granted = {"sub": "service-account-globex-sync", "aud": "https://orders.publisher.example"}
    claims = {"scope": "orders.list orders.read", "department": "Logistics"}
    return oidc_key().sign(oidc_claims(**{**granted, **claims, **changes}))


JWT = "## `validate-jwt`"
AAD = "## `validate-azure-ad-token`"


def test_validate_jwt_lets_in_what_it_asks_for():
    """The token in the header or in the query: one of the audiences, all scopes, any department, a jti."""
    for department in ("Sales", ["Law", "Logistics"]):
        token = globex_token(department=department)
        assert reason_of(asked(JWT, ("x-orders-token", token))[0]) is None
        assert reason_of(asked(JWT, query=f"access_token={token}")[0]) is None
    assert reason_of(asked(JWT, ("x-orders-token", globex_token(exp=NOW - 29)))[0]) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"aud": "api://billing.publisher.example"}, R.AUDIENCE_MISMATCH),
        ({"iss": "https://id.globex.example/realms/users"}, R.ISSUER_UNKNOWN),
        ({"exp": NOW - 30}, R.TOKEN_EXPIRED),
        ({"exp": REMOVE}, R.CLAIM_MISSING),
        ({"scope": "orders.list"}, R.REQUIRED_CLAIM_MISMATCH),
        ({"scope": "orders.reader"}, R.REQUIRED_CLAIM_MISMATCH),
        ({"scope": REMOVE}, R.REQUIRED_CLAIM_MISMATCH),
        ({"department": "Law"}, R.REQUIRED_CLAIM_MISMATCH),
        ({"department": {"Sales": True}}, R.REQUIRED_CLAIM_MISMATCH),
        ({"jti": REMOVE}, R.REQUIRED_CLAIM_MISMATCH),
        ({"department": None}, R.REQUIRED_CLAIM_MISMATCH),
        ({"client_id": "globex-other", "sub": "globex-other"}, R.DAEMON_NOT_LISTED),
        ({"sub": "service-account-globex-other"}, R.OBJECT_ID_MISMATCH),
    ],
)
def test_validate_jwt_refuses_the_rest_in_its_own_words(changes: dict[str, Any], reason: R):
    """Each claim that is not as the example asks is refused for that, with the example's status and text."""
    decision, answer = asked(JWT, ("x-orders-token", globex_token(**changes)))

    assert reason_of(decision) is reason
    assert answer.status == 403
    assert b"Ask orders@publisher.example for access." in answer.body


def test_validate_jwt_takes_a_token_from_one_place():
    """Not from Authorization, not with a scheme in its own header, not from two places."""
    token = globex_token()

    assert reason_of(asked(JWT, ("authorization", f"Bearer {token}"))[0]) is R.NO_CREDENTIAL
    assert reason_of(asked(JWT, ("x-orders-token", f"Bearer {token}"))[0]) is R.SCHEME_NOT_ALLOWED
    decision, answer = asked(JWT, ("x-orders-token", token), query=f"access_token={token}")
    assert (reason_of(decision), answer.status) == (R.CREDENTIAL_AMBIGUOUS, 400)


def acme_token(**changes: Any) -> str:
    """Return a token of acme's daemon that the second example grants, but for what is changed."""
    return cloud_key().sign(v2_claims(**{"iss": ENTRA.replace("{tenantid}", v2_claims()["tid"]), **changes}))


def test_validate_azure_ad_token_lets_in_its_clients():
    """Both applications of the one tenant, by the audience, with any of the roles."""
    for client in ("cccccccc-0000-4000-8000-000000000003", "cccccccc-0000-4000-8000-000000000013"):
        for roles in (["Orders.Read"], ["Orders.Write", "Other"]):
            token = acme_token(azp=client, roles=roles)
            assert reason_of(asked(AAD, ("authorization", f"Bearer {token}"))[0]) is None


@pytest.mark.parametrize(
    ("changes", "reason", "status"),
    [
        ({"azp": "cccccccc-0000-4000-8000-000000000023"}, R.DAEMON_NOT_LISTED, 403),
        ({"aud": "aaaaaaaa-0000-4000-8000-000000000009"}, R.AUDIENCE_MISMATCH, 401),
        ({"roles": ["Orders.Reader"]}, R.REQUIRED_CLAIM_MISMATCH, 401),
        ({"roles": REMOVE}, R.REQUIRED_CLAIM_MISMATCH, 401),
        (
            {
                "tid": "bbbbbbbb-0000-4000-8000-000000000022",
                "iss": ENTRA.replace("{tenantid}", "bbbbbbbb-0000-4000-8000-000000000022"),
            },
            R.TENANT_NOT_LISTED,
            403,
        ),
    ],
)
def test_validate_azure_ad_token_refuses_the_rest(changes: dict[str, Any], reason: R, status: int):
    """Another tenant, application, audience or role is refused for that, with the usual status and the own text."""
    decision, answer = asked(AAD, ("authorization", f"Bearer {acme_token(**changes)}"))

    assert (reason_of(decision), answer.status) == (reason, status)
    assert b"Ask orders@publisher.example for access." in answer.body
