"""Several rows put into another state in one unit of work: all of them, or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from tenantgate.registry.errors import ConflictError, InvalidError, NotFoundError, RegistryError, TransitionError
from tenantgate.registry.service import W, get_row
from tenantgate.registry.tables import Written
from tenantgate.registry.unit_of_work import Work

LARGEST_BULK: Final = 500
"""Ids at once: what one unit of work may hold others up for."""

W_co = TypeVar("W_co", bound=Written, covariant=True)


class Move(Protocol[W_co]):
    """A service that puts one row into another state (`partners.suspend`)."""

    def __call__(self, work: Work, id_: str, *, reason: str = "") -> W_co:
        """Move the row with this id."""
        ...


@dataclass(frozen=True, slots=True)
class Moved(Generic[W]):
    """A row as it is now, and whether this moved it: it may have been in that state before."""

    row: W
    changed: bool


def move_all(work: Work, table: type[W], move: Move[W], ids: Sequence[str], *, reason: str) -> list[Moved[W]]:
    """Move every row, in the order given. One that is in the state already is left as it is.

    Raises:
        InvalidError: `list_empty`, `list_too_long`, `list_duplicate`; or `bulk_refused`, whose `faults` say of each id
            at fault (`ids[3]`) what a move of that one alone would have. Nothing of the unit of work may be kept then.
    """
    _check_ids(ids)
    moved: list[Moved[W]] = []
    faults: list[RegistryError] = []
    for place, id_ in enumerate(ids):
        try:
            moved.append(_move_one(work, table, move, id_, reason))
        except (NotFoundError, TransitionError, ConflictError) as error:
            error.field = f"ids[{place}]"
            faults.append(error)
    if faults:
        refused = InvalidError(
            "bulk_refused", f"{len(faults)} of {len(ids)} are at fault; nothing was done", field="ids"
        )
        refused.faults = tuple(faults)
        raise refused
    return moved


def _move_one(work: Work, table: type[W], move: Move[W], id_: str, reason: str) -> Moved[W]:
    try:
        return Moved(move(work, id_, reason=reason), True)
    except TransitionError as error:
        if error.code != "state_unchanged":
            raise
        return Moved(get_row(work.session, table, id_), False)


def _check_ids(ids: Sequence[str]) -> None:
    if not ids:
        raise InvalidError("list_empty", "must name at least one", field="ids")
    if len(ids) > LARGEST_BULK:
        raise InvalidError("list_too_long", f"must not name more than {LARGEST_BULK}", field="ids")
    seen: set[str] = set()
    for place, id_ in enumerate(ids):
        if id_ in seen:
            raise InvalidError("list_duplicate", "is named twice", field=f"ids[{place}]")
        seen.add(id_)
