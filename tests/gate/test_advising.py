"""Callers who may read reasons read what to do about this very token; others nothing more, and a flood costs little."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied
from tenantgate.core.refusals import REFUSALS
from tenantgate.gate.advising import MOST, Advisor
from tenantgate.gate.gate import Gate
from tenantgate.gate.request import RequestView
from tests.builders import (
    API_URI,
    NOW,
    STRANGE_CLIENT,
    a_snapshot,
    cloud_key,
    static_keys,
    unchanged_index,
    v2_claims,
    v2_token,
)
from tests.gate.world import a_view

Make = Callable[..., Gate]
GRAPH = v2_token(aud="https://graph.microsoft.com")
EXACT = f"This token is for Microsoft Graph. Ask for the scope {API_URI}/.default."
GENERAL = REFUSALS[R.AUDIENCE_MISMATCH].partner


def shown(gate: Gate, view: RequestView, roles: tuple[str, ...] = ("Orders.Read",)) -> dict[str, Any]:
    """Return the body of a refusal."""
    body: dict[str, Any] = json.loads(gate.answer(gate.decide(view, roles)).body)
    return body


@pytest.fixture
def open_gate(make: Make) -> Gate:
    """A gate whose resource shows reasons."""
    gate = make()
    gate.install(a_snapshot(orders={"show_reasons": True}, revision=2))
    return gate


def test_a_caller_reads_what_to_do_about_their_token(open_gate: Gate) -> None:
    """The reason, and the sentence made for this mistake."""
    body = shown(open_gate, a_view(GRAPH))

    assert (body["reason"], body["advice"]) == ("audience_mismatch", EXACT)


async def test_it_is_the_same_without_blocking(open_gate: Gate) -> None:
    """`adecide` explains as `decide` does."""
    body = json.loads(open_gate.answer(await open_gate.adecide(a_view(GRAPH))).body)

    assert body["advice"] == EXACT


def test_nobody_else_reads_anything(make: Make) -> None:
    """Where reasons are not shown a refusal is not explained, and its body has neither."""
    gate = make()
    decision = gate.decide(a_view(GRAPH), ("Orders.Read",))

    assert isinstance(decision, Denied)
    assert decision.advice == ""
    assert not {"advice", "reason"} & set(json.loads(gate.answer(decision).body))


@pytest.mark.parametrize(
    ("view", "reason"),
    [
        (RequestView("GET", "/orders", []), R.NO_CREDENTIAL),
        (a_view(cloud_key().sign(v2_claims(azp=STRANGE_CLIENT))), R.DAEMON_NOT_LISTED),
    ],
    ids=["no token", "not listed"],
)
def test_where_nothing_is_more_exact_the_table_speaks(open_gate: Gate, view: RequestView, reason: R) -> None:
    """Without a token there is nothing to explain; of the list a caller learns no value."""
    body = shown(open_gate, view)

    assert (body["reason"], body["advice"]) == (reason.value, REFUSALS[reason].partner)


def test_the_roles_asked_for_are_named(open_gate: Gate) -> None:
    """A missing role: which one to ask the publisher for."""
    assert shown(open_gate, a_view(), ("Orders.Write",))["advice"] == "Ask the publisher for Orders.Write on this API."


def denied(reason: R = R.AUDIENCE_MISMATCH, **changes: Any) -> Denied:
    """Return a denial of the Graph token as a gate for orders completes it."""
    return Denied(reason, **{"resource": "orders", "show_reason": True, **changes})


def test_a_flood_is_not_explained() -> None:
    """So many a second are; the rest read the table's words until the next second begins, or the clock is set back."""
    clock = [float(NOW)]
    advisor = Advisor(lambda: clock[0])

    def advised() -> int:
        answers = [advisor.advise(denied(), GRAPH.encode(), unchanged_index(), static_keys()) for _ in range(MOST + 10)]
        return sum(answer.advice == EXACT for answer in answers)

    assert advised() == MOST
    clock[0] += 0.5
    assert advised() == 0
    clock[0] += 0.5
    assert advised() == MOST
    clock[0] -= 3_600
    assert advised() == MOST


def test_an_explanation_of_another_reason_is_not_given() -> None:
    """The policy changed between judgement and explanation: the table's words are right for the reason given."""
    advisor = Advisor(lambda: NOW)
    index, keys = unchanged_index(), static_keys()

    assert advisor.advise(denied(R.PARTNER_SUSPENDED), GRAPH.encode(), index, keys).advice == ""
    assert advisor.advise(denied(), v2_token().encode(), index, keys).advice == ""
    assert advisor.advise(denied(), GRAPH.encode(), None, keys).advice == ""
    assert advisor.advise(denied(), None, index, keys).advice == ""
    assert advisor.advise(denied(show_reason=False), GRAPH.encode(), index, keys).advice == ""


def test_the_tables_words_stand_where_nobody_explained(open_gate: Gate) -> None:
    """A denial without advice of its own is answered with the table's."""
    assert json.loads(open_gate.answer(denied(id="t-1")).body)["advice"] == GENERAL
