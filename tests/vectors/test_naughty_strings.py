"""The Big List of Naughty Strings, in every place of a token: a decision each time, and harmless words about it."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tenantgate.core.decide import decide
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied, Granted
from tenantgate.core.index import PolicyIndex
from tenantgate.core.keys import StaticKeys
from tenantgate.core.policy import DaemonRow, PolicyError, RoleAssignmentRow
from tenantgate.core.rules import check_row
from tenantgate.core.trace import explain
from tenantgate.gate.answer import answer
from tenantgate.gate.journal import Journal
from tests.builders import (
    NOW,
    V2_TEMPLATE,
    Signer,
    an_index,
    ask,
    oidc_claims,
    oidc_key,
    oidc_token,
    signer,
    static_keys,
    v2_claims,
)
from tests.core.test_trace import assert_safe, assert_text_safe
from tests.real_parts import vectors_dir

pytestmark = pytest.mark.vectors

READ = ("Orders.Read",)
GRANT = None


def naughty() -> list[str]:
    """Return the list, each string once."""
    strings = json.loads((vectors_dir("naughty-strings") / "blns.json").read_bytes())
    return list(dict.fromkeys(strings))


@functools.cache
def world() -> tuple[PolicyIndex, StaticKeys]:
    """Return the built policy, its cloud signing by elliptic curve: thousands of signatures are made here."""
    index = an_index(
        cloud={"jwks": {"keys": [cloud().jwk(issuer=V2_TEMPLATE)]}, "v1_jwks": None},
        orders={"show_reasons": True},
    )
    return index, static_keys(index)


def cloud() -> Signer:
    """Return the cloud's key."""
    return signer("ES256", "naughty")


class Place(NamedTuple):
    """How a string is put into a sound token, and what that may end in (GRANT: the string decides nothing there)."""

    token: Callable[[str], str]
    ends_in: set[R | None]


def v2(**changes: Any) -> str:
    """Return a v2 token of acme's daemon in this world."""
    return cloud().sign(v2_claims(**changes))


def is_plain(text: str, mark: str = "…") -> bool:
    """Whether a text is visible ASCII in one line, but for the mark of what was cut short."""
    plain = text.replace(mark, "") if mark else text
    return plain.isascii() and plain.isprintable()


MALFORMED = R.CLAIM_MALFORMED
PLACES = {
    "kid": Place(lambda text: oidc_key().sign(oidc_claims(), kid=text), {R.SIGNING_KEY_UNKNOWN, R.HEADER_NOT_ALLOWED}),
    "alg": Place(lambda text: oidc_key().sign(oidc_claims(), alg=text), {R.ALGORITHM_NOT_ALLOWED}),
    "typ": Place(lambda text: oidc_key().sign(oidc_claims(), typ=text), {R.TOKEN_TYPE_NOT_ALLOWED}),
    "iss": Place(lambda text: oidc_token(iss=text), {R.ISSUER_UNKNOWN}),
    "tid in iss": Place(lambda text: v2(iss=V2_TEMPLATE.replace("{tenantid}", text)), {R.ISSUER_UNKNOWN}),
    "tid": Place(lambda text: v2(tid=text), {MALFORMED}),
    "ver": Place(lambda text: v2(ver=text), {R.VERSION_MISMATCH}),
    "idtyp": Place(lambda text: v2(idtyp=text), {R.NOT_APP_ONLY}),
    "sub of entra": Place(lambda text: v2(sub=text), {MALFORMED, GRANT}),
    "sub": Place(lambda text: oidc_token(sub=text), {MALFORMED, R.NOT_APP_ONLY}),
    "azp": Place(lambda text: v2(azp=text), {MALFORMED}),
    "client_id": Place(lambda text: oidc_token(client_id=text, sub=text), {MALFORMED, R.DAEMON_NOT_LISTED}),
    "aud": Place(lambda text: oidc_token(aud=text), {MALFORMED, R.AUDIENCE_MISMATCH}),
    "aud in a list": Place(lambda text: oidc_token(aud=[text] * 3), {MALFORMED, R.AUDIENCE_MISMATCH}),
    "jti": Place(lambda text: oidc_token(jti=text), {MALFORMED, GRANT}),
    "role": Place(lambda text: v2(roles=[text]), {GRANT}),
    "name of a claim": Place(lambda text: oidc_key().sign({text: text} | oidc_claims()), {GRANT, R.NOT_APP_ONLY}),
}


