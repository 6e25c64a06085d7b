"""The whole judgement: one spoiled thing in a sound token is refused for its own reason."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tenantgate.core.decide import decide
from tenantgate.core.decision import DenialReason, Denied, Granted
from tenantgate.core.judge import CHECKS
from tenantgate.core.trace import explain
from tenantgate.core.verify import STEPS
from tests.builders import NOW, ask, oidc_token, v1_token, v2_token
from tests.core.cases import CASES, NO_REASON_BY_TOKEN, Spoiled, home_token

every_case = pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])


@every_case
def test_one_spoiled_thing_is_refused_for_its_own_reason(case: Spoiled) -> None:
    """One spoiled thing in a sound token, or in the policy, is refused for that thing and nothing else."""
    decision = decide(**case.asked())

    assert isinstance(decision, Denied)
    assert decision.reason is case.reason, decision.detail


@pytest.mark.parametrize(
    ("token", "principal"),
    [
        pytest.param(v2_token, ("acme", "acme_tenant", "acme_daemon", "certificate"), id="v2"),
        pytest.param(v1_token, ("acme", "acme_tenant", "acme_daemon", "certificate"), id="v1"),
        pytest.param(oidc_token, ("globex", "globex_tenant", "globex_daemon", None), id="oidc"),
        pytest.param(home_token, ("initech", "home", "home_daemon", "certificate"), id="hosted"),
    ],
)
def test_a_sound_token_of_a_listed_daemon_is_granted(token: Any, principal: tuple[str, ...]) -> None:
    """What every case spoils one thing of is granted, to the partner, tenant and daemon it belongs to."""
    decision = ask(token())

    assert isinstance(decision, Granted)
    who = decision.principal
    assert (who.partner, who.tenant, who.daemon, who.strength) == principal
    assert who.roles == ("Orders.Read",)
    assert who.resource == "orders"
    assert decision.revision == 1


def test_a_token_may_come_as_text_or_as_bytes() -> None:
    """A header value arrives as bytes or as text; both are judged alike."""
    assert ask(v2_token().encode()) == ask(v2_token())


def test_every_case_has_a_name_of_its_own() -> None:
    """Two cases of one name would hide which of them failed."""
    assert [name for name, count in Counter(case.name for case in CASES).items() if count > 1] == []


def test_every_reason_a_token_can_be_refused_for_has_a_case() -> None:
    """A reason that no test gives is a check that nobody knows to work."""
    assert {case.reason for case in CASES} == set(DenialReason) - NO_REASON_BY_TOKEN


def test_every_step_and_check_refuses_some_case() -> None:
    """A row of the tables that refuses nothing could be deleted without a test noticing."""
    refusing = {explain(**case.asked()).steps[-1].name for case in CASES}

    assert {step.name for step in STEPS} | {line.name for check in CHECKS for line in check.lines} <= refusing | {
        "issuer in force"
    }


def test_names_of_steps_and_checks_are_distinct() -> None:
    """A trace names each step once."""
    names = [step.name for step in STEPS] + list(dict.fromkeys(line.name for check in CHECKS for line in check.lines))

    assert len(names) == len(set(names))


def test_the_clock_is_an_argument() -> None:
    """The same token is granted and refused by `now` alone."""
    assert isinstance(ask(v2_token(), now=NOW), Granted)
    assert isinstance(ask(v2_token(), now=NOW + 86_400), Denied)
