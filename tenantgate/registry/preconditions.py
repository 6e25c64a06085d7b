"""Changes on condition: only if the thing is still in a version that the caller has seen (RFC 9110 §13.1.1)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlmodel import Session

from tenantgate.registry.errors import PreconditionError
from tenantgate.registry.service import get_row, kind_of_table
from tenantgate.registry.tables import Named


@dataclass(frozen=True, slots=True)
class Expected:
    """What is to be changed, and the versions it may be in; None: in any, if it is there."""

    table: type[Named]
    id: str
    versions: frozenset[str] | None


def require_version(session: Session, expected: Expected) -> None:
    """Refuse what was changed since. To be asked inside of the unit of work, where nobody else can write.

    Raises:
        NotFoundError: there is no such thing.
        PreconditionError: `version_changed`.
    """
    row = get_row(session, expected.table, expected.id, for_change=True)
    version = str(getattr(row, "version"))  # noqa: B009 (not every table has one; those that are asked for do)
    if expected.versions is not None and version not in expected.versions:
        kind = kind_of_table(expected.table).replace("_", " ")
        message = f"{kind} {row.id} is in version {version} now: look at it, and ask again"
        raise PreconditionError("version_changed", message, holder=row.id)
