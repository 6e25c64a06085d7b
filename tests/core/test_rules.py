"""Rules for rows: what is filled in, what is refused, and with which code at which member."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tenantgate.core import rules
from tenantgate.core.fields import check_text
from tenantgate.core.policy import (
    CONSUMER_TENANT,
    AppRoleRow,
    DaemonRow,
    IssuerRow,
    PartnerRow,
    PolicyError,
    ReportOnly,
    RequiredClaim,
    ResourceRow,
    RoleAssignmentRow,
    RoleMappingRow,
    RowData,
    TenantRow,
)
from tenantgate.core.profiles.table import PROFILES
from tenantgate.core.references import check_daemon, check_profile
from tenantgate.core.resources import LONGEST_LIFETIME, check_resource
from tenantgate.core.rules import check_references, check_row
from tenantgate.core.strict import is_identity

TID = "11111111-2222-4333-8444-5555555555AB"
OTHER_TID = "99999999-2222-4333-8444-5555555555ab"
CLIENT_ID = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"

CLOUD = IssuerRow(id="entra", kind="entra", authority="https://login.microsoftonline.com")
GOVERNMENT = IssuerRow(id="entra-us", kind="entra", authority="https://login.microsoftonline.us")
OIDC = IssuerRow(id="keycloak", kind="oidc", issuer="https://id.fabrikam.example/realms/main")
PARTNER = PartnerRow(id="contoso", name="Contoso")
TENANT = TenantRow(id="contoso-entra", issuer="entra", partner="contoso", tid=TID)
HOSTED = TenantRow(id="own", issuer="entra", tid=OTHER_TID, hosted=True)
OIDC_TENANT = TenantRow(id="fabrikam", issuer="keycloak", partner="contoso")
DAEMON = DaemonRow(id="nightly", tenant="contoso-entra", client_id=CLIENT_ID)
OIDC_DAEMON = DaemonRow(id="sync", tenant="fabrikam", client_id="sync")
RESOURCE = ResourceRow(id="orders", audiences=("api://orders",), tenant_wide_roles=True)
ROLE = AppRoleRow(id="orders-read", resource="orders", value="Orders.Read")
GRANT = RoleAssignmentRow(id="nightly-read", app_role="orders-read", daemon="nightly")
WIDE = RoleAssignmentRow(id="all-read", app_role="orders-read", tenant="contoso-entra")
MAPPING = RoleMappingRow(
    id="readers", issuer="keycloak", claim="/realm_access/roles", value="r", app_role="orders-read"
)
POLICY = (CLOUD, OIDC, PARTNER, TENANT, HOSTED, OIDC_TENANT, DAEMON, RESOURCE, ROLE, GRANT, WIDE, MAPPING)

KEYS = {"keys": [{"kty": "OKP"}]}


def the_codes() -> set[str]:
    """The codes that the module's docstring promises."""
    return set(re.findall(r"`([a-z0-9]+(?:_[a-z0-9]+)+)`", rules.__doc__ or "")) - {"check_row", "check_tenant"}


def refused(row: RowData, **changed: Any) -> tuple[str, str]:
    """Code and path with which a row is refused, once changed."""
    with pytest.raises(PolicyError) as caught:
        check_row(replace(row, **changed))
    return caught.value.code, caught.value.path


def outcome(row: RowData) -> RowData | str:
    """The row as checked, or the code with which it is refused."""
    try:
        return check_row(row)
    except PolicyError as error:
        return error.code


