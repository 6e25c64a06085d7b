"""A decision as HTTP: status, headers, body. Every door renders this and adds nothing.

Refusals are RFC 9457 problems with RFC 6750 challenges; a grant carries the identity headers for the
upstream, always all of them, so that a proxy overwrites whatever a caller may have sent.
"""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import quote

import msgspec

from tenantgate.core.decision import Decision, Denied, Granted, PublicCode
from tenantgate.core.refusals import CODES, REFUSALS

IDENTITY_HEADERS: Final = ("X-TG-Partner", "X-TG-Tenant", "X-TG-Client", "X-TG-Roles")
DECISION_HEADER: Final = "X-TG-Decision"
REASON_HEADER: Final = "X-TG-Reason"

# All that RFC 6750 §3 lets stand in a scope but `%`, which must mean one thing only: what follows was encoded.
_VISIBLE: Final = "!#$&'()*+,-./:;<=>?@[]^_`{|}~"
_NO_STORE: Final = ("Cache-Control", "no-store")


class Answer(NamedTuple):
    """What a door sends (or, for a grant, hands to the upstream). Header names and values are ASCII."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    media_type: str | None


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of a refusal (RFC 9457). `reason` and `advice` only where the resource shows reasons."""

    type: str
    title: str
    status: int
    code: str
    decision: str
    reason: str | None = None
    advice: str | None = None


def answer(decision: Decision, resource: str) -> Answer:
    """Render a decision made for `resource` (its slug is the challenge's realm)."""
    return _granted(decision) if isinstance(decision, Granted) else _denied(decision, resource)


def identity_headers(decision: Granted) -> tuple[tuple[str, str], ...]:
    """Return the headers that tell the upstream who came in; always all of them."""
    who = decision.principal
    values = (who.partner, who.tenant, who.client_id, ",".join(who.roles))
    return tuple(
        (name, quote(value, safe=_VISIBLE + " ")) for name, value in zip(IDENTITY_HEADERS, values, strict=True)
    )


def problem_of(decision: Denied) -> Problem:
    """Return the public form of a denial."""
    row = REFUSALS[decision.reason]
    shown = decision.show_reason
    return Problem(
        type=f"urn:tenantgate:refusal:{row.code}",
        title=CODES[row.code].text,
        status=CODES[row.code].status,
        code=row.code.value,
        decision=decision.id,
        reason=decision.reason.value if shown else None,
        advice=(decision.advice or row.partner) if shown else None,
    )


def challenge(decision: Denied, resource: str) -> str | None:
    """Return the `WWW-Authenticate` value of a denial, or None where a new credential would not help."""
    code = REFUSALS[decision.reason].code
    row = CODES[code]
    if not row.challenge:
        return None
    parts = [f'Bearer realm="{resource}"']
    if row.oauth_error is not None:
        parts.append(f'error="{row.oauth_error}"')
        parts.append(f'error_description="{row.text}"')
    if code is PublicCode.INSUFFICIENT_SCOPE and decision.wanted_roles:
        parts.append(f'scope="{" ".join(quote(role, safe=_VISIBLE) for role in decision.wanted_roles)}"')
    return ", ".join(parts)


def _granted(decision: Granted) -> Answer:
    headers = ((DECISION_HEADER, decision.id), *identity_headers(decision))
    return Answer(200, headers, b"", None)


def _denied(decision: Denied, resource: str) -> Answer:
    problem = problem_of(decision)
    headers = [(DECISION_HEADER, decision.id), (REASON_HEADER, problem.code), _NO_STORE]
    challenged = challenge(decision, resource)
    if challenged is not None:
        headers.append(("WWW-Authenticate", challenged))
    if problem.status == 503:
        headers.append(("Retry-After", "5"))
    return Answer(problem.status, tuple(headers), msgspec.json.encode(problem), "application/problem+json")
