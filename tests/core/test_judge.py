"""The policy's side: audiences, time, standing, pins, strength and roles, judged afresh on every request."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantgate.core.claims import VerifiedClaims
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied, Granted
from tenantgate.core.index import PolicyIndex
from tenantgate.core.judge import TORN, judge
from tenantgate.core.policy import DaemonRow, IssuerRow, PolicyDelta, RoleAssignmentRow, Row, row_of
from tenantgate.core.verify import Verified, verify
from tests.builders import (
    ACME_OID,
    ACME_SECOND_CLIENT,
    API_CLIENT_ID,
    API_URI,
    BILLING_CLIENT_ID,
    EXPIRES_AT,
    GLOBEX_CLIENT,
    HOME_TID,
    ISSUED_AT,
    NOW,
    OIDC_ISSUER,
    REMOVE,
    STRANGE_CLIENT,
    a_snapshot,
    an_index,
    ask,
    oidc_token,
    static_keys,
    unchanged_index,
    v1_token,
    v2_issuer,
    v2_token,
)
from tests.core.cases import home_token


def reason_of(decision: object) -> R | None:
    """Return the reason of a denial, None of a grant."""
    assert isinstance(decision, Granted | Denied)
    return decision.reason if isinstance(decision, Denied) else None


def roles_of(decision: object) -> tuple[str, ...]:
    """Return the roles of a grant."""
    assert isinstance(decision, Granted), decision
    return decision.principal.roles


def claims_of(token: str, index: PolicyIndex | None = None) -> VerifiedClaims:
    """Return the verified claims of a token, as a cache would keep them."""
    verified = verify(token, index or unchanged_index(), static_keys(index))
    assert isinstance(verified, Verified)
    return verified.claims


# Time. `now` and every instant are epoch seconds; the skew of the world is 60 s.


@pytest.mark.threat(49)
@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (EXPIRES_AT - 1, None),
        (EXPIRES_AT, None),
        (EXPIRES_AT + 59, None),
        (EXPIRES_AT + 59.999, None),
        (EXPIRES_AT + 60, R.TOKEN_EXPIRED),
        (ISSUED_AT, None),
        (ISSUED_AT - 60, None),
        (ISSUED_AT - 60.001, R.TOKEN_NOT_YET_VALID),
    ],
)
def test_the_skew_is_allowed_on_both_sides(now: float, reason: R | None) -> None:
    """`exp` is exclusive and `nbf` inclusive (RFC 7519 §4.1), each moved by the resource's clock skew."""
    assert reason_of(ask(v2_token(), now=now)) is reason


@pytest.mark.parametrize("skew", [0, 600])
def test_the_skew_is_the_resources_own(skew: int) -> None:
    """A resource may allow none, or up to ten minutes."""
    orders = {"clock_skew": skew}

    assert reason_of(ask(v2_token(), now=EXPIRES_AT + skew - 1, orders=orders)) is None
    assert reason_of(ask(v2_token(), now=EXPIRES_AT + skew, orders=orders)) is R.TOKEN_EXPIRED
    assert reason_of(ask(v2_token(nbf=REMOVE), now=ISSUED_AT - skew - 1, orders=orders)) is R.TOKEN_ISSUED_IN_FUTURE


def test_nbf_may_be_absent() -> None:
    """`nbf` is optional (RFC 9068 §2.2)."""
    assert reason_of(ask(v2_token(nbf=REMOVE))) is None


@pytest.mark.parametrize(("lifetime", "reason"), [(7_200, None), (7_500, None), (7_501, R.TOKEN_LIFETIME_TOO_LONG)])
def test_the_lifetime_is_capped(lifetime: int, reason: R | None) -> None:
    """`exp - iat` is held to the resource's limit; the 300 s by which issuers set `iat` back are not counted."""
    token = v2_token(exp=ISSUED_AT + lifetime)

    assert reason_of(ask(token, orders={"max_lifetime": 7_200})) is reason


