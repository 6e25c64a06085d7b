"""The rules of a resource: what each asks for, and what a rule that is reported only still refuses."""

from __future__ import annotations

from typing import Any

import pytest

from tenantgate.core.decide import decide
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied, Granted
from tenantgate.core.policy import ReportOnly, RequiredClaim, RoleAssignmentRow, RoleMappingRow, RowData
from tests.builders import (
    ACME_CLIENT,
    ACME_OID,
    ACME_SECOND_CLIENT,
    NOW,
    REMOVE,
    an_index,
    oidc_token,
    static_keys,
    v1_token,
    v2_token,
)

LATER = NOW + 86_400


def judged(
    token: str,
    rules: dict[str, Any],
    *extra: RowData,
    peer: str | None = None,
    now: float = NOW,
    wanted: tuple[str, ...] = ("Orders.Read",),
    **world: Any,
) -> Any:
    """Return the decision on a token where the resource has these rules."""
    index = an_index(*extra, orders=rules, **world)
    return decide(token, index, static_keys(index), "orders", wanted, now, peer=peer)


def granted(token: str, rules: dict[str, Any], **asked: Any) -> bool:
    """Whether the token is let in."""
    return isinstance(judged(token, rules, **asked), Granted)


def reason(token: str, rules: dict[str, Any], **asked: Any) -> R | None:
    """Return the reason of a refusal, None where the token is let in."""
    decision = judged(token, rules, **asked)
    return decision.reason if isinstance(decision, Denied) else None


def test_issuers_clients_and_versions_that_are_asked_for_pass() -> None:
    """A list names what is accepted; an empty one asks for nothing."""
    assert granted(v2_token(), {"issuers": ("cloud",), "clients": (ACME_CLIENT,), "token_versions": ("2.0",)})
    assert granted(v1_token(), {"token_versions": ("1.0", "2.0")})
    assert granted(oidc_token(), {"issuers": ("oidc", "cloud"), "clients": ("globex-sync",)})


CAPITALS = "A1B2C3D4-0000-4000-8000-00000000000E"


@pytest.mark.parametrize("written", [ACME_CLIENT, ACME_CLIENT.upper()])
def test_a_guid_is_accepted_as_entra_writes_it(written: str) -> None:
    """Entra writes GUIDs in lower case, whatever the operator pasted."""
    assert granted(v2_token(aud=ACME_CLIENT), {"audiences": (written,), "clients": (written,)})


@pytest.mark.parametrize("rule", ["audiences", "clients"])
def test_a_guid_of_another_issuer_is_accepted_to_the_letter(rule: str) -> None:
    """An issuer that writes its GUIDs in upper case is understood; one that was listed in lower case stays so."""
    token = oidc_token(aud=CAPITALS, client_id=CAPITALS, sub=CAPITALS)
    rules = {"audiences": (CAPITALS,), "clients": (CAPITALS,)}
    listed = {"globex_daemon": {"client_id": CAPITALS}}
    other = R.AUDIENCE_MISMATCH if rule == "audiences" else R.CLIENT_NOT_ACCEPTED

    assert reason(token, rules, **listed) is None
    assert reason(token, rules | {rule: (CAPITALS.lower(),)}, **listed) is other


def test_a_token_without_a_version_passes_a_rule_about_entras() -> None:
    """`token_versions` speaks of Entra's two forms; other issuers have none."""
    assert granted(oidc_token(), {"token_versions": ("2.0",)})


