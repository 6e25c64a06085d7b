"""Two readings of one trace: the operator's has everything, the partner's what is theirs; neither has the token."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tenantgate.core.answers import CODES
from tenantgate.core.decide import decide
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied, PublicCode
from tenantgate.core.judge import CHECKS
from tenantgate.core.refusals import REFUSALS
from tenantgate.core.rendering import PARTNERS_STEPS, OperatorView, PartnerView, for_operator, for_partner
from tenantgate.core.strict import shown
from tenantgate.core.trace import Trace, TraceStep, explain
from tenantgate.core.verify import STEPS
from tests.builders import (
    ACME_CLIENT,
    ACME_OID,
    ACME_TID,
    API_CLIENT_ID,
    API_URI,
    BILLING_CLIENT_ID,
    NOW,
    OIDC_ISSUER,
    STRANGE_CLIENT,
    STRANGE_TID,
    V2_TEMPLATE,
    Signer,
    changed,
    oidc_claims,
    oidc_token,
    signer,
    static_keys,
    unchanged_index,
    v1_claims,
    v2_claims,
    v2_issuer,
    v2_token,
)
from tests.core.cases import CASES, Spoiled
from tests.core.test_properties import CLAIM_NAMES, FAST, FAST_KEYS, JSON, fast_key

by_case = pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
TABLE = [Trace((), reason, "meaning", "partner", "publisher", ()) for reason in R]


def trace_of(token: str, wanted: tuple[str, ...] = ("Orders.Read",)) -> Trace:
    """Return the explanation of a token in the unchanged world."""
    return explain(token, unchanged_index(), static_keys(), "orders", wanted, NOW)


def texts_of(view: Any) -> Iterator[str]:
    """Yield every text of a rendering."""
    yield from _texts(msgspec.json.decode(msgspec.json.encode(view)))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(each)


def test_texts_are_those_of_the_steps_too() -> None:
    """What the checks below look at is everything: a step's two sides, a thing that stands, its fix."""
    found = set(texts_of(for_operator(trace_of(v2_token(azp=STRANGE_CLIENT)))))

    assert {"iss " + v2_issuer(ACME_TID), "acme_tenant, active", "List the daemon, if it is welcome."} <= found


# The operator's.


@by_case
def test_the_operator_reads_everything(case: Spoiled) -> None:
    """Exact reason, what the caller was answered, every step, both sides of the advice, and what stands."""
    trace = explain(**case.asked())
    view = for_operator(trace)
    code = REFUSALS[case.reason].code

    assert (view.granted, view.reason, view.code, view.status) == (False, case.reason, code, CODES[code].status)
    assert (view.meaning, view.partner, view.publisher) == (trace.meaning, trace.partner, trace.publisher)
    assert (view.steps, view.stands) == (trace.steps, trace.stands)


def test_the_operator_reads_what_to_do_first() -> None:
    """The next step is that of the first thing that does not stand."""
    view = for_operator(trace_of(v2_token(azp=STRANGE_CLIENT)))

    assert view.next is not None
    assert view.next.command.startswith("tenantgate daemon create")


def test_a_grant_has_no_next_step() -> None:
    """Both readings of a grant say so, and there is nothing to do."""
    trace = trace_of(v2_token())
    ours, theirs = for_operator(trace), for_partner(trace)

    assert (ours.granted, ours.status, ours.code, ours.reason, ours.next) == (True, 200, None, None, None)
    assert (theirs.granted, theirs.status, theirs.code, theirs.advice) == (True, 200, None, "")


# The partner's.


def test_every_step_is_shown_to_partners_or_kept_from_them() -> None:
    """A step that nobody has thought about would be hidden, and fails here until somebody has."""
    names = {step.name for step in STEPS} | {line.name for check in CHECKS for line in check.lines} | {"resource"}

    assert set(PARTNERS_STEPS) == names


def test_a_step_nobody_knows_is_not_shown_to_partners() -> None:
    """What is not on the list of shown steps stays home."""
    step = TraceStep("brand new", False, "a secret", "another")
    trace = Trace((step,), R.CLAIM_MALFORMED, "meaning", "partner", "publisher", ())

    assert for_partner(trace).steps == ()


