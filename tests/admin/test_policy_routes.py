"""The aggregates of the policy over HTTP: make, show, list, change, and every way to be refused."""

from __future__ import annotations

from typing import Any

import pytest

from tenantgate.registry import instances, issuer_health
from tenantgate.registry.engine import writing
from tenantgate.registry.instances import InstanceSpec
from tests.admin.world import V1, Api
from tests.registry.builders import CLIENT_ID, NOW, TID

RULES: dict[str, Any] = {
    "app_only": "compatible",
    "agent_identities": True,
    "token_roles": "intersect",
    "tenant_wide_roles": True,
    "min_credential": "certificate",
    "clock_skew": 0,
    "issuers": ["entra"],
    "clients": ["globex-sync", CLIENT_ID],
    "token_versions": ["2.0"],
    "required_claims": [
        {"claim": "roles", "values": ["Orders.Read", "Orders.Write"], "match": "any", "separator": None},
        {"claim": "/realm_access/scope", "values": ["read"], "match": "all", "separator": " "},
        {"claim": "uti", "values": [], "match": "all", "separator": None},
    ],
    "addresses": ["192.0.2.0/24", "2001:db8::/48"],
    "report_only": [{"rule": "addresses", "until": "2031-01-31T00:00:00Z"}],
    "signing_keys_appid": CLIENT_ID,
    "token_query": "access_token",
    "token_scheme": "Token",
    "failure_status": 404,
    "failure_message": "Ask orders@publisher.example.",
    "show_reasons": True,
}
"""Another value for each rule, as it stands in a body and in the answer."""
UNRULED: dict[str, Any] = {
    "app_only": "strict",
    "agent_identities": False,
    "token_roles": "ignore",
    "tenant_wide_roles": False,
    "min_credential": "none",
    "clock_skew": 60,
    **{name: [] for name in RULES if isinstance(RULES[name], list)},
    **dict.fromkeys(("signing_keys_appid", "token_query", "failure_status", "failure_message")),
    "token_scheme": "Bearer",
    "show_reasons": False,
}
"""What each is where nothing was said."""

NEW: dict[str, dict[str, Any]] = {
    "issuers": {"id": "new", "kind": "oidc", "issuer": "https://id.fabrikam.example/realms/main"},
    "partners": {
        "id": "new",
        "name": "Fabrikam",
        "state": "invited",
        "contacts": ["it@fabrikam.example"],
        "notes": "a\nb",
    },
    "tenants": {"id": "new", "issuer": "entra", "hosted": True, "tid": "99999999-2222-4333-8444-555555555555"},
    "daemons": {
        "id": "new",
        "tenant": "contoso-entra",
        "client_id": "99999999-bbbb-4ccc-8ddd-eeeeeeeeeeee",
        "min_credential": "certificate",
    },
    "resources": {"id": "new", "audiences": ["api://stock", "https://stock.example"], "max_lifetime": 3600} | RULES,
    "app-roles": {"id": "new", "resource": "orders", "value": "Orders.Write", "display_name": "Write orders"},
    "role-assignments": {
        "id": "new",
        "app_role": "orders-read",
        "tenant": None,
        "daemon": "second",
        "not_before": "2030-01-01T00:00:00Z",
        "expires_at": "2031-01-31T00:00:00Z",
        "reason": "contract 4711",
    },
    "role-mappings": {
        "id": "new",
        "issuer": "entra",
        "claim": "/realm_access/roles",
        "value": "reader",
        "app_role": "orders-read",
    },
    "operators": {"id": "new", "name": "Grace", "role": "Viewer"},
}
"""What each resource can be made of, beside what is there."""

POLICY = [name for name in NEW if name != "operators"]


@pytest.fixture(autouse=True)
def second_daemon(api: Api) -> None:
    """A daemon that has no role yet."""
    api.make("/daemons", id="second", tenant="contoso-entra", client_id="22222222-bbbb-4ccc-8ddd-eeeeeeeeeeee")


@pytest.mark.parametrize("name", NEW)
def test_what_is_made_can_be_read_again(api: Api, name: str):
    """201 says where it is; there it is the same, with what was sent in it, who made it and when."""
    answer = api.ask("POST", f"/{name}", json=NEW[name])
    made = answer.json()
    assert (answer.status_code, answer.headers["Location"]) == (201, f"{V1}/{name}/new")
    assert NEW[name].items() <= made.items()
    assert (made["created_by"], made["created_at"], made["version"]) == ("an-admin", "2027-01-15T08:00:00Z", 1)
    made.pop("warnings", None)  # of a grant: said once
    assert api.get(f"/{name}/new") == made
    assert made in api.get(f"/{name}")["items"]


