"""Whatever an issuer does, and however often: no descriptor, thread or task stays behind."""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import pytest

from tests import postgres
from tests.builders import signer
from tests.faults.process import LIMITS, Process, token_of, wait_until
from tests.faults.simulator import Issuer, Simulator
from tests.faults.test_matrix import FAULTS

pytestmark = [
    pytest.mark.faults,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="descriptors are counted in /proc"),
]

EAGER: Final = msgspec.structs.replace(LIMITS, cooldown=0.1, backoff=0.4)
ROUNDS: Final = 4


class Held(NamedTuple):
    """What a process holds."""

    descriptors: int
    threads: tuple[str, ...]
    tasks: int


def held(process: Process | None = None) -> Held:
    """Count it, once what nobody refers to is gone."""
    gc.collect()
    loop = process.gate._keeper._loop if process is not None else None
    tasks = 0 if loop is None else len(asyncio.all_tasks(loop))
    threads = tuple(sorted(each.name for each in threading.enumerate() if each.name.startswith("tenantgate-")))
    return Held(len(list(Path("/proc/self/fd").iterdir())), threads, tasks)


@pytest.fixture(autouse=True)
def _little_to_collect() -> Iterator[None]:
    """What the tests before left is looked at once: each count here collects, and may not take a second to.

    A database that one of them left is dropped first: that opens a connection.
    """
    for each in postgres.RUNNING:
        each.settle()
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    simulator = Simulator(tmp_path)
    yield simulator
    simulator.stop()


def at_rest(process: Process) -> Held:
    """Let every fetch end, those of the background included, and count then."""
    states = process.keyring._states.values()
    found: list[Held] = []

    def unchanged() -> bool:
        for state in states:
            state.due_at = float("inf")
        # The simulator's ends of the connections are in this process, too, and close a moment after ours.
        found.append(held(process))
        return len(found) > 25 and len(set(found[-25:])) == 1 and not any(state.flight for state in states)

    assert wait_until(unchanged, 30), found[-25:]
    return found[-1]


def one_round(process: Process, simulator: Simulator, issuers: list[Issuer]) -> None:
    """Have every issuer's keys fetched anew, however it ends."""
    before = simulator.lookups.copy()

    def left() -> list[Issuer]:
        return [issuer for issuer in issuers if simulator.lookups[issuer.host] < before[issuer.host] + 2]

    def done() -> bool:
        for issuer in left():  # by a kid that nobody has, and where that is refused, by the background
            process.ask(token_of(issuer, signer("ES256", f"round-{random.random()}")))
        return not left()

    assert wait_until(done, 60), [issuer.fault for issuer in left()]


def test_fetches_that_fail_in_every_way_leave_nothing_behind(simulator: Simulator, tmp_path: Path):
    """A gate whose issuers have every fault there is holds as much after the last round as after the first."""
    issuers = [simulator.add(f"leak-{place}") for place, _ in enumerate(FAULTS)]
    before = held()
    process = Process(simulator, issuers, tmp_path / "state", EAGER)
    process.start()
    try:
        assert wait_until(lambda: all(process.health(issuer).kids for issuer in issuers), 60)
        for issuer, row in zip(issuers, FAULTS, strict=True):
            issuer.fault = row.fault
        one_round(process, simulator, issuers)
        resting = at_rest(process)
        for _ in range(ROUNDS):
            one_round(process, simulator, issuers)
        assert at_rest(process) == resting
    finally:
        process.gate.close()
    assert wait_until(lambda: held() == before, 30), (held(), before)


def test_a_gate_closed_in_the_middle_of_fetches_lets_everything_go(simulator: Simulator, tmp_path: Path):
    """Again and again, with every fetch hanging in another place."""
    issuers = [simulator.add(f"closing-{place}") for place, _ in enumerate(FAULTS)]
    for issuer, row in zip(issuers, FAULTS, strict=True):
        issuer.fault = row.fault
    before = held()
    for number in range(ROUNDS):
        process = Process(simulator, issuers, tmp_path / f"state-{number}", EAGER)
        process.start()
        seen = simulator.lookups.total()
        assert wait_until(lambda seen=seen: simulator.lookups.total() >= seen + len(issuers) // 2, 30)  # type: ignore[misc]
        process.gate.close()
    assert wait_until(lambda: held() == before, 30), (held(), before)
