"""Problems: every way in which the REST API says no (RFC 9457), one table from code to status.

    AdminError
    ├── KeyRefused      no credential, or one that does not let in
    ├── IdentityRefused the token is authentic, and gives nothing here
    ├── KeysUnavailable nobody can say now whether a token is
    ├── RateLimited     this operator or address has asked often enough for now
    ├── RoleTooLow      the operator's role does not reach
    ├── ScopeTooSmall   the admin key is for something else
    └── RequestRefused  the request cannot be read

`type` is `urn:tenantgate:problem:<code>`. A caller never learns more of a refused key than that it is
refused, nor of the database's trouble than its kind; both are logged.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from tenantgate.admin.request_ids import request_id_of
from tenantgate.registry import errors
from tenantgate.registry.errors import RegistryError
from tenantgate.registry.identities import Identity
from tenantgate.registry.ids import NewId

_Answer = Callable[[Request, Exception], Awaitable[Response]]

log: Final = logging.getLogger("tenantgate.admin")

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:tenantgate:problem:"
CHALLENGE: Final = 'Bearer realm="tenantgate-admin"'
COMMON_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""On every answer: it may hold what is shown once, and is never a page."""


class AdminError(Exception):
    """Base of the room. `code` stands in `PROBLEMS`; `detail` is for the caller and quotes nothing secret."""

    def __init__(self, code: str, detail: str, *, field: str = "") -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.field = field


class KeyRefused(AdminError):
    """There is no admin key or token, or not one that lets in. `detail` is for the log."""


class IdentityRefused(AdminError):
    """The token is authentic and for us, but `identity`, whom it names, may do nothing here."""

    def __init__(self, code: str, detail: str, identity: Identity) -> None:
        super().__init__(code, detail)
        self.identity = identity


class KeysUnavailable(AdminError):
    """The keys to judge a token with cannot be had."""


class RateLimited(AdminError):
    """Too often for now. `retry_after`: seconds until it is worth asking again."""

    def __init__(self, code: str, detail: str, *, retry_after: int) -> None:
        super().__init__(code, detail)
        self.retry_after = retry_after


class RoleTooLow(AdminError):
    """The operator may not do this."""


class ScopeTooSmall(AdminError):
    """The operator may do this, but not with this key."""


class RequestRefused(AdminError):
    """The request cannot be read."""


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """What the world sees of an error: public code, status, and a title that is always the same."""

    code: str
    status: int
    title: str
    told: bool = True
    """Whether the error's own message may be told."""


def _kinds(codes: Mapping[str, str], status: int, *, told: bool = True) -> dict[str, ProblemKind]:
    return {code: ProblemKind(code, status, title, told) for code, title in codes.items()}


_KEY_REFUSED: Final = ProblemKind(
    "admin_key_refused", 401, "A valid admin key or administrator's token is needed.", told=False
)

PROBLEMS: Final[dict[str, ProblemKind]] = {
    **_kinds(errors.ROW_CODES, 422),
    **_kinds(errors.NOT_FOUND_CODES, 404),
    **_kinds(errors.CONFLICT_CODES, 409),
    # Not told: the database names its own tables.
    **_kinds({"conflict": errors.CONFLICT_CODES["conflict"]}, 409, told=False),
    **_kinds(errors.TRANSITION_CODES, 409),
    **_kinds(errors.PRECONDITION_CODES, 412),
    **dict.fromkeys(errors.CREDENTIAL_CODES, _KEY_REFUSED),
    **_kinds(errors.DATABASE_CODES, 503, told=False),
    **_kinds(errors.MASTER_KEY_CODES, 503, told=False),
    **_kinds(errors.SCHEMA_CODES, 503, told=False),
    "admin_key_refused": _KEY_REFUSED,
    **_kinds({"role_too_low": "Your role does not allow this."}, 403),
    **_kinds({"scope_too_small": "The admin key is for other parts of the API."}, 403),
    **_kinds({"role_not_mapped": "Your token gives you no role here."}, 403),
    **_kinds(
        {"groups_overage": "Your token does not carry the groups that would give you a role: they are too many."}, 403
    ),
    **_kinds({"identity_not_linked": "No operator has your identity."}, 403),
    **_kinds({"keys_unavailable": "The keys to judge your token with cannot be had now."}, 503),
    **_kinds(
        {
            "database_put_back": "The database lacks what this server has seen: was a backup put back? It counts once "
            "whoever may open it says so (`tenantgate policy adopt`)."
        },
        503,
    ),
    **_kinds({"rate_limited": "Too many of these for now."}, 429),
    **_kinds(
        {"precondition_malformed": "If-Match or If-None-Match cannot be read, or nothing here has a version."}, 400
    ),
    **_kinds({"idempotency_key_malformed": "Idempotency-Key cannot be read, came twice, or is not taken here."}, 400),
    **_kinds({"body_malformed": "The body is not one JSON object, strictly written."}, 400),
    **_kinds({"body_not_expected": "Nothing is expected in the body."}, 400),
    **_kinds({"body_too_large": "The body is too large."}, 413),
    **_kinds({"media_type_unsupported": "The body must be application/json, or text/csv where a file is sent."}, 415),
    **_kinds({"request_invalid": "Members of the request are at fault; `errors` names each."}, 422),
    **_kinds({"route_unknown": "There is nothing at this address."}, 404),
    **_kinds({"method_not_allowed": "This address does not know that method."}, 405),
    **_kinds({"request_refused": "The request was refused."}, 400, told=False),
    **_kinds({"internal_error": "Something went wrong here; nothing was changed."}, 500, told=False),
}
"""Every code of the registry and of this room, with what the world sees of it."""

