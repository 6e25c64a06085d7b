"""Who exists: the tenants and their daemons, and the resources they can ask for.

What Entra keeps in many places is one small object here: a resource is known in every tenant (as if each had
consented), and an app role is granted in the daemon's own tenant, by that tenant.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from tenantgate.emulator.errors import (
    TENANT_MALFORMED,
    TENANT_NOT_FOUND,
    TENANT_NOT_NAMED,
    ConfigInvalid,
    NameTaken,
    NameUnknown,
    RequestRefused,
)

SHARED: Final = ("common", "organizations")
"""The tenant-independent names: metadata and keys are served under them, tokens are not."""

_MIN_RSA_BITS: Final = 2048

TokenVersion = Literal[1, 2]


@dataclass(frozen=True, slots=True)
class Resource:
    """A protected API as its publisher registered it.

    `token_version` is what the API asks for (`requestedAccessTokenVersion`), whatever endpoint a daemon uses;
    `idtyp` says whether the publisher switched that optional claim on.
    """

    client_id: str
    app_id_uris: tuple[str, ...]
    token_version: TokenVersion
    idtyp: bool

    def is_named(self, name: str) -> bool:
        """Say whether `name` (untrusted) is the client id or an App ID URI, with or without a trailing slash."""
        return name.removesuffix("/") in {self.client_id, *(uri.removesuffix("/") for uri in self.app_id_uris)}


@dataclass(frozen=True, slots=True)
class Daemon:
    """A confidential client in one tenant. `roles` maps a resource's client id to the app roles granted here."""

    client_id: str
    oid: str
    client_secret: str | None = field(repr=False)
    public_key: rsa.RSAPublicKey | None
    roles: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Tenant:
    """One directory: its GUID, a name for people, and its daemons by client id."""

    tid: str
    name: str
    daemons: dict[str, Daemon] = field(default_factory=dict)


