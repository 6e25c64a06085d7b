"""The page: which addresses there are and who may ask for them, and how it is put into an application.

```text
request ─► read_form (posts) ─► in a thread: who is it, how often? ─► is the post ours? ─► may they? ─► view ─► headers
```
Views are synchronous, as the registry is.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from fastapi import APIRouter, FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from tenantgate.admin.context import AdminContext
from tenantgate.registry.errors import RegistryError
from tenantgate.web import access_requests, attention, enforcement, invitation, onboard, partners, sign_in
from tenantgate.web.assets import static_files
from tenantgate.web.call import Call
from tenantgate.web.errors import WebError
from tenantgate.web.forms import Form, read_form
from tenantgate.web.guard import Visitor, require_own_site, require_token, require_writer
from tenantgate.web.headers import page_headers, static_headers
from tenantgate.web.limits import Turnstile
from tenantgate.web.refusals import problem_page, refuse, sentence_for
from tenantgate.web.tally import Tally

OpenView = Callable[[Call], Response]
SignedView = Callable[[Call, Visitor], Response]


class Open(NamedTuple):
    """A page for anybody. `limited`: an address may ask for it so often and no more (`limits.Turnstile`)."""

    method: str
    path: str
    view: OpenView
    limited: bool = False


class Signed(NamedTuple):
    """A page for who is signed in; `writes` is for the roles that may change something.

    `polled`: a page that is open asks for it by itself, which is no use of the session.
    """

    method: str
    path: str
    view: SignedView
    writes: bool = False
    polled: bool = False


ROUTES: Final[tuple[Open | Signed, ...]] = (
    Open("GET", "/sign-in", sign_in.show),
    Open("POST", "/sign-in", sign_in.submit),
    Open("GET", "/invitation", invitation.show),
    Open("POST", "/invitation", invitation.submit, limited=True),
    Signed("POST", "/sign-out", sign_in.leave),
    Signed("GET", "/", partners.home),
    Signed("GET", "/partners", partners.show_list),
    Signed("GET", "/partners/{id}", partners.show_one),
    Signed("POST", "/partners/{id}/{change}", partners.change_partner, writes=True),
    Signed("POST", "/tenants/{id}/{change}", partners.change_tenant, writes=True),
    Signed("POST", "/daemons/{id}/{change}", partners.change_daemon, writes=True),
    Signed("GET", "/enforcement", enforcement.show, polled=True),
    Signed("GET", "/access-requests", access_requests.show_list),
    Signed("GET", "/access-requests/{id}", access_requests.show_one),
    Signed("POST", "/access-requests/{id}/approve", access_requests.approve, writes=True),
    Signed("POST", "/access-requests/{id}/dismiss", access_requests.dismiss, writes=True),
    Signed("POST", "/access-requests/{id}/reopen", access_requests.reopen, writes=True),
    Signed("GET", "/attention", attention.show),
    Signed("POST", "/pending-grants/{id}/{change}", attention.change_grant, writes=True),
    Signed("POST", "/invitations/{id}/{change}", attention.change_invitation, writes=True),
    Signed("GET", "/onboard", onboard.show, writes=True),
    Signed("POST", "/onboard", onboard.submit, writes=True),
)
"""Every address of the page. A post is checked for where it comes from, and a signed one for its token, always."""

NOT_PAGES: Final = ("/api", "/auth", "/health", "/metrics")
"""What lies under these is for programs, and their refusals are not ours to dress."""


def build_web(context: AdminContext, clock: Callable[[], float] = time.monotonic) -> APIRouter:
    """Return the page's routes. `mount_static` and `install_error_pages` make it whole. `clock`: monotonic seconds.

    Raises:
        AssetsMissing: templates and static files were not installed with the package.
    """
    router = APIRouter(include_in_schema=False)
    tally = Tally()
    for route in ROUTES:
        # One for each: who posts to an invitation's page without end keeps nobody from signing in.
        turnstile = Turnstile(clock)
        methods = ["GET", "HEAD"] if route.method == "GET" else [route.method]
        router.add_api_route(
            route.path,
            _endpoint(context, route, turnstile, tally),
            methods=methods,
            response_model=None,
            name=route.view.__name__,
        )
    static_files()
    return router


def mount_static(app: FastAPI) -> None:
    """Serve the static files under `/static/`."""
    app.add_route("/static/{name:path}", _static, methods=["GET"], include_in_schema=False)


def install_error_pages(app: FastAPI, context: AdminContext) -> None:
    """Answer unknown addresses, wrong methods and failures with pages. Call it last.

    Handlers registered before go on answering for what is no page (`NOT_PAGES`).
    """
    for key in {*app.exception_handlers, HTTPException, Exception}:
        app.add_exception_handler(key, _error_page(context, app.exception_handlers.get(key)))


def _endpoint(
    context: AdminContext, route: Open | Signed, turnstile: Turnstile, tally: Tally
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            if isinstance(route, Open) and route.limited:
                turnstile.enter(request.client.host if request.client else "")
            form = await read_form(request) if request.method == "POST" else Form()
        except WebError as error:
            response = refuse(request, context, error, None)
        else:
            call = Call(context, request, form, context.now(), context.new_id("req"), tally, turnstile)
            response = await run_in_threadpool(_answer, call, route)
        response.headers.update(page_headers(secure=context.secure))
        return response

    return endpoint


def _answer(call: Call, route: Open | Signed) -> Response:
    visitor: Visitor | None = None
    try:
        if call.request.method == "POST":
            require_own_site(call.request, call.context)
        if isinstance(route, Open):
            return route.view(call)
        asked_by_itself = route.polled and call.htmx
        visitor = call.visitor(asked_by_itself=asked_by_itself)
        call.spend(visitor, asked_by_itself=asked_by_itself)
        if call.request.method == "POST":
            require_token(visitor, call.form.text("csrf"))
        if route.writes:
            require_writer(visitor)
        return route.view(call, visitor)
    except (WebError, RegistryError) as error:
        return refuse(call.request, call.context, error, visitor)


async def _static(request: Request) -> Response:
    found = static_files().get(request.path_params["name"])
    if found is None:
        raise HTTPException(404)
    headers = dict(static_headers(versioned=request.query_params.get("v") == found.version))
    # Weak: gzipped or not, it is the same file.
    headers["ETag"] = f'W/"{found.version}"'
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(found.body, headers=headers, media_type=found.media_type)
    headers["Content-Encoding"] = "gzip"
    return Response(found.gzipped, headers=headers, media_type=found.media_type)


def _error_page(context: AdminContext, earlier: Callable[..., Any] | None) -> Callable[..., Awaitable[Response]]:
    async def handle(request: Request, error: Exception) -> Response:
        path = request.url.path
        if any(path == prefix or path.startswith(f"{prefix}/") for prefix in NOT_PAGES):
            return await _as_before(request, error, earlier)
        status = error.status_code if isinstance(error, HTTPException) else 500
        code = {404: "page_not_found", 405: "method_not_allowed"}.get(status, "failed")
        response = problem_page(request, status if code != "failed" else 500, code, sentence_for(code))
        if isinstance(error, HTTPException) and error.headers:
            response.headers.update(error.headers)
        response.headers.update(page_headers(secure=context.secure))
        return response

    return handle


async def _as_before(request: Request, error: Exception, earlier: Callable[..., Any] | None) -> Response:
    if earlier is None:
        return PlainTextResponse("Internal Server Error", status_code=500)
    answer = earlier(request, error)
    response: Response = await answer if inspect.isawaitable(answer) else answer
    return response
