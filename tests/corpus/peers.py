"""Validators of tokens to ask, each configured as its documentation tells a careful user to.

Algorithms, issuer, audience and required claims are always given, and the key is looked up by its `kid` in the
issuer's document. Nothing is asked of the claims afterwards: what is left for its user to write is what the corpus
shows. TenantGate is asked in the same way, with the file's policy.
"""

from __future__ import annotations

import contextlib
import datetime
import importlib
from collections.abc import Callable, Coroutine, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NamedTuple
from unittest import mock

from tenantgate.core.decide import decide
from tenantgate.core.decision import Granted
from tenantgate.core.index import PolicyIndex
from tenantgate.core.keys import StaticKeys
from tenantgate.core.policy import PolicySnapshot, row_of
from tenantgate.feed.file import parse_policy
from tests.corpus.files import Filed

Accept = Callable[[str], object]
"""Returns where a token is accepted; raises where it is not."""


_YEAR: Final = datetime.timedelta(days=365)


class Refused(Exception):
    """A token is not accepted, by what stands before a validator or by TenantGate itself."""


class Peer(NamedTuple):
    """A validator. `prepare` configures it for the issuer a case is aimed at; `declared` is what it says it raises.

    `trusts` are the issuers it can be asked about; None: all of them.
    """

    name: str
    distribution: str
    prepare: Callable[[Filed], Accept]
    declared: Callable[[], tuple[type[Exception], ...]]
    trusts: frozenset[str] | None = None

    @property
    def version(self) -> str:
        """The version that is installed. Raises PackageNotFoundError (an ImportError) where none is."""
        return version(self.distribution)


@contextlib.contextmanager
def at(now: int) -> Iterator[None]:
    """Let PyJWT, which can be given no moment, find `now` on its clock."""
    api = importlib.import_module("jwt.api_jwt")

    class Frozen(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Frozen:
            return cls.fromtimestamp(now, tz)

    with mock.patch.object(api, "datetime", Frozen):
        yield


def _pyjwt(filed: Filed) -> Accept:
    trust, now, leeway = filed.trust, filed.document["now"], filed.document["leeway"]
    jwt = importlib.import_module("jwt")

    class AtHand(jwt.PyJWKClient):
        def fetch_data(self) -> Any:
            return trust["jwks"]

    client = AtHand("https://keys.example/")
    client.get_signing_keys()

    def accept(token: str) -> object:
        with at(now):
            return jwt.decode(
                token,
                client.get_signing_key_from_jwt(token),
                algorithms=trust["algorithms"],
                audience=trust["audiences"],
                issuer=trust["issuer"],
                leeway=leeway,
                options={"require": trust["required_claims"]},
            )

    return accept


def _wanted(trust: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the claims as joserfc and Authlib are told of them."""
    return {
        **{claim: {"essential": True} for claim in trust["required_claims"]},
        "iss": {"essential": True, "value": trust["issuer"]},
        "aud": {"essential": True, "values": trust["audiences"]},
    }


def _joserfc(filed: Filed) -> Accept:
    trust, now, leeway = filed.trust, filed.document["now"], filed.document["leeway"]
    jwt = importlib.import_module("joserfc.jwt")
    keys = importlib.import_module("joserfc.jwk").KeySet.import_key_set(trust["jwks"])
    registry = jwt.JWTClaimsRegistry(now=now, leeway=leeway, **_wanted(trust))

    def accept(token: str) -> object:
        decoded = jwt.decode(token, keys, algorithms=trust["algorithms"])
        registry.validate(decoded.claims)
        return decoded

    return accept


def _authlib(filed: Filed) -> Accept:
    trust, now, leeway = filed.trust, filed.document["now"], filed.document["leeway"]
    jose = importlib.import_module("authlib.jose")
    keys, jwt = jose.JsonWebKey.import_key_set(trust["jwks"]), jose.JsonWebToken(trust["algorithms"])

    def accept(token: str) -> object:
        claims = jwt.decode(token, keys, claims_options=_wanted(trust))
        claims.validate(now=now, leeway=leeway)
        return claims

    return accept


def _fastapi_azure_auth(filed: Filed) -> Accept:
    """Return its dependency for APIs of many tenants, with the keys loaded and nothing to fetch for a year."""
    trust, now, leeway = filed.trust, filed.document["now"], filed.document["leeway"]
    auth = importlib.import_module("fastapi_azure_auth")
    refused = importlib.import_module("fastapi_azure_auth.exceptions").UnauthorizedHttp
    requests, security = importlib.import_module("starlette.requests"), importlib.import_module("fastapi.security")
    tenants = {trust["issuer"].split("/")[3]: trust["issuer"]}

    async def issuer_of(tid: str) -> str:
        if tid not in tenants:
            raise refused("this tenant is not one of ours")
        return tenants[tid]

    scheme = auth.MultiTenantAzureAuthorizationCodeBearer(
        app_client_id=trust["audiences"][0], leeway=leeway, iss_callable=issuer_of
    )
    scheme.openid_config._load_keys(trust["jwks"]["keys"])
    scheme.openid_config._config_timestamp = datetime.datetime.now() + _YEAR  # noqa: DTZ005 - its own is naive
    scopes = security.SecurityScopes([])

    def accept(token: str) -> object:
        if not token.isprintable():
            raise Refused("no server hands on such a header")
        headers = [(b"host", b"api.example"), (b"authorization", b"Bearer " + token.encode("latin-1"))]
        request = requests.Request(
            {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers}
        )
        with at(now):
            return _finished(scheme(request, scopes))

    return accept


def _finished(work: Coroutine[Any, Any, Any]) -> Any:
    """Return what a coroutine returns that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    work.close()
    raise AssertionError("the keys are loaded: there is nothing to wait for")


def _tenantgate(filed: Filed) -> Accept:
    rows = parse_policy(filed.document["policy"], Path())
    index = PolicyIndex.from_snapshot(PolicySnapshot(epoch="", revision=1, rows=tuple(row_of(row, 1) for row in rows)))
    keys = StaticKeys(entry.row for entry in index.issuers.values())

    def accept(token: str) -> object:
        decision = decide(token, index, keys, filed.resource, filed.roles, filed.document["now"])
        if isinstance(decision, Granted):
            return decision
        raise Refused(decision)

    return accept


def _errors(*names: str) -> Callable[[], tuple[type[Exception], ...]]:
    def declared() -> tuple[type[Exception], ...]:
        parts = [name.rpartition(".") for name in names]
        return tuple(getattr(importlib.import_module(module), name) for module, _, name in parts)

    return declared


OURS: Final = "TenantGate"

PEERS: Final = (
    Peer(OURS, "tenantgate", _tenantgate, lambda: (Refused,)),
    Peer("PyJWT", "pyjwt", _pyjwt, _errors("jwt.PyJWTError")),
    Peer("joserfc", "joserfc", _joserfc, _errors("joserfc.errors.JoseError")),
    Peer("Authlib", "authlib", _authlib, _errors("authlib.common.errors.AuthlibBaseError")),
    Peer(
        "fastapi-azure-auth",
        "fastapi-azure-auth",
        _fastapi_azure_auth,
        _errors("starlette.exceptions.HTTPException", "tests.corpus.peers.Refused"),
        frozenset(("acme-v2",)),
    ),
)
"""The validators that are asked, each where it is installed."""