UNSEEN = (
    "\u00ad", "\u061c", "\u200b", "\u200c", "\u200d", "\u200e", "\u200f", "\u2060", "\u2064", "\u206a", "\ufeff",
    "\ufff9", "\U000e0041", "\u2028", "\u2029", "\x85", "\x9b", "\ue000", "\U0010fffd", "\u115f", "\u3164", "\uffa0",
)  # fmt: skip
"""No name has one, for nobody sees it."""
NO_IDENTITY = ("ن\u200c", "👩\u200d", "\u0378")
"""What a name may have and no token's identity: a joiner, and a character that this Python does not know yet."""
ROWS: list[tuple[RowData, dict[str, Any], str, str]] = [
    (PARTNER, {"id": "Contoso"}, "id_malformed", "id"),
    (PARTNER, {"id": ""}, "id_malformed", "id"),
    (PARTNER, {"id": "a\n"}, "id_malformed", "id"),
    (PARTNER, {"id": "a" * 64}, "id_malformed", "id"),
    (PARTNER, {"name": ""}, "text_empty", "name"),
    (PARTNER, {"name": "x" * 201}, "text_too_long", "name"),
    (PARTNER, {"name": " Contoso"}, "text_not_allowed", "name"),
    (PARTNER, {"name": "Con\x00toso"}, "text_not_allowed", "name"),
    (PARTNER, {"name": "Con\ntoso"}, "text_not_allowed", "name"),
    (PARTNER, {"name": "Con\u202etoso"}, "text_not_allowed", "name"),
    (PARTNER, {"name": "Con\ud800toso"}, "text_not_allowed", "name"),
    (PARTNER, {"name": "Cafe\u0301"}, "text_not_normalised", "name"),
    (PARTNER, {"state": "expired"}, "value_unknown", "state"),
    (PARTNER, {"ends_at": -1}, "number_out_of_range", "ends_at"),
    (PARTNER, {"ends_at": 253_402_300_800}, "number_out_of_range", "ends_at"),
    (CLOUD, {"kind": "saml"}, "value_unknown", "kind"),
    (CLOUD, {"authority": None}, "member_missing", "authority"),
    (CLOUD, {"issuer": "https://x.example"}, "member_not_allowed", "issuer"),
    (CLOUD, {"client_id_claim": "cid"}, "member_not_allowed", "client_id_claim"),
    (CLOUD, {"authority": "http://login.example"}, "url_not_https", "authority"),
    (CLOUD, {"authority": "http://login.example", "insecure_allow_http": True}, "url_not_loopback", "authority"),
    (
        CLOUD,
        {"authority": "http://127.0.0.1.evil.example", "insecure_allow_http": True},
        "url_not_loopback",
        "authority",
    ),
    (CLOUD, {"authority": "https://login.microsoftonline.de"}, "authority_not_allowed", "authority"),
    (CLOUD, {"authority": "https://Login.example"}, "url_malformed", "authority"),
    (CLOUD, {"authority": "https://user@login.example"}, "url_malformed", "authority"),
    (CLOUD, {"authority": "https://login.example/?a=1"}, "url_malformed", "authority"),
    (CLOUD, {"authority": "https://login.example#a"}, "url_malformed", "authority"),
    (CLOUD, {"authority": "https://log\tin.example"}, "url_malformed", "authority"),
    (CLOUD, {"authority": "https://login.example:port"}, "url_malformed", "authority"),
    (CLOUD, {"authority": "https://[::1"}, "url_malformed", "authority"),
    (CLOUD, {"authority": "https://"}, "url_malformed", "authority"),
    (CLOUD, {"authority": "file:///etc/passwd"}, "url_malformed", "authority"),
    (CLOUD, {"authority": "https://lögin.example"}, "url_malformed", "authority"),
    (CLOUD, {"authority": "https://login.example/" + "a" * 512}, "url_malformed", "authority"),
    (CLOUD, {"v2_issuer": "https://login.example/v2.0"}, "template_malformed", "v2_issuer"),
    (CLOUD, {"v2_issuer": "https://login.example/{tenantid}/{tenantid}"}, "template_malformed", "v2_issuer"),
    (CLOUD, {"v1_issuer": "https://sts.example/{tenant}/"}, "template_malformed", "v1_issuer"),
    (CLOUD, {"v1_issuer": "https://{tenantid}.sts.example/"}, "template_malformed", "v1_issuer"),
    (CLOUD, {"v1_issuer": "https://login.microsoftonline.com/{tenantid}/v2.0"}, "template_malformed", "v1_issuer"),
    (CLOUD, {"v1_issuer": "http://sts.example/{tenantid}/"}, "url_not_https", "v1_issuer"),
    (CLOUD, {"metadata_url": "ftp://login.example/x"}, "url_not_https", "metadata_url"),
    (CLOUD, {"v1_metadata_url": "http://login.example/x"}, "url_not_https", "v1_metadata_url"),
    (CLOUD, {"jwks": {"keys": []}}, "jwks_malformed", "jwks"),
    (CLOUD, {"jwks": {}}, "jwks_malformed", "jwks"),
    (CLOUD, {"v1_jwks": {"keys": {}}}, "jwks_malformed", "v1_jwks"),
    (CLOUD, {"authority": "https://login.example", "v1_jwks": KEYS}, "member_not_allowed", "v1_jwks"),
    (CLOUD, {"jwks_hosts": ("keys.example", "ke ys")}, "host_malformed", "jwks_hosts[1]"),
    (CLOUD, {"jwks_hosts": ("https://keys.example",)}, "host_malformed", "jwks_hosts[0]"),
    (CLOUD, {"jwks_hosts": ("keys.example", "KEYS.example")}, "list_duplicate", "jwks_hosts[1]"),
    (CLOUD, {"algorithms": ("RS256", "HS256")}, "algorithm_not_allowed", "algorithms[1]"),
    (CLOUD, {"algorithms": ("none",)}, "algorithm_not_allowed", "algorithms[0]"),
    (CLOUD, {"token_types": ()}, "list_empty", "token_types"),
    (CLOUD, {"token_types": ("J W T",)}, "token_type_malformed", "token_types[0]"),
    (CLOUD, {"token_types": tuple(f"t{n}" for n in range(65))}, "list_too_long", "token_types"),
    (OIDC, {"issuer": None}, "member_missing", "issuer"),
    (OIDC, {"ca_bundle": "certificate"}, "ca_bundle_malformed", "ca_bundle"),
    (OIDC, {"ca_bundle": "-----BEGIN PRIVATE KEY-----"}, "ca_bundle_malformed", "ca_bundle"),
    (OIDC, {"ca_bundle": "x" * 262_145}, "ca_bundle_malformed", "ca_bundle"),
    (OIDC, {"proxy": "http://user:word@proxy.example"}, "proxy_malformed", "proxy"),
    (OIDC, {"proxy": "http://proxy.example", "insecure_allow_http": True}, "member_not_allowed", "proxy"),
    (OIDC, {"max_key_age": 60}, "number_out_of_range", "max_key_age"),
    (OIDC, {"distrusted_keys": ("a", "a")}, "list_duplicate", "distrusted_keys[1]"),
    (OIDC, {"authority": "https://x.example"}, "member_not_allowed", "authority"),
    (OIDC, {"v1_issuer": "https://x.example/{tenantid}/"}, "member_not_allowed", "v1_issuer"),
    (OIDC, {"v1_jwks": KEYS}, "member_not_allowed", "v1_jwks"),
    (OIDC, {"issuer": "https://id.example/?a"}, "url_malformed", "issuer"),
    (OIDC, {"metadata_url": "http://localhost/x"}, "url_not_https", "metadata_url"),
    (OIDC, {"client_id_claim": "a b"}, "text_not_allowed", "client_id_claim"),
    (OIDC, {"client_id_claim": "/kubernetes.io//uid"}, "pointer_malformed", "client_id_claim"),
    (OIDC, {"client_id_claim": "/a b"}, "text_not_allowed", "client_id_claim"),
    *(
        (OIDC, {"client_id_claim": claim}, "claim_not_allowed", "client_id_claim")
        for claim in ("email", "aud", "/a/UPN")
    ),
    *((OIDC, {"roles_claim": claim}, "claim_not_allowed", "roles_claim") for claim in ("preferred_username", "/aud/x")),
    (OIDC, {"roles_claim": "/realm~access"}, "pointer_malformed", "roles_claim"),
    (OIDC, {"roles_claim": ""}, "text_empty", "roles_claim"),
    (OIDC, {"profile": "keycloack"}, "value_unknown", "profile"),
    (OIDC, {"profile": ""}, "value_unknown", "profile"),
    (OIDC, {"profile": "rfc9068", "token_types": ("JWT",)}, "member_not_allowed", "token_types"),
    (CLOUD, {"profile": "keycloak"}, "member_not_allowed", "profile"),
    (CLOUD, {"roles_claim": "roles"}, "member_not_allowed", "roles_claim"),
    (CLOUD, {"subject_pin": False}, "member_not_allowed", "subject_pin"),
    (TENANT, {"issuer": "No"}, "id_malformed", "issuer"),
    (TENANT, {"tid": "1234"}, "guid_malformed", "tid"),
    (TENANT, {"tid": CONSUMER_TENANT.upper()}, "consumer_tenant", "tid"),
    (TENANT, {"partner": None}, "member_missing", "partner"),
    (TENANT, {"partner": "No"}, "id_malformed", "partner"),
    (TENANT, {"hosted": True}, "member_not_allowed", "partner"),
    (TENANT, {"state": "archived"}, "value_unknown", "state"),
    (DAEMON, {"tenant": "No"}, "id_malformed", "tenant"),
    (DAEMON, {"client_id": ""}, "text_empty", "client_id"),
    (DAEMON, {"client_id": "a b"}, "text_not_allowed", "client_id"),
    (DAEMON, {"oid": "x"}, "guid_malformed", "oid"),
    (DAEMON, {"subject": "x" * 257}, "text_too_long", "subject"),
    (DAEMON, {"partner": "No"}, "id_malformed", "partner"),
    (DAEMON, {"min_credential": "password"}, "value_unknown", "min_credential"),
    (RESOURCE, {"audiences": ()}, "list_empty", "audiences"),
    (RESOURCE, {"audiences": ("a", "a")}, "list_duplicate", "audiences[1]"),
    (RESOURCE, {"audiences": ("a", "")}, "text_empty", "audiences[1]"),
    (RESOURCE, {"audiences": (CLIENT_ID, CLIENT_ID.upper())}, "list_duplicate", "audiences[1]"),
    (RESOURCE, {"app_only": "lax"}, "value_unknown", "app_only"),
    (RESOURCE, {"token_roles": "believe"}, "value_unknown", "token_roles"),
    (RESOURCE, {"max_lifetime": 0}, "number_out_of_range", "max_lifetime"),
    (RESOURCE, {"max_lifetime": 32 * 86_400}, "number_out_of_range", "max_lifetime"),
    (RESOURCE, {"clock_skew": 601}, "number_out_of_range", "clock_skew"),
    (RESOURCE, {"issuers": ("entra", "No")}, "id_malformed", "issuers[1]"),
    (RESOURCE, {"issuers": ("entra", "entra")}, "list_duplicate", "issuers[1]"),
    (RESOURCE, {"clients": (CLIENT_ID, CLIENT_ID.upper())}, "list_duplicate", "clients[1]"),
    (RESOURCE, {"clients": ("a b",)}, "text_not_allowed", "clients[0]"),
    (RESOURCE, {"token_versions": ("2.0", "3.0")}, "value_unknown", "token_versions[1]"),
    (RESOURCE, {"token_versions": ("2.0", "2.0")}, "list_duplicate", "token_versions[1]"),
    *(
        (RESOURCE, {"addresses": ("192.0.2.0/24", value)}, "network_malformed", "addresses[1]")
        for value in (
            "::ffff:192.0.2.0/120",
            "::ffff:0:0/96",
            "fe80::%eth0/64",
            "192.0.2.1/24",
            "192.0.2",
            "host.example",
            "",
            "2001:db8::/129",
            "10.0.0.0/8 ",
            "010.0.0.0/8",
        )
    ),
    (RESOURCE, {"addresses": ("192.0.2.1", "192.0.2.1/32")}, "list_duplicate", "addresses[1]"),
    (RESOURCE, {"required_claims": (RequiredClaim(claim=""),)}, "text_empty", "required_claims[0].claim"),
    *(
        (RESOURCE, {"required_claims": (RequiredClaim(claim=value),)}, "pointer_malformed", "required_claims[0].claim")
        for value in ("/", "/a//b", "/a/", "/a~2b", "/a~", "/1/2/3/4/5/6/7/8/9")
    ),
    (RESOURCE, {"required_claims": (RequiredClaim(claim="a"),) * 2}, "list_duplicate", "required_claims[1]"),
    (
        RESOURCE,
        {"required_claims": (RequiredClaim(claim="a", match="one"),)},  # type: ignore[arg-type]
        "value_unknown",
        "required_claims[0].match",
    ),
    (
        RESOURCE,
        {"required_claims": (RequiredClaim(claim="a", values=("b", "b")),)},
        "list_duplicate",
        "required_claims[0].values[1]",
    ),
    (
        RESOURCE,
        {"required_claims": (RequiredClaim(claim="a", values=("b", "")),)},
        "text_empty",
        "required_claims[0].values[1]",
    ),
    *(
        (
            RESOURCE,
            {"required_claims": (RequiredClaim(claim="a", separator=value),)},
            "separator_malformed",
            "required_claims[0].separator",
        )
        for value in ("", "12345")
    ),
    (RESOURCE, {"report_only": (ReportOnly(rule="clients", until=-1),)}, "number_out_of_range", "report_only[0].until"),
    (
        RESOURCE,
        {"report_only": (ReportOnly(rule="clients", until=1), ReportOnly(rule="clients", until=2))},
        "list_duplicate",
        "report_only[1]",
    ),
    *(
        (
            RESOURCE,
            {"report_only": (ReportOnly(rule=value, until=1),)},  # type: ignore[arg-type]
            "value_unknown",
            "report_only[0].rule",
        )
        for value in ("signature", "audience", "expiry", "begin", "tenant", "partner", "daemon", "pin", "roles", "")
    ),
    (RESOURCE, {"signing_keys_appid": "orders"}, "guid_malformed", "signing_keys_appid"),
    *(
        (RESOURCE, {"token_header": value}, "header_malformed", "token_header")
        for value in (
            "",
            "X_Token",
            "X Token",
            "X-Token:",
            "-X",
            "X-",
            "Cookie",
            "Authorization",
            "HOST",
            "x-tg-partner",
            "T" * 65,
        )
    ),
    (RESOURCE, {"token_header": "X-Forwarded-For"}, "header_malformed", "token_header"),
    (RESOURCE, {"token_header": "Content-Type"}, "header_malformed", "token_header"),
    *(
        (RESOURCE, {"token_query": value}, "query_malformed", "token_query")
        for value in ("", "a b", "a&b", "a=b", "a%20b", "é", "x" * 65)
    ),
    *(
        (RESOURCE, {"token_scheme": value}, "scheme_malformed", "token_scheme")
        for value in ("", "Bearer ", "Be,arer", "1st", "x" * 33)
    ),
    (RESOURCE, {"token_header": "X-Token", "token_scheme": "Token"}, "member_not_allowed", "token_scheme"),
    *(
        (RESOURCE, {"failure_status": value}, "number_out_of_range", "failure_status")
        for value in (0, 200, 302, 400, 500, 503)
    ),
    *(
        (RESOURCE, {"failure_message": value}, "text_not_allowed", "failure_message")
        for value in ("", 'say "no"', "a\\b", "a\r\nX-TG-Partner: acme", "schön", "x" * 201)
    ),
    (ROLE, {"resource": "No"}, "id_malformed", "resource"),
    *(
        (ROLE, {"value": value}, "role_value_malformed", "value")
        for value in ("", "a b", "a,b", 'a"', "a\\", "é", "x" * 121)
    ),
    (GRANT, {"app_role": "No"}, "id_malformed", "app_role"),
    (GRANT, {"daemon": None}, "member_missing", "daemon"),
    (GRANT, {"tenant": "contoso-entra"}, "member_not_allowed", "tenant"),
    (WIDE, {"tenant": "No"}, "id_malformed", "tenant"),
    (GRANT, {"not_before": -1}, "number_out_of_range", "not_before"),
    (GRANT, {"not_before": 10, "expires_at": 10}, "window_empty", "expires_at"),
    (MAPPING, {"issuer": "No"}, "id_malformed", "issuer"),
    (MAPPING, {"app_role": "No"}, "id_malformed", "app_role"),
    (MAPPING, {"claim": "/realm_access//roles"}, "pointer_malformed", "claim"),
    (MAPPING, {"value": ""}, "text_empty", "value"),
    *(
        (MAPPING, {"claim": claim}, "claim_not_allowed", "claim")
        for claim in ("email", "/user/Name", "/cnf/jkt", "iss")
    ),
]


