"""A gate for tests: the built policy, a clock that stands still, and keys that come when the test says so."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Collection, Iterable
from typing import Any

from tenantgate.core.decision import Decision, DenialReason, Denied, Granted
from tenantgate.core.keys import KeySet, KeySetRef, NoKeys, build_key_set
from tenantgate.core.policy import IssuerRow, PolicyDelta, PolicySnapshot, Row, RowData, row_of
from tenantgate.discovery.health import IssuerHealth
from tenantgate.discovery.keyring import Keyring
from tenantgate.discovery.limits import KeyLimits
from tenantgate.gate.gate import Gate, KeyRing
from tenantgate.gate.request import RequestView
from tenantgate.net.door import Fetched, FetchRules
from tests.builders import (
    NOW,
    REMOVE,
    V2_TEMPLATE,
    Signer,
    a_snapshot,
    an_entra_issuer,
    cloud_key,
    json_bytes,
    policy_rows,
    v2_token,
)
from tests.discovery.fakes import FakeDoor, checked

CLOUD_V2 = KeySetRef("cloud", "v2")
METADATA_URL = "https://login.cloud.example/organizations/v2.0/.well-known/openid-configuration"
KEYS_URL = "https://login.cloud.example/organizations/discovery/v2.0/keys"
PATIENT: dict[str, Any] = {"wait": 60.0, "deadline": 60.0}
"""Limits of a keyring, and of fetches, on a machine that may stand still for seconds at any moment."""


# Requests


def a_view(token: str | bytes | None = None, *headers: tuple[bytes, bytes], scheme: bytes = b"Bearer ") -> RequestView:
    """Return a request that presents `token` (acme's good one unless given), with more headers after it."""
    token = v2_token() if token is None else token
    raw = token if isinstance(token, bytes) else token.encode()
    return RequestView("GET", "/orders", [(b"host", b"api.example"), (b"authorization", scheme + raw), *headers])


# Policy


def a_row_of_policy(id_: str, **changes: Any) -> RowData:
    """Return one row of the built policy, changed."""
    return next(row for row in policy_rows(**{id_: changes}) if row.id == id_)


def a_delta(*rows: RowData | Row, since: int = 1, epoch: str = "e1") -> PolicyDelta:
    """Return a change that follows revision `since`. A Row is taken as it is."""
    put = tuple(row if isinstance(row, Row) else row_of(row, since + 1) for row in rows)
    return PolicyDelta(epoch=epoch, since=since, revision=since + 1, rows=put)


def suspended(since: int = 1) -> PolicyDelta:
    """Return the change that suspends acme."""
    return a_delta(a_row_of_policy("acme", state="suspended"), since=since)


def a_broken_delta(since: int = 1) -> PolicyDelta:
    """Return a change whose second row names a tenant that is not there."""
    stray = a_row_of_policy("acme_second", tenant="nowhere")
    return a_delta(a_row_of_policy("acme", name="Acme, half changed"), stray, since=since)


# Keys


class FakeKeys:
    """A KeyRing whose key sets are those the issuer rows carry; the rest comes by `ensure`, as the test says.

    `coming`: what a fetch brings. `fetches`: every `ensure`. `stuck`: fetches hang until they are cancelled.
    """

    def __init__(self, *, stuck: bool = False) -> None:
        self.sets: dict[KeySetRef, KeySet] = {}
        self.coming: dict[KeySetRef, KeySet] = {}
        self.fetches: list[tuple[KeySetRef, str | None]] = []
        self.issuers: list[list[str]] = []
        self.ages: list[tuple[KeySetRef, float]] = []
        self.appids: list[tuple[str, ...]] = []
        self.stuck = stuck
        self.cancelled = 0
        self.closed = 0
        self.running = 0

    def set_issuers(self, rows: Iterable[IssuerRow], appids: Collection[str] = ()) -> None:
        """Take the keys of the rows that carry some, as new objects."""
        listed = list(rows)
        self.appids.append(tuple(appids))
        self.issuers.append([row.id for row in listed])
        self.sets = {
            KeySetRef(row.id, document): build_key_set(jwks, row)
            for row in listed
            for document, jwks in (("v2", row.jwks), ("v1", row.v1_jwks))
            if jwks is not None
        }

    def key_set(self, ref: KeySetRef) -> KeySet | NoKeys:
        """Return what is at hand."""
        return self.sets.get(ref, NoKeys(too_old=False))

    def authentic(self, ref: KeySetRef, age: float) -> None:
        """Count it."""
        self.ages.append((ref, age))

    def health(self) -> list[IssuerHealth]:
        """Nothing is known of any issuer."""
        return []

    def reports(self) -> list[dict[str, Any]]:
        """Nothing is told of any issuer."""
        return []

    def wants(self, ref: KeySetRef, kid: str | None) -> bool:
        """Always: every question becomes a fetch that the test can count."""
        return True

    async def ensure(self, ref: KeySetRef, kid: str | None) -> None:
        """Count, hang if told to, and bring what is coming."""
        self.fetches.append((ref, kid))
        if self.stuck:
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled += 1
        self.sets.update(self.coming)

    async def run(self) -> None:
        """Refresh nothing."""
        self.running += 1
        await asyncio.Event().wait()

    async def aclose(self) -> None:
        """Count."""
        self.closed += 1

    def reset_after_fork(self) -> None:
        """Forget nothing."""


def cloud_keys(*signers: Signer) -> KeySet:
    """Return the cloud's v2 key set with these signers' keys (the cloud's own unless given)."""
    jwks = [each.jwk(issuer=V2_TEMPLATE) for each in signers or (cloud_key(),)]
    return build_key_set({"keys": jwks}, an_entra_issuer())


class ThreadedDoor(FakeDoor):
    """A door whose fetches hang until a test's own thread lets them go on."""

    def __init__(self, *signers: Signer) -> None:
        super().__init__()
        self.go = threading.Event()
        self.go.set()
        self.publish(*signers)

    def publish(self, *signers: Signer) -> None:
        """Change what the cloud publishes in its v2 document (its own key unless given)."""
        jwks = [each.jwk(issuer=V2_TEMPLATE) for each in signers or (cloud_key(),)]
        self.documents = {
            METADATA_URL: json_bytes({"issuer": V2_TEMPLATE, "jwks_uri": KEYS_URL}),
            KEYS_URL: json_bytes({"keys": jwks}),
        }

    @property
    def fetches(self) -> int:
        """How often the key document was asked for."""
        return self.seen[KEYS_URL]

    async def get(self, url: str, rules: FetchRules) -> Fetched:
        """Answer as FakeDoor does, once the test lets it."""
        while not self.go.is_set():  # noqa: ASYNC110 - set by another thread, which no asyncio.Event may be
            await asyncio.sleep(0.002)
        return await super().get(url, rules)


def a_fetched_cloud() -> IssuerRow:
    """Return the cloud's row without keys of its own: they are at METADATA_URL."""
    changes = {"jwks": REMOVE, "v1_jwks": REMOVE, "v1_issuer": REMOVE, "metadata_url": METADATA_URL}
    return checked(an_entra_issuer(**changes))


def a_fetched_snapshot(revision: int = 1) -> PolicySnapshot:
    """Return the built policy with the cloud's keys to be fetched."""
    return a_snapshot(a_fetched_cloud(), cloud=REMOVE, revision=revision)


def a_keyring(door: FakeDoor, **limits: Any) -> Keyring:
    """Return the real Keyring over a fake door, on the real monotonic clock, with `limits` beside PATIENT's."""
    merged = KeyLimits(**(PATIENT | limits))
    return Keyring(door.open, clock=time.monotonic, wall=time.time, jitter=lambda: 0.5, limits=merged)


# Gates


def a_gate(
    keys: KeyRing | None = None,
    news: PolicySnapshot | None = None,
    *,
    now: Callable[[], float] = lambda: NOW,
    deadline: float = 60.0,
    resource: str = "orders",
) -> Gate:
    """Return a gate for orders with the built policy in force."""
    gate = Gate(
        resource,
        keys or FakeKeys(),
        now=now,
        yield_thread=lambda: time.sleep(0),
        id_prefix="t-",
        deadline=deadline,
    )
    gate.install(news or a_snapshot())
    return gate


def patient(gate: Gate) -> Gate:
    """Have an opened gate's requests wait for keys as long as PATIENT's do; return it."""
    gate._keeper._deadline = PATIENT["wait"]
    return gate


def reason_of(decision: Decision) -> DenialReason:
    """Return why it was denied; fail where it was not."""
    assert isinstance(decision, Denied), decision
    return decision.reason


def is_granted(decision: Decision) -> bool:
    """Whether acme's daemon was let in."""
    return isinstance(decision, Granted) and decision.principal.partner == "acme"


def eventually(condition: Callable[[], bool], *, seconds: float = 60.0) -> None:
    """Wait until `condition` holds; fail when it does not within `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.005)