class Directory:
    """Every tenant, daemon and resource the emulator knows. GUIDs are kept in lower case."""

    def __init__(self) -> None:
        """Start empty."""
        self._tenants: dict[str, Tenant] = {}
        self._resources: list[Resource] = []

    @property
    def tenants(self) -> tuple[Tenant, ...]:
        """Every tenant, in the order they were added."""
        return tuple(self._tenants.values())

    @property
    def resources(self) -> tuple[Resource, ...]:
        """Every resource, in the order they were added."""
        return tuple(self._resources)

    def add_resource(
        self, client_id: str, app_id_uris: Iterable[str] = (), *, token_version: TokenVersion = 2, idtyp: bool = True
    ) -> Resource:
        """Register an API.

        Raises:
            ConfigInvalid: `client_id` is not a GUID, or an App ID URI is empty.
            NameTaken: another resource has one of these names.
        """
        resource = Resource(parse_guid(client_id, "client_id"), tuple(app_id_uris), token_version, idtyp)
        for name in (resource.client_id, *resource.app_id_uris):
            if not name.removesuffix("/"):
                raise ConfigInvalid("an App ID URI is empty")
            if self.find_resource(name):
                raise NameTaken(f"another resource is called {name!r}")
        self._resources.append(resource)
        return resource

    def add_tenant(self, tid: str, name: str) -> Tenant:
        """Add an empty tenant.

        Raises:
            ConfigInvalid: `tid` is not a GUID.
            NameTaken: the tenant is there already.
        """
        tenant = Tenant(parse_guid(tid, "tid"), name)
        if tenant.tid in self._tenants:
            raise NameTaken(f"the tenant {tenant.tid} was added before")
        self._tenants[tenant.tid] = tenant
        return tenant

    def remove_tenant(self, tid: str) -> None:
        """Take a tenant and its daemons away; raise as `get_tenant` does."""
        del self._tenants[self.get_tenant(tid).tid]

    def add_daemon(
        self,
        tid: str,
        client_id: str,
        *,
        oid: str,
        client_secret: str | None = None,
        public_key: str | None = None,
        roles: Mapping[str, Iterable[str]] | None = None,
    ) -> Daemon:
        """Add a daemon to a tenant; `public_key` is a PEM RSA key or certificate, `roles` goes by any resource name.

        Raises:
            ConfigInvalid: a GUID or the key cannot be read, or the secret is empty.
            NameUnknown: no such tenant, or no such resource in `roles`.
            NameTaken: the tenant has this daemon already.
        """
        tenant = self.get_tenant(tid)
        daemon = Daemon(
            client_id=parse_guid(client_id, "client_id"),
            oid=parse_guid(oid, "oid"),
            client_secret=client_secret,
            public_key=None if public_key is None else parse_public_key(public_key),
            roles={self.get_resource(name).client_id: tuple(granted) for name, granted in (roles or {}).items()},
        )
        if client_secret == "":
            raise ConfigInvalid(f"the client secret of {daemon.client_id} is empty")
        if daemon.client_id in tenant.daemons:
            raise NameTaken(f"the tenant {tenant.tid} has the daemon {daemon.client_id} already")
        tenant.daemons[daemon.client_id] = daemon
        return daemon

    def find_resource(self, name: str) -> Resource | None:
        """Return the resource that goes by `name` (untrusted), or None."""
        return next((resource for resource in self._resources if resource.is_named(name)), None)

    def get_resource(self, name: str) -> Resource:
        """Return the resource that goes by `name`; raise NameUnknown."""
        if resource := self.find_resource(name):
            return resource
        raise NameUnknown(f"no resource is called {name!r}")

    def get_tenant(self, tid: str) -> Tenant:
        """Return a tenant; raise ConfigInvalid where `tid` is not a GUID, NameUnknown where nobody added it."""
        if tenant := self._tenants.get(parse_guid(tid, "tid")):
            return tenant
        raise NameUnknown(f"no tenant has the tid {tid!r}")

    def get_daemon(self, tid: str, client_id: str) -> Daemon:
        """Return a tenant's daemon; raise ConfigInvalid or NameUnknown."""
        if daemon := self.get_tenant(tid).daemons.get(parse_guid(client_id, "client_id")):
            return daemon
        raise NameUnknown(f"the tenant {tid} has no daemon with the client_id {client_id!r}")

    def tenant_in_path(self, name: str, *, shared: bool) -> str:
        """Return the tenant a URL names (untrusted): a known GUID in lower case or, with `shared`, a shared name.

        Raises:
            RequestRefused: it names no tenant the emulator knows.
        """
        if name in SHARED:
            if shared:
                return name
            raise RequestRefused(TENANT_NOT_NAMED, tenant=name)
        try:
            return self.get_tenant(name).tid
        except ConfigInvalid:
            raise RequestRefused(TENANT_MALFORMED, tenant=name) from None
        except NameUnknown:
            raise RequestRefused(TENANT_NOT_FOUND, tenant=name) from None


def parse_guid(value: str, what: str) -> str:
    """Return a GUID in lower case; only the plain 36-character form counts. Raise ConfigInvalid."""
    try:
        parsed = str(uuid.UUID(value))
    except ValueError:
        parsed = ""
    if parsed != value.lower():  # UUID() also reads braces, urn: and missing hyphens
        raise ConfigInvalid(f"{what} {value!r} is not a GUID")
    return parsed


def parse_public_key(pem: str) -> rsa.RSAPublicKey:
    """Read the RSA key a daemon signs client assertions with, from a PEM key or certificate; raise ConfigInvalid."""
    try:
        key = _load_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigInvalid("public_key is not a PEM public key or certificate") from error
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < _MIN_RSA_BITS:
        raise ConfigInvalid(f"public_key is not an RSA key of {_MIN_RSA_BITS} bits or more")
    return key


def _load_public_key(pem: str) -> PublicKeyTypes:
    data = pem.encode()
    if "BEGIN CERTIFICATE" in pem:
        return x509.load_pem_x509_certificate(data).public_key()
    return serialization.load_pem_public_key(data)
