"""Floods at a real issuer's expense: of keys that nobody has, and of issuers that nobody knows."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec.structs import replace

from tenantgate.core.decision import DenialReason as R
from tests.builders import b64url, json_bytes, oidc_claims
from tests.faults.process import LIMITS, SCALE, Process, token_of, wait_until
from tests.faults.simulator import KEYS, METADATA, Issuer, Simulator

pytestmark = [pytest.mark.faults, pytest.mark.slow]

KIDS: Final = 10_000
MINUTE: Final = 60 * SCALE
ISSUERS: Final = max(20_000, round(1_000_000 * SCALE))
MIB: Final = 1 << 20
QUIET: Final = replace(LIMITS, deadline=30.0, refresh_other=3600.0, refresh_least=3600.0)
"""Without a fetch of the background's: each that is counted was asked for."""


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    simulator = Simulator(tmp_path)
    yield simulator
    simulator.stop()


@pytest.fixture
def issuer(simulator: Simulator) -> Issuer:
    return simulator.add("target")


@pytest.fixture
def process(simulator: Simulator, issuer: Issuer, tmp_path: Path) -> Iterator[Process]:
    """A gate that knows the issuer's keys and may fetch them again."""
    process = Process(simulator, [issuer], tmp_path / "state", QUIET)
    process.start()
    assert wait_until(lambda: bool(process.health(issuer).kids), 30)
    assert wait_until(lambda: (process.health(issuer).tried_ago or 0.0) > QUIET.cooldown, 60)
    yield process
    process.gate.close()


@pytest.mark.threat(29)
def test_ten_thousand_random_kids_in_a_minute_are_two_fetches(process: Process, issuer: Issuer):
    """And the calls of the daemon that belongs there go on as if nothing were."""
    _, payload, signature = token_of(issuer).split(".")
    before = issuer.requests.copy()
    good, stop = Counter[R | None](), threading.Event()

    def call() -> None:
        while not stop.is_set():
            good[process.ask(token_of(issuer))] += 1
            time.sleep(0.001)

    caller = threading.Thread(target=call)
    caller.start()
    begun = time.monotonic()
    flood = Counter[R | None]()
    for number in range(KIDS):
        header = b64url(json_bytes({"alg": "ES256", "kid": f"random-{number}"}))
        flood[process.ask(f"{header}.{payload}.{signature}")] += 1
        ahead = begun + number * MINUTE / KIDS - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
    seconds = time.monotonic() - begun
    stop.set()
    caller.join(30)

    most = 1 + int(seconds / QUIET.cooldown)  # two, unless the machine was too slow for a minute
    assert flood == {R.SIGNING_KEY_UNKNOWN: KIDS}
    assert list(good) == [None]
    assert good[None] > 100
    assert 1 <= issuer.requests[KEYS] - before[KEYS] <= most
    assert issuer.requests[METADATA] == before[METADATA]


def resident() -> int:
    """Return the bytes of this process that are in memory (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


class Lookups:
    """Counts the names that anybody in this process looks up: an audit hook, which stays to the end of it."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.counting = False
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.counting and event == "socket.getaddrinfo":
            self.seen[str(arguments[0])] += 1


@pytest.mark.threat(31)
@pytest.mark.skipif(sys.platform != "linux", reason="what a process has in memory is read from /proc")
def test_unknown_issuers_cost_no_fetch_no_lookup_and_no_memory(process: Process, simulator: Simulator, issuer: Issuer):
    """A million at full scale: each a name of its own, each refused for what it is."""
    signature = token_of(issuer).rpartition(".")[2]
    header = b64url(json_bytes({"alg": "ES256", "kid": issuer.old.kid}))

    def token(number: int) -> str:
        return f"{header}.{b64url(json_bytes(oidc_claims(iss=f'https://id-{number}.example')))}.{signature}"

    assert process.ask(token_of(issuer)) is None
    for number in range(1000):  # what the interpreter takes for itself
        process.ask(token(-number))
    lookups, dns = simulator.lookups.copy(), Lookups()
    connections, before = issuer.connections, resident()
    dns.counting = True
    refused = Counter(process.ask(token(number)) for number in range(ISSUERS))
    dns.counting = False

    assert refused == {R.ISSUER_UNKNOWN: ISSUERS}
    assert resident() - before < 20 * MIB
    assert (simulator.lookups, issuer.connections, dns.seen) == (lookups, connections, {})
    assert len(process.keyring.health()) == 1
    assert process.ask(token_of(issuer)) is None
