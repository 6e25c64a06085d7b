"""Where the rules for rows draw their lines: the last that is taken, and the first that is not."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from tenantgate.core.policy import (
    AppRoleRow,
    DaemonRow,
    IssuerRow,
    PolicyError,
    RequiredClaim,
    ResourceRow,
    RowData,
    TenantRow,
    one_spelling,
)
from tenantgate.core.references import check_issuers, check_references, shares_v1_issuer
from tenantgate.core.rules import check_row
from tests.core.test_rules import (
    CLIENT_ID,
    CLOUD,
    DAEMON,
    GOVERNMENT,
    GRANT,
    KEYS,
    MAPPING,
    OIDC,
    PARTNER,
    RESOURCE,
    ROLE,
    TENANT,
    TID,
    WIDE,
    changed_policy,
    refused,
)

LAST_SECOND = 253_402_300_799
LOCAL = IssuerRow(id="dev", kind="entra", authority="http://localhost:8080", insecure_allow_http=True)
CHINA = IssuerRow(id="entra-cn", kind="entra", authority="https://login.partner.microsoftonline.cn")

TAKEN: list[tuple[RowData, dict[str, Any]]] = [
    (PARTNER, {"id": "a" * 63}),
    (PARTNER, {"name": "x" * 200}),
    (PARTNER, {"name": "é" * 200}),
    (PARTNER, {"ends_at": 0}),
    (PARTNER, {"ends_at": LAST_SECOND}),
    (DAEMON, {"client_id": "x" * 256}),
    (DAEMON, {"subject": "x" * 256}),
    (DAEMON, {"subject": "a b"}),
    (RESOURCE, {"audiences": ("x" * 256,)}),
    (RESOURCE, {"audiences": tuple(f"api://{n}" for n in range(64))}),
    (RESOURCE, {"max_lifetime": 1}),
    (RESOURCE, {"max_lifetime": 31 * 86_400}),
    (RESOURCE, {"clock_skew": 0}),
    (RESOURCE, {"clock_skew": 600}),
    (ROLE, {"value": "x" * 120}),
    (GRANT, {"not_before": 0}),
    (GRANT, {"expires_at": 0}),
    (GRANT, {"not_before": 10, "expires_at": 11}),
    (GRANT, {"not_before": LAST_SECOND}),
    (OIDC, {"issuer": "https://id.example/" + "a" * 493, "jwks": KEYS}),
    (OIDC, {"issuer": "https://id.example/X"}),
    (OIDC, {"client_id_claim": "x" * 256}),
    (OIDC, {"metadata_url": "https://id.example/metadata?app=X"}),
    (CLOUD, {"metadata_url": "https://login.example/x?appid=a", "v1_metadata_url": "https://login.example/y?appid=a"}),
    (CLOUD, {"authority": "https://login.example/X"}),
    (CLOUD, {"authority": "https://login.example/login.example"}),
    (RESOURCE, {"failure_status": 401}),
    (RESOURCE, {"failure_status": 499}),
    (RESOURCE, {"token_header": "X-Token"}),
    (RESOURCE, {"required_claims": (RequiredClaim(claim="a", values=("x" * 256,), separator="1234"),)}),
    (MAPPING, {"value": "x" * 256}),
    (LOCAL, {}),
    (LOCAL, {"v1_issuer": "http://localhost:8080/sts/{tenantid}/"}),
    (LOCAL, {"metadata_url": "http://localhost:8080/metadata"}),
    (OIDC, {"issuer": "http://localhost/x", "metadata_url": "http://[::1]/m", "insecure_allow_http": True}),
]
REFUSED: list[tuple[RowData, dict[str, Any], str, str]] = [
    (DAEMON, {"client_id": "x" * 257}, "text_too_long", "client_id"),
    (DAEMON, {"state": "archived"}, "value_unknown", "state"),
    (RESOURCE, {"audiences": ("x" * 257,)}, "text_too_long", "audiences[0]"),
    (RESOURCE, {"audiences": ("api://a b",)}, "text_not_allowed", "audiences[0]"),
    (RESOURCE, {"min_credential": "password"}, "value_unknown", "min_credential"),
    (RESOURCE, {"failure_status": 400}, "number_out_of_range", "failure_status"),
    (RESOURCE, {"failure_status": 500}, "number_out_of_range", "failure_status"),
    (
        RESOURCE,
        {"required_claims": (RequiredClaim(claim="a", values=("x" * 257,)),)},
        "text_too_long",
        "required_claims[0].values[0]",
    ),
    (
        RESOURCE,
        {"required_claims": (RequiredClaim(claim="a", values=(), separator="12345"),)},
        "separator_malformed",
        "required_claims[0].separator",
    ),
    (MAPPING, {"value": "x" * 257}, "text_too_long", "value"),
    (RESOURCE, {"max_lifetime": 31 * 86_400 + 1}, "number_out_of_range", "max_lifetime"),
    (GRANT, {"daemon": "No"}, "id_malformed", "daemon"),
    (WIDE, {"expires_at": LAST_SECOND + 1}, "number_out_of_range", "expires_at"),
    (OIDC, {"client_id_claim": "x" * 257}, "text_too_long", "client_id_claim"),
    (OIDC, {"issuer": "https://id.example/" + "a" * 494}, "url_malformed", "issuer"),
    (OIDC, {"issuer": "https://id.example/a b"}, "url_malformed", "issuer"),
    (OIDC, {"v2_issuer": "https://id.example/{tenantid}/"}, "member_not_allowed", "v2_issuer"),
    (OIDC, {"v1_metadata_url": "https://id.example/x"}, "member_not_allowed", "v1_metadata_url"),
    (CLOUD, {"v1_issuer": "https://sts.example/{tenantid}/{"}, "template_malformed", "v1_issuer"),
    (CLOUD, {"v1_issuer": "https://sts.example/{tenantid}/}"}, "template_malformed", "v1_issuer"),
    (
        CLOUD,
        {"authority": "https://login.example", "v1_metadata_url": "https://login.example/x"},
        "member_not_allowed",
        "v1_metadata_url",
    ),
]


@pytest.mark.parametrize(("row", "changed"), TAKEN)
def test_the_last_that_is_taken(row: RowData, changed: dict[str, Any]):
    """On its bound a member is as good as within it, and is left as it is written."""
    checked = check_row(replace(row, **changed))

    assert {name: getattr(checked, name) for name in changed} == changed


@pytest.mark.parametrize(("row", "changed", "code", "path"), REFUSED)
def test_the_first_that_is_refused(row: RowData, changed: dict[str, Any], code: str, path: str):
    """Beyond its bound a member is refused by its name."""
    assert refused(row, **changed) == (code, path)


def test_a_metadata_address_follows_the_issuer_letter_by_letter():
    """Only slashes at the issuer's end are left out before the well-known path."""
    checked = check_row(replace(OIDC, issuer="https://id.example/X/"))

    assert isinstance(checked, IssuerRow)
    assert checked.metadata_url == "https://id.example/X/.well-known/openid-configuration"