@by_case
def test_a_partner_reads_what_the_caller_was_answered(case: Spoiled) -> None:
    """Status, public code and public text: those of the answer, whatever the exact reason."""
    view = for_partner(explain(**case.asked()))
    code = REFUSALS[case.reason].code

    assert (view.granted, view.code, view.status, view.text) == (False, code, CODES[code].status, CODES[code].text)
    assert view.advice.endswith(".")


ON_THE_LIST = [case for case in CASES if REFUSALS[case.reason].code is PublicCode.CALLER_NOT_ALLOWED]


def test_all_refusals_by_the_list_are_one_text() -> None:
    """Unknown tenant, unknown daemon, suspended partner, any caller: byte for byte alike, without a value in it."""
    cases = [msgspec.json.encode(for_partner(explain(**case.asked()))) for case in ON_THE_LIST]
    table = [msgspec.json.encode(for_partner(trace)) for trace in TABLE if _listed(trace.reason)]

    assert {case.reason for case in ON_THE_LIST} >= {R.TENANT_NOT_LISTED, R.DAEMON_NOT_LISTED, R.PARTNER_SUSPENDED}
    assert len(cases) > 30
    assert len(table) == len([reason for reason in R if _listed(reason)]) > 10
    assert set(cases) == set(table) == {cases[0]}


def test_all_refusals_by_our_own_fault_are_one_text() -> None:
    """What we cannot judge says nothing about token, issuer or policy."""
    ours = {msgspec.json.encode(for_partner(trace)) for trace in TABLE if _ours(trace.reason)}
    cases = [case for case in CASES if _ours(case.reason)]

    assert len(cases) > 3
    assert {msgspec.json.encode(for_partner(explain(**case.asked()))) for case in cases} == ours
    assert len(ours) == 1


def _listed(reason: R | None) -> bool:
    return reason is not None and REFUSALS[reason].code is PublicCode.CALLER_NOT_ALLOWED


def _ours(reason: R | None) -> bool:
    return reason is not None and REFUSALS[reason].code is PublicCode.CANNOT_JUDGE


PRIVATE = ("acme", "globex", "initech", "cloud,", "issuer cloud", "orders_read", "suspended", "listed", "policy")
"""Ids and words of the built policy that no token brings along (`cloud` stands in addresses, which are public)."""


@by_case
def test_a_partner_reads_nothing_of_the_policy(case: Spoiled) -> None:
    """No id of a partner, tenant, daemon, issuer or role row, no held role, no state, no command of ours."""
    asked = case.asked()
    view = for_partner(explain(**asked))
    own = set(_values(asked["token"]))

    for text in texts_of(view):
        for value in sorted(own, key=len, reverse=True):
            text = text.replace(value, "")
        assert [word for word in (*PRIVATE, "tenantgate") if word in text] == []


def test_a_partner_reads_which_roles_were_asked_and_not_which_are_held() -> None:
    """The roles a route asks for are public; what is assigned is not."""
    view = for_partner(trace_of(v2_token(roles=...), ("Orders.Write",)))

    assert view.code == "insufficient_scope"
    assert view.steps[-1] == TraceStep("roles", False, "Orders.Write", "not all of them")
    assert not any("Orders.Read" in text for text in texts_of(view))


def test_whether_an_assignment_ended_is_the_operators_to_know() -> None:
    """Ended, not begun, never given, unknown to the resource: the partner reads the same."""
    views = set()
    for change in ({"expires_at": NOW}, {"not_before": NOW + 1}, ...):
        asked = Spoiled("", R.ROLE_NOT_ASSIGNED, v2_token, {"acme_reads": change}).asked()
        views.add(msgspec.json.encode(for_partner(explain(**asked))))

    assert len(views) == 1


WHOLE = [
    ("form", "a compact JWS of a supported algorithm", "as expected"),
    ("strict form", "one spelling, each name once", "as expected"),
    ("issuer", "an iss that was agreed with the publisher", f"iss {v2_issuer(ACME_TID)}"),
    ("tid", f"tid {ACME_TID}, once", f"tid {ACME_TID}"),
    ("version", "ver 2.0", "ver 2.0"),
    ("type", "the typ of an access token", "typ JWT"),
    ("key", "a kid that the issuer publishes", "kid cloud-RS256"),
    ("algorithm", "alg RS256", "alg RS256"),
    ("binding", f"a key of {v2_issuer(ACME_TID)}", f"a key of {V2_TEMPLATE}"),
    ("signature", "a signature by key cloud-RS256", "as expected"),
    ("claims", "every needed claim, of its type", "as expected"),
    ("audience", f"one of {API_CLIENT_ID}, {API_URI}", API_CLIENT_ID),
    ("expiry", "exp after 1800000540", "exp 1800003900"),
    ("begin", "nbf and iat up to 1800000660", "nbf 1800000000, iat 1800000000"),
    ("lifetime", "at most 86400 s", "3900 s"),
    ("confirmation", "no cnf", "no cnf"),
    ("agent", "no agent identity", "a token of kind application"),
    ("app-only", "an app's own access token", f"idtyp app, scp None, sub {ACME_OID}"),
    ("roles", "Orders.Read", "all of them"),
]