@pytest.mark.parametrize("name", NEW)
def test_the_revision_is_told_where_the_policy_changed(api: Api, name: str):
    """A change of the policy answers with its revision; who administers is no policy."""
    before = api.get("/policy")["revision"]
    answer = api.ask("POST", f"/{name}", json=NEW[name])
    if name in POLICY:
        assert int(answer.headers["X-TG-Revision"]) == api.get("/policy")["revision"] == before + 1
    else:
        assert "X-TG-Revision" not in answer.headers
        assert api.get("/policy")["revision"] == before


@pytest.mark.parametrize("name", NEW)
def test_an_id_is_made_up_where_none_is_given(api: Api, name: str):
    """Left out or null, the id is a new one that says what it is of."""
    body = {key: value for key, value in NEW[name].items() if key != "id"}
    made = api.make(f"/{name}", **body)
    assert len(made["id"]) > 16
    made.pop("warnings", None)
    assert api.get(f"/{name}/{made['id']}") == made


@pytest.mark.parametrize("name", NEW)
def test_an_id_is_given_once(api: Api, name: str):
    """The second thing of one id is a conflict that names the first."""
    api.make(f"/{name}", **NEW[name])
    problem = api.refused("POST", f"/{name}", json=NEW[name])
    assert (problem["status"], problem["code"], problem["holder"]) == (409, "id_duplicate", "new")


@pytest.mark.parametrize("name", [*NEW, "admin-keys", "instances"])
def test_what_is_not_there_is_not_found(api: Api, name: str):
    """404 with the code of its kind, whatever stands in its place."""
    kind = name.replace("-", "_").removesuffix("s")
    for id_ in ("nobody", "Contoso", "contoso%20", "%00", "%2e%2e", "..;", "'", "%F0%9F%92%A9", "%FF", "x" * 256):
        problem = api.refused("GET", f"/{name}/{id_}")
        assert (problem["status"], problem["code"]) == (404, f"{kind}_not_found"), id_
    assert api.refused("GET", f"/{name}/{'x' * 257}")["status"] == 422


@pytest.mark.parametrize(
    "path",
    [
        "/partners/{id}/suspend",
        "/partners/{id}/activate",
        "/partners/{id}/archive",
        "/tenants/{id}/suspend",
        "/tenants/{id}/activate",
        "/daemons/{id}/suspend",
        "/daemons/{id}/activate",
        "/role-assignments/{id}/revoke",
        "/role-mappings/{id}/delete",
        "/operators/{id}/suspend",
        "/operators/{id}/activate",
        "/admin-keys/{id}/revoke",
    ],
)
def test_what_is_not_there_cannot_be_changed(api: Api, path: str):
    """Changing nobody is a 404 and no revision."""
    before = api.get("/policy")
    assert api.refused("POST", path.replace("{id}", "nobody"))["code"].endswith("_not_found")
    assert api.get("/policy") == before


@pytest.mark.parametrize(
    ("name", "id_"), [("partners", "contoso"), ("tenants", "contoso-entra"), ("daemons", "nightly")]
)
def test_a_suspension_and_its_end(api: Api, name: str, id_: str):
    """Suspended, then active again: state, version and revision follow; twice the same is a conflict."""
    for place, (step, state) in enumerate((("suspend", "suspended"), ("activate", "active")), 2):
        answer = api.ask("POST", f"/{name}/{id_}/{step}")
        assert (answer.json()["state"], answer.json()["version"]) == (state, place)
        assert int(answer.headers["X-TG-Revision"]) == api.get("/policy")["revision"]
        assert api.get(f"/{name}/{id_}") == answer.json()
        assert api.refused("POST", f"/{name}/{id_}/{step}")["code"] == "state_unchanged"


def test_an_archived_partner_stays_so(api: Api):
    """Archiving is the end: nothing comes back and nothing new is listed."""
    assert api.change("/partners/contoso/archive")["state"] == "archived"
    refusals = [
        ("/partners/contoso/activate", None),
        ("/partners/contoso/suspend", None),
        ("/daemons", NEW["daemons"]),
        ("/tenants", NEW["tenants"] | {"hosted": False, "partner": "contoso"}),
    ]
    for path, body in refusals:
        problem = api.refused("POST", path, json=body) if body else api.refused("POST", path)
        assert (problem["status"], problem["code"]) == (409, "partner_archived"), path