MEMBER_CODES: Final[dict[str, str]] = {
    "member_missing": "A member that is needed is missing.",
    "member_unknown": "There is no such member here.",
    "type_wrong": "A member has another type.",
    "value_unknown": "A value is not one of the named ones.",
    "number_out_of_range": "A number is outside its limits.",
    "text_too_long": "A text is longer than its limit.",
    "timestamp_malformed": "Not an RFC 3339 timestamp in whole seconds with an offset.",
    "query_repeated": "A parameter is given more than once.",
}
"""Codes in the `errors` of `request_invalid`."""

_BY_PYDANTIC: Final = {
    "missing": "member_missing",
    "extra_forbidden": "member_unknown",
    "literal_error": "value_unknown",
    "greater_than_equal": "number_out_of_range",
    "less_than_equal": "number_out_of_range",
    "string_too_long": "text_too_long",
    "timestamp_malformed": "timestamp_malformed",
    "query_repeated": "query_repeated",
}
_WAITS: Final = {429: "60", 503: "1"}
"""Seconds after which asking again makes sense."""
_BY_STATUS: Final = {404: "route_unknown", 405: "method_not_allowed", 413: "body_too_large"}


class MemberError(BaseModel):
    """One member at fault."""

    field: str = Field(description="Its path (`contacts[0]`), or the parameter's name; empty: the whole.")
    code: str = Field(examples=["member_unknown"])
    message: str


class Problem(BaseModel):
    """What is wrong (RFC 9457). `code` is stable; texts are for people and may change."""

    type: str = Field(examples=[TYPE_PREFIX + "partner_not_found"])
    title: str
    status: int
    code: str = Field(examples=["partner_not_found"])
    detail: str
    errors: list[MemberError] = Field([], description="Members at fault.")
    holder: str | None = Field(None, description="Id of what is in the way.")
    request_id: str | None = Field(None, description="As in the audit and in X-Request-Id.")


def install_problems(app: FastAPI, new_id: NewId) -> None:
    """Answer every failure of `app` as a problem; an unexpected one without saying what it was.

    Each has its request's name, also where no route was found; `new_id` makes one where the caller gave none.
    """
    for kind, answer in _ANSWERS.items():
        app.add_exception_handler(kind, _named(answer, new_id))


def _named(answer: _Answer, new_id: NewId) -> _Answer:
    async def handle(request: Request, error: Exception) -> Response:
        request_id_of(request, new_id)
        return await answer(request, error)

    return handle


def problem_of(
    kind: ProblemKind,
    detail: str = "",
    *,
    status: int | None = None,
    members: Iterable[MemberError] = (),
    holder: str = "",
    request_id: str = "",
) -> Problem:
    """Return a problem. `detail` is told where its kind may be."""
    return Problem(
        type=TYPE_PREFIX + kind.code,
        title=kind.title,
        status=status or kind.status,
        code=kind.code,
        detail=(kind.told and detail) or kind.title,
        errors=list(members),
        holder=holder or None,
        request_id=request_id or None,
    )