def test_a_day_is_the_default_lifetime() -> None:
    """A token of Entra's continuous access evaluation lives up to 28 hours: only where the resource says so."""
    token = v2_token(exp=ISSUED_AT + 28 * 3_600)

    assert reason_of(ask(token)) is R.TOKEN_LIFETIME_TOO_LONG
    assert reason_of(ask(token, orders={"max_lifetime": 28 * 3_600})) is None


# Audience.


@pytest.mark.parametrize("aud", [API_CLIENT_ID, API_URI, [API_URI], ["https://other.example", API_CLIENT_ID]])
def test_any_audience_of_the_resource_will_do(aud: Any) -> None:
    """`aud` names the resource by any of its audiences, alone or among others (RFC 7519 §4.1.3)."""
    assert reason_of(ask(v2_token(aud=aud))) is None


@pytest.mark.threat(17)
def test_an_audience_belongs_to_one_resource() -> None:
    """A token for billing is not one for orders, and the other way round."""
    token = v2_token(aud=BILLING_CLIENT_ID)

    assert reason_of(ask(token)) is R.AUDIENCE_MISMATCH
    assert reason_of(ask(token, resource="billing", wanted=())) is R.ROLE_NOT_ASSIGNED
    assert reason_of(ask(v2_token(), resource="billing")) is R.AUDIENCE_MISMATCH


# App-only: what proves it.


@pytest.mark.parametrize("scp", ["", "/"])
def test_an_empty_scope_does_not_contradict_idtyp(scp: str) -> None:
    """App-only tokens may carry an empty `scp`."""
    assert reason_of(ask(v2_token(scp=scp))) is None


@pytest.mark.parametrize("idrel", ["7", "7 28", "28 7", "33", 7, [7, 28], ["7"], "7 100000"])
def test_a_service_principal_may_say_so(idrel: Any) -> None:
    """`xms_idrel` 7 is a service principal, 33 a federated managed identity; even numbers mean nothing."""
    assert reason_of(ask(v2_token(xms_idrel=idrel))) is None


@pytest.mark.parametrize("facets", ["", "3 9", [], "13", 9])
def test_other_facets_are_ignored(facets: Any) -> None:
    """Only 11, an agent identity, is refused; unknown facets are none of our business."""
    assert reason_of(ask(v2_token(xms_act_fct=facets, xms_sub_fct=facets))) is None


def test_compatible_takes_an_app_only_form_without_idtyp() -> None:
    """Where the publisher cannot switch `idtyp` on: no user's mark, and `sub` is the service principal."""
    compatible = {"orders": {"app_only": "compatible"}}

    assert reason_of(ask(v2_token(idtyp=REMOVE), **compatible)) is None
    assert reason_of(ask(v1_token(idtyp=REMOVE, sub=ACME_OID.upper()), **compatible)) is None
    assert reason_of(ask(v2_token(), **compatible)) is None


@pytest.mark.parametrize(
    "form",
    [
        {"sub": GLOBEX_CLIENT},
        {"sub": f"{GLOBEX_CLIENT}@clients"},
        {"sub": "0af3", "gty": "client-credentials"},
        {"client_id": REMOVE, "azp": GLOBEX_CLIENT},
        {"azp": GLOBEX_CLIENT},
        {"typ": "Bearer"},
        {"token_use": "access"},
        {"scope": "orders"},
    ],
)
def test_client_credentials_forms_of_other_issuers_are_taken(form: dict[str, Any]) -> None:
    """RFC 9068's `sub` = client, and Auth0's forms."""
    assert reason_of(ask(oidc_token(**form))) is None


