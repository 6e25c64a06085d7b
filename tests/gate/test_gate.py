"""One judgement, whoever asks and however: roles, keys, the policy as it changes, and what is remembered."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tenantgate.core.decision import Decision, Denied, Granted
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.policy import PolicyError, Row
from tenantgate.gate.gate import Gate
from tenantgate.gate.request import RequestView
from tests.builders import (
    ACME_CLIENT,
    EXPIRES_AT,
    INITECH_CLIENT,
    INITECH_TID,
    NOW,
    REMOVE,
    STRANGE_CLIENT,
    STRANGE_TID,
    V2_TEMPLATE,
    a_snapshot,
    cloud_key,
    oidc_token,
    stranger_key,
    v1_token,
    v2_claims,
    v2_issuer,
    v2_token,
)
from tests.gate.world import (
    FakeKeys,
    a_broken_delta,
    a_delta,
    a_row_of_policy,
    a_view,
    reason_of,
    suspended,
)

Make = Callable[..., Gate]
READ = ("Orders.Read",)
STRANGER = v2_claims(tid=STRANGE_TID, iss=v2_issuer(STRANGE_TID))


def plain(decision: Decision) -> dict[str, Any]:
    """Return a decision without its id, to be compared with another."""
    found: dict[str, Any] = msgspec.to_builtins(decision)
    assert found.pop("id").startswith("t-")
    return found


async def ask(gate: Gate, view: RequestView, roles: tuple[str, ...] = READ) -> Decision:
    """Ask both ways, cold and warm, and return the answer they agree on."""
    answers = [gate.decide(view, roles), await gate.adecide(view, roles), gate.decide(view, roles)]
    assert [plain(each) for each in answers] == [plain(answers[0])] * 3
    assert len({each.id for each in answers}) == 3
    return answers[0]


# The judgement.


async def test_lets_the_listed_daemon_in(make: Make):
    """The granted case: the principal says who came in, by which policy, and with what."""
    decision = await ask(make(), a_view())

    assert isinstance(decision, Granted)
    assert decision.revision == 1
    who = decision.principal
    assert (who.partner, who.tenant, who.daemon) == ("acme", "acme_tenant", "acme_daemon")
    assert (who.client_id, who.roles, who.resource) == (ACME_CLIENT, READ, "orders")
    assert (who.credential, who.strength) == ("token", "certificate")


@pytest.mark.parametrize("token", [v1_token, oidc_token], ids=["v1", "another issuer"])
async def test_lets_every_kind_of_token_in(make: Make, token: Callable[[], str]):
    """v1 tokens of the cloud and tokens of an OIDC issuer pass the same gate."""
    assert isinstance(await ask(make(), a_view(token())), Granted)


@pytest.mark.parametrize(
    ("view", "reason"),
    [
        pytest.param(RequestView("GET", "/", []), R.NO_CREDENTIAL, id="no credential"),
        pytest.param(a_view("", scheme=b"Basic "), R.SCHEME_NOT_ALLOWED, id="another scheme"),
        pytest.param(a_view(None, (b"authorization", b"")), R.CREDENTIAL_AMBIGUOUS, id="two headers"),
        pytest.param(a_view(b"a.b.c\r\nx: y"), R.REQUEST_INVALID, id="a smuggled header"),
        pytest.param(a_view(""), R.TOKEN_MALFORMED, id="empty token"),
        pytest.param(a_view("not a token"), R.TOKEN_MALFORMED, id="no token"),
        pytest.param(a_view(b"\xff\xfe.\x01.\t"), R.TOKEN_MALFORMED, id="bytes outside ASCII"),
        pytest.param(a_view(v2_token(exp=NOW - 61)), R.TOKEN_EXPIRED, id="expired"),
        pytest.param(a_view(v2_token(aud="api://elsewhere.example")), R.AUDIENCE_MISMATCH, id="another audience"),
        pytest.param(a_view(v2_token(tid=STRANGE_TID)), R.TENANT_MISMATCH, id="tid and iss disagree"),
        pytest.param(a_view(oidc_token(iss="https://id.strange.example")), R.ISSUER_UNKNOWN, id="unknown issuer"),
        pytest.param(a_view(stranger_key().sign(v2_claims())), R.SIGNATURE_INVALID, id="forged"),
        pytest.param(a_view(cloud_key().sign(STRANGER)), R.TENANT_NOT_LISTED, id="tenant not listed"),
        pytest.param(a_view(v2_token(azp=STRANGE_CLIENT)), R.DAEMON_NOT_LISTED, id="daemon not listed"),
        pytest.param(a_view(v2_token(idtyp=REMOVE)), R.NOT_APP_ONLY, id="maybe a user's"),
    ],
)
async def test_refuses_with_the_exact_reason(make: Make, view: RequestView, reason: R):
    """What is spoiled is refused for exactly that, by both ways of asking, fresh and remembered."""
    assert reason_of(await ask(make(), view)) is reason


async def test_asked_roles_are_all_needed(make: Make):
    """One role more than the daemon holds is one too many; with none asked, any role on the resource will do."""
    gate = make()

    assert isinstance(await ask(gate, a_view(), ()), Granted)
    both = await ask(gate, a_view(), ("Orders.Read", "Orders.Write"))
    assert isinstance(both, Denied)
    assert (both.reason, both.wanted_roles) == (R.ROLE_NOT_ASSIGNED, ("Orders.Read", "Orders.Write"))


async def test_the_same_token_is_judged_for_each_question(make: Make):
    """A remembered token carries no remembered answer: the roles of this question decide."""
    gate = make()

    assert isinstance(await ask(gate, a_view(), READ), Granted)
    assert reason_of(await ask(gate, a_view(), ("Orders.Write",))) is R.ROLE_NOT_ASSIGNED
    assert isinstance(await ask(gate, a_view(), READ), Granted)


async def test_another_resource_is_another_audience(make: Make):
    """A gate for billing refuses the token that is good for orders."""
    assert reason_of(await ask(make(resource="billing"), a_view(), ())) is R.AUDIENCE_MISMATCH


@pytest.mark.threat(49)
async def test_time_passes_for_remembered_tokens_too(make: Make):
    """A token is refused once it has expired, though its claims are remembered as verified."""
    now = [NOW]
    gate = make(now=lambda: now[0])
    assert isinstance(await ask(gate, a_view()), Granted)
    now[0] = EXPIRES_AT + 60

    assert reason_of(await ask(gate, a_view())) is R.TOKEN_EXPIRED


def test_every_decision_has_an_id_of_its_own(make: Make):
    """Ids begin with the gate's prefix and never repeat, whether the answer is yes or no."""
    gate = make()
    ids = [gate.decide(view).id for view in (a_view(), a_view(), a_view("x"), RequestView("GET", "/", [])) * 5]

    assert len(set(ids)) == 20
    assert all(each.startswith("t-") for each in ids)


