"""Verification on its lines: what it asks for, what it says, and that the short way is taken and says the same."""

from __future__ import annotations

from typing import Any

import pytest

from tenantgate.core import verify as module
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied
from tenantgate.core.index import PolicyIndex
from tenantgate.core.keys import KeySet, KeySetRef, KeySource, NoKeys
from tenantgate.core.limits import Limits
from tenantgate.core.token import READER, TokenReader, UnverifiedToken
from tenantgate.core.trace import explain
from tenantgate.core.verify import NeedKeys, Reading, Verified, verify
from tests.builders import (
    ACME_TID,
    API_URI,
    NOW,
    REMOVE,
    STRANGE_TID,
    a_snapshot,
    an_index,
    cloud_key,
    oidc_key,
    oidc_token,
    static_keys,
    stranger_key,
    v2_claims,
    v2_issuer,
    v2_token,
)

CLOUD, OIDC = KeySetRef("cloud", "v2"), KeySetRef("oidc", "v2")
TWICE = "not strict JSON: duplicate names, constants or encoding"
COMPACT = "a compact JWS of a supported algorithm"
UNKNOWN = "https://nobody.example"


class Keys:
    """A KeySource that says what the test puts into it, and elsewhere what the rows say."""

    def __init__(self, index: PolicyIndex, **said: KeySet | NoKeys) -> None:
        self._keys = static_keys(index)
        self._said = said
        self.asked: list[KeySetRef] = []

    def key_set(self, ref: KeySetRef) -> KeySet | NoKeys:
        """Answer."""
        self.asked.append(ref)
        return self._said.get(f"{ref.issuer}_{ref.document}") or self._keys.key_set(ref)


def refused(token: str, index: PolicyIndex | None = None, reader: TokenReader = READER, **said: Any) -> Denied:
    """Return the denial of a token."""
    index = index or an_index()
    found = verify(token, index, Keys(index, **said), reader)
    assert isinstance(found, Denied), found
    return found


def needed(token: str, index: PolicyIndex | None = None, **said: Any) -> NeedKeys:
    """Return which keys a token needs."""
    index = index or an_index()
    found = verify(token, index, Keys(index, **said))
    assert isinstance(found, NeedKeys), found
    return found


# Word for word.


@pytest.mark.parametrize(
    ("token", "reason", "detail"),
    [
        (v2_token(iss=UNKNOWN), R.ISSUER_UNKNOWN, f"issuer: expected an iss the policy knows, got iss {UNKNOWN}"),
        (v2_token(iss=7), R.CLAIM_MALFORMED, "issuer: expected an iss the policy knows, got iss 7 (not a string)"),
        (v2_token(iss=REMOVE), R.CLAIM_MISSING, "issuer: expected an iss the policy knows, got no iss"),
        (v2_token(tid=REMOVE), R.CLAIM_MISSING, f"tid: expected tid {ACME_TID}, once, got no tid"),
        (v2_token(tid=STRANGE_TID), R.TENANT_MISMATCH, f"tid: expected tid {ACME_TID}, once, got tid {STRANGE_TID}"),
        (v2_token(ver=2.0), R.VERSION_MISMATCH, "version: expected ver 2.0, got ver 2.0 (not a string)"),
        (v2_token(ver="1.0"), R.VERSION_MISMATCH, "version: expected ver 2.0, got ver 1.0"),
        (
            cloud_key().sign(v2_claims(), typ="at+jwt2"),
            R.TOKEN_TYPE_NOT_ALLOWED,
            "type: expected typ absent or one of JWT, at+jwt, got typ at+jwt2",
        ),
        (
            cloud_key().sign(b'{"iss":"%s","a":1,"a":2}' % v2_issuer(ACME_TID).encode()),
            R.TOKEN_MALFORMED,
            f"strict form: expected one spelling, each name once, got payload or signature: {TWICE}",
        ),
        (
            stranger_key().sign(v2_claims(), kid=cloud_key().kid),
            R.SIGNATURE_INVALID,
            f"signature: expected a signature by key {cloud_key().kid}, got another signature",
        ),
        (
            cloud_key().sign(v2_claims(), alg="RS512"),
            R.ALGORITHM_NOT_ALLOWED,
            "algorithm: expected alg RS256, got alg RS512",
        ),
        ("opaque", R.TOKEN_MALFORMED, f"form: expected {COMPACT}, got 1 parts; a compact JWS has 3"),
    ],
)
def test_a_refusal_says_what_was_expected_and_what_came(token: str, reason: R, detail: str) -> None:
    """And which policy said so."""
    denied = refused(token)

    assert (denied.reason, denied.detail, denied.revision) == (reason, detail, 1)


