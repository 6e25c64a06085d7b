"""Composition root of the service: database, administration, page and forward auth in one ASGI application.

```text
request ─► /auth/check…  ─► ForwardAuth (bare ASGI) ─► Gate
        ─► /health/…     ─► two words, no database
        ─► anything else ─► FastAPI: /api/v1 and the page ─► services ─► database
```
"""

from __future__ import annotations

import functools
import logging
import secrets
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio.to_thread
import structlog
from fastapi import FastAPI
from sqlalchemy.engine import Engine

from tenantgate.admin.administrators import Administrators
from tenantgate.admin.attending import Attending
from tenantgate.admin.bearer import AdminTokens
from tenantgate.admin.context import AdminContext
from tenantgate.admin.explaining import Explaining, KeysAtHand
from tenantgate.admin.probing import Probing
from tenantgate.admin.problems import install_problems
from tenantgate.admin.put_back import ClosedWhile
from tenantgate.admin.rates import BURST_SECONDS, Failures, OperatorRates
from tenantgate.admin.routes import build_admin
from tenantgate.admin.trusted import Trusted
from tenantgate.admin.waiting import App, WaitingAdministration
from tenantgate.core.index import PolicyIndex
from tenantgate.core.keys import KeySource
from tenantgate.core.token import TokenReader
from tenantgate.embed import database_source, follow, keys_at_hand, new_gate, new_keyring, probe_issuer, record
from tenantgate.feed.file import FileSource
from tenantgate.feed.source import GuardedSource
from tenantgate.forward_auth.endpoint import ForwardAuth, Receive, Scope, Send, handles
from tenantgate.gate.gate import Gate
from tenantgate.registry import rates
from tenantgate.registry.engine import is_postgres, open_engine, reading
from tenantgate.registry.errors import DatabaseError
from tenantgate.registry.identities import resource_accepting
from tenantgate.registry.ids import random_ids
from tenantgate.registry.key_opening import open_master_key
from tenantgate.registry.migrations import require_known_schema
from tenantgate.registry.product_keys import ProductKeys
from tenantgate.settings import Settings, SettingsError, check_settings, split_address
from tenantgate.web.pages import build_web, install_error_pages, mount_static

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from tenantgate.metrics import MetricsServer

log: Final = logging.getLogger("tenantgate.server")

NO_POLICY: Final = ("", 0)
"""The revision of a gate before its first policy."""
_new_id: Final = random_ids(secrets.token_bytes)