FITTING: dict[str, tuple[RowData, ...]] = {
    "two roles of one resource": (replace(ROLE, id="orders-write", value="Orders.Write"),),
    "one role value at two resources": (
        ResourceRow(id="billing", audiences=("api://billing",)),
        AppRoleRow(id="billing-read", resource="billing", value=ROLE.value),
    ),
    "two daemons in one tenant": (replace(DAEMON, id="weekly", client_id=CLIENT_ID[:-1] + "f"),),
    "two OIDC issuers": (replace(OIDC, id="okta", issuer="https://okta.example"),),
    "an issuer that is nearly a cloud's": (
        replace(OIDC, id="nearly", issuer=f"https://logim.microsoftonline.com/{TID}/v2.0"),
    ),
    "an issuer that is a cloud's but for the GUID": (
        replace(OIDC, id="nearly", issuer="https://login.microsoftonline.com/common/v2.0"),
    ),
    "one tid in two clouds whose v1 issuers differ": (CHINA, replace(TENANT, id="cn", issuer="entra-cn")),
}


@pytest.mark.parametrize("name", FITTING)
def test_rows_that_fit_although_they_look_alike(name: str):
    """What is told apart by any of its parts is not refused as a duplicate."""
    check_references(check_row(row) for row in changed_policy({}, *FITTING[name]))