def test_denials_before_the_policy_are_as_complete_as_those_after(make: Make):
    """Revision, resource, roles asked for and the switch for reasons are on every denial."""
    gate = make(news=a_snapshot(orders={"show_reasons": True}, revision=7))
    for view in (RequestView("GET", "/", []), a_view("x"), a_view(v2_token(azp=STRANGE_CLIENT))):
        denied = gate.decide(view, READ)
        assert isinstance(denied, Denied)
        assert (denied.revision, denied.resource, denied.wanted_roles, denied.show_reason) == (7, "orders", READ, True)


# The policy.


def test_without_a_policy_nothing_is_judged():
    """A gate that has loaded nothing refuses, and says that it could not judge."""
    gate = Gate("orders", FakeKeys(), now=lambda: NOW, yield_thread=lambda: None, id_prefix="t-")

    assert reason_of(gate.decide(a_view())) is R.POLICY_UNAVAILABLE
    assert reason_of(gate.decide(RequestView("GET", "/", []))) is R.NO_CREDENTIAL
    assert gate.revision == ("", 0)
    with pytest.raises(PolicyError, match="no resource 'orders'"):
        gate.require_resource()


def test_a_resource_that_is_not_in_the_policy_is_not_judged(make: Make):
    """A policy without this gate's resource lets nobody in and blames nobody."""
    gate = make(resource="shipping")

    assert reason_of(gate.decide(a_view())) is R.POLICY_UNAVAILABLE
    with pytest.raises(PolicyError) as raised:
        gate.require_resource()
    assert raised.value.code == "resource_unknown"


def test_installing_tells_the_revision_in_force(make: Make):
    """Epoch and revision are those of the last snapshot or delta that was put in force."""
    gate = make(news=a_snapshot(epoch="e7", revision=40))
    assert gate.revision == ("e7", 40)
    gate.require_resource()
    gate.install(a_delta(a_row_of_policy("acme", name="Acme & Co"), since=40, epoch="e7"))

    assert gate.revision == ("e7", 41)


