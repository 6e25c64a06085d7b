"""Every fault an issuer can have, in every state a gate can be in: the decision, and what the issuer saw of us.

All cells run at once, each against an issuer of its own, over real sockets and by the real clock; so it is also shown
that no issuer's fault is another's. `TENANTGATE_FAULT_SCALE` (0.05 where nothing is said) shortens every time there is;
`TENANTGATE_FAULT_SCALE=1 uv run pytest tests/faults` is the product's own pace and takes half an hour.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from msgspec.structs import replace

from tenantgate.core.decision import DenialReason as R
from tenantgate.discovery.health import IssuerHealth
from tests.builders import Signer, signer
from tests.faults.process import LIMITS, SCALE, Clock, Process, token_of, wait_until
from tests.faults.simulator import KEYS, METADATA, Fault, Issuer, Simulator

pytestmark = [pytest.mark.faults, pytest.mark.slow]

UNHURRIED: Final = replace(LIMITS, deadline=max(5.0, LIMITS.deadline))
"""A hundred and twenty issuers are asked at once: a healthy one that a busy machine lets wait is no fault."""

GONE, UNAVAILABLE, FORGED = R.SIGNING_KEY_UNKNOWN, R.KEY_SET_UNAVAILABLE, R.SIGNATURE_INVALID


class Row(NamedTuple):
    """One fault: what a token by the issuer's old key meets in each state (None: it is let in), and the class of error.

    `cold`: nothing was ever had. `warm`: the keys came due for a refresh meanwhile. `restarted`: a new process with the
    keys of the last one on disk, before its first fetch. A known key is never asked about; what an unknown one is
    answered is always that nobody publishes it.
    """

    fault: Fault
    cold: R | None
    error: str | None
    warm: R | None = None


FAULTS: Final = (
    Row(Fault("dropped packets"), UNAVAILABLE, "timeout"),
    Row(Fault("reset"), UNAVAILABLE, "connect or tls"),  # by when the reset comes
    Row(Fault("no such name"), UNAVAILABLE, "dns"),
    Row(Fault("another address"), UNAVAILABLE, "address_refused"),
    Row(Fault("stalled TLS"), UNAVAILABLE, "timeout"),
    Row(Fault("expired certificate"), UNAVAILABLE, "tls"),
    Row(Fault("wrong name"), UNAVAILABLE, "tls"),
    Row(Fault("self-signed"), UNAVAILABLE, "tls"),
    Row(Fault("1 byte/s"), UNAVAILABLE, "timeout"),
    Row(Fault("endless headers"), UNAVAILABLE, "protocol"),
    Row(Fault("500"), UNAVAILABLE, "status"),
    Row(Fault("429"), UNAVAILABLE, "status"),
    Row(Fault("redirect"), UNAVAILABLE, "redirect"),
    Row(Fault("HTML with 200", KEYS), UNAVAILABLE, "key_set_malformed"),
    Row(Fault("HTML with 200", METADATA), UNAVAILABLE, "metadata_malformed"),
    Row(Fault("empty body", KEYS), UNAVAILABLE, "key_set_malformed"),
    Row(Fault("100 MB"), UNAVAILABLE, "too_large"),
    Row(Fault("gzip bomb"), UNAVAILABLE, "protocol"),
    Row(Fault("wrong issuer", METADATA), UNAVAILABLE, "issuer_mismatch"),
    Row(Fault("http jwks_uri", METADATA), UNAVAILABLE, "jwks_uri_refused"),
    Row(Fault("empty set", KEYS), UNAVAILABLE, "key_set_malformed"),
    Row(Fault("half the set", KEYS), GONE, None),
    Row(Fault("same kid, other key", KEYS), FORGED, None, FORGED),
    Row(Fault("duplicate kid", KEYS), GONE, None, GONE),
)
STATES: Final = ("cold", "warm", "known", "unknown", "restarted")


class Cell(NamedTuple):
    """One fault in one state, and the issuer that has it."""

    row: Row
    state: str
    issuer: Issuer

    @property
    def id(self) -> str:
        """The issuer's id in the policy."""
        return self.issuer.name

    def token(self, key: Signer | None = None) -> str:
        """Return a token of this issuer's daemon, signed by the old key unless another is given."""
        return token_of(self.issuer, key)


class Seen(NamedTuple):
    """What came of a cell: the reasons given one after the other, and look-ups and requests after the fault began."""

    reasons: tuple[R | None, ...]
    lookups: int
    requests: dict[str, int]
    health: IssuerHealth
    after: R | None


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str, str], Seen]]:
    """Run all cells, phase by phase; yield what came of each."""
    simulator = Simulator(tmp_path_factory.mktemp("certificates"))
    try:
        yield run(simulator, tmp_path_factory.mktemp("state"))
    finally:
        simulator.stop()