@pytest.mark.parametrize(("row", "changed", "code", "path"), ROWS)
def test_spoiled_row_is_refused_at_its_member(row: RowData, changed: dict[str, Any], code: str, path: str):
    """One spoiled member in a good row is refused with its code, naming the member."""
    assert refused(row, **changed) == (code, path)


@pytest.mark.parametrize(
    "name",
    [
        "شرکت\u200cها",
        "خانهٔ\u200cما",
        "র\u200d্যাব",
        "ක්\u200dෂ",
        "👩\u200d💻 GmbH",
        "👩🏽\u200d💻",
        "❤\ufe0f\u200d🔥",
        "日本",
        "A\u0378",
    ],
)
def test_a_name_is_written_as_its_script_writes_it(name: str):
    """Joiners where they join something; and what a newer Unicode may have made a letter."""
    assert check_row(replace(PARTNER, name=name)) == replace(PARTNER, name=name)


def test_what_is_listed_can_be_in_a_token():
    """Of each character: a client id or subject with it is refused, or may identify somebody."""
    for code in (*range(0x3100), *range(0xFE00, 0xFFFE), *range(0xE0000, 0xE0200), *range(0x1F3FB, 0x1F500)):
        text = f"a{chr(code)}b"
        for member in ("client_id", "subject"):
            try:
                check_row(replace(OIDC_DAEMON, **{member: text}))
            except PolicyError:
                continue
            assert is_identity(text), (member, ascii(text))


