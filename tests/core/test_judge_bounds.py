"""The judgement on its lines: to the second, in the middle of a change, and word for word where it says no."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from msgspec.structs import replace

from tenantgate.core import judge as rules
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied, Granted
from tenantgate.core.index import PolicyIndex
from tenantgate.core.judge import TORN, Case, judge
from tenantgate.core.pointer import parse_pointer
from tenantgate.core.policy import PolicyError, RequiredClaim, RoleAssignmentRow
from tenantgate.core.profiles.cognito import COGNITO, without_aud
from tenantgate.core.profiles.rfc9068 import RFC9068
from tenantgate.core.profiles.table import narrowed_types
from tenantgate.core.token_rules import (
    describe_address,
    describe_networks,
    describe_required,
    describe_required_received,
)
from tenantgate.core.verify import Verified, verify
from tests.builders import ACME_OID, NOW, REMOVE, an_index, oidc_token, static_keys, v2_token


def claims_in(index: PolicyIndex, token: str | None = None) -> Any:
    """Return the verified claims of a token."""
    verified = verify(token or v2_token(), index, static_keys(index))
    assert isinstance(verified, Verified)
    return verified.claims


def a_case(token: str | None = None, *extra: Any, wanted: tuple[str, ...] = (), **world: Any) -> Case:
    """Return the case of a token, with everything that is looked up found."""
    index = an_index(*extra, **world)
    case = Case(claims_in(index, token), index, index.resources["orders"], wanted, NOW)
    assert rules._find(case) is None
    return case


# To the second, and never by what was true a moment before.


@pytest.mark.parametrize("role", ["daemon", "tenant"])
@pytest.mark.parametrize(
    ("window", "first", "then"),
    [
        ({"expires_at": NOW + 5}, NOW, NOW + 5),
        ({"expires_at": NOW + 5}, NOW + 4.5, NOW + 5),
        ({"not_before": NOW}, NOW, NOW - 0.5),
        ({"not_before": NOW}, NOW, NOW - 1),
        ({"not_before": NOW, "expires_at": NOW + 5}, NOW + 4, NOW + 60),
    ],
)
def test_who_was_let_in_a_moment_ago_is_judged_by_the_clock(
    role: str, window: dict[str, int], first: float, then: float
) -> None:
    """A role of the daemon's or of its whole tenant's: it ends when it ends, and a clock that goes back counts too."""
    holder = {"daemon": "acme_daemon"} if role == "daemon" else {"tenant": "acme_tenant"}
    grant = RoleAssignmentRow(id="dated", app_role="orders_read", **holder, **window)
    index = an_index(grant, acme_reads=..., orders={"tenant_wide_roles": True})
    claims = claims_in(index)

    assert isinstance(judge(claims, index, "orders", (), first), Granted)
    refused = judge(claims, index, "orders", (), then)
    assert isinstance(refused, Denied)
    assert refused.reason is R.ROLE_NOT_ASSIGNED
    assert isinstance(judge(claims, index, "orders", (), first), Granted)


def test_a_partner_that_ends_now_has_ended() -> None:
    """Whoever was let in a moment before."""
    index = an_index(acme={"ends_at": NOW + 5})
    claims = claims_in(index)
    assert isinstance(judge(claims, index, "orders", (), NOW + 4), Granted)

    refused = judge(claims, index, "orders", (), NOW + 5)
    assert isinstance(refused, Denied)
    assert refused.reason is R.PARTNER_ENDED


@pytest.mark.parametrize("generation", [1, 3, 7])
def test_in_the_middle_of_a_change_nobody_is_let_in(generation: int) -> None:
    """Neither anew nor by what is remembered."""
    index = an_index()
    claims = claims_in(index)
    assert isinstance(judge(claims, index, "orders", (), NOW), Granted)

    index.generation = generation
    assert judge(claims, index, "orders", (), NOW) is TORN
    index.generation = generation + 1
    assert isinstance(judge(claims, index, "orders", (), NOW), Granted)


def test_a_refusal_has_the_id_it_was_given() -> None:
    """Whatever it is for; and what it was asked for."""
    index = an_index()
    for resource, wanted in (("orders", ("Orders.Write",)), ("nothing", ())):
        denied = judge(claims_in(index), index, resource, wanted, NOW, "d-1")
        assert isinstance(denied, Denied)
        assert (denied.id, denied.resource, denied.wanted_roles) == ("d-1", resource, wanted)


# Word for word.


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"nbf": 1_800_000_000}, "nbf 1800000000, iat 1800000000"),
        ({"nbf": REMOVE}, "no nbf, iat 1800000000"),
    ],
)
def test_when_a_token_begins_is_said(claims: dict[str, Any], said: str) -> None:
    """By both of its claims."""
    assert rules._begins(a_case(oidc_token(**claims))) == said


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({}, "no cnf"),
        ({"cnf": None}, "cnf null"),
        ({"cnf": {}}, "cnf that names nothing"),
        ({"cnf": "x"}, "cnf that names nothing"),
        ({"cnf": {"jkt": "x", "x5t#S256": "y"}}, "cnf with jkt, x5t#S256"),
    ],
)
def test_what_a_token_is_bound_to_is_said(claims: dict[str, Any], said: str) -> None:
    """By the names of the members alone."""
    assert rules._confirmed_by(a_case(v2_token(**claims))) == said


def test_what_kind_of_token_it_is_is_said() -> None:
    """The three claims that tell."""
    assert rules._kind(a_case(v2_token(scp="x"))) == f"idtyp app, scp x, sub {ACME_OID}"


def test_roles_are_said() -> None:
    """Those held and those asked for, or that there are none."""
    case = a_case()
    assert (rules._held(case), rules._wanted_roles(case)) == ("no role", "at least one role")
    case.roles, case.wanted = ("A", "B"), ("C",)
    assert (rules._held(case), rules._wanted_roles(case)) == ("A, B", "C")


@pytest.mark.parametrize(
    ("world", "said"),
    [({}, "partner acme, active"), ({"acme": {"ends_at": 77}}, "partner acme, active, ends at 77")],
)
def test_how_a_partner_stands_is_said(world: dict[str, Any], said: str) -> None:
    """With its end, where it has one."""
    assert rules._standing(a_case(**world)) == said


def test_lists_are_said_up_to_a_bound() -> None:
    """However many an operator or an issuer has named."""
    assert rules._several(("x" * 300,)) == "x" * 300
    assert rules._several(("x" * 301,)) == "x" * 299 + "…"


def test_where_no_issuer_was_found_nobody_is_read_by_it() -> None:
    """A trace may be written before one is."""
    case = a_case()
    case.issuer = None

    assert rules._oidc(case) is None


NETWORKS = (ipaddress.ip_network("192.0.2.0/24"), ipaddress.ip_network("2001:db8::/32"))
LONG = tuple(ipaddress.ip_network(f"192.0.2.{number}/32") for number in range(30))


def test_addresses_are_said() -> None:
    """What was asked for, bounded, and what came."""
    assert describe_networks(NETWORKS) == "an address in 192.0.2.0/24, 2001:db8::/32"
    said = describe_networks(LONG)
    assert len(said) == len("an address in ") + 300
    assert said.endswith("…")
    assert describe_address("192.0.2.7") == "192.0.2.7"
    assert describe_address(None) == "an address that nobody knows"


def required(**members: Any) -> Any:
    """Return one required claim, as a resource's entry has it."""
    claim = RequiredClaim(**{"claim": "plan", **members})
    return ((claim, parse_pointer(claim.claim, "required_claims")),)


