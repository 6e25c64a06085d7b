"""Random policies and tokens for the oracle: mostly sound, each spoiled in a few places or none.

A `Question` is made from one `random.Random`, so it can be made again from its seed.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from random import Random
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tenantgate.core.policy import (
    AppRoleRow,
    DaemonRow,
    IssuerRow,
    PartnerRow,
    ReportOnly,
    RequiredClaim,
    ResourceRow,
    RoleAssignmentRow,
    RoleMappingRow,
    RowData,
    TenantRow,
)
from tests.builders import AUTHORITY, NOW, OIDC_ISSUER, REMOVE, V1_TEMPLATE, V2_TEMPLATE, Signer, changed
from tests.core.oracle_caller import Question

TIDS: Final = tuple(f"bbbbbbbb-0000-4000-8000-00000000000{n}" for n in range(4))
CONSUMER_TID: Final = "9188040d-6c67-4c5b-b112-36a304b66dad"
GUIDS: Final = tuple(f"cccccccc-0000-4000-8000-00000000000{n}" for n in range(4))
OIDS: Final = tuple(f"dddddddd-0000-4000-8000-00000000000{n}" for n in range(3))
CLIENTS: Final = ("nightly", "Nightly", "sync")
AUDIENCES: Final = ("api://orders.example", "aaaaaaaa-0000-4000-8000-000000000001", "api://billing.example")
ROLES: Final = ("Orders.Read", "Orders.Write", "Billing.Read")
OTHER_V2: Final = "https://login.other.example/{tenantid}/v2.0"
OTHER_OIDC: Final = "https://id.initech.example"


@functools.cache
def key_of(name: str) -> Signer:
    """Return the key of a name in `SIGNERS`, the same in every process. The stranger's borrows a kid of others."""
    private = Ed25519PrivateKey.from_private_bytes(name.encode().ljust(32, b"."))
    return Signer("EdDSA", private, "shared" if name == "stranger" else name)


def published(*names: str, **members: Any) -> dict[str, Any]:
    """Return a key document with these keys."""
    return {"keys": [key_of(name).jwk(**members) for name in names]}


ISSUERS: Final = (
    IssuerRow(
        id="cloud",
        kind="entra",
        authority=AUTHORITY,
        v1_issuer=V1_TEMPLATE,
        v2_issuer=V2_TEMPLATE,
        jwks=published("cloud", "shared", issuer=V2_TEMPLATE),
        v1_jwks=published("cloud", "shared"),
    ),
    # Another cloud with the same v1 issuer, as the worldwide and the US Government cloud have it.
    IssuerRow(
        id="other",
        kind="entra",
        authority="https://login.other.example",
        v1_issuer=V1_TEMPLATE,
        v2_issuer=OTHER_V2,
        jwks=published("other", issuer=OTHER_V2),
        v1_jwks=published("other"),
    ),
    IssuerRow(id="oidc", kind="oidc", issuer=OIDC_ISSUER, jwks=published("oidc", "shared")),
    IssuerRow(id="named", kind="oidc", issuer=OTHER_OIDC, client_id_claim="cid", jwks=published("named")),
)
SIGNERS: Final = {
    **{name: frozenset([name]) for name in ("cloud", "other", "oidc", "named")},
    "shared": frozenset(["cloud", "oidc"]),
    "stranger": frozenset[str](),
}


def question(random: Random) -> Question:
    """Make a policy and a token, and ask one thing of them. `key_of` the answer's signer signs it (see `signer_of`)."""
    rows = (*ISSUERS, *policy(random))
    claims, home = token(random, rows)
    right = [name for name, issuers in SIGNERS.items() if home in issuers]
    name = random.choice(right) if random.random() < 0.97 else random.choice(sorted(SIGNERS))
    wanted = random.choice(
        ((), (), ("Orders.Read",), ("Orders.Read",), ("Orders.Read", "Orders.Write"), ("Billing.Read",))
    )
    resource = random.choice(["orders"] * 40 + ["billing", "nothing"])
    now = NOW + random.choice((*[0] * 20, 0.5, -700, 4_000))
    return Question(rows, claims, SIGNERS[name], resource, wanted, now, random.choice(PEERS))


def signer_of(asked: Question) -> Signer:
    """Return the key that signs the question's token."""
    return key_of(next(name for name, issuers in SIGNERS.items() if issuers == asked.signers))


# Policies


def often(random: Random, sound: Any, *others: Any, share: float = 0.95) -> Any:
    """Return the sound value in this share of the draws."""
    return sound if random.random() < share else random.choice(others)


def moment(random: Random) -> int | None:
    """Return a date around now, or none."""
    return often(random, None, 0, NOW - 1, NOW, NOW + 1, NOW + 10_000)


