"""The publisher's own side, printed: the commands run, the requests are sent, the HCL parses, and all three agree."""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import hcl2
import pytest
from typer.testing import CliRunner

from tenantgate.cli.app import app
from tests.builders import API_CLIENT_ID, API_URI, AUTHORITY
from tests.cli.desk import Desk
from tests.cli.test_token import write_policy
from tests.examples.http_file import Answers, run_http_file

APP_ID = "aaaaaaaa-0000-4000-8000-0000000000aa"
URI = "api://orders.publisher.example"
BACK = "https://publisher.example/done"
NEW = ("--name", "Orders API", "--app-id-uri", URI, "--role", "Orders.Read", "--role", "Orders.Write")
WITHOUT_URI = ("--name", "Orders API", "--role", "Orders.Read", "--redirect-uri", BACK)
CHANGED = (*NEW, "--client-id", APP_ID)
HOSTILE = 'O\'Brien & Sons "{{API}}" ${x} %{y} $(id) `id` \\ – ü'
SPOILED = ("--name", HOSTILE, "--role", "Orders.Read'$x{{y}}", "--app-id-uri", "api://o.example/$(id)'${x}")
ALL = {"new": NEW, "without uri": WITHOUT_URI, "changed": CHANGED, "hostile": SPOILED}
AS_IT_IS = pytest.mark.parametrize("options", [pytest.param(each, id=name) for name, each in ALL.items()])


def guide(*options: str) -> str:
    """Return what the command prints; it must succeed, and say nothing else."""
    result = CliRunner().invoke(app, ["resource", "setup-guide", *options], catch_exceptions=False)
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


def refused(*options: str) -> str:
    """Return what the command says when it cannot be used; it prints nothing else."""
    environment = {"TENANTGATE_DATABASE_URL": None, "COLUMNS": "500"}
    result = CliRunner().invoke(app, ["resource", "setup-guide", *options], env=environment, catch_exceptions=False)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    return result.stderr


# az


