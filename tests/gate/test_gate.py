"""One judgement, whoever asks and however: roles, keys, the policy as it changes, and what is remembered."""

from __future__ import annotations

import hashlib
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
    an_entra_issuer,
    cloud_key,
    oidc_token,
    signer,
    stranger_key,
    v1_token,
    v2_claims,
    v2_issuer,
    v2_token,
)
from tests.gate.world import (
    CLOUD_V2,
    FakeKeys,
    a_broken_delta,
    a_delta,
    a_row_of_policy,
    a_view,
    cloud_keys,
    is_granted,
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
        pytest.param(a_view(""), R.TOKEN_MALFORMED, id="empty token"),
        pytest.param(a_view("not a token"), R.TOKEN_MALFORMED, id="no token"),
        pytest.param(a_view(b"\xff\xfe.\x00.\n"), R.TOKEN_MALFORMED, id="bytes outside ASCII"),
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


# What is remembered.


@pytest.fixture
def verifications(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The digest of every token whose signature was checked."""
    from tenantgate.gate import gate as module

    seen: list[bytes] = []
    real = module.verify

    def counting(token: bytes, *rest: Any) -> Any:
        seen.append(hashlib.sha256(token).digest())
        return real(token, *rest)

    monkeypatch.setattr(module, "verify", counting)
    return seen


def test_a_token_seen_before_is_not_verified_again(make: Make, verifications: list[bytes]):
    """The signature is checked once; every later call is judged by the policy alone."""
    gate = make()
    for _ in range(5):
        assert is_granted(gate.decide(a_view()))

    assert len(verifications) == 1


def test_a_refused_token_is_verified_each_time(make: Make, verifications: list[bytes]):
    """Only authentic tokens are remembered: forgeries cannot fill the memory."""
    gate = make()
    forged = a_view(stranger_key().sign(v2_claims()))
    for _ in range(3):
        assert reason_of(gate.decide(forged)) is R.SIGNATURE_INVALID

    assert len(verifications) == 3


def test_an_authentic_token_of_a_stranger_is_remembered_but_not_let_in(make: Make, verifications: list[bytes]):
    """What is remembered is who signed; that the caller is a stranger is found out anew each time."""
    gate = make()
    view = a_view(cloud_key().sign(STRANGER))
    for _ in range(3):
        assert reason_of(gate.decide(view)) is R.TENANT_NOT_LISTED

    assert len(verifications) == 1


def test_other_changes_of_the_policy_keep_what_was_verified(make: Make, verifications: list[bytes]):
    """A change elsewhere in the policy costs no signature."""
    gate = make()
    assert is_granted(gate.decide(a_view()))
    gate.install(a_delta(a_row_of_policy("initech", state="suspended")))
    assert is_granted(gate.decide(a_view()))

    assert len(verifications) == 1


def test_a_key_that_is_gone_takes_its_tokens_with_it(make: Make):
    """A remembered token is refused as soon as the key set has no longer the key that signed it."""
    keys = FakeKeys()
    gate = make(keys)
    assert is_granted(gate.decide(a_view(), READ))
    keys.sets[CLOUD_V2] = cloud_keys(signer("RS256", "newer"))

    assert reason_of(gate.decide(a_view(), READ)) is R.SIGNING_KEY_UNKNOWN


def test_a_key_that_was_replaced_under_its_name_is_another_key(make: Make):
    """A remembered token is verified again when its `kid` means another key, and does not pass that."""
    keys = FakeKeys()
    gate = make(keys)
    assert is_granted(gate.decide(a_view(), READ))
    keys.sets[CLOUD_V2] = cloud_keys(stranger_key())

    assert reason_of(gate.decide(a_view(), READ)) is R.SIGNATURE_INVALID


def test_keys_that_are_gone_are_asked_for_again(make: Make):
    """A remembered token waits for keys as a new one does, when its issuer's keys have gone altogether."""
    keys = FakeKeys()
    gate = make(keys)
    assert is_granted(gate.decide(a_view(), READ))
    keys.coming = {CLOUD_V2: keys.sets.pop(CLOUD_V2)}

    assert is_granted(gate.decide(a_view(), READ))
    assert keys.fetches == [(CLOUD_V2, cloud_key().kid)]


def test_a_changed_issuer_is_verified_again(make: Make, verifications: list[bytes]):
    """A remembered token is read anew when its issuer's row changes, though the key is the very same object."""
    keys = FakeKeys()
    gate = make(keys)
    assert is_granted(gate.decide(a_view(), READ))
    before = dict(keys.sets)
    keys.set_issuers = lambda rows: keys.sets.update(before)  # type: ignore[method-assign]
    gate.install(a_delta(a_row_of_policy("cloud", token_types=("JWT", "at+jwt", "extra"))))

    assert is_granted(gate.decide(a_view(), READ))
    assert len(verifications) == 2


def test_a_stricter_issuer_refuses_what_was_verified_before(make: Make):
    """A token type that an issuer may no longer use is refused though it was remembered."""
    gate = make()
    assert is_granted(gate.decide(a_view(), READ))
    gate.install(a_delta(a_row_of_policy("cloud", token_types=("at+jwt",))))

    assert reason_of(gate.decide(a_view(), READ)) is R.TOKEN_TYPE_NOT_ALLOWED


def test_an_issuer_that_is_gone_takes_its_tokens_with_it(make: Make):
    """Without its issuer a remembered token is from nobody."""
    gate = make()
    assert is_granted(gate.decide(a_view(), READ))
    gate.install(a_delta(Row(revision=2, kind="issuer", id="cloud", op="delete")))

    assert reason_of(gate.decide(a_view(), READ)) is R.ISSUER_UNKNOWN


# Keys.


def test_keys_follow_the_policys_issuers(make: Make):
    """The key ring is told of the issuers at each whole policy and at each change of one, and only then."""
    keys = FakeKeys()
    gate = make(keys)
    gate.install(suspended())
    gate.install(a_delta(an_entra_issuer(), since=2))
    gate.install(a_delta(Row(revision=4, kind="issuer", id="oidc", op="delete"), since=3))

    assert keys.issuers == [["cloud", "oidc"], ["cloud", "oidc"], ["cloud"]]


async def test_missing_keys_are_fetched_and_the_request_judged_again(make: Make):
    """A request that finds no keys waits for one fetch, and is then judged as if they had been there."""
    for ask_ in ("decide", "adecide"):
        keys = FakeKeys()
        gate = make(keys)
        keys.coming = {CLOUD_V2: keys.sets.pop(CLOUD_V2)}
        decision = gate.decide(a_view(), READ) if ask_ == "decide" else await gate.adecide(a_view(), READ)
        assert is_granted(decision)
        assert keys.fetches == [(CLOUD_V2, cloud_key().kid)]


async def test_the_judgement_after_the_fetch_is_by_the_policy_of_then(make: Make):
    """A suspension that comes while a request waits for keys is obeyed by that request."""
    keys = FakeKeys()
    gate = make(keys)
    keys.coming = {CLOUD_V2: keys.sets.pop(CLOUD_V2)}
    fetch = keys.ensure

    async def ensure(*asked: Any) -> None:
        gate.install(suspended())
        await fetch(*asked)

    keys.ensure = ensure  # type: ignore[method-assign]
    assert reason_of(await gate.adecide(a_view(), READ)) is R.PARTNER_SUSPENDED


async def test_what_a_fetch_does_not_bring_is_a_denial(make: Make):
    """Keys that never came are 503; a key that the issuer does not have is the token's fault, 401."""
    keys = FakeKeys()
    gate = make(keys)
    unknown = a_view(signer("RS256", "rotated").sign(v2_claims()))
    assert reason_of(await gate.adecide(unknown, READ)) is R.SIGNING_KEY_UNKNOWN
    assert reason_of(gate.decide(unknown, READ)) is R.SIGNING_KEY_UNKNOWN
    keys.sets.clear()
    denied = await gate.adecide(a_view(), READ)

    assert reason_of(denied) is R.KEY_SET_UNAVAILABLE
    assert isinstance(denied, Denied)
    assert (denied.resource, denied.wanted_roles, denied.revision) == ("orders", READ, 1)
    assert gate.answer(denied).status == 503
    assert len(keys.fetches) == 3


@pytest.mark.parametrize("ask_", ["decide", "adecide"])
async def test_a_fetch_that_takes_too_long_is_a_denial(make: Make, ask_: str):
    """A request waits for keys no longer than the deadline; the fetch goes on without it."""
    keys = FakeKeys(stuck=True)
    gate = make(keys, deadline=0.05)
    keys.sets.pop(CLOUD_V2)
    decision = gate.decide(a_view(), READ) if ask_ == "decide" else await gate.adecide(a_view(), READ)

    assert reason_of(decision) is R.KEY_SET_UNAVAILABLE
    assert gate.answer(decision).status == 503
    assert (len(keys.fetches), keys.cancelled) == (1, 0)


def test_an_unknown_issuer_causes_no_fetch(make: Make):
    """A token cannot choose whom we ask: only issuers of the policy are fetched."""
    keys = FakeKeys()
    gate = make(keys)
    keys.sets.clear()
    for token in (oidc_token(iss="https://evil.example"), v2_token(iss=f"https://evil.example/{STRANGE_TID}/v2.0")):
        assert reason_of(gate.decide(a_view(token))) is R.ISSUER_UNKNOWN

    assert keys.fetches == []


def test_a_denied_request_does_not_wait_where_no_fetch_would_help(make: Make):
    """Where the key ring wants no fetch (cooldown, static keys), the request is answered at once."""
    keys = FakeKeys(stuck=True)
    keys.wants = lambda ref, kid: False  # type: ignore[method-assign]
    gate = make(keys)
    unknown = a_view(signer("RS256", "rotated").sign(v2_claims()))

    assert reason_of(gate.decide(unknown)) is R.SIGNING_KEY_UNKNOWN
    assert (keys.fetches, keys.running) == ([], 0)


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