HIDDEN: list[tuple[RowData, str, str | tuple[str, ...]]] = [
    *((PARTNER, "name", f"Con{each}toso") for each in UNSEEN),
    *((PARTNER, "name", text) for text in ("\u3164", "\u200d", "Ω\u200d", "ن\u200c\u200c")),
    *((DAEMON, "client_id", f"svc{each}") for each in UNSEEN + NO_IDENTITY),
    *((DAEMON, "subject", f"s{each} vc") for each in UNSEEN + NO_IDENTITY),
    *((RESOURCE, "clients", (f"s{each}vc",)) for each in UNSEEN + NO_IDENTITY),
]


@pytest.mark.parametrize(("row", "member", "value"), HIDDEN, ids=lambda each: ascii(each) if type(each) is str else "")
def test_what_nobody_sees_is_refused(row: RowData, member: str, value: str | tuple[str, ...]):
    """Two partners of one name, or a daemon that no token can be."""
    path = member if type(value) is str else f"{member}[0]"
    assert refused(row, **{member: value}) == ("text_not_allowed", path)


@pytest.mark.parametrize("row", POLICY, ids=lambda row: row.id)
def test_checking_twice_changes_nothing(row: RowData):
    """A row that was checked is in its final form."""
    once = check_row(row)

    assert check_row(once) == once


