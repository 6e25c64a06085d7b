"""What the policy says of a caller is found out anew after every change and at every date: never kept beyond."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenantgate.core import judge as module
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied, Granted
from tenantgate.core.entries import ResourceEntry
from tenantgate.core.index import PolicyIndex
from tenantgate.core.judge import TORN, Plan, judge, plan_of
from tenantgate.core.policy import ReportOnly, RequiredClaim, RoleAssignmentRow, RoleMappingRow
from tenantgate.core.verify import Verified, verify
from tests.builders import NOW, an_index, oidc_token, policy_rows, static_keys, v2_token
from tests.core.test_index import delete, put


def claims_of(token: str, index: PolicyIndex) -> Any:
    """Return verified claims, whose caller nobody has judged yet."""
    verified = verify(token, index, static_keys())
    assert isinstance(verified, Verified)
    return verified.claims


def asked(
    claims: Any, index: PolicyIndex, now: float = NOW, wanted: tuple[str, ...] = (), peer: str | None = None
) -> Any:
    """Return what is said of the caller."""
    return judge(claims, index, "orders", wanted, now, "id", peer)


def test_a_caller_is_judged_once_while_nothing_changes() -> None:
    """The second answer is the first one's principal itself."""
    index = an_index()
    claims = claims_of(v2_token(), index)
    first, second = asked(claims, index), asked(claims, index, wanted=("Orders.Read",))

    assert second.principal is first.principal
    assert (second.id, second.revision) == ("id", 1)


def test_a_role_that_is_not_held_is_refused_as_ever() -> None:
    """What is kept says which roles are held; which are asked for is each request's own."""
    index = an_index()
    claims = claims_of(v2_token(), index)
    asked(claims, index)

    assert asked(claims, index, wanted=("Orders.Write",)).reason is R.ROLE_NOT_ASSIGNED


@pytest.mark.parametrize(
    ("row", "change", "reason"),
    [
        ("acme", {"state": "suspended"}, R.PARTNER_SUSPENDED),
        ("acme", {"ends_at": NOW}, R.PARTNER_ENDED),
        ("acme_tenant", {"state": "suspended"}, R.TENANT_SUSPENDED),
        ("acme_daemon", {"state": "suspended"}, R.DAEMON_SUSPENDED),
        ("acme_daemon", {"min_credential": "certificate"}, None),
        ("acme_reads", {"expires_at": NOW}, R.ROLE_NOT_ASSIGNED),
        ("orders", {"audiences": ("api://other",)}, R.AUDIENCE_MISMATCH),
        ("orders", {"clients": ("x",)}, R.CLIENT_NOT_ACCEPTED),
        ("orders_read", {"resource": "billing"}, R.ROLE_NOT_ASSIGNED),
    ],
)
def test_a_change_acts_on_the_next_request(row: str, change: dict[str, Any], reason: R | None) -> None:
    """Whatever was found out before."""
    from msgspec.structs import replace

    index = an_index()
    claims = claims_of(v2_token(), index)
    assert isinstance(asked(claims, index), Granted)
    put(index, replace(next(each for each in policy_rows() if each.id == row), **change))
    decision = asked(claims, index)

    assert (decision.reason if isinstance(decision, Denied) else None) is reason
    assert decision.revision == index.revision


def test_threads_that_make_a_plan_at_once_each_keep_to_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that was reported only is refused by name, whoever wrote the resource's plan down last."""
    index = an_index(orders={"max_lifetime": 60, "report_only": (ReportOnly(rule="max_lifetime", until=NOW),)})
    entry = index.resources["orders"]

    def made_twice(of: ResourceEntry) -> Plan:
        mine = plan_of(of)
        of.plan = None
        plan_of(of)  # another thread's
        return mine

    monkeypatch.setattr(module, "plan_of", made_twice)
    assert asked(claims_of(v2_token(), index), index).reason is R.TOKEN_LIFETIME_TOO_LONG
    assert entry.plan is not None


def test_another_index_has_another_opinion() -> None:
    """A whole new policy, with the same revision even, is asked afresh."""
    index, other = an_index(), an_index(acme={"state": "suspended"})
    claims = claims_of(v2_token(), index)
    asked(claims, index)

    assert asked(claims, other).reason is R.PARTNER_SUSPENDED
    assert isinstance(asked(claims, index), Granted)


def test_a_token_is_still_judged_by_its_own_times() -> None:
    """A caller's standing lets no token of its in before or after its time, or for another audience."""
    index = an_index()
    claims = claims_of(v2_token(), index)
    asked(claims, index)

    assert asked(claims, index, now=claims.expires_at + 60).reason is R.TOKEN_EXPIRED
    assert asked(claims, index, now=claims.not_before - 61).reason is R.TOKEN_NOT_YET_VALID


