"""Advice: for each mistake that can be told apart its own sentence, for both sides, naming what is at stake."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tenantgate.core.advice import HINTS, advise
from tenantgate.core.answers import NOTHING_TO_DO
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.facts import Asked, Facts, read_facts
from tenantgate.core.keys import KeySource
from tenantgate.core.policy import RoleAssignmentRow
from tenantgate.core.refusals import REFUSALS
from tenantgate.core.trace import Trace, explain
from tenantgate.core.verify import Verified, verify
from tests.builders import (
    ACME_CLIENT,
    ACME_OID,
    ACME_SECOND_CLIENT,
    ACME_TID,
    API_CLIENT_ID,
    API_URI,
    BILLING_CLIENT_ID,
    ISSUED_AT,
    NOW,
    OIDC_ISSUER,
    REMOVE,
    STRANGE_CLIENT,
    STRANGE_TID,
    an_index,
    cloud_key,
    oidc_claims,
    oidc_key,
    oidc_token,
    static_keys,
    v1_claims,
    v1_token,
    v2_claims,
    v2_issuer,
    v2_token,
)
from tests.core.cases import CASES, NeverFetched, Spoiled, home_token

GRAPH_SCOPE = f"Ask for the scope {API_URI}/.default."
OTHER_GUID = "aaaaaaaa-0000-4000-8000-0000000000ff"


@dataclass(frozen=True)
class Mistake:
    """A token and a world, the reason, the hint that speaks, and words of what each side reads."""

    reason: R
    when: str
    token: Callable[[], str]
    partner: tuple[str, ...]
    publisher: tuple[str, ...]
    world: dict[str, Any] = field(default_factory=dict)
    wanted: tuple[str, ...] = ("Orders.Read",)
    resource: str = "orders"
    keys: KeySource | None = None


def _graph_header() -> str:
    return cloud_key().sign(v2_claims(aud="https://graph.microsoft.com"), nonce="opaque")


def _oidc_header(**changes: Any) -> Callable[[], str]:
    return lambda: oidc_key().sign(oidc_claims(), **changes)


def _of(iss: str, **changes: Any) -> Callable[[], str]:
    return lambda: v2_token(iss=iss, **changes)


NOTHING = (NOTHING_TO_DO,)
UNTOUCHED = ("Nothing to configure",)
V1_WORLD_ISS = f"https://sts.windows.net/{ACME_TID}/"
INTERSECT = {"orders": {"token_roles": "intersect"}}

FORM = [
    Mistake(R.TOKEN_MALFORMED, "`Bearer`", lambda: f"Bearer {v2_token()}", ("`Bearer` out of the token",), NOTHING),
    Mistake(R.TOKEN_MALFORMED, "quotes", lambda: f'"{v2_token()}"', ("without the quotes",), NOTHING),
    Mistake(R.TOKEN_MALFORMED, "white space", lambda: v2_token().replace(".", ".\n", 1), ("in one piece",), NOTHING),
    Mistake(R.TOKEN_MALFORMED, "opaque", lambda: "ya29opaque", ("opaque token", API_URI), UNTOUCHED),
    Mistake(R.TOKEN_MALFORMED, "part is missing", lambda: v2_token().rpartition(".")[0], ("one is missing",), NOTHING),
    Mistake(R.HEADER_NOT_ALLOWED, "Graph", _graph_header, ("for Microsoft Graph", GRAPH_SCOPE), UNTOUCHED),
    Mistake(R.TOKEN_TYPE_NOT_ALLOWED, "instead", lambda: oidc_token(typ="Refresh"), ("a refresh token",), NOTHING),
    Mistake(R.TOKEN_TYPE_NOT_ALLOWED, "instead", lambda: oidc_token(typ="ID"), ("an ID token",), NOTHING),
    Mistake(R.TOKEN_TYPE_NOT_ALLOWED, "instead", _oidc_header(typ="dpop+jwt"), ("a DPoP proof",), NOTHING),
    Mistake(R.TOKEN_TYPE_NOT_ALLOWED, "instead", lambda: v2_token(events={}), ("a security event",), NOTHING),
    Mistake(
        R.TOKEN_TYPE_NOT_ALLOWED, "another one", _oidc_header(typ="vc+jwt"), ("vc+jwt",), ("oidc", "`token_types`")
    ),
    Mistake(R.ALGORITHM_NOT_ALLOWED, "not signed", _oidc_header(alg="nOnE"), ("not signed",), UNTOUCHED),
    Mistake(R.ALGORITHM_NOT_ALLOWED, "shared secret", _oidc_header(alg="HS256"), ("RS256",), UNTOUCHED),
    Mistake(
        R.ALGORITHM_NOT_ALLOWED,
        "than its key's",
        lambda: cloud_key().using("PS256").sign(v2_claims()),
        ("PS256",),
        ("issuer cloud signs with PS256", "`algorithms`"),
    ),
    Mistake(R.ID_TOKEN_PRESENTED, "`token_use`", lambda: oidc_token(token_use="id"), ("`token_use` is id",), NOTHING),
]

SIGNER = [
    Mistake(
        R.ISSUER_UNKNOWN,
        "v1 token and the issuer",
        lambda: cloud_key().sign(v1_claims(iss=V1_WORLD_ISS)),
        (V1_WORLD_ISS,),
        ("issuer cloud knows v2 tokens alone", "tenantgate resource setup-guide"),
        {"cloud": {"v1_issuer": None, "v1_jwks": None}},
    ),
    Mistake(
        R.ISSUER_UNKNOWN,
        "Microsoft cloud",
        _of(f"https://login.microsoftonline.us/{ACME_TID}/v2.0"),
        ("login.microsoftonline.us",),
        ("tenantgate issuer create --id entra --kind entra --authority https://login.microsoftonline.us",),
    ),
    Mistake(
        R.ISSUER_UNKNOWN,
        "slash",
        lambda: oidc_token(iss=OIDC_ISSUER + "/"),
        (OIDC_ISSUER + "/",),
        ("Issuer oidc", OIDC_ISSUER + "/"),
    ),
    Mistake(
        R.SIGNING_KEY_UNKNOWN,
        "no `kid`",
        _oidc_header(kid=REMOVE),
        ("put the `kid`",),
        ("issuer oidc",),
        {"oidc": {"jwks": {"keys": [oidc_key().jwk(), oidc_key().using("ES256").jwk(kid="two")]}}},
    ),
    Mistake(R.SIGNING_KEY_UNKNOWN, "given with the policy", _oidc_header(kid="new"), ("rotated",), ("oidc", "new")),
    Mistake(
        R.SIGNING_KEY_UNKNOWN,
        "an Entra token",
        lambda: cloud_key().sign(v2_claims(), kid="new"),
        ("fresh token",),
        ("`signing_keys_appid`",),
        {"cloud": {"jwks": None, "metadata_url": "https://login.cloud.example/metadata"}},
        keys=static_keys(),
    ),
    Mistake(
        R.SIGNATURE_INVALID,
        "missing",
        lambda: v2_token().rpartition(".")[0] + ".",
        ("the signature, is missing",),
        NOTHING,
    ),
    Mistake(R.CLAIM_MISSING, "no `aud`", lambda: oidc_token(aud=REMOVE), ("no `aud`", API_URI, "Keycloak"), UNTOUCHED),
    Mistake(
        R.CLAIM_MISSING,
        "another claim",
        lambda: oidc_token(client_id=REMOVE, cid="0oaExample"),
        ("which claim",),
        ("issuer oidc", "cid, sub", "`client_id_claim`"),
    ),
]

AUDIENCE = [
    Mistake(
        R.AUDIENCE_MISMATCH,
        "for Microsoft Graph",
        lambda: v2_token(aud="00000003-0000-0000-c000-000000000000"),
        ("for Microsoft Graph", GRAPH_SCOPE),
        UNTOUCHED,
    ),
    Mistake(
        R.AUDIENCE_MISMATCH,
        "for Microsoft Graph",
        lambda: v1_token(aud="https://graph.microsoft.com/"),
        ("for Microsoft Graph", GRAPH_SCOPE),
        UNTOUCHED,
    ),
    Mistake(
        R.AUDIENCE_MISMATCH,
        "another API of Microsoft",
        lambda: v1_token(aud="https://management.azure.com/"),
        ("Azure Resource Manager", GRAPH_SCOPE),
        ("Azure Resource Manager",),
    ),
    Mistake(
        R.AUDIENCE_MISMATCH,
        "exchanged",
        lambda: v2_token(aud="api://AzureADTokenExchange"),
        ("`client_assertion`", GRAPH_SCOPE),
        ("federated credential",),
    ),
    Mistake(
        R.AUDIENCE_MISMATCH,
        "slash",
        lambda: v1_token(aud=API_URI + "/"),
        (API_URI + "/", "final slash", GRAPH_SCOPE),
        (API_URI + "/", f"accepts {API_URI}", "`audiences`"),
    ),
    Mistake(
        R.AUDIENCE_MISMATCH,
        "another resource",
        lambda: v2_token(aud=BILLING_CLIENT_ID),
        (BILLING_CLIENT_ID, "another API", GRAPH_SCOPE),
        ("resource billing", "presented to orders"),
    ),
    Mistake(
        R.AUDIENCE_MISMATCH,
        "Keycloak",
        lambda: oidc_token(aud="account"),
        ("Audience mapper", f"`aud` is {API_URI}"),
        UNTOUCHED,
    ),
    Mistake(
        R.AUDIENCE_MISMATCH,
        "the client itself",
        lambda: v2_token(aud=ACME_CLIENT),
        ("your own app", GRAPH_SCOPE),
        ("its own scope",),
    ),
    Mistake(
        R.AUDIENCE_MISMATCH,
        "lists no client id",
        lambda: v2_token(aud=OTHER_GUID),
        (OTHER_GUID, "tell the publisher"),
        (OTHER_GUID, "resource orders", "`audiences`"),
        {"orders": {"audiences": (API_URI,)}},
    ),
    Mistake(
        R.AUDIENCE_MISMATCH,
        "client ids alone",
        v1_token,
        (API_URI, "tell the publisher"),
        (API_URI, "resource orders", "tenantgate resource setup-guide"),
        {"orders": {"audiences": (API_CLIENT_ID,)}},
    ),
    Mistake(
        R.AUDIENCE_MISMATCH,
        "somebody else",
        lambda: oidc_token(aud=["api://one.example", "api://two.example"]),
        ("api://one.example, api://two.example", f"`aud` is {API_URI}"),
        ("api://one.example", "resource orders"),
    ),
]

TIME = [
    Mistake(
        R.TOKEN_EXPIRED,
        "less than ten minutes",
        lambda: v2_token(exp=NOW - 61),
        ("61 s ago", "2027-01-15T08:08:59Z", "clock"),
        ("61 s ago", "clock"),
    ),
    Mistake(
        R.TOKEN_EXPIRED,
        "longer ago",
        lambda: v2_token(exp=NOW - 7_200),
        ("2 h ago", "2027-01-15T06:10:00Z"),
        ("2 h ago", "does not ask for new ones"),
    ),
    Mistake(R.TOKEN_NOT_YET_VALID, "within ten", lambda: v2_token(nbf=NOW + 90), ("90 s", "clock"), ("90 s", "clock")),
    Mistake(R.TOKEN_ISSUED_IN_FUTURE, "ten", lambda: v2_token(iat=NOW + 150), ("2 min", "clock"), ("2 min", "clock")),
    Mistake(
        R.TOKEN_LIFETIME_TOO_LONG,
        "managed identities",
        lambda: v2_token(exp=ISSUED_AT + 86_700),
        ("24 h", "managed identities", "60 min"),
        ("`max_lifetime` of resource orders to 86400",),
        {"orders": {"max_lifetime": 3_600}},
    ),
    Mistake(
        R.TOKEN_LIFETIME_TOO_LONG,
        "continuous access evaluation",
        lambda: v2_token(exp=ISSUED_AT + 27 * 3_600),
        ("27 h", "24 h", "`cp1`"),
        ("`max_lifetime` of resource orders to 100800",),
    ),
    Mistake(
        R.TOKEN_LIFETIME_TOO_LONG,
        "lives longer",
        lambda: oidc_token(exp=ISSUED_AT + 10 * 86_400),
        ("10 days", "24 h"),
        ("10 days", "resource orders"),
    ),
]

WHO = [
    Mistake(R.NOT_APP_ONLY, "acts for somebody", lambda: v2_token(act={"sub": "x"}), ("was exchanged",), UNTOUCHED),
    Mistake(
        R.NOT_APP_ONLY,
        "user's token",
        lambda: v2_token(idtyp=REMOVE, scp="Orders.Read", name="x"),
        ("a user (it has scp, name)", "client credentials"),
        ("a user (it has scp, name)",),
    ),
    Mistake(R.NOT_APP_ONLY, "user's token", lambda: v2_token(idtyp="user"), ("`idtyp` is user",), ("is user",)),
    Mistake(R.NOT_APP_ONLY, "user's token", lambda: oidc_token(sid="x", email="x"), ("it has sid, email",), UNTOUCHED),
    Mistake(
        R.NOT_APP_ONLY,
        "`idtyp`, which",
        lambda: v2_token(idtyp=REMOVE),
        ("`idtyp` is not switched on for this API", "Tell the publisher"),
        ("`idtyp` is not switched on for this API", "tenantgate resource setup-guide --id orders"),
    ),
    Mistake(
        R.NOT_APP_ONLY,
        "`sub` is not the client",
        lambda: oidc_token(sub="f1"),
        ("`sub` is f1",),
        ("f1", "the daemon's `subject`"),
    ),
    Mistake(
        R.TOKEN_VERSION_NOT_ACCEPTED,
        "v1 token and version 2",
        v1_token,
        ("version 1 tokens", "accepts version 2"),
        ("`requestedAccessTokenVersion` to 2", "tenantgate resource setup-guide --id orders"),
        {"orders": {"token_versions": ("2.0",)}},
    ),
    Mistake(
        R.SERVICE_PRINCIPAL_MISSING,
        "known",
        lambda: v2_token(oid=REMOVE),
        (
            f"az ad sp create --id {ACME_CLIENT}",
            f"https://login.cloud.example/{ACME_TID}/adminconsent?client_id={ACME_CLIENT}",
        ),
        (f"az ad sp create --id {ACME_CLIENT}",),
    ),
    Mistake(
        R.CONFIRMATION_UNSUPPORTED,
        "certificate",
        lambda: oidc_token(cnf={"x5t#S256": "opaque"}),
        ("client certificate",),
        ("RFC 8705",),
    ),
    Mistake(R.CONFIRMATION_UNSUPPORTED, "DPoP", lambda: oidc_token(cnf={"jkt": "opaque"}), ("DPoP",), ("RFC 9449",)),
]

STRANGER = {"iss": v2_issuer(STRANGE_TID), "tid": STRANGE_TID}
LIST = [
    Mistake(
        R.TENANT_NOT_LISTED,
        "",
        lambda: v2_token(**STRANGER),
        ("Send the publisher your tenant id",),
        (f"client {ACME_CLIENT} of tid {STRANGE_TID}",),
    ),
    Mistake(
        R.PARTNER_NOT_ACTIVE,
        "no partner",
        home_token,
        ("onboarding",),
        ("home_daemon", "belongs to no partner"),
        {"home_daemon": {"partner": None}},
    ),
    Mistake(
        R.PARTNER_NOT_ACTIVE,
        "archived",
        v2_token,
        ("onboarding",),
        ("acme (Acme) is archived",),
        {"acme": {"state": "archived"}},
    ),
    Mistake(
        R.PARTNER_NOT_ACTIVE,
        "invited",
        v2_token,
        ("onboarding",),
        ("acme (Acme) is invited",),
        {"acme": {"state": "invited"}},
    ),
    Mistake(
        R.PARTNER_ENDED,
        "",
        v2_token,
        ("Renew",),
        ("acme (Acme) ended at 2027-01-15T08:00:00Z",),
        {"acme": {"ends_at": ISSUED_AT}},
    ),
    Mistake(
        R.DAEMON_NOT_LISTED,
        "",
        lambda: v2_token(azp=STRANGE_CLIENT),
        ("each daemon",),
        ("tenant acme_tenant", f"client {STRANGE_CLIENT}", f"object id {ACME_OID}"),
    ),
    Mistake(
        R.DAEMON_NOT_LISTED,
        "",
        lambda: oidc_token(client_id="other", sub="other"),
        ("each daemon",),
        ("tenant globex_tenant", "client other", "sub other"),
    ),
    Mistake(
        R.SUBJECT_NOT_PINNED,
        "",
        oidc_token,
        ("exact `sub`",),
        ("`subject` of daemon globex_daemon to globex-sync", "by another way than this call"),
        {"oidc": {"subject_pin": True}},
    ),
    Mistake(
        R.ISSUER_NOT_ACCEPTED,
        "",
        oidc_token,
        ("agreed for this API",),
        ("Resource orders", "issuer oidc", "`issuers`"),
        {"orders": {"issuers": ("cloud",)}},
    ),
    Mistake(
        R.CLIENT_NOT_ACCEPTED,
        "",
        v2_token,
        ("access to this API",),
        ("Resource orders", f"client {ACME_CLIENT}", "daemon acme_daemon"),
        {"orders": {"clients": (ACME_SECOND_CLIENT,)}},
    ),
    Mistake(
        R.CREDENTIAL_TOO_WEAK,
        "does not tell",
        oidc_token,
        ("certificate",),
        ("Issuer oidc does not say",),
        {"orders": {"min_credential": "secret"}},
    ),
    Mistake(
        R.ROLE_NOT_ASSIGNED,
        "no such role",
        v2_token,
        ("Orders.Wirte",),
        ("no role Orders.Wirte", "Orders.Read, Orders.Write"),
        wanted=("Orders.Wirte",),
    ),
    Mistake(
        R.ROLE_NOT_ASSIGNED,
        "ended or not begun",
        v2_token,
        ("Ask the publisher for Orders.Read",),
        ("Asked for: Orders.Read; daemon acme_daemon holds none.", "Orders.Read ended at 2027-01-15T08:00:00Z"),
        {"acme_reads": {"expires_at": ISSUED_AT}},
    ),
    Mistake(
        R.ROLE_NOT_ASSIGNED,
        "ended or not begun",
        v2_token,
        ("Ask the publisher for a role",),
        ("Orders.Read begins at 2027-01-15T08:10:01Z",),
        {"acme_reads": {"not_before": NOW + 1}},
        wanted=(),
    ),
    Mistake(
        R.ROLE_NOT_ASSIGNED,
        "missing in the token",
        lambda: v2_token(roles=REMOVE),
        ("Orders.Read also stands in your token's `roles`", "your own tenant"),
        ("Orders.Read is assigned to daemon acme_daemon", "`intersect`"),
        INTERSECT,
    ),
    Mistake(
        R.ROLE_NOT_ASSIGNED,
        "not assigned",
        v2_token,
        ("Ask the publisher for Orders.Write",),
        ("Asked for: Orders.Write; daemon acme_daemon holds Orders.Read.",),
        wanted=("Orders.Write",),
    ),
    Mistake(
        R.POLICY_UNAVAILABLE,
        "no such resource",
        v2_token,
        ("Keep the token",),
        ("no resource order", "billing, orders"),
        resource="order",
    ),
]

MISTAKES = [*FORM, *SIGNER, *AUDIENCE, *TIME, *WHO, *LIST]


def trace_of(mistake: Mistake) -> Trace:
    """Return the explanation of a mistake."""
    index = an_index(**mistake.world)
    keys = mistake.keys or static_keys(index)
    return explain(mistake.token(), index, keys, mistake.resource, mistake.wanted, NOW)


@pytest.mark.parametrize(
    "mistake", [pytest.param(each, id=f"{each.reason}: {each.when} {place}") for place, each in enumerate(MISTAKES)]
)
def test_a_mistake_is_named_to_both_sides(mistake: Mistake) -> None:
    """The reason is the judgement's; each side reads a sentence made for this very mistake, with the values in it."""
    trace = trace_of(mistake)

    assert trace.reason is mistake.reason, trace.steps[-1]
    assert [word for word in mistake.partner if word not in trace.partner] == [], trace.partner
    assert [word for word in mistake.publisher if word not in trace.publisher] == [], trace.publisher
    assert mistake.when in speaking(mistake).when
    assert bool(mistake.when) is bool(speaking(mistake).when)


