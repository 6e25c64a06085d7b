"""The publisher's own people and automation: at an Entra-shaped authority (the emulator's), and at one of another make.

Nobody here is real; the keys are given, so nothing is fetched.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from msgspec.structs import replace

from tenantgate.admin.bearer import AdminTokens
from tenantgate.admin.trusted import AdminIssuer, Trusted
from tenantgate.core.keys import KeySetRef, StaticKeys
from tenantgate.emulator.authority import Authority
from tenantgate.emulator.keys import UNPUBLISHED
from tenantgate.registry.identities import Identity
from tenantgate.testing.keys import KeyShelf
from tests.builders import signer
from tests.registry.builders import NOW

CLOUD: Final = "https://login.staff.example"
HOME: Final = "bbbbbbbb-0000-4000-8000-0000000000a1"
PARTNER: Final = "bbbbbbbb-0000-4000-8000-0000000000a2"
"""A partner's tenant at the same cloud."""
CLIENT: Final = "cccccccc-0000-4000-8000-0000000000a3"
API: Final = "aaaaaaaa-0000-4000-8000-0000000000a4"
"""What administrators' tokens are made for."""
OTHER_API: Final = "aaaaaaaa-0000-4000-8000-0000000000a5"
REALM: Final = "https://id.staff.example/realms/staff"
REALM_AUDIENCE: Final = "tenantgate-admin"
ROLES: Final = ("Admin", "Operator", "Viewer")
ENTRA: Final[dict[str, Any]] = {
    "authority": CLOUD,
    "tenant": HOME,
    "audiences": (API,),
    "admin": ("TenantGate.Admin",),
    "operator": ("TenantGate.Operator",),
    "viewer": ("TenantGate.Viewer",),
}
KEYCLOAK: Final[dict[str, Any]] = {
    "issuer": REALM,
    "audiences": (REALM_AUDIENCE,),
    "roles_claim": "/realm_access/roles",
    "profile": "keycloak",
    "admin": ("administer",),
    "viewer": ("look",),
}
_SHELF: Final = KeyShelf()


def oid_of(name: str) -> str:
    """The object id of somebody."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://staff.example/{name}"))


def identity_of(name: str) -> Identity:
    """Who somebody is at the cloud."""
    return Identity(issuer=CLOUD, tid=HOME, oid=oid_of(name))


@cache
def authority() -> Authority:
    """The cloud, at which everybody's tokens are signed."""
    made = Authority(CLOUD, clock=lambda: NOW, keys=_SHELF.factory(), entropy=lambda size: b"\x07" * size)
    made.add_resource(API)
    made.add_resource(OTHER_API)
    for tid, name in ((HOME, "home"), (PARTNER, "partner")):
        made.add_tenant(tid, name)
        made.add_daemon(tid, CLIENT, oid=oid_of(f"automation of {name}"))
    return made


def token(
    who: str = "an-admin",
    roles: tuple[str, ...] | None = ("TenantGate.Admin",),
    *,
    tid: str = HOME,
    audience: str = API,
    lifetime: float | None = None,
    forged: bool = False,
    header: dict[str, Any] | None = None,
    without: tuple[str, ...] = (),
    **claims: Any,
) -> str:
    """A person's access token, signed by the cloud; what is given spoils it, `claims` laid over last."""
    person = {
        "oid": oid_of(who),
        "sub": f"pairwise-{who}",
        "name": f"{who} of Staff",
        "preferred_username": f"{who}@staff.example",
        "scp": "administer",
        "azpacr": "0",
    }
    given = {} if roles is None else {"roles": list(roles)}
    return authority().mint(
        tid,
        CLIENT,
        audience,
        lifetime=lifetime,
        claims={**person, **given, **claims},
        remove=without if "idtyp" in claims else ("idtyp", *without),
        header={"kid": authority().keys.signing().kid, **(header or {})} if forged else header,
        key=UNPUBLISHED if forged else None,
    )


def app_token(roles: tuple[str, ...] = ("TenantGate.Admin",), *, tid: str = HOME, **claims: Any) -> str:
    """The access token of automation: no person behind it."""
    return authority().mint(tid, CLIENT, API, claims={"roles": list(roles), **claims})


def realm_token(**claims: Any) -> str:
    """A person's access token of the issuer of another make; `...` leaves a claim out."""
    sound = {
        "iss": REALM,
        "aud": REALM_AUDIENCE,
        "azp": "portal",
        "sub": "7c0ffee0-0000-4000-8000-000000000001",
        "typ": "Bearer",
        "scope": "openid profile",
        "preferred_username": "ada",
        "realm_access": {"roles": ["administer", "offline_access"]},
        "iat": NOW,
        "exp": NOW + 300,
    }
    return signer("ES256", "realm").sign({k: v for k, v in {**sound, **claims}.items() if v is not ...})


async def never(ref: KeySetRef, kid: str | None) -> None:
    """Fetch nothing: the keys are at hand, or there are none to be had."""
    del ref, kid


def tokens(
    *issuers: dict[str, Any],
    keys: Callable[[], dict[str, Any]] = lambda: authority().jwks(),
    **options: Any,
) -> AdminTokens:
    """What reads tokens of these issuers (both, where none is named), by keys that are given."""
    trusted = Trusted([AdminIssuer(**each) for each in issuers or (ENTRA, KEYCLOAK)])
    realm = {"keys": [signer("ES256", "realm").jwk()]}
    rows = [replace(row, jwks=keys() if row.kind == "entra" else realm, metadata_url=None) for row in trusted.rows]
    return AdminTokens(trusted, StaticKeys(rows), never, **options)