def test_cloud_knows_its_addresses():
    """An Entra cloud needs its authority only; templates and metadata addresses follow from it."""
    row = check_row(replace(CLOUD, authority="https://login.microsoftonline.com/"))

    assert row == replace(
        CLOUD,
        v2_issuer="https://login.microsoftonline.com/{tenantid}/v2.0",
        v1_issuer="https://sts.windows.net/{tenantid}/",
        metadata_url="https://login.microsoftonline.com/organizations/v2.0/.well-known/openid-configuration",
        v1_metadata_url="https://login.microsoftonline.com/organizations/.well-known/openid-configuration",
    )


@pytest.mark.parametrize(
    ("authority", "v1_issuer"),
    [
        ("https://login.microsoftonline.us", "https://sts.windows.net/{tenantid}/"),
        ("https://login.partner.microsoftonline.cn", "https://sts.chinacloudapi.cn/{tenantid}/"),
        ("https://login.example", None),
    ],
)
def test_v1_issuer_is_known_for_known_clouds_only(authority: str, v1_issuer: str | None):
    """The v1 issuer of a cloud nobody knows must be written down; without one there is no v1 metadata."""
    row = check_row(IssuerRow(id="cloud", kind="entra", authority=authority))

    assert isinstance(row, IssuerRow)
    assert row.v1_issuer == v1_issuer
    assert (row.v1_metadata_url is None) == (v1_issuer is None)


@pytest.mark.parametrize("row", [CLOUD, OIDC], ids=lambda row: row.id)
def test_given_keys_mean_nothing_is_fetched(row: IssuerRow):
    """An issuer whose keys stand in the policy gets no metadata address by default."""
    checked = check_row(replace(row, jwks=KEYS))

    assert isinstance(checked, IssuerRow)
    assert (checked.metadata_url, checked.v1_metadata_url) == (None, None)


