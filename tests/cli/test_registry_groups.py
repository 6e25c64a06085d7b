"""The groups that show and change the policy: what they print, and that they do what the REST API does."""

from __future__ import annotations

import json
import os
import pwd
import shlex
import sqlite3
from pathlib import Path

import pytest

from tenantgate.admin.shapes import (
    AppRoleOut,
    DaemonOut,
    IssuerOut,
    PartnerOut,
    RoleAssignmentOut,
    RoleMappingOut,
    TenantOut,
)
from tenantgate.admin.shapes_admin import OperatorOut
from tenantgate.admin.shapes_resources import ResourceOut
from tests.builders import signer
from tests.cli.desk import Desk
from tests.core.test_fetching import certificate
from tests.registry.builders import CLIENT_ID, TID

USER = f"cli:{pwd.getpwuid(os.geteuid()).pw_name}"
OTHER_TID = "99999999-2222-4333-8444-555555555555"
OTHER_CLIENT = "99999999-bbbb-4ccc-8ddd-eeeeeeeeeeee"

CREATE = [
    pytest.param(
        "issuer create --kind oidc --issuer https://id.fabrikam.example/main --jwks-host keys.fabrikam.example "
        "--algorithm RS256 --algorithm ES256 --client-id-claim client --token-type at+jwt "
        "--profile keycloak --roles-claim /resource_access/orders/roles --no-subject-pin "
        "--max-key-age 7200 --proxy http://proxy.example:3128",
        {"kind": "oidc", "jwks_hosts": ["keys.fabrikam.example"], "algorithms": ["RS256", "ES256"]}
        | {"client_id_claim": "client", "token_types": ["at+jwt"], "insecure_allow_http": False}
        | {"profile": "keycloak", "roles_claim": "/resource_access/orders/roles", "subject_pin": False}
        | {"max_key_age": 7200, "proxy": "http://proxy.example:3128", "ca_bundle": None, "distrusted_keys": []},
        IssuerOut,
        id="issuer",
    ),
    pytest.param(
        "partner create --name Fabrikam --state invited --ends-at 2031-01-31 --contact it --contact law --notes kind",
        {"name": "Fabrikam", "state": "invited", "ends_at": "2031-01-31T00:00:00Z"}
        | {"contacts": ["it", "law"], "notes": "kind"},
        PartnerOut,
        id="partner",
    ),
    pytest.param(
        f"tenant create --issuer entra --hosted --tid {OTHER_TID.upper()}",
        {"issuer": "entra", "tid": OTHER_TID, "hosted": True, "partner": None, "state": "active"},
        TenantOut,
        id="tenant",
    ),
    pytest.param(
        f"daemon create --tenant contoso-entra --client-id {OTHER_CLIENT} --oid {OTHER_TID} --min-credential secret",
        {"tenant": "contoso-entra", "client_id": OTHER_CLIENT, "oid": OTHER_TID, "min_credential": "secret"},
        DaemonOut,
        id="daemon",
    ),
    pytest.param(
        "resource create --audience api://stock --audience https://stock.example --app-only compatible "
        "--token-roles intersect --tenant-wide-roles --max-lifetime 3600 --clock-skew 0 --show-reasons",
        {"audiences": ["api://stock", "https://stock.example"], "app_only": "compatible", "token_roles": "intersect"}
        | {"tenant_wide_roles": True, "max_lifetime": 3600, "clock_skew": 0, "show_reasons": True},
        ResourceOut,
        id="resource",
    ),
    pytest.param(
        "resource create --audience api://stock --agent-identities --issuer entra --client one "
        f"--client {OTHER_CLIENT} --token-version 1.0 --token-version 2.0 "
        "--require-claim 'roles any Orders.Read,Orders.Write' "
        "--require-claim 'department all Sales and Marketing,Law' --require-claim uti "
        """--require-claim '{"claim": "scp", "values": ["read, write"], "separator": " "}' """
        "--address 192.0.2.7 --address 2001:db8::/48 --report-only 'addresses 2031-01-31' "
        f"--signing-keys-appid {OTHER_CLIENT} --token-header X-Orders-Token --token-query access_token "
        "--failure-status 404 --failure-message 'Ask us.'",
        {"agent_identities": True, "issuers": ["entra"], "clients": ["one", OTHER_CLIENT]}
        | {"token_versions": ["1.0", "2.0"], "addresses": ["192.0.2.7/32", "2001:db8::/48"]}
        | {
            "required_claims": [
                {"claim": "roles", "values": ["Orders.Read", "Orders.Write"], "match": "any", "separator": None},
                {"claim": "department", "values": ["Sales and Marketing", "Law"], "match": "all", "separator": None},
                {"claim": "uti", "values": [], "match": "all", "separator": None},
                {"claim": "scp", "values": ["read, write"], "match": "all", "separator": " "},
            ],
            "report_only": [{"rule": "addresses", "until": "2031-01-31T00:00:00Z"}],
            "signing_keys_appid": OTHER_CLIENT,
            "token_header": "X-Orders-Token",
            "token_query": "access_token",
            "token_scheme": "Bearer",
            "failure_status": 404,
            "failure_message": "Ask us.",
            "max_lifetime": 86_400,
        },
        ResourceOut,
        id="resource with every rule",
    ),
    pytest.param(
        "role map --issuer entra --claim /realm_access/roles --value reader --role orders-read",
        {"issuer": "entra", "claim": "/realm_access/roles", "value": "reader", "app_role": "orders-read"},
        RoleMappingOut,
        id="role mapping",
    ),
    pytest.param(
        "role create --resource orders --value Orders.Write --display-name Write",
        {"resource": "orders", "value": "Orders.Write", "display_name": "Write"},
        AppRoleOut,
        id="role",
    ),
    pytest.param(
        "operator create --name Grace --role Viewer",
        {"name": "Grace", "role": "Viewer", "state": "active"},
        OperatorOut,
        id="operator",
    ),
]


