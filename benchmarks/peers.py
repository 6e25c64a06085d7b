"""Other validators of the same tokens, measured beside ours where they are installed.

Each is asked what its users ask of it: signature, issuer, audience, times. None of them has a policy to ask.
A peer that does not accept the token is not measured: its time would be that of a refusal.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import warnings
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.measure import Subject, each
from benchmarks.world import AUDIENCE, World, claims

Figures = dict[str, Any]
"""Name of a peer → its figure, or why there is none."""

ROOT: Final = Path(__file__).resolve().parent.parent
_SCRIPT: Final = Path(__file__).with_name("peers.mjs")
_NODE_PEERS: Final = ("jose", "fast-jwt")


class Peers(NamedTuple):
    """The peers that can be measured in this process, and why the others cannot."""

    subjects: tuple[Subject, ...]
    absent: dict[str, str]


def python_peers(world: World) -> Peers:
    """Return the Python validators that are installed and accept the world's tokens."""
    subjects: list[Subject] = []
    absent: dict[str, str] = {}
    for name, (distribution, make) in _PYTHON.items():
        try:
            with warnings.catch_warnings(record=True):  # Authlib insists on showing its own, about its future
                warnings.simplefilter("ignore")
                subject = make(name, world)
                subject.run()
        except ImportError:
            absent[name] = f"not installed: {distribution} (dependency group bench)"
        except Exception as error:  # noqa: BLE001 - whatever a peer raises, the reason is printed and the rest goes on
            absent[name] = f"does not accept the token: {type(error).__name__}"
        else:
            subjects.append(subject)
    return Peers(tuple(subjects), absent)


def _issuer(world: World) -> str:
    return str(claims(0, 0, world.now)["iss"])


def _text(world: World) -> list[str]:
    return [token.decode() for token in world.tokens]


def _pyjwt(name: str, world: World) -> Subject:
    jwt = importlib.import_module("jwt")
    key, issuer = world.signer.private.public_key(), _issuer(world)
    required = {"require": ["exp", "iat", "nbf", "iss", "aud", "sub"]}

    def validate(token: str) -> Any:
        return jwt.decode(token, key, algorithms=["RS256"], audience=AUDIENCE, issuer=issuer, options=required)

    return each(name, validate, _text(world))


def _joserfc(name: str, world: World) -> Subject:
    jwt = importlib.import_module("joserfc.jwt")
    key = importlib.import_module("joserfc.jwk").RSAKey.import_key(dict(world.signer.jwk))
    wanted = {claim: {"essential": True} for claim in ("exp", "iat", "nbf", "sub")}
    registry = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": _issuer(world)}, aud={"essential": True, "value": AUDIENCE}, **wanted
    )

    def validate(token: str) -> Any:
        decoded = jwt.decode(token, key, algorithms=["RS256"])
        registry.validate(decoded.claims)
        return decoded

    return each(name, validate, _text(world))


def _authlib(name: str, world: World) -> Subject:
    jose = importlib.import_module("authlib.jose")
    key, jwt = jose.JsonWebKey.import_key(dict(world.signer.jwk)), jose.JsonWebToken(["RS256"])
    options: dict[str, dict[str, Any]] = {claim: {"essential": True} for claim in ("exp", "iat", "nbf", "sub")}
    options["iss"] = {"essential": True, "value": _issuer(world)}
    options["aud"] = {"essential": True, "value": AUDIENCE}

    def validate(token: str) -> Any:
        decoded = jwt.decode(token, key, claims_options=options)
        decoded.validate()
        return decoded

    return each(name, validate, _text(world))


def _fastapi_azure_auth(name: str, world: World) -> Subject:
    """The scheme object a route depends on, with its keys loaded and nothing to fetch for a year."""
    auth = importlib.import_module("fastapi_azure_auth")
    requests, security = importlib.import_module("starlette.requests"), importlib.import_module("fastapi.security")
    issuer = _issuer(world)

    async def issuer_of(tid: str) -> str:
        return issuer

    scheme = auth.MultiTenantAzureAuthorizationCodeBearer(app_client_id=AUDIENCE, iss_callable=issuer_of)
    scheme.openid_config._load_keys([world.signer.jwk])
    scheme.openid_config._config_timestamp = datetime.now() + timedelta(days=365)  # noqa: DTZ005 - its own is naive
    scopes = security.SecurityScopes([])
    # Made beforehand, and so with their headers parsed after the first round: that favours the peer a little.
    made = [_request(requests.Request, token) for token in world.tokens]
    return each(name, lambda request: _finished(scheme(request, scopes)), made)


def _finished(work: Coroutine[Any, Any, Any]) -> Any:
    """Return what a coroutine returns that has nothing to wait for: no loop, and so no loop's cost, is needed."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    work.close()
    raise AssertionError("the keys are loaded: there is nothing to wait for")


def _request(kind: Callable[[dict[str, Any]], Any], token: bytes) -> Any:
    headers = [(b"host", b"api.example"), (b"authorization", b"Bearer " + token)]
    return kind({"type": "http", "method": "GET", "path": "/orders", "query_string": b"", "headers": headers})


_PYTHON: Final[dict[str, tuple[str, Callable[[str, World], Subject]]]] = {
    "pyjwt": ("pyjwt", _pyjwt),
    "joserfc": ("joserfc", _joserfc),
    "authlib": ("authlib", _authlib),
    "fastapi-azure-auth": ("fastapi-azure-auth", _fastapi_azure_auth),
}


def node_peers(world: World, rounds: int) -> Figures:
    """Measure npm `jose` and `fast-jwt` in a Node of their own, each over Node's raw verification of the same tokens.

    The packages are looked for in TENANTGATE_NODE_MODULES, else ./node_modules.
    """
    node = shutil.which("node")
    if node is None:
        return dict.fromkeys(_NODE_PEERS, "no program node")
    folder = Path(os.environ.get("TENANTGATE_NODE_MODULES") or ROOT / "node_modules")
    if not folder.is_dir():
        return dict.fromkeys(_NODE_PEERS, "no folder node_modules (npm i jose fast-jwt)")
    question = {
        "tokens": _text(world),
        "jwk": world.signer.jwk,
        "issuer": _issuer(world),
        "audience": AUDIENCE,
        "rounds": rounds,
    }
    # As text, so that packages are found from the folder it runs in and not from the script's own.
    command = [node, "--input-type=module", "--eval", _SCRIPT.read_text()]
    done = subprocess.run(
        command, cwd=folder.parent, input=json.dumps(question).encode(), capture_output=True, timeout=600, check=False
    )
    if done.returncode != 0:
        return dict.fromkeys(_NODE_PEERS, f"node ended with status {done.returncode}")
    return dict(json.loads(done.stdout))