def test_oidc_issuer_stays_exactly_as_written():
    """The issuer is compared with `iss` letter by letter: only the metadata address is derived from it."""
    row = check_row(replace(OIDC, issuer="https://id.fabrikam.example/"))

    assert isinstance(row, IssuerRow)
    assert row.issuer == "https://id.fabrikam.example/"
    assert row.metadata_url == "https://id.fabrikam.example/.well-known/openid-configuration"


@pytest.mark.parametrize(
    ("listed", "kept"),
    [
        (("JWT", "at+jwt"), ("at+jwt",)),
        (("AT+JWT",), ("AT+JWT",)),
        (("application/at+jwt", "dpop+jwt"), ("application/at+jwt",)),
    ],
)
def test_a_profile_narrows_what_typ_may_be(listed: tuple[str, ...], kept: tuple[str, ...]):
    """Of the listed types only those remain that the profile takes: a list can never widen it."""
    row = check_row(replace(OIDC, profile="rfc9068", token_types=listed))

    assert isinstance(row, IssuerRow)
    assert row.token_types == kept
    assert check_row(row) == row


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1:8080", "[::1]:8080"])
def test_http_is_for_this_machine(host: str):
    """An issuer that says so may use plain http on loopback."""
    assert check_row(IssuerRow(id="dev", kind="oidc", issuer=f"http://{host}/x", insecure_allow_http=True))


def test_guids_are_kept_in_lower_case():
    """tid and oid have one spelling: they are Entra's alone."""
    tenant = check_row(TENANT)
    daemon = check_row(replace(DAEMON, oid=TID))

    assert isinstance(tenant, TenantRow)
    assert isinstance(daemon, DaemonRow)
    assert (tenant.tid, daemon.oid) == (TID.lower(), TID.lower())


def test_rules_of_a_resource_are_kept_in_their_usual_form():
    """The key's application in lower case, networks as CIDR writes them, names to the letter."""
    row = check_resource(
        replace(
            RESOURCE,
            audiences=(TID, "api://" + TID),
            clients=(CLIENT_ID.upper(), "Globex-Sync"),
            signing_keys_appid=CLIENT_ID.upper(),
            addresses=("192.0.2.7", "198.51.100.0/255.255.255.0", "2001:DB8:0::/48"),
        )
    )

    assert row.audiences == (TID, "api://" + TID)
    assert row.clients == (CLIENT_ID.upper(), "Globex-Sync")
    assert row.signing_keys_appid == CLIENT_ID
    assert row.addresses == ("192.0.2.7/32", "198.51.100.0/24", "2001:db8::/48")


def test_every_rule_of_a_resource_may_be_used_at_once():
    """The longest, widest and oddest values that are allowed are allowed together."""
    claims = (
        RequiredClaim(claim="roles", values=("Orders.Read", "Orders.Write"), match="any"),
        RequiredClaim(claim="/kubernetes.io/service~1account~0", values=("a b",)),
        RequiredClaim(claim="scp", values=("read",), separator=" "),
        RequiredClaim(claim="xms_cc"),
    )
    row = replace(
        RESOURCE,
        issuers=("entra", "keycloak"),
        token_versions=("1.0", "2.0"),
        required_claims=claims,
        report_only=(ReportOnly(rule="addresses", until=253_402_300_799), ReportOnly(rule="clients", until=0)),
        max_lifetime=LONGEST_LIFETIME,
        token_query="access_token",
        token_scheme="Token",
        failure_status=499,
        failure_message="x" * 200,
    )

    assert check_resource(row) == row


def test_client_id_is_a_guid_in_entra_only():
    """Entra's client id is kept in lower case; another issuer's is compared letter by letter."""
    spelled = replace(DAEMON, client_id=CLIENT_ID.upper())

    assert check_daemon(spelled, TENANT).client_id == CLIENT_ID
    assert check_daemon(spelled, OIDC_TENANT).client_id == CLIENT_ID.upper()


def test_several_lines_only_where_allowed():
    """A note may have lines and tabs, and no other control character."""
    check_text("one\n\ttwo", "notes", lines=True)
    with pytest.raises(PolicyError):
        check_text("one\rtwo", "notes", lines=True)


@given(st.text(max_size=300))
def test_any_name_is_kept_whole_or_refused(name: str):
    """Whatever a name holds, it is kept as it is or refused with a code; never changed, never a crash."""
    row = replace(PARTNER, name=name)
    result = outcome(row)

    assert result == row or (isinstance(result, str) and result.startswith("text_"))


@given(st.text(max_size=80))
def test_any_address_is_taken_or_refused(address: str):
    """Whatever stands where an address belongs, the answer is a row or a code."""
    result = outcome(replace(OIDC, issuer="https://" + address))

    assert result == "url_malformed" or isinstance(result, IssuerRow)


def test_whole_policy_fits_together():
    """A policy whose rows fit is passed."""
    check_references(POLICY)