def speaking(mistake: Mistake) -> Any:
    """Return the hint that speaks about a mistake."""
    index = an_index(**mistake.world)
    facts = facts_of(mistake, index, mistake.keys or static_keys(index))
    (first, *_) = [hint for hint in HINTS[mistake.reason] if hint.applies(facts)]
    return first


def facts_of(mistake: Mistake, index: Any, keys: KeySource) -> Facts:
    """Return what is known of a mistake, read as `explain` reads it."""
    found = verify(mistake.token(), index, keys)
    claims = found.claims if isinstance(found, Verified) else None
    asked = Asked(mistake.resource, mistake.wanted, NOW)
    return read_facts(mistake.token(), index, asked, mistake.reason, claims, proved=claims is not None)


def test_every_hint_is_given_for_some_mistake() -> None:
    """A hint that no mistake leads to would be a sentence nobody has read."""
    given = {(mistake.reason, speaking(mistake).when) for mistake in MISTAKES}

    assert given == {(reason, hint.when) for reason, hints in HINTS.items() for hint in hints}


def test_only_the_roles_the_token_lacks_are_named() -> None:
    """Two roles asked for and assigned, one of them in the token: both sides read of the other."""
    index = an_index(RoleAssignmentRow(id="writes", app_role="orders_write", daemon="acme_daemon"), **INTERSECT)
    trace = explain(v2_token(), index, static_keys(index), "orders", ("Orders.Read", "Orders.Write"), NOW)

    assert trace.publisher.startswith("Orders.Write is assigned to daemon acme_daemon here")
    assert trace.partner.startswith("This API asks that Orders.Write also stands")


