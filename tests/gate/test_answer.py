"""Every decision as HTTP: one status, challenge and body for each public code, and nothing secret in any of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied, Granted, Principal, PublicCode
from tenantgate.core.policy import ResourceRow
from tenantgate.core.refusals import CODES, REFUSALS
from tenantgate.gate.answer import (
    IDENTITY_HEADERS,
    USUAL,
    Answer,
    Manner,
    answer,
    challenge,
    identity_headers,
    manner_of,
)
from tenantgate.gate.gate import Gate
from tests.builders import ACME_CLIENT, STRANGE_CLIENT, STRANGE_TID, a_snapshot, cloud_key, v2_claims, v2_issuer
from tests.gate.world import a_delta, a_row_of_policy, a_view, suspended

Make = Callable[..., Gate]
READ = ("Orders.Read",)

PRINCIPAL = Principal(
    partner="acme",
    tenant="acme_tenant",
    daemon="acme_daemon",
    client_id=ACME_CLIENT,
    oid=None,
    roles=("Orders.Read", "Orders.Write"),
    resource="orders",
)

# RFC 9110 §11.6.1, RFC 6750 §3: the scheme, then parameters; each value %x20-21 / %x23-5B / %x5D-7E in quotes.
CHALLENGE = re.compile(r'[A-Za-z][A-Za-z0-9-]* ([a-z_]+="[ !#-\[\]-~]*")(, [a-z_]+="[ !#-\[\]-~]*")*\Z')
SCOPE = re.compile(r"[!#-\[\]-~]+( [!#-\[\]-~]+)*\Z")


def denied(reason: R, **changes: Any) -> Denied:
    """Return a denial as a gate for orders completes it."""
    return Denied(reason, **{"detail": "d", "revision": 1, "id": "t-1", "resource": "orders", **changes})


def header(rendered: Answer, name: str) -> str | None:
    """Return a header's one value, or None."""
    values = [value for each, value in rendered.headers if each.lower() == name.lower()]
    assert len(values) < 2
    return values[0] if values else None


def parameters(value: str) -> dict[str, str]:
    """Return a challenge's parameters, each of which may stand there once."""
    found = re.findall(r'([a-z_]+)="([^"]*)"', value)
    assert len(found) == len(dict(found))
    return dict(found)


@pytest.mark.parametrize(
    ("reason", "status", "code", "error"),
    [
        (R.NO_CREDENTIAL, 401, "no_credential", None),
        (R.SCHEME_NOT_ALLOWED, 401, "no_credential", None),
        (R.CREDENTIAL_AMBIGUOUS, 400, "invalid_request", "invalid_request"),
        (R.REQUEST_INVALID, 400, "invalid_request", "invalid_request"),
        (R.TOKEN_MALFORMED, 401, "invalid_token", "invalid_token"),
        (R.SIGNATURE_INVALID, 401, "invalid_token", "invalid_token"),
        (R.TOKEN_EXPIRED, 401, "invalid_token", "invalid_token"),
        (R.ROLE_NOT_ASSIGNED, 403, "insufficient_scope", "insufficient_scope"),
    ],
)
def test_a_better_credential_is_asked_for_where_it_would_help(reason: R, status: int, code: str, error: str | None):
    """400, 401 and a missing role carry a challenge (RFC 6750 §3); without a credential it names no error (§3.1)."""
    rendered = answer(denied(reason), "orders")
    value = header(rendered, "WWW-Authenticate")
    assert value is not None

    assert (rendered.status, header(rendered, "X-TG-Reason")) == (status, code)
    assert parameters(value).get("realm") == "orders"
    assert parameters(value).get("error") == error
    assert ("error_description" in parameters(value)) == (error is not None)


@pytest.mark.parametrize(
    ("reason", "status", "code"),
    [
        (R.TENANT_NOT_LISTED, 403, "caller_not_allowed"),
        (R.PARTNER_SUSPENDED, 403, "caller_not_allowed"),
        (R.CERTIFICATE_REQUIRED, 403, "certificate_required"),
        (R.KEY_SET_UNAVAILABLE, 503, "cannot_judge"),
        (R.POLICY_UNAVAILABLE, 503, "cannot_judge"),
        (R.OVERLOADED, 503, "cannot_judge"),
    ],
)
def test_no_new_token_is_asked_for_where_none_would_help(reason: R, status: int, code: str):
    """A caller that is not allowed, or that could not be judged, gets no challenge: a daemon would loop for tokens."""
    rendered = answer(denied(reason), "orders")

    assert (rendered.status, header(rendered, "X-TG-Reason")) == (status, code)
    assert header(rendered, "WWW-Authenticate") is None


