"""What holds for every profile alike: the marks that refuse everywhere, one story in decision and trace, no crash."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied, Granted
from tenantgate.core.index import PolicyIndex
from tenantgate.core.judge import CHECKS, Check
from tenantgate.core.policy import IssuerRow, PolicyDelta, PolicyError, ResourceRow, row_of
from tenantgate.core.profiles.profile import Fixed
from tenantgate.core.profiles.table import PROFILES
from tenantgate.core.verify import STEPS
from tests.builders import NOW, b64url, signer
from tests.core.profiles.made import Made
from tests.core.profiles.test_auth0 import AUTH0
from tests.core.profiles.test_cognito import COGNITO
from tests.core.profiles.test_github_actions import GITHUB
from tests.core.profiles.test_google import GOOGLE
from tests.core.profiles.test_keycloak import KEYCLOAK
from tests.core.profiles.test_kubernetes import KUBERNETES
from tests.core.profiles.test_okta import OKTA
from tests.core.profiles.test_rfc9068 import RFC9068
from tests.core.profiles.test_standard import STANDARD
from tests.real_parts import ROOT

MAKES = {each.profile: each for each in (STANDARD, RFC9068, KEYCLOAK, OKTA, AUTH0, GOOGLE, GITHUB, KUBERNETES, COGNITO)}
every = pytest.mark.parametrize("made", [pytest.param(made, id=name) for name, made in MAKES.items()])


def test_one_profile_is_one_file_with_its_test():
    """Each has its module, named alike, and a test module that holds a token of it."""
    assert list(MAKES) == list(PROFILES)
    for name in PROFILES:
        assert (ROOT / "tenantgate" / "core" / "profiles" / f"{name}.py").is_file()
        assert (ROOT / "tests" / "core" / "profiles" / f"test_{name}.py").is_file()


def test_an_unknown_profile_is_refused_by_the_index_too():
    """A gate never guesses how tokens are to be read: the policy it cannot read is refused."""
    row = row_of(IssuerRow(id="made", kind="oidc", issuer="https://id.acme.example", profile="next-year"), 1)
    index = PolicyIndex("e1")

    with pytest.raises(PolicyError) as caught:
        index.apply(PolicyDelta(epoch="e1", since=0, revision=1, rows=(row,)))

    assert (caught.value.code, caught.value.path) == ("value_unknown", "profile")
    assert all(name in caught.value.message for name in PROFILES)
    assert index.broken


def is_usual(check: Check) -> bool:
    """Whether a resource without rules of its own asks for a check."""
    return check.applies is None or check.applies(ResourceRow(id="usual", audiences=("api://usual",)))


@every
def test_its_token_is_granted_and_every_step_told(made: Made):
    """The token as the issuer writes it comes in, and its trace names every step and check."""
    trace = made.explain(made.token())

    assert made.reason() is None
    assert trace.reason is None
    checked = [line.name for check in CHECKS if is_usual(check) for line in check.lines]
    assert [step.name for step in trace.steps] == [*(step.name for step in STEPS), *checked]


COMMON: list[tuple[dict[str, Any], R]] = [
    ({"nonce": "opaque"}, R.ID_TOKEN_PRESENTED),
    ({"at_hash": "opaque"}, R.ID_TOKEN_PRESENTED),
    ({"events": {}}, R.TOKEN_TYPE_NOT_ALLOWED),
    ({"act": {"sub": "somebody"}}, R.NOT_APP_ONLY),
    ({"may_act": {"sub": "somebody"}}, R.NOT_APP_ONLY),
    ({"sub": ...}, R.CLAIM_MISSING),
    ({"iat": ...}, R.CLAIM_MISSING),
    ({"exp": ...}, R.CLAIM_MISSING),
    ({"exp": NOW - 60}, R.TOKEN_EXPIRED),
    ({"exp": str(NOW)}, R.CLAIM_MALFORMED),
    ({"nbf": True}, R.CLAIM_MALFORMED),
    ({"jti": 7}, R.CLAIM_MALFORMED),
    ({"aud": "api://billing.example"}, R.AUDIENCE_MISMATCH),
    ({"aud": [7]}, R.CLAIM_MALFORMED),
    ({"aud": []}, R.CLAIM_MALFORMED),
    ({"typ": "Logout"}, R.TOKEN_TYPE_NOT_ALLOWED),
    ({"cnf": {"jkt": "opaque"}}, R.CONFIRMATION_UNSUPPORTED),
]


@every
@pytest.mark.parametrize(("changes", "reason"), COMMON, ids=[str(changes) for changes, _ in COMMON])
def test_what_refuses_everywhere(made: Made, changes: dict[str, Any], reason: R):
    """No profile excuses another kind of token, a delegation, a missing end or a foreign audience."""
    token = made.token(**changes)
    trace = made.explain(token)

    assert made.reason(**changes) is reason
    assert trace.reason is reason
    assert trace.steps[-1].expected != trace.steps[-1].received


NEEDED = [(name, fixed) for name in MAKES for fixed in PROFILES[name].fixed]


@pytest.mark.parametrize(("name", "fixed"), NEEDED, ids=[f"{name}: {'/'.join(fixed.claim)}" for name, fixed in NEEDED])
def test_every_needed_claim_is_needed(name: str, fixed: Fixed):
    """Without a claim its profile asks for a token is refused, and the claim named."""
    made, outer = MAKES[name], fixed.claim[0]
    inner = dict(made.claims.get(outer, {})) if len(fixed.claim) > 1 else {}
    if len(fixed.claim) == 2:
        del inner[fixed.claim[1]]
    elif len(fixed.claim) == 3:
        inner[fixed.claim[1]] = {}
    step = made.explain(made.token(**{outer: inner or ...})).steps[-1]

    assert (step.name, step.received) == ("claims", f"{'/'.join(fixed.claim)} is absent")


@every
def test_a_trace_stays_short(made: Made):
    """Long values and many marks of a user are cut: what an issuer sends cannot fill a log."""
    long = dict.fromkeys(("gty", "preferred_username", "token_use", "sid", "nonce", "upn", "name"), "é" * 500)
    trace = made.explain(made.token(**long))

    assert trace.reason is not None
    assert all(len(text) <= 300 for step in trace.steps for text in (step.expected, step.received))


@every
def test_a_forger_gets_nowhere(made: Made):
    """A token in the right shape, signed by somebody else under the published kid."""
    header, payload, _ = made.token().split(".")
    other = signer("ES256", "forger").signature(f"{header}.{payload}".encode())
    decision = made.ask(f"{header}.{payload}.{b64url(other)}")

    assert isinstance(decision, Denied)
    assert decision.reason is R.SIGNATURE_INVALID


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
NAMES = sorted({name for made in MAKES.values() for name in made.claims} | {"email", "gty", "exp", "iat", "scp"})


@every
@given(changes=st.dictionaries(st.sampled_from(NAMES), JSON, max_size=4))
def test_any_payload_ends_in_a_decision(made: Made, changes: dict[str, Any]):
    """Whatever an issuer signs, the answer is a decision, never a crash."""
    assert isinstance(made.ask(made.token(**changes)), Granted | Denied)