def test_a_partners_whole_reading_is_this() -> None:
    """Every step a partner sees, word for word: none is of the list, and none names a row of the policy."""
    view = for_partner(trace_of(v2_token()))

    assert [(step.name, step.expected, step.received) for step in view.steps] == WHOLE
    assert all(step.passed for step in view.steps)


def test_a_partner_reads_the_mistake_in_their_token() -> None:
    """Expected beside received for the audience, which the API tells anybody."""
    view = for_partner(trace_of(v2_token(aud="https://graph.microsoft.com")))

    assert view.steps[-1] == TraceStep(
        "audience", False, f"one of {API_CLIENT_ID}, {API_URI}", "https://graph.microsoft.com"
    )
    assert "Microsoft Graph" in view.advice
    assert f"{API_URI}/.default" in view.advice


# Neither has the token.

SAFE = frozenset(
    ("iss", "tid", "aud", "azp", "appid", "client_id", "oid", "sub", "ver", "idtyp", "scp", "exp", "nbf", "iat",
     "azpacr", "appidacr", "typ", "kid", "alg", "token_use", "gty", "preferred_username")
)  # fmt: skip
"""Claims and header members whose values an explanation may show."""
UNSAFE = ("aio", "rh", "uti", "jti", "email", "name", "upn", "given_name", "nonce", "x")
RUN = 24


def _values(token: str | bytes) -> Iterator[str]:
    """Yield the values of a token's safe claims in every form they are shown in."""
    from tenantgate.core.facts import Asked, read_facts

    facts = read_facts(token, unchanged_index(), Asked("orders", (), NOW), None, None, proved=False)
    for member in (facts.header, facts.payload):
        for name in SAFE & member.keys():
            for value in (member[name], *(member[name] if isinstance(member[name], list) else ())):
                for limit in (100, 256, 300):
                    yield shown(value, limit)
                    yield shown(value, limit).lower()


def assert_without_token(text: str, token: str, safe: list[str]) -> None:
    """No run of the token's text stands in an explanation's, but for what a safe claim itself holds."""
    for value in safe:
        text = text.replace(value, "\n")
    runs = {token[place : place + RUN] for place in range(len(token) - RUN + 1)}
    found = [text[place : place + RUN] for place in range(len(text) - RUN + 1) if text[place : place + RUN] in runs]
    assert found == []


def assert_secret(token: str, canary: str, index: Any, keys: Any, wanted: tuple[str, ...]) -> None:
    """Both readings and the decision's detail keep the token, its signature and its opaque claims."""
    trace, decision = (
        explain(token, index, keys, "orders", wanted, NOW),
        decide(token, index, keys, "orders", wanted, NOW),
    )
    safe = sorted({value for value in _values(token) if value}, key=len, reverse=True)
    details = [decision.detail] if isinstance(decision, Denied) else []
    for text in (*texts_of(for_operator(trace)), *texts_of(for_partner(trace)), *details):
        assert canary not in text
        assert_without_token(text, token, safe)


HEADER_SEGMENT = "eyJ0eXAiOiJKV1QiLCJhbGciOiJFZERTQSIsImtpZCI6ImZhc3QtRWREU0EifQ"
BASES: st.SearchStrategy[Callable[..., dict[str, Any]]] = st.sampled_from([v2_claims, v1_claims, oidc_claims])
CHANGED = st.dictionaries(
    st.sampled_from([*CLAIM_NAMES, "aud", "iss", "sub", "oid"]),
    st.one_of(
        JSON,
        st.just(...),
        st.just(HEADER_SEGMENT),
        st.sampled_from([BILLING_CLIENT_ID, "account", ACME_CLIENT, API_URI + "/", OIDC_ISSUER + "/", NOW - 90]),
    ),
    max_size=3,
)
HEADERS = st.dictionaries(st.sampled_from(["kid", "typ", "alg", "nonce", "x5t", "cty"]), JSON, max_size=2)


