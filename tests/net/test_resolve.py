"""Looking names up without blocking and without piling up threads."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from tenantgate.net.door import DnsFailed
from tenantgate.net.resolve import SystemResolver

FOUND = [
    (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::7", 443, 0, 0)),
    (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.7", 443)),
    (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.7", 443)),
]


class SlowLookup:
    """A `getaddrinfo` that waits until it is let go, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.go = threading.Event()

    def __call__(self, *args: object, **kwargs: object) -> list[object]:
        self.asked += 1
        self.go.wait(10)
        return list(FOUND)


async def test_returns_each_address_once_in_the_systems_order():
    """The system's order is kept and duplicates are left out."""
    resolve = SystemResolver(getaddrinfo=lambda *args, **kwargs: FOUND)

    assert await resolve("keys.example", 443) == ["2001:db8::7", "192.0.2.7"]


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
async def test_an_address_is_its_own_answer(address: str):
    """No look-up is made for what is an address already."""
    slow = SlowLookup()

    assert await SystemResolver(getaddrinfo=slow)(address, 443) == [address]
    assert slow.asked == 0


@pytest.mark.parametrize("error", [socket.gaierror(-2, "Name or service not known"), UnicodeError("label too long")])
async def test_a_failed_look_up_is_told_as_dns(error: Exception):
    """Whatever the system says about a name comes out with the code `dns`."""

    def failing(*args: object, **kwargs: object) -> list[object]:
        raise error

    with pytest.raises(DnsFailed, match=r"keys\.example") as failed:
        await SystemResolver(getaddrinfo=failing)("keys.example", 443)
    assert failed.value.code == "dns"


async def test_one_look_up_at_a_time_per_name():
    """Whoever asks for a name that is being looked up shares the answer."""
    slow = SlowLookup()
    resolve = SystemResolver(getaddrinfo=slow)
    asking = [asyncio.create_task(resolve("keys.example", 443)) for _ in range(20)]
    await asyncio.sleep(0)
    slow.go.set()

    assert {tuple(addresses) for addresses in await asyncio.gather(*asking)} == {("2001:db8::7", "192.0.2.7")}
    assert slow.asked == 1


async def test_a_hanging_resolver_does_not_pile_up_threads():
    """Abandoned look-ups are bounded: a name that hangs has one thread, and all names together have `most_lookups`."""
    slow = SlowLookup()
    resolve = SystemResolver(getaddrinfo=slow, most_lookups=2)
    for name in ("a.example", "b.example", "a.example", "b.example"):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await resolve(name, 443)

    async with asyncio.timeout(10):
        while slow.asked < 2:  # noqa: ASYNC110 - counted by other threads, which may begin late
            await asyncio.sleep(0.01)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await resolve("c.example", 443)
    assert slow.asked == 2
    waiting = asyncio.create_task(resolve("c.example", 443))
    await asyncio.sleep(0.01)
    slow.go.set()
    assert await waiting  # its turn comes with the first answer
    assert await resolve("a.example", 443)


def test_an_answer_after_the_loop_has_ended_is_dropped():
    """A look-up that outlives its loop ends quietly."""
    slow = SlowLookup()

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await SystemResolver(getaddrinfo=slow)("keys.example", 443)

    asyncio.run(give_up())
    slow.go.set()
    for thread in threading.enumerate():
        if thread.name == "tenantgate-dns":
            thread.join(10)
            assert not thread.is_alive()
