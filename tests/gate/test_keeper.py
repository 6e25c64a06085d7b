"""The thread that fetches keys: what it leaves behind when a gate is closed at a bad moment."""

from __future__ import annotations

import asyncio
import threading

import anyio
import pytest

from tenantgate.core.keys import KeySetRef
from tenantgate.gate.keeper import Follower, Keeper, serve
from tests.gate.test_follower import FakeSource
from tests.gate.world import FakeKeys, a_fetched_snapshot


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


class NoThread:
    """A machine that gives no thread, as long as it is said."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.none = True
        real = threading.Thread.start

        def start(thread: threading.Thread) -> None:
            if self.none and thread.name.startswith("tenantgate-"):
                raise RuntimeError("can't start new thread")
            real(thread)

        monkeypatch.setattr(threading.Thread, "start", start)


def test_a_thread_that_cannot_be_had_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """A request is refused at once and not made to wait; the next one starts it; an end without a beginning is one."""
    machine = NoThread(monkeypatch)
    keys = FakeKeys()
    keeper = Keeper(keys)
    with pytest.raises(RuntimeError):
        keeper.start()
    keeper.fetch(KeySetRef("cloud"), "a")
    assert keys.fetches == []
    assert [record.code for record in caplog.records] == ["thread_unavailable"]  # type: ignore[attr-defined]

    machine.none = False
    keeper.fetch(KeySetRef("cloud"), "a")
    assert keys.fetches == [(KeySetRef("cloud"), "a")]
    keeper.close()

    machine.none = True
    never = Keeper(FakeKeys())
    with pytest.raises(RuntimeError):
        never.start()
    never.close()


def test_a_follower_without_a_thread_ends_as_if_it_had_none(monkeypatch: pytest.MonkeyPatch):
    """Its source is closed, and the first error is the one that is raised."""
    NoThread(monkeypatch)
    source = FakeSource(a_fetched_snapshot())
    follower = Follower(source, lambda news: None)
    with pytest.raises(RuntimeError, match="can't start"):
        follower.start()
    follower.close()
    assert source.closed
