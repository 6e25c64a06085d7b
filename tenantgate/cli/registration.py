"""An API's own registration at Entra, as three documents: az commands, Microsoft Graph requests, Terraform.

All say the same: open to daemons of other tenants (`AzureADMultipleOrgs`), version 2 tokens, the optional claim
`idtyp`, an app role for applications for each of the resource's roles, and the service principal. The ids of roles are
made from App ID URI and value, so that the three documents, and a second run, agree. They follow Microsoft's and the
provider's documentation; none was ever run against Entra itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from shlex import quote
from typing import Any, Final
from urllib.parse import quote as percent_encoded
from uuid import NAMESPACE_URL, uuid5

_GRAPHS: Final = {
    "https://login.microsoftonline.us": "https://graph.microsoft.us",
    "https://login.partner.microsoftonline.cn": "https://microsoftgraph.chinacloudapi.cn",
}
_WORLDWIDE: Final = "https://graph.microsoft.com"
_OPTIONAL_CLAIMS: Final = {"accessToken": [{"name": "idtyp", "essential": False}]}
_APP_ID: Final = "\0"  # no checked text holds it
_APP_ID_IN_JSON: Final = "\\u0000"
_UNRUN: Final = "Never run against Microsoft Entra ID by us: read it before you run it."
_URIS: Final = (
    "An App ID URI of a registration open to other tenants needs a verified domain of yours, or the app's id."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What is to be registered. Every text is an operator's, checked (no control character, no line break).

    `id` is the resource's; `listed`: the policy has it already. `app_id_uri`: None for `api://` and the app's own id.
    `client_id`: of a registration that is there and is to be changed; None for a new one. `redirect_uri`: where an
    administrator lands after consent.
    """

    id: str
    name: str
    app_id_uri: str | None
    roles: tuple[str, ...]
    authority: str
    listed: bool = False
    client_id: str | None = None
    redirect_uri: str | None = None


def role_id(registration: Registration, value: str) -> str:
    """Return the id of an app role: the same for the same API and value, wherever it is made."""
    return str(uuid5(NAMESPACE_URL, f"{registration.app_id_uri or registration.id}#{value}"))


def _role(registration: Registration, value: str) -> dict[str, Any]:
    return {
        "allowedMemberTypes": ["Application"],
        "description": f"{value} on {registration.name}, for daemons.",
        "displayName": value,
        "id": role_id(registration, value),
        "isEnabled": True,
        "value": value,
    }


def _application(registration: Registration) -> dict[str, Any]:
    """Return the application as Microsoft Graph has it (v1.0, resource type application)."""
    body: dict[str, Any] = {} if registration.client_id is not None else {"displayName": registration.name}
    body["signInAudience"] = "AzureADMultipleOrgs"
    body["api"] = {"requestedAccessTokenVersion": 2}
    body["optionalClaims"] = _OPTIONAL_CLAIMS
    if registration.app_id_uri is not None:
        body["identifierUris"] = [registration.app_id_uri]
    if registration.roles:
        body["appRoles"] = [_role(registration, value) for value in registration.roles]
    if registration.redirect_uri is not None:
        body["web"] = {"redirectUris": [registration.redirect_uri]}
    return body


def _consent(registration: Registration) -> tuple[str, str]:
    """Return where a partner's administrator lets the API in: what stands before the app's id, and what after it."""
    back = registration.redirect_uri
    after = "" if back is None else f"&redirect_uri={percent_encoded(back, safe='')}"
    return f"{registration.authority}/PARTNER_TENANT_ID/adminconsent?client_id=", after


def _beware(registration: Registration) -> list[str]:
    """Return the lines every document begins with."""
    lines = [_UNRUN, _URIS]
    if registration.client_id is not None:
        lines.append(
            "It changes what is there: each list replaces the one before, and roles that are there keep their ids;"
        )
        lines.append("put yours in. From then on every caller gets v2 tokens.")
    return [f"# {line}" for line in lines]


