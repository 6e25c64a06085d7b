"""Two readings of one trace: the operator's, which has everything, and the partner's, which has what is theirs.

The partner reads about the token, which its owner can read anyway, and what the API tells anybody: its audience and
the roles asked for. Nothing tells whether tenant, partner or daemon is listed, suspended or ended: all refusals by the
list are one text, without a value in it, whoever is refused and why.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tenantgate.core.answers import ASK_THE_PUBLISHER, CODES
from tenantgate.core.decision import PublicCode
from tenantgate.core.refusals import REFUSALS
from tenantgate.core.stands import Fix, Stand, next_step
from tenantgate.core.trace import Trace, TraceStep


class OperatorView(msgspec.Struct, frozen=True):
    """Everything. `status` and `code` are what the caller was answered; `next` is what to do first, if we can tell."""

    granted: bool
    status: int
    code: str | None
    reason: str | None
    meaning: str
    steps: tuple[TraceStep, ...]
    partner: str
    publisher: str
    stands: tuple[Stand, ...]
    next: Fix | None


class PartnerView(msgspec.Struct, frozen=True):
    """What whoever runs the daemon may read: the public answer, the steps about their own token, what they can do."""

    granted: bool
    status: int
    code: str | None
    text: str
    steps: tuple[TraceStep, ...]
    advice: str


PARTNERS_STEPS: Final[dict[str, str | None]] = {
    "policy": None,
    "form": "",
    "strict form": "",
    "issuer": "an iss that was agreed with the publisher",
    "tid": "",
    "version": "",
    "type": "the typ of an access token",
    "key": "a kid that the issuer publishes",
    "algorithm": "",
    "binding": "",
    "signature": "",
    "claims": "",
    "resource": None,
    "audience": "",
    "expiry": "",
    "begin": "",
    "lifetime": "",
    "confirmation": "",
    "token version": "",
    "issuer in force": None,
    "agent": "",
    "app-only": "an app's own access token",
    "required claims": "every claim that the publisher requires",
    "tenant": None,
    "partner": None,
    "daemon": None,
    "pin": None,
    "strength": None,
    "resource's issuers": None,
    "resource's clients": None,
    "resource's strength": None,
    "address": None,
    "roles": "",
}
"""Every step, and what partners read as expected ("": as it stands). None, and what is not here, they do not see."""

_SUMMED_UP: Final = frozenset(("required claims", "roles"))
"""What is received there tells which claims are required, or which roles are held: that is the publisher's business."""
_ABOUT_THE_TOKEN: Final = frozenset((PublicCode.INVALID_TOKEN, PublicCode.INSUFFICIENT_SCOPE))
_ADVICE: Final = {
    PublicCode.CALLER_NOT_ALLOWED: f"{ASK_THE_PUBLISHER} Send your tenant id and the client id of the daemon.",
    PublicCode.CANNOT_JUDGE: "Keep the token and try again after `Retry-After`.",
}


def for_operator(trace: Trace) -> OperatorView:
    """Return the whole trace, with what to do first."""
    code = None if trace.reason is None else REFUSALS[trace.reason].code
    return OperatorView(
        granted=trace.reason is None,
        status=200 if code is None else CODES[code].status,
        code=None if code is None else code.value,
        reason=None if trace.reason is None else trace.reason.value,
        meaning=trace.meaning,
        steps=trace.steps,
        partner=trace.partner,
        publisher=trace.publisher,
        stands=trace.stands,
        next=None if trace.reason is None else next_step(trace.stands),
    )


def for_partner(trace: Trace) -> PartnerView:
    """Return what may be sent to whoever runs the daemon."""
    if trace.reason is None:
        return PartnerView(True, 200, None, "The caller is let in.", _partners(trace.steps), "")
    code = REFUSALS[trace.reason].code
    answered = CODES[code]
    steps = _partners(trace.steps) if code in _ABOUT_THE_TOKEN else ()
    return PartnerView(False, answered.status, code.value, answered.text, steps, _ADVICE.get(code) or trace.partner)


def _partners(steps: tuple[TraceStep, ...]) -> tuple[TraceStep, ...]:
    known = ((step, PARTNERS_STEPS.get(step.name)) for step in steps)
    return tuple(_as_partner(step, expected) for step, expected in known if expected is not None)


def _as_partner(step: TraceStep, expected: str) -> TraceStep:
    received = step.received
    if step.name in _SUMMED_UP:
        received = "all of them" if step.passed else "not all of them"
    return TraceStep(step.name, step.passed, expected or step.expected, received)
