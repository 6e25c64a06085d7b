"""The metadata and key documents, member for member as Entra serves them, with our own addresses in them.

Where Entra names another service of Microsoft's, ours names an invented `.example` host: nothing here leads there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urlencode

from tenantgate.emulator.directory import SHARED, TokenVersion
from tenantgate.emulator.keys import SigningKey
from tenantgate.emulator.tokens import issuer_of

CLOUD_INSTANCE_NAME: Final = "entra-shaped.example"
TENANT_ID_PLACEHOLDER: Final = "{tenantid}"

_CLAIMS: Final = (
    "sub iss cloud_instance_name cloud_instance_host_name cloud_graph_host_name msgraph_host aud exp iat auth_time "
    "acr nonce preferred_username name tid ver at_hash c_hash email"
)
_CLAIMS_V1: Final = (
    "sub iss cloud_instance_name cloud_instance_host_name cloud_graph_host_name msgraph_host aud exp iat auth_time "
    "acr amr nonce email given_name family_name nickname"
)


def document(authority: str, tenant: str, version: TokenVersion, *, appid: str | None = None) -> dict[str, Any]:
    """Return the OpenID configuration of `tenant`, a GUID or a shared name.

    The shared documents name the issuer by a template; `appid` (untrusted) asks for an application's own keys and is
    handed on to `jwks_uri`, as Entra does.
    """
    path = "/v2.0" if version == 2 else ""
    keys = f"{authority}/{tenant}/discovery{path}/keys"
    return {
        "token_endpoint": f"{authority}/{tenant}/oauth2{path}/token",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "jwks_uri": keys if appid is None else f"{keys}?{urlencode({'appid': appid})}",
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"] if version == 2 else ["openid"],
        "issuer": issuer_of(authority, _tid_or_placeholder(tenant), version),
        "request_uri_parameter_supported": False,
        "userinfo_endpoint": f"https://graph.{CLOUD_INSTANCE_NAME}/oidc/userinfo",
        "authorization_endpoint": f"{authority}/{tenant}/oauth2{path}/authorize",
        "device_authorization_endpoint": f"{authority}/{tenant}/oauth2{path}/devicecode",
        "http_logout_supported": True,
        "frontchannel_logout_supported": True,
        "end_session_endpoint": f"{authority}/{tenant}/oauth2{path}/logout",
        "claims_supported": (_CLAIMS if version == 2 else _CLAIMS_V1).split(),
        "kerberos_endpoint": f"{authority}/{tenant}/kerberos",
        "tenant_region_scope": None if tenant in SHARED else "WW",
        "cloud_instance_name": CLOUD_INSTANCE_NAME,
        "cloud_graph_host_name": f"graph-v1.{CLOUD_INSTANCE_NAME}",
        "msgraph_host": f"graph.{CLOUD_INSTANCE_NAME}",
        "rbac_url": f"https://pas.{CLOUD_INSTANCE_NAME}",
    }


def key_set(authority: str, tenant: str, version: TokenVersion, keys: Iterable[SigningKey]) -> dict[str, Any]:
    """Return the keys `tenant` (a GUID or a shared name) publishes.

    v2 keys name their issuer: the template in the shared documents, the tenant's own issuer in its own document, and
    one tenant's issuer everywhere for a key bound to it. v1 keys name none.
    """
    visible = [key for key in keys if key.only_tid is None or tenant in (*SHARED, key.only_tid)]
    if version == 1:
        return {"keys": [key.jwk() for key in visible]}
    named = [(key, key.only_tid or _tid_or_placeholder(tenant)) for key in visible]
    return {"keys": [{**key.jwk(), "issuer": issuer_of(authority, tid, 2)} for key, tid in named]}


def _tid_or_placeholder(tenant: str) -> str:
    return TENANT_ID_PLACEHOLDER if tenant in SHARED else tenant