def run_az(script: str, folder: Path) -> tuple[list[list[str]], str]:
    """Run the script by a POSIX shell with an `az` that notes its words; return those, and what the script printed."""
    fake, calls = folder / "az", folder / "calls"
    fake.write_text(
        "#!/bin/sh\n"
        f'for word in "$@"; do printf "%s\\0" "$word"; done >> {shlex.quote(str(calls))}\n'
        f'printf "\\n" >> {shlex.quote(str(calls))}\n'
        f'case "$*" in *"ad app create"*) echo {APP_ID};; esac\n'
    )
    fake.chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}:/usr/bin:/bin"}
    done = subprocess.run(
        ["sh", "-eu"], input=script, text=True, capture_output=True, env=environment, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return [line.split("\0")[:-1] for line in calls.read_text().split("\n")[:-1]], done.stdout


def options_of(words: list[str]) -> dict[str, str]:
    """Return the options of a call of az."""
    return {name: value for name, value in itertools.pairwise(words) if name.startswith("--")}


def as_graph(words: list[str]) -> dict[str, Any]:
    """Return the application that a call of az makes, as Microsoft Graph has it."""
    found = options_of(words)
    body: dict[str, Any] = {
        "signInAudience": found["--sign-in-audience"],
        "api": {"requestedAccessTokenVersion": int(found["--requested-access-token-version"])},
        "optionalClaims": json.loads(found["--optional-claims"]),
        "appRoles": json.loads(found["--app-roles"]),
    }
    for option, member in (("--display-name", "displayName"), ("--identifier-uris", "identifierUris")):
        if option in found:
            body[member] = found[option] if member == "displayName" else [found[option]]
    if "--web-redirect-uris" in found:
        body["web"] = {"redirectUris": [found["--web-redirect-uris"]]}
    return body


def test_the_commands_register_the_api(tmp_path: Path) -> None:
    """One registration, open to other tenants, v2 tokens, `idtyp`, a role each for applications; then its principal."""
    (create, principal), printed = run_az(guide(*NEW), tmp_path)

    assert create[:3] == ["ad", "app", "create"]
    found = as_graph(create)
    assert found["signInAudience"] == "AzureADMultipleOrgs"
    assert found["api"] == {"requestedAccessTokenVersion": 2}
    assert found["optionalClaims"] == {"accessToken": [{"name": "idtyp", "essential": False}]}
    assert found["identifierUris"] == [URI]
    assert [(role["value"], role["allowedMemberTypes"], role["isEnabled"]) for role in found["appRoles"]] == [
        ("Orders.Read", ["Application"], True),
        ("Orders.Write", ["Application"], True),
    ]
    assert principal == ["ad", "sp", "create", "--id", APP_ID]
    consent = f"https://login.microsoftonline.com/PARTNER_TENANT_ID/adminconsent?client_id={APP_ID}"
    assert printed == f"{consent}\n"


def test_without_an_app_id_uri_it_is_made_of_the_apps_id(tmp_path: Path) -> None:
    """The id is known only afterwards: a second command sets the URI. Consent leads back to the redirect address."""
    (create, update, principal), printed = run_az(guide(*WITHOUT_URI), tmp_path)

    assert "--identifier-uris" not in create
    assert update == ["ad", "app", "update", "--id", APP_ID, "--identifier-uris", f"api://{APP_ID}"]
    assert principal[:3] == ["ad", "sp", "create"]
    assert options_of(create)["--web-redirect-uris"] == BACK
    assert printed.endswith("&redirect_uri=https%3A%2F%2Fpublisher.example%2Fdone\n")


def test_a_registration_that_is_there_is_changed(tmp_path: Path) -> None:
    """With its id nothing is created, and its name stays; what it replaces is said."""
    script = guide(*CHANGED)
    calls, _ = run_az(script, tmp_path)

    assert [call[:5] for call in calls] == [["ad", "app", "update", "--id", APP_ID]]
    assert "--display-name" not in calls[0]
    assert "each list replaces the one before" in script


@AS_IT_IS
def test_every_line_is_a_shells(options: tuple[str, ...], tmp_path: Path) -> None:
    """Whatever a name holds, it is one word to az, and nothing in it is run."""
    script = guide(*options)

    assert shlex.split(script, comments=True)
    calls, _ = run_az(script, tmp_path)
    names = [found["--display-name"] for found in map(options_of, calls) if "--display-name" in found]
    assert names == ([] if options is CHANGED else [HOSTILE if options is SPOILED else "Orders API"])


def test_without_roles_none_are_set(tmp_path: Path) -> None:
    """An API whose roles only TenantGate knows needs none at Entra."""
    calls, _ = run_az(guide("--name", "Orders API"), tmp_path)

    assert not any("--app-roles" in call for call in calls)


# Microsoft Graph


class FakeGraph(BaseHTTPRequestHandler):
    """Notes each request and answers with an app id."""

    seen: list[tuple[str, str, Any]]

    def do_POST(self) -> None:
        """Note the request; answer 201 with an app id."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.headers["Authorization"] == "Bearer graph-token"
        self.seen.append((self.command, self.path, body))
        answer = json.dumps({"appId": APP_ID}).encode()
        self.send_response(201)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_PATCH = do_POST  # noqa: N815 - the base's way of naming methods

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Keep standard error for what matters."""


@contextmanager
def fake_graph() -> Iterator[tuple[str, list[tuple[str, str, Any]]]]:
    """Serve a Graph on loopback; yields its address and what it was asked."""
    seen: list[tuple[str, str, Any]] = []
    handler = type("Handler", (FakeGraph,), {"seen": seen})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1.0", seen
        finally:
            server.shutdown()
            thread.join()


def sent(document: str, folder: Path) -> list[tuple[str, str, Any]]:
    """Send the requests of a `.http` document to a Graph on loopback; return what that was asked."""
    with fake_graph() as (address, seen):
        file = folder / "setup.http"
        file.write_text(re.sub(r"(?m)^@graph = .*$", f"@graph = {address}", document))
        answers: Answers = run_http_file(file, {"GRAPH_TOKEN": "graph-token"})
        assert {answer.status_code for answer in answers.values()} == {201}
        return seen


def test_the_requests_register_the_api(tmp_path: Path) -> None:
    """The application, then its service principal by the id that came back."""
    application, principal = sent(guide(*NEW, "--format", "graph"), tmp_path)

    assert application[:2] == ("POST", "/v1.0/applications")
    assert principal == ("POST", "/v1.0/servicePrincipals", {"appId": APP_ID})


def test_the_requests_set_the_uri_when_the_id_is_known(tmp_path: Path) -> None:
    """Without an App ID URI a second request makes it of the id that came back."""
    _, uri, _ = sent(guide(*WITHOUT_URI, "--format", "graph"), tmp_path)

    assert uri == ("PATCH", f"/v1.0/applications(appId='{APP_ID}')", {"identifierUris": [f"api://{APP_ID}"]})


def test_the_requests_change_what_is_there(tmp_path: Path) -> None:
    """With its id there is one request, and no name in it."""
    ((method, path, body),) = sent(guide(*CHANGED, "--format", "graph"), tmp_path)

    assert (method, path) == ("PATCH", f"/v1.0/applications(appId='{APP_ID}')")
    assert "displayName" not in body


@AS_IT_IS
def test_every_body_is_json(options: tuple[str, ...]) -> None:
    """As it stands, before any variable is filled in."""
    document = guide(*options, "--format", "graph")
    bodies = re.findall(r"(?ms)^\{$.*?^\}$", document)

    assert len(bodies) == document.count("Content-Type: application/json")
    assert all(isinstance(json.loads(body), dict) for body in bodies)


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        ("https://login.microsoftonline.com", "https://graph.microsoft.com"),
        ("https://login.microsoftonline.us", "https://graph.microsoft.us"),
        ("https://login.partner.microsoftonline.cn/", "https://microsoftgraph.chinacloudapi.cn"),
    ],
)
def test_each_cloud_has_its_own_graph(authority: str, host: str) -> None:
    """National clouds have addresses of their own, for Graph and for consent."""
    document = guide(*NEW, "--authority", authority, "--format", "graph")

    assert f"@graph = {host}/v1.0\n" in document
    assert f"{authority.rstrip('/')}/PARTNER_TENANT_ID/adminconsent" in document


