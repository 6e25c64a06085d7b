"""The explanation of a judgement: every step, both sides, and nothing that should stay where it is."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tenantgate.core.decide import decide
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied
from tenantgate.core.judge import plan_of
from tenantgate.core.policy import ResourceRow
from tenantgate.core.refusals import REFUSALS
from tenantgate.core.trace import Trace, TraceStep, explain
from tenantgate.core.verify import STEPS
from tests.builders import (
    ACME_CLIENT,
    ACME_OID,
    ACME_TID,
    API_CLIENT_ID,
    API_URI,
    NOW,
    V2_TEMPLATE,
    an_index,
    cloud_key,
    oidc_claims,
    oidc_key,
    oidc_token,
    static_keys,
    stranger_key,
    unchanged_index,
    v1_token,
    v2_claims,
    v2_issuer,
    v2_token,
)
from tests.core.cases import CASES, Spoiled, home_token


def trace_of(token: str | bytes, wanted: tuple[str, ...] = ()) -> Trace:
    """Return the explanation of a token in the unchanged world."""
    return explain(token, unchanged_index(), static_keys(), "orders", wanted, NOW)


def names() -> list[str]:
    """Return the names of all steps in their order."""
    plan = plan_of(an_index().resources["orders"])
    return [step.name for step in STEPS] + [line.name for check in plan.checks for line in check.lines]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_the_explanation_agrees_with_the_decision(case: Spoiled) -> None:
    """Same tests, same order: the reason is the decision's, the refusing step is the last, and says both sides."""
    asked = case.asked()
    trace, decision = explain(**asked), decide(**asked)

    assert isinstance(decision, Denied)
    assert trace.reason is decision.reason is case.reason
    assert trace.meaning == REFUSALS[case.reason].meaning
    assert [step.passed for step in trace.steps] == [True] * (len(trace.steps) - 1) + [False]
    last = trace.steps[-1]
    assert last.expected
    assert last.received
    assert last.expected != last.received
    assert_safe(trace, asked["token"])
    assert_text_safe(decision.detail, asked["token"])


def assert_safe(trace: Trace, token: str | bytes) -> None:
    """Every text of a trace is bounded, visible ASCII and free of the token."""
    texts = [text for step in trace.steps for text in (step.expected, step.received)]
    texts += [trace.meaning, trace.partner, trace.publisher, *(each.detail for each in trace.stands)]
    fixes = [each.fix for each in trace.stands if each.fix is not None]
    texts += [line for fix in fixes for line in (fix.text, *fix.command.split("\n"), *fix.rows.split("\n"))]
    for text in texts:
        assert len(text) <= 800, text
        assert text.replace("…", "").isascii(), text
        assert text.replace("…", "").isprintable(), text
    whole = msgspec.json.encode(trace).decode()
    assert_text_safe(whole, token)


def assert_text_safe(text: str, token: str | bytes) -> None:
    """No segment of the token stands in the text, nor a piece of one."""
    segments = (token.decode("latin-1") if isinstance(token, bytes) else token).split(".")
    for segment in segments:
        assert len(segment) < 12 or segment[:12] not in text
        assert len(segment) < 12 or segment[-12:] not in text


@pytest.mark.parametrize("token", [v2_token, v1_token, oidc_token, home_token])
def test_a_grant_names_every_step(token: object) -> None:
    """A token that is let in has passed every step and every check, in order."""
    text = token()  # type: ignore[operator]
    trace = trace_of(text, ("Orders.Read",))

    assert trace.reason is None
    assert [step.name for step in trace.steps] == names()
    assert all(step.passed for step in trace.steps)
    assert trace.meaning == "The caller is let in."
    assert (trace.partner, trace.publisher) == ("", "")
    assert all(each.stands is True and each.fix is None for each in trace.stands)
    assert_safe(trace, text)


