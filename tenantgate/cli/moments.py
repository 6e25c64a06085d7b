"""Points in time as options: RFC 3339, or a day."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from tenantgate.registry.moments import read_moment

DAY: Final = 86_400


def moment(value: str) -> int:
    """Return epoch seconds for `2031-01-31T00:00:00Z`, or for `2031-01-31`, when that day begins in UTC.

    Raises:
        typer.BadParameter: it is neither.
    """
    found = read_moment(value)
    if found is None:
        raise typer.BadParameter("must be as 2031-01-31 or 2031-01-31T00:00:00Z")
    return found


EndsAt = Annotated[
    int | None, typer.Option("--ends-at", parser=moment, metavar="TIME", help="From then on nothing of it is let in.")
]
EndsAfter = Annotated[
    int | None, typer.Option("--ends-after", parser=moment, metavar="TIME", help="Only those that end then or later.")
]
EndsBefore = Annotated[
    int | None, typer.Option("--ends-before", parser=moment, metavar="TIME", help="Only those that end before then.")
]
NotBefore = Annotated[
    int | None, typer.Option("--not-before", parser=moment, metavar="TIME", help="Counts from then on.")
]
ExpiresAt = Annotated[
    int | None, typer.Option("--expires-at", parser=moment, metavar="TIME", help="Counts until just before then.")
]
