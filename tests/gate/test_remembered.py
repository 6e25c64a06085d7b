"""What is remembered of a token: who signed it, for as long as that holds, and never an answer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.policy import Row
from tenantgate.gate.gate import Gate
from tests.builders import (
    NOW,
    STRANGE_TID,
    cloud_key,
    signer,
    stranger_key,
    v2_claims,
    v2_issuer,
)
from tests.gate.world import (
    CLOUD_V2,
    FakeKeys,
    a_delta,
    a_row_of_policy,
    a_view,
    cloud_keys,
    is_granted,
    reason_of,
)

Make = Callable[..., Gate]
READ = ("Orders.Read",)
STRANGER = v2_claims(tid=STRANGE_TID, iss=v2_issuer(STRANGE_TID))


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


def test_the_clocks_are_measured_by_what_the_list_knows_and_once_a_token(make: Make):
    """By authentic tokens when they are first seen, and not by those of strangers, nor by forgeries."""
    keys, now = FakeKeys(), [NOW + 40.0]
    gate = make(keys, now=lambda: now[0])
    for _ in range(2):
        assert is_granted(gate.decide(a_view()))
        now[0] += 10
    for stranger in (cloud_key().sign(STRANGER), stranger_key().sign(v2_claims())):
        gate.decide(a_view(stranger))

    assert keys.ages == [(CLOUD_V2, 640.0)]  # the tokens of these tests are ten minutes old


def test_a_refused_token_is_verified_each_time(make: Make, verifications: list[bytes]):
    """Only authentic tokens are remembered: forgeries cannot fill the memory."""
    gate = make()
    forged = a_view(stranger_key().sign(v2_claims()))
    for _ in range(3):
        assert reason_of(gate.decide(forged)) is R.SIGNATURE_INVALID

    assert len(verifications) == 3


def test_an_authentic_token_of_a_stranger_is_not_remembered(make: Make, verifications: list[bytes]):
    """Any tenant on earth can mint authentic tokens by the thousand: they may cost us time, and no memory."""
    gate = make()
    view = a_view(cloud_key().sign(STRANGER))
    for _ in range(3):
        assert reason_of(gate.decide(view)) is R.TENANT_NOT_LISTED

    assert len(verifications) == 3
    assert len(gate._tokens) == 0


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
    keys.set_issuers = lambda rows, appids=(): keys.sets.update(before)  # type: ignore[method-assign]
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
