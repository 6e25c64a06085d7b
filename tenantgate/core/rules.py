"""What makes a row right: alone (`check_row`), beside what it names (`check_tenant` …), in a whole policy.

Whoever writes a policy, page, command or file, passes through here, so all of them refuse the same
things with the same codes. Input was written by an operator; nothing here comes from a token.

Every refusal is a `PolicyError` whose `path` names the member. Codes, stable:

Texts and numbers
    `id_malformed` is no slug · `text_empty` · `text_too_long` · `text_not_allowed` a control character or
    one that nobody sees, or white space where none may be · `text_not_normalised` not NFC · `value_unknown` not one
    of the named values · `number_out_of_range` · `list_empty` · `list_too_long` · `list_duplicate` ·
    `guid_malformed` · `role_value_malformed` · `window_empty` ends before it begins
Token rules
    `pointer_malformed` no claim's name and no JSON Pointer · `separator_malformed` · `network_malformed` no CIDR ·
    `header_malformed` · `query_malformed` · `scheme_malformed`
Issuers
    `url_malformed` · `url_not_https` · `url_not_loopback` plain http beyond this machine ·
    `template_malformed` · `host_malformed` · `algorithm_not_allowed` · `token_type_malformed` ·
    `jwks_malformed` · `ca_bundle_malformed` no certificates in PEM, or a private key · `proxy_malformed` ·
    `authority_not_allowed` a cloud that is closed, or not for tokens of partners ·
    `claim_not_allowed` a claim that people can change, or that means something else ·
    `client_id_malformed` no token of this issuer's profile could carry it ·
    `issuer_duplicate` another issuer covers the same `iss`
Members
    `member_missing` · `member_not_allowed` does not go with the rest of the row · `consumer_tenant` the
    tenant of personal accounts
Among rows
    `id_duplicate` · `reference_unknown` · `tenant_duplicate` one tid twice at an issuer ·
    `v1_issuer_shared` one tid active in two clouds with one v1 issuer · `client_id_duplicate` twice in a
    tenant · `role_value_duplicate` twice at a resource · `audience_overlap` one `aud`, two resources ·
    `tenant_wide_not_allowed` the resource does not allow it, or the tenant is hosted ·
    `role_mapping_duplicate` the same value of the same claim gives the role twice
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec.structs import replace

from tenantgate.core.clouds import Cloud, find_cloud, why_refused
from tenantgate.core.fetching import check_fetching
from tenantgate.core.fields import (
    IDENTITY_LENGTH,
    LATEST,
    PLACEHOLDER,
    check_absent,
    check_guid,
    check_id,
    check_identity,
    check_list,
    check_number,
    check_text,
    check_url,
    check_value,
)
from tenantgate.core.pointer import check_believable, parse_pointer
from tenantgate.core.policy import (
    CONSUMER_TENANT,
    AppRoleRow,
    CredentialStrength,
    DaemonRow,
    DaemonState,
    IssuerRow,
    PartnerRow,
    PartnerState,
    PolicyError,
    ResourceRow,
    RoleAssignmentRow,
    RoleMappingRow,
    RowData,
    TenantRow,
    TenantState,
    is_guid,
)
from tenantgate.core.profiles.standard import STANDARD
from tenantgate.core.profiles.table import get_profile, narrowed_types
from tenantgate.core.references import check_references as check_references
from tenantgate.core.resources import check_resource

_ALGORITHMS: Final = frozenset(
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
)
_TENANT_PATHS: Final = frozenset(("common", "organizations", "consumers", "v2.0"))
_SOME_TID: Final = "00000000-0000-4000-8000-000000000000"
# No space, quote, backslash or comma: a value stands in a challenge's scope and in a header's list.
_ROLE_VALUE: Final = re.compile(r"[!#-+\--\[\]-~]{1,120}\Z")
_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?\Z")
_TOKEN_TYPE: Final = re.compile(r"[A-Za-z0-9!#$&^_.+/-]{1,64}\Z")


def check_row(data: RowData) -> RowData:
    """Return `data` with its defaults filled in and its GUIDs in lower case, or refuse it.

    Judges the row alone; checking the result again changes nothing. A daemon's client id is left as
    it is: whether it is a GUID depends on its tenant (`check_daemon`).

    Raises:
        PolicyError: with the codes above; `path` is the member.
    """
    check_id(data.id, "id")
    return _CHECKS[type(data)](data)


# One row.


def _check_issuer(row: IssuerRow) -> IssuerRow:
    row = replace(row, jwks_hosts=tuple(host.lower() for host in row.jwks_hosts))
    _each(row.jwks_hosts, "jwks_hosts", "host_malformed", "must be a host name, with a port if need be", _HOST.match)
    _each(row.algorithms, "algorithms", "algorithm_not_allowed", "is no public-key signature", _ALGORITHMS.__contains__)
    _each(row.token_types, "token_types", "token_type_malformed", "cannot be a typ", _TOKEN_TYPE.match)
    if not row.token_types:
        raise PolicyError("list_empty", "must not be empty", "token_types")
    for member in ("jwks", "v1_jwks"):
        jwks = getattr(row, member)
        if jwks is not None and not (isinstance(jwks.get("keys"), list) and jwks["keys"]):
            raise PolicyError("jwks_malformed", "must be a key set: an object with a list `keys`", member)
    check_fetching(row)
    if row.kind == "entra":
        return _check_entra(row)
    if row.kind == "oidc":
        return _check_oidc(row)
    raise PolicyError("value_unknown", "must be one of entra, oidc", "kind")


def _each(values: tuple[str, ...], path: str, code: str, message: str, test: Callable[[str], object]) -> None:
    for place, value in enumerate(values):
        if not test(value):
            raise PolicyError(code, f"{value!r} {message}", f"{path}[{place}]")
    check_list(values, path)


def _check_entra(row: IssuerRow) -> IssuerRow:
    check_absent(row, "does not go with kind entra", "issuer", "client_id_claim", "roles_claim", "subject_pin")
    if row.profile != STANDARD.name:
        raise PolicyError("member_not_allowed", "does not go with kind entra", "profile")
    if row.authority is None:
        raise PolicyError("member_missing", "an issuer of kind entra needs its authority", "authority")
    authority = row.authority.rstrip("/")
    check_url(authority, "authority", allow_http=row.insecure_allow_http)
    if urlsplit(authority).netloc != urlsplit(authority).netloc.lower():
        raise PolicyError("url_malformed", "the host must be in lower case", "authority")
    last = urlsplit(authority).path.rpartition("/")[2].lower()
    if last in _TENANT_PATHS or is_guid(last):  # pasted with a tenant: no token would ever have such an issuer
        raise PolicyError("url_malformed", "must be the login address alone, without a tenant", "authority")
    authority, cloud = _known_authority(authority)
    v1_issuer = row.v1_issuer or (cloud and cloud.v1_issuer)
    # Keys given with the row mean that nothing is to be fetched, unless an address is named all the same.
    discover = authority if row.jwks is None else None
    row = replace(
        row,
        authority=authority,
        v2_issuer=row.v2_issuer or authority + "/{tenantid}/v2.0",
        v1_issuer=v1_issuer,
        metadata_url=row.metadata_url
        or (discover and discover + "/organizations/v2.0/.well-known/openid-configuration"),
        v1_metadata_url=row.v1_metadata_url
        or (v1_issuer and discover and discover + "/organizations/.well-known/openid-configuration"),
    )
    for member in ("v2_issuer", "v1_issuer"):
        _check_template(getattr(row, member), member, allow_http=row.insecure_allow_http)
    if row.v1_issuer == row.v2_issuer:
        raise PolicyError("template_malformed", "v1 and v2 need issuers that differ", "v1_issuer")
    if row.v1_issuer is None:
        check_absent(row, "needs a v1_issuer", "v1_metadata_url", "v1_jwks")
    for member in ("metadata_url", "v1_metadata_url"):
        if getattr(row, member) is not None:
            check_url(getattr(row, member), member, allow_http=row.insecure_allow_http, query=True)
    return row


def _known_authority(authority: str) -> tuple[str, Cloud | None]:
    """Return the authority under its cloud's own name, and the cloud. A host of the past or of tests is refused."""
    host = urlsplit(authority).netloc
    reason = why_refused(host)
    if reason is not None:
        raise PolicyError("authority_not_allowed", reason, "authority")
    cloud = find_cloud(host)
    return (authority, None) if cloud is None else (authority.replace(host, cloud.host, 1), cloud)


