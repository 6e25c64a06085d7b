"""Callers seen before: a shorter way to the same answer, that no token can use for what it is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantgate.core.decide import decide
from tenantgate.core.decision import Denied, Granted
from tenantgate.core.index import PolicyIndex
from tenantgate.core.keys import KeySet, KeySetRef, KeySource, NoKeys, StaticKeys
from tenantgate.core.recognise import _SHAPES, MOST, STATIC
from tenantgate.core.verify import NeedKeys, Verified, verify
from tests.builders import (
    ACME_OID,
    ACME_SECOND_CLIENT,
    INITECH_CLIENT,
    INITECH_TID,
    NOW,
    REMOVE,
    STRANGE_TID,
    V2_TEMPLATE,
    Signer,
    an_index,
    b64url,
    changed,
    cloud_key,
    json_bytes,
    signer,
    static_keys,
    stranger_key,
    v1_claims,
    v2_claims,
    v2_issuer,
    v2_token,
)
from tests.core.test_properties import CHANGES


def remembered(index: PolicyIndex) -> int:
    """Return how many callers an index remembers."""
    return len(index.recognised._by_oid)


def judged(token: str, index: PolicyIndex, keys: KeySource | None = None) -> Any:
    """Return the decision on a token."""
    return decide(token, index, keys or static_keys(), "orders", ("Orders.Read",), NOW)


def test_a_listed_caller_is_remembered_by_its_verified_token() -> None:
    """Once, whatever its tokens' times and ids are."""
    index = an_index()
    for number in range(3):
        assert isinstance(judged(v2_token(uti=f"token{number}", exp=NOW + 60 + number), index), Granted)

    assert remembered(index) == 1


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(lambda: stranger_key().sign(v2_claims(), kid=cloud_key().kid), id="forged"),
        pytest.param(lambda: v2_token(tid=STRANGE_TID, iss=v2_issuer(STRANGE_TID)), id="a stranger's, authentic"),
        pytest.param(lambda: v2_token(scp="x"), id="one that says more"),
        pytest.param(lambda: v2_token(appid=REMOVE, azpacr=2), id="a number where a text belongs"),
    ],
)
def test_nothing_else_is_remembered(token: Callable[[], str]) -> None:
    """Neither what nobody signed, nor strangers, nor what a caller cannot be known by."""
    index = an_index()
    judged(token(), index)

    assert remembered(index) == 0


@given(base=st.sampled_from([v1_claims, v2_claims]), first=CHANGES, second=CHANGES)
def test_who_was_seen_before_gets_the_same_answer(base: Any, first: dict[str, Any], second: dict[str, Any]) -> None:
    """Whatever two tokens say: the second is answered as if the first had never been."""
    index = an_index(**FAST_WORLD)
    keys = StaticKeys(entry.row for entry in index.issuers.values())
    seen, token = fast_key().sign(changed(base(), first)), fast_key().sign(changed(base(), second))
    alone = outcome(token, an_index(**FAST_WORLD), keys)
    outcome(base_token(base), index, keys)
    outcome(seen, index, keys)

    assert outcome(token, index, keys) == alone
    assert outcome(token, index, keys) == alone


def fast_key() -> Signer:
    """Return a key that signs in microseconds."""
    return signer("EdDSA", "fast")


def base_token(base: Any) -> str:
    """Return the sound token of a form."""
    return fast_key().sign(base())


FAST_WORLD = {
    "cloud": {
        "jwks": {"keys": [fast_key().jwk(issuer=V2_TEMPLATE)]},
        "v1_jwks": {"keys": [fast_key().jwk()]},
    }
}


def outcome(token: str, index: PolicyIndex, keys: StaticKeys) -> Any:
    """Return all that a decision says, comparable."""
    decision = decide(token, index, keys, "orders", (), NOW)
    assert isinstance(decision, Granted | Denied)
    return decision