class Service:
    """The ASGI application: three doors by path, one lifespan."""

    def __init__(self, inner: FastAPI, gate: Gate | None, administration: App | None = None) -> None:
        self._inner = inner
        self._administration = administration
        self._gate = gate
        self._forward_auth = ForwardAuth(gate) if gate is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request to its door."""
        if self._forward_auth is not None and handles(scope):
            await self._forward_auth(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] in ("/health/live", "/health/ready"):
            await self._health(scope["path"], send)
        elif self._administration is not None and scope["type"] == "http":
            await self._administration(scope, receive, send)
        else:
            await self._inner(scope, receive, send)

    def lifespan(self) -> AbstractAsyncContextManager[object]:
        """Return what a server runs the application in, for whoever has none: at its end everything is closed."""
        return self._inner.router.lifespan_context(self._inner)

    async def _health(self, path: str, send: Send) -> None:
        """Live: this process answers. Ready: its gate, if it has one, has a policy to judge by."""
        ready = path == "/health/live" or self._gate is None or self._gate.revision[1] > 0
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200 if ready else 503, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok\n" if ready else b"no policy\n"})


def build_service(settings: Settings, address: str) -> Service:
    """Put the service together. `address` is where it listens, for people too unless PUBLIC_URL says otherwise.

    Raises:
        SettingsError: a setting is missing or unsafe.
        RegistryError, FeedError, PolicyError: database or policy cannot be used.
        StateDirUnusable: nothing can be kept where TENANTGATE_STATE_DIR says.
    """
    check_settings(settings)
    gates: list[Gate] = []  # of which there is one at most, and not yet
    at_hand = functools.partial(_keys_at_hand, gates, settings.state_folder)
    administrators = _open_administrators(settings)
    tokens = None if administrators is None else administrators.tokens
    public_url = settings.public_url or address
    engines: list[Engine] = []
    open_administration = functools.partial(_open_administration, settings, public_url, at_hand, tokens, engines)
    context, trouble = _administration_or_trouble(settings, open_administration)
    if context is not None:
        _refuse_shared_audience(settings, context.engine)
    gate, source = _open_gate(settings, administrators)
    gates += [] if gate is None else [gate]
    if trouble is not None and (gate is None or gate.revision == NO_POLICY):
        if gate is not None:
            gate.close()
        raise trouble
    measuring = _measuring(settings, gate, context, administrators, engines)
    inner = _application(context, _closing(gate, measuring, administrators, engines))
    if trouble is None:
        return Service(inner, gate, _closed_while_refused(inner, source))
    log.critical("administration is closed until the database is there: %s", trouble, extra={"code": trouble.code})

    def build() -> FastAPI:
        return _application(open_administration())

    waiting = WaitingAdministration(build, trouble, time.monotonic, _new_id)
    return Service(inner, gate, _closed_while_refused(waiting, source))


def _closed_while_refused(administration: App, source: GuardedSource | None) -> App:
    """Close REST API and page while this server's own gate does not follow the database.

    A backup knows nothing of keys and sessions that were revoked since: with one of these the backup could be adopted.
    """
    return administration if source is None else ClosedWhile(administration, source, _new_id)


def _application(
    context: AdminContext | None, lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None
) -> FastAPI:
    """Return REST API and page on `context`; nothing but "not found" without."""
    inner = FastAPI(
        title="TenantGate", openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan, redirect_slashes=False
    )
    install_problems(inner, _new_id)
    if context is not None:
        inner.include_router(build_admin(context))
        inner.include_router(build_web(context))
        mount_static(inner)
        install_error_pages(inner, context)
    return inner


def _administration_or_trouble(
    settings: Settings, open_: Callable[[], AdminContext | None]
) -> tuple[AdminContext | None, DatabaseError | None]:
    """Return what administration works with, or why its database cannot be used now."""
    try:
        return open_(), None
    except DatabaseError as error:
        if settings.resource is None:  # nothing else is served here
            raise
        return None, error


def _open_administrators(settings: Settings) -> Administrators | None:
    """Return who may administer with tokens; nobody where no issuer is named for it.

    Raises:
        StateDirUnusable: their issuers' keys cannot be kept.
    """
    if not settings.admin_issuers:
        return None
    folder = settings.state_folder
    return Administrators(
        Trusted(settings.admin_issuers),
        # A folder of their own: an issuer of partners that has the same id must not be taken for one of these.
        new_keyring(state_dir=None if folder is None else folder / "administrators"),
        unmapped=None if settings.admin_unmapped_role == "none" else settings.admin_unmapped_role,
        enrols=settings.admin_unlinked == "create",
        limits=settings.limits,
    )


def _open_administration(
    settings: Settings, public_url: str, at_hand: KeysAtHand, tokens: AdminTokens | None, engines: list[Engine]
) -> AdminContext | None:
    """Open the database that REST API and page work on, for `engines`; none where the policy is a file."""
    if settings.database_url is None:
        return None
    engine = open_engine(settings.database_url, create=False)
    try:
        require_known_schema(engine)
        keys = _open_product_keys(engine, settings)
    except BaseException:
        engine.dispose()
        raise
    engines.append(engine)
    return AdminContext(
        engine,
        _now,
        _new_id,
        secrets.token_bytes,
        public_url,
        Probing(probe_issuer, time.monotonic),
        keys,
        Explaining(at_hand, TokenReader(settings.limits)),
        tokens,
        _open_rates(settings, engine),
        Failures(time.monotonic),
    )


def _open_rates(settings: Settings, engine: Engine) -> OperatorRates:
    """Return how much each operator may ask: of all servers together where they share a PostgreSQL database."""
    rate = settings.admin_rate / 60
    shared = functools.partial(_take, engine, rate) if is_postgres(settings.database_url or "") else None
    return OperatorRates(settings.admin_rate, time.monotonic, shared)


def _take(engine: Engine, rate: float, operator: str, wanted: int) -> bool:
    return rates.take(engine, operator, wanted, rate=rate, burst=rate * BURST_SECONDS)


def _keys_at_hand(gates: Sequence[Gate], kept: Path | None, index: PolicyIndex, resource: str) -> KeySource:
    """Return the keys of this server's gate, if it has one, else those of the policy and those that a gate has kept."""
    return gates[0].keys if gates else keys_at_hand(index, resource, kept)