def test_of_two_issuers_one_iss_is_one_too_many():
    """Two OIDC issuers are told apart by their exact issuer, and by nothing else."""
    check_issuers(OIDC, replace(OIDC, id="other", issuer="https://okta.example"))
    with pytest.raises(PolicyError) as caught:
        check_issuers(replace(OIDC, id="again"), OIDC)

    assert (caught.value.code, caught.value.path) == ("issuer_duplicate", "issuer")


def test_clouds_may_share_a_v1_issuer():
    """The worldwide and the US Government cloud do; the Chinese has its own; two without any share nothing."""
    world, government, china = (check_row(row) for row in (CLOUD, GOVERNMENT, CHINA))
    without = check_row(replace(CLOUD, id="own", authority="https://login.example", jwks=KEYS))
    for each in (world, government, china, without):
        assert isinstance(each, IssuerRow)

    assert shares_v1_issuer(world, government)
    assert not shares_v1_issuer(world, china)
    assert not shares_v1_issuer(without, world)
    assert not shares_v1_issuer(without, without)


def test_a_tenant_and_its_twin_are_refused_by_name():
    """Of an OIDC issuer listed twice the refusal names the issuer: there is no tid to name."""
    twice = TenantRow(id="twice", issuer="keycloak", partner="contoso")
    with pytest.raises(PolicyError) as caught:
        check_references(check_row(row) for row in changed_policy({}, twice))

    assert caught.value.message == "keycloak is already taken by fabrikam"


def test_hosted_daemons_belong_to_a_listed_partner():
    """The daemon of a hosted tenant names a partner that is there."""
    daemon = DaemonRow(id="hosted-one", tenant="own", client_id=CLIENT_ID, partner="contoso")

    check_references(check_row(row) for row in changed_policy({}, daemon))


@pytest.mark.parametrize(
    "other",
    [{"issuer": "entra"}, {"app_role": "writers"}, {"claim": "groups"}, {"value": "w"}, {}],
    ids=["issuer", "role", "claim", "value", "none"],
)
def test_a_mapping_is_told_from_another_by_each_of_its_members(other: dict[str, Any]) -> None:
    """The same value of the same claim of the same issuer gives a role once; anything else is another mapping."""
    writers = replace(ROLE, id="writers", value="Orders.Write")
    again = replace(MAPPING, id="again", **other)
    rows = [check_row(row) for row in changed_policy({}, writers, again)]

    if other:
        check_references(rows)
        return
    with pytest.raises(PolicyError) as caught:
        check_references(rows)
    assert caught.value.code == "role_mapping_duplicate"


@pytest.mark.parametrize(
    ("text", "one"),
    [
        ("API://Orders", "API://Orders"),
        ("AAAAAAAA-0000-4000-8000-00000000000B", "aaaaaaaa-0000-4000-8000-00000000000b"),
        ("AAAAAAAA-0000-4000-8000-00000000000", "AAAAAAAA-0000-4000-8000-00000000000"),
        ("", ""),
    ],
)
def test_only_a_guid_has_one_spelling(text: str, one: str) -> None:
    """Other names are compared to the letter."""
    assert one_spelling(text) == one


@pytest.mark.parametrize(
    ("pasted", "kept"),
    [
        ("https://login.windows.net", "https://login.microsoftonline.com"),
        ("https://login.windows.net/login.windows.net", "https://login.microsoftonline.com/login.windows.net"),
    ],
)
def test_a_clouds_other_name_is_replaced_where_the_host_stands(pasted: str, kept: str) -> None:
    """Once: what follows the host is not its name."""
    row = check_row(replace(CLOUD, authority=pasted))

    assert isinstance(row, IssuerRow)
    assert row.authority == kept