def test_the_refusing_step_says_what_was_expected_and_received() -> None:
    """Two sides a developer can compare, for the commonest mistakes."""
    graph = trace_of(v2_token(aud="https://graph.microsoft.com"))
    assert graph.steps[-1].name == "audience"
    assert API_URI in graph.steps[-1].expected
    assert graph.steps[-1].received == "https://graph.microsoft.com"

    late = trace_of(v2_token(exp=NOW - 100))
    assert late.steps[-1].expected == f"exp after {NOW - 60}"
    assert late.steps[-1].received == f"exp {NOW - 100}"

    role = trace_of(v2_token(), ("Orders.Write",))
    assert role.steps[-1].name == "roles"
    assert (role.steps[-1].expected, role.steps[-1].received) == ("Orders.Write", "Orders.Read")

    idtyp = trace_of(v2_token(idtyp=...))
    assert idtyp.steps[-1].name == "app-only"
    assert "optional claim `idtyp`" in idtyp.publisher


WHOLE = [
    ("policy", "a policy that could be applied", "as expected"),
    ("form", "a compact JWS of a supported algorithm", "as expected"),
    ("strict form", "one spelling, each name once", "as expected"),
    ("issuer", "an iss the policy knows", f"iss {v2_issuer(ACME_TID)}"),
    ("tid", f"tid {ACME_TID}, once", f"tid {ACME_TID}"),
    ("version", "ver 2.0", "ver 2.0"),
    ("type", "typ absent or one of JWT, at+jwt", "typ JWT"),
    ("key", "a kid that cloud publishes", "kid cloud-RS256"),
    ("algorithm", "alg RS256", "alg RS256"),
    ("binding", f"a key of {v2_issuer(ACME_TID)}", f"a key of {V2_TEMPLATE}"),
    ("signature", "a signature by key cloud-RS256", "as expected"),
    ("claims", "every needed claim, of its type", "as expected"),
    ("audience", f"one of {API_CLIENT_ID}, {API_URI}", API_CLIENT_ID),
    ("expiry", "exp after 1800000540", "exp 1800003900"),
    ("begin", "nbf and iat up to 1800000660", "nbf 1800000000, iat 1800000000"),
    ("lifetime", "at most 86400 s", "3900 s"),
    ("confirmation", "no cnf", "no cnf"),
    ("issuer in force", "an issuer of the policy", "issuer cloud"),
    ("agent", "no agent identity", "a token of kind application"),
    ("app-only", "an app's own access token (strict)", f"idtyp app, scp None, sub {ACME_OID}"),
    ("tenant", "a listed, active tenant", f"client {ACME_CLIENT} of tid {ACME_TID}"),
    ("partner", "an active partner at 1800000600", "partner acme, active, ends at 1800000601"),
    ("daemon", "a listed, active daemon", f"client {ACME_CLIENT} of tid {ACME_TID}"),
    ("pin", f"oid {ACME_OID}", f"oid {ACME_OID}"),
    ("strength", "secret or better", "certificate"),
    ("roles", "Orders.Read", "Orders.Read"),
]


def test_a_whole_trace_reads_as_a_table() -> None:
    """Every step of a grant, word for word: what the page, the command and the operator see."""
    index = an_index(acme={"ends_at": NOW + 1}, acme_daemon={"oid": ACME_OID, "min_credential": "secret"})
    trace = explain(v2_token(), index, static_keys(), "orders", ("Orders.Read",), NOW)

    assert [(step.name, step.expected, step.received) for step in trace.steps] == WHOLE


def untyped() -> str:
    """Return a sound token without `typ`."""
    return oidc_key().sign(oidc_claims(), typ=...)


def forged() -> str:
    """Return a token that a stranger signed."""
    return stranger_key().sign(v2_claims())