@pytest.mark.parametrize(
    ("claim", "claims", "passes"),
    [
        (RequiredClaim(claim="roles", values=("Orders.Read",)), {}, True),
        (RequiredClaim(claim="roles", values=("Orders.Read", "x"), match="any"), {}, True),
        (RequiredClaim(claim="scopes", values=("a", "b"), separator=" "), {"scopes": "b  c a"}, True),
        (RequiredClaim(claim="scopes", values=("a", "b"), separator=" "), {"scopes": "a"}, False),
        (RequiredClaim(claim="scopes", values=("a b",)), {"scopes": "a b"}, True),
        (RequiredClaim(claim="/org/plan", values=("gold",)), {"org": {"plan": "gold"}}, True),
        (RequiredClaim(claim="/org/plan", values=("gold",)), {"org": ["plan"]}, False),
        (RequiredClaim(claim="/a~1b/c~0d"), {"a/b": {"c~d": 1}}, True),
        (RequiredClaim(claim="org.plan", values=("gold",)), {"org.plan": "gold"}, True),
        (RequiredClaim(claim="org.plan", values=("gold",)), {"org": {"plan": "gold"}}, False),
        (RequiredClaim(claim="count", values=("7",)), {"count": 7}, True),
        (RequiredClaim(claim="flag", values=("true",)), {"flag": True}, True),
        (RequiredClaim(claim="flag", values=("True",)), {"flag": True}, False),
        (RequiredClaim(claim="flag", values=("1",)), {"flag": True}, False),
        (RequiredClaim(claim="count", values=("7.0",)), {"count": 7.0}, False),
        (RequiredClaim(claim="list", values=("7", "x")), {"list": [7, "x", {}, []]}, True),
        (RequiredClaim(claim="here"), {"here": ""}, True),
        (RequiredClaim(claim="here"), {"here": None}, False),
        (RequiredClaim(claim="here"), {}, False),
        (RequiredClaim(claim="here", values=("",), match="any"), {"here": []}, False),
    ],
)  # fmt: skip
def test_a_required_claim_has_its_values(claim: RequiredClaim, claims: dict[str, Any], passes: bool) -> None:
    """All or any of the values, in a list, a text or a split text; no value: the claim exists."""
    rules = {"required_claims": (claim,)}

    assert reason(v2_token(**claims), rules) is (None if passes else R.REQUIRED_CLAIM_MISMATCH)


def test_every_required_claim_is_asked_for() -> None:
    """The second of two counts as much as the first, and the refusal names the one that is not satisfied."""
    rules = {"required_claims": (RequiredClaim(claim="idtyp"), RequiredClaim(claim="plan", values=("gold",)))}
    decision = judged(v2_token(plan="tin"), rules)

    assert decision.reason is R.REQUIRED_CLAIM_MISMATCH
    assert decision.detail == "required claims: expected plan with all of gold, got plan tin"


@pytest.mark.parametrize(
    ("peer", "passes"),
    [
        ("192.0.2.7", True),
        ("::ffff:192.0.2.7", True),
        ("2001:db8::1", True),
        ("192.0.3.1", False),
        ("2001:db9::1", False),
        ("::ffff:192.0.3.1", False),
        (None, False),
        ("", False),
        ("192.0.2.7:443", False),
        ("192.0.2.7, 192.0.2.8", False),
        ("0300.0.2.7", False),
        ("testclient", False),
        ("1" * 100, False),
    ],
)
def test_a_call_comes_from_an_agreed_address(peer: str | None, passes: bool) -> None:
    """Inside a network, in either family; an address that nobody knows or can read lies in none."""
    rules = {"addresses": ("192.0.2.0/24", "2001:db8::/32")}

    assert reason(v2_token(), rules, peer=peer) is (None if passes else R.ADDRESS_NOT_ALLOWED)


def test_the_stricter_credential_counts() -> None:
    """A daemon's own minimum is on the list, the resource's beside it."""
    secret = v2_token(azpacr="1")
    assert granted(secret, {"min_credential": "secret"})
    assert reason(secret, {"min_credential": "certificate"}) is R.CREDENTIAL_TOO_WEAK
    assert reason(secret, {}, acme_daemon={"min_credential": "certificate"}) is R.CREDENTIAL_TOO_WEAK


@pytest.mark.parametrize(
    ("rules", "claims", "world", "denial"),
    [
        ({"app_only": "loose"}, {"idtyp": REMOVE}, {}, R.NOT_APP_ONLY),
        ({"token_roles": "both"}, {"roles": REMOVE}, {}, R.ROLE_NOT_ASSIGNED),
        ({"min_credential": "gold"}, {"azpacr": "2"}, {}, R.CREDENTIAL_TOO_WEAK),
        ({}, {"azpacr": "2"}, {"acme_daemon": {"min_credential": "gold"}}, R.CREDENTIAL_TOO_WEAK),
    ],
)
def test_a_value_nobody_knows_asks_for_the_most(
    rules: dict[str, Any], claims: dict[str, Any], world: dict[str, Any], denial: R
) -> None:
    """A row that a newer version or another program wrote never lets more in than it says."""
    assert reason(v2_token(**claims), rules, **world) is denial