def test_a_pinned_subject_stands_for_any_form() -> None:
    """An issuer with a form of its own (`repo:…`, `system:serviceaccount:…`) is let in by the daemon's pin."""
    subject = "repo:globex/orders:ref:refs/heads/main"
    pinned = {"globex_daemon": {"subject": subject}}

    assert reason_of(ask(oidc_token(sub=subject), **pinned)) is None
    assert reason_of(ask(oidc_token(sub=subject))) is R.NOT_APP_ONLY
    assert reason_of(ask(oidc_token(sub=subject + "2"), **pinned)) is R.OBJECT_ID_MISMATCH
    assert reason_of(ask(oidc_token(sub=subject, sid="x"), **pinned)) is R.NOT_APP_ONLY


def test_the_client_id_claim_is_the_issuers() -> None:
    """An issuer may name the client in a claim of its own (`cid` at Okta); the others are not asked then."""
    issuer = {"oidc": {"client_id_claim": "cid"}}

    assert reason_of(ask(oidc_token(client_id=REMOVE, cid=GLOBEX_CLIENT), **issuer)) is None
    assert reason_of(ask(oidc_token(), **issuer)) is R.CLAIM_MISSING
    assert reason_of(ask(oidc_token(cid="other", sub="other"), **issuer)) is R.DAEMON_NOT_LISTED


# Standing of partner, tenant and daemon.


@pytest.mark.parametrize(("ends_at", "reason"), [(NOW + 1, None), (NOW, R.PARTNER_ENDED), (NOW - 1, R.PARTNER_ENDED)])
def test_a_partner_ends_with_its_last_second(ends_at: int, reason: R | None) -> None:
    """The end date is exclusive, judged with `now`, and no clock skew prolongs it."""
    assert reason_of(ask(v2_token(), acme={"ends_at": ends_at})) is reason
    assert reason_of(ask(oidc_token(), globex={"ends_at": ends_at})) is reason


@pytest.mark.threat(48)
def test_a_suspension_acts_on_remembered_claims() -> None:
    """Verified claims may be cached; the policy is judged afresh, so the next request is refused."""
    index = an_index()
    claims = claims_of(v2_token(), index)
    assert isinstance(judge(claims, index, "orders", (), NOW), Granted)

    suspended = a_snapshot(acme={"state": "suspended"}, revision=2)
    row = next(row for row in suspended.rows if row.id == "acme")
    index.apply(PolicyDelta(epoch="e1", since=1, revision=2, rows=(row,)))

    decision = judge(claims, index, "orders", (), NOW)
    assert reason_of(decision) is R.PARTNER_SUSPENDED
    assert decision.revision == 2  # type: ignore[union-attr]


def test_claims_of_an_issuer_that_is_gone_are_refused() -> None:
    """Remembered claims end with their issuer."""
    index = an_index()
    claims = claims_of(v2_token(), index)
    delete = Row(revision=2, kind="issuer", id="cloud", op="delete")
    index.apply(PolicyDelta(epoch="e1", since=1, revision=2, rows=(delete,)))

    assert reason_of(judge(claims, index, "orders", (), NOW)) is R.ISSUER_UNKNOWN


def test_a_hosted_tenants_daemons_belong_to_their_partners() -> None:
    """In the publisher's own tenant each daemon names its partner, whose standing counts."""
    assert reason_of(ask(home_token())) is None
    assert reason_of(ask(home_token(), initech={"state": "suspended"})) is R.PARTNER_SUSPENDED
    assert reason_of(ask(home_token(), initech={"ends_at": NOW})) is R.PARTNER_ENDED
    assert reason_of(ask(home_token(), acme={"state": "suspended"})) is None
    assert reason_of(ask(home_token(azp=STRANGE_CLIENT))) is R.DAEMON_NOT_LISTED


@pytest.mark.parametrize(("oid", "reason"), [(ACME_OID, None), (ACME_OID.upper(), None), (None, None)])
def test_a_pin_is_compared_as_a_guid(oid: str | None, reason: R | None) -> None:
    """The pinned object id has no case; without a pin any object may hold the client id."""
    assert reason_of(ask(v2_token(), acme_daemon={"oid": oid})) is reason


