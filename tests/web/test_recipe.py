"""What a partner's developer pastes into a shell."""

from __future__ import annotations

import subprocess

from tenantgate.registry.tables import Daemon, Issuer, Tenant
from tenantgate.web.recipe import recipe
from tests.registry.builders import CLIENT_ID, TID

ENTRA = Issuer(id="entra", kind="entra", authority="https://login.microsoftonline.com")
OIDC = Issuer(id="kc", kind="oidc", issuer="https://id.example", metadata_url="https://id.example/.well-known/x")
TENANT = Tenant(id="t", issuer="entra", partner="p", tid=TID)
API_GUID = "0a51c0de-0000-4000-8000-00000000a001"


def run(text: str) -> list[list[str]]:
    """Run the commands in a real shell whose curl only shows what it was given."""
    curl = 'curl() { printf "%s\\n" "$@"; echo "."; }\n'
    done = subprocess.run(
        ["bash", "-euc", curl + text],
        env={
            "CLIENT_SECRET": "s e$cret",
            "ACCESS_TOKEN": "a.b.c",
            "API_URL": "https://api.example/x y",
            "TOKEN_ENDPOINT": "E",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return [call.splitlines() for call in done.stdout.split(".\n") if call]


def sent(arguments: list[str]) -> list[str]:
    """The fields of the form that curl would send."""
    return [arguments[place + 1] for place, each in enumerate(arguments) if each == "--data-urlencode"]


def test_shell_asks_the_tenant_and_then_calls():
    """The two commands do what they say, whatever stands in the values."""
    daemon = Daemon(id="d", tenant="t", client_id=CLIENT_ID)
    token, call = run(recipe(ENTRA, TENANT, daemon, {"orders": [API_GUID, "api://orders"]}))
    assert token[2] == f"https://login.microsoftonline.com/{TID}/oauth2/v2.0/token"
    assert sent(token) == [
        "grant_type=client_credentials",
        f"client_id={CLIENT_ID}",
        "scope=api://orders/.default",
        "client_secret=s e$cret",
    ]
    assert call[2:] == ["--header", "Authorization: Bearer a.b.c", "https://api.example/x y"]


def test_values_are_quoted():
    """Nothing an operator typed runs in a partner's shell."""
    daemon = Daemon(id="d", tenant="t", client_id='$(touch${IFS}owned)`id`\';echo"x"#&|>')
    token, _ = run(recipe(OIDC, TENANT, daemon, {"orders": ["api://x';touch${IFS}owned;'"]}))
    assert f"client_id={daemon.client_id}" in sent(token)
    token, _ = run(recipe(ENTRA, TENANT, daemon, {"orders": ["api://x';touch${IFS}owned;'"]}))
    assert "scope=api://x';touch${IFS}owned;'/.default" in sent(token)


def test_only_name_of_an_api_may_be_its_guid():
    """Where an API has no URI its client id is what to ask for."""
    text = recipe(ENTRA, TENANT, Daemon(id="d", tenant="t", client_id=CLIENT_ID), {"orders": [API_GUID]})
    assert f"scope={API_GUID}/.default" in sent(run(text)[0])


def test_other_apis_are_named():
    """A daemon with roles at several APIs is told the scope of each: a token is for one."""
    audiences = {"billing": ["api://billing"], "orders": ["api://orders"]}
    text = recipe(ENTRA, TENANT, Daemon(id="d", tenant="t", client_id=CLIENT_ID), audiences)
    assert "A token for billing" in text
    assert "For orders: scope=api://orders/.default" in text


def test_oidc_issuer_says_where_to_look():
    """Of another issuer we know no token endpoint, only where it is written."""
    text = recipe(OIDC, TENANT, Daemon(id="d", tenant="t", client_id="sync"), {"orders": ["api://orders"]})
    assert "https://id.example/.well-known/x" in text
    assert "aud must be api://orders for orders" in text
    assert run(text)[0][2] == "E"
    unknown = Issuer(id="kc", kind="oidc", issuer="https://id.example")
    assert "ask whoever runs it" in recipe(unknown, TENANT, Daemon(id="d", tenant="t", client_id="s"), {"o": ["a"]})
