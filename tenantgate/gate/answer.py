"""A decision as HTTP: status, headers, body. Every door renders this and adds nothing.

Refusals are RFC 9457 problems with RFC 6750 challenges; a grant carries the identity headers for the
upstream, always all of them, so that a proxy overwrites whatever a caller may have sent. A resource may choose
status and text for refusals of a credential; what could not be read or judged is always answered as it is.
"""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import quote

import msgspec

from tenantgate.core.decision import Decision, DenialReason, Denied, Granted, PublicCode
from tenantgate.core.policy import ResourceRow
from tenantgate.core.refusals import CODES, REFUSALS

IDENTITY_HEADERS: Final = ("X-TG-Partner", "X-TG-Tenant", "X-TG-Client", "X-TG-Roles")
DECISION_HEADER: Final = "X-TG-Decision"
REASON_HEADER: Final = "X-TG-Reason"

# All that RFC 6750 §3 lets stand in a scope but `%`, which must mean one thing only: what follows was encoded.
_VISIBLE: Final = "!#$&'()*+,-./:;<=>?@[]^_`{|}~"
_CHOSEN: Final = frozenset(
    (
        PublicCode.NO_CREDENTIAL,
        PublicCode.INVALID_TOKEN,
        PublicCode.CALLER_NOT_ALLOWED,
        PublicCode.INSUFFICIENT_SCOPE,
    )
)
_ABOUT_THE_PLACE: Final = frozenset(
    (DenialReason.NO_CREDENTIAL, DenialReason.SCHEME_NOT_ALLOWED, DenialReason.CREDENTIAL_AMBIGUOUS)
)
_NO_STORE: Final = ("Cache-Control", "no-store")


class Answer(NamedTuple):
    """What a door sends (or, for a grant, hands to the upstream). Header names and values are ASCII."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    media_type: str | None


class Manner(NamedTuple):
    """How a resource wants its refusals of a credential: status and text (None: the usual), and its scheme.

    `place` says where a token stands, for the advice; None: as usual. Made once for a row by `manner_of`.
    """

    status: int | None = None
    message: str | None = None
    scheme: str = "Bearer"
    place: str | None = None


USUAL: Final = Manner()


def manner_of(row: ResourceRow | None) -> Manner:
    """Return how a resource wants its refusals; without a row, as usual."""
    if row is None:
        return USUAL
    return Manner(row.failure_status, row.failure_message, row.token_scheme, _place_of(row))


def _place_of(row: ResourceRow) -> str | None:
    if row.token_header is None and row.token_query is None and row.token_scheme == "Bearer":
        return None
    header = f"alone in the header `{row.token_header}`"
    place = header if row.token_header is not None else f"as `Authorization: {row.token_scheme} <token>`"
    return place if row.token_query is None else f"{place} or in the query parameter `{row.token_query}`"


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of a refusal (RFC 9457). `reason` and `advice` only where the resource shows reasons."""

    type: str
    title: str
    status: int
    code: str
    decision: str
    reason: str | None = None
    advice: str | None = None


def answer(decision: Decision, resource: str, manner: Manner = USUAL) -> Answer:
    """Render a decision made for `resource` (its slug is the challenge's realm) in the resource's manner."""
    return _granted(decision) if isinstance(decision, Granted) else _denied(decision, resource, manner)


def identity_headers(decision: Granted) -> tuple[tuple[str, str], ...]:
    """Return the headers that tell the upstream who came in; always all of them."""
    who = decision.principal
    values = (who.partner, who.tenant, who.client_id, ",".join(who.roles))
    return tuple(
        (name, quote(value, safe=_VISIBLE + " ")) for name, value in zip(IDENTITY_HEADERS, values, strict=True)
    )


def problem_of(decision: Denied, manner: Manner = USUAL) -> Problem:
    """Return the public form of a denial."""
    row = REFUSALS[decision.reason]
    status, text = _said(row.code, manner)
    shown = decision.show_reason
    return Problem(
        type=f"urn:tenantgate:refusal:{row.code}",
        title=text,
        status=status,
        code=row.code.value,
        decision=decision.id,
        reason=decision.reason.value if shown else None,
        advice=_advice(decision, row.partner, manner) if shown else None,
    )


def _said(code: PublicCode, manner: Manner) -> tuple[int, str]:
    """Return status and text of a public code. A 400 and a 503 mean what they mean, whoever asks for what."""
    usual = CODES[code]
    if code not in _CHOSEN:
        return usual.status, usual.text
    return manner.status or usual.status, manner.message or usual.text


def _advice(decision: Denied, usual: str, manner: Manner) -> str:
    """Return what the caller can do: about this very token where it was asked, else what the reason's row says."""
    if manner.place is not None and decision.reason in _ABOUT_THE_PLACE:
        return f"Send the access token once, {manner.place}."
    return decision.advice or usual


def challenge(decision: Denied, resource: str, manner: Manner = USUAL) -> str | None:
    """Return the `WWW-Authenticate` value of a denial, or None where a new credential would not help.

    A 401 has one whatever was refused (RFC 9110 §15.5.2): the bare scheme, where the code itself has none.
    """
    code = REFUSALS[decision.reason].code
    row = CODES[code]
    status, text = _said(code, manner)
    if not row.challenge and status != 401:
        return None
    parts = [f'{manner.scheme} realm="{resource}"']
    if row.oauth_error is not None:
        parts.append(f'error="{row.oauth_error}"')
        parts.append(f'error_description="{text}"')
    if code is PublicCode.INSUFFICIENT_SCOPE and decision.wanted_roles:
        parts.append(f'scope="{" ".join(quote(role, safe=_VISIBLE) for role in decision.wanted_roles)}"')
    return ", ".join(parts)


def _granted(decision: Granted) -> Answer:
    headers = ((DECISION_HEADER, decision.id), *identity_headers(decision))
    return Answer(200, headers, b"", None)


def _denied(decision: Denied, resource: str, manner: Manner) -> Answer:
    problem = problem_of(decision, manner)
    headers = [(DECISION_HEADER, decision.id), (REASON_HEADER, problem.code), _NO_STORE]
    challenged = challenge(decision, resource, manner)
    if challenged is not None:
        headers.append(("WWW-Authenticate", challenged))
    if problem.status == 503:
        headers.append(("Retry-After", "5"))
    return Answer(problem.status, tuple(headers), msgspec.json.encode(problem), "application/problem+json")