def test_a_role_taken_back_is_gone(api: Api):
    """The answer shows what it was; after that it is not there, and may be granted again."""
    was = api.get("/role-assignments/nightly-read")
    assert api.change("/role-assignments/nightly-read/revoke") == was
    assert api.refused("GET", "/role-assignments/nightly-read")["code"] == "role_assignment_not_found"
    assert api.refused("POST", "/role-assignments/nightly-read/revoke")["status"] == 404
    api.make("/role-assignments", app_role="orders-read", daemon="nightly")


def test_a_mapping_deleted_is_gone(api: Api):
    """The answer shows what it was; after that it is not there, and may be made again."""
    made = api.make("/role-mappings", **NEW["role-mappings"])
    assert api.change("/role-mappings/new/delete") == made
    assert api.refused("GET", "/role-mappings/new")["code"] == "role_mapping_not_found"
    assert api.refused("POST", "/role-mappings/new/delete")["status"] == 404
    api.make("/role-mappings", **NEW["role-mappings"])


def change_of_orders(api: Api, **members: Any) -> Any:
    """Change the resource `orders`: the answer."""
    answer = api.ask("PATCH", "/resources/orders", json=members)
    assert answer.status_code == 200, answer.text
    return answer


@pytest.mark.parametrize("member", RULES)
def test_one_rule_is_changed_and_no_other(api: Api, member: str):
    """The answer has the new value and all the others as they were; the next GET says the same."""
    before = api.get("/resources/orders")
    answer = change_of_orders(api, **{member: RULES[member]})

    assert answer.json() == before | {member: RULES[member], "updated_at": before["updated_at"], "version": 2}
    assert int(answer.headers["X-TG-Revision"]) == api.get("/policy")["revision"]
    assert api.get("/resources/orders") == answer.json()


def test_rules_are_taken_back(api: Api):
    """Null and an empty list unset; what is so already makes no revision."""
    change_of_orders(api, **RULES)
    found = change_of_orders(api, **UNRULED)
    assert UNRULED.items() <= found.json().items()
    revision = api.get("/policy")["revision"]
    for members in (UNRULED, {}):
        answer = change_of_orders(api, **members)
        assert "X-TG-Revision" not in answer.headers
        assert answer.json() == found.json()
    assert api.get("/policy")["revision"] == revision


@pytest.mark.parametrize(
    ("members", "code", "field"),
    [
        ({"id": "other"}, "member_unknown", "id"),
        ({"version": 7}, "member_unknown", "version"),
        ({"created_by": "me"}, "member_unknown", "created_by"),
        ({"clock_skew": None}, "type_wrong", "clock_skew"),
        ({"clock_skew": "60"}, "type_wrong", "clock_skew"),
        ({"issuers": None}, "type_wrong", "issuers"),
        ({"audiences": "api://orders"}, "type_wrong", "audiences"),
        ({"token_scheme": None}, "type_wrong", "token_scheme"),
        ({"tenant_wide_roles": 1}, "type_wrong", "tenant_wide_roles"),
        ({"required_claims": ["roles"]}, "type_wrong", "required_claims[0]"),
        ({"required_claims": [{}]}, "member_missing", "required_claims[0].claim"),
        ({"required_claims": [{"claim": "a", "value": "b"}]}, "member_unknown", "required_claims[0].value"),
        ({"required_claims": [{"claim": "a", "match": "one"}]}, "value_unknown", "required_claims[0].match"),
        ({"report_only": [{"rule": "addresses"}]}, "member_missing", "report_only[0].until"),
        (
            {"report_only": [{"rule": "signature", "until": "2031-01-31T00:00:00Z"}]},
            "value_unknown",
            "report_only[0].rule",
        ),
        (
            {"report_only": [{"rule": "addresses", "until": 1_900_000_000}]},
            "timestamp_malformed",
            "report_only[0].until",
        ),
        ({"token_versions": ["3.0"]}, "value_unknown", "token_versions[0]"),
    ],
)
def test_a_change_is_read_as_strictly_as_a_new_resource(api: Api, members: dict[str, Any], code: str, field: str):
    """No member of another type, none that does not exist, none that only the server sets."""
    problem = api.refused("PATCH", "/resources/orders", json=members)
    assert (problem["status"], problem["code"]) == (422, "request_invalid")
    assert [(each["field"], each["code"]) for each in problem["errors"]] == [(field, code)]
    assert api.get("/resources/orders")["version"] == 1