def test_a_key_that_says_whose_it_is_is_quoted() -> None:
    """And one that does not is told apart."""
    iss = v2_issuer(ACME_TID)
    for named, said in (({}, "a key that names no issuer"), ({"issuer": UNKNOWN}, f"a key of {UNKNOWN}")):
        index = an_index(cloud={"jwks": {"keys": [cloud_key().jwk(**named)]}})
        denied = refused(v2_token(), index)
        assert denied.reason is R.KEY_ISSUER_MISMATCH
        assert denied.detail == f"binding: expected a key of {iss}, got {said}"


def test_of_a_strangers_token_nothing_is_proved() -> None:
    """It is refused for its issuer, whatever else is wrong with it: that costs less."""
    twice = cloud_key().sign(b'{"iss":"%s","a":1,"a":2}' % UNKNOWN.encode())
    bad = f"{v2_token(iss=UNKNOWN).rpartition('.')[0]}.A"

    assert refused(twice).reason is refused(bad).reason is R.ISSUER_UNKNOWN
    index = an_index()
    for token in (twice, bad):
        assert explain(token, index, static_keys(index), "orders", (), NOW).reason is R.ISSUER_UNKNOWN


# Which keys are asked for.


@pytest.mark.parametrize("kid", ["new", None])
def test_an_unknown_key_is_asked_for_where_it_would_be(kid: str | None) -> None:
    """By the token's own kid, at the document of its form."""
    header = {"kid": kid} if kid is not None else {"kid": REMOVE}
    token = oidc_key().sign(_claims_of(oidc_token()), **header)
    other = KeySet({"a": _key_of(), "b": _key_of()})

    found = needed(token, oidc_v2=other)
    assert found == NeedKeys(OIDC, kid, R.SIGNING_KEY_UNKNOWN, f"no key {kid} at oidc")


def _claims_of(token: str) -> dict[str, Any]:
    return READER.take_apart(token).payload


def _key_of() -> Any:
    index = an_index()
    found = static_keys(index).key_set(OIDC)
    assert isinstance(found, KeySet)
    return next(iter(found.keys.values()))


@pytest.mark.parametrize(
    ("said", "reason", "detail"),
    [
        (NoKeys(too_old=False), R.KEY_SET_UNAVAILABLE, "keys of oidc (v2) have not been fetched"),
        (NoKeys(too_old=True, age=259_200.4), R.KEY_SET_TOO_OLD, "keys of oidc are 259200 s old"),
        (NoKeys(too_old=True), R.KEY_SET_TOO_OLD, "keys of oidc are 0 s old"),
    ],
)
def test_keys_that_are_not_there_are_asked_for(said: NoKeys, reason: R, detail: str) -> None:
    """By kid and key set, with why there are none."""
    assert needed(oidc_token(), oidc_v2=said) == NeedKeys(OIDC, oidc_key().kid, reason, detail)


# The reader's own limits, and a profile's own types.


@pytest.mark.parametrize("token", [v2_token, oidc_token])
def test_claims_are_read_within_the_readers_limits(token: Any) -> None:
    """More audiences than it takes are no audience."""
    index, narrow = an_index(), TokenReader(Limits(audiences=1))
    two = token(aud=[API_URI, "x"])

    assert isinstance(verify(two, index, static_keys(index)), Verified)
    assert refused(two, reader=narrow).reason is R.CLAIM_MALFORMED


def test_a_profile_says_which_types_it_takes() -> None:
    """Also where a row that nobody checked says more."""
    index = an_index(oidc={"profile": "rfc9068"})

    assert refused(oidc_key().sign(_claims_of(oidc_token()), typ="JWT"), index).reason is R.TOKEN_TYPE_NOT_ALLOWED


# The short way.


def no_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing go through the steps any more."""

    def never(reading: Reading) -> Any:
        raise AssertionError("this goes through the steps")

    monkeypatch.setattr(module, "_by_steps", never)


def test_a_known_caller_is_verified_without_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the very key, key set and issuer of the first time, with its own times, id and roles."""
    index = an_index()
    keys = static_keys(index)
    first = verify(v2_token(), index, keys)
    assert isinstance(first, Verified)
    no_steps(monkeypatch)

    second = verify(v2_token(uti="another"), index, keys)
    assert isinstance(second, Verified)
    assert second.key is first.key
    assert second.ref == first.ref == CLOUD
    assert second.issuer is first.issuer is index.issuers["cloud"].row
    assert second.claims.caller is first.claims.caller
    assert second.claims.roles == ("Orders.Read",)
    assert second.claims.roles is first.claims.roles
    assert second.claims.payload["uti"] == "another"


