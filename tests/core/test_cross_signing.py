"""Nobody's key signs for anybody else: every issuer, document and tenant named, with every key there is."""

from __future__ import annotations

import itertools
from typing import Any, Final, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tenantgate.core.decide import decide
from tenantgate.core.decision import Decision, Denied, Granted
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.index import PolicyIndex
from tenantgate.core.keys import StaticKeys
from tenantgate.core.policy import DaemonRow, IssuerRow, PolicySnapshot, RoleAssignmentRow, RowData, TenantRow, row_of
from tests.builders import NOW, REMOVE, Signer, oidc_claims, policy_rows, v1_claims, v2_claims

TIDS: Final = {"acme": "bbbbbbbb-0000-4000-8000-0000000000a1", "globex": "bbbbbbbb-0000-4000-8000-0000000000a2"}
CLIENT: Final = "cccccccc-0000-4000-8000-0000000000a3"
CLOUDS: Final = ("one", "two")
FORGED: Final = (R.SIGNING_KEY_UNKNOWN, R.KEY_ISSUER_MISMATCH, R.SIGNATURE_INVALID)


class Key(NamedTuple):
    """A signing key: the issuer and document that publish it, and the one tenant it is bound to, if it is."""

    issuer: str
    document: str
    tenant: str = ""


class Named(NamedTuple):
    """Whom a token names: an issuer, the form of its `iss`, and a tenant."""

    issuer: str
    form: str
    tenant: str = ""


# In each cloud: a key for all its tenants in the v2 document and one in the v1 document, and in the v2 document one key
# for each tenant alone. The two clouds are strangers to each other, and so are the two other issuers.
KEYS: Final = (
    *(Key(cloud, document) for cloud in CLOUDS for document in ("v2", "v1")),
    *(Key(cloud, "v2", tenant) for cloud in CLOUDS for tenant in TIDS),
    Key("red", "v2"),
    Key("blue", "v2"),
)
STRANGER: Final = Key("nobody", "none")
NAMED: Final = (
    *(Named(cloud, form, tenant) for cloud in CLOUDS for form in ("v2", "v1") for tenant in TIDS),
    Named("red", "v2"),
    Named("blue", "v2"),
)


def is_its_own(key: Key, named: Named) -> bool:
    """Whether the key may sign for whom the token names. A v1 token may be signed by its own cloud's v2 keys."""
    if key.issuer != named.issuer or key.tenant not in ("", named.tenant):
        return False
    return key.document == "v2" or named.form == "v1"


def template(cloud: str, form: str) -> str:
    """Return the issuer template of a cloud."""
    return f"https://{form}.{cloud}.example/{{tenantid}}{'/v2.0' if form == 'v2' else '/'}"


def kid_of(key: Key, kids: str) -> str:
    """Return a kid of its own, or one that every issuer uses (in one document two keys cannot share one)."""
    return "/".join(key) if kids == "own" else f"same/{key.tenant}"


def signer_of(key: Key, kids: str) -> Signer:
    """Return the private key, the same for the same `key`."""
    private = Ed25519PrivateKey.from_private_bytes("/".join(key).encode().ljust(32, b"."))
    return Signer("EdDSA", private, kid_of(key, kids))


def document(issuer: str, name: str, kids: str) -> dict[str, Any]:
    """Return a key document: for a cloud's v2 document each key says whose it is."""
    jwks = []
    for key in KEYS:
        if (key.issuer, key.document) == (issuer, name):
            whose = template(issuer, "v2").replace("{tenantid}", TIDS.get(key.tenant, "{tenantid}"))
            named = {"issuer": whose} if issuer in CLOUDS and name == "v2" else {}
            jwks.append(signer_of(key, kids).jwk(**named))
    return {"keys": jwks}


def issuers(kids: str) -> list[IssuerRow]:
    """Return two clouds and two other issuers, each with its key documents."""
    clouds = [
        IssuerRow(
            id=cloud,
            kind="entra",
            authority=f"https://login.{cloud}.example",
            v1_issuer=template(cloud, "v1"),
            v2_issuer=template(cloud, "v2"),
            jwks=document(cloud, "v2", kids),
            v1_jwks=document(cloud, "v1", kids),
        )
        for cloud in CLOUDS
    ]
    others = [
        IssuerRow(id=id_, kind="oidc", issuer=f"https://{id_}.example", jwks=document(id_, "v2", kids))
        for id_ in ("red", "blue")
    ]
    return [*clouds, *others]