def test_an_agent_identity_needs_its_own_switch() -> None:
    """Tokens of agent identities are let in only where the resource takes them, and say so."""
    token = v2_token(xms_act_fct="3 11", scp="/")
    assert reason(token, {}) is R.AGENT_IDENTITY_NOT_ALLOWED
    assert judged(token, {"agent_identities": True}).principal.identity == "agent"
    assert reason(v2_token(xms_act_fct="11", idtyp="user"), {"agent_identities": True}) is R.NOT_APP_ONLY


@pytest.mark.parametrize(
    ("claims", "identity"),
    [
        ({}, "application"),
        ({"xms_mirid": "/subscriptions/x/resourcegroups/y"}, "managed_identity"),
        ({"xms_ficinfo": "opaque"}, "federated"),
        ({"xms_idrel": "33 28"}, "federated"),
        ({"xms_ficinfo": "opaque", "xms_mirid": "/x"}, "federated"),
    ],
)
def test_managed_and_federated_identities_are_recognised(claims: dict[str, Any], identity: str) -> None:
    """The principal says what kind of client it is, whether or not it was seen before."""
    index = an_index()
    keys = static_keys(index)
    for number in range(2):
        decision = decide(v2_token(uti=f"token{number}", **claims), index, keys, "orders", (), NOW)
        assert isinstance(decision, Granted)
        assert decision.principal.identity == identity


def test_a_managed_identitys_day_long_token_passes() -> None:
    """Managed identities get tokens of 24 hours and five minutes: within the default lifetime and its backdating."""
    assert granted(v2_token(iat=NOW, nbf=NOW, exp=NOW + 86_700), {})
    assert reason(v2_token(iat=NOW, nbf=NOW, exp=NOW + 86_701), {}) is R.TOKEN_LIFETIME_TOO_LONG


# Reported only.


def report(rule: str, until: int = LATER) -> tuple[ReportOnly, ...]:
    """Return a resource's `report_only` of one rule."""
    return (ReportOnly(rule=rule, until=until),)  # type: ignore[arg-type]


REPORTED = [
    ("token_versions", {"token_versions": ("1.0",)}, {}, R.TOKEN_VERSION_NOT_ACCEPTED),
    ("issuers", {"issuers": ("oidc",)}, {}, R.ISSUER_NOT_ACCEPTED),
    ("clients", {"clients": (ACME_SECOND_CLIENT,)}, {}, R.CLIENT_NOT_ACCEPTED),
    ("addresses", {"addresses": ("192.0.2.0/24",)}, {}, R.ADDRESS_NOT_ALLOWED),
    ("required_claims", {"required_claims": (RequiredClaim(claim="plan"),)}, {}, R.REQUIRED_CLAIM_MISMATCH),
    ("min_credential", {"min_credential": "certificate"}, {"azpacr": "1"}, R.CREDENTIAL_TOO_WEAK),
    ("max_lifetime", {"max_lifetime": 60}, {}, R.TOKEN_LIFETIME_TOO_LONG),
    ("token_roles", {"token_roles": "intersect"}, {"roles": REMOVE}, R.ROLE_NOT_ASSIGNED),
    ("app_only", {"app_only": "strict"}, {"idtyp": REMOVE}, R.NOT_APP_ONLY),
]


@pytest.mark.parametrize(("rule", "rules", "claims", "denial"), REPORTED, ids=[row[0] for row in REPORTED])
def test_a_reported_rule_says_what_it_would_have_denied(
    rule: str, rules: dict[str, Any], claims: dict[str, Any], denial: R
) -> None:
    """Until its date the call is let in and the principal says why it would not be; from then on it is refused."""
    token = v2_token(**claims)
    assert reason(token, rules) is denial
    reported = {**rules, "report_only": report(rule)}
    decision = judged(token, reported)
    assert isinstance(decision, Granted)
    assert decision.principal.would_deny == (denial,)
    assert decision.principal.roles == ("Orders.Read",)

    assert reason(token, {**rules, "report_only": report(rule, NOW)}) is denial
    assert reason(token, {**rules, "report_only": report(rule, NOW + 1)}) is None