def run(simulator: Simulator, folder: Path) -> dict[tuple[str, str, str], Seen]:
    """Let everything be well, then begin the faults, ask, and end them again."""
    cells = [
        Cell(row, state, simulator.add(f"c{place}-{state}")) for place, row in enumerate(FAULTS) for state in STATES
    ]
    phases = Phases(simulator, cells, folder)
    try:
        phases.all_well()
        phases.faults_begin()
        phases.ask_restarted()
        phases.ask_at_once()
        phases.ask_when_due()
        phases.faults_end()
    finally:
        phases.process.gate.close()
    return {(cell.row.fault.name, cell.row.fault.at, cell.state): phases.seen(cell) for cell in cells}


class Phases:
    """The story of all cells, told in one process and, for those that are restarted, in a second one."""

    def __init__(self, simulator: Simulator, cells: list[Cell], folder: Path) -> None:
        self.simulator = simulator
        self.folder = folder
        self.cells = cells
        self.reasons: dict[str, list[R | None]] = {cell.id: [] for cell in cells}
        self.before: dict[str, tuple[int, dict[str, int]]] = {}
        self.counted: dict[str, tuple[int, dict[str, int]]] = {}
        self.health: dict[str, IssuerHealth] = {}
        self.after: dict[str, R | None] = {}
        for cell in self.of("cold"):
            cell.issuer.fault = cell.row.fault
        self.clock = Clock()
        self.begun = 0.0
        self.process = self.a_process(cells, "first")

    def a_process(self, cells: list[Cell], folder: str) -> Process:
        """Return one that is not started. All keys are due just as long after they were had."""
        issuers = [cell.issuer for cell in cells]
        return Process(self.simulator, issuers, self.folder / folder, UNHURRIED, self.clock, lambda: 0.5)

    def of(self, *states: str) -> list[Cell]:
        """Return the cells in these states."""
        return [cell for cell in self.cells if cell.state in states]

    def all_well(self) -> None:
        """Start, until every set that can be had was had and its cooldown is over."""
        healthy = [cell for cell in self.cells if cell.state != "cold" or cell.row.error is None]
        self.process.start()
        assert wait_until(lambda: all(self.process.health(cell.issuer).kids for cell in healthy), 120)
        time.sleep(LIMITS.cooldown * 1.2 + 0.2)
        shutil.copytree(self.folder / "first", self.folder / "second")

    def faults_begin(self) -> None:
        """From here on each issuer has its fault, and what it sees is counted."""
        self.begun = self.clock()
        for cell in self.cells:
            cell.issuer.retry_after = max(1, int(120 * SCALE))
            cell.issuer.fault = cell.row.fault
            self.before[cell.id] = (self.simulator.lookups[cell.issuer.host], dict(cell.issuer.requests))

    def ask(self, process: Process, cell: Cell, *tokens: str) -> None:
        """Present tokens one after the other, then count."""
        self.reasons[cell.id] += [process.ask(token) for token in tokens]
        lookups, requests = self.before[cell.id]
        now = cell.issuer.requests
        seen = {path: now[path] - requests.get(path, 0) for path in now}
        self.counted[cell.id] = (self.simulator.lookups[cell.issuer.host] - lookups, seen)

    def ask_restarted(self) -> None:
        """Ask a process that has the keys of the last one, and fetches nothing by itself yet."""
        restarted = self.of("restarted")
        second = self.a_process(restarted, "second")
        with self.clock.held():
            for cell in restarted:
                self.ask(second, cell, cell.token())
                self.health[cell.id] = second.health(cell.issuer)
        second.gate.close()

    def ask_at_once(self) -> None:
        """Ask before any key is due: for known kids, for unknown ones, and where nothing was ever had."""
        with self.clock.held():
            for cell in self.of("known", "cold"):
                self.ask(self.process, cell, *(cell.token() for _ in range(3)))
            for cell in self.of("unknown"):
                new = [cell.token(signer("ES256", f"new-{number % 2}")) for number in range(5)]
                self.ask(self.process, cell, *new, cell.token())
        for cell in self.of("known"):
            self.health[cell.id] = self.process.health(cell.issuer)

    def ask_when_due(self) -> None:
        """Ask each once the background has tried to refresh it, and given up or not."""
        left = self.of("warm")
        until = time.monotonic() + LIMITS.refresh_other * 1.3 + UNHURRIED.deadline + 60
        while left and time.monotonic() < until:
            for cell in [each for each in left if self.was_tried(each)]:
                self.ask(self.process, cell, cell.token())
                left.remove(cell)
            time.sleep(0.05)
        asked = self.of("cold", "warm", "unknown")
        wait_until(lambda: all(self.is_told(cell) for cell in asked), LIMITS.backoff * 1.3 + 10)
        for cell in asked:
            self.health[cell.id] = self.process.health(cell.issuer)

    def was_tried(self, cell: Cell) -> bool:
        """Whether a fetch ended since the faults began."""
        now = self.clock()  # before the age is told: a stall between the two makes it look older, never younger
        tried_ago = self.process.health(cell.issuer).tried_ago
        return tried_ago is not None and now - tried_ago > self.begun

    def is_told(self, cell: Cell) -> bool:
        """Whether the class of the error is the one expected: it takes the last fetch, which a stall may have ended."""
        return self.process.health(cell.issuer).last_error in errors_of(cell.row, cell.state)

    def faults_end(self) -> None:
        """End all faults, and ask until everybody is let in or a back-off is over."""
        for cell in self.cells:
            cell.issuer.fault = None
        left = {cell.id: cell for cell in self.cells}
        until = time.monotonic() + LIMITS.backoff * 1.3 + 10
        while left and time.monotonic() < until:
            for cell in list(left.values()):
                self.after[cell.id] = self.process.ask(cell.token())
                if self.after[cell.id] is None:
                    del left[cell.id]
            time.sleep(0.1)

    def seen(self, cell: Cell) -> Seen:
        """Return what came of a cell."""
        lookups, requests = self.counted[cell.id]
        return Seen(tuple(self.reasons[cell.id]), lookups, requests, self.health[cell.id], self.after[cell.id])


