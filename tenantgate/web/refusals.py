"""What a refusal looks like: a page with a sentence and a code, or for htmx a notice to put at the top."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from tenantgate.admin.context import AdminContext
from tenantgate.registry.errors import (
    CODES,
    ConflictError,
    CredentialError,
    DatabaseError,
    InvalidError,
    MasterKeyError,
    NotFoundError,
    PreconditionError,
    RegistryError,
    SchemaError,
    TransitionError,
)
from tenantgate.web.errors import SignInNeeded, TooOften, WebError
from tenantgate.web.guard import Visitor, delete_cookie, has_ended_cookie
from tenantgate.web.links import safe_next
from tenantgate.web.rendering import render, see_other
from tenantgate.web.texts import sentence, texts

RETRY_AFTER: Final = 5
"""Seconds."""

_STATUS: Final[dict[type[RegistryError], int]] = {
    InvalidError: 422,
    NotFoundError: 404,
    ConflictError: 409,
    TransitionError: 409,
    PreconditionError: 412,
    CredentialError: 403,
    DatabaseError: 503,
    MasterKeyError: 503,
    SchemaError: 503,
}


def status_of(error: WebError | RegistryError) -> int:
    """Return the status a refusal is answered with."""
    return error.status if isinstance(error, WebError) else _STATUS[type(error)]


def refuse(
    request: Request, context: AdminContext, error: WebError | RegistryError, visitor: Visitor | None
) -> Response:
    """Return the answer to a request that was refused."""
    if isinstance(error, SignInNeeded):
        return _to_sign_in(request, context, error)
    text = told(error) if isinstance(error, RegistryError) and visitor else sentence_for(error.code)
    response = problem_page(request, status_of(error), error.code, text, visitor)
    if isinstance(error, TooOften):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def told(error: RegistryError) -> str:
    """Return what who is signed in is told: of a row what the registry says, of the database only the kind.

    The database's own words name its files and tables (`conflict` among them).
    """
    if status_of(error) >= 500 or error.code == "conflict":
        return sentence_for(error.code)
    return sentence(error.message)


def sentence_for(code: str) -> str:
    """Return the sentence that goes with a code, ours or the registry's."""
    return texts().get(f"problem.{code}") or CODES[code]


def problem_page(request: Request, status: int, code: str, text: str, visitor: Visitor | None = None) -> Response:
    """Return a page that says what is wrong, with its code and nothing about our insides."""
    values = {
        "visitor": visitor,
        "path": request.url.path,
        "title": texts()[f"title.{status}"],
        "problem": text,
        "code": code,
    }
    if request.headers.get("hx-request") != "true":
        response = render("problem.html", values, status=status)
    else:
        response = render("_notice.html", values, status=status)
        response.headers.update({"HX-Retarget": "#notice", "HX-Reswap": "innerHTML", "HX-Reselect": ".alert"})
    if status == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER)
    return response


def _to_sign_in(request: Request, context: AdminContext, error: SignInNeeded) -> Response:
    address = "/sign-in"
    by_htmx = request.headers.get("hx-request") == "true"
    if request.url.path != "/" or error.why == "ended":
        # What htmx asks for is a part of a page, and none to come back to.
        wanted = safe_next(request.url.path) if request.method == "GET" and not by_htmx else "/partners"
        address = f"/sign-in?why={error.why}&next={wanted}"
    # htmx would follow a redirect and put the sign-in page into a row of a table.
    there = Response(status_code=error.status, headers={"HX-Redirect": address})
    response = there if by_htmx else see_other(address)
    if has_ended_cookie(request, context):
        delete_cookie(response, context)
    return response