@pytest.mark.parametrize("reason", R)
@pytest.mark.parametrize("roles", [(), READ, ("Orders.Read", "Orders.Write")], ids=["none", "one", "two"])
def test_every_refusal_keeps_to_the_grammar(reason: R, roles: tuple[str, ...]):
    """Whatever the reason: ASCII headers, a well-formed challenge, one decision id, a problem that says the same."""
    rendered = answer(denied(reason, wanted_roles=roles), "orders")
    code = REFUSALS[reason].code
    problem = json.loads(rendered.body)

    for name, value in rendered.headers:
        assert re.fullmatch(r"[A-Za-z-]+", name)
        assert value.isascii()
        assert value.isprintable()
    value = header(rendered, "WWW-Authenticate")
    assert (value is not None) == CODES[code].challenge
    assert value is None or CHALLENGE.match(value)
    assert header(rendered, "X-TG-Decision") == problem["decision"] == "t-1"
    assert header(rendered, "X-TG-Reason") == problem["code"] == code
    assert header(rendered, "Cache-Control") == "no-store"
    assert (header(rendered, "Retry-After") == "5") == (rendered.status == 503)
    assert (rendered.status, rendered.media_type) == (problem["status"], "application/problem+json")
    assert problem["type"] == f"urn:tenantgate:refusal:{code.value}"
    assert set(problem) == {"type", "title", "status", "code", "decision"}


@pytest.mark.parametrize("code", PublicCode)
def test_every_public_code_is_reached_by_some_reason(code: PublicCode):
    """No public code stands in the table without a refusal that uses it."""
    assert code in {row.code for row in REFUSALS.values()}


@pytest.mark.parametrize("code", PublicCode)
def test_public_texts_fit_into_a_challenge(code: PublicCode):
    """The texts are printable ASCII without quote and backslash (RFC 6750 §3), as sentences."""
    assert re.fullmatch(r"[ !#-\[\]-~]+\.", CODES[code].text)


def test_a_missing_role_is_named():
    """The challenge names the roles asked for as its scope, in the order they were asked (RFC 6750 §3.1)."""
    for roles in (READ, ("Orders.Write", "Orders.Read")):
        value = challenge(denied(R.ROLE_NOT_ASSIGNED, wanted_roles=roles), "orders")
        assert value is not None
        assert parameters(value)["scope"] == " ".join(roles)
        assert SCOPE.match(parameters(value)["scope"])


@given(st.text(min_size=1))
def test_no_role_breaks_out_of_the_challenge(role: str):
    """A role value that no policy could hold, asked for by mistake, leaves the challenge well-formed."""
    value = challenge(denied(R.ROLE_NOT_ASSIGNED, wanted_roles=(role, "Orders.Read")), "orders")
    assert value is not None

    assert CHALLENGE.match(value)
    assert SCOPE.match(parameters(value)["scope"])
    assert unquote(parameters(value)["scope"]) == f"{role} Orders.Read"


def test_only_a_missing_role_names_roles():
    """No other challenge has a scope: which roles an API has is not the business of a bad token."""
    for reason in R:
        value = challenge(denied(reason, wanted_roles=READ), "orders")
        assert value is None or ("scope" in parameters(value)) == (reason is R.ROLE_NOT_ASSIGNED)


def test_who_is_not_allowed_cannot_tell_why(make: Make):
    """Unknown tenant or daemon, suspended tenant, daemon or partner: the same answer to the byte, but for the id."""
    stranger = cloud_key().sign(v2_claims(tid=STRANGE_TID, iss=v2_issuer(STRANGE_TID)))
    unlisted = cloud_key().sign(v2_claims(azp=STRANGE_CLIENT))
    answers = [make().answer(make().decide(a_view(token), READ)) for token in (stranger, unlisted)]
    for row, changes in (
        ("acme", {"state": "suspended"}),
        ("acme", {"state": "archived"}),
        ("acme", {"ends_at": 1}),
        ("acme_tenant", {"state": "suspended"}),
        ("acme_daemon", {"state": "suspended"}),
        ("acme_daemon", {"oid": STRANGE_CLIENT}),
    ):
        gate = make()
        gate.install(a_delta(a_row_of_policy(row, **changes)))
        answers.append(gate.answer(gate.decide(a_view(), READ)))

    assert {each.status for each in answers} == {403}
    assert {without_id(each) for each in answers} == {without_id(answers[0])}


def without_id(rendered: Answer) -> tuple[object, ...]:
    """Return an answer with its decision id blanked out."""
    id_ = header(rendered, "X-TG-Decision")
    assert id_ is not None
    headers = tuple((name, value.replace(id_, "ID")) for name, value in rendered.headers)
    return rendered.status, headers, rendered.body.replace(id_.encode(), b"ID"), rendered.media_type


