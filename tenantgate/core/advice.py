"""What helps against one refusal: the first hint that the facts allow, else the table's own words."""

from __future__ import annotations

from typing import Final, NamedTuple

from tenantgate.core.decision import DenialReason
from tenantgate.core.facts import Facts
from tenantgate.core.hints import Hint
from tenantgate.core.hints_caller import CALLER_HINTS
from tenantgate.core.hints_claims import CLAIM_HINTS
from tenantgate.core.hints_token import FORM_HINTS, SIGNER_HINTS
from tenantgate.core.refusals import REFUSALS

HINTS: Final[dict[DenialReason, tuple[Hint, ...]]] = {**FORM_HINTS, **SIGNER_HINTS, **CLAIM_HINTS, **CALLER_HINTS}
"""Every hint, by the reason it makes more exact."""


class Advice(NamedTuple):
    """What the partner does, and what the publisher does. The first may be read by whoever runs the daemon."""

    partner: str
    publisher: str


def advise(reason: DenialReason, facts: Facts) -> Advice:
    """Return the advice for a refusal, as exact as the facts allow. Pure; never holds the token or its signature."""
    hint = next((each for each in HINTS.get(reason, ()) if each.applies(facts)), None)
    if hint is None:
        return Advice(REFUSALS[reason].partner, REFUSALS[reason].publisher)
    return Advice(hint.partner(facts), hint.publisher(facts))