@pytest.mark.parametrize(("line", "expected", "shape"), CREATE)
def test_what_is_made_is_shown_as_the_rest_api_shows_it(desk: Desk, line: str, expected: dict, shape: type):
    """`create --json` prints the REST API's object and the revision; the options become its members."""
    made = desk.json(*shlex.split(line), "--id", "new")
    assert expected.items() <= made.items()
    assert (made["id"], made["created_by"], made["version"]) == ("new", USER, 1)
    assert set(made) == {*shape.model_fields, "revision"}
    assert made["revision"] == (None if shape is OperatorOut else 8)


@pytest.mark.parametrize("group", ["issuer", "partner", "tenant", "daemon", "resource"])
def test_what_was_made_is_listed_and_shown(desk: Desk, group: str):
    """`list` and `show` tell the same of a thing."""
    listed = desk.json(group, "list")
    assert listed["next"] is None
    (only,) = listed["items"]
    assert desk.json(group, "show", only["id"]) == only


def test_a_grant_and_its_end(desk: Desk):
    """Granted with window and reason, listed, taken back: the answer shows what it was."""
    words = (
        "role grant --role orders-read --daemon second --not-before 2030-01-01 --expires-at 2031-01-31T12:00:00+01:00"
    )
    desk.json("daemon", "create", "--id", "second", "--tenant", "contoso-entra", "--client-id", OTHER_CLIENT)
    granted = desk.json(*words.split(), "--reason", "contract 4711")
    assert granted["not_before"] == "2030-01-01T00:00:00Z"
    assert granted["expires_at"] == "2031-01-31T11:00:00Z"
    assert (granted["granted_by"], granted["reason"]) == (USER, "contract 4711")
    (listed,) = desk.json("role", "assignments", "--daemon", "second")["items"]
    assert listed | {"revision": granted["revision"], "warnings": []} == granted
    revoked = desk.json("role", "revoke", granted["id"])
    assert revoked | {"warnings": []} == granted | {"revision": granted["revision"] + 1}
    assert desk.json("role", "assignments", "--daemon", "second")["items"] == []
    assert desk.refused("role", "revoke", granted["id"])[0] == "role_assignment_not_found"
    assert set(listed) == set(RoleAssignmentOut.model_fields)


