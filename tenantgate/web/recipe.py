"""What a partner's developer types: a token from their own tenant, then the call. No secret of theirs is known here."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote

from tenantgate.core.policy import is_guid
from tenantgate.registry.tables import Daemon, Issuer, Tenant

_CURL = "curl --silent --show-error"
_CALL = f'{_CURL} --header "Authorization: Bearer $ACCESS_TOKEN" "$API_URL"'


def recipe(issuer: Issuer, tenant: Tenant, daemon: Daemon, audiences: Mapping[str, Sequence[str]]) -> str:
    """Return two commands for a shell. `CLIENT_SECRET`, `ACCESS_TOKEN` and `API_URL` are for the developer to set.

    `audiences` are what each API (by its id, at least one) accepts; the first is asked for. Every value of ours is quoted: a client id may hold anything but space.
    """
    audience = next((each for each in audiences if not is_guid(each)), audiences[0])
    if issuer.kind == "entra":
        endpoint, fields, notes = _entra(issuer, tenant, audience)
    else:
        endpoint, fields, notes = _oidc(issuer, audience)
    form = ["grant_type=client_credentials", f"client_id={daemon.client_id}", *fields]
    lines = [f"{_CURL} {endpoint}", *(f"  --data-urlencode {quote(each)}" for each in form)]
    lines.append('  --data-urlencode "client_secret=$CLIENT_SECRET"')
    return "\n".join(
        [*notes, " \\\n".join(lines), "", "# 2. The call, with the access_token out of that answer.", _CALL]
    )


def _entra(issuer: Issuer, tenant: Tenant, audience: str) -> tuple[str, list[str], list[str]]:
    endpoint = quote(f"{issuer.authority}/{tenant.tid}/oauth2/v2.0/token")
    return endpoint, [f"scope={audience}/.default"], ["# 1. A token from your own tenant."]


def _oidc(issuer: Issuer, audience: str) -> tuple[str, list[str], list[str]]:
    notes = [
        f"# 1. A token from your own issuer, {issuer.issuer}",
        "#    TOKEN_ENDPOINT is the token_endpoint of its metadata:",
        f"#    {issuer.metadata_url or 'ask whoever runs it'}",
        f"#    Set it up so that the token's aud is {audience}",
    ]
    return '"$TOKEN_ENDPOINT"', [], notes