@pytest.mark.parametrize("reason", R)
def test_reasons_are_shown_only_where_the_publisher_says_so(reason: R):
    """With the switch on, the body has the exact reason and what the partner can do; all else stays as it was."""
    quiet, open_ = (answer(denied(reason, show_reason=shown), "orders") for shown in (False, True))
    problem = json.loads(open_.body)

    assert (problem.pop("reason"), problem.pop("advice")) == (reason.value, REFUSALS[reason].partner)
    assert problem == json.loads(quiet.body)
    assert open_.headers == quiet.headers


def test_details_stay_home():
    """What an operator reads about a denial never reaches a caller, switch or not."""
    for shown in (False, True):
        rendered = answer(denied(R.PARTNER_ENDED, detail="ended-yesterday-detail", show_reason=shown), "orders")
        assert "ended-yesterday" not in repr(rendered)


def test_a_grant_says_who_came_in():
    """A yes is 200 with the decision id and every identity header, and nothing in its body."""
    rendered = answer(Granted(PRINCIPAL, 7, "t-9"), "orders")

    assert (rendered.status, rendered.body, rendered.media_type) == (200, b"", None)
    assert dict(rendered.headers) == {
        "X-TG-Decision": "t-9",
        "X-TG-Partner": "acme",
        "X-TG-Tenant": "acme_tenant",
        "X-TG-Client": ACME_CLIENT,
        "X-TG-Roles": "Orders.Read,Orders.Write",
    }


def test_identity_headers_are_always_all_there():
    """A daemon without a role still overwrites the roles a caller may have sent."""
    found = identity_headers(Granted(msgspec.structs.replace(PRINCIPAL, roles=())))

    assert tuple(name for name, _ in found) == IDENTITY_HEADERS
    assert dict(found)["X-TG-Roles"] == ""


@pytest.mark.parametrize(
    ("client_id", "sent"),
    [
        ("globex-sync", "globex-sync"),
        ("https://spiffe.example/a?b=c&d=[e]", "https://spiffe.example/a?b=c&d=[e]"),
        ("søren", "s%C3%B8ren"),
        ("日本", "%E6%97%A5%E6%9C%AC"),
        ('a"b\\c', "a%22b%5Cc"),
        ("s%C3%B8ren", "s%25C3%25B8ren"),
    ],
)
def test_client_ids_travel_as_ascii(client_id: str, sent: str):
    """What no header may hold is percent-encoded as UTF-8; what may stand there stays readable."""
    found = dict(identity_headers(Granted(msgspec.structs.replace(PRINCIPAL, client_id=client_id))))

    assert found["X-TG-Client"] == sent


@given(st.text(min_size=1))
def test_no_client_id_breaks_out_of_its_header(client_id: str):
    """Whatever an issuer calls a client, its header is printable ASCII, and no other client's header is the same."""
    found = dict(identity_headers(Granted(msgspec.structs.replace(PRINCIPAL, client_id=client_id))))

    assert re.fullmatch(r"[ -~]*", found["X-TG-Client"])
    assert unquote(found["X-TG-Client"]) == client_id


def test_a_gate_answers_for_its_own_resource(make: Make):
    """The realm is the resource this gate guards, also where the policy does not know it."""
    gate = make(resource="billing")
    value = header(gate.answer(gate.decide(a_view(""))), "WWW-Authenticate")
    assert value is not None

    assert parameters(value)["realm"] == "billing"


def test_reasons_are_shown_by_the_policy_in_force(make: Make):
    """The switch is the resource's: it acts on the next answer after it is thrown."""
    gate = make()
    gate.install(suspended())
    assert b"partner_suspended" not in gate.answer(gate.decide(a_view())).body
    gate.install(a_snapshot(acme={"state": "suspended"}, orders={"show_reasons": True}, revision=3))

    assert b"partner_suspended" in gate.answer(gate.decide(a_view())).body


# A resource's own manner.

CHOSEN = frozenset(
    (
        PublicCode.NO_CREDENTIAL,
        PublicCode.INVALID_TOKEN,
        PublicCode.CALLER_NOT_ALLOWED,
        PublicCode.INSUFFICIENT_SCOPE,
    )
)
MANNER = Manner(status=404, message="Ask orders@publisher.example.", scheme="Token")


def manner(**rules: Any) -> Manner:
    """Return the manner of a resource with these rules."""
    return manner_of(ResourceRow(id="orders", audiences=("a",), **rules))


def test_nothing_said_is_the_usual_manner():
    """A resource without rules of its own answers as usual."""
    assert manner() == manner_of(None) == USUAL