def policy(random: Random) -> Iterator[RowData]:
    """Yield partners, tenants, daemons, resources, roles, assignments and mappings over the four issuers."""
    for name in ("acme", "globex", "initech"):
        state = often(random, "active", "invited", "suspended", "archived")
        ends = often(random, None, NOW - 1, NOW, NOW + 1)
        if random.random() < 0.95:
            yield PartnerRow(id=name, name=name, state=state, ends_at=ends)
    tenants = [row for row in all_tenants(random) if random.random() < 0.96]
    daemons = [row for tenant in tenants for row in all_daemons(random, tenant)]
    yield from tenants
    yield from daemons
    for name, audiences in (("orders", AUDIENCES[:2]), ("billing", AUDIENCES[2:])):
        yield a_resource(random, name, audiences)
    roles = [AppRoleRow(id=value.lower(), resource=value.split(".")[0].lower(), value=value) for value in ROLES]
    yield from (role for role in roles if random.random() < 0.97)
    for place in range(random.randint(2 * len(daemons), 5 * len(daemons) + 3)):
        held_by = random.choice(daemons * 3 + tenants) if daemons else None
        if held_by is not None:
            holder = {"daemon" if isinstance(held_by, DaemonRow) else "tenant": held_by.id}
            dates = {"not_before": moment(random), "expires_at": moment(random)}
            role = random.choice((roles[0].id, random.choice(roles).id))
            yield RoleAssignmentRow(id=f"g{place}", app_role=role, **holder, **dates)
    for place in range(random.randint(0, 4)):
        claim, value = random.choice(("groups", "/realm~1x/roles")), random.choice(("writers", "readers"))
        issuer, role = random.choice(ISSUERS).id, random.choice(roles).id
        yield RoleMappingRow(id=f"m{place}", issuer=issuer, claim=claim, value=value, app_role=role)


def all_tenants(random: Random) -> Iterator[TenantRow]:
    """Yield a tenant or two at each issuer, one of them hosted. No tid is active in both clouds."""
    active: set[str] = set()
    for place, (issuer, tid) in enumerate((("cloud", TIDS[0]), ("cloud", TIDS[1]), ("other", random.choice(TIDS[:3])))):
        state = often(random, "active", "suspended")
        state = "suspended" if tid in active else state
        active |= {tid} if state == "active" else set()
        yield TenantRow(id=f"t{place}", issuer=issuer, partner=random.choice(("acme", "globex")), tid=tid, state=state)
    yield TenantRow(id="home", issuer="cloud", tid=TIDS[3], hosted=True)
    for issuer in ("oidc", "named"):
        state = often(random, "active", "suspended")
        yield TenantRow(id=f"t-{issuer}", issuer=issuer, partner=random.choice(("globex", "initech")), state=state)


def all_daemons(random: Random, tenant: TenantRow) -> Iterator[DaemonRow]:
    """Yield one to three daemons of a tenant, each pinned or not."""
    for client in random.sample(CLIENTS if tenant.tid is None else GUIDS[:3], random.randint(1, 3)):
        pin = "subject" if tenant.tid is None else "oid"
        pins = ["svc-1", client] if tenant.tid is None else OIDS
        yield DaemonRow(
            id=f"d-{tenant.id}-{client}".lower() + ("-2" if client == "Nightly" else ""),
            tenant=tenant.id,
            client_id=client,
            partner=random.choice(("acme", "initech")) if tenant.hosted else None,
            state=often(random, "active", "suspended", share=0.93),
            min_credential=often(random, "none", "secret", "certificate"),
            **{pin: often(random, None, *pins, share=0.7)},
        )


def a_resource(random: Random, name: str, audiences: tuple[str, ...]) -> ResourceRow:
    """Return a resource with rules of any kind."""
    capitals = {AUDIENCES[1]: AUDIENCES[1].upper(), GUIDS[0]: GUIDS[0].upper()}
    return ResourceRow(
        id=name,
        audiences=often(random, audiences, tuple(capitals.get(each, each) for each in audiences)),
        app_only=random.choice(("strict", "compatible")),
        agent_identities=random.random() < 0.4,
        token_roles=often(random, "ignore", "intersect", share=0.8),
        tenant_wide_roles=random.random() < 0.4,
        min_credential=often(random, "none", "secret", "certificate", share=0.88),
        max_lifetime=often(random, 86_400, 3_600, 3_599, 600, share=0.8),
        clock_skew=random.choice((0, 60, 600)),
        issuers=often(random, (), ("cloud", "oidc"), ("cloud", "named", "other"), ("oidc",), share=0.88),
        clients=often(random, (), (GUIDS[0], *CLIENTS), GUIDS, (capitals[GUIDS[0]], GUIDS[2], "nightly"), share=0.88),
        token_versions=often(random, (), ("1.0",), ("2.0",), ("1.0", "2.0"), share=0.85),
        required_claims=tuple(
            RequiredClaim(claim=claim, **random.choice(asked))
            for claim, asked in REQUIRED.items()
            if random.random() < 0.06
        ),
        addresses=often(random, (), ("192.0.2.0/24",), ("2001:db8::/32", "192.0.2.7/32"), share=0.85),
        report_only=tuple(
            ReportOnly(rule=rule, until=often(random, NOW + 10_000, NOW - 1, NOW, NOW + 1, share=0.6))
            for rule in REPORTABLE
            if random.random() < 0.4
        ),
    )


