"""The configuration file and the control requests: JSON whose every member is known and typed, or an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from tenantgate.emulator.authority import Authority
from tenantgate.emulator.directory import Directory
from tenantgate.emulator.errors import ConfigInvalid, EmulatorError


class _Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A JSON object that may hold nothing we do not know: a misspelt member is an error, not a default."""


class ResourceSpec(_Spec, frozen=True):
    """An API: its client id, App ID URIs, the token version it asks for, and whether `idtyp` is switched on.

    `own_keys`: its tokens are signed with a key of its own, as where claims are mapped; only documents that are asked
    for with `?appid=` and its client id list it.
    """

    client_id: str
    app_id_uris: list[str] = []
    token_version: Literal[1, 2] = 2
    idtyp: bool = True
    own_keys: bool = False


class DaemonSpec(_Spec, frozen=True):
    """A daemon with a secret, an RSA public key (PEM), both or neither. `roles`: resource name → roles granted."""

    client_id: str
    oid: str
    client_secret: str | None = None
    public_key: str | None = None
    roles: dict[str, list[str]] = {}


class TenantSpec(_Spec, frozen=True):
    """A tenant and its daemons."""

    tid: str
    name: str
    daemons: list[DaemonSpec] = []


class Config(_Spec, frozen=True):
    """The whole file."""

    resources: list[ResourceSpec] = []
    tenants: list[TenantSpec] = []


class NewDaemon(DaemonSpec, frozen=True, kw_only=True):
    """A daemon to add at run time: the same, and the tenant it belongs to."""

    tid: str


class RotateSpec(_Spec, frozen=True):
    """How to rotate: `retire` drops the old keys; `tid` publishes a key for that tenant alone, signing when named.

    `resource` (any of its names) rotates the keys that API has of its own, and gives it its first where it has none.
    """

    retire: bool = False
    tid: str | None = None
    resource: str | None = None


class HideSpec(_Spec, frozen=True):
    """Which published keys (by `kid`) the documents do not list; an empty list has them list all again."""

    kids: tuple[str, ...] = ()


class OffSpec(_Spec, frozen=True):
    """How to be off: answer 503, or close the connection without an answer."""

    mode: Literal["503", "drop"] = "503"


class MintSpec(_Spec, frozen=True):
    """A token to mint, good or spoiled. `lifetime` is in seconds from now and may be negative.

    `claims` and `header` are laid over the sound token, then the members of `remove` (claims) are taken away; a
    `header` member of null is taken away too. `key` is the kid of a published key, or "unpublished" for a forgery.
    """

    tid: str
    client_id: str
    audience: str
    version: Literal["1.0", "2.0"] | None = None
    lifetime: float | None = None
    claims: dict[str, Any] = {}
    remove: list[str] = []
    header: dict[str, Any] = {}
    key: str | None = None


class HostileSpec(_Spec, frozen=True):
    """Whose token to spoil, and which API it would be good for."""

    tid: str
    client_id: str
    audience: str


_S = TypeVar("_S", bound=_Spec)


def parse_spec(data: bytes, spec: type[_S]) -> _S:
    """Read untrusted JSON as `spec`; an empty body is an empty object. Raise ConfigInvalid with the member's path."""
    try:
        return msgspec.json.decode(data or b"{}", type=spec)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigInvalid(str(error)) from error


def read_config(path: Path) -> Config:
    """Read the configuration file; raise ConfigInvalid, naming the file."""
    try:
        return parse_spec(path.read_bytes(), Config)
    except OSError as error:
        raise ConfigInvalid(f"{path}: {error.strerror}") from error
    except ConfigInvalid as error:
        raise ConfigInvalid(f"{path}: {error}") from error


def load(config: Config, authority: Authority) -> None:
    """Put everything `config` names into `authority`; raise an EmulatorError at the first thing that cannot be."""
    for resource in config.resources:
        add_resource(resource, authority)
    for tenant in config.tenants:
        add_tenant(tenant, authority.directory)


def add_resource(spec: ResourceSpec, authority: Authority) -> None:
    """Register one API."""
    authority.add_resource(
        spec.client_id,
        spec.app_id_uris,
        token_version=spec.token_version,
        idtyp=spec.idtyp,
        own_keys=spec.own_keys,
    )


def add_tenant(spec: TenantSpec, directory: Directory) -> None:
    """Add a tenant and its daemons, or, where one of them cannot be added, nothing."""
    tenant = directory.add_tenant(spec.tid, spec.name)
    try:
        for daemon in spec.daemons:
            add_daemon(tenant.tid, daemon, directory)
    except EmulatorError:
        directory.remove_tenant(tenant.tid)
        raise


def add_daemon(tid: str, spec: DaemonSpec, directory: Directory) -> None:
    """Add one daemon to a tenant."""
    directory.add_daemon(
        tid,
        spec.client_id,
        oid=spec.oid,
        client_secret=spec.client_secret,
        public_key=spec.public_key,
        roles=spec.roles,
    )
