"""A clock that stands still, a sleep that hangs on it, and a door that counts, fails and hangs on command."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tenantgate.core.policy import IssuerRow
from tenantgate.core.rules import check_row
from tenantgate.discovery.disk import Disk
from tenantgate.discovery.health import IssuerHealth
from tenantgate.discovery.keyring import Keyring
from tenantgate.discovery.limits import KeyLimits
from tenantgate.net.door import DnsFailed, Fetched, FetchRules, NetError
from tests.builders import Signer, json_bytes

Answer = bytes | NetError | Exception


class FakeClock:
    """Monotonic seconds that pass only when told to. `sleep` wakes when they have."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has been moved on by `seconds`."""
        waking: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now + seconds, waking))
        await waking

    async def advance(self, seconds: float) -> None:
        """Let time pass, stopping wherever somebody wakes, and let everything that follows happen."""
        end = self.now + seconds
        await settle()
        while due := [at for at, waking in self._sleepers if at <= end and not waking.done()]:
            self.now = max(self.now, min(due))
            for at, waking in self._sleepers:
                if at <= self.now and not waking.done():
                    waking.set_result(None)
            self._sleepers = [each for each in self._sleepers if not each[1].done()]
            await settle()
        self.now = end
        await settle()


async def settle() -> None:
    """Let every task that can go on do so (no time passes)."""
    for _ in range(50):
        await asyncio.sleep(0)


class FakeDoor:
    """Answers from a table of addresses. An exception in it is raised; what is not in it has no name."""

    def __init__(self) -> None:
        self.documents: dict[str, Answer] = {}
        self.max_age: int | None = None
        self.date: float | None = None
        self.seen: Counter[str] = Counter()
        self.rules: list[FetchRules] = []
        self.opened = 0
        self.closed = 0
        self._held = asyncio.Event()
        self._held.set()

    def open(self) -> FakeDoor:
        """Be opened, as `open_door` does."""
        self.opened += 1
        return self

    def hold(self) -> None:
        """Let every fetch hang from here on."""
        self._held.clear()

    def release(self) -> None:
        """Let the hanging fetches go on."""
        self._held.set()

    async def get(self, url: str, rules: FetchRules) -> Fetched:
        """Count, hang if told to, then answer or fail."""
        self.seen[url] += 1
        self.rules.append(rules)
        await self._held.wait()
        answer = self.documents.get(url, DnsFailed("nothing is there"))
        if isinstance(answer, Exception):
            raise answer
        return Fetched(status=200, body=answer, max_age=self.max_age, date=self.date)

    async def aclose(self) -> None:
        """Count that it was closed."""
        self.closed += 1


ISSUER = "https://id.globex.example"
EPOCH = 1_800_000_000.0
METADATA = f"{ISSUER}/.well-known/openid-configuration"
JWKS = f"{ISSUER}/keys"


def a_row(**changes: Any) -> IssuerRow:
    """Return a checked row of an OIDC issuer whose keys are discovered."""
    return checked(IssuerRow(**{"id": "globex", "kind": "oidc", "issuer": ISSUER, **changes}))


def checked(row: IssuerRow) -> IssuerRow:
    """Return a row as a policy holds it, addresses filled in."""
    done = check_row(row)
    assert isinstance(done, IssuerRow)
    return done


def metadata(**changes: Any) -> bytes:
    """Return the metadata document of that issuer."""
    members = {"issuer": ISSUER, "jwks_uri": JWKS, "token_endpoint": f"{ISSUER}/token", **changes}
    return json_bytes({name: value for name, value in members.items() if value is not ...})


def key_document(*signers: Signer, **changes: Any) -> bytes:
    """Return a key document with these signers' public keys."""
    return json_bytes({"keys": [each.jwk(**changes) for each in signers]})


class World:
    """A Keyring over a fake door and a fake clock, with the one issuer `globex` served unless told otherwise."""

    def __init__(
        self, *signers: Signer, rows: Iterable[IssuerRow] | None = None, folder: Path | None = None, **limits: Any
    ) -> None:
        self.clock = FakeClock()
        self.epoch = EPOCH  # what the wall clock says when the steady one stands at 0
        self.door = FakeDoor()
        self.door.documents = {METADATA: metadata(), JWKS: key_document(*signers)}
        self.luck = 0.5
        self.disk = None if folder is None else Disk(folder, self.wall)
        self.keyring = Keyring(
            self.door.open,
            clock=self.clock,
            jitter=lambda: self.luck,
            limits=KeyLimits(**limits),
            sleep=self.clock.sleep,
            wall=self.wall,
            store=self.disk,
        )
        self.keyring.set_issuers([a_row()] if rows is None else rows)

    async def end(self) -> None:
        """End as a process does, on a disk that is quick enough: what waits to be written is."""
        self.written()
        await self.keyring.aclose()

    def written(self) -> None:
        """Wait until what was to be written is: it says how old keys are at that moment, and no time passes before."""
        writing = None if self.disk is None else self.disk._thread
        if writing is not None:
            writing.join(60)
            assert not writing.is_alive()

    def wall(self) -> float:
        """Return the time of day."""
        return self.epoch + self.clock.now

    def publish(self, *signers: Signer, **changes: Any) -> None:
        """Change what the issuer publishes."""
        self.door.documents[JWKS] = key_document(*signers, **changes)

    def fail(self, url: str = JWKS, with_: Exception | None = None) -> Callable[[], None]:
        """Make an address fail; the result restores it."""
        before = self.door.documents[url]
        self.door.documents[url] = with_ or DnsFailed("no such name")
        return lambda: self.door.documents.__setitem__(url, before)

    @property
    def fetches(self) -> int:
        """How often the key document was asked for."""
        return self.door.seen[JWKS]

    def health(self, issuer: str = "globex", document: str = "v2") -> IssuerHealth:
        """Return one key set's health."""
        return next(each for each in self.keyring.health() if (each.issuer, each.document) == (issuer, document))