def test_a_pin_holds_the_object_not_the_subject() -> None:
    """Entra pins `oid`; what `sub` says does not matter with `idtyp`."""
    pinned = {"acme_daemon": {"oid": ACME_OID}}

    assert reason_of(ask(v2_token(sub="pairwise"), **pinned)) is None
    assert reason_of(ask(v2_token(oid=STRANGE_CLIENT), **pinned)) is R.OBJECT_ID_MISMATCH
    assert reason_of(ask(v2_token(oid=STRANGE_CLIENT, sub=ACME_OID), **pinned)) is R.OBJECT_ID_MISMATCH


STRENGTHS = {"0": 0, "1": 1, "2": 2, REMOVE: 0}


@pytest.mark.parametrize("shown", ["0", "1", "2", REMOVE])
@pytest.mark.parametrize("daemon", ["none", "secret", "certificate"])
@pytest.mark.parametrize("resource", ["none", "secret", "certificate"])
def test_the_stronger_of_two_wishes_counts(shown: Any, daemon: str, resource: str) -> None:
    """Daemon and resource may each ask for a strength; what the issuer does not tell is none."""
    rank = {"none": 0, "secret": 1, "certificate": 2}
    enough = STRENGTHS[shown] >= max(rank[daemon], rank[resource])
    world = {"acme_daemon": {"min_credential": daemon}, "orders": {"min_credential": resource}}

    assert reason_of(ask(v2_token(azpacr=shown), **world)) is (None if enough else R.CREDENTIAL_TOO_WEAK)
    assert reason_of(ask(v1_token(appidacr=shown), **world)) is (None if enough else R.CREDENTIAL_TOO_WEAK)


# Roles.

WRITES = RoleAssignmentRow(id="acme_writes", app_role="orders_write", daemon="acme_daemon")


def test_all_named_roles_are_needed() -> None:
    """Roles asked for are needed all together; the grant names every role held."""
    both = ("Orders.Read", "Orders.Write")
    index = an_index(WRITES)

    assert roles_of(ask(v2_token(), index, wanted=both)) == both
    assert roles_of(ask(v2_token(), index, wanted=("Orders.Write",))) == both
    assert reason_of(ask(v2_token(), wanted=both)) is R.ROLE_NOT_ASSIGNED


def test_with_none_named_one_role_is_needed() -> None:
    """A door that names no role still lets in only who holds one on the resource."""
    assert roles_of(ask(v2_token(), wanted=())) == ("Orders.Read",)
    assert reason_of(ask(v2_token(), wanted=(), acme_reads=...)) is R.ROLE_NOT_ASSIGNED


def test_a_role_of_another_resource_is_none_here() -> None:
    """A role counts on the resource that defines it, though its value be the same."""
    index = an_index(acme_reads={"app_role": "billing_read"}, billing_read={"value": "Orders.Read"})

    assert reason_of(ask(v2_token(), index)) is R.ROLE_NOT_ASSIGNED
    assert reason_of(ask(v2_token(), index, wanted=())) is R.ROLE_NOT_ASSIGNED
    assert roles_of(ask(v2_token(aud=BILLING_CLIENT_ID), index, resource="billing")) == ("Orders.Read",)


@pytest.mark.parametrize(
    ("window", "now", "granted"),
    [
        ({"not_before": NOW}, NOW, True),
        ({"not_before": NOW}, NOW - 0.001, False),
        ({"expires_at": NOW}, NOW, False),
        ({"expires_at": NOW}, NOW - 0.001, True),
        ({"not_before": NOW, "expires_at": NOW + 1}, NOW, True),
        ({"not_before": NOW, "expires_at": NOW + 1}, NOW + 1, False),
        ({"not_before": 0, "expires_at": NOW + 1}, NOW, True),
        ({"expires_at": 0}, NOW, False),
    ],
)
def test_an_assignment_begins_inclusive_and_ends_exclusive(window: dict[str, int], now: float, granted: bool) -> None:
    """Dates of an assignment are exact: no skew, first second in, last second out."""
    assert reason_of(ask(v2_token(), now=now, acme_reads=window)) is (None if granted else R.ROLE_NOT_ASSIGNED)


