"""The authority over HTTP: Entra's paths, and a control surface under `/_emulator/` that Entra does not have."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tenantgate.emulator.authority import Authority
from tenantgate.emulator.control import CONTROL_PREFIX, control_routes, read_body
from tenantgate.emulator.directory import TokenVersion
from tenantgate.emulator.errors import (
    CREDENTIALS_AMBIGUOUS,
    BodyTooLarge,
    ConfigInvalid,
    EmulatorError,
    NameTaken,
    NameUnknown,
    RequestRefused,
)
from tenantgate.emulator.grants import parse_form
from tenantgate.emulator.switch import Mode, Switch

Drop = Callable[[Scope], None]
"""Closes the connection a request came on, without an answer. Only a server can do that."""

_STATUS: Final[Mapping[type[EmulatorError], int]] = {
    ConfigInvalid: 400,
    NameUnknown: 404,
    NameTaken: 409,
    BodyTooLarge: 413,
}
_METADATA_HEADERS: Final = {"Cache-Control": "max-age=86400, private"}
_TOKEN_HEADERS: Final = {"Cache-Control": "no-store, no-cache", "Pragma": "no-cache"}


def create_app(authority: Authority, *, drop: Drop | None = None) -> ASGIApp:
    """Return the ASGI application over `authority`; without `drop`, the off switch can only answer 503."""
    switch = Switch(can_drop=drop is not None)
    app = Starlette(
        routes=[*_entra_routes(authority), *control_routes(authority, switch)],
        exception_handlers={RequestRefused: _refusals_of(authority), EmulatorError: _control_error},
    )
    app.router.redirect_slashes = False
    return _FrontDoor(app, switch, drop)


class _FrontDoor:
    """Counts the requests the authority sees, and keeps them out while it is off."""

    def __init__(self, app: ASGIApp, switch: Switch, drop: Drop | None) -> None:
        self._app = app
        self._switch = switch
        self._drop = drop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(CONTROL_PREFIX):
            await self._app(scope, receive, send)
            return
        query = scope["query_string"].decode("latin-1")
        self._switch.count(f"{scope['path']}?{query}" if query else scope["path"])
        if self._switch.mode is Mode.ON:
            await self._app(scope, receive, send)
        elif self._switch.mode is Mode.DROP and self._drop:
            self._drop(scope)
            while (await receive())["type"] != "http.disconnect":
                pass  # what the caller sent before the connection went
        else:
            await PlainTextResponse("The authority is switched off.\n", status_code=503)(scope, receive, send)


class _Endpoints:
    """Entra's three endpoints in one of their two versions: requests in, documents and tokens out."""

    def __init__(self, authority: Authority, version: TokenVersion) -> None:
        self._authority = authority
        self._version = version

    async def metadata(self, request: Request) -> Response:
        appid = request.query_params.get("appid")
        body = self._authority.metadata(request.path_params["tenant"], self._version, appid=appid)
        return JSONResponse(body, headers=_METADATA_HEADERS)

    async def keys(self, request: Request) -> Response:
        appid = request.query_params.get("appid")
        body = self._authority.jwks(self._version, request.path_params["tenant"], appid=appid)
        return JSONResponse(body, headers=_METADATA_HEADERS)

    async def token(self, request: Request) -> Response:
        form = parse_form(await read_body(request))
        authorization = request.headers.getlist("authorization")
        if len(authorization) > 1:
            raise RequestRefused(CREDENTIALS_AMBIGUOUS)
        tenant = request.path_params["tenant"]
        body = self._authority.token(tenant, self._version, form, next(iter(authorization), None))
        return JSONResponse(body, headers=_TOKEN_HEADERS)


def _entra_routes(authority: Authority) -> list[Route]:
    v1, v2 = _Endpoints(authority, 1), _Endpoints(authority, 2)
    return [
        Route("/{tenant}/v2.0/.well-known/openid-configuration", v2.metadata),
        Route("/{tenant}/.well-known/openid-configuration", v1.metadata),
        Route("/{tenant}/discovery/v2.0/keys", v2.keys),
        Route("/{tenant}/discovery/keys", v1.keys),
        Route("/{tenant}/oauth2/v2.0/token", v2.token, methods=["POST"]),
        Route("/{tenant}/oauth2/token", v1.token, methods=["POST"]),
    ]


def _refusals_of(authority: Authority) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Return what renders the refusals of the Entra-shaped surface."""

    async def render(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestRefused)
        body = authority.refusal_body(error)
        return JSONResponse(body, status_code=error.refusal.status, headers=_TOKEN_HEADERS)

    return render


async def _control_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, EmulatorError)
    return JSONResponse({"error": error.code, "message": str(error)}, status_code=_STATUS[type(error)])