def _now() -> int:
    return int(time.time())


def _open_product_keys(engine: Engine, settings: Settings) -> ProductKeys:
    """Return the product's own keys, made now where nobody has made them, the same on every server of this database."""
    keys = ProductKeys(
        engine,
        open_master_key(engine, settings.given_master_key, settings.master_key_file, secrets.token_bytes),
        now=_now,
        clock=time.monotonic,
        new_id=random_ids(secrets.token_bytes),
        random_bytes=secrets.token_bytes,
    )
    keys.check()
    return keys


def _refuse_shared_audience(settings: Settings, engine: Engine) -> None:
    """Refuse to start: who serves such a resource is sent tokens with which to come here. Raises SettingsError."""
    with reading(engine) as session:
        shared = resource_accepting(session, settings.admin_audiences)
    if shared is not None:
        engine.dispose()
        raise SettingsError(f"TENANTGATE_ADMIN_ISSUERS: resource {shared} accepts one of the audiences")


def _key_reports(gate: Gate, administrators: Administrators) -> list[dict[str, Any]]:
    """Return how all keys of this process are doing, for who administers: theirs among them."""
    return [*gate.key_reports(), *administrators.key_reports()]


def _open_gate(settings: Settings, administrators: Administrators | None) -> tuple[Gate | None, GuardedSource | None]:
    """Return the gate behind /auth/check, and by what it follows what the administration writes.

    No gate without a resource; and one that has its policy from a file follows no database.
    """
    source: GuardedSource | None = None
    if settings.resource is None:
        return None, None
    gate = new_gate(settings.resource, limits=settings.limits, state_dir=settings.state_folder)
    try:
        if settings.policy is not None:
            gate.follow(FileSource(settings.policy))
            gate.require_resource()
        else:
            assert settings.database_url is not None
            # The resource may be made later, on this very server: until then the answer is 503.
            max_age = float(settings.max_policy_age)
            source = database_source(
                settings.database_url, kind="server", state_dir=settings.state_folder, max_age=max_age
            )
            follow(gate, source, max_age)
            if administrators is not None:
                source.report(functools.partial(_key_reports, gate, administrators))
            record(gate, settings.database_url, settings.decision_days, settings.decision_sample)
    except BaseException:
        gate.close()
        raise
    return gate, source


def _measuring(
    settings: Settings,
    gate: Gate | None,
    context: AdminContext | None,
    administrators: Administrators | None,
    engines: list[Engine],
) -> MetricsServer | None:
    """Serve what the gate and the administration know of themselves, where the settings say."""
    if settings.metrics_bind is None or gate is None:
        return None
    from tenantgate.metrics import MetricsServer

    try:
        url = settings.database_url
        asked = (
            None if url is None else Attending(url, None if context is None else context.engine, _now, engines.append)
        )
        others = None if administrators is None else administrators.key_health
        return MetricsServer(gate, *split_address(settings.metrics_bind), asked, others)
    except OSError as error:
        gate.close()
        raise SettingsError(f"TENANTGATE_METRICS_BIND: {settings.metrics_bind}: {error.strerror}") from None


def _closing(
    gate: Gate | None, measuring: MetricsServer | None, administrators: Administrators | None, engines: list[Engine]
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        del app
        if administrators is not None:
            administrators.start()
        try:
            yield
        finally:
            if administrators is not None:
                await anyio.to_thread.run_sync(administrators.close)
            if measuring is not None:
                await anyio.to_thread.run_sync(measuring.close)
            if gate is not None:
                await anyio.to_thread.run_sync(gate.close)
            for engine in engines:
                await anyio.to_thread.run_sync(engine.dispose)

    return lifespan


def configure_logging(level: str) -> None:
    """Write one JSON object a line to standard error, for our own loggers and everybody else's."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        _without_colours,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Their steps are nobody's news: whoever cannot start reads one line, and `debug` is about this program.
    for name in ("httpx", "httpcore", "alembic"):
        logging.getLogger(name).setLevel("WARNING")


def _without_colours(logger: object, name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    event.pop("color_message", None)  # uvicorn says everything twice, once for terminals
    return event