REPORTABLE: Final[tuple[Any, ...]] = (
    "addresses", "app_only", "clients", "issuers", "max_lifetime", "min_credential", "required_claims", "token_roles",
    "token_versions",
)  # fmt: skip
REQUIRED: Final[dict[str, tuple[Any, ...]]] = {
    "plan": ({}, {"values": ("gold", "tin")}, {"values": ("gold", "7"), "match": "any"}),
    "/org/a~1b": ({}, {"values": ("gold",)}),
    "scopes": ({"values": ("a", "b"), "separator": " "}, {"values": ("a b",)}, {"values": ("a",)}),
    "count": ({"values": ("7",)}, {"values": ("7.0", "true"), "match": "any"}, {"values": ("7", "true")}),
    "roles": ({"values": ("Orders.Read",)},),
}


# Tokens


def token(random: Random, rows: tuple[RowData, ...]) -> tuple[dict[str, Any], str]:
    """Return the claims of a daemon, mostly of the policy, spoiled in up to three places; and its issuer's id."""
    tenants = {row.id: row for row in rows if isinstance(row, TenantRow)}
    stranger = TenantRow(id="stranger", issuer=random.choice(("cloud", "other")), tid=random.choice(TIDS))
    unlisted = DaemonRow(id="unlisted", tenant="", client_id=random.choice(GUIDS))
    daemon = often(random, random.choice([row for row in rows if isinstance(row, DaemonRow)] or [unlisted]), unlisted)
    tenant = tenants.get(daemon.tenant) or often(random, stranger, *tenants.values(), share=0.5)
    claims = base(random, tenant, daemon)
    for _ in range(random.choice((0, 0, 0, 0, 0, 1, 1, 2, 3))):
        spoils = often(random, SPOILS, MARKS)
        name = random.choice(sorted(spoils))
        claims = changed(claims, {name: random.choice(spoils[name])})
    return claims, tenant.issuer


def base(random: Random, tenant: TenantRow, daemon: DaemonRow) -> dict[str, Any]:
    """Return sound claims for a daemon."""
    pinned = often(random, daemon.oid or daemon.subject, None)
    subject = pinned or (OIDS[0] if tenant.tid else daemon.client_id)
    roles = random.choice((REMOVE, [ROLES[0]], list(ROLES), []))
    times = {"iat": NOW - 600, "nbf": NOW - 600, "exp": NOW + 3_300}
    common = {"aud": random.choice((AUDIENCES[0], [AUDIENCES[1], "x"])), "sub": subject, **times, "roles": roles}
    common |= {name: random.choice(values) for name, values in CARRIED.items() if random.random() < 0.7}
    if tenant.tid is None:
        name = "cid" if tenant.issuer == "named" else random.choice(("client_id", "azp"))
        iss = OTHER_OIDC if tenant.issuer == "named" else OIDC_ISSUER
        return changed(common, {"iss": iss, name: daemon.client_id})
    v1 = random.random() < 0.5
    template = V1_TEMPLATE if v1 else V2_TEMPLATE if tenant.issuer == "cloud" else OTHER_V2
    tid = often(random, tenant.tid, tenant.tid.upper(), share=0.95)
    client = {"appid" if v1 else "azp": daemon.client_id, "appidacr" if v1 else "azpacr": often(random, "2", "0", "1")}
    named = {"iss": template.replace("{tenantid}", tid), "tid": tid, "oid": subject, "ver": "1.0" if v1 else "2.0"}
    kind = {name: values[0] for name, values in KINDS.items() if random.random() < 0.07}
    return changed(common, {**named, **client, **kind, "idtyp": often(random, "app", REMOVE, share=0.8)})


