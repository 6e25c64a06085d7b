"""The authority itself: directory, keys and token endpoint behind one small API, without HTTP.

The program serves it; `tenantgate.testing` calls it in-process.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal

from tenantgate.emulator import grants, metadata
from tenantgate.emulator.directory import Daemon, Directory, Resource, Tenant, TokenVersion
from tenantgate.emulator.errors import RequestRefused
from tenantgate.emulator.hostile.recipe import Recipe, Sound
from tenantgate.emulator.keys import UNPUBLISHED, KeyFactory, KeyRing, SigningKey
from tenantgate.emulator.tokens import BACKDATED, Entropy, Issuance, claims_of, header_of, overlaid, signed

_SHORTEST: Final = 3600
_LONGEST: Final = 5400
_AGO: Final = 3600  # how long before its end an already expired token was issued

_VERSIONS: Final[Mapping[str, TokenVersion]] = {"1.0": 1, "2.0": 2}


class Authority:
    """An Entra-shaped authority at `base_url`. No Microsoft service is contacted, and nothing leaves the process."""

    def __init__(self, base_url: str, *, clock: Callable[[], float], keys: KeyFactory, entropy: Entropy) -> None:
        """Start with an empty directory; the first key is made by `keys` when it is first needed.

        `clock` gives epoch seconds; `entropy(n)` gives n random bytes for lifetimes and opaque values.
        """
        self.base_url = base_url.rstrip("/")
        self.directory = Directory()
        self.keys = KeyRing(keys, clock)
        self._clock = clock
        self._entropy = entropy

    def add_resource(
        self,
        client_id: str,
        app_id_uris: Iterable[str] = (),
        *,
        token_version: TokenVersion = 2,
        idtyp: bool = True,
        own_keys: bool = False,
    ) -> Resource:
        """Register an API; see `Directory.add_resource`. With `own_keys` a key of its own signs its tokens."""
        resource = self.directory.add_resource(client_id, app_id_uris, token_version=token_version, idtyp=idtyp)
        if own_keys:
            self.keys.rotate_own(resource.client_id)
        return resource

    def add_tenant(self, tid: str, name: str) -> Tenant:
        """Add an empty tenant; see `Directory.add_tenant`."""
        return self.directory.add_tenant(tid, name)

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
        """Add a daemon to a tenant; see `Directory.add_daemon`."""
        return self.directory.add_daemon(
            tid, client_id, oid=oid, client_secret=client_secret, public_key=public_key, roles=roles
        )

    def metadata(
        self, tenant: str = "common", version: TokenVersion = 2, *, appid: str | None = None
    ) -> dict[str, Any]:
        """Return a tenant's or a shared OpenID configuration; raise RequestRefused for an unknown tenant."""
        name = self.directory.tenant_in_path(tenant, shared=True)
        return metadata.document(self.base_url, name, version, appid=appid)

    def jwks(self, version: TokenVersion = 2, tenant: str = "common", *, appid: str | None = None) -> dict[str, Any]:
        """Return a tenant's or a shared key document; raise RequestRefused for an unknown tenant.

        `appid` (untrusted) adds the keys that this application has of its own; of one that has none, nothing.
        """
        name = self.directory.tenant_in_path(tenant, shared=True)
        own = () if appid is None else self.keys.own(appid.lower())
        return metadata.key_set(self.base_url, name, version, (*self.keys.listed(), *own))

    def rotate(self, *, retire: bool = False, resource: str | None = None) -> SigningKey:
        """Publish a new key, which signs from now on; with `retire`, publish no other key any longer.

        With a resource's name, all this goes for keys of its own, and its first gives it such; raise NameUnknown.
        """
        if resource is None:
            return self.keys.rotate(retire=retire)
        return self.keys.rotate_own(self.directory.get_resource(resource).client_id, retire=retire)

    def token(
        self, tenant: str, endpoint: TokenVersion, form: Mapping[str, str], authorization: str | None = None
    ) -> dict[str, Any]:
        """Answer one token request (untrusted) with the JSON members of RFC 6749 §5.1; raise RequestRefused."""
        tid = self.directory.tenant_in_path(tenant, shared=False)
        request = grants.TokenRequest(tid, endpoint, form, authorization)
        grant = grants.judge(request, self.directory, authority=self.base_url, now=self._clock())
        issuance = self._issuance(
            tid, grant.daemon, grant.asked, grant.resource, grant.resource.token_version, grant.client_auth
        )
        token = self._signed(issuance, self._signing_for(grant.resource))
        left = issuance.expires_at - int(self._clock())
        if endpoint == 2:
            return {"token_type": "Bearer", "expires_in": left, "ext_expires_in": left, "access_token": token}
        return {  # the v1 endpoint writes its numbers as strings
            "token_type": "Bearer",
            "expires_in": str(left),
            "ext_expires_in": str(left),
            "expires_on": str(issuance.expires_at),
            "not_before": str(issuance.issued_at),
            "resource": grant.asked,
            "access_token": token,
        }

    def mint(
        self,
        tid: str,
        client_id: str,
        audience: str,
        *,
        version: Literal["1.0", "2.0"] | None = None,
        lifetime: float | None = None,
        claims: Mapping[str, Any] | None = None,
        remove: Iterable[str] = (),
        header: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> str:
        """Sign a token for a known daemon, good or spoiled, without asking for a credential.

        `audience` is a resource's name, or anything else for a token meant for somebody else; `version` is the
        resource's own unless given; `lifetime` is in seconds from now and may be negative. `claims` and `header` are
        laid over the sound token, then the claims in `remove` and header members of None are taken away. `key` is
        the kid of a published key, or `keys.UNPUBLISHED` for a forgery.

        Raises:
            NameUnknown: no such tenant, daemon or key.
            ConfigInvalid: `tid` or `client_id` is not a GUID.
        """
        daemon = self.directory.get_daemon(tid, client_id)
        resource = self.directory.find_resource(audience)
        number = _VERSIONS[version] if version else resource.token_version if resource else 2
        issuance = self._issuance(tid.lower(), daemon, audience, resource, number, grants.BY_SECRET, lifetime)
        signing_key = self.keys.get(key) if key else self._signing_for(resource)
        return self._signed(issuance, signing_key, claims=claims or {}, remove=remove, header=header or {})

    def mint_hostile(self, recipe: Recipe, tid: str, client_id: str, audience: str) -> str:
        """Sign a good token for a known daemon, and spoil it as `recipe` says. Other keys than ours sign where it does.

        Raises:
            NameUnknown: no such tenant or daemon.
            ConfigInvalid: `tid` or `client_id` is not a GUID, or the recipe needs a key that is not published.
        """
        daemon = self.directory.get_daemon(tid, client_id)
        resource = self.directory.find_resource(audience)
        issuance = self._issuance(tid.lower(), daemon, audience, resource, recipe.version, grants.BY_SECRET)
        key = self._signing_for(resource)
        bound = (each for each in self.keys.published() if each.only_tid not in (None, issuance.tid))
        return recipe.spoil(
            Sound(
                header=header_of(key, recipe.version),
                claims=claims_of(issuance, self._entropy),
                key=key,
                stranger=self.keys.get(UNPUBLISHED),
                bound=next(bound, None),
                now=int(self._clock()),
            )
        )

    def refusal_body(self, refused: RequestRefused) -> dict[str, Any]:
        """Render a refusal as Entra does: the code, a sentence, and what its support would ask for."""
        timestamp = f"{datetime.fromtimestamp(int(self._clock()), UTC):%Y-%m-%d %H:%M:%SZ}"
        trace_id, correlation_id = self._guid(), self._guid()
        return {
            "error": refused.refusal.error,
            "error_description": (
                f"{refused} Trace ID: {trace_id} Correlation ID: {correlation_id} Timestamp: {timestamp}"
            ),
            "error_codes": [refused.refusal.number],
            "timestamp": timestamp,
            "trace_id": trace_id,
            "correlation_id": correlation_id,
        }

    def _issuance(
        self,
        tid: str,
        daemon: Daemon,
        asked: str,
        resource: Resource | None,
        version: TokenVersion,
        client_auth: str,
        lifetime: float | None = None,
    ) -> Issuance:
        """Settle what a token says. A v2 token names a known resource by client id, a v1 token as it was asked for."""
        now = int(self._clock())
        expires_at = now + int(self._random_lifetime() if lifetime is None else lifetime)
        issued_at = (now if expires_at > now else expires_at - _AGO) - BACKDATED
        return Issuance(
            authority=self.base_url,
            tid=tid,
            daemon=daemon,
            audience=resource.client_id if resource and version == 2 else asked,
            version=version,
            roles=daemon.roles.get(resource.client_id, ()) if resource else (),
            idtyp=resource.idtyp if resource else True,
            client_auth=client_auth,
            issued_at=issued_at,
            expires_at=expires_at,
        )

    def _signing_for(self, resource: Resource | None) -> SigningKey:
        return self.keys.signing(resource.client_id if resource else None)

    def _signed(
        self,
        issuance: Issuance,
        key: SigningKey,
        *,
        claims: Mapping[str, Any] | None = None,
        remove: Iterable[str] = (),
        header: Mapping[str, Any] | None = None,
    ) -> str:
        payload = {**claims_of(issuance, self._entropy), **(claims or {})}
        for name in remove:
            payload.pop(name, None)
        return signed(key, overlaid(header_of(key, issuance.version), header or {}), payload)

    def _random_lifetime(self) -> int:
        """Choose 60 to 90 minutes, as Entra does."""
        return _SHORTEST + int.from_bytes(self._entropy(4), "big") % (_LONGEST - _SHORTEST + 1)

    def _guid(self) -> str:
        return str(uuid.UUID(bytes=self._entropy(16), version=4))