# az


def az(registration: Registration) -> str:
    """Return commands for a POSIX shell: az 2.68 or later, signed in."""
    lines = [
        f"# The registration of {registration.name} in your own tenant. az 2.68 or later, after `az login`.",
        *_beware(registration),
        f"OPTIONAL_CLAIMS={quote(json.dumps(_OPTIONAL_CLAIMS))}",
    ]
    if registration.roles:
        lines.append(f"APP_ROLES={quote(json.dumps(_application(registration)['appRoles']))}")
    lines += _az_application(registration)
    if registration.app_id_uri is None:
        lines.append('az ad app update --id "$APP_ID" --identifier-uris "api://$APP_ID"')
    if registration.client_id is None:
        lines.append('az ad sp create --id "$APP_ID"')
    before, after = _consent(registration)
    end = quote(after) if after else ""
    lines += ["", "# For each partner's administrator, once:", f'echo {quote(before)}"$APP_ID"{end}']
    return "\n".join([*lines, *_tenantgate(registration, '"$APP_ID"')]) + "\n"


def _az_application(registration: Registration) -> list[str]:
    options = [] if registration.client_id is not None else [f"--display-name {quote(registration.name)}"]
    options += [
        "--sign-in-audience AzureADMultipleOrgs",
        "--requested-access-token-version 2",
        '--optional-claims "$OPTIONAL_CLAIMS"',
    ]
    if registration.app_id_uri is not None:
        options.append(f"--identifier-uris {quote(registration.app_id_uri)}")
    if registration.roles:
        options.append('--app-roles "$APP_ROLES"')
    if registration.redirect_uri is not None:
        options.append(f"--web-redirect-uris {quote(registration.redirect_uri)}")
    if registration.client_id is not None:
        return [f"APP_ID={registration.client_id}", _broken(['az ad app update --id "$APP_ID"', *options])]
    return [_broken(["APP_ID=$(az ad app create", *options, "--query appId --output tsv)"])]


def _broken(words: list[str]) -> str:
    return " \\\n  ".join(words)


def _tenantgate(registration: Registration, client_id: str) -> list[str]:
    """Return what is to be done here: v2 tokens carry the app's id as `aud`, so the resource must accept it."""
    if registration.listed:
        known = registration.client_id is not None
        return [] if known else ["", f"# And here: add {client_id} to the `audiences` of resource {registration.id}."]
    audiences = [quote(registration.app_id_uri)] if registration.app_id_uri is not None else []
    options = " ".join(f"--audience {each}" for each in (*audiences, client_id))
    return ["", "# And here:", f"# tenantgate resource create --id {quote(registration.id)} {options}"]


# Microsoft Graph


def graph(registration: Registration) -> str:
    """Return a `.http` file (the form of the REST Client extension): requests whose bodies are JSON."""
    lines = [
        f"# The registration of {registration.name} in your own tenant, through Microsoft Graph.",
        "# GRAPH_TOKEN, in the environment, is a token for it with Application.ReadWrite.All.",
        *_beware(registration),
        "",
        f"@graph = {_GRAPHS.get(registration.authority, _WORLDWIDE)}/v1.0",
    ]
    client_id = registration.client_id or "{{application.response.body.$.appId}}"
    for number, (name, method, path, body) in enumerate(_requests(registration), 1):
        # What looks like a variable in an operator's text must not be one.
        text = json.dumps(body, indent=2, ensure_ascii=False).replace("{{", "\\u007b\\u007b")
        lines += ["", f"### {number}. {name.capitalize()}", f"# @name {name}", f"{method} {{{{graph}}}}{path}"]
        lines += ["Authorization: Bearer {{$processEnv GRAPH_TOKEN}}", "Content-Type: application/json", "", text]
    text = "\n".join(lines).replace(_APP_ID_IN_JSON, client_id).replace(_APP_ID, client_id)
    before, after = _consent(registration)
    app_id = registration.client_id or "APP_ID"
    end = ["", f"# For each partner's administrator, once: {before}{app_id}{after}", *_tenantgate(registration, app_id)]
    return "\n".join([text, *end]) + "\n"