def changed_policy(changes: dict[str, dict[str, Any] | None], *more: RowData) -> list[RowData]:
    """The policy with some rows changed by id, left out (None), or added."""
    kept = [row for row in POLICY if changes.get(row.id, {}) is not None]
    return [replace(row, **(changes.get(row.id) or {})) for row in kept] + list(more)


WHOLE: list[tuple[dict[str, dict[str, Any] | None], tuple[RowData, ...], str, str]] = [
    ({}, (PARTNER,), "id_duplicate", "partners[1].id"),
    ({"keycloak": None}, (), "reference_unknown", "tenants[2].issuer"),
    ({"contoso": None}, (), "reference_unknown", "tenants[0].partner"),
    ({"nightly": {"tenant": "nobody"}}, (), "reference_unknown", "daemons[0].tenant"),
    ({"nightly": {"tenant": "own", "partner": "nobody"}}, (), "reference_unknown", "daemons[0].partner"),
    ({"orders-read": {"resource": "nothing"}}, (), "reference_unknown", "app_roles[0].resource"),
    ({"nightly-read": {"app_role": "nothing"}}, (), "reference_unknown", "role_assignments[0].app_role"),
    ({"nightly-read": {"daemon": "nobody"}}, (), "reference_unknown", "role_assignments[0].daemon"),
    ({"all-read": {"tenant": "nobody"}}, (), "reference_unknown", "role_assignments[1].tenant"),
    ({}, (replace(CLOUD, id="again"),), "issuer_duplicate", "issuers[2].authority"),
    ({}, (replace(OIDC, id="again"),), "issuer_duplicate", "issuers[2].issuer"),
    (
        {},
        (replace(GOVERNMENT, v2_issuer="https://login.microsoftonline.com/{tenantid}/v2.0"),),
        "issuer_duplicate",
        "issuers[2].v2_issuer",
    ),
    (
        {},
        (replace(GOVERNMENT, v1_issuer="https://login.microsoftonline.com/{tenantid}/v2.0"),),
        "issuer_duplicate",
        "issuers[2].v1_issuer",
    ),
    (
        {},
        (replace(OIDC, id="one", issuer=f"https://login.microsoftonline.com/{TID}/v2.0"),),
        "issuer_duplicate",
        "issuers[2].issuer",
    ),
    (
        {"keycloak": {"issuer": f"https://login.microsoftonline.us/{TID}/v2.0"}},
        (GOVERNMENT,),
        "issuer_duplicate",
        "issuers[2].authority",
    ),
    ({"contoso-entra": {"tid": None}}, (), "member_missing", "tenants[0].tid"),
    ({"fabrikam": {"tid": TID}}, (), "member_not_allowed", "tenants[2].tid"),
    ({}, (replace(TENANT, id="twice", tid=TID.lower()),), "tenant_duplicate", "tenants[3].tid"),
    ({}, (replace(OIDC_TENANT, id="twice"),), "tenant_duplicate", "tenants[3].issuer"),
    ({}, (GOVERNMENT, replace(TENANT, id="us", issuer="entra-us")), "v1_issuer_shared", "tenants[3].tid"),
    ({}, (replace(DAEMON, id="twice", client_id=CLIENT_ID.upper()),), "client_id_duplicate", "daemons[1].client_id"),
    ({"nightly": {"client_id": "worker"}}, (), "guid_malformed", "daemons[0].client_id"),
    ({"nightly": {"subject": "me"}}, (), "member_not_allowed", "daemons[0].subject"),
    ({"keycloak": {"subject_pin": True}}, (OIDC_DAEMON,), "member_missing", "daemons[1].subject"),
    ({"keycloak": {"profile": "google"}}, (OIDC_DAEMON,), "client_id_malformed", "daemons[1].client_id"),
    ({"nightly": {"tenant": "fabrikam", "oid": TID}}, (), "member_not_allowed", "daemons[0].oid"),
    ({"nightly": {"partner": "contoso"}}, (), "member_not_allowed", "daemons[0].partner"),
    ({"nightly": {"tenant": "own"}}, (), "member_missing", "daemons[0].partner"),
    ({}, (replace(ROLE, id="twice"),), "role_value_duplicate", "app_roles[1].value"),
    ({}, (ResourceRow(id="more", audiences=("x", "api://orders")),), "audience_overlap", "resources[1].audiences[1]"),
    (
        {"orders": {"audiences": (TID,)}},
        (ResourceRow(id="more", audiences=(TID.lower(),)),),
        "audience_overlap",
        "resources[1].audiences[0]",
    ),
    ({"orders": {"tenant_wide_roles": False}}, (), "tenant_wide_not_allowed", "role_assignments[1].tenant"),
    ({"all-read": {"tenant": "own"}}, (), "tenant_wide_not_allowed", "role_assignments[1].tenant"),
    ({"orders": {"issuers": ("entra", "nothing")}}, (), "reference_unknown", "resources[0].issuers[1]"),
    ({"readers": {"issuer": "nothing"}}, (), "reference_unknown", "role_mappings[0].issuer"),
    ({"readers": {"app_role": "nothing"}}, (), "reference_unknown", "role_mappings[0].app_role"),
    ({}, (replace(MAPPING, id="twice"),), "role_mapping_duplicate", "role_mappings[1].value"),
]


