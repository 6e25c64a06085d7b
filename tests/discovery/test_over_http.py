"""The keyring through the real door: a server on loopback, one rotation, one outage."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tenantgate.core.keys import KeySet, KeySetRef
from tenantgate.discovery.keyring import Keyring
from tenantgate.discovery.limits import KeyLimits
from tenantgate.net.http import HttpDoor
from tests.builders import Signer, signer
from tests.discovery.fakes import a_row, key_document, metadata
from tests.gate.world import PATIENT
from tests.net.servers import Server, answer, serving

A, B = (signer("ES256", name) for name in "ab")
REF = KeySetRef("globex")


class Provider:
    """An identity provider of two documents. `down`: it hangs up on everybody."""

    def __init__(self, *signers: Signer) -> None:
        self.signers = signers
        self.down = False
        self.seen: Counter[str] = Counter()
        self.server: Server

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = self.server.requests[-1].split(b" ")[1].decode()
        self.seen[path] += 1
        if self.down:
            return
        issuer = f"http://127.0.0.1:{self.server.port}"
        keys = path == "/keys"
        writer.write(
            answer(key_document(*self.signers) if keys else metadata(issuer=issuer, jwks_uri=issuer + "/keys"))
        )
        await writer.drain()


@asynccontextmanager
async def provided(provider: Provider) -> AsyncIterator[Keyring]:
    """Yield a keyring with that provider as its issuer; cooldowns last no time."""
    async with serving(provider) as server:
        provider.server = server
        limits = KeyLimits(cooldown=0.0, **PATIENT)
        keyring = Keyring(HttpDoor, clock=time.monotonic, wall=time.time, jitter=lambda: 0.5, limits=limits)
        keyring.set_issuers([a_row(issuer=f"http://127.0.0.1:{server.port}", insecure_allow_http=True)])
        try:
            yield keyring
        finally:
            await keyring.aclose()


def kids(keyring: Keyring) -> set[str]:
    """Return the kids that serve now."""
    found = keyring.key_set(REF)
    assert isinstance(found, KeySet), keyring.health()
    return set(found.keys)


async def test_keys_are_learnt_rotated_and_kept_through_an_outage():
    """50 requests are one fetch; a new kid is found at the next; when the provider is gone its keys serve on."""
    provider = Provider(A)
    async with provided(provider) as keyring:
        await asyncio.gather(*(keyring.ensure(REF, A.kid) for _ in range(50)))
        assert kids(keyring) == {A.kid}
        assert provider.seen == {"/.well-known/openid-configuration": 1, "/keys": 1}

        provider.signers = (B,)
        await keyring.ensure(REF, B.kid)
        assert kids(keyring) == {A.kid, B.kid}

        provider.down = True
        await keyring.ensure(REF, "unknown")
        assert kids(keyring) == {A.kid, B.kid}
        assert keyring.health()[0].last_error == "protocol"
        assert provider.seen == {"/.well-known/openid-configuration": 1, "/keys": 3}


async def test_readers_in_other_threads_never_wait_or_stumble():
    """While keys are fetched and rotated, threads read keys, wishes and health all the time."""
    provider = Provider(A)
    stop = False

    def read(keyring: Keyring) -> int:
        reads = 0
        while not stop:
            found = keyring.key_set(REF)
            assert not isinstance(found, KeySet) or A.kid in found.keys
            keyring.wants(REF, f"unknown-{reads}")
            keyring.health()
            reads += 1
        return reads

    async with provided(provider) as keyring:
        readers = [asyncio.create_task(asyncio.to_thread(read, keyring)) for _ in range(3)]
        for number in range(20):
            provider.signers = (A, signer("ES256", "ab"[number % 2]))
            await keyring.ensure(REF, f"unknown-{number}")
        stop = True
        assert all(reads > 0 for reads in await asyncio.gather(*readers))
    assert provider.seen["/keys"] == 20