def _requests(registration: Registration) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Yield name, method, path and body of each request."""
    body, one = _application(registration), f"/applications(appId='{_APP_ID}')"
    uris = {} if registration.app_id_uri is not None else {"identifierUris": [f"api://{_APP_ID}"]}
    if registration.client_id is not None:
        yield "application", "PATCH", one, body | uris
        return
    yield "application", "POST", "/applications", body
    if uris:
        yield "identifier", "PATCH", one, uris
    yield "principal", "POST", "/servicePrincipals", {"appId": _APP_ID}


# Terraform


def terraform(registration: Registration) -> str:
    """Return HCL for the provider hashicorp/azuread, 2.49 or later."""
    name = re.sub(r"[^a-z0-9_]", "_", registration.id)
    name = name if name[0].isalpha() else f"api_{name}"
    it = f"azuread_application.{name}"
    lines = [
        f"# The registration of {registration.name} in your own tenant. Provider hashicorp/azuread, 2.49 or later.",
        *_beware(registration),
    ]
    if registration.client_id is not None:
        lines.append(f"# First: terraform import {it} /applications/OBJECT_ID   (of app {registration.client_id})")
    lines += ["", f'resource "azuread_application" "{name}" {{', *_hcl_application(registration), "}"]
    if registration.app_id_uri is None:
        lines += ["", f'resource "azuread_application_identifier_uri" "{name}" {{']
        lines += [f"  application_id = {it}.id", f'  identifier_uri = "api://${{{it}.client_id}}"', "}"]
    if registration.client_id is None:
        lines += ["", f'resource "azuread_service_principal" "{name}" {{', f"  client_id = {it}.client_id", "}"]
    before, after = _consent(registration)
    consent = _hcl(f"{before}{_APP_ID}{after}").replace(_APP_ID_IN_JSON, f"${{{it}.client_id}}")
    lines += ["", f'output "{name}_client_id" {{', f"  value = {it}.client_id", "}"]
    lines += ["", f'output "{name}_admin_consent" {{', f"  value = {consent}", "}"]
    return "\n".join([*lines, *_tenantgate(registration, registration.client_id or "CLIENT_ID")]) + "\n"


def _hcl_application(registration: Registration) -> list[str]:
    # Terraform asks for the name also of what is imported.
    lines = [f"  display_name     = {_hcl(registration.name)}", '  sign_in_audience = "AzureADMultipleOrgs"']
    if registration.app_id_uri is not None:
        lines.append(f"  identifier_uris  = [{_hcl(registration.app_id_uri)}]")
    lines += ["", "  api {", "    requested_access_token_version = 2", "  }"]
    lines += ["", "  optional_claims {", "    access_token {", '      name = "idtyp"', "    }", "  }"]
    for value in registration.roles:
        role = _role(registration, value)
        lines += ["", "  app_role {", '    allowed_member_types = ["Application"]']
        lines += [f"    description          = {_hcl(role['description'])}"]
        lines += [f"    display_name         = {_hcl(value)}", "    enabled              = true"]
        lines += [f"    id                   = {_hcl(role['id'])}", f"    value                = {_hcl(value)}", "  }"]
    if registration.redirect_uri is not None:
        lines += ["", "  web {", f"    redirect_uris = [{_hcl(registration.redirect_uri)}]", "  }"]
    if registration.app_id_uri is None:
        lines += ["", "  lifecycle {", "    ignore_changes = [identifier_uris]", "  }"]
    return lines


def _hcl(value: str) -> str:
    """Return a text as an HCL string: a JSON string in which no template begins."""
    return json.dumps(value, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")