# Terraform


def blocks(document: str) -> dict[tuple[str, str], Any]:
    """Parse HCL; return its resources and outputs by type and name."""
    parsed, found = hcl2.loads(document), dict[tuple[str, str], Any]()
    for block in parsed["resource"]:
        for kind, inner in block.items():
            found |= {(_plain(kind), _plain(name)): body for name, body in inner.items()}
    for block in parsed["output"]:
        found |= {("output", _plain(name)): body for name, body in block.items()}
    return found


def _plain(text: str) -> str:
    """Return an HCL string literal as the text it is."""
    value: str = json.loads(text)
    return value.replace("$${", "${").replace("%%{", "%{")


def as_graph_of_hcl(application: dict[str, Any]) -> dict[str, Any]:
    """Return an `azuread_application` as Microsoft Graph has it."""
    (api,), (claims,) = application["api"], application["optional_claims"]
    body: dict[str, Any] = {
        "displayName": _plain(application["display_name"]),
        "signInAudience": _plain(application["sign_in_audience"]),
        "api": {"requestedAccessTokenVersion": api["requested_access_token_version"]},
        "optionalClaims": {
            "accessToken": [{"name": _plain(each["name"]), "essential": False} for each in claims["access_token"]]
        },
        "appRoles": [_role_of_hcl(role) for role in application["app_role"]],
    }
    if "identifier_uris" in application:
        body["identifierUris"] = [_plain(each) for each in application["identifier_uris"]]
    if "web" in application:
        body["web"] = {"redirectUris": [_plain(each) for each in application["web"][0]["redirect_uris"]]}
    return body


def _role_of_hcl(role: dict[str, Any]) -> dict[str, Any]:
    return {
        "allowedMemberTypes": [_plain(each) for each in role["allowed_member_types"]],
        "description": _plain(role["description"]),
        "displayName": _plain(role["display_name"]),
        "id": _plain(role["id"]),
        "isEnabled": role["enabled"],
        "value": _plain(role["value"]),
    }


def test_terraform_registers_the_api() -> None:
    """An application, its service principal, and as outputs what partners and TenantGate need."""
    found = blocks(guide(*NEW, "--format", "terraform"))

    assert set(found) == {
        ("azuread_application", "api"),
        ("azuread_service_principal", "api"),
        ("output", "api_client_id"),
        ("output", "api_admin_consent"),
    }
    reference = "${azuread_application.api.client_id}"
    assert found["azuread_service_principal", "api"]["client_id"] == reference
    assert f"adminconsent?client_id={reference}" in found["output", "api_admin_consent"]["value"]


def test_terraform_sets_the_uri_in_a_resource_of_its_own() -> None:
    """An application cannot refer to its own id: the URI is another resource, and the application leaves it alone."""
    found = blocks(guide(*WITHOUT_URI, "--format", "terraform"))

    uri = found["azuread_application_identifier_uri", "api"]
    assert uri["identifier_uri"] == '"api://${azuread_application.api.client_id}"'
    application = found["azuread_application", "api"]
    assert "identifier_uris" not in application
    assert application["lifecycle"][0]["ignore_changes"]


def test_terraform_imports_what_is_there() -> None:
    """With its id the registration is imported first, and no service principal is made."""
    document = guide(*CHANGED, "--format", "terraform")

    assert f"terraform import azuread_application.api /applications/OBJECT_ID   (of app {APP_ID})" in document
    assert not any(kind == "azuread_service_principal" for kind, _ in blocks(document))


# All of them