@pytest.mark.parametrize(
    ("members", "payload", "expected", "received"),
    [
        ({"values": ("gold", "silver")}, {}, "plan with all of gold, silver", "no plan"),
        ({"values": ("gold", "silver"), "match": "any"}, {"plan": "tin"}, "plan with one of gold, silver", "plan tin"),
        ({"values": ()}, {"plan": None}, "plan with any value", "plan None"),
        ({"values": ()}, {}, "plan with any value", "no plan"),
        ({"claim": "/org/plan", "values": ("gold",)}, {"org": {}}, "/org/plan with all of gold", "no /org/plan"),
        ({"values": ("x" * 300,)}, {}, "plan with all of " + "x" * 300, "no plan"),
        ({"values": ("x" * 301,)}, {}, "plan with all of " + "x" * 299 + "…", "no plan"),
        ({"values": ("gold",)}, {"plan": "gold"}, "every required claim", "as expected"),
    ],
)
def test_a_required_claim_is_said(
    members: dict[str, Any], payload: dict[str, Any], expected: str, received: str
) -> None:
    """What it should have been, and what stood there."""
    assert describe_required(payload, required(**members)) == expected
    assert describe_required_received(payload, required(**members)) == received


# Two profiles.


def test_a_scope_ends_with_a_blank_and_nothing_else() -> None:
    """RFC 6749 §3.3: other white space would be part of a name, and is no resource server's."""
    assert without_aud({"scope": "orders/read  billing/x orders/write"}) == ("orders", "billing")
    assert without_aud({"scope": "orders/read\tbilling/x"}) == ("orders/read\tbilling",)
    assert COGNITO.without_aud is without_aud


def test_a_profile_names_the_types_it_takes() -> None:
    """All of them."""
    profile = replace(RFC9068, token_types=("at+jwt", "other"))
    with pytest.raises(PolicyError) as caught:
        narrowed_types(profile, ("JWT",))

    assert caught.value.message == "profile rfc9068 takes no typ but at+jwt, other"
