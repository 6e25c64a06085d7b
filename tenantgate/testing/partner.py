"""A partner as its API's tests see it: one tenant, one daemon, and tokens, good by default or spoiled by keyword."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, TypedDict, Unpack

from tenantgate.core.policy import is_guid, is_id
from tenantgate.emulator.authority import Authority
from tenantgate.emulator.keys import UNPUBLISHED
from tenantgate.testing.clock import FrozenClock
from tenantgate.testing.errors import KitError
from tenantgate.testing.keys import KeyShelf

CLOUD: Final = "https://login.cloud.example"
"""The authority of every fake partner's tenant. Nothing is served there."""

_HOUR: Final = 3600.0
_NAMES: Final = uuid.uuid5(uuid.NAMESPACE_DNS, "cloud.example")
_KEYS: Final = KeyShelf()


class Spoiled(TypedDict, total=False):
    """How a token differs from the good one. Whatever is not named stays good.

    `resource`: the slug of another gate's resource. `audience`: any other `aud`. `version`: "1.0" for a v1 token.
    `lifetime`: seconds from now to `exp`, 60 to 90 minutes by default. `expired`: `exp` was an hour ago.
    `not_yet_valid`: `nbf` is in an hour. `roles`: the `roles` claim, which the partner's own tenant grants.
    `claims`: laid over all this. `without`: names of claims to leave out, last of all. `header`: laid over the
    JOSE header; None takes a member away. `wrong_key`: signed by somebody else under the right `kid`.
    """

    resource: str
    audience: str
    version: Literal["1.0", "2.0"]
    lifetime: float
    expired: bool
    not_yet_valid: bool
    roles: Iterable[str]
    claims: Mapping[str, Any]
    without: Iterable[str]
    header: Mapping[str, Any]
    wrong_key: bool


class FakePartner:
    """A partner with a tenant of its own at an Entra-shaped cloud, and one daemon in it. Nothing of it is real.

    `name` is its id in the policy. The GUIDs are derived from it, the same in every run, unless they are given; a
    second FakePartner with the `tid` of the first is another daemon of the same tenant. `clock` and `resource` say
    when tokens are issued and for which API; `open_test_gate` sets both to its own.

    Raises:
        KitError: the name is no slug, or a GUID is none.
    """

    def __init__(
        self,
        name: str,
        *,
        tid: str | None = None,
        client_id: str | None = None,
        oid: str | None = None,
        clock: FrozenClock | None = None,
        resource: str = "orders",
    ) -> None:
        if not is_id(f"{name}-daemon") or not is_id(name):
            raise KitError("name_malformed", f"{name!r} is no slug: 1 to 56 of a-z 0-9 . _ -")
        self.name = name
        self.tid = _guid("tid", name, tid)
        self.client_id = _guid("client_id", name, client_id)
        self.oid = _guid("oid", name, oid)
        self.clock = clock or FrozenClock()
        self.resource = resource
        self._authority = new_authority(lambda: self.clock())
        self._authority.add_tenant(self.tid, name)
        self._authority.add_daemon(self.tid, self.client_id, oid=self.oid)

    def __repr__(self) -> str:
        return f"FakePartner({self.name!r}, tid={self.tid!r}, client_id={self.client_id!r})"

    def token(self, **spoiled: Unpack[Spoiled]) -> str:
        """Return an access token of the daemon, signed by the cloud: good, but for what is `spoiled`."""
        resource = spoiled.get("resource", self.resource)
        version = spoiled.get("version", "2.0")
        client_id, uri = audiences_of(resource)
        header = dict(spoiled.get("header", {}))
        if spoiled.get("wrong_key"):
            header = {"kid": self._authority.keys.signing().kid, **header}
        return self._authority.mint(
            self.tid,
            self.client_id,
            spoiled.get("audience", client_id if version == "2.0" else uri),
            version=version,
            lifetime=-_HOUR if spoiled.get("expired") else spoiled.get("lifetime"),
            claims=self._claims(spoiled),
            remove=spoiled.get("without", ()),
            header=header,
            key=UNPUBLISHED if spoiled.get("wrong_key") else None,
        )

    def headers(self, **spoiled: Unpack[Spoiled]) -> dict[str, str]:
        """Return the header that presents such a token, for any HTTP client."""
        return {"Authorization": f"Bearer {self.token(**spoiled)}"}

    def _claims(self, spoiled: Spoiled) -> dict[str, Any]:
        claims: dict[str, Any] = {}
        if spoiled.get("not_yet_valid"):
            claims["nbf"] = int(self.clock() + _HOUR)
        if "roles" in spoiled:
            claims["roles"] = list(spoiled["roles"])
        return {**claims, **spoiled.get("claims", {})}


def audiences_of(resource: str) -> tuple[str, str]:
    """Return what tokens for a resource carry in `aud`: its client id in v2 tokens, its App ID URI in v1 tokens."""
    return str(uuid.uuid5(_NAMES, f"resource {resource}")), f"api://{resource}.example"


def new_authority(clock: Callable[[], float]) -> Authority:
    """Return the cloud, as empty as it began: every one signs with the same keys, so it stands for the same cloud."""
    draws = itertools.count(1)
    return Authority(CLOUD, clock=clock, keys=_KEYS.factory(), entropy=lambda size: next(draws).to_bytes(size, "big"))


def _guid(what: str, name: str, given: str | None) -> str:
    if given is None:
        return str(uuid.uuid5(_NAMES, f"{what} {name}"))
    if not is_guid(given):
        raise KitError("guid_malformed", f"the {what} of {name} is {given!r}, which is no GUID")
    return given.lower()
