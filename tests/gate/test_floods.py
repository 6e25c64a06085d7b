"""Floods of names nobody has: issuers, tenants, keys and clients by the thousand leave nothing behind."""

from __future__ import annotations

import gc
import itertools
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from tenantgate.core.decision import DenialReason as R
from tenantgate.gate.gate import Gate
from tests.builders import (
    ACME_CLIENT,
    STRANGE_TID,
    b64url,
    cloud_key,
    json_bytes,
    oidc_claims,
    stranger_key,
    v1_issuer,
    v1_token,
    v2_claims,
    v2_issuer,
    v2_token,
)
from tests.gate.world import FakeKeys, ThreadedDoor, a_fetched_snapshot, a_keyring, a_view, is_granted, reason_of

Make = Callable[..., Gate]
READ = ("Orders.Read",)
MIB = 1024 * 1024
COUNT = 6_000
"""Tokens of a flood in these tests; `python -m tests.gate.flood` sends a million of each kind."""


def forged(header: dict[str, object], claims: dict[str, object]) -> str:
    """Return a token that nobody signed: as many as one likes cost nothing to make."""
    return f"{b64url(json_bytes(header))}.{b64url(json_bytes(claims))}.{b64url(bytes(256))}"


def tid_of(number: int) -> str:
    """Return one of many tenants."""
    return f"eeeeeeee-0000-4000-8000-{number:012x}"


def issuers(number: int) -> str:
    """A token of an issuer nobody configured."""
    return forged({"alg": "RS256", "kid": "k"}, oidc_claims(iss=f"https://id.{number}.example"))


def tenants(number: int) -> str:
    """A token of a tenant nobody listed, under the kid of its cloud's key."""
    tid = tid_of(number)
    return forged({"alg": "RS256", "kid": cloud_key().kid}, v2_claims(iss=v2_issuer(tid), tid=tid))


def kids(number: int) -> str:
    """A token of a listed tenant, under a kid nobody published."""
    return forged({"alg": "RS256", "kid": f"kid-{number}"}, v2_claims())


def everything(number: int) -> str:
    """A token in which every name is new."""
    tid = tid_of(number)
    claims = v2_claims(iss=v2_issuer(tid), tid=tid, azp=tid, oid=tid, sub=f"sub-{number}", aud=f"aud-{number}")
    return forged({"alg": "RS256", "kid": f"kid-{number}"}, claims)


FLOODS: dict[str, tuple[Callable[[int], str], set[R]]] = {
    "issuers": (issuers, {R.ISSUER_UNKNOWN}),
    "tenants": (tenants, {R.SIGNATURE_INVALID}),
    "kids": (kids, {R.SIGNING_KEY_UNKNOWN}),
    "everything": (everything, {R.SIGNING_KEY_UNKNOWN}),
}


def grown(gate: Gate, make_token: Callable[[int], str], numbers: Iterator[int], reasons: set[R]) -> int:
    """Send a flood, and return the bytes it left behind."""
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number in numbers:
        assert reason_of(gate.decide(a_view(make_token(number)), READ)) in reasons
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return after - before


@pytest.mark.threat(31)
@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_of_names_leaves_nothing_behind(make: Make, name: str):
    """Twice the flood leaves no more than the flood: what is remembered is bounded, and small."""
    make_token, reasons = FLOODS[name]
    door = ThreadedDoor()
    gate = make(a_keyring(door), a_fetched_snapshot())
    assert is_granted(gate.decide(a_view(), READ))
    numbers = itertools.count()
    first = grown(gate, make_token, itertools.islice(numbers, COUNT // 2), reasons)
    second = grown(gate, make_token, itertools.islice(numbers, COUNT // 2), reasons)

    assert first < 2 * MIB
    assert second < MIB // 4
    assert door.fetches <= 1 + (name in {"kids", "everything"}), "one at the start, one for a cooldown's unknown kids"
    assert is_granted(gate.decide(a_view(), READ))


@pytest.mark.threat(31)
def test_a_flood_makes_no_state_for_anybody_in_it(make: Make):
    """No issuer, tenant, key set or look-up of a name comes into being by being asked for."""
    door = ThreadedDoor()
    keyring = a_keyring(door)
    gate = make(keyring, a_fetched_snapshot())
    gate.decide(a_view(), READ)
    index = gate._index
    assert index is not None
    sizes = (len(index.issuers), len(index.tenants), len(keyring._states), len(gate._tokens))
    addresses = set(door.seen)
    for make_token, _ in FLOODS.values():
        for number in range(500):
            gate.decide(a_view(make_token(number)), READ)

    assert (len(index.issuers), len(index.tenants), len(keyring._states), len(gate._tokens)) == sizes
    assert set(door.seen) == addresses


@pytest.mark.threat(19)
@pytest.mark.parametrize("form", [v2_token, v1_token])
def test_an_unlisted_tenant_is_told_apart_by_its_signature_and_costs_no_fetch(make: Make, form: Callable[..., str]):
    """Signed by the cloud it is authentic and not on the list: 403. Forged it is 401. Neither asks the issuer."""
    keys = FakeKeys()
    gate = make(keys)
    issuer = v2_issuer if form is v2_token else v1_issuer
    strange = {"iss": issuer(STRANGE_TID), "tid": STRANGE_TID}
    authentic = gate.decide(a_view(form(**strange)), READ)
    header, payload, _ = form(**strange).split(".")
    claims_signed_by_nobody = gate.decide(a_view(f"{header}.{payload}.{b64url(bytes(256))}"), READ)

    assert reason_of(authentic) is R.TENANT_NOT_LISTED
    assert gate.answer(authentic).status == 403
    assert reason_of(claims_signed_by_nobody) is R.SIGNATURE_INVALID
    assert gate.answer(claims_signed_by_nobody).status == 401
    assert reason_of(gate.decide(a_view(stranger_key().sign(v2_claims())), READ)) is R.SIGNATURE_INVALID
    assert keys.fetches == []


@pytest.mark.threat(11)
@pytest.mark.parametrize("size", [20_000, 1_000_000, 30_000_000])
def test_an_oversized_credential_is_refused_in_few_words(make: Make, size: int):
    """Whoever passes such a header on, the gate measures it first: nothing of it is in the decision or the answer."""
    gate = make()
    for raw in (b"x" * size, v2_token().encode() + b"x" * size, b"." * size):
        decision = gate.decide(a_view(raw), READ)
        answered = gate.answer(decision)
        assert reason_of(decision) is (R.TOKEN_TOO_LARGE if size < 64 * 1024 else R.REQUEST_INVALID)
        assert len(repr(decision)) < 600
        assert sum(len(name) + len(value) for name, value in answered.headers) + len(answered.body) < 1_000
        assert b"xxxx" not in answered.body
    assert ACME_CLIENT not in repr(decision)