def test_a_mapping_and_its_end(desk: Desk):
    """Mapped, listed, taken back: the answer shows what it was."""
    words = "role map --issuer entra --claim roles --value Reader --role orders-read --id readers"
    mapped = desk.json(*words.split())
    (listed,) = desk.json("role", "mappings", "--issuer", "entra", "--role", "orders-read")["items"]
    assert listed | {"revision": mapped["revision"]} == mapped
    assert desk.json("role", "mappings", "--issuer", "nobody")["items"] == []
    assert desk.json("role", "unmap", "readers") == mapped | {"revision": mapped["revision"] + 1}
    assert desk.json("role", "mappings")["items"] == []
    assert desk.refused("role", "unmap", "readers")[0] == "role_mapping_not_found"


def test_a_resources_rules_are_changed(desk: Desk):
    """What is named becomes so, the rest stays; `--clear` takes a rule back; the same again is no revision."""
    change = ("resource", "change", "orders")
    rules = ("--require-claim", "roles any A,B", "--address", "192.0.2.0/24", "--tenant-wide-roles")
    changed = desk.json(*change, *rules, "--max-lifetime", "600")
    assert (changed["max_lifetime"], changed["clock_skew"], changed["audiences"]) == (600, 60, ["api://orders"])
    assert (changed["addresses"], changed["tenant_wide_roles"]) == (["192.0.2.0/24"], True)
    assert changed["revision"] == 8
    assert desk.json(*change, *rules) == changed | {"revision": None}
    again = desk.json(*change, "--clear", "required_claims", "--clear", "max_lifetime", "--no-tenant-wide-roles")
    expected = {
        "required_claims": [],
        "max_lifetime": 86_400,
        "tenant_wide_roles": False,
        "addresses": ["192.0.2.0/24"],
    }
    assert expected.items() <= again.items()
    assert again["revision"] == 9
    assert desk.refused(*change, "--issuer", "nobody")[0] == "reference_unknown"
    assert desk.refused("resource", "change", "nobody", "--clock-skew", "1")[0] == "resource_not_found"


@pytest.mark.parametrize(("group", "id_"), [("partner", "contoso"), ("tenant", "contoso-entra"), ("daemon", "nightly")])
def test_a_suspension_and_its_end(desk: Desk, group: str, id_: str):
    """Each step is a revision; the same step again is refused."""
    for step, state, revision in (("suspend", "suspended", 8), ("activate", "active", 9)):
        changed = desk.json(group, step, id_)
        assert (changed["state"], changed["revision"]) == (state, revision)
        assert desk.refused(group, step, id_)[0] == "state_unchanged"
        assert desk.refused(group, step, "nobody")[0] == f"{group}_not_found"


def test_an_archived_partner_stays_so(desk: Desk):
    """Archiving is the end."""
    assert desk.json("partner", "archive", "contoso")["state"] == "archived"
    assert desk.refused("partner", "activate", "contoso")[0] == "partner_archived"


def test_an_operator_is_suspended_and_comes_back(desk: Desk):
    """Who administers is no policy: no revision."""
    for step, state in (("suspend", "suspended"), ("activate", "active")):
        changed = desk.json("operator", step, "operations")
        assert (changed["state"], changed["revision"]) == (state, None)
    assert [each["id"] for each in desk.json("operator", "list", "--role", "Admin")["items"]] == ["operations"]
    assert desk.json("operator", "list", "--state", "suspended")["items"] == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("issuer list --kind oidc", []),
        ("partner list --state active", ["contoso"]),
        ("partner list --search CON", ["contoso"]),
        ("tenant list --partner contoso", ["contoso-entra"]),
        (f"tenant list --tid {TID.upper()}", ["contoso-entra"]),
        ("tenant list --issuer nobody", []),
        ("tenant list --state suspended", []),
        (f"daemon list --client-id {CLIENT_ID}", ["nightly"]),
        ("daemon list --tenant nobody", []),
        ("daemon list --partner contoso --state active", ["nightly"]),
        ("role list --resource orders --value Orders.Read", ["orders-read"]),
        ("role assignments --role orders-read", ["nightly-read"]),
        ("role assignments --tenant contoso-entra", []),
        ("resource list --cursor orders", []),
    ],
)
def test_lists_are_filtered(desk: Desk, line: str, expected: list[str]):
    """Each option leaves what fits and nothing else."""
    assert [item["id"] for item in desk.json(*line.split())["items"]] == expected


