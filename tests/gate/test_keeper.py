"""The thread that fetches keys: what it leaves behind when a gate is closed at a bad moment."""

from __future__ import annotations

import asyncio

import anyio

from tenantgate.core.keys import KeySetRef
from tenantgate.gate.keeper import serve


class Connecting:
    """Keys whose one fetch is just beginning to connect, as anyio does it, when the loop is stopped."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.flight: asyncio.Task[None] | None = None

    def wants(self, ref: KeySetRef, kid: str | None) -> bool:
        return True

    async def ensure(self, ref: KeySetRef, kid: str | None) -> None:
        self.flight = asyncio.create_task(self._fly())
        await asyncio.wait([self.flight])

    async def _fly(self) -> None:
        async with anyio.create_task_group() as attempts:
            attempts.start_soon(self._connect)
            asyncio.get_running_loop().stop()  # after this turn: the attempt has not had its first step
            await anyio.sleep_forever()

    async def _connect(self) -> None:
        self.steps.append("begun")
        try:
            await anyio.sleep_forever()
        finally:
            self.steps.append("ended")

    async def run(self) -> None:
        await asyncio.sleep(3600)

    async def aclose(self) -> None:
        if self.flight is not None:
            self.flight.cancel()
            await asyncio.wait([self.flight])
        self.steps.append("closed")

    def reset_after_fork(self) -> None:
        raise AssertionError("nobody forks here")


def test_a_fetch_that_was_about_to_connect_is_ended_by_its_owner():
    """Cancelled from outside, the attempt would be a coroutine never awaited: a warning in the user's process."""
    keys, loop = Connecting(), asyncio.new_event_loop()
    asked = loop.create_task(keys.ensure(KeySetRef("cloud"), "kid"))

    serve(loop, keys)

    assert keys.steps == ["begun", "ended", "closed"]
    assert asked.done()
    assert loop.is_closed()