@pytest.mark.parametrize(
    "rules",
    [
        {"required_claims": (RequiredClaim(claim="uti"),)},
        {"addresses": ("192.0.2.0/24",)},
        {"token_roles": "intersect"},
        {"max_lifetime": 60, "report_only": (ReportOnly(rule="max_lifetime", until=NOW + 60),)},
    ],
    ids=lambda rules: next(iter(rules)),
)
def test_what_differs_from_request_to_request_is_never_kept(rules: dict[str, Any]) -> None:
    """Rules about claims, addresses and what is only reported are asked each time."""
    index = an_index(orders=rules)
    claims = claims_of(v2_token(), index)

    assert isinstance(asked(claims, index, peer="192.0.2.1"), Granted)
    assert claims.caller.standing is None


def test_mapped_roles_are_read_from_each_token() -> None:
    """A role that a claim gives belongs to that token."""
    index = an_index(RoleMappingRow(id="m", issuer="oidc", claim="g", value="w", app_role="orders_write"))
    claims = claims_of(oidc_token(g="w"), index)
    asked(claims, index)

    assert claims.caller.standing is None


def test_what_was_found_while_the_policy_changed_is_not_kept() -> None:
    """A judgement that has to be done again leaves nothing behind."""
    index = an_index()
    claims = claims_of(v2_token(), index)
    index.generation += 1
    assert asked(claims, index) is TORN
    assert claims.caller.standing is None
    index.generation += 1
    asked(claims, index)
    index.generation += 1

    assert asked(claims, index) is TORN


@pytest.mark.parametrize(
    ("dates", "times"),
    [
        ({"acme": {"ends_at": NOW + 10}}, (NOW, NOW + 9.5, NOW + 10, NOW + 11, NOW)),
        ({"acme_reads": {"expires_at": NOW + 10}}, (NOW, NOW + 9.5, NOW + 10, NOW)),
        ({"acme_reads": {"not_before": NOW + 10}}, (NOW, NOW + 10, NOW + 9.5, NOW + 20)),
        ({"acme_reads": {"not_before": NOW + 5, "expires_at": NOW + 10}}, (NOW + 7, NOW, NOW + 7, NOW + 10, NOW + 5)),
    ],
)
def test_dates_are_judged_with_now(dates: dict[str, Any], times: tuple[float, ...]) -> None:
    """At its very second a date counts, forwards and (a clock that was set back) backwards."""
    index = an_index(**dates)
    claims = claims_of(v2_token(), index)
    for now in times:
        fresh = claims_of(v2_token(), index)
        fresh.caller.standing = None
        assert asked(claims, index, now) == asked(fresh, index, now)


MOMENTS = st.integers(NOW - 3, NOW + 8)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), MOMENTS, st.sampled_from([(), ("Orders.Read",), ("Orders.Write",)])),
        st.tuples(st.just("partner"), st.sampled_from(["active", "suspended"]), st.none() | MOMENTS),
        st.tuples(st.just("grant"), st.sampled_from(["one", "two", "wide"]), st.none() | MOMENTS, st.none() | MOMENTS),
        st.tuples(st.just("revoke"), st.sampled_from(["one", "two", "wide", "acme_reads"])),
    ),
    max_size=14,
)


@settings(max_examples=400)
@given(STEPS)
def test_any_history_of_questions_and_changes_is_answered_afresh(steps: list[Any]) -> None:
    """Questions at any time between any changes: the answer is that of a caller nobody has ever judged."""
    index = an_index(orders={"tenant_wide_roles": True})
    kept = claims_of(v2_token(), index)
    for step in steps:
        if step[0] == "ask":
            _, now, wanted = step
            fresh = claims_of(v2_token(), an_index())
            assert asked(kept, index, now, wanted) == asked(fresh, index, now, wanted)
        else:
            change(index, step)


def change(index: PolicyIndex, step: Any) -> None:
    """Apply one change of a history."""
    from msgspec.structs import replace

    if step[0] == "partner":
        put(index, replace(index.partners["acme"], state=step[1], ends_at=step[2]))
    elif step[0] == "grant":
        holder = {"tenant": "acme_tenant"} if step[1] == "wide" else {"daemon": "acme_daemon"}
        role = "orders_read" if step[1] == "one" else "orders_write"
        put(index, RoleAssignmentRow(id=step[1], app_role=role, not_before=step[2], expires_at=step[3], **holder))
    else:
        delete(index, "role_assignment", step[1])
