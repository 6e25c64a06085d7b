"""Adopting a database: an operator says that its history counts, although gates have seen further.

A database that was restored from a backup lacks what came after it: suspensions above all. Gates that have seen those
refuse it. To adopt it begins a new epoch that takes the place of every one that was refused for, so that they follow;
what the backup lacks is gone then, and the audit says who wanted that. Nobody stays signed in: a session of a backup
may have been ended since. Who may open the database adopts it, nobody by a credential that the backup has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlmodel import Session, col, select

from tenantgate.core.fields import LIST_LENGTH
from tenantgate.registry import sessions
from tenantgate.registry.errors import ConflictError, InvalidError
from tenantgate.registry.service import check_slug
from tenantgate.registry.snapshot import read_state
from tenantgate.registry.tables import Instance, Revision
from tenantgate.registry.unit_of_work import Work

MOST_SUPERSEDED: Final = LIST_LENGTH
"""Epochs that one may have taken the place of. Each takes a disaster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A process that does not follow this database: why, and what it holds instead."""

    instance: str
    code: str
    epoch: str
    revision: int


def refusals(session: Session) -> tuple[Refusal, ...]:
    """Return who does not follow this database, in order of id."""
    query = select(Instance).where(col(Instance.refuses).is_not(None)).order_by(col(Instance.id))
    return tuple(
        Refusal(instance=row.id, code=row.refuses or "", epoch=row.held_epoch or "", revision=row.held_revision or 0)
        for row in session.exec(query)
    )


def adopt(work: Work, *, epoch: str, over: tuple[str, ...] = ()) -> Revision:
    """Begin a new epoch here, which takes the place of this one, of what refusing processes hold, and of `over`.

    `epoch` is the one that the operator looked at: where another was begun meanwhile, nothing happens. Processes that
    have not said that they refuse, and hold an epoch that is not among these, go on refusing: adopt again then.

    Raises:
        ConflictError: `epoch_changed`.
        InvalidError: `id_malformed`, `list_too_long`.
    """
    for place, each in enumerate(over):
        check_slug(each, f"over[{place}]")
    state = read_state(work.session)
    if state.epoch != epoch:
        raise ConflictError("epoch_changed", f"the database is of epoch {state.epoch} by now", field="epoch")
    held = refusals(work.session)
    given_up = {*state.supersedes, state.epoch, *over, *(each.epoch for each in held if each.epoch)}
    if len(given_up) > MOST_SUPERSEDED:
        raise InvalidError("list_too_long", f"must not hold more than {MOST_SUPERSEDED}", field="over")
    name = work.new_id("ep")
    supersedes = tuple(sorted(given_up))
    before = {"epoch": state.epoch, "revision": state.revision, "supersedes": list(state.supersedes)}
    beyond = max([state.revision, *(each.revision for each in held)])
    work.begin_epoch(name, supersedes, beyond=beyond)
    ended = sessions.end_all(work)
    after = {"epoch": name, "revision": beyond + 1, "supersedes": list(supersedes), "sessions_ended": ended}
    work.record("policy.adopted", "policy", name, before, after)
    return state
