"""Old keys and new: which serve after a fetch, and which objects they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tenantgate.core.keys import KeySet, build_key_set
from tenantgate.discovery.published import KeyEvent, Merging, Published, merge
from tests.builders import Signer, signer
from tests.discovery.fakes import a_row

A, B, C = (signer("ES256", name) for name in "abc")
HARD_AGE, RETIRE = 1000.0, 300.0


def a_set(*signers: Signer, **changes: Any) -> KeySet:
    """Return these keys as a set."""
    return build_key_set({"keys": [each.jwk(**changes) for each in signers]}, a_row())


@dataclass
class Serving:
    """What is published, fetch after fetch."""

    published: Published | None = None
    events: tuple[KeyEvent, ...] = ()

    def fetch(self, now: float, fresh: KeySet, retained: int = 256) -> KeySet:
        """Merge a fetched set in; return what serves."""
        self.published, self.events = merge(self.published, fresh, Merging(now, HARD_AGE, RETIRE, retained))
        return self.published.keys

    def changes(self) -> dict[str, str]:
        """Return what the last fetch changed, by kid."""
        return {event.kid: event.change for event in self.events}


def test_an_unchanged_key_stays_the_same_object():
    """The token cache hangs on object identity: a fetch that changes nothing keeps every object."""
    serving = Serving()
    first = serving.fetch(0, a_set(A, B))

    second = serving.fetch(10, a_set(B, A))

    assert all(second.keys[kid] is key for kid, key in first.keys.items())
    assert serving.changes() == {}


@pytest.mark.parametrize(
    "other",
    [
        a_set(Signer("ES256", C.private, A.kid)),
        a_set(A, issuer="https://id.globex.example"),
        a_set(Signer("RS256", signer("RS256").private, A.kid)),
    ],
    ids=["other material", "other issuer member", "other kind of key"],
)
def test_a_changed_key_replaces_the_old_one(other: KeySet):
    """Same kid, but other material, algorithm or issuer: the new key serves at once, and that is an event."""
    serving = Serving()
    old = serving.fetch(0, a_set(A)).keys[A.kid]

    new = serving.fetch(10, other).keys[A.kid]

    assert new is not old
    assert new is other.keys[A.kid]
    assert serving.changes() == {A.kid: "replaced"}


def test_the_same_key_bound_to_another_algorithm_is_a_new_object():
    """A key that changes from RS256 to PS256 is not the key that verified before."""
    rsa = signer("RS256")
    serving = Serving()
    old = serving.fetch(0, a_set(rsa)).keys[rsa.kid]

    assert serving.fetch(10, a_set(rsa, alg="PS256")).keys[rsa.kid] is not old


def test_a_nameless_key_stays_the_same_object():
    """An issuer with one key without a kid keeps that object over fetches, and loses it when the key changes."""
    serving = Serving()
    first = serving.fetch(0, a_set(A, kid=...)).find(None)

    assert serving.fetch(10, a_set(A, kid=...)).find(None) is first
    assert serving.fetch(20, a_set(B, kid=...)).find(None) is not first


def test_new_keys_act_at_once_and_a_withdrawn_one_retires():
    """A kid no longer listed serves on until the first fetch at least `retire` after the one that lacked it first."""
    serving = Serving()
    old = serving.fetch(0, a_set(A)).keys[A.kid]

    assert set(serving.fetch(100, a_set(B)).keys) == {A.kid, B.kid}
    assert serving.changes() == {A.kid: "absent", B.kid: "added"}
    assert serving.fetch(399, a_set(B)).keys[A.kid] is old
    assert serving.changes() == {}
    assert set(serving.fetch(400, a_set(B)).keys) == {B.kid}
    assert serving.changes() == {A.kid: "retired"}


def test_a_key_that_comes_back_starts_over():
    """Entra's sets flap: a kid that is listed again is the same object, and its absence is forgotten."""
    serving = Serving()
    old = serving.fetch(0, a_set(A, B)).keys[A.kid]
    serving.fetch(100, a_set(B))

    assert serving.fetch(200, a_set(A, B)).keys[A.kid] is old
    assert serving.changes() == {A.kid: "returned"}
    assert A.kid in serving.fetch(300, a_set(B)).keys
    assert A.kid in serving.fetch(599, a_set(B)).keys
    assert A.kid not in serving.fetch(600, a_set(B)).keys