def test_tenant_wide_roles_cannot_be_switched_off_while_given(api: Api):
    """The conflict names the assignment that stands in the way."""
    change_of_orders(api, tenant_wide_roles=True)
    api.make("/role-assignments", id="all", app_role="orders-read", tenant="contoso-entra")
    problem = api.refused("PATCH", "/resources/orders", json={"tenant_wide_roles": False})
    assert (problem["status"], problem["code"], problem["holder"]) == (409, "tenant_wide_in_use", "all")


def test_changing_a_resource_that_is_not_there(api: Api):
    """404, and no revision."""
    before = api.get("/policy")
    assert api.refused("PATCH", "/resources/nobody", json={"clock_skew": 1})["code"] == "resource_not_found"
    assert api.get("/policy") == before


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "field"),
    [
        ("/issuers", {"kind": "oidc"}, 422, "member_missing", "issuer"),
        ("/issuers", {"kind": "oidc", "issuer": "http://id.example"}, 422, "url_not_https", "issuer"),
        (
            "/issuers",
            {"kind": "entra", "authority": "https://login.microsoftonline.com"},
            409,
            "issuer_duplicate",
            None,
        ),
        ("/issuers", {"kind": "saml"}, 422, "request_invalid", "kind"),
        ("/issuers", NEW["issuers"] | {"ca_bundle": "x"}, 422, "ca_bundle_malformed", "ca_bundle"),
        ("/issuers", NEW["issuers"] | {"proxy": "http://a:b@proxy.example"}, 422, "proxy_malformed", "proxy"),
        ("/issuers", NEW["issuers"] | {"max_key_age": 60}, 422, "number_out_of_range", "max_key_age"),
        ("/issuers", NEW["issuers"] | {"distrusted_keys": ["a", "a"]}, 422, "list_duplicate", "distrusted_keys[1]"),
        ("/issuers", NEW["issuers"] | {"algorithms": ["HS256"]}, 422, "algorithm_not_allowed", "algorithms[0]"),
        ("/issuers", NEW["issuers"] | {"jwks": {"keys": []}}, 422, "jwks_malformed", "jwks"),
        ("/issuers", NEW["issuers"] | {"jwks": {"keys": [{"kty": "oct", "k": "AA"}]}}, 422, "jwks_malformed", "jwks"),
        ("/partners", {"name": ""}, 422, "text_empty", "name"),
        ("/partners", {"name": "x" * 201}, 422, "text_too_long", "name"),
        ("/partners", {"name": "Con\u202etoso"}, 422, "text_not_allowed", "name"),
        ("/partners", {"name": "Cafe\u0301"}, 422, "text_not_normalised", "name"),
        ("/partners", {"name": "A", "id": "Con Toso"}, 422, "id_malformed", "id"),
        ("/partners", {"name": "A", "ends_at": "2027-01-15T08:00:00Z"}, 422, "time_in_past", "ends_at"),
        ("/partners", {"name": "A", "contacts": ["a"] * 65}, 422, "list_too_long", "contacts"),
        ("/partners", {"name": "A", "contacts": ["a", " "]}, 422, "text_not_allowed", "contacts[1]"),
        ("/partners", {"name": "A", "contacts": ["a", 1]}, 422, "request_invalid", "contacts[1]"),
        ("/partners", {}, 422, "request_invalid", "name"),
        ("/tenants", {"issuer": "nobody", "partner": "contoso", "tid": TID}, 422, "reference_unknown", "issuer"),
        ("/tenants", {"issuer": "entra", "partner": "nobody", "tid": TID}, 422, "reference_unknown", "partner"),
        ("/tenants", {"issuer": "entra", "partner": "contoso", "tid": "contoso"}, 422, "guid_malformed", "tid"),
        ("/tenants", {"issuer": "entra", "partner": "contoso", "tid": TID.upper()}, 409, "tenant_duplicate", "tid"),
        (
            "/tenants",
            {"issuer": "entra", "partner": "contoso", "tid": "9188040d-6c67-4c5b-b112-36a304b66dad"},
            422,
            "consumer_tenant",
            "tid",
        ),
        ("/daemons", {"tenant": "nobody", "client_id": CLIENT_ID}, 422, "reference_unknown", "tenant"),
        ("/daemons", {"tenant": "contoso-entra", "client_id": CLIENT_ID}, 409, "client_id_duplicate", "client_id"),
        ("/daemons", NEW["daemons"] | {"min_credential": "mtls"}, 422, "request_invalid", "min_credential"),
        ("/daemons", NEW["daemons"] | {"subject": "nightly"}, 422, "member_not_allowed", "subject"),
        ("/resources", {"audiences": []}, 422, "list_empty", "audiences"),
        ("/resources", {"audiences": ["api://stock", "api://orders"]}, 409, "audience_overlap", "audiences[1]"),
        ("/resources", NEW["resources"] | {"max_lifetime": 0}, 422, "number_out_of_range", "max_lifetime"),
        ("/resources", NEW["resources"] | {"clock_skew": 10**30}, 422, "number_out_of_range", "clock_skew"),
        ("/resources", NEW["resources"] | {"issuers": ["entra", "nobody"]}, 422, "reference_unknown", "issuers[1]"),
        ("/resources", NEW["resources"] | {"addresses": ["192.0.2.1/24"]}, 422, "network_malformed", "addresses[0]"),
        (
            "/resources",
            NEW["resources"] | {"required_claims": [{"claim": "/"}]},
            422,
            "pointer_malformed",
            "required_claims[0].claim",
        ),
        (
            "/resources",
            NEW["resources"] | {"report_only": [{"rule": "clients", "until": "2027-01-15T08:00:00Z"}]},
            422,
            "time_in_past",
            "report_only[0].until",
        ),
        ("/resources", NEW["resources"] | {"token_header": "X-TG-Token"}, 422, "header_malformed", "token_header"),
        ("/resources", NEW["resources"] | {"failure_message": "a\nb"}, 422, "text_not_allowed", "failure_message"),
        ("/role-mappings", NEW["role-mappings"] | {"issuer": "nobody"}, 422, "reference_unknown", "issuer"),
        ("/role-mappings", NEW["role-mappings"] | {"app_role": "nobody"}, 422, "reference_unknown", "app_role"),
        ("/role-mappings", NEW["role-mappings"] | {"claim": "/a~b"}, 422, "pointer_malformed", "claim"),
        ("/app-roles", {"resource": "nobody", "value": "A"}, 422, "reference_unknown", "resource"),
        ("/app-roles", {"resource": "orders", "value": "a b"}, 422, "role_value_malformed", "value"),
        ("/app-roles", {"resource": "orders", "value": "Orders.Read"}, 409, "role_value_duplicate", "value"),
        ("/role-assignments", {"app_role": "orders-read"}, 422, "member_missing", None),
        ("/role-assignments", {"app_role": "nobody", "daemon": "nightly"}, 422, "reference_unknown", "app_role"),
        ("/role-assignments", {"app_role": "orders-read", "daemon": "nightly"}, 409, "assignment_overlap", "app_role"),
        (
            "/role-assignments",
            {"app_role": "orders-read", "tenant": "contoso-entra"},
            422,
            "tenant_wide_not_allowed",
            None,
        ),
        (
            "/role-assignments",
            NEW["role-assignments"] | {"not_before": "2031-02-01T00:00:00Z"},
            422,
            "window_empty",
            None,
        ),
        ("/operators", {"name": "A", "role": "Root"}, 422, "request_invalid", "role"),
        ("/operators", {"name": "A", "role": "admin"}, 422, "request_invalid", "role"),
    ],
)
def test_what_the_rules_refuse_says_which_member(
    api: Api, path: str, body: dict[str, Any], status: int, code: str, field: str | None
):
    """The rule's own code, the member at fault, and nothing written."""
    before = api.get("/policy")
    problem = api.refused("POST", path, json=body)
    assert (problem["status"], problem["code"]) == (status, code)
    if field is not None:
        assert [each["field"] for each in problem["errors"]] == [field]
    assert api.get("/policy") == before