def test_two_assignments_of_a_role_are_one_role() -> None:
    """One window that is open is enough."""
    again = RoleAssignmentRow(id="acme_reads_again", app_role="orders_read", daemon="acme_daemon", not_before=NOW)

    assert roles_of(ask(v2_token(), an_index(again))) == ("Orders.Read",)
    assert roles_of(ask(v2_token(), an_index(again, acme_reads={"expires_at": NOW}))) == ("Orders.Read",)


TENANT_WIDE = RoleAssignmentRow(id="acme_wide", app_role="orders_write", tenant="acme_tenant")


def test_a_tenant_wide_role_is_for_listed_active_daemons() -> None:
    """Every listed daemon of the tenant has it, once the resource allows it; an unlisted one is never let in."""
    allowed = an_index(TENANT_WIDE, orders={"tenant_wide_roles": True})
    second = v2_token(azp=ACME_SECOND_CLIENT)

    assert roles_of(ask(second, allowed, wanted=())) == ("Orders.Write",)
    assert roles_of(ask(v2_token(), allowed, wanted=())) == ("Orders.Read", "Orders.Write")
    assert reason_of(ask(v2_token(azp=STRANGE_CLIENT), allowed, wanted=())) is R.DAEMON_NOT_LISTED
    suspended = an_index(TENANT_WIDE, orders={"tenant_wide_roles": True}, acme_second={"state": "suspended"})
    assert reason_of(ask(second, suspended, wanted=())) is R.DAEMON_SUSPENDED


def test_a_tenant_wide_role_needs_the_resources_leave() -> None:
    """A row that stands there all the same gives nothing."""
    second = v2_token(azp=ACME_SECOND_CLIENT)

    assert reason_of(ask(second, an_index(TENANT_WIDE), wanted=())) is R.ROLE_NOT_ASSIGNED
    assert roles_of(ask(v2_token(), an_index(TENANT_WIDE), wanted=())) == ("Orders.Read",)


def test_a_tenant_wide_role_keeps_its_dates() -> None:
    """Tenant-wide assignments begin and end like others."""
    ended = RoleAssignmentRow(id="acme_wide", app_role="orders_write", tenant="acme_tenant", expires_at=NOW)
    index = an_index(ended, orders={"tenant_wide_roles": True})

    assert reason_of(ask(v2_token(azp=ACME_SECOND_CLIENT), index, wanted=())) is R.ROLE_NOT_ASSIGNED


def test_a_hosted_tenant_has_no_tenant_wide_roles() -> None:
    """In the publisher's own tenant such a role would reach across partners: the row gives nothing."""
    wide = RoleAssignmentRow(id="home_wide", app_role="orders_write", tenant="home")
    index = an_index(wide, orders={"tenant_wide_roles": True})

    assert roles_of(ask(home_token(), index, wanted=())) == ("Orders.Read",)


@pytest.mark.parametrize(
    ("roles", "held"),
    [
        (["Orders.Read", "Orders.Write"], ("Orders.Read", "Orders.Write")),
        (["Orders.Write", "Other"], ("Orders.Write",)),
        (["Other"], ()),
        (["orders.read"], ()),
        ([], ()),
        (None, ()),
        (REMOVE, ()),
    ],
)
def test_intersect_asks_the_token_too(roles: Any, held: tuple[str, ...]) -> None:
    """With `token_roles` = intersect a role must be assigned here and named there; an absent claim names none."""
    index = an_index(WRITES, orders={"token_roles": "intersect"})
    decision = ask(v2_token(roles=roles), index, wanted=())

    if held:
        assert roles_of(decision) == held
    else:
        assert reason_of(decision) is R.ROLE_NOT_ASSIGNED


