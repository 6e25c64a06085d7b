"""The explanation of one judgement: every step with what was expected and what was received.

Made by judging once more with a recorder, so it costs nothing until it is asked for. It never holds the
token, its signature or a claim that names nobody; values are bounded and visible ASCII.
"""

from __future__ import annotations

import msgspec

from tenantgate.core.decision import DenialReason
from tenantgate.core.index import PolicyIndex
from tenantgate.core.judge import Case, plan_of
from tenantgate.core.keys import KeySource
from tenantgate.core.refusals import REFUSALS
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
    """Every step up to the one that refused, the exact reason (None: granted), and one sentence of advice."""

    steps: tuple[TraceStep, ...]
    reason: DenialReason | None
    meaning: str
    advice: str


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
    for step in STEPS:
        outcome = step.test(reading)
        reason = outcome.reason if isinstance(outcome, NeedKeys) else outcome
        steps.append(TraceStep(step.name, reason is None, step.expected(reading), step.received(reading)))
        if reason is not None:
            return _finish(steps, reason)
    if entry is None or index.broken:
        steps.append(TraceStep("resource", False, "a resource of a usable policy", shown(resource)))
        return _finish(steps, DenialReason.POLICY_UNAVAILABLE)
    case = Case(reading.claims, index, entry, wanted, now, peer)
    plan = plan_of(entry)
    for check, test in zip(plan.checks, plan.tests, strict=True):
        reason = test(case)
        for line in check.lines:
            failed = reason is not None and reason in line.reasons
            steps.append(TraceStep(line.name, not failed, line.expected(case), line.received(case)))
            if failed:
                return _finish(steps, reason)
    return _finish(steps, None)


def _finish(steps: list[TraceStep], reason: DenialReason | None) -> Trace:
    if reason is None:
        return Trace(tuple(steps), None, "The caller is let in.", "")
    row = REFUSALS[reason]
    return Trace(tuple(steps), reason, row.meaning, row.advice)