@pytest.mark.threat(32)
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_every_string_ends_in_a_decision_told_harmlessly(place: Place) -> None:
    """Never an exception, never a grant by the string; detail, trace and answer are short visible ASCII in one line."""
    index, keys = world()
    for text in naughty():
        token = place.token(text)
        decision = decide(token, index, keys, "orders", READ, NOW)
        reason = decision.reason if isinstance(decision, Denied) else GRANT
        assert reason in place.ends_in, (text, decision)
        assert_safe(explain(token, index, keys, "orders", READ, NOW), token)
        if isinstance(decision, Denied):
            assert_text_safe(decision.detail, token)
            assert is_plain(decision.detail)
            assert len(decision.detail) < 400
        answered = answer(decision, "orders")
        assert all(is_plain(f"{name}{value}", mark="") for name, value in answered.headers)
        assert len(answered.body) < 600


def test_every_string_may_be_asked_for_as_a_role() -> None:
    """A role that nobody holds is refused, and the challenge that names it keeps to its grammar."""
    index, keys = world()
    token = v2()
    for text in naughty():
        decision = decide(token, index, keys, "orders", (text,), NOW)
        assert isinstance(decision, Denied)
        assert decision.reason is R.ROLE_NOT_ASSIGNED
        assert is_plain(decision.detail)
        challenge = dict(answer(decision, "orders").headers)["WWW-Authenticate"]
        assert is_plain(challenge, mark="")
        assert challenge.count('"') == 8, "realm, error, error_description and scope, each in its two quotes"


def test_a_role_of_the_token_is_compared_and_nothing_else() -> None:
    """With `intersect` a string among the token's roles takes the role away unless it is that very role."""
    index, keys = an_index(orders={"token_roles": "intersect"}), static_keys()
    for text in naughty():
        decision = decide(oidc_token(roles=[text]), index, keys, "orders", READ, NOW)
        assert isinstance(decision, Denied)
        assert decision.reason is R.ROLE_NOT_ASSIGNED
    assert isinstance(decide(oidc_token(roles=[*naughty()[:200], *READ]), index, keys, "orders", READ, NOW), Granted)


def test_a_listed_string_is_one_client_and_nobody_else() -> None:
    """Whatever may be a client id is found letter by letter, and told to the upstream in visible ASCII."""
    listed = []
    for number, text in enumerate(naughty()):
        row = DaemonRow(id=f"n{number:03}", tenant="globex_tenant", client_id=text)
        try:
            listed.append(check_row(row))
        except PolicyError:
            continue
    roles = [RoleAssignmentRow(id=f"r{row.id}", app_role="orders_read", daemon=row.id) for row in listed]
    index = an_index(*listed, *roles)
    assert len(listed) > 200

    for row in listed:
        assert isinstance(row, DaemonRow)
        decision = ask(oidc_token(client_id=row.client_id, sub=row.client_id), index, static_keys())
        if isinstance(decision, Denied):
            assert decision.reason is MALFORMED, "a form that no token may have"
            continue
        assert (decision.principal.daemon, decision.principal.client_id) == (row.id, row.client_id)
        assert all(is_plain(f"{name}{value}", mark="") for name, value in answer(decision, "orders").headers)


@pytest.mark.threat(32)
def test_every_denial_is_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """As the operator's log has it, no string breaks a line or adds a field."""
    caplog.set_level(logging.INFO, "tenantgate.decisions")
    journal = Journal(most=10_000)
    index, keys = world()
    for text in naughty():
        decision = decide(oidc_key().sign(oidc_claims(iss=text), kid=text), index, keys, "orders", READ, NOW)
        assert isinstance(decision, Denied)
        journal.note(decision)
    journal.write()

    assert len(caplog.records) == len(naughty())
    assert all(is_plain(vars(each)["detail"]) and is_plain(each.getMessage(), mark="") for each in caplog.records)