@pytest.mark.parametrize("reason", R)
def test_status_and_text_are_the_resources_for_refused_credentials_alone(reason: R):
    """Where the caller or its credential is refused; a 400, a 503 and a wanted certificate stay what they are."""
    usual = answer(denied(reason, wanted_roles=READ), "orders")
    own = answer(denied(reason, wanted_roles=READ), "orders", MANNER)
    code = REFUSALS[reason].code
    before, after = json.loads(usual.body), json.loads(own.body)

    if code in CHOSEN:
        assert own.status == after["status"] == 404
        assert after["title"] == "Ask orders@publisher.example."
    else:
        assert own.status == usual.status
        assert after == before
    assert {**after, "title": 0, "status": 0} == {**before, "title": 0, "status": 0}
    for name in ("X-TG-Decision", "X-TG-Reason", "Cache-Control", "Retry-After"):
        assert header(own, name) == header(usual, name)


@pytest.mark.parametrize("reason", R)
def test_the_challenge_stays_where_the_code_has_one(reason: R):
    """Another status takes no challenge away; its text, where it has one, and its scheme are the resource's."""
    usual, own = challenge(denied(reason, wanted_roles=READ), "orders"), challenge(denied(reason), "orders", MANNER)

    assert (own is None) == (usual is None)
    if own is not None and usual is not None:
        assert own.startswith('Token realm="orders"')
        assert CHALLENGE.match(own)
        assert parameters(own).get("error") == parameters(usual).get("error")
        code = REFUSALS[reason].code
        told = "Ask orders@publisher.example." if code in CHOSEN else CODES[code].text
        assert parameters(own).get("error_description", told) == told


@pytest.mark.parametrize("reason", R)
@pytest.mark.parametrize("status", [401, 403, 404, 499])
def test_every_401_has_a_challenge(reason: R, status: int):
    """Whatever status a resource chooses, a 401 says how to be let in (RFC 9110 §15.5.2) and no 503 does."""
    rendered = answer(denied(reason), "orders", Manner(status=status))
    value = header(rendered, "WWW-Authenticate")

    assert value is not None or rendered.status != 401
    if not CODES[REFUSALS[reason].code].challenge:
        assert value == ('Bearer realm="orders"' if rendered.status == 401 else None)


def test_a_grant_knows_no_manner():
    """A yes is 200, whatever a resource says of its refusals."""
    assert answer(Granted(PRINCIPAL, 7, "t-9"), "orders", MANNER) == answer(Granted(PRINCIPAL, 7, "t-9"), "orders")


@pytest.mark.parametrize(
    ("rules", "place"),
    [
        ({"token_scheme": "Token"}, "as `Authorization: Token <token>`"),
        ({"token_header": "X-Orders-Token"}, "alone in the header `X-Orders-Token`"),
        ({"token_query": "t"}, "as `Authorization: Bearer <token>` or in the query parameter `t`"),
        (
            {"token_header": "X-Orders-Token", "token_query": "t"},
            "alone in the header `X-Orders-Token` or in the query parameter `t`",
        ),
    ],
)
def test_advice_says_where_the_token_goes(rules: dict[str, Any], place: str):
    """Where reasons are shown, a caller without a usable credential reads where this resource wants it."""
    for reason in (R.NO_CREDENTIAL, R.SCHEME_NOT_ALLOWED, R.CREDENTIAL_AMBIGUOUS):
        problem = json.loads(answer(denied(reason, show_reason=True), "orders", manner(**rules)).body)
        assert problem["advice"] == f"Send the access token once, {place}."
    problem = json.loads(answer(denied(R.TOKEN_EXPIRED, show_reason=True), "orders", manner(**rules)).body)
    assert problem["advice"] == REFUSALS[R.TOKEN_EXPIRED].partner


def test_a_gate_answers_in_its_resources_manner(make: Make):
    """Status, text and scheme are those of the policy in force, from the change on."""
    gate = make(news=a_snapshot(billing={"failure_status": 499}))
    assert gate.answer(gate.decide(a_view("x"))).status == 401

    gate.install(
        a_delta(a_row_of_policy("orders", failure_status=404, failure_message="Nothing here.", token_scheme="Token"))
    )

    rendered = gate.answer(gate.decide(a_view("x", scheme=b"Token ")))
    assert (rendered.status, json.loads(rendered.body)["title"]) == (404, "Nothing here.")
    assert header(rendered, "WWW-Authenticate") == (
        'Token realm="orders", error="invalid_token", error_description="Nothing here."'
    )
    assert gate.answer(gate.decide(a_view(scheme=b"Token "))).status == 200
    gate.install(a_snapshot(revision=9))
    assert gate.answer(gate.decide(a_view("x"))).status == 401