def _check_template(value: str | None, path: str, *, allow_http: bool) -> None:
    if value is None:
        return
    if value.count(PLACEHOLDER) != 1 or value.count("{") != 1 or value.count("}") != 1:
        raise PolicyError("template_malformed", f"must hold {PLACEHOLDER} exactly once", path)
    check_url(value.replace(PLACEHOLDER, _SOME_TID), path, allow_http=allow_http)
    if PLACEHOLDER in urlsplit(value).netloc:
        raise PolicyError("template_malformed", f"{PLACEHOLDER} belongs into the path", path)


def _check_oidc(row: IssuerRow) -> IssuerRow:
    why = "does not go with kind oidc"
    check_absent(row, why, "authority", "v1_issuer", "v2_issuer", "v1_metadata_url", "v1_jwks")
    if row.issuer is None:
        raise PolicyError("member_missing", "an issuer of kind oidc needs its exact issuer", "issuer")
    check_url(row.issuer, "issuer", allow_http=row.insecure_allow_http)
    if row.metadata_url is None and row.jwks is None:
        row = replace(row, metadata_url=row.issuer.rstrip("/") + "/.well-known/openid-configuration")
    if row.metadata_url is not None:
        check_url(row.metadata_url, "metadata_url", allow_http=row.insecure_allow_http, query=True)
    if row.client_id_claim is not None:
        check_text(row.client_id_claim, "client_id_claim", limit=IDENTITY_LENGTH, spaces=False)
        check_believable(parse_pointer(row.client_id_claim, "client_id_claim"), "client_id_claim")
    if row.roles_claim is not None:
        check_believable(parse_pointer(row.roles_claim, "roles_claim"), "roles_claim")
    return replace(row, token_types=narrowed_types(get_profile(row.profile), row.token_types))


