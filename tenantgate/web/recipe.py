"""What a partner's developer types: a token from their own tenant, then the call. No secret of theirs is known here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from shlex import quote

from tenantgate.core.policy import is_guid
from tenantgate.registry.tables import Daemon, Issuer, Tenant

_CURL = "curl --silent --show-error"
_CALL = f'{_CURL} --header "Authorization: Bearer $ACCESS_TOKEN" "$API_URL"'


def recipe(issuer: Issuer, tenant: Tenant, daemon: Daemon, audiences: Mapping[str, Sequence[str]]) -> str:
    """Return two commands for a shell. `CLIENT_SECRET`, `ACCESS_TOKEN` and `API_URL` are for the developer to set.

    `audiences` are what each API accepts, by the API's id; there is at least one, and the first is asked for.
    Every value of ours is quoted: a client id may hold anything but white space.
    """
    named = {
        api: next((each for each in accepted if not is_guid(each)), accepted[0]) for api, accepted in audiences.items()
    }
    endpoint, fields, notes = _entra(issuer, tenant, named) if issuer.kind == "entra" else _oidc(issuer, named)
    form = ["grant_type=client_credentials", f"client_id={daemon.client_id}", *fields]
    lines = [f"{_CURL} {endpoint}", *(f"  --data-urlencode {quote(each)}" for each in form)]
    lines.append('  --data-urlencode "client_secret=$CLIENT_SECRET"')
    call = ["", "# 2. The call, with the access_token out of that answer.", _CALL]
    return "\n".join([*notes, " \\\n".join(lines), *call])


def _entra(issuer: Issuer, tenant: Tenant, named: Mapping[str, str]) -> tuple[str, list[str], list[str]]:
    endpoint = quote(f"{issuer.authority}/{tenant.tid}/oauth2/v2.0/token")
    first, *others = ((api, f"scope={audience}/.default") for api, audience in named.items())
    notes = [f"# 1. A token for {first[0]}, from your own tenant."]
    return endpoint, [first[1]], notes + [f"#    For {api}: {scope}" for api, scope in others]


def _oidc(issuer: Issuer, named: Mapping[str, str]) -> tuple[str, list[str], list[str]]:
    notes = [
        f"# 1. A token from your own issuer, {issuer.issuer}",
        "#    TOKEN_ENDPOINT is the token_endpoint of its metadata:",
        f"#    {issuer.metadata_url or 'ask whoever runs it'}",
        *(f"#    The token's aud must be {audience} for {api}." for api, audience in named.items()),
    ]
    return '"$TOKEN_ENDPOINT"', [], notes