def rows(kids: str) -> list[RowData]:
    """Return a policy in which everyone named is welcome: only the key can be wrong."""
    tenants = [
        *(TenantRow(id=f"{c}-{t}", issuer=c, partner=t, tid=TIDS[t]) for c, t in itertools.product(CLOUDS, TIDS)),
        *(TenantRow(id=f"{id_}-", issuer=id_, partner="acme") for id_ in ("red", "blue")),
    ]
    daemons = [DaemonRow(id=f"d-{tenant.id}", tenant=tenant.id, client_id=CLIENT) for tenant in tenants]
    grants = [RoleAssignmentRow(id=f"g-{each.id}", app_role="orders_read", daemon=each.id) for each in daemons]
    kept = [row for row in policy_rows() if not isinstance(row, IssuerRow | TenantRow | DaemonRow | RoleAssignmentRow)]
    return [*issuers(kids), *kept, *tenants, *daemons, *grants]


def index_of(kids: str) -> PolicyIndex:
    """Return the policy, live."""
    changes = tuple(row_of(row, 1) for row in rows(kids))
    return PolicyIndex.from_snapshot(PolicySnapshot(epoch="e", revision=1, rows=changes))


INDEXES: Final = {kids: index_of(kids) for kids in ("own", "same")}
SETS: Final = {kids: StaticKeys(issuers(kids)) for kids in ("own", "same")}


def claims_of(named: Named) -> dict[str, Any]:
    """Return sound claims of the listed daemon of whom the token names."""
    if named.issuer not in CLOUDS:
        return oidc_claims(iss=f"https://{named.issuer}.example", client_id=CLIENT, sub=CLIENT)
    iss = template(named.issuer, named.form).replace("{tenantid}", TIDS[named.tenant])
    if named.form == "v1":
        return v1_claims(iss=iss, tid=TIDS[named.tenant], appid=CLIENT)
    return v2_claims(iss=iss, tid=TIDS[named.tenant], azp=CLIENT)


def judged(named: Named, key: Key, kids: str, kid: Any) -> Decision:
    """Judge a token that names one and is signed by another's key, under a kid."""
    token = signer_of(key, kids).sign(claims_of(named), kid=kid)
    decision = decide(token, INDEXES[kids], SETS[kids], "orders", ("Orders.Read",), NOW)
    assert isinstance(decision, Granted | Denied)
    return decision


@pytest.mark.parametrize("kids", ["own", "same"])
@pytest.mark.parametrize("named", NAMED, ids="/".join)
def test_only_ones_own_key_signs_for_one(named: Named, kids: str):
    """Everybody's keys under every kid there is: let in by one's own key under its own kid, else refused as forged."""
    for key in (*KEYS, STRANGER):
        for kid in {kid_of(each, kids) for each in (*KEYS, STRANGER)}:
            decision = judged(named, key, kids, kid)
            if is_its_own(key, named) and kid == kid_of(key, kids) and not hidden(named, key, kids):
                assert isinstance(decision, Granted), (key, kid, decision)
                assert decision.principal.tenant == f"{named.issuer}-{named.tenant}"
            else:
                assert isinstance(decision, Denied), (key, kid)
                assert decision.reason in FORGED, (key, kid, decision)


def hidden(named: Named, key: Key, kids: str) -> bool:
    """Whether another key stands before this one: a v1 token's kid is looked up in the v1 document first."""
    return kids == "same" and named.form == "v1" and key.document == "v2" and not key.tenant


@pytest.mark.parametrize("named", NAMED, ids="/".join)
def test_without_a_kid_only_the_issuers_one_key_signs(named: Named):
    """A token without a kid is held to the only key its issuer has; where there are several it names none."""
    for key in (*KEYS, STRANGER):
        decision = judged(named, key, "own", REMOVE)
        if key.issuer == named.issuer and (named.form == key.document == "v1" or named.issuer not in CLOUDS):
            assert isinstance(decision, Granted), (key, decision)
        else:
            assert isinstance(decision, Denied), key
            assert decision.reason in FORGED, (key, decision)


def test_the_table_is_whole():
    """Ten ways to be named, eleven keys; each way has its own keys, and most of the pairs are strangers."""
    pairs = list(itertools.product(NAMED, (*KEYS, STRANGER)))

    assert len(pairs) == 110
    assert sum(is_its_own(key, named) for named, key in pairs) == 22
    assert all(any(is_its_own(key, named) for key in KEYS) for named in NAMED)