def test_a_reported_lifetime_allows_for_backdating_too() -> None:
    """To the second: five minutes beyond the rule say nothing, one more second does."""
    rules = {"max_lifetime": 60, "report_only": report("max_lifetime")}
    as_long = v2_token(iat=NOW, nbf=NOW, exp=NOW + 360)
    longer = v2_token(iat=NOW, nbf=NOW, exp=NOW + 361)

    assert judged(as_long, rules).principal.would_deny == ()
    assert judged(longer, rules).principal.would_deny == (R.TOKEN_LIFETIME_TOO_LONG,)


def test_a_reported_rule_that_is_kept_says_nothing() -> None:
    """Nothing would have been denied, and nothing is said."""
    decision = judged(v2_token(), {"max_lifetime": 86_400, "report_only": report("max_lifetime")})

    assert decision.principal.would_deny == ()


def test_roles_that_a_token_must_have_too_are_not_cut_while_that_is_reported() -> None:
    """What is assigned counts whole until the date, also where the token has some of it; from then on both must."""
    rules = {"token_roles": "intersect", "report_only": report("token_roles", NOW + 1)}
    writes = RoleAssignmentRow(id="acme_writes", app_role="orders_write", daemon="acme_daemon")
    token = v2_token(roles=["Orders.Read"])

    before = judged(token, rules, writes).principal
    assert (before.roles, before.would_deny) == (("Orders.Read", "Orders.Write"), ())
    assert judged(token, rules, writes, now=NOW + 1).principal.roles == ("Orders.Read",)
    asked = judged(token, rules, writes, wanted=("Orders.Write",)).principal
    assert (asked.roles, asked.would_deny) == (("Orders.Read", "Orders.Write"), (R.ROLE_NOT_ASSIGNED,))


def test_several_reported_rules_are_all_told() -> None:
    """In the order of the checks, each once."""
    rules = {
        "clients": (ACME_SECOND_CLIENT,),
        "max_lifetime": 60,
        "report_only": (*report("clients"), *report("max_lifetime")),
    }

    assert judged(v2_token(), rules).principal.would_deny == (R.TOKEN_LIFETIME_TOO_LONG, R.CLIENT_NOT_ACCEPTED)


def test_reporting_strict_app_only_still_asks_for_what_compatible_does() -> None:
    """A user's token is refused all the same: what is reported is only the step from compatible to strict."""
    rules = {"app_only": "strict", "report_only": report("app_only")}

    assert reason(v2_token(idtyp="user"), rules) is R.NOT_APP_ONLY
    assert reason(v2_token(idtyp=REMOVE, scp="Orders.Read"), rules) is R.NOT_APP_ONLY
    assert reason(v2_token(idtyp=REMOVE, sub="somebody"), rules) is R.NOT_APP_ONLY
    assert reason(v2_token(xms_act_fct="11", idtyp=REMOVE), rules) is R.AGENT_IDENTITY_NOT_ALLOWED


def test_reporting_never_waives_the_list_or_the_token() -> None:
    """Whatever is reported, a stranger, a suspended partner, another audience and an expired token stay refused."""
    every = tuple(ReportOnly(rule=row[0], until=LATER) for row in REPORTED)  # type: ignore[arg-type]
    rules = {
        "report_only": every,
        "clients": (ACME_SECOND_CLIENT,),
        "issuers": ("oidc",),
        "min_credential": "certificate",
    }

    assert reason(v2_token(aud="api://other"), rules) is R.AUDIENCE_MISMATCH
    assert reason(v2_token(exp=NOW - 61), rules) is R.TOKEN_EXPIRED
    assert reason(v2_token(cnf={"jkt": "x"}), rules) is R.CONFIRMATION_UNSUPPORTED
    assert reason(v2_token(), rules, acme={"state": "suspended"}) is R.PARTNER_SUSPENDED
    assert reason(v2_token(azp="eeeeeeee-0000-4000-8000-000000000006"), rules) is R.DAEMON_NOT_LISTED
    assert reason(v2_token(), rules, acme_daemon={"oid": ACME_OID[:-1] + "9"}) is R.OBJECT_ID_MISMATCH
    assert reason(v2_token(azpacr="1"), rules, acme_daemon={"min_credential": "certificate"}) is R.CREDENTIAL_TOO_WEAK
    assert reason(v2_token(), rules, wanted=("Orders.Write",)) is R.ROLE_NOT_ASSIGNED