@pytest.mark.threat(23)
@pytest.mark.parametrize("roles", [["Orders.Write"], ["Admin"], [], REMOVE])
def test_the_tokens_roles_give_nothing_by_themselves(roles: Any) -> None:
    """The partner's tenant cannot grant itself a role: by default the claim is ignored."""
    assert roles_of(ask(v2_token(roles=roles), wanted=())) == ("Orders.Read",)
    assert reason_of(ask(v2_token(roles=roles), wanted=("Orders.Write",))) is R.ROLE_NOT_ASSIGNED


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["orders_read", "orders_write", "billing_read"]),
            st.sampled_from([None, NOW - 1, NOW, NOW + 1]),
            st.sampled_from([None, NOW - 1, NOW, NOW + 1]),
        ),
        max_size=6,
    ),
    st.booleans(),
    st.lists(st.sampled_from(["Orders.Read", "Orders.Write"]), unique=True),
)
def test_roles_agree_with_a_plain_reading(grants: list[Any], intersect: bool, wanted: list[str]) -> None:
    """Random assignments give the roles that a sentence of plain Python gives."""
    values = {"orders_read": "Orders.Read", "orders_write": "Orders.Write"}
    rows = [
        RoleAssignmentRow(id=f"r{place}", app_role=role, daemon="acme_daemon", not_before=begin, expires_at=end)
        for place, (role, begin, end) in enumerate(grants)
    ]
    index = an_index(*rows, acme_reads=..., orders={"token_roles": "intersect" if intersect else "ignore"})
    expected = {
        values[role]
        for role, begin, end in grants
        if role in values and (begin is None or begin <= NOW) and (end is None or end > NOW)
    }
    if intersect:
        expected &= {"Orders.Read"}

    decision = judge(ACME_CLAIMS, index, "orders", tuple(wanted), NOW)
    if expected and expected >= set(wanted):
        assert roles_of(decision) == tuple(sorted(expected))
    else:
        assert reason_of(decision) is R.ROLE_NOT_ASSIGNED


ACME_CLAIMS = claims_of(v2_token())


# The decision itself.


def test_a_denial_says_where_and_never_who_is_on_the_list() -> None:
    """A denial carries the resource, the roles asked for and the revision; `show_reason` is the publisher's choice."""
    denied = ask(v2_token(azp=STRANGE_CLIENT), wanted=("Orders.Write",))
    shown = ask(v2_token(azp=STRANGE_CLIENT), orders={"show_reasons": True})

    assert isinstance(denied, Denied)
    assert (denied.resource, denied.wanted_roles, denied.revision) == ("orders", ("Orders.Write",), 1)
    assert not denied.show_reason
    assert isinstance(shown, Denied)
    assert shown.show_reason


def test_a_denial_before_the_policy_is_as_complete() -> None:
    """A token refused by its form is answered for the same resource, roles and revision."""
    for token in ("opaque", oidc_token(iss="https://other.example"), v2_token() + "=="):
        denied = ask(token, orders={"show_reasons": True})
        assert isinstance(denied, Denied)
        assert (denied.resource, denied.wanted_roles, denied.revision) == ("orders", ("Orders.Read",), 1)
        assert denied.show_reason


def test_a_decision_carries_the_id_it_is_given() -> None:
    """Ids are made by the caller: core has no randomness."""
    granted = judge(ACME_CLAIMS, unchanged_index(), "orders", (), NOW, "d-1")
    denied = judge(ACME_CLAIMS, unchanged_index(), "nothing", (), NOW, "d-2")

    assert isinstance(granted, Granted)
    assert granted.id == "d-1"
    assert isinstance(denied, Denied)
    assert denied.id == "d-2"