@pytest.mark.parametrize(("changes", "more", "code", "path"), WHOLE)
def test_rows_that_do_not_fit_are_refused(changes: dict[str, Any], more: tuple[RowData, ...], code: str, path: str):
    """Rows that are good alone and wrong together are refused, naming place and member."""
    rows = [check_row(row) for row in changed_policy(changes, *more)]

    with pytest.raises(PolicyError) as caught:
        check_references(rows)

    assert (caught.value.code, caught.value.path) == (code, path)


def test_one_tid_may_be_listed_in_two_clouds_if_active_in_one():
    """Moving a tenant between clouds that share a v1 issuer is possible: only two active ones are ambiguous."""
    moved = replace(TENANT, id="us", issuer="entra-us", state="suspended")

    check_references(check_row(row) for row in changed_policy({}, GOVERNMENT, moved))


def test_hosted_tenants_daemons_name_their_partner():
    """In the publisher's own tenant each daemon says whose it is."""
    check_references(
        check_row(row) for row in changed_policy({}, replace(DAEMON, id="hosted-one", tenant="own", partner="contoso"))
    )


OWNED, GUID = "65/74", "eeeeeeee-0000-4000-8000-000000000005"

FITTING = [
    ("standard", "anything at all", None),
    ("rfc9068", "sync", None),
    ("keycloak", "sync", None),
    ("okta", "0oa1sync", None),
    ("auth0", "sync", None),
    ("cognito", "sync", None),
    ("google", "104400000000000000001", None),
    ("github_actions", OWNED, "repo:acme/sync:ref:refs/heads/main"),
    ("kubernetes", GUID, None),
]


@pytest.mark.parametrize(("profile", "client_id", "subject"), FITTING)
def test_a_daemon_as_its_profile_wants_it(profile: str, client_id: str, subject: str | None):
    """Each profile takes the client ids its tokens carry, and a pin where it asks for one."""
    daemon = replace(OIDC_DAEMON, client_id=client_id, subject=subject)

    check_profile(daemon, replace(OIDC, profile=profile))


def test_every_profile_has_its_form_of_client_id():
    """No profile is left out above."""
    assert {profile for profile, _, _ in FITTING} == set(PROFILES)


@pytest.mark.parametrize(
    ("profile", "client_id"),
    [
        ("google", "nightly@acme.iam.gserviceaccount.com"),
        ("google", "0104400000000000000"),
        ("google", "١٢٣"),
        ("google", "1" * 31),
        ("google", "104400000000000000001\n"),
        ("github_actions", "74"),
        ("github_actions", "acme/sync"),
        ("github_actions", "65/74/1"),
        ("github_actions", "65/074"),
        ("kubernetes", "orders:sync"),
        ("kubernetes", GUID.upper()),
        ("kubernetes", GUID + " "),
    ],
)
def test_a_client_id_no_token_could_carry_is_refused(profile: str, client_id: str):
    """Names where numbers belong, and other spellings: listed, they would never let anybody in."""
    with pytest.raises(PolicyError) as caught:
        check_profile(replace(OIDC_DAEMON, client_id=client_id, subject="x"), replace(OIDC, profile=profile))

    assert (caught.value.code, caught.value.path) == ("client_id_malformed", "client_id")
    assert f"profile {profile}" in caught.value.message


def test_a_row_may_say_otherwise_than_its_profile():
    """With a client claim of its own the issuer's ids are free text; with `subject_pin` it decides about pins."""
    github = replace(OIDC, profile="github_actions")

    check_profile(OIDC_DAEMON, replace(github, client_id_claim="/repository", subject_pin=False))
    with pytest.raises(PolicyError):
        check_profile(OIDC_DAEMON, replace(github, client_id_claim="/repository"))
    with pytest.raises(PolicyError):
        check_profile(OIDC_DAEMON, replace(github, subject_pin=False))


def test_an_entra_daemon_has_no_profile():
    """What is said of other issuers' daemons is not asked of Entra's."""
    check_profile(DAEMON, CLOUD)


def test_every_code_is_promised_and_tested():
    """The codes of the docstring are exactly those that these tests see."""
    assert the_codes() == {case[2] for case in ROWS} | {case[2] for case in WHOLE}


@pytest.mark.parametrize(
    "tail", ["common", "organizations", "Consumers", "bbbbbbbb-0000-4000-8000-000000000002", "common/v2.0"]
)
def test_an_authority_with_a_tenant_is_refused(tail: str):
    """Pasted with a tenant, an authority would name an issuer that no token has: it is refused at once."""
    with pytest.raises(PolicyError) as raised:
        check_row(IssuerRow(id="cloud", kind="entra", authority=f"https://login.microsoftonline.com/{tail}"))
    assert (raised.value.code, raised.value.path) == ("url_malformed", "authority")