def test_a_stranger_is_refused_without_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the words that the steps would have found."""
    index = an_index()
    by_steps = module._by_steps(Reading(v2_token(iss=UNKNOWN), index, static_keys(index)))
    no_steps(monkeypatch)

    assert verify(v2_token(iss=UNKNOWN), index, static_keys(index)) == by_steps


def test_an_application_with_keys_of_its_own_goes_through_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its keys are looked at first, whoever was seen before."""
    index = an_index()
    keys = static_keys(index)
    verify(v2_token(), index, keys)
    no_steps(monkeypatch)

    with pytest.raises(AssertionError, match="goes through the steps"):
        verify(v2_token(), index, keys, READER, "aaaaaaaa-0000-4000-8000-000000000001")


def test_a_fetch_that_changes_nothing_refuses_nobody() -> None:
    """The set is a new one, its keys are the very same: a known caller's signature is asked as anybody's."""
    index = an_index()
    keys = Keys(index)
    assert isinstance(verify(v2_token(), index, keys), Verified)
    same = keys.key_set(CLOUD)
    assert isinstance(same, KeySet)
    fetched: KeySource = Keys(index, cloud_v2=KeySet(same.keys))

    for _ in range(2):
        assert isinstance(verify(v2_token(), index, fetched), Verified)
    forged = stranger_key().sign(v2_claims(), kid=cloud_key().kid)
    again: KeySource = Keys(index, cloud_v2=KeySet(same.keys))
    denied = verify(forged, index, again)
    assert isinstance(denied, Denied)
    assert denied.reason is R.SIGNATURE_INVALID


def test_a_token_is_taken_apart_once() -> None:
    """However far it gets."""
    count = 0

    class Counting(TokenReader):
        def take_apart(self, token: str | bytes) -> UnverifiedToken:
            nonlocal count
            count += 1
            return super().take_apart(token)

    index, reader = an_index(), Counting()
    for token in (v2_token(), v2_token(), v2_token(tid=STRANGE_TID), v2_token(iss=UNKNOWN)):
        count = 0
        verify(token, index, static_keys(index), reader)
        assert count == 1


def test_a_reading_begins_with_nothing_proved() -> None:
    """No signature holds before it was asked; a token that was taken apart is not taken apart again."""
    index = PolicyIndex.from_snapshot(a_snapshot())
    bare = Reading(v2_token(), index, static_keys(index))
    taken = Reading(v2_token(), index, static_keys(index), token=READER.take_apart(v2_token()))

    assert bare.holds is False
    assert (bare.taken, taken.taken) == (False, True)


def test_an_explanation_asks_for_the_keys_of_the_resources_application() -> None:
    """As the judgement does: first its own, then those that all share."""
    appid = "aaaaaaaa-0000-4000-8000-000000000001"
    index = an_index(
        orders={"signing_keys_appid": appid},
        cloud={"jwks": None, "metadata_url": "https://login.cloud.example/metadata"},
    )
    keys = Keys(index, cloud_v2=NoKeys(too_old=False))
    explain(v2_token(), index, keys, "orders", (), NOW)
    assert keys.asked[0] == KeySetRef("cloud", "v2", appid)

    keys.asked.clear()
    explain(v2_token(), index, keys, "billing", (), NOW)
    assert keys.asked[0] == CLOUD


def test_an_explanation_reads_no_more_than_its_reader() -> None:
    """Of a token that is too large for it nothing is told."""
    index, token = an_index(), v2_token(pad="x" * 600)
    trace = explain(token, index, static_keys(index), "orders", (), NOW, reader=TokenReader(Limits(token_bytes=512)))

    assert trace.reason is R.TOKEN_TOO_LARGE
    assert trace.stands[0].detail == "the policy has no issuer for iss None"


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"iss": "x"}, "iss x"),
        ({"iss": 7}, "iss 7 (not a string)"),
        ({"iss": REMOVE}, "no iss"),
        ({"iss": None}, "no iss"),
    ],
)
def test_a_claim_is_told_as_it_stands(claims: dict[str, Any], said: str) -> None:
    """Or that it does not; by words made now."""
    index = an_index()
    reading = Reading("", index, static_keys(index), token=READER.take_apart(v2_token(**claims)))

    assert module._claim("iss")(reading) == said
