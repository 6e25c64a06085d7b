"""Who enforces the newest revision, proven by what each process says, and how fast the slowest was.

A process counts that says the newest revision and is heard of. One that is frozen says nothing: it is silent, and
counts no more, whatever it said last. Nothing here is kept; it is found when it is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from sqlmodel import Session

from tenantgate.registry import instances
from tenantgate.registry.instances import HEARD_OF
from tenantgate.registry.pages import LARGEST_PAGE
from tenantgate.registry.snapshot import read_state
from tenantgate.registry.tables import Instance, Revision

SILENT: Final = 30
"""Seconds. Instances say that they are there every ten; one that left out three may be frozen."""
LEFT: Final = 86_400
"""Seconds for which one that is gone without a word is named: it may come back with what it had."""

Why = Literal["refuses", "silent", "starting", "behind"]


@dataclass(frozen=True, slots=True)
class Straggler:
    """A process that does not enforce the newest revision, and why. `silence` is seconds since it was heard of."""

    row: Instance
    why: Why
    silence: int


@dataclass(frozen=True, slots=True)
class Enforcement:
    """Where the policy is enforced. `instances` are those heard of in the last minute; `gone` those that were before.

    `slowest` is seconds from the making of the revision to the last word that it is enforced, of those that were
    there when it was made; None where no such word is known.
    """

    state: Revision
    instances: tuple[Instance, ...]
    enforcing: int
    slowest: float | None
    stragglers: tuple[Straggler, ...]
    gone: tuple[Straggler, ...]

    @property
    def whole(self) -> bool:
        """Whether there is somebody, and all of them enforce it."""
        return bool(self.instances) and not self.stragglers


def read(session: Session, *, now: int) -> Enforcement:
    """Return who enforces the newest revision. `now` is epoch seconds.

    Raises:
        SchemaError: `revision_missing`.
    """
    state = read_state(session)
    known = _known(session, now - LEFT)
    live = tuple(row for row in known if row.seen_at >= now - HEARD_OF)
    found = [(row, _why_not(row, state.revision, now)) for row in live]
    enforcing = [row for row, why in found if why is None]
    gone = sorted((row for row in known if row.seen_at < now - HEARD_OF), key=lambda row: (-row.seen_at, row.id))
    return Enforcement(
        state,
        live,
        len(enforcing),
        _slowest(enforcing, state.revised_at),
        tuple(Straggler(row, why, now - row.seen_at) for row, why in found if why is not None),
        tuple(Straggler(row, "silent", now - row.seen_at) for row in gone),
    )


def _known(session: Session, since: int) -> list[Instance]:
    found: list[Instance] = []
    after: str | None = None
    while True:
        page = instances.list_(session, after=after, limit=LARGEST_PAGE, seen_since=since)
        found.extend(page.items)
        if (after := page.after) is None:
            return found


def _why_not(row: Instance, revision: int, now: int) -> Why | None:
    """Name what keeps a process from counting; silence first: what it said before is no proof any more."""
    if row.seen_at < now - SILENT:
        return "silent"
    if row.refuses is not None:
        return "refuses"
    if row.acknowledged_revision is None:
        return "starting"
    return None if row.acknowledged_revision == revision else "behind"


def _slowest(enforcing: list[Instance], revised_at: int | None) -> float | None:
    if revised_at is None:
        return None
    # What came later enforced it from its first moment on. A word from before the revision is an older version's,
    # which does not note when it says something.
    took = [
        row.acknowledged_at - revised_at
        for row in enforcing
        if row.acknowledged_at is not None
        and row.acknowledged_at >= revised_at
        and (row.registered_at or 0) <= revised_at
    ]
    return max(took) / 1_000 if took else None