def errors_of(row: Row, state: str) -> tuple[str | None, ...]:
    """Return the classes that the error of a cell may have once its keys were asked for."""
    if row.error is None or (state != "cold" and row.fault.at == METADATA):
        return (None,)
    return tuple(row.error.split(" or "))


CELLS: Final = [
    pytest.param(row, state, id=f"{row.fault.name} ({row.fault.at})-{state}") for row in FAULTS for state in STATES
]


def of(seen: dict[tuple[str, str, str], Seen], row: Row, state: str) -> Seen:
    """Return what came of a cell."""
    return seen[row.fault.name, row.fault.at, state]


@pytest.mark.parametrize(("row", "state"), CELLS)
def test_the_decision_is_the_one_expected(seen: dict[tuple[str, str, str], Seen], row: Row, state: str):
    """Known keys serve through every fault; nothing that was never verified is let in."""
    expected: dict[str, tuple[R | None, ...]] = {
        "cold": (row.cold,) * 3,
        "warm": (row.warm,),
        "known": (None,) * 3,
        "unknown": (*(GONE,) * 5, row.warm),
        "restarted": (None,),
    }
    assert of(seen, row, state).reasons == expected[state]


@pytest.mark.parametrize(("row", "state"), CELLS)
def test_the_issuer_saw_no_more_than_it_should(seen: dict[tuple[str, str, str], Seen], row: Row, state: str):
    """A known key costs nothing; an unknown one costs one fetch of one document, whatever follows it."""
    found = of(seen, row, state)
    fetches = {"known": 0, "unknown": 1, "restarted": 0}
    if state in fetches:
        assert found.lookups == fetches[state]
        assert sum(found.requests.values()) <= found.lookups
        assert found.requests.get(METADATA, 0) == 0
    elif state == "warm":
        assert 1 <= found.lookups <= 12  # each of a few attempts, further and further apart, may ask for both documents


@pytest.mark.parametrize(("row", "state"), CELLS)
def test_health_names_the_class_of_the_fault(seen: dict[tuple[str, str, str], Seen], row: Row, state: str):
    """So that whoever reads it knows where to look; a fault of the metadata alone leaves fetched keys fresh."""
    health = of(seen, row, state).health
    if state in ("known", "restarted"):
        assert (health.last_error, health.failures) == (None, 0)
        assert health.restored is (state == "restarted")
    else:
        expected = errors_of(row, state)
        assert health.last_error in expected
        assert (health.failures > 0) is (expected != (None,))


@pytest.mark.parametrize(("row", "state"), CELLS)
def test_it_is_well_again_when_the_issuer_is(seen: dict[tuple[str, str, str], Seen], row: Row, state: str):
    """Within a back-off, by itself."""
    assert of(seen, row, state).after is None