def test_lists_come_in_pages(api: Api):
    """Page by page everything comes once, in order; the last page has no next."""
    for place in range(7):
        api.make("/partners", id=f"p{place}", name=f"P {place}")
    found, cursor, pages = [], "", 0
    while cursor is not None:
        page = api.get(f"/partners?limit=3{cursor and '&cursor=' + cursor}")
        found += [item["id"] for item in page["items"]]
        cursor, pages = page["next"], pages + 1
    assert found == ["contoso", "p0", "p1", "p2", "p3", "p4", "p5", "p6"]
    assert pages == 3


FILTERS = [
    ("/issuers", "kind=entra", ["entra"]),
    ("/issuers", "kind=oidc", ["new"]),
    ("/partners", "state=invited", ["new"]),
    ("/partners", "search=fabr", ["new"]),
    ("/partners", "search=CON", ["contoso"]),
    ("/partners", "search=%25", []),
    ("/tenants", "partner=contoso", ["contoso-entra"]),
    ("/tenants", "issuer=entra", ["contoso-entra", "new"]),
    ("/tenants", f"tid={TID.upper()}", ["contoso-entra"]),
    ("/tenants", "state=suspended", []),
    ("/daemons", f"client_id={CLIENT_ID}", ["nightly"]),
    ("/daemons", "partner=contoso", ["new", "nightly", "second"]),
    ("/daemons", "tenant=new", []),
    ("/daemons", "state=suspended", []),
    ("/app-roles", "resource=orders", ["new", "orders-read"]),
    ("/app-roles", "value=Orders.Write", ["new"]),
    ("/role-assignments", "daemon=nightly", ["nightly-read"]),
    ("/role-assignments", "app_role=orders-read", ["new", "nightly-read"]),
    ("/role-assignments", "tenant=contoso-entra", []),
    ("/role-mappings", "issuer=entra", ["new"]),
    ("/role-mappings", "app_role=nobody", []),
    ("/operators", "role=Admin", ["adm", "an-admin"]),
    ("/operators", "state=suspended", []),
]