@AS_IT_IS
def test_all_three_say_the_same(options: tuple[str, ...], tmp_path: Path) -> None:
    """The application that az makes, the one Graph is sent and the one in HCL are one, role ids included."""
    calls, _ = run_az(guide(*options), tmp_path)
    requests = sent(guide(*options, "--format", "graph"), tmp_path)
    found = blocks(guide(*options, "--format", "terraform"))
    of_az, of_graph = as_graph(calls[0]), dict(requests[0][2])
    of_hcl = as_graph_of_hcl(found["azuread_application", "api"])
    if options is CHANGED:  # Terraform asks for the name also of what is imported
        of_hcl.pop("displayName")

    assert of_az == of_graph == of_hcl


def test_all_is_the_three_in_a_row() -> None:
    """--format all prints each of them, as it is by itself."""
    each = [guide(*NEW, "--format", form) for form in ("az", "graph", "terraform")]

    assert guide(*NEW, "--format", "all") == "\n".join(each)


def test_role_ids_stay_the_same() -> None:
    """Made of App ID URI and value: the same at each call, another for another API or role."""
    ids = {
        key: re.findall(r'^    id +=.*"(.+)"$', guide(*key, "--format", "terraform"), re.MULTILINE)
        for key in (NEW, (*NEW[:2], "--app-id-uri", "api://other.example", *NEW[4:]))
    }

    assert ids[NEW] == ["957ec6b3-3573-545c-94f5-066e623b4e85", "bf0b98d7-6bec-54bc-bbf9-dcac77866a59"]
    assert len({id_ for found in ids.values() for id_ in found}) == 4


@pytest.mark.parametrize("form", ["az", "graph", "terraform"])
def test_what_was_never_run_says_so(form: str) -> None:
    """Nobody takes for tried what was only read in documentation."""
    assert "Never run against Microsoft Entra ID by us" in guide(*NEW, "--format", form)


# Where it comes from


def test_a_resource_of_a_policy_file(tmp_path: Path) -> None:
    """Audience, client id, roles and cloud are the policy's; a client id means that the registration is there."""
    policy = write_policy(tmp_path / "policy.json")

    script = guide("--id", "orders", "--policy", str(policy))

    ((call,), printed) = run_az(script, tmp_path)
    assert call[:5] == ["ad", "app", "update", "--id", API_CLIENT_ID]
    assert options_of(call)["--identifier-uris"] == API_URI
    assert [role["value"] for role in as_graph(call)["appRoles"]] == ["Orders.Read", "Orders.Write"]
    assert printed.startswith(f"{AUTHORITY}/PARTNER_TENANT_ID/adminconsent?client_id={API_CLIENT_ID}")
    assert "tenantgate resource create" not in script


def test_a_resource_of_the_registry(desk: Desk, tmp_path: Path) -> None:
    """From the database of the settings; without a client id among its audiences it is new, and is to be added."""
    answer = desk.call("resource", "setup-guide", "--id", "orders", "--name", "Orders API")

    assert (answer.status, answer.err) == (0, "")
    calls, _ = run_az(answer.out, tmp_path)
    assert calls[0][:3] == ["ad", "app", "create"]
    assert options_of(calls[0])["--identifier-uris"] == "api://orders"
    assert [role["value"] for role in as_graph(calls[0])["appRoles"]] == ["Orders.Read"]
    assert 'add "$APP_ID" to the `audiences` of resource orders' in answer.out


def test_an_api_that_is_not_in_any_policy_yet_is_created_here_too() -> None:
    """The last line is the command that makes its resource, with both audiences."""
    last = guide(*NEW).splitlines()[-1]

    assert last == f'# tenantgate resource create --id api --audience {URI} --audience "$APP_ID"'


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "give --id RESOURCE, or --name"),
        (("--id", "orders"), "give --policy FILE or --database"),
        (("--name", "a\nb"), "--name: "),
        (("--name", "x", "--app-id-uri", "api://a b"), "--app-id-uri: "),
        (("--name", "x", "--client-id", "orders"), "--client-id: "),
        (("--name", "x", "--role", "Orders Read"), "value: "),
        (("--name", "x", "--redirect-uri", "http://publisher.example"), "--redirect-uri: "),
        (("--name", "x", "--authority", "login.microsoftonline.com"), "--authority: "),
        (("--name", "x", "--format", "bicep"), "bicep"),
    ],
    ids=["nothing", "no policy", "name", "uri", "client id", "role", "redirect", "authority", "format"],
)
def test_what_cannot_be_used_is_refused(options: tuple[str, ...], message: str) -> None:
    """One line says which option; nothing is printed that somebody might run."""
    assert message in refused(*options)


def test_an_unknown_resource_is_refused(tmp_path: Path) -> None:
    """A guide for a resource that nobody has would be one for another."""
    policy = write_policy(tmp_path / "policy.json")

    assert "resource_unknown" in refused("--id", "order", "--policy", str(policy))