def test_lists_come_in_pages(desk: Desk):
    """`next` is the cursor of the page that follows; in a table it is said on standard error."""
    for place in range(3):
        desk.call("partner", "create", "--id", f"p{place}", "--name", "P")
    page = desk.json("partner", "list", "--limit", "3")
    assert ([each["id"] for each in page["items"]], page["next"]) == (["contoso", "p0", "p1"], "p1")
    assert [each["id"] for each in desk.json("partner", "list", "--cursor", "p1")["items"]] == ["p2"]
    assert desk.call("partner", "list", "--limit", "3").err == "There are more: --cursor p1\n"


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        ("partner create --name ''", "text_empty", "name: "),
        ("partner create --name A --id contoso", "id_duplicate", "contoso"),
        ("partner create --name A --id A!", "id_malformed", "id: "),
        ("partner create --name A --ends-at 2020-01-01", "time_in_past", "ends_at: "),
        ("partner show nobody", "partner_not_found", "nobody"),
        (f"tenant create --issuer entra --partner contoso --tid {TID}", "tenant_duplicate", "contoso-entra"),
        ("tenant create --issuer entra --tid x --partner contoso", "guid_malformed", "tid: "),
        (f"daemon create --tenant nobody --client-id {CLIENT_ID}", "reference_unknown", "tenant: "),
        ("resource create --audience api://orders", "audience_overlap", "audiences[0]: "),
        ("resource create --audience a --clock-skew 99999999999999999999", "number_out_of_range", "clock_skew: "),
        ("resource create --audience a --token-version 3.0", "value_unknown", "token_versions[0]: "),
        ("resource create --audience a --require-claim 'roles any A,,B'", "text_empty", "required_claims[0].values[1]"),
        ("resource create --audience a --report-only 'clients 2020-01-01'", "time_in_past", "report_only[0].until: "),
        ("role map --issuer no --claim a --value b --role orders-read", "reference_unknown", "issuer: "),
        ("role create --resource orders --value 'a b'", "role_value_malformed", "value: "),
        ("role grant --role orders-read --daemon nightly", "assignment_overlap", "nightly-read"),
        ("role grant --role orders-read", "member_missing", ""),
        ("role grant --role orders-read --tenant contoso-entra", "tenant_wide_not_allowed", ""),
        ("issuer create --kind oidc --issuer http://id.example", "url_not_https", "issuer: "),
        ("issuer create --kind oidc --issuer https://i.example --jwks-file nothing.json", "file_unreadable", "nothing"),
        ("issuer create --kind oidc --issuer https://i.example --ca-bundle-file no.pem", "file_unreadable", "no.pem"),
        ("issuer create --kind oidc --issuer https://i.example --proxy proxy:1", "proxy_malformed", "proxy: "),
        ("issuer distrust-key nobody a", "issuer_not_found", "nobody"),
        ("issuer trust-key entra a", "key_not_found", "no such key"),
    ],
)
def test_what_the_registry_refuses_is_one_line(desk: Desk, words: str, code: str, part: str):
    """`code: message` on standard error, exit status 1, nothing on standard output, nothing written."""
    found, message = desk.refused(*shlex.split(words))
    assert found == code
    assert part in message
    assert desk.json("policy", "show")["revision"] == 7


