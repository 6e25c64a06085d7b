"""The words of a claim's refusal: which claim, what stood there, and what was wanted, exactly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied
from tenantgate.core.oidc import _check_fixed, _check_scope, _told
from tenantgate.core.profiles.profile import Fixed, Scope
from tenantgate.core.token import Refused
from tenantgate.core.verify import Verified, verify
from tests.builders import EXPIRES_AT, ISSUED_AT, an_index, ask, static_keys, v2_token


def refusal(action: Callable[[], object]) -> tuple[R, str]:
    """Return reason and words of a refusal."""
    with pytest.raises(Refused) as caught:
        action()
    return caught.value.reason, caught.value.detail


@pytest.mark.parametrize(
    ("payload", "fixed", "reason", "words"),
    [
        ({"gty": "x"}, Fixed(("gty",), ("a", "b")), R.CLAIM_MALFORMED, "gty is x, not a or b"),
        ({"ver": 2}, Fixed(("ver",), (1,)), R.CLAIM_MALFORMED, "ver is 2, not 1"),
        ({"ver": True}, Fixed(("ver",), (1,)), R.CLAIM_MALFORMED, "ver is True, not 1"),
        ({"a": {"b": "x"}}, Fixed(("a", "b"), ("y",), R.NOT_APP_ONLY), R.NOT_APP_ONLY, "a/b is x, not y"),
        ({}, Fixed(("gty",), ("a",)), R.CLAIM_MISSING, "gty is absent"),
        ({"gty": None}, Fixed(("gty",)), R.CLAIM_MISSING, "gty is null"),
    ],
)
def test_a_fixed_claim_says_what_it_must_be(payload: dict[str, Any], fixed: Fixed, reason: R, words: str) -> None:
    """The claim, what it is, and all that it may be."""
    assert refusal(lambda: _check_fixed(payload, fixed)) == (reason, words)


@pytest.mark.parametrize(
    ("scope", "value", "words"),
    [
        (Scope(("scp",), list), "a b", "scp is not a list: a b"),
        (Scope(("scope",)), ["a"], "scope is not a string: ['a']"),
        (Scope(("scope",)), None, "scope is not a string: None"),
    ],
)
def test_a_scope_says_which_type_it_must_have(scope: Scope, value: Any, words: str) -> None:
    """Okta writes a list, everybody else a string."""
    assert refusal(lambda: _check_scope({scope.claim[0]: value}, scope)) == (R.CLAIM_MALFORMED, words)


@pytest.mark.parametrize("payload", [{"scope": "a"}, {}])
def test_a_scope_of_its_type_or_none_passes(payload: dict[str, Any]) -> None:
    """A client without scopes has no such claim."""
    assert _check_scope(payload, Scope(("scope",))) is None


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("preferred_username", "service-account-nightly", "service-account-nightly"),
        ("preferred_username", "somebody", "of a user"),
        ("preferred_username", "SERVICE-ACCOUNT-x", "of a user"),
        ("preferred_username", 7, "of a user"),
        ("azp", "nightly", "nightly"),
        ("gty", ["x"], "['x']"),
    ],
)
def test_of_a_persons_name_only_its_presence_is_told(name: str, value: Any, told: str) -> None:
    """Traces and logs hold no names of people; a service account is nobody."""
    assert _told(name, value) == told


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"uti": 7}, "uti is not a sane string"),
        ({"jti": ["a"]}, "jti is not a sane string"),
        ({"iat": "1"}, "iat is not a NumericDate: 1"),
        ({"iat": None}, "iat is null"),
        ({"exp": ...}, "exp is absent"),
        ({"nbf": True}, "nbf is not a NumericDate: True"),
        ({"roles": "Orders.Read"}, "roles is not a list of strings"),
        ({"roles": ["Orders.Read", 7]}, "roles is not a list of strings"),
        ({"aud": []}, "aud is not a string or a list of 1 to 64 strings"),
        ({"aud": ["a", ""]}, "aud holds what is not a sane string"),
        ({"aud": None}, "aud is null"),
        ({"azp": "x"}, "azp is not a GUID"),
        ({"azp": ...}, "azp is absent"),
        ({"appid": "x"}, "azp and appid disagree"),
        ({"oid": ...}, "oid is absent"),
        ({"oid": "x"}, "oid is not a GUID"),
        ({"sub": ""}, "sub is not a sane string"),
        ({"azpacr": 2}, "azpacr is 2"),
        ({"azpacr": "3"}, "azpacr is 3"),
    ],
)
def test_an_entra_claim_says_what_is_wrong_with_it(claims: dict[str, Any], words: str) -> None:
    """The claim by its name, and what it is where that is no secret."""
    decision = ask(v2_token(**claims))

    assert isinstance(decision, Denied)
    assert decision.detail == f"claims: expected every needed claim, of its type, got {words}"


def test_the_times_of_a_token_are_those_it_has() -> None:
    """Whole seconds, fractions of them, and no `nbf` at all are kept as they are."""
    index = an_index()
    for claims, times in (
        ({}, (ISSUED_AT, ISSUED_AT, EXPIRES_AT)),
        ({"iat": ISSUED_AT + 0.5, "nbf": ISSUED_AT + 0.25}, (ISSUED_AT + 0.5, ISSUED_AT + 0.25, EXPIRES_AT)),
        ({"exp": EXPIRES_AT + 0.5}, (ISSUED_AT, ISSUED_AT, EXPIRES_AT + 0.5)),
        ({"nbf": ...}, (ISSUED_AT, 0, EXPIRES_AT)),
        ({"nbf": ..., "iat": ISSUED_AT + 0.5}, (ISSUED_AT + 0.5, 0, EXPIRES_AT)),
    ):
        verified = verify(v2_token(**claims), index, static_keys())
        assert isinstance(verified, Verified)
        read = verified.claims
        assert (read.issued_at, read.not_before, read.expires_at) == times