@pytest.mark.parametrize(
    ("token", "step", "expected", "received"),
    [
        pytest.param(oidc_token, "tid", "no tid", "no tid", id="oidc has no tid"),
        pytest.param(oidc_token, "version", "no ver", "no ver", id="oidc has no ver"),
        pytest.param(oidc_token, "pin", "any object (not pinned)", "sub globex-sync", id="not pinned"),
        pytest.param(oidc_token, "strength", "none or better", "unknown", id="strength unknown"),
        pytest.param(oidc_token, "tenant", "a listed, active tenant", "client globex-sync of oidc", id="oidc"),
        pytest.param(oidc_token, "expiry", f"exp after {NOW - 60}", f"exp {NOW + 3_300}", id="expiry"),
        pytest.param(lambda: v2_token(cnf={}), "confirmation", "no cnf", "cnf that names nothing", id="cnf"),
        pytest.param(lambda: v2_token(ver=2.0), "version", "ver 2.0", "ver 2.0 (not a string)", id="a number as ver"),
        pytest.param(untyped, "type", "typ absent or one of JWT, at+jwt", "no typ", id="no typ"),
        pytest.param(forged, "signature", "a signature by key cloud-RS256", "another signature", id="forged"),
        pytest.param(str, "form", "a compact JWS of a supported algorithm", "1 parts; a compact JWS has 3", id="empty"),
    ],
)  # fmt: skip
def test_a_step_says_both_sides(token: Any, step: str, expected: str, received: str) -> None:
    """Other issuers, absent claims and refusals have their own words."""
    steps = {each.name: (each.expected, each.received) for each in trace_of(token()).steps}

    assert steps[step] == (expected, received)


def test_the_partners_absence_and_the_subjects_pin_are_shown() -> None:
    """A partner that is gone, and the subject a daemon is pinned to."""
    gone = an_index(acme=...)
    trace = explain(v2_token(), gone, static_keys(), "orders", (), NOW)
    assert (trace.steps[-1].name, trace.steps[-1].received) == ("partner", "no partner")

    pinned = an_index(globex_daemon={"subject": "other"})
    trace = explain(oidc_token(), pinned, static_keys(), "orders", (), NOW)
    assert trace.steps[-1] == TraceStep("pin", False, "sub other", "sub globex-sync")


def test_an_unknown_resource_is_the_policys_fault() -> None:
    """The explanation ends where the judgement did: at the policy."""
    trace = explain(v2_token(), unchanged_index(), static_keys(), "nothing", (), NOW)

    assert trace.reason is R.POLICY_UNAVAILABLE
    assert trace.steps[-1].name == "resource"
    assert not trace.steps[-1].passed


def test_long_lists_are_cut() -> None:
    """However many audiences a resource and a token have, a line of a trace stays a line."""
    audiences = tuple(f"https://{'x' * 230}.example/{number}" for number in range(64))
    index = an_index(ResourceRow(id="wide", audiences=audiences))
    token = v2_token(aud=["y" * 200 + str(number) for number in range(20)])
    trace = explain(token, index, static_keys(), "wide", tuple(f"Role{n}" for n in range(200)), NOW)
    decision = decide(token, index, static_keys(), "wide", (), NOW)

    assert_safe(trace, token)
    assert isinstance(decision, Denied)
    assert len(decision.detail) < 800


@pytest.mark.parametrize(
    "spoil", ["\x1b[2J", "a\nb", "\u202egnp", "'; DROP TABLE", "{{7*7}}", "%s%n", "<script>", "x" * 3_000]
)
@pytest.mark.parametrize("claim", ["iss", "aud", "tid", "azp", "sub", "idtyp", "ver", "exp"])
def test_hostile_values_are_shown_harmlessly(claim: str, spoil: str) -> None:
    """Whatever a claim holds, it is shown escaped and short."""
    token = v2_token(**{claim: spoil})

    assert_safe(trace_of(token), token)


def test_claims_that_name_nobody_are_not_shown() -> None:
    """Opaque claims (`aio`, `rh`, `uti`) and whatever else a token holds stay out of the trace."""
    token = cloud_key().sign(
        v2_claims(aio="aio-secret", rh="rh-secret", email="someone@acme.example"), x5t="thumb-secret"
    )
    text = msgspec.json.encode(trace_of(token)).decode()

    assert "secret" not in text
    assert "someone" not in text
