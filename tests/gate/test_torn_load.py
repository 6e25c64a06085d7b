"""Under load, too, a decision is by one revision: several readers, and changes of several rows without pause.

Each revision spells itself out in four rows: the two roles' values hold its number, its tenant has this or that
partner, and at every seventh the daemon is suspended. So every decision can be held to the revision it names.
"""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import pytest

from tenantgate.core.decision import Decision, Granted
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.policy import PolicyDelta, PolicySnapshot, RoleAssignmentRow
from tenantgate.gate.gate import Gate
from tests.builders import a_snapshot, v1_token, v2_token
from tests.gate.test_torn import switching_often
from tests.gate.world import a_delta, a_row_of_policy, a_view, reason_of

MOST: Final = 60.0
"""Seconds after which a machine that has done too little by SECONDS is too slow."""
SECONDS: Final = float(os.environ.get("TENANTGATE_TORN_SECONDS", "2"))
READERS: Final = 3
REPORT: Final = logging.getLogger(__name__)
WRITES: Final = RoleAssignmentRow(id="acme_writes", app_role="orders_write", daemon="acme_daemon")


def rows_of(revision: int) -> dict[str, dict[str, object]]:
    """Return what four rows are at a revision."""
    return {
        "orders_read": {"value": f"Read.{revision}"},
        "orders_write": {"value": f"Write.{revision}"},
        "acme_tenant": {"partner": ("acme", "initech")[revision % 2]},
        "acme_daemon": {"state": "active" if revision % 7 else "suspended"},
    }


def changes() -> Iterator[PolicyDelta | PolicySnapshot]:
    """Yield one revision after the other: a change of four rows, and each hundredth time the whole policy."""
    for revision in itertools.count(2):
        rows = rows_of(revision)
        if revision % 100 == 0:
            yield a_snapshot(WRITES, revision=revision, **rows)
        else:
            yield a_delta(*(a_row_of_policy(id_, **rows[id_]) for id_ in rows), since=revision - 1)


def is_of_its_revision(decision: Decision) -> bool:
    """Whether all of a decision is what its revision says."""
    revision = decision.revision
    if not isinstance(decision, Granted):
        return reason_of(decision) is R.DAEMON_SUSPENDED and revision % 7 == 0
    who = decision.principal
    roles = (f"Read.{revision}", f"Write.{revision}")
    return revision % 7 != 0 and (who.roles, who.partner) == (roles, ("acme", "initech")[revision % 2])


class Reader(threading.Thread):
    """Judges without pause, half of the time a token it has not shown for a while; counts, and keeps what is wrong."""

    def __init__(self, gate: Gate, done: threading.Event) -> None:
        super().__init__()
        self.gate, self.done = gate, done
        self.tokens = [make(uti=f"{id(self)}-{n}") for n in range(20) for make in (v2_token, v1_token)]
        self.judged = 0
        self.granted = 0
        self.revisions: set[int] = set()
        self.wrong: list[Decision] = []

    def run(self) -> None:
        """Judge until told to stop."""
        views = itertools.cycle([a_view(token) for token in self.tokens])
        while not self.done.is_set():
            for view in (next(views), a_view()):
                decision = self.gate.decide(view)
                self.judged += 1
                self.granted += isinstance(decision, Granted)
                self.revisions.add(decision.revision)
                if not is_of_its_revision(decision):
                    self.wrong.append(decision)


def seen_by(readers: Sequence[Reader]) -> set[int]:
    """Return the revisions they have judged by."""
    return set().union(*(reader.revisions.copy() for reader in readers))


def enough(readers: Sequence[Reader]) -> bool:
    """Whether they have judged often, and by many revisions."""
    return sum(reader.judged for reader in readers) > 200 and len(seen_by(readers)) > 20


@pytest.mark.slow
def test_no_decision_under_load_mixes_two_revisions(
    make: Callable[..., Gate], record_property: Callable[[str, object], None]
):
    """Every judgement of every reader is wholly by the revision that it names."""
    gate = make(news=a_snapshot(WRITES, **rows_of(1)))
    done = threading.Event()
    readers = [Reader(gate, done) for _ in range(READERS)]
    news = changes()
    with switching_often():
        for reader in readers:
            reader.start()
        begun = time.monotonic()
        while (passed := time.monotonic() - begun) < SECONDS or (passed < MOST and not enough(readers)):
            gate.install(next(news))
            time.sleep(0)
        done.set()
        for reader in readers:
            reader.join()

    judged, granted = sum(reader.judged for reader in readers), sum(reader.granted for reader in readers)
    seen = seen_by(readers)
    for name, value in (("judged", judged), ("granted", granted), ("applied", gate.revision[1]), ("seen", len(seen))):
        record_property(name, value)
    REPORT.info("%d judgements, %d granted, by %d of %d revisions", judged, granted, len(seen), gate.revision[1])
    assert [decision for reader in readers for decision in reader.wrong] == []
    assert enough(readers), "this machine is too slow"
    assert granted > judged / 2
