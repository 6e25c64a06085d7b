"""What the description says of refusals: which codes come with a status, and what such a problem looks like."""

from __future__ import annotations

from typing import Any, Final

from tenantgate.admin.problems import CHALLENGE, MEDIA_TYPE, PROBLEMS, MemberError, problem_of
from tenantgate.registry import errors
from tenantgate.registry.errors import RegistryError

_STATUS_OF_REFUSAL: Final[dict[type[RegistryError], int]] = {
    errors.InvalidError: 422,
    errors.NotFoundError: 404,
    errors.ConflictError: 409,
    errors.TransitionError: 409,
    errors.PreconditionError: 412,
}
_EXAMPLES: Final[dict[int, tuple[str, str, list[MemberError]]]] = {
    400: ("body_malformed", "the body cannot be read: not a JSON object", []),
    401: ("admin_key_refused", "", []),
    403: ("role_too_low", "this needs the role Operator; an operator has Viewer here", []),
    404: ("partner_not_found", "there is no partner contoso", []),
    409: (
        "state_unchanged",
        "partner contoso is already suspended",
        [MemberError(field="state", code="state_unchanged", message="partner contoso is already suspended")],
    ),
    412: ("version_changed", "partner contoso is in version 4 now: look at it, and ask again", []),
    413: ("body_too_large", "a body has at most 65536 bytes", []),
    415: ("media_type_unsupported", "send Content-Type: application/json", []),
    422: (
        "request_invalid",
        "name: Field required",
        [MemberError(field="name", code="member_missing", message="Field required")],
    ),
    429: ("rate_limited", "you ask more often than an operator may", []),
    500: ("internal_error", "", []),
    503: ("database_busy", "", []),
}
"""By status: the code, the detail and the members of the problem that the description shows."""


def problems(*refusals: type[RegistryError]) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI `responses` of a route: what its service refuses, and what can happen to any route."""
    statuses = {400, 401, 403, 413, 422, 429, 500, 503} | {_STATUS_OF_REFUSAL[refusal] for refusal in refusals}
    return {status: _described(status) for status in sorted(statuses)}


def problems_at(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI `responses` of other refusals than a service's."""
    return {status: _described(status) for status in statuses}


def body_problems() -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI `responses` that only a route that takes a body has."""
    return {415: _described(415)}


def _described(status: int) -> dict[str, Any]:
    codes = sorted({kind.code for kind in PROBLEMS.values() if kind.status == status})
    described = {
        "description": "Problem: " + " · ".join(codes),
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": _example(status)}},
    }
    if status == 401:
        described["headers"] = {"WWW-Authenticate": {"schema": {"type": "string", "examples": [CHALLENGE]}}}
    return described


def _example(status: int) -> dict[str, Any]:
    code, detail, members = _EXAMPLES[status]
    kind = PROBLEMS[code]
    found = problem_of(kind, detail, members=members, request_id="req-mfrggzdfmztwq2lk")
    return found.model_dump(exclude_defaults=True)
