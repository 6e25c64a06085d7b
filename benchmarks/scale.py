"""A policy of 10³ to 10⁶ daemons, ten a tenant: memory, look-up of a working set, one change, garbage collection.

Each daemon is pinned to its object id and holds one role assignment; each tenant has a partner of its own, and
a daemon's bytes include its tenth of both. Bytes are what `tracemalloc` counts once the rows that the index was
built from are gone.
"""

from __future__ import annotations

import argparse
import gc
import time
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any, Final

from benchmarks.measure import Subject, each, figure, measure, ratios
from benchmarks.report import machine, versions
from benchmarks.world import (
    DAEMONS_A_TENANT,
    RESOURCE,
    ROLE,
    a_daemon,
    a_partner,
    an_assignment,
    claims,
    delivered,
    policy,
)
from tenantgate.core.claims import VerifiedClaims, read_claims, read_entra_caller
from tenantgate.core.decision import Granted
from tenantgate.core.index import PolicyIndex
from tenantgate.core.judge import judge
from tenantgate.core.policy import PolicyDelta, RowData, row_of
from tenantgate.core.strict import guid_bytes

SMALLEST: Final = 1000
MOST: Final = 1_000_000
HOT: Final = 64
ROUNDS: Final = 100
_REPEAT: Final = 8
_CHANGES: Final = 256
_COLLECTIONS: Final = 7
_NOW: Final = 1_800_000_600

Who = tuple[str, bytes, bytes]
"""An `iss`, a tid and a client id, as a token names a daemon."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--most", type=int, default=MOST, help=f"daemons of the largest policy (default {MOST})")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"rounds (default {ROUNDS})")


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure and return the figures. `lookup_1e6_over_1e3` is the largest policy over the smallest."""
    sizes = _sizes(arguments.most)
    first, last = str(sizes[0]), str(sizes[-1])
    bare = _weighed(sizes[-1], assignments=False)[0]
    weight, largest = _weighed(sizes[-1], assignments=True)
    collections = _collections()
    indexes = {size: largest if size == sizes[-1] else PolicyIndex.from_snapshot(policy(size)) for size in sizes}
    lookups = measure([_lookups(size, index) for size, index in indexes.items()], arguments.rounds)
    judged = measure([_judgements(size, index) for size, index in indexes.items()], arguments.rounds)
    changes = measure(_changes(largest, sizes[-1]), arguments.rounds)
    return {
        "daemons": sizes,
        "bytes_per_daemon": round(bare / sizes[-1], 1),
        "bytes_per_assignment": round((weight - bare) / sizes[-1], 1),
        "lookup_us": {size: figure(times) for size, times in lookups.items()},
        "lookup_1e6_over_1e3": figure(ratios(lookups, last, first)),
        "judge_us": {size: figure(times) for size, times in judged.items()},
        "judge_1e6_over_1e3": figure(ratios(judged, last, first)),
        "change_us": figure(changes["daemon"]),
        "partner_change_us": figure(changes["partner"]),
        "assignment_change_us": figure(changes["assignment"]),
        "collection_ms": collections,
        "rounds": arguments.rounds,
        "machine": machine(),
        "versions": versions(("tenantgate", "msgspec")),
    }


def _sizes(most: int) -> list[int]:
    """Return 10³, 10⁴ … below `most`, and `most`."""
    sizes = []
    size = SMALLEST
    while size < most:
        sizes.append(size)
        size *= 10
    return [*sizes, most]


def _weighed(daemons: int, *, assignments: bool) -> tuple[int, PolicyIndex]:
    """Build an index and return the bytes that stay allocated for it."""
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        index = PolicyIndex.from_snapshot(policy(daemons, assignments=assignments))
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return after - before, index


def _collections() -> dict[str, float]:
    """Time full collections while the largest policy is all there is."""
    gc.collect()
    times = []
    for _ in range(_COLLECTIONS):
        begun = time.thread_time_ns()
        gc.collect()
        times.append((time.thread_time_ns() - begun) / 1e6)
    return figure(times)


def _hot(daemons: int) -> list[int]:
    """Return the numbers of 64 daemons spread over all tenants."""
    return [place * daemons // HOT for place in range(HOT)]


def _lookups(daemons: int, index: PolicyIndex) -> Subject:
    """Return the way from an `iss` and a client id to daemon and partner."""

    def find(who: Who) -> object:
        iss, tid, client = who
        match = index.find_issuer(iss)
        assert match is not None
        tenant = match.entry.tenants[tid]
        return index.partners[tenant.row.partner or ""], tenant.daemons[client]

    return each(str(daemons), find, [_who(daemon) for daemon in _hot(daemons)] * _REPEAT)


def _who(daemon: int) -> Who:
    named = claims(daemon, 0, _NOW)
    tid, client = guid_bytes(named["tid"]), guid_bytes(named["azp"])
    assert tid is not None
    assert client is not None
    return named["iss"], tid, client


def _judgements(daemons: int, index: PolicyIndex) -> Subject:
    """Return the whole judgement of verified claims."""

    def ask(one: VerifiedClaims) -> object:
        one.caller.standing = None  # what was found out a moment ago would be the answer, and no look-up be made
        return judge(one, index, RESOURCE, (ROLE,), _NOW)

    verified = [_verified(daemon, index) for daemon in _hot(daemons)]
    if not all(isinstance(ask(one), Granted) for one in verified):
        raise AssertionError("every hot daemon is granted")
    return each(str(daemons), ask, verified * _REPEAT)


def _verified(daemon: int, index: PolicyIndex) -> VerifiedClaims:
    named = claims(daemon, 0, _NOW)
    tid = guid_bytes(named["tid"])
    assert tid is not None
    return read_claims(read_entra_caller(named, index.issuers["cloud"].row, "v2", tid), named)


def _changes(index: PolicyIndex, daemons: int) -> list[Subject]:
    """Return one change at a time: a daemon, a partner, a role assignment."""
    picked = [place * daemons // _CHANGES for place in range(_CHANGES)]

    def changes(name: str, row: Callable[[int], RowData]) -> Subject:
        return _deltas(name, index, [row(daemon) for daemon in picked])

    return [
        changes("daemon", lambda daemon: a_daemon(daemon, state="suspended" if daemon % 2 else "active")),
        changes("partner", lambda daemon: a_partner(daemon // DAEMONS_A_TENANT, state="suspended")),
        changes("assignment", lambda daemon: an_assignment(daemon, expires_at=_NOW + daemon)),
    ]


def _deltas(name: str, index: PolicyIndex, rows: Sequence[RowData]) -> Subject:
    deltas = [
        PolicyDelta(epoch=index.epoch, since=place, revision=place + 1, rows=(row_of(delivered(row), place + 1),))
        for place, row in enumerate(rows)
    ]

    def run() -> None:
        index.revision = 0  # every round brings the same changes once more
        for delta in deltas:
            index.apply(delta)

    return Subject(name, run, len(deltas))
