"""The control surface, `/_emulator/…`: how tests and the demo move the authority. Entra has nothing like it.

It asks for no credential and mints any token for anybody, which is why the program binds to loopback only.
Bodies are the JSON objects of `config`, and an empty body is an empty object:

    GET  state           mode, requests seen per path and query, keys, names
    POST rotate          {"retire": false, "tid": null, "resource": null}
    POST hide            {"kids": []}: list all published keys but these
    POST off             {"mode": "503" | "drop"}
    POST on
    POST mint            {"tid", "client_id", "audience", "version", "lifetime", "claims", "remove", "header", "key"}
    GET  hostile         every spoiled token there is: its name, what it attacks, and what a gate refuses it for
    POST hostile/{name}  {"tid", "client_id", "audience"}: mint that one, of a daemon that would be let in
    POST resources       {"client_id", "app_id_uris", "token_version", "idtyp", "own_keys"}
    POST tenants         {"tid", "name", "daemons"}
    POST daemons         {"tid", "client_id", "oid", "client_secret", "public_key", "roles"}

A resource with keys of its own (`"own_keys": true`, or `rotate` with its name) has its tokens signed with the newest of
them. Metadata asked for with `?appid=` and its client id leads to a key document with the same query, which lists them
beside the shared keys; no other document does. `rotate` with `tid` or `resource` leaves the shared keys alone.
"""

from __future__ import annotations

from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tenantgate.emulator import config
from tenantgate.emulator.authority import Authority
from tenantgate.emulator.config import parse_spec
from tenantgate.emulator.errors import BodyTooLarge, ConfigInvalid
from tenantgate.emulator.hostile.catalogue import RECIPES, described, get_recipe
from tenantgate.emulator.switch import Mode, Switch

CONTROL_PREFIX: Final = "/_emulator/"

_MAX_BODY: Final = 256 * 1024


async def read_body(request: Request) -> bytes:
    """Read a request's body; raise BodyTooLarge rather than hold more than 256 KiB."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY:
            raise BodyTooLarge(f"the body has more than {_MAX_BODY} bytes")
    return bytes(body)


def control_routes(authority: Authority, switch: Switch) -> list[Route]:
    """Return the routes that show and move `authority` and `switch`."""
    control = _Control(authority, switch)
    posts = {
        "rotate": control.rotate,
        "hide": control.hide,
        "off": control.off,
        "on": control.on,
        "mint": control.mint,
        "hostile/{name}": control.mint_hostile,
        "resources": control.add_resource,
        "tenants": control.add_tenant,
        "daemons": control.add_daemon,
    }
    return [
        Route(f"{CONTROL_PREFIX}state", control.state),
        Route(f"{CONTROL_PREFIX}hostile", control.hostile),
        *(Route(f"{CONTROL_PREFIX}{name}", endpoint, methods=["POST"]) for name, endpoint in posts.items()),
    ]


class _Control:
    """The requests of the control surface, one method each. Bodies are JSON and may be empty."""

    def __init__(self, authority: Authority, switch: Switch) -> None:
        self._authority = authority
        self._switch = switch

    async def state(self, request: Request) -> Response:
        """Show mode, counts, keys and names; never a secret."""
        requests = self._switch.requests
        directory = self._authority.directory
        return JSONResponse(
            {
                "authority": self._authority.base_url,
                "mode": self._switch.mode,
                "requests": dict(requests),
                "requests_total": requests.total(),
                **self._keys(),
                "resources": [resource.client_id for resource in directory.resources],
                "tenants": [
                    {"tid": tenant.tid, "name": tenant.name, "daemons": list(tenant.daemons)}
                    for tenant in directory.tenants
                ],
            }
        )

    async def rotate(self, request: Request) -> Response:
        """Publish a new key: one that signs from now on (with `resource`, for that one), or one bound to a tenant."""
        spec = parse_spec(await read_body(request), config.RotateSpec)
        if spec.tid is not None and spec.resource is not None:
            raise ConfigInvalid("a key is bound to a tenant or is a resource's own, not both")
        if spec.tid is None:
            await run_in_threadpool(self._authority.rotate, retire=spec.retire, resource=spec.resource)
        else:
            tenant = self._authority.directory.get_tenant(spec.tid)
            await run_in_threadpool(self._authority.keys.publish_for, tenant.tid)
        return JSONResponse(self._keys())

    async def hide(self, request: Request) -> Response:
        """List all published keys but those that are named, which sign on."""
        spec = parse_spec(await read_body(request), config.HideSpec)
        await run_in_threadpool(self._authority.keys.hide, spec.kids)
        return JSONResponse(self._keys())

    async def off(self, request: Request) -> Response:
        """Switch the authority off."""
        spec = parse_spec(await read_body(request), config.OffSpec)
        self._switch.turn(Mode(spec.mode))
        return JSONResponse({"mode": self._switch.mode})

    async def on(self, request: Request) -> Response:
        """Switch the authority on again."""
        self._switch.turn(Mode.ON)
        return JSONResponse({"mode": self._switch.mode})

    async def mint(self, request: Request) -> Response:
        """Sign a token, good or spoiled."""
        spec = parse_spec(await read_body(request), config.MintSpec)
        token = await run_in_threadpool(
            self._authority.mint,
            spec.tid,
            spec.client_id,
            spec.audience,
            version=spec.version,
            lifetime=spec.lifetime,
            claims=spec.claims,
            remove=spec.remove,
            header=spec.header,
            key=spec.key,
        )
        return JSONResponse({"access_token": token})

    async def hostile(self, request: Request) -> Response:
        """List the spoiled tokens that can be minted."""
        return JSONResponse({"hostile": [described(recipe) for recipe in RECIPES]})

    async def mint_hostile(self, request: Request) -> Response:
        """Sign a good token and spoil it in the way that was named."""
        recipe = get_recipe(request.path_params["name"])
        spec = parse_spec(await read_body(request), config.HostileSpec)
        mint = self._authority.mint_hostile
        token = await run_in_threadpool(mint, recipe, spec.tid, spec.client_id, spec.audience)
        return JSONResponse({"access_token": token, **described(recipe)})

    async def add_resource(self, request: Request) -> Response:
        """Register an API."""
        spec = parse_spec(await read_body(request), config.ResourceSpec)
        await run_in_threadpool(config.add_resource, spec, self._authority)
        return JSONResponse({"client_id": spec.client_id}, status_code=201)

    async def add_tenant(self, request: Request) -> Response:
        """Add a tenant, with or without daemons."""
        spec = parse_spec(await read_body(request), config.TenantSpec)
        config.add_tenant(spec, self._authority.directory)
        return JSONResponse({"tid": spec.tid}, status_code=201)

    async def add_daemon(self, request: Request) -> Response:
        """Add a daemon to a tenant."""
        spec = parse_spec(await read_body(request), config.NewDaemon)
        config.add_daemon(spec.tid, spec, self._authority.directory)
        return JSONResponse({"tid": spec.tid, "client_id": spec.client_id}, status_code=201)

    def _keys(self) -> dict[str, Any]:
        ring = self._authority.keys
        return {
            "signing_kid": ring.signing().kid,
            "keys": [{"kid": key.kid, "only_tid": key.only_tid} for key in ring.published()],
            "listed": [key.kid for key in ring.listed()],
            "own_keys": {client_id: [key.kid for key in keys] for client_id, keys in ring.all_own().items()},
        }