def test_tenant_wide_roles_count_where_the_resource_allows_them() -> None:
    """A role of the tenant is held by its daemon, or it is as if it were not there."""
    wide = RoleAssignmentRow(id="wide", app_role="orders_write", tenant="acme_tenant")
    told = []
    for allowed in (True, False):
        index = an_index(wide, orders={"tenant_wide_roles": allowed})
        told.append(explain(v2_token(), index, static_keys(index), "orders", ("Orders.Purge",), NOW))

    assert [trace.stands[-1].detail.partition(";")[0] for trace in told] == ["Orders.Read, Orders.Write", "Orders.Read"]


def test_without_a_hint_the_table_speaks() -> None:
    """Nothing more exact is known of a suspended partner: both sides read the table's own words."""
    index = an_index(acme={"state": "suspended"})
    trace = explain(v2_token(), index, static_keys(index), "orders", (), NOW)
    row = REFUSALS[R.PARTNER_SUSPENDED]

    assert trace.reason is R.PARTNER_SUSPENDED
    assert (trace.partner, trace.publisher) == (row.partner, row.publisher)


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_any_refusal_has_advice_for_both(case: Spoiled) -> None:
    """Whatever is spoiled, however hostile the value: sentences, bounded, in visible ASCII."""
    trace = explain(**case.asked())

    for text in (trace.partner, trace.publisher):
        assert text.endswith(".")
        assert len(text) <= 800
        assert text.replace("…", "").isascii()
        assert text.replace("…", "").isprintable()


@pytest.mark.parametrize("reason", list(R))
def test_every_reason_can_be_advised_on_without_facts(reason: R) -> None:
    """Where nothing could be read of a token, or nothing is in the policy, there is advice all the same."""
    index = an_index()
    index.broken = True
    for token in ("", "opaque", v2_token()):
        facts = read_facts(token, index, Asked("orders", ("Orders.Read",), NOW), reason, None, proved=False)
        advice = advise(reason, facts)
        assert advice.partner
        assert advice.publisher


def test_keys_that_were_never_fetched_are_nobodys_fault() -> None:
    """The partner keeps the token; the publisher looks at the way to the issuer."""
    trace = explain(v2_token(), an_index(), NeverFetched(), "orders", (), NOW)

    assert trace.reason is R.KEY_SET_UNAVAILABLE
    assert "Keep the token" in trace.partner
    assert "issuer's health" in trace.publisher