@pytest.mark.threat(48)
@pytest.mark.parametrize(
    ("row", "changes", "reason"),
    [
        ("acme", {"state": "suspended"}, R.PARTNER_SUSPENDED),
        ("acme", {"state": "archived"}, R.PARTNER_NOT_ACTIVE),
        ("acme", {"ends_at": int(NOW)}, R.PARTNER_ENDED),
        ("acme_tenant", {"state": "suspended"}, R.TENANT_SUSPENDED),
        ("acme_daemon", {"state": "suspended"}, R.DAEMON_SUSPENDED),
        ("acme_daemon", {"oid": "dddddddd-0000-4000-8000-0000000000ff"}, R.OBJECT_ID_MISMATCH),
        ("acme_reads", {"expires_at": int(NOW)}, R.ROLE_NOT_ASSIGNED),
        ("orders", {"audiences": ("api://moved.example",)}, R.AUDIENCE_MISMATCH),
    ],
)
async def test_a_change_acts_on_the_next_call(make: Make, row: str, changes: dict[str, Any], reason: R):
    """A token remembered as good is refused by the first call after the change, and let in after its undoing."""
    gate = make()
    assert isinstance(await ask(gate, a_view()), Granted)
    gate.install(a_delta(a_row_of_policy(row, **changes)))
    assert reason_of(await ask(gate, a_view())) is reason
    gate.install(a_delta(a_row_of_policy(row), since=2))

    assert isinstance(await ask(gate, a_view()), Granted)


@pytest.mark.threat(48)
async def test_a_deleted_row_acts_on_the_next_call(make: Make):
    """A daemon that is taken off the list is not let in by what is remembered of its token."""
    gate = make()
    assert isinstance(await ask(gate, a_view()), Granted)
    gate.install(a_delta(Row(revision=2, kind="daemon", id="acme_daemon", op="delete")))

    assert reason_of(await ask(gate, a_view())) is R.DAEMON_NOT_LISTED


async def test_a_whole_policy_replaces_the_old_one(make: Make):
    """After a snapshot nothing of the policy before it is left, whatever epoch it came from."""
    gate = make()
    assert isinstance(await ask(gate, a_view()), Granted)
    gate.install(a_snapshot(acme_reads=REMOVE, epoch="e2", revision=1))

    assert reason_of(await ask(gate, a_view())) is R.ROLE_NOT_ASSIGNED
    assert gate.revision == ("e2", 1)


async def test_a_broken_delta_refuses_until_a_snapshot_comes(make: Make):
    """A change that can only be applied in part answers 503 to everybody, and only a whole policy mends it."""
    gate = make()
    with pytest.raises(PolicyError, match="nowhere"):
        gate.install(a_broken_delta())

    for token in (v2_token(), v2_token(exp=NOW - 61), v2_token(azp=STRANGE_CLIENT), stranger_key().sign(v2_claims())):
        denied = await ask(gate, a_view(token))
        assert reason_of(denied) is R.POLICY_UNAVAILABLE
        assert gate.answer(denied).status == 503
    gate.install(a_snapshot(revision=9))
    assert isinstance(await ask(gate, a_view()), Granted)


@pytest.mark.parametrize(("since", "epoch"), [(0, "e1"), (5, "e1"), (1, "e2")])
async def test_a_delta_that_does_not_follow_changes_nothing(make: Make, since: int, epoch: str):
    """A gap or another epoch is an error of the feed: the policy in force stays in force."""
    gate = make()
    with pytest.raises(PolicyError) as raised:
        gate.install(a_delta(a_row_of_policy("acme", state="suspended"), since=since, epoch=epoch))

    assert raised.value.code == "delta_out_of_order"
    assert isinstance(await ask(gate, a_view()), Granted)


def test_a_delta_before_a_policy_is_an_error():
    """A change of nothing cannot be applied."""
    gate = Gate("orders", FakeKeys(), now=lambda: NOW, yield_thread=lambda: None, id_prefix="t-")
    with pytest.raises(PolicyError) as raised:
        gate.install(suspended())

    assert raised.value.code == "delta_out_of_order"


async def test_a_bad_snapshot_leaves_the_old_policy(make: Make):
    """A whole policy with a row that points nowhere is refused before anything of it is in force."""
    gate = make()
    with pytest.raises(PolicyError):
        gate.install(a_snapshot(acme_tenant=REMOVE, revision=2))

    assert gate.revision == ("e1", 1)
    assert isinstance(await ask(gate, a_view()), Granted)


def test_judging_logs_nothing(make: Make, caplog: pytest.LogCaptureFixture):
    """The hot path writes no log line, whatever is presented."""
    caplog.set_level(logging.DEBUG)
    gate = make()
    for view in (a_view(), a_view("x.y.z"), a_view(v2_token(exp=NOW - 61)), RequestView("GET", "/", [])):
        gate.decide(view)

    assert [record for record in caplog.records if record.name.startswith("tenantgate")] == []


def test_template_issuers_are_one_issuer(make: Make):
    """Every tenant of the cloud is found by the one row with the template: another tenant's daemon gets in too."""
    gate = make()
    token = v2_token(tid=INITECH_TID, iss=V2_TEMPLATE.replace("{tenantid}", INITECH_TID), azp=INITECH_CLIENT)
    decision = gate.decide(a_view(token))
    assert isinstance(decision, Granted)
    assert decision.principal.partner == "initech"