def test_an_outage_does_not_retire_a_key():
    """Time without a successful fetch does not count: only a fetch that still lacks the kid lets it go."""
    serving = Serving()
    serving.fetch(0, a_set(A, B))
    serving.fetch(100, a_set(B))

    assert serving.published is not None
    assert A.kid in serving.published.keys.keys
    assert A.kid in serving.fetch(900, a_set(A, B)).keys


def test_a_key_listed_in_a_form_we_refuse_goes_at_once():
    """What a fresh start would refuse is not kept: listed twice or for encryption, the kid serves no longer."""
    twice = build_key_set({"keys": [A.jwk(), Signer("ES256", C.private, A.kid).jwk(), B.jwk()]}, a_row())
    encrypts = build_key_set({"keys": [A.jwk(use="enc"), B.jwk()]}, a_row())
    for fresh in (twice, encrypts):
        serving = Serving()
        serving.fetch(0, a_set(A, B))

        assert set(serving.fetch(10, fresh).keys) == {B.kid}
        assert serving.changes() == {A.kid: "retired"}


@pytest.mark.parametrize("kid", ["schl\u00fcssel", "x" * 200], ids=["not ASCII", "long"])
def test_twins_of_any_name_go_at_once(kid: str):
    """However the issuer spells its kid, the key that served is not kept when the kid is listed twice."""
    one, other = Signer("ES256", A.private, kid), Signer("ES256", C.private, kid)
    serving = Serving()
    serving.fetch(0, a_set(one, B))

    assert set(serving.fetch(10, a_set(one, other, B)).keys) == {B.kid}


def test_keys_past_the_hard_age_are_not_brought_back():
    """When the old set was too old to judge with, a fetch that lacks a key does not give it another span."""
    serving = Serving()
    kept = serving.fetch(0, a_set(A, B)).keys[B.kid]

    keys = serving.fetch(HARD_AGE, a_set(B)).keys

    assert set(keys) == {B.kid}
    assert keys[B.kid] is kept


def test_withdrawn_keys_are_bounded():
    """An issuer that invents kids at every fetch cannot make the set grow: the longest absent go first."""
    serving = Serving()
    for now, name in enumerate("abcdef"):
        serving.fetch(now, a_set(signer("ES256", name)), retained=2)

    assert serving.published is not None
    assert set(serving.published.keys.keys) == {"d-ES256", "e-ES256", "f-ES256"}
    assert serving.fetch(10, a_set(A), retained=0).keys.keys() == {A.kid}


def test_a_token_without_a_kid_means_the_one_listed_key():
    """A withdrawn key beside it does not make the issuer's only key ambiguous."""
    serving = Serving()
    serving.fetch(0, a_set(A))

    keys = serving.fetch(10, a_set(B))

    assert keys.find(None) is keys.keys[B.kid]
    assert serving.fetch(20, a_set(B, C)).find(None) is None


def test_first_seen_is_kept_while_a_key_serves():
    """When a kid was first listed survives fetches and flapping, and ends with the key."""
    serving = Serving()
    serving.fetch(0, a_set(A))
    serving.fetch(50, a_set(B))
    serving.fetch(60, a_set(A, B))

    assert serving.published is not None
    assert serving.published.first_seen == {A.kid: 0, B.kid: 50}


def test_remade_keys_are_equal_but_new_objects():
    """What was verified with the old objects is verified again; the keys themselves go on."""
    serving = Serving()
    serving.fetch(0, a_set(A))
    serving.fetch(10, a_set(B))
    old = serving.published
    assert old is not None

    new = old.remade(a_row(), HARD_AGE)

    assert set(new.keys.keys) == set(old.keys.keys)
    assert all(new.keys.keys[kid] is not key for kid, key in old.keys.keys.items())
    assert new.keys.find(None) is new.keys.keys[B.kid]
    assert (new.absent, new.fetched_at, new.stale_at) == (old.absent, old.fetched_at, old.stale_at)


def test_remade_keys_are_weighed_by_the_changed_row():
    """What an operator has distrusted since, and how long keys judge now."""
    serving = Serving()
    serving.fetch(0, a_set(A, B))
    old = serving.published
    assert old is not None

    new = old.remade(a_row(distrusted_keys=(B.kid,)), 50.0)
    again = new.remade(a_row(), 60.0)

    assert {kid: key.distrusted for kid, key in new.keys.keys.items()} == {A.kid: False, B.kid: True}
    assert {key.distrusted for key in again.keys.keys.values()} == {False}
    assert (new.stale_at, again.stale_at) == (50.0, 60.0)
