"""Who is on the list: the policy the corpus is judged by, as a policy file has it (docs/policy-file.md)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from tests.builders import (
    ACME_CLIENT,
    ACME_OID,
    ACME_TID,
    API_CLIENT_ID,
    API_URI,
    AUTHORITY,
    BILLING_CLIENT_ID,
    HOME_CLIENT,
    HOME_TID,
    INITECH_CLIENT,
    INITECH_TID,
    NOW,
    V1_TEMPLATE,
    V2_TEMPLATE,
)
from tests.corpus.world import KEY_SETS, OIDC, SECOND_V2, UNREACHED_ISSUER

Row = dict[str, Any]


def guid(kind: str, number: int) -> str:
    """Return an invented GUID: `kind` is its first digit, repeated."""
    return f"{kind * 8}-0000-4000-8000-{number:012d}"


# Tenants and daemons of which something in the policy is not as it must be.
SUSPENDED_TID: Final = guid("b", 101)
SUSPENDED_PARTNER_TID: Final = guid("b", 102)
ENDED_TID: Final = guid("b", 103)
INVITED_TID: Final = guid("b", 104)
ARCHIVED_TID: Final = guid("b", 105)
SUSPENDED_CLIENT: Final = guid("c", 101)
CERTIFICATE_CLIENT: Final = guid("c", 102)
ROLELESS_CLIENT: Final = guid("c", 103)
EXPIRED_CLIENT: Final = guid("c", 104)
FUTURE_CLIENT: Final = guid("c", 105)
ORPHAN_CLIENT: Final = guid("c", 106)
PINNED_CLIENT: Final = "globex-pinned"
LEDGER: Final = "api://ledger.example"
VAULT: Final = "api://vault.example"


def _issuers() -> Iterable[Row]:
    second = {"authority": "https://login.second.example", "v2_issuer": SECOND_V2, "jwks": KEY_SETS["second"]}
    yield {
        "id": "cloud",
        "kind": "entra",
        "authority": AUTHORITY,
        "v2_issuer": V2_TEMPLATE,
        "v1_issuer": V1_TEMPLATE,
        "jwks": KEY_SETS["cloud-v2"],
        "v1_jwks": KEY_SETS["cloud-v1"],
    }
    yield {"id": "second", "kind": "entra", **second}
    for name, (issuer, _) in OIDC.items():
        yield {"id": name, "kind": "oidc", "issuer": issuer, "jwks": KEY_SETS[name]}
    yield {"id": "unreached", "kind": "oidc", "issuer": UNREACHED_ISSUER}


_PARTNERS: Final[tuple[Row, ...]] = (
    {"id": "acme"},
    {"id": "initech"},
    *({"id": name} for name in OIDC),
    {"id": "paused", "state": "suspended"},
    {"id": "ended", "ends_at": NOW},
    {"id": "invited", "state": "invited"},
    {"id": "archived", "state": "archived"},
)

_TENANTS: Final[tuple[Row, ...]] = (
    {"id": "acme-tenant", "issuer": "cloud", "partner": "acme", "tid": ACME_TID},
    {"id": "acme-second", "issuer": "cloud", "partner": "acme", "tid": SUSPENDED_TID, "state": "suspended"},
    {"id": "initech-tenant", "issuer": "cloud", "partner": "initech", "tid": INITECH_TID},
    {"id": "paused-tenant", "issuer": "cloud", "partner": "paused", "tid": SUSPENDED_PARTNER_TID},
    {"id": "ended-tenant", "issuer": "cloud", "partner": "ended", "tid": ENDED_TID},
    {"id": "invited-tenant", "issuer": "cloud", "partner": "invited", "tid": INVITED_TID},
    {"id": "archived-tenant", "issuer": "cloud", "partner": "archived", "tid": ARCHIVED_TID},
    {"id": "home", "issuer": "cloud", "tid": HOME_TID, "hosted": True},
    *({"id": f"{name}-tenant", "issuer": name, "partner": name} for name in OIDC),
)

_DAEMONS: Final[tuple[Row, ...]] = (
    {"id": "acme-sync", "tenant": "acme-tenant", "client_id": ACME_CLIENT, "oid": ACME_OID},
    {"id": "acme-paused", "tenant": "acme-tenant", "client_id": SUSPENDED_CLIENT, "state": "suspended"},
    {"id": "acme-vault", "tenant": "acme-tenant", "client_id": CERTIFICATE_CLIENT, "min_credential": "certificate"},
    {"id": "acme-roleless", "tenant": "acme-tenant", "client_id": ROLELESS_CLIENT},
    {"id": "acme-expired", "tenant": "acme-tenant", "client_id": EXPIRED_CLIENT},
    {"id": "acme-future", "tenant": "acme-tenant", "client_id": FUTURE_CLIENT},
    {"id": "initech-sync", "tenant": "initech-tenant", "client_id": INITECH_CLIENT},
    *(
        {"id": f"{partner}-sync", "tenant": tenant, "client_id": ACME_CLIENT}
        for partner, tenant in (
            ("second", "acme-second"),
            ("paused", "paused-tenant"),
            ("ended", "ended-tenant"),
            ("invited", "invited-tenant"),
            ("archived", "archived-tenant"),
        )
    ),
    {"id": "home-initech", "tenant": "home", "client_id": HOME_CLIENT, "partner": "initech"},
    {"id": "home-paused", "tenant": "home", "client_id": ORPHAN_CLIENT, "partner": "paused"},
    *({"id": f"{name}-sync", "tenant": f"{name}-tenant", "client_id": client} for name, (_, client) in OIDC.items()),
    {"id": "globex-pinned", "tenant": "globex-tenant", "client_id": PINNED_CLIENT, "subject": PINNED_CLIENT},
)

_UNASSIGNED: Final = frozenset(("acme-roleless",))
_WINDOWS: Final = {"acme-expired": {"expires_at": NOW}, "acme-future": {"not_before": NOW + 1}}

_RESOURCES: Final[tuple[Row, ...]] = (
    {"id": "orders", "audiences": [API_CLIENT_ID, API_URI]},
    {"id": "billing", "audiences": [BILLING_CLIENT_ID], "token_roles": "intersect"},
    {
        "id": "ledger",
        "audiences": [LEDGER],
        "issuers": ["cloud"],
        "clients": [ACME_CLIENT],
        "token_versions": ["2.0"],
        "required_claims": [{"claim": "roles", "values": ["Ledger.Read"]}],
    },
    {"id": "vault", "audiences": [VAULT], "addresses": ["192.0.2.0/24"]},
)
_APP_ROLES: Final[tuple[Row, ...]] = (
    {"id": "orders-read", "resource": "orders", "value": "Orders.Read"},
    {"id": "orders-write", "resource": "orders", "value": "Orders.Write"},
    {"id": "billing-read", "resource": "billing", "value": "Billing.Read"},
)


def policy(issuers: Iterable[str] | None = None) -> Row:
    """Return the policy file (docs/policy-file.md), or as much of it as hangs on some issuers."""
    wanted = [row for row in _issuers() if issuers is None or row["id"] in issuers]
    tenants = [row for row in _TENANTS if row["issuer"] in {each["id"] for each in wanted}]
    daemons = [row for row in _DAEMONS if row["tenant"] in {each["id"] for each in tenants}]
    named = {row.get("partner") for row in (*tenants, *daemons)}
    return {
        "version": 1,
        "issuers": wanted,
        "partners": [{**row, "name": row["id"].capitalize()} for row in _PARTNERS if row["id"] in named],
        "tenants": tenants,
        "daemons": daemons,
        "resources": list(_RESOURCES),
        "app_roles": list(_APP_ROLES),
        "role_assignments": list(_assignments(daemons)),
    }


def _assignments(daemons: Iterable[Row]) -> Iterable[Row]:
    for daemon in daemons:
        name = daemon["id"]
        if name not in _UNASSIGNED:
            yield {"id": f"{name}-reads", "app_role": "orders-read", "daemon": name, **_WINDOWS.get(name, {})}
        if name == "acme-sync":
            yield {"id": f"{name}-bills", "app_role": "billing-read", "daemon": name}
