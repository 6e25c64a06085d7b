"""The kit's keys: two pairs per process, made when the first token is, and a key ring that never leaves the process."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from tenantgate.core.keys import KeySet, KeySetRef, NoKeys, StaticKeys
from tenantgate.core.policy import IssuerRow
from tenantgate.emulator.keys import KeyFactory, SigningKey, generate_key
from tenantgate.testing.clock import START
from tenantgate.testing.errors import FetchAttempted

if TYPE_CHECKING:
    from tenantgate.discovery.health import IssuerHealth


class KeyShelf:
    """Key pairs by number. Each is made once and kept: making one takes a tenth of a second."""

    def __init__(self) -> None:
        self._made: list[SigningKey] = []
        self._making = threading.Lock()

    def get(self, number: int) -> SigningKey:
        """Return a key pair; the first caller waits for it to be made."""
        with self._making:
            while len(self._made) <= number:
                self._made.append(generate_key(START))
            return self._made[number]

    def factory(self) -> KeyFactory:
        """Return a factory for one authority: all authorities get the same keys in the same order."""
        numbers = itertools.count()
        return lambda now: self.get(next(numbers))


class OfflineKeys:
    """A `gate.gate.KeyRing` over the keys that issuer rows carry. Asking it to fetch raises FetchAttempted."""

    def __init__(self) -> None:
        self._static = StaticKeys(())
        self.attempts: list[str] = []

    def set_issuers(self, rows: Iterable[IssuerRow], appids: Collection[str] = ()) -> None:
        """Serve the keys these rows carry; applications have none beside them. Raises MalformedKeySet."""
        self._static = StaticKeys(rows)

    def key_set(self, ref: KeySetRef) -> KeySet | NoKeys:
        """Return the keys a row carries, or that there are none."""
        return self._static.key_set(ref)

    def authentic(self, ref: KeySetRef, age: float) -> None:
        """The kit's clock is the one its tokens are dated by."""

    def health(self) -> list[IssuerHealth]:
        """There is nothing to be well or ill."""
        return []

    def reports(self) -> list[dict[str, Any]]:
        """There is nothing to tell."""
        return []

    def wants(self, ref: KeySetRef, kid: str | None) -> bool:
        """Return False where the keys are at hand, whatever `kid` a token names; raise FetchAttempted elsewhere."""
        if isinstance(self._static.key_set(ref), KeySet):
            return False
        raise self._attempt(ref, kid)

    async def ensure(self, ref: KeySetRef, kid: str | None) -> None:
        """Raise FetchAttempted."""
        raise self._attempt(ref, kid)

    async def run(self) -> None:
        """Wait until cancelled: there is nothing to refresh."""
        await asyncio.Event().wait()

    async def aclose(self) -> None:
        """There is nothing to release."""

    def reset_after_fork(self) -> None:
        """There is nothing that belongs to a loop."""

    def _attempt(self, ref: KeySetRef, kid: str | None) -> FetchAttempted:
        message = (
            f"an offline gate was asked to fetch the {ref.document} keys of issuer {ref.issuer!r} (kid {kid!r}). "
            "Tests stay off the network: give the issuer's row a `jwks`, or let a FakePartner mint the token."
        )
        self.attempts.append(message)
        return FetchAttempted(message)