@pytest.mark.parametrize("claim", STATIC)
def test_each_claim_a_caller_is_known_by_counts(claim: str) -> None:
    """A token that differs in one of them is read anew: what is remembered never answers for it."""
    index, base = an_index(), v1_claims() if claim.startswith("appid") else v2_claims()
    base.setdefault(claim, "7")
    key = cloud_key()
    assert isinstance(judged(key.sign(base), index), Granted)
    other = key.sign({**base, claim: "x"})

    assert index.recognised.find(taken(other)) is None
    assert judged(other, index) == judged(other, an_index())


def taken(token: str) -> Any:
    """Return a token taken apart."""
    from tenantgate.core.token import READER

    return READER.take_apart(token)


@pytest.mark.parametrize("extra", ["nonce", "act", "upn", "scp", "TID", "jti", "xms_act_fct", "appid", "name"])
def test_a_claim_that_says_more_is_never_passed_over(extra: str) -> None:
    """A token with one claim more than those seen before is another token."""
    index = an_index()
    judged(v2_token(), index)

    assert index.recognised.find(taken(v2_token(**{extra: "x"}))) is None


def test_another_header_is_another_way_to_a_key() -> None:
    """A known caller's claims under another `kid`, `typ` or `alg` are read anew."""
    index = an_index()
    judged(v2_token(), index)
    for change in ({"kid": "other"}, {"typ": "at+jwt"}, {"x5t": "abc"}):
        assert index.recognised.find(taken(cloud_key().sign(v2_claims(), **change))) is None


def test_a_known_callers_forged_token_is_checked_once() -> None:
    """A bad signature under a known caller's claims costs one verification, as it does under a stranger's."""
    index, counting = an_index(), Counting(static_keys())
    assert isinstance(judged(v2_token(), index, counting), Granted)
    counting.checks.clear()
    head, _, _ = v2_token(uti="forged").rpartition(".")

    assert judged(f"{head}.{b64url(b'x' * 256)}", index, counting).reason == "signature_invalid"
    assert len(counting.checks) == 1


class Counting:
    """A KeySource whose keys count what they verify."""

    def __init__(self, keys: KeySource) -> None:
        self._keys = keys
        self._sets: dict[KeySetRef, KeySet | NoKeys] = {}
        self.checks: list[bytes] = []

    def key_set(self, ref: KeySetRef) -> KeySet | NoKeys:
        """Return the same counting key set each time."""
        if ref not in self._sets:
            self._sets[ref] = self._counting(self._keys.key_set(ref))
        return self._sets[ref]

    def _counting(self, found: KeySet | NoKeys) -> KeySet | NoKeys:
        from msgspec.structs import replace

        if isinstance(found, NoKeys):
            return found

        def counted(key: Any) -> Any:
            def check(signed: bytes, signature: bytes) -> bool:
                self.checks.append(signed)
                return bool(key.check(signed, signature))

            return replace(key, check=check)

        return KeySet({kid: counted(key) for kid, key in found.keys.items()})

    def drop(self) -> None:
        """Publish key sets without any key."""
        self._sets = {ref: KeySet({}) for ref in self._sets}


def test_a_key_set_that_changed_is_asked_anew() -> None:
    """A key that its issuer withdrew verifies nothing, whoever was seen with it before."""
    index, keys = an_index(), Counting(static_keys())
    assert isinstance(verify(v2_token(), index, keys), Verified)
    keys.drop()

    assert isinstance(verify(v2_token(), index, keys), NeedKeys)


def test_a_change_of_an_issuer_forgets_everybody() -> None:
    """What was found out under one row of an issuer says nothing under the next."""
    from tests.core.test_index import put

    index = an_index()
    judged(v2_token(), index)
    assert remembered(index) == 1
    put(index, index.issuers["oidc"].row)

    assert remembered(index) == 0


def test_a_policy_applied_by_half_recognises_nobody() -> None:
    """It cannot judge, and says so, for known callers too."""
    index = an_index()
    judged(v2_token(), index)
    index.broken = True

    assert judged(v2_token(), index).reason == "policy_unavailable"