@pytest.mark.parametrize(
    "words",
    [
        ("partner",),
        ("partner", "suspend"),
        ("partner", "create"),
        ("partner", "delete", "contoso"),
        ("partner", "list", "--limit", "0"),
        ("partner", "list", "--limit", "501"),
        ("partner", "create", "--name", "A", "--state", "archived"),
        ("partner", "create", "--name", "A", "--ends-at", "tomorrow"),
        ("partner", "create", "--name", "A", "--ends-at", "1900000000"),
        ("operator", "create", "--name", "A", "--role", "Root"),
        ("issuer", "create", "--kind", "saml"),
        ("resource", "change", "orders"),
        ("resource", "change", "orders", "--clear", "audiences"),
        ("resource", "change", "orders", "--clear", "nothing"),
        ("resource", "change", "orders", "--address", "192.0.2.1", "--clear", "addresses"),
        ("resource", "change", "orders", "--require-claim", ""),
        ("resource", "change", "orders", "--require-claim", "roles any"),
        ("resource", "change", "orders", "--require-claim", "roles one A"),
        ("resource", "change", "orders", "--require-claim", '{"claim": "a", "claim": "b"}'),
        ("resource", "change", "orders", "--require-claim", '{"claim": "a", "value": "b"}'),
        ("resource", "change", "orders", "--require-claim", '{"claim": 1}'),
        ("resource", "change", "orders", "--report-only", "addresses"),
        ("resource", "change", "orders", "--report-only", "signature 2031-01-31"),
        ("resource", "change", "orders", "--report-only", "addresses soon"),
    ],
)
def test_a_command_that_makes_no_sense_ends_with_2(desk: Desk, words: tuple[str, ...]):
    """Usage is told on standard error (or as help), and nothing is done."""
    answer = desk.call(*words)
    assert answer.status == 2
    assert "Usage: " in answer.err + answer.out


def test_keys_come_from_a_file(desk: Desk, tmp_path: Path):
    """--jwks-file holds a key set; anything else in it is refused before anything is written."""
    keys = {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "a"}]}
    path = tmp_path / "keys.json"
    words = ("issuer", "create", "--kind", "oidc", "--issuer", "https://id.example", "--jwks-file", str(path))
    for content in ("[]", "{", '{"keys": 1, "keys": []}', '{"keys": NaN}', '{"keys": []}'):
        path.write_text(content)
        assert desk.refused(*words)[0] == "jwks_malformed", content
    path.write_text(json.dumps(keys))
    assert desk.json(*words)["jwks"] == keys


def test_tables_are_for_people(desk: Desk):
    """Without --json there is a table that is not folded in a pipe; a name is a name, not a style."""
    desk.call("partner", "create", "--id", "odd", "--name", "[red]Odd[/red] :smile:", "--notes", "one\ntwo")
    table = desk.call("partner", "list").out
    assert "[red]Odd[/red] :smile:" in table
    assert "│ contoso" in table
    shown = desk.call("partner", "show", "odd").out
    assert "│ notes      │ one" in shown
    assert "two" in shown
    assert all(len(line) <= 200 for line in desk.call("audit", "list").out.splitlines())


def test_what_a_terminal_would_obey_is_not_printed(desk: Desk):
    """Even where another program wrote escape codes into the database, a table shows none; JSON keeps them escaped."""
    connection = sqlite3.connect(desk.path)
    connection.execute("UPDATE partner SET name = ?", ("\x1b]0;owned\x07\x9b31m",))
    connection.commit()
    connection.close()
    assert not {"\x1b", "\x07", "\x9b"} & set(desk.call("partner", "list").out)
    assert "\x1b" not in desk.call("partner", "list", "--json").out


def test_a_key_is_distrusted_and_trusted_again(desk: Desk):
    """The answer shows the issuer as it is now, and the revision that says so."""
    out = desk.json("issuer", "distrust-key", "entra", "stolen")
    assert out["distrusted_keys"] == ["stolen"]
    assert desk.json("issuer", "show", "entra")["distrusted_keys"] == ["stolen"]

    back = desk.json("issuer", "trust-key", "entra", "stolen")
    assert (back["distrusted_keys"], back["revision"]) == ([], out["revision"] + 1)


