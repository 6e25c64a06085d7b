"""The explanation of one judgement: every step with what was expected and what was received, and what helps.

Made by judging once more with a recorder, so it costs nothing until it is asked for. It never holds the
token, its signature or a claim that names nobody; values are bounded and visible ASCII. A trace is the
operator's; `core.rendering` makes of it what each reader may see.
"""

from __future__ import annotations

import msgspec

from tenantgate.core.advice import Advice, advise
from tenantgate.core.claims import VerifiedClaims
from tenantgate.core.decision import DenialReason
from tenantgate.core.facts import Asked, Facts, read_facts
from tenantgate.core.index import PolicyIndex
from tenantgate.core.judge import Case, plan_of
from tenantgate.core.keys import KeySource
from tenantgate.core.refusals import REFUSALS
from tenantgate.core.stands import Stand, standing
from tenantgate.core.strict import shown
from tenantgate.core.token import READER, TokenReader
from tenantgate.core.verify import STEPS, NeedKeys, Reading


class TraceStep(msgspec.Struct, frozen=True):
    """One step of a trace."""

    name: str
    passed: bool
    expected: str
    received: str


class Trace(msgspec.Struct, frozen=True):
    """Every step up to the one that refused, the exact reason (None: granted), what it means and what helps.

    `partner` may be read by whoever runs the daemon; all else is the operator's. `stands` is what must stand for a
    grant, judged each by itself, so that a first token shows everything that is still missing.
    """

    steps: tuple[TraceStep, ...]
    reason: DenialReason | None
    meaning: str
    partner: str
    publisher: str
    stands: tuple[Stand, ...]


def explain(
    token: str | bytes,
    index: PolicyIndex,
    keys: KeySource,
    resource: str,
    wanted: tuple[str, ...],
    now: float,
    *,
    peer: str | None = None,
    reader: TokenReader = READER,
) -> Trace:
    """Judge a token once more and write every step down. Same tests, same order as `verify` and `judge`."""
    steps: list[TraceStep] = []
    entry = index.resources.get(resource)
    reading = Reading(token, index, keys, reader, None if entry is None else entry.row.signing_keys_appid)
    asked = Asked(resource, wanted, now, peer, reader)
    reason = _verified(reading, steps)
    claims = reading.claims if reason is None else None
    if claims is not None:
        reason = _judged(claims, index, asked, steps)
    proved = any(step.name == "signature" and step.passed for step in steps)
    return _finish(steps, reason, read_facts(token, index, asked, reason, claims, proved=proved))


def _verified(reading: Reading, steps: list[TraceStep]) -> DenialReason | None:
    for step in STEPS:
        outcome = step.test(reading)
        reason = outcome.reason if isinstance(outcome, NeedKeys) else outcome
        steps.append(TraceStep(step.name, reason is None, step.expected(reading), step.received(reading)))
        if reason is not None:
            return reason
    return None


def _judged(claims: VerifiedClaims, index: PolicyIndex, asked: Asked, steps: list[TraceStep]) -> DenialReason | None:
    entry = index.resources.get(asked.resource)
    if entry is None or index.broken:
        steps.append(TraceStep("resource", False, "a resource of a usable policy", shown(asked.resource)))
        return DenialReason.POLICY_UNAVAILABLE
    case = Case(claims, index, entry, asked.wanted, asked.now, asked.peer)
    plan = plan_of(entry)
    for check, test in zip(plan.checks, plan.tests, strict=True):
        reason = test(case)
        for line in check.lines:
            failed = reason is not None and reason in line.reasons
            steps.append(TraceStep(line.name, not failed, line.expected(case), line.received(case)))
            if failed:
                return reason
    return None


def _finish(steps: list[TraceStep], reason: DenialReason | None, facts: Facts) -> Trace:
    stands = standing(facts)
    if reason is None:
        return Trace(tuple(steps), None, "The caller is let in.", "", "", stands)
    advice: Advice = advise(reason, facts)
    return Trace(tuple(steps), reason, REFUSALS[reason].meaning, advice.partner, advice.publisher, stands)