CARRIED: Final[dict[str, tuple[Any, ...]]] = {
    "plan": ("gold", "tin", ["gold", "tin"], ["tin", 7], 7, "", None, None, {}),
    "org": ({"a/b": "gold"}, {"a/b": ["gold", {}]}, {"a/b": "tin"}, {"a/b": None}, {"a": {"b": "gold"}}, ["gold"], "x"),
    "scopes": ("a b", "b  a", "a", "a bc", ["a b"], ["b", "a"]),
    "count": (7, [7, True], True, 7.0, 7.0, "True", 1, [[7]]),
    "groups": ("writers", ["readers", "writers"], ["x", "readers"], "writers readers", {"writers": 1}),
    "realm/x": ({"roles": ["writers"]}, {"roles": "readers"}, {"roles": None}, ["writers"], "readers"),
}
KINDS: Final[dict[str, tuple[Any, ...]]] = {
    "xms_act_fct": ("3 11", "3", [11], 11, "x", None),
    "xms_idrel": ("33 28", "7", "7 28", "33", "13", "7 13", 7, [7, "1"], [1], "", "x", -7, True, None, "7" * 19),
    "xms_ficinfo": ("opaque", "", None),
    "xms_mirid": ("/subscriptions/x", None),
}
PEERS: Final = (
    "192.0.2.7", "192.0.2.7", "192.0.2.8", "::ffff:192.0.2.7", "2001:db8::1", "192.0.3.1", "::ffff:192.0.3.1",
    "2001:db9::1", "192.0.2.7:443", "x", "", None,
)  # fmt: skip
MARKS: Final = dict.fromkeys(
    (
        "nonce", "at_hash", "c_hash", "s_hash", "events", "act", "may_act", "actortoken", "cnf", "name", "upn", "puid",
        "unique_name", "preferred_username", "amr", "auth_time", "sid", "session_state", "email", "given_name",
        "family_name",
    ),
    ("x", None, {}),
)  # fmt: skip
SPOILS: Final[dict[str, tuple[Any, ...]]] = {
    "iss": (V2_TEMPLATE, OIDC_ISSUER, OTHER_OIDC, OIDC_ISSUER + "/", "", 7, None, *(
        template.replace("{tenantid}", tid) for template in (V1_TEMPLATE, V2_TEMPLATE, OTHER_V2)
        for tid in (*TIDS, CONSUMER_TID, "x")
    )),
    "tid": (*TIDS, TIDS[0].upper(), CONSUMER_TID, "x", 7, None, REMOVE),
    "TID": (TIDS[0], None),
    "ver": ("1.0", "2.0", 2, None, REMOVE),
    "sub": (*OIDS, OIDS[0].upper(), *CLIENTS, "nightly@clients", "svc-1", "", "a\x00", "x" * 513, "e\u0301", 7, None,
            REMOVE),
    "oid": (*OIDS, OIDS[0].upper(), "x", 7, None, REMOVE),
    "azp": (*GUIDS, GUIDS[0].upper(), *CLIENTS, "", 7, None, REMOVE),
    "appid": (*GUIDS, GUIDS[0].upper(), 7, None, REMOVE),
    "client_id": (*CLIENTS, "", "other", 7, None, REMOVE),
    "cid": (*CLIENTS, "\u202e", None, REMOVE),
    "azpacr": ("0", "1", "2", "3", 2, None, REMOVE),
    "appidacr": ("0", "1", "2", "3", 2, None, REMOVE),
    "aud": (*AUDIENCES, list(AUDIENCES), [], ["x"], ["x", 7], "", {}, None, REMOVE, [AUDIENCES[0]] * 65),
    "exp": (NOW - 601, NOW - 60, NOW - 59, NOW, NOW + 1, NOW + 0.5, NOW + 86_100, NOW + 90_000, 2**53, 2**53 + 1, True,
            "7", -1, None),
    "iat": (0, NOW, NOW + 60, NOW + 61, NOW + 600, NOW + 601, 1.5, True, "7", None, REMOVE),
    "nbf": (0, NOW, NOW + 60, NOW + 61, NOW + 600, NOW + 601, 1.5, False, [], None, REMOVE),
    "jti": ("x", "", 7, None),
    "uti": ("x", "", 7, None),
    "roles": ([], [ROLES[1]], list(ROLES), [7], "Orders.Read", {}, None, REMOVE),
    "idtyp": ("app", "user", "App", None, True, REMOVE),
    "scp": ("", "/", " ", "Orders.Read", None, []),
    **KINDS,
    "xms_sub_fct": ("3", "11", "9 11", "٧", []),
    "typ": ("Bearer", "JWT", "at+jwt", "ID", "", 7, None),
    "token_use": ("access", "id", None),
    "gty": ("client-credentials", "password", ["client-credentials"]),
    "preferred_username": ("service-account-nightly", "service-account-sync", "x"),
}  # fmt: skip