def test_an_issuer_with_authorities_of_its_own(desk: Desk, tmp_path: Path):
    """The certificates are in the policy, not the file's name: other machines have no such file."""
    (tmp_path / "ca.pem").write_text(certificate())
    (tmp_path / "ca.der").write_bytes(b"\xff\xfe")
    words = "issuer create --id own --kind oidc --issuer https://id.own.example --ca-bundle-file"
    create = words.split()

    assert desk.refused(*create, str(tmp_path / "ca.der"))[0] == "ca_bundle_malformed"
    assert desk.json(*create, str(tmp_path / "ca.pem"))["ca_bundle"] == certificate()


def test_an_issuer_is_changed_cleared_and_deleted(desk: Desk, tmp_path: Path):
    """What is named becomes so; `--clear` takes it back; who it is cannot be said; one that is in use stays."""
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [signer("ES256", "own").jwk(alg="ES256")]}))
    desk.json("issuer", "create", "--id", "own", "--kind", "oidc", "--issuer", "https://id.own.example")
    words = ("--jwks-file", str(tmp_path / "keys.json"), "--max-key-age", "7200", "--jwks-host", "keys.own.example")
    out = desk.json("issuer", "change", "own", *words)
    assert (out["max_key_age"], out["jwks_hosts"], out["metadata_url"]) == (7200, ["keys.own.example"], None)
    assert out["jwks"]["keys"][0]["kid"] == signer("ES256", "own").kid

    back = desk.json("issuer", "change", "own", "--clear", "jwks", "--clear", "max_key_age", "--clear", "jwks_hosts")
    assert (back["max_key_age"], back["jwks_hosts"], back["jwks"]) == (None, [], None)
    assert back["metadata_url"] == "https://id.own.example/.well-known/openid-configuration"
    assert back["revision"] == out["revision"] + 1

    assert desk.call("issuer", "change", "own").status == 2
    assert desk.call("issuer", "change", "own", "--clear", "kind").status == 2
    assert desk.call("issuer", "change", "own", "--proxy", "http://p.example:1", "--clear", "proxy").status == 2
    assert desk.refused("issuer", "change", "nobody", "--max-key-age", "7200")[0] == "issuer_not_found"
    assert desk.refused("issuer", "delete", "entra")[0] == "issuer_in_use"
    assert desk.json("issuer", "delete", "own")["id"] == "own"
    assert desk.refused("issuer", "show", "own")[0] == "issuer_not_found"


def test_several_are_moved_at_once_or_none(desk: Desk):
    """One revision for all, each with the reason; one that is not there is named, and nothing is done."""
    desk.json("partner", "create", "--id", "fabrikam", "--name", "Fabrikam")

    moved = desk.json("partner", "suspend", "contoso", "fabrikam", "--reason", "incident 4711")

    assert moved == {
        "items": [
            {"id": id_, "outcome": "changed", "state": "suspended", "version": 2} for id_ in ("contoso", "fabrikam")
        ],
        "changed": 2,
        "revision": 9,
    }
    assert desk.json("audit", "list", "--id", "fabrikam")["items"][0]["after"]["reason"] == "incident 4711"
    answer = desk.call("partner", "activate", "contoso", "nobody", "no-one")
    assert (answer.status, answer.out) == (1, "")
    assert answer.err.splitlines() == [
        "partner_not_found: ids[1]: there is no partner nobody",
        "partner_not_found: ids[2]: there is no partner no-one",
        "bulk_refused: ids: 2 of 3 are at fault; nothing was done",
    ]
    assert desk.json("partner", "show", "contoso")["state"] == "suspended"
    answer = desk.call("partner", "activate", "contoso", "fabrikam")
    assert (answer.status, answer.err) == (0, "")
    assert [each in answer.out for each in ("contoso", "fabrikam", "changed", "active")] == [True] * 4
    for group, id_ in (("tenant", "contoso-entra"), ("daemon", "nightly")):
        assert desk.json(group, "suspend", id_, "--reason", "why")["state"] == "suspended"
        assert desk.json(group, "activate", id_)["state"] == "active"


