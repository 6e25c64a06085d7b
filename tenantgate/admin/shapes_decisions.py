"""What answers about decisions look like. What is said of a caller stems from verified tokens; no token stands here."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import Field

from tenantgate.admin.wire import Instant, Out
from tenantgate.core.decision import DenialReason
from tenantgate.core.refusals import CODES, REFUSALS
from tenantgate.feed.sink import GRANTED
from tenantgate.registry.decision_tables import Decision
from tenantgate.registry.decisions import Slice

Dimension = Literal[
    "resource", "tenant", "client_id", "oid", "outcome", "roles", "credential", "strength", "idtyp", "version",
    "lifetime", "revision",
]  # fmt: skip

_REASONS: Final = {reason.value: reason for reason in DenialReason}


class DecisionOut(Out):
    """One decision. What is not known is null: of a caller that was not verified nothing is."""

    id: str = Field(description="As in the answer's `X-TG-Decision`.", examples=["9f86d081-1a"])
    at: Instant
    resource: str
    outcome: str = Field(description="`granted`, or the exact reason.", examples=["token_expired"])
    detail: str = Field(description="What was expected and what was there; for operators.")
    revision: int = Field(description="Of the policy it was judged by.")
    roles: list[str] = Field(description="Asked for.")
    would_deny: list[str] = Field(description="Reasons for which rules that are reported only would have refused it.")
    partner: str | None
    tenant: str | None
    daemon: str | None
    issuer: str | None
    tid: str | None
    client_id: str | None
    oid: str | None = Field(description="Entra's object id; another issuer's `sub`.")
    credential: str | None
    strength: str | None = Field(description="Entra's `azpacr` in words.")
    idtyp: str | None
    version: str | None
    lifetime: int | None = Field(description="Of the token, in seconds.")


class DecisionExplained(DecisionOut):
    """One decision and what it means: the same words as in docs/denials.md."""

    code: str | None = Field(description="What the caller was told (`X-TG-Reason`); null where it was let in.")
    status: int = Field(
        description="Of its code. Where the resource has a `failure_status` the caller got that, but for a 400 or 503."
    )
    meaning: str
    partner_advice: str = Field(description="What whoever runs the daemon can do. May be sent to them.")
    publisher_advice: str = Field(description="What you can do. Not for partners.")


class CountOut(Out):
    """How many decisions of one period had one value."""

    begins_at: Instant
    value: str = Field(description="`*`: all values that are not told apart; empty: none, or not known.")
    count: int


class CountsOut(Out):
    """Decisions counted in periods, by one dimension. Strangers beyond the busiest of each hour count as `*`."""

    by: Dimension
    step: Literal["hour", "day"]
    since: Instant
    until: Instant
    items: list[CountOut]


def decision_out(row: Decision) -> DecisionOut:
    """Return a decision as it goes over the wire."""
    return DecisionOut(**_told(row))


def explained(row: Decision) -> DecisionExplained:
    """Return a decision with what its outcome means. A reason of a newer version means nothing here."""
    told = _told(row)
    reason = _REASONS.get(row.outcome)
    if reason is None:
        granted = row.outcome == GRANTED
        meaning = "The caller was let in." if granted else "A reason that this version does not know."
        return DecisionExplained(
            **told, code=None, status=200 if granted else 403, meaning=meaning, partner_advice="", publisher_advice=""
        )
    refusal = REFUSALS[reason]
    return DecisionExplained(
        **told,
        code=refusal.code.value,
        status=CODES[refusal.code].status,
        meaning=refusal.meaning,
        partner_advice=refusal.partner,
        publisher_advice=refusal.publisher,
    )


def slices_out(found: list[Slice]) -> list[CountOut]:
    """Return counts as they go over the wire."""
    return [CountOut(begins_at=each.begins_at, value=each.value, count=each.count) for each in found]


def _told(row: Decision) -> dict[str, Any]:
    told = row.model_dump()
    for name, value in told.items():
        if value == "" and name != "detail":
            told[name] = None
    return told | {"roles": row.roles.split(), "would_deny": row.would_deny.split()}
