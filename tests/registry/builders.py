"""The smallest registry in which one daemon holds one role, and parts to make others from."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import Engine

from tenantgate.core.index import PolicyIndex
from tenantgate.core.policy import PolicyDelta, PolicySnapshot
from tenantgate.registry import (
    app_roles,
    assignments,
    daemons,
    issuers,
    operators,
    partners,
    resources,
    role_mappings,
    tenants,
)
from tenantgate.registry.app_roles import AppRoleSpec
from tenantgate.registry.assignments import AssignmentSpec
from tenantgate.registry.daemons import DaemonSpec
from tenantgate.registry.engine import open_engine
from tenantgate.registry.ids import NewId, RandomBytes, random_ids
from tenantgate.registry.issuers import IssuerSpec
from tenantgate.registry.master_key import MasterKey
from tenantgate.registry.migrations import migrate
from tenantgate.registry.operators import OperatorSpec
from tenantgate.registry.partners import PartnerSpec
from tenantgate.registry.product_keys import ProductKeys
from tenantgate.registry.resources import ResourceSpec
from tenantgate.registry.role_mappings import RoleMappingSpec
from tenantgate.registry.tenants import TenantSpec
from tenantgate.registry.unit_of_work import Actor, Work, unit_of_work

NOW = 1_800_000_000
EPOCH = "epoch-one"
TID = "11111111-2222-4333-8444-555555555555"
CLIENT_ID = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
ACTOR = Actor("adm", "admin_key", "192.0.2.7", "req-1")


def counting_bytes(start: int = 0) -> RandomBytes:
    """Bytes that never repeat and are the same in every run; `start` tells one maker's from another's."""
    counter = itertools.count(start * 1_000_000)
    return lambda length: hashlib.shake_256(str(next(counter)).encode()).digest(length)


def refresh(index: PolicyIndex | None, news: PolicySnapshot | PolicyDelta) -> PolicyIndex:
    """The index that enforces what a source delivered."""
    if isinstance(news, PolicySnapshot):
        return PolicyIndex.from_snapshot(news)
    assert index is not None
    index.apply(news)
    return index


def counting_ids(start: int = 0) -> NewId:
    """Ids made of such bytes."""
    return random_ids(counting_bytes(start))


def url_of(path: Path) -> str:
    """The address of a database file."""
    return f"sqlite:///{path}"


def an_engine(path: Path, *, epoch: str = EPOCH) -> Engine:
    """A migrated database at `path`."""
    engine = open_engine(url_of(path))
    migrate(engine, epoch=epoch)
    return engine


def work_on(
    engine: Engine, *, actor: Actor = ACTOR, now: int = NOW, new_id: NewId | None = None
) -> AbstractContextManager[Work]:
    """A unit of work by Adm, now."""
    return unit_of_work(engine, actor=actor, now=now, new_id=new_id or counting_ids(next(_MAKERS)))


_MAKERS: Iterator[int] = itertools.count(1)


def product_keys(engine: Engine, *, master: bytes = b"m", clock: Callable[[], float] = lambda: 0.0) -> ProductKeys:
    """The product's own keys in a database, as a server that was given this master key has them."""
    number = next(_MAKERS)
    return ProductKeys(
        engine,
        MasterKey(master * 32),
        now=lambda: NOW,
        clock=clock,
        new_id=counting_ids(number),
        random_bytes=counting_bytes(number + 500),
    )


def a_cloud(work: Work, **changed: object) -> str:
    """The public cloud of Entra."""
    spec = {"id": "entra", "kind": "entra", "authority": "https://login.microsoftonline.com"} | changed
    return issuers.create(work, IssuerSpec(**spec)).id  # type: ignore[arg-type]


def an_oidc_issuer(work: Work, **changed: object) -> str:
    """A partner's own issuer."""
    spec = {"id": "keycloak", "kind": "oidc", "issuer": "https://id.fabrikam.example/realms/main"} | changed
    return issuers.create(work, IssuerSpec(**spec)).id  # type: ignore[arg-type]


def a_partner(work: Work, **changed: object) -> str:
    """A company called Contoso."""
    return partners.create(work, PartnerSpec(**({"id": "contoso", "name": "Contoso"} | changed))).id  # type: ignore[arg-type]


def a_tenant(work: Work, **changed: object) -> str:
    """Contoso's tenant at the public cloud."""
    spec = {"id": "contoso-entra", "issuer": "entra", "partner": "contoso", "tid": TID} | changed
    return tenants.create(work, TenantSpec(**spec)).id  # type: ignore[arg-type]


def a_daemon(work: Work, **changed: object) -> str:
    """Contoso's nightly program."""
    spec = {"id": "nightly", "tenant": "contoso-entra", "client_id": CLIENT_ID} | changed
    return daemons.create(work, DaemonSpec(**spec)).id  # type: ignore[arg-type]


def a_resource(work: Work, **changed: object) -> str:
    """The orders API."""
    spec = {"id": "orders", "audiences": ("api://orders",)} | changed
    return resources.create(work, ResourceSpec(**spec)).id  # type: ignore[arg-type]


def an_app_role(work: Work, **changed: object) -> str:
    """May read orders."""
    spec = {"id": "orders-read", "resource": "orders", "value": "Orders.Read"} | changed
    return app_roles.create(work, AppRoleSpec(**spec)).id  # type: ignore[arg-type]


def a_grant(work: Work, **changed: object) -> str:
    """The nightly program may read orders."""
    spec = {"id": "nightly-read", "app_role": "orders-read", "daemon": "nightly"} | changed
    return assignments.grant(work, AssignmentSpec(**spec)).id  # type: ignore[arg-type]


def a_mapping(work: Work, **changed: object) -> str:
    """Whom the cloud calls a reader may read orders."""
    spec = {
        "id": "readers",
        "issuer": "entra",
        "claim": "roles",
        "value": "Reader",
        "app_role": "orders-read",
    } | changed
    return role_mappings.create(work, RoleMappingSpec(**spec)).id  # type: ignore[arg-type]


def an_operator(work: Work, **changed: object) -> str:
    """Adm, an Admin."""
    row = operators.create(work, OperatorSpec(**({"id": "adm", "name": "Adm", "role": "Admin"} | changed)))  # type: ignore[arg-type]
    if row.created_by == row.id:
        row.created_by = "cli:setup"  # nobody makes themselves, but for who comes with a token (`identities.enrol`)
    return row.id


def everything(work: Work) -> None:
    """One of each: Contoso's nightly program may read orders."""
    for make in (a_cloud, a_partner, a_tenant, a_daemon, a_resource, an_app_role, a_grant, an_operator):
        make(work)


@dataclass(frozen=True)
class Registry:
    """A database with everything in it, at revision 1. `file` is where it is on SQLite."""

    url: str
    engine: Engine
    file: Path | None = None

    @property
    def path(self) -> Path:
        """The file, for tests that are about one."""
        assert self.file is not None, "mark this test with `file`"
        return self.file

    def work(self, *, actor: Actor = ACTOR, now: int = NOW) -> AbstractContextManager[Work]:
        """A unit of work on it."""
        return work_on(self.engine, actor=actor, now=now)