def test_lists_are_filtered(api: Api):
    """Each filter leaves what fits and nothing else."""
    for name, body in NEW.items():
        api.make(f"/{name}", **body)
    for path, query, expected in FILTERS:
        assert [item["id"] for item in api.get(f"{path}?{query}")["items"]] == expected, (path, query)


def test_what_was_filled_in_is_shown(api: Api):
    """An issuer's answer holds the addresses that follow from its authority."""
    issuer = api.get("/issuers/entra")
    assert issuer["v2_issuer"] == "https://login.microsoftonline.com/{tenantid}/v2.0"
    assert issuer["v1_issuer"] == "https://sts.windows.net/{tenantid}/"


def test_times_on_the_wire_are_rfc_3339(api: Api):
    """Seconds inside, UTC outside."""
    assert NOW == 1_800_000_000
    assert api.get("/partners/contoso")["created_at"] == "2027-01-15T08:00:00Z"


def test_a_key_is_distrusted_and_trusted_again(api: Api):
    """An operator shuts it out, and once is enough. An Admin lets it in again, named as it was named."""
    api.make("/issuers", **NEW["issuers"])
    before = api.get("/policy")["revision"]
    out, back = "/issuers/new/distrust-key", "/issuers/new/trust-key"

    answer = api.ask("POST", out, role="Operator", json={"key": "stolen"})
    assert answer.json()["distrusted_keys"] == ["stolen"]
    assert int(answer.headers["X-TG-Revision"]) == before + 1
    again = api.ask("POST", out, role="Operator", json={"key": "stolen"})
    assert (again.status_code, again.json()["distrusted_keys"]) == (200, ["stolen"])
    assert api.get("/policy")["revision"] == before + 1
    assert api.ask("POST", out, json={"key": "other"}).json()["distrusted_keys"] == ["stolen", "other"]

    assert api.refused("POST", back, role="Operator", json={"key": "stolen"})["code"] == "role_too_low"
    assert api.ask("POST", back, json={"key": "stolen"}).json()["distrusted_keys"] == ["other"]
    problem = api.refused("POST", back, json={"key": "stolen"})
    assert (problem["status"], problem["code"]) == (404, "key_not_found")
    actions = [each["action"] for each in api.get("/audit")["items"]]
    assert actions.count("issuer.key_distrusted") == 2
    assert actions.count("issuer.key_trusted") == 1


