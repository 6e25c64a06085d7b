"""While a server's own gate refuses its database, nobody administers: asked of a real source, on both engines."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
import msgspec
import pytest

from tenantgate.admin.put_back import ClosedWhile
from tenantgate.feed.source import FeedError
from tenantgate.registry import adoption
from tenantgate.registry.follower import DatabaseSource
from tenantgate.registry.instances import InstanceSpec
from tests.registry.builders import EPOCH, Registry, counting_ids


async def inner(scope: Any, receive: Any, send: Any) -> None:
    """What is behind it."""
    del scope, receive
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def answer(source: DatabaseSource) -> httpx.Response:
    """Ask for anything."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(ClosedWhile(inner, source, counting_ids(1)))
        async with httpx.AsyncClient(transport=transport, base_url="http://tenantgate.example") as client:
            return await client.get("/api/v1/me")

    return asyncio.run(ask())


def test_it_is_closed_from_the_refusal_to_the_adoption(registry: Registry):
    """Neither before, nor after; and a database that is away is another matter."""
    source = DatabaseSource(
        registry.url,
        describe=lambda: InstanceSpec(id="server-1", kind="server", version="1"),
        now=lambda: int(time.time()),
        clock=time.monotonic,
    )
    assert answer(source).status_code == 204
    source.load()
    assert source.mark is not None
    source.resume(msgspec.structs.replace(source.mark, revision=source.mark.revision + 7))
    assert answer(source).status_code == 204

    with pytest.raises(FeedError) as caught:
        source.load()

    assert caught.value.code == "policy_went_back"
    closed = answer(source)
    assert (closed.status_code, closed.json()["code"], closed.headers["Retry-After"]) == (503, "database_put_back", "5")
    assert closed.json()["request_id"] == closed.headers["X-Request-Id"]
    with registry.work() as work:
        adoption.adopt(work, epoch=EPOCH)
    assert answer(source).status_code == 503  # until it is followed
    source.load()
    assert answer(source).status_code == 204
    source.close()