def test_a_confirmation_is_refused_by_the_names_in_it() -> None:
    """Which binding nobody enforces here is said by name, not by value."""
    decision = judged(v2_token(cnf={"x5t#S256": "secretthumbprint", "jkt": "x"}), {})

    assert decision.detail == "confirmation: expected no cnf, got cnf with x5t#S256, jkt"


# Role mappings.


def mapping(**changes: Any) -> RoleMappingRow:
    """Return a mapping of globex's groups to a role that nobody assigned to it."""
    row = {
        "id": "readers",
        "issuer": "oidc",
        "claim": "/realm_access/roles",
        "value": "writers",
        "app_role": "orders_write",
    }
    return RoleMappingRow(**{**row, **changes})


def roles_of(token: str, row: RoleMappingRow, rules: dict[str, Any] | None = None, **world: Any) -> tuple[str, ...]:
    """Return the roles a token brings where a mapping is in force; none where it is refused."""
    decision = judged(token, rules or {}, row, wanted=(), **world)
    return decision.principal.roles if isinstance(decision, Granted) else ()


WRITERS = {"realm_access": {"roles": ["offline_access", "writers"]}}


def test_a_mapped_claim_gives_the_role() -> None:
    """The value in the claim gives the role beside what is assigned; another value gives nothing."""
    assert roles_of(oidc_token(**WRITERS), mapping()) == ("Orders.Read", "Orders.Write")
    assert roles_of(oidc_token(realm_access={"roles": ["readers"]}), mapping()) == ("Orders.Read",)
    assert roles_of(oidc_token(realm_access={"roles": "writers"}), mapping()) == ("Orders.Read", "Orders.Write")
    assert roles_of(oidc_token(realm_access=["writers"]), mapping()) == ("Orders.Read",)


def test_a_mapping_is_for_its_issuer_alone() -> None:
    """Another issuer's word gives nothing, however alike its claims are."""
    assert roles_of(v2_token(**WRITERS), mapping()) == ("Orders.Read",)
    assert roles_of(v2_token(**WRITERS), mapping(issuer="cloud")) == ("Orders.Read", "Orders.Write")


def test_a_mapping_lets_nobody_in_who_is_not_listed() -> None:
    """A role from a claim is for listed, active daemons, as every role is."""
    stranger = oidc_token(client_id="stranger", sub="stranger", **WRITERS)

    assert roles_of(stranger, mapping()) == ()
    assert roles_of(oidc_token(**WRITERS), mapping(), globex_daemon={"state": "suspended"}) == ()


def test_a_mapping_gives_a_role_where_none_is_assigned() -> None:
    """The claim alone is enough for a listed daemon: that is what the mapping says."""
    assert roles_of(oidc_token(**WRITERS), mapping(), globex_reads=...) == ("Orders.Write",)


def test_a_mapping_to_another_resources_role_gives_nothing_here() -> None:
    """Roles belong to resources. A mapping that is for another ends nothing for those after it."""
    billing = mapping(id="bills", app_role="billing_read")
    decision = judged(oidc_token(**WRITERS), {}, billing, mapping(), wanted=())

    assert roles_of(oidc_token(**WRITERS), billing) == ("Orders.Read",)
    assert isinstance(decision, Granted)
    assert decision.principal.roles == ("Orders.Read", "Orders.Write")


def test_what_is_mapped_comes_from_the_token_already() -> None:
    """Where a token's `roles` must agree, that is asked of what was assigned, not of what its claims gave."""
    rules = {"token_roles": "intersect"}

    assert roles_of(oidc_token(roles=REMOVE, **WRITERS), mapping(), rules) == ("Orders.Write",)