@given(BASES, CHANGED, HEADERS, st.booleans(), st.sampled_from([(), ("Orders.Read",), ("Orders.Write", "x")]))
@example(v2_claims, {"sub": HEADER_SEGMENT}, {}, True, ())
@example(oidc_claims, {"client_id": HEADER_SEGMENT, "sub": HEADER_SEGMENT}, {}, True, ())
@example(v2_claims, {"aud": HEADER_SEGMENT}, {"kid": HEADER_SEGMENT}, True, ())
@example(v2_claims, {}, {}, False, ())
def test_no_reading_holds_the_token(
    base: Callable[..., dict[str, Any]],
    changes: dict[str, Any],
    header: dict[str, Any],
    sound: bool,
    wanted: tuple[str, ...],
) -> None:
    """Whatever is signed, by whomever: no run of 24 characters of the token, and no opaque claim, is ever told."""
    canary = "canary-7f3a9c5e"
    claims = changed(base(), {**{name: canary for name in UNSAFE if name in ("aio", "rh", "x")}, **changes})
    key = fast_key() if sound else Signer("EdDSA", signer("EdDSA", "stranger").private, fast_key().kid)
    token = key.sign(claims, {"typ": "JWT", "alg": "EdDSA", "kid": fast_key().kid, **header})

    assert_secret(token, canary, FAST, FAST_KEYS, wanted)


def test_the_header_segment_is_the_one_that_claims_imitate() -> None:
    """The property above lets claims hold the token's own text: this is that text."""
    assert fast_key().sign({}).split(".")[0] == HEADER_SEGMENT


@pytest.mark.parametrize("name", UNSAFE)
@pytest.mark.parametrize("base", [v2_claims, oidc_claims])
def test_opaque_and_personal_claims_are_never_told(name: str, base: Callable[..., dict[str, Any]]) -> None:
    """Such a claim may refuse a token; its value stays in it."""
    canary = "canary-7f3a9c5e"

    assert_secret(fast_key().sign(base(**{name: canary})), canary, FAST, FAST_KEYS, ())


@given(st.text(st.characters(max_codepoint=127), max_size=3_000), st.sampled_from(["", ".", "..", ". .", "\n"]))
def test_no_reading_holds_what_is_no_token(text: str, glue: str) -> None:
    """What cannot be read at all is not repeated either."""
    token = f"{text}{glue}{text[:7]}"

    assert_secret(token, "canary-7f3a9c5e", FAST, FAST_KEYS, ())


def test_the_check_finds_what_it_looks_for() -> None:
    """A rendering that repeated the signature, or a part of the payload, would be seen."""
    token = v2_token()
    for piece in (token[-30:], token.split(".")[1][5:40]):
        with pytest.raises(AssertionError):
            assert_without_token(f"got {piece}", token, [])


def test_views_are_what_their_readers_get() -> None:
    """The operator's members beyond the partner's are exactly the list's business."""
    operators, partners = set(OperatorView.__struct_fields__), set(PartnerView.__struct_fields__)

    assert operators - partners == {"reason", "meaning", "partner", "publisher", "stands", "next"}


@pytest.mark.parametrize(
    "token",
    [
        lambda: v2_token(iss=v2_issuer(STRANGE_TID), tid=STRANGE_TID),
        lambda: v2_token(azp=STRANGE_CLIENT),
        lambda: oidc_token(client_id="unknown", sub="unknown"),
    ],
)
def test_the_operator_reads_who_asked_and_the_partner_does_not(token: Callable[[], str]) -> None:
    """Client and object id stand in the operator's reading of a refusal by the list, and in no partner's."""
    trace = trace_of(token())
    mine = [shown(value) for value in (ACME_OID, STRANGE_CLIENT, STRANGE_TID, "unknown")]

    assert any(value in text for text in texts_of(for_operator(trace)) for value in mine)
    assert not any(value in text for text in texts_of(for_partner(trace)) for value in mine)


def test_a_grant_is_one_sentence_for_the_partner() -> None:
    """And no advice."""
    view = for_partner(trace_of(v2_token()))

    assert (view.granted, view.status, view.code, view.text, view.advice) == (
        True,
        200,
        None,
        "The caller is let in.",
        "",
    )