def test_a_callers_other_daemon_is_another_caller() -> None:
    """Two clients with one service principal cannot be: the later one is remembered, and both are judged rightly."""
    index = an_index()
    for _ in range(2):
        assert isinstance(judged(v2_token(), index), Granted)
        assert judged(v2_token(azp=ACME_SECOND_CLIENT), index).reason == "role_not_assigned"


def test_the_memory_is_bounded() -> None:
    """It is emptied when it is full, and fills again."""
    index = an_index()
    token = taken(v2_token())
    judged(v2_token(), index)
    found = index.recognised.find(token)
    assert found is not None
    known, _ = found
    for number in range(MOST + 10):
        index.recognised.add({**token.payload, "oid": f"{number}"}, known)

    assert 0 < remembered(index) <= MOST


def test_initechs_oid_in_acmes_token_finds_nobody() -> None:
    """The object id only says where to look; every other value must be the same."""
    index = an_index()
    initech = v2_token(iss=v2_issuer(INITECH_TID), tid=INITECH_TID, azp=INITECH_CLIENT)
    judged(initech, index)
    acme = v2_token(oid=taken(initech).payload["oid"])

    assert index.recognised.find(taken(acme)) is None
    assert isinstance(judged(v2_token(oid=ACME_OID), index), Granted)


def test_json_bytes_are_what_the_reader_compares() -> None:
    """A known caller's token with a name twice is refused: recognition does not save it from the proof."""
    index = an_index()
    judged(v2_token(), index)
    raw = json_bytes(v2_claims())
    twice = cloud_key().sign(raw[:-1] + b',"oid":"' + ACME_OID.encode() + b'"}')

    assert judged(twice, index).reason == "token_malformed"


@pytest.mark.parametrize(
    "times",
    [
        {"iat": -5},
        {"nbf": -5},
        {"exp": -5},
        {"iat": 2**53 + 1},
        {"nbf": 2**53 + 1},
        {"exp": 2**53 + 1},
        {"iat": 2**60},
        {"iat": -1, "nbf": -1, "exp": -1},
        {"iat": True},
        {"nbf": 1.5e300},
        {"uti": ""},
        {"uti": 7},
        {"roles": "Orders.Read"},
        {"roles": [7]},
    ],
)
def test_a_known_callers_own_claims_are_read_as_anybodys(times: dict[str, Any]) -> None:
    """What is remembered of it says nothing about when a token is from, what it is called, and which roles it has."""
    index = an_index()
    assert isinstance(judged(v2_token(), index), Granted)
    token = v2_token(**times)
    assert index.recognised.find(taken(token)) is not None

    known, unknown = (verify(token, each, static_keys()) for each in (index, an_index()))
    assert type(known) is type(unknown) is Denied
    assert known == unknown


def test_a_known_caller_has_its_tokens_roles() -> None:
    """Those of this very token, whatever the last one had."""
    index = an_index()
    for roles in (["A"], ["A"], ["B"], ["A", "B"], ["A", "B"], []):
        found = verify(v2_token(roles=roles), index, static_keys())
        assert isinstance(found, Verified)
        assert found.claims.roles == tuple(roles)


def test_the_memory_has_a_bound() -> None:
    """As many callers and as many orders of claims as fit; then all are forgotten, and remembered anew."""
    index = an_index()
    judged(v2_token(), index)
    memory, shape = index.recognised._by_oid[ACME_OID], next(iter(index.recognised._shapes.values()))
    index.recognised._by_oid = {str(number): memory for number in range(MOST - 1)}
    index.recognised._shapes = {frozenset([str(number)]): shape for number in range(_SHAPES - 1)}

    judged(v2_token(extra="x"), index)
    assert (remembered(index), len(index.recognised._shapes)) == (MOST, _SHAPES)
    judged(v2_token(), index)
    assert (set(index.recognised._by_oid), len(index.recognised._shapes)) == ({ACME_OID}, 1)