def problem_response(
    request: Request,
    kind: ProblemKind,
    detail: str = "",
    *,
    status: int | None = None,
    members: Iterable[MemberError] = (),
    holder: str = "",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a problem as an answer."""
    request_id = getattr(request.state, "request_id", "")
    found = problem_of(kind, detail, status=status, members=members, holder=holder, request_id=request_id)
    more = {"X-Request-Id": request_id} if request_id else {}
    # ASCII: what a member is called may hold anything.
    content = json.dumps(found.model_dump(exclude_defaults=True), ensure_ascii=True)
    return Response(content, found.status, {**COMMON_HEADERS, **more, **(headers or {})}, media_type=MEDIA_TYPE)


async def _registry_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RegistryError)
    kind = PROBLEMS[error.code]
    if not kind.told:
        log.warning("refused: %s", error.code, extra={"reason": error.message, **_where(request)})
    members = [_member(each) for each in (error.faults or (error,)) if each.field]
    return problem_response(
        request, kind, error.message, members=members, holder=error.holder, headers=_headers_of(kind)
    )


def _member(error: RegistryError) -> MemberError:
    kind = PROBLEMS[error.code]
    return MemberError(field=error.field, code=kind.code, message=error.message if kind.told else kind.title)


async def _admin_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, AdminError)
    kind = PROBLEMS[error.code]
    if isinstance(error, KeyRefused | IdentityRefused | KeysUnavailable | RoleTooLow | ScopeTooSmall):
        log.warning("refused: %s", error.code, extra={"reason": error.detail, **_where(request)})
    members = [MemberError(field=error.field, code=kind.code, message=error.detail)] if error.field else []
    headers = _headers_of(kind)
    if isinstance(error, RateLimited):
        headers["Retry-After"] = str(error.retry_after)
    return problem_response(request, kind, error.detail, members=members, headers=headers)


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    members = list(_members(error))
    detail = "; ".join(f"{each.field or 'body'}: {each.message}" for each in members[:5])
    return problem_response(request, PROBLEMS["request_invalid"], detail, members=members)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_methods_at(request)) or headers.get("Allow", "")
    kind = PROBLEMS[
        _BY_STATUS.get(error.status_code, "request_refused" if error.status_code < 500 else "internal_error")
    ]
    return problem_response(request, kind, status=error.status_code, headers=headers)


async def _unexpected(request: Request, error: Exception) -> Response:
    # The server logs the stack when this has been answered; here it gets the request's name.
    log.error("unexpected: %s", type(error).__name__, extra=_where(request))
    return problem_response(request, PROBLEMS["internal_error"])


def _headers_of(kind: ProblemKind) -> dict[str, str]:
    if kind.status == 401:
        return {"WWW-Authenticate": CHALLENGE}
    return {"Retry-After": _WAITS[kind.status]} if kind.status in _WAITS else {}


def _where(request: Request) -> dict[str, str]:
    return {
        "method": request.method,
        "path": request.url.path,
        "request_id": getattr(request.state, "request_id", ""),
        "address": request.client.host if request.client else "",
    }


def _members(error: RequestValidationError) -> Iterator[MemberError]:
    """Name each member at fault. What was given is never repeated: it may be a secret in the wrong place."""
    for each in error.errors():
        code = _BY_PYDANTIC.get(each["type"], "type_wrong")
        yield MemberError(field=_path(each["loc"][1:]), code=code, message=str(each["msg"]))


def _path(places: Iterable[int | str]) -> str:
    path = ""
    for place in places:
        path += f"[{place}]" if isinstance(place, int) else f".{place}" if path else str(place)
    return path


def _methods_at(request: Request) -> list[str]:
    """Return what may be asked of this address: several routes share it, each with a method of its own."""
    path = request.scope["path"]
    found: set[str] = set()
    for route in iter_route_contexts(request.app.routes):
        regex = getattr(route, "path_regex", None)
        if regex is not None and regex.match(path):
            found |= route.methods or set()
    return sorted(found)


_ANSWERS: Final[dict[type[Exception], _Answer]] = {
    RegistryError: _registry_error,
    AdminError: _admin_error,
    RequestValidationError: _validation_error,
    HTTPException: _http_error,
    Exception: _unexpected,
}