def test_a_judgement_amid_a_change_is_torn() -> None:
    """An odd generation means that rows are being changed: no answer is given, not even a denial."""
    index = an_index()
    index.generation += 1

    assert judge(ACME_CLAIMS, index, "orders", (), NOW) is TORN
    assert judge(ACME_CLAIMS, index, "nothing", (), NOW) is TORN
    index.generation += 1
    assert isinstance(judge(ACME_CLAIMS, index, "orders", (), NOW), Granted)


@pytest.mark.threat(25)
def test_an_empty_policy_lets_nobody_in() -> None:
    """No rows, no grant: not for the soundest token."""
    index = PolicyIndex()

    assert reason_of(ask(v2_token(), index)) is R.ISSUER_UNKNOWN
    assert reason_of(judge(ACME_CLAIMS, index, "orders", (), NOW)) is R.POLICY_UNAVAILABLE


def test_the_same_client_id_in_two_tenants_is_two_daemons() -> None:
    """A multi-tenant app has one client id everywhere; only the listed tenant's daemon holds the role."""
    twin = DaemonRow(id="initech_twin", tenant="initech_tenant", client_id="cccccccc-0000-4000-8000-000000000003")
    index = an_index(twin)
    token = v2_token(iss=v2_issuer("bbbbbbbb-0000-4000-8000-000000000022"), tid="bbbbbbbb-0000-4000-8000-000000000022")

    assert reason_of(ask(token, index)) is R.ROLE_NOT_ASSIGNED
    assert reason_of(ask(token)) is R.DAEMON_NOT_LISTED
    assert roles_of(ask(v2_token(), index)) == ("Orders.Read",)


def test_an_oidc_issuers_client_id_is_no_entra_client() -> None:
    """A GUID-shaped client id of an OIDC issuer never reaches an Entra daemon of the same id."""
    token = oidc_token(client_id="cccccccc-0000-4000-8000-000000000003", sub="cccccccc-0000-4000-8000-000000000003")

    assert reason_of(ask(token)) is R.DAEMON_NOT_LISTED
    issuer = IssuerRow(id="other", kind="oidc", issuer=OIDC_ISSUER + "2")
    assert reason_of(ask(token, an_index(issuer))) is R.DAEMON_NOT_LISTED


def test_a_tenant_of_an_oidc_issuer_ignores_tid() -> None:
    """`tid` means nothing outside Entra."""
    assert reason_of(ask(oidc_token(tid=HOME_TID))) is None


def test_rows_put_twice_change_nothing() -> None:
    """Applying what is there already gives the same answer."""
    index = an_index()
    rows = tuple(row_of(row.data, 2) for row in a_snapshot().rows if row.data is not None)
    index.apply(PolicyDelta(epoch="e1", since=1, revision=2, rows=rows))

    assert roles_of(judge(ACME_CLAIMS, index, "orders", (), NOW)) == ("Orders.Read",)


def test_a_judgement_says_why_it_cannot_be_made() -> None:
    """A policy that was applied by half, and a resource that no policy knows: each in its words."""
    index = an_index()
    claims = claims_of(v2_token(), index)
    unknown = judge(claims, index, "nothing", (), NOW)
    index.broken = True
    broken = judge(claims, index, "orders", ("Orders.Read",), NOW, "an-id")

    assert isinstance(unknown, Denied)
    assert isinstance(broken, Denied)
    assert (unknown.detail, unknown.id, unknown.resource) == ("resource nothing is not in the policy", "", "nothing")
    assert (broken.detail, broken.id, broken.resource) == ("the policy could not be applied", "an-id", "orders")
    assert (broken.wanted_roles, broken.revision) == (("Orders.Read",), index.revision)


def test_a_principal_names_the_object_that_holds_the_client() -> None:
    """Entra's object id in small letters, another issuer's `sub` as it stands there."""
    upper = v2_token(oid=ACME_OID.upper(), sub=ACME_OID.upper())

    assert ask(upper).principal.oid == ACME_OID  # type: ignore[union-attr]
    assert ask(oidc_token(), wanted=()).principal.oid == GLOBEX_CLIENT  # type: ignore[union-attr]