def _check_partner(row: PartnerRow) -> PartnerRow:
    check_text(row.name, "name")
    check_value(row.state, "state", PartnerState)
    if row.ends_at is not None:
        check_number(row.ends_at, "ends_at", 0, LATEST)
    return row


def _check_tenant(row: TenantRow) -> TenantRow:
    check_id(row.issuer, "issuer")
    check_value(row.state, "state", TenantState)
    if row.hosted:
        check_absent(row, "a hosted tenant is the publisher's own: its daemons name their partners", "partner")
    elif row.partner is None:
        raise PolicyError("member_missing", "a tenant belongs to a partner, unless it is hosted", "partner")
    else:
        check_id(row.partner, "partner")
    if row.tid is None:
        return row
    tid = check_guid(row.tid, "tid")
    if tid == CONSUMER_TENANT:
        raise PolicyError("consumer_tenant", "this is the tenant of personal Microsoft accounts", "tid")
    return replace(row, tid=tid)


def _check_daemon(row: DaemonRow) -> DaemonRow:
    check_id(row.tenant, "tenant")
    check_identity(row.client_id, "client_id", spaces=False)
    check_value(row.state, "state", DaemonState)
    check_value(row.min_credential, "min_credential", CredentialStrength)
    if row.partner is not None:
        check_id(row.partner, "partner")
    if row.subject is not None:
        check_identity(row.subject, "subject")
    return row if row.oid is None else replace(row, oid=check_guid(row.oid, "oid"))


def _check_app_role(row: AppRoleRow) -> AppRoleRow:
    check_id(row.resource, "resource")
    if not _ROLE_VALUE.match(row.value):
        raise PolicyError("role_value_malformed", 'must be up to 120 characters, no space, comma, " or \\', "value")
    return row


def _check_assignment(row: RoleAssignmentRow) -> RoleAssignmentRow:
    check_id(row.app_role, "app_role")
    if row.daemon is None and row.tenant is None:
        raise PolicyError("member_missing", "an assignment names a daemon or a tenant", "daemon")
    if row.daemon is not None:
        check_id(row.daemon, "daemon")
        check_absent(row, "an assignment names a daemon or a tenant, not both", "tenant")
    else:
        check_id(row.tenant or "", "tenant")
    for member in ("not_before", "expires_at"):
        if getattr(row, member) is not None:
            check_number(getattr(row, member), member, 0, LATEST)
    if row.not_before is not None and row.expires_at is not None and row.not_before >= row.expires_at:
        raise PolicyError("window_empty", "must be later than not_before", "expires_at")
    return row


def _check_mapping(row: RoleMappingRow) -> RoleMappingRow:
    check_id(row.issuer, "issuer")
    check_id(row.app_role, "app_role")
    check_believable(parse_pointer(row.claim, "claim"), "claim")
    check_text(row.value, "value", limit=IDENTITY_LENGTH)
    return row


_CHECKS: Final[dict[type[RowData], Callable[[Any], RowData]]] = {
    IssuerRow: _check_issuer,
    PartnerRow: _check_partner,
    TenantRow: _check_tenant,
    DaemonRow: _check_daemon,
    ResourceRow: check_resource,
    AppRoleRow: _check_app_role,
    RoleAssignmentRow: _check_assignment,
    RoleMappingRow: _check_mapping,
}