@pytest.mark.parametrize(
    ("id_", "body", "status", "code", "field"),
    [
        ("new", {"key": ""}, 422, "text_empty", "key"),
        ("new", {"key": "x" * 257}, 422, "text_too_long", "key"),
        ("new", {"key": "a\u0000"}, 422, "text_not_allowed", "key"),
        ("new", {"key": 7}, 422, "request_invalid", "key"),
        ("new", {}, 422, "request_invalid", "key"),
        ("nobody", {"key": "a"}, 404, "issuer_not_found", None),
    ],
)
def test_what_cannot_be_a_key_is_not_distrusted(
    api: Api, id_: str, body: dict[str, Any], status: int, code: str, field: str | None
):
    """And nothing is changed."""
    api.make("/issuers", **NEW["issuers"])
    problem = api.refused("POST", f"/issuers/{id_}/distrust-key", json=body)

    assert (problem["status"], problem["code"]) == (status, code)
    named = [each["field"] for each in problem.get("errors", [])] or [problem.get("field")]
    assert named == [field]
    assert api.get("/issuers/new")["distrusted_keys"] == []


FACTS: dict[str, Any] = {
    "issuer": "new",
    "document": "v2",
    "appid": None,
    "static": False,
    "restored": True,
    "too_old": False,
    "fetched_at": NOW - 60,
    "tried_at": NOW - 5,
    "due_at": NOW + 30,
    "failures": 2,
    "last_error": "timeout",
    "last_detail": "it did not answer within 5 s",
    "metadata_error": None,
    "clock_ahead": -3,
    "keys": [
        {"kid": "a", "alg": "ES256", "thumbprint": "x", "state": "withdrawn", "first_seen": NOW - 99, "last_seen": NOW}
    ],
    "dropped": [{"kid": "b", "reason": "symmetric key"}],
    "history": [{"at": NOW - 99, "kid": "a", "change": "added"}],
}


def test_the_health_of_an_issuer_is_what_instances_say(api: Api):
    """Each that was heard of lately, with times as everywhere; none for an issuer that nobody serves."""
    api.make("/issuers", **NEW["issuers"])
    with writing(api.engine) as session:
        for id_, seen in (("gone", NOW - 61), ("here", NOW)):
            instances.register(session, InstanceSpec(id=id_, kind="gate", version="1"), now=seen)
            issuer_health.put(session, id_, [FACTS], now=NOW - 9)

    found = api.get("/issuers/new/health", role="Viewer")
    (one,) = found["key_sets"]
    assert (found["issuer"], one["instance"], one["reported_at"]) == ("new", "here", "2027-01-15T07:59:51Z")
    assert (one["last_error"], one["failures"], one["clock_ahead"]) == ("timeout", 2, -3)
    assert one["clock_ahead_at_most"] is None  # an instance of an earlier version does not say
    assert (one["fetched_at"], one["due_at"]) == ("2027-01-15T07:59:00Z", "2027-01-15T08:00:30Z")
    assert one["keys"][0]["last_seen"] == "2027-01-15T08:00:00Z"
    assert one["dropped"] == FACTS["dropped"]
    assert one["history"] == [{"at": "2027-01-15T07:58:21Z", "kid": "a", "change": "added"}]
    assert api.get("/issuers/entra/health") == {"issuer": "entra", "key_sets": []}
    assert api.refused("GET", "/issuers/nobody/health")["code"] == "issuer_not_found"


def test_an_issuer_is_changed_and_deleted(api: Api):
    """By an Admin alone; who it is cannot be changed, and one that is in use stays."""
    api.make("/issuers", **NEW["issuers"])
    answer = api.ask("PATCH", "/issuers/new", json={"max_key_age": 7200})
    assert (answer.status_code, answer.json()["max_key_age"]) == (200, 7200)
    revision = int(answer.headers["x-tg-revision"])
    same = api.ask("PATCH", "/issuers/new", json={"max_key_age": 7200})
    assert (same.status_code, same.headers.get("x-tg-revision")) == (200, None)

    refused = api.refused("PATCH", "/issuers/new", json={"max_key_age": 7})
    assert (refused["code"], [each["field"] for each in refused["errors"]]) == ("number_out_of_range", ["max_key_age"])
    assert api.ask("PATCH", "/issuers/new", json={"issuer": "https://another.example"}).status_code == 422
    assert api.ask("PATCH", "/issuers/new", json={"max_key_age": 7200}, role="Operator").status_code == 403
    assert api.refused("POST", "/issuers/entra/delete")["code"] == "issuer_in_use"

    gone = api.ask("POST", "/issuers/new/delete")
    assert (gone.status_code, gone.json()["id"]) == (200, "new")
    assert int(gone.headers["x-tg-revision"]) == revision + 1
    assert api.refused("GET", "/issuers/new")["code"] == "issuer_not_found"