def test_a_file_of_partners(desk: Desk, tmp_path: Path):
    """Tried out, then imported; a refused line is shown and makes the exit status; the same file again does nothing."""
    file = tmp_path / "partners.csv"
    file.write_text(
        "partner,partner_name,issuer,tid,client_id,roles\n"
        f"fabrikam,Fabrikam,entra,{OTHER_TID},{OTHER_CLIENT},orders-read\n"
        "contoso,,,,,\n"
        "globex,,,,,\n"
    )
    before = desk.json("audit", "list")

    tried = desk.call("partner", "import", str(file), "--dry-run", "--json")

    assert desk.json("audit", "list") == before
    done = desk.call("partner", "import", str(file), "--json")
    assert (tried.status, done.status) == (1, 1)
    assert tried.document["lines"] == done.document["lines"]
    assert [each["outcome"] for each in done.document["lines"]] == ["created", "exists", "refused"]
    assert (done.document["import"]["state"], done.document["import"]["created"]) == ("done", 1)
    assert desk.json("partner", "show", "fabrikam")["created_by"] == USER
    assert desk.json("audit", "list", "--id", "fabrikam")["items"][0]["request_id"] == done.document["import"]["id"]
    again = desk.call("partner", "import", str(file))
    assert again.status == 1
    assert "3 lines: 0 created, 0 changed, 1 refused; 2 were there already" in again.out
    assert "a partner that is new needs its name" in again.out
    file.write_text("partner\ncontoso\n")
    assert desk.call("partner", "import", str(file)).status == 0
    file.write_text("company\ncontoso\n")
    assert desk.refused("partner", "import", str(file))[0] == "csv_header_unknown"
    assert desk.refused("partner", "import", str(tmp_path / "none.csv"), status=2)[0] == "file_unreadable"


CHANGE = [
    (
        "partner change contoso --name Other --ends-at 2031-01-31 --contact it --notes n",
        {"name": "Other", "notes": "n"},
    ),
    ("partner change contoso --clear ends_at --clear contacts", {"ends_at": None, "contacts": []}),
    ("tenant change contoso-entra --notes production", {"notes": "production"}),
    (
        f"daemon change nightly --oid {OTHER_TID} --min-credential secret",
        {"oid": OTHER_TID, "min_credential": "secret"},
    ),
    ("daemon change nightly --pin-object-id", {"pin_object_id": True}),
    ("role change orders-read --display-name Read", {"display_name": "Read"}),
    ("role change-assignment nightly-read --expires-at 2031-01-31 --ticket R-1", {"ticket": "R-1"}),
    ("operator change operations --role Viewer", {"role": "Viewer", "name": "Adm"}),
]


@pytest.mark.parametrize(("line", "expected"), CHANGE)
def test_a_change_is_what_was_said(desk: Desk, line: str, expected: dict[str, object]):
    """What is named becomes so; the version counts it."""
    found = desk.json(*line.split())
    assert expected.items() <= found.items()
    assert found["version"] in (1, 2)


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("partner change contoso", "say what is to be different"),
        ("partner change contoso --name A --clear name", "must be one of"),
        ("partner change contoso --notes A --clear notes", "given and cleared"),
    ],
)
def test_a_change_of_nothing_is_refused(desk: Desk, line: str, part: str):
    """It says what is missing, and changes nothing."""
    answer = desk.call(*line.split())
    assert answer.status == 2
    assert part in answer.err


def test_what_is_in_use_is_not_deleted(desk: Desk):
    """From the bottom up, each shows what it was."""
    assert desk.refused("daemon", "delete", "nightly")[0] == "daemon_in_use"
    assert desk.refused("tenant", "delete", "contoso-entra")[0] == "tenant_in_use"
    assert desk.refused("role", "delete", "orders-read")[0] == "app_role_in_use"
    assert desk.refused("resource", "delete", "orders")[0] == "resource_in_use"
    desk.call("role", "revoke", "nightly-read")
    for words in (("daemon", "nightly"), ("tenant", "contoso-entra"), ("role", "orders-read"), ("resource", "orders")):
        assert desk.json(words[0], "delete", words[1])["id"] == words[1]
