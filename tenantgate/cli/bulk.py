"""What the commands share that put one or several into another state."""

from __future__ import annotations

from typing import Annotated

import typer

from tenantgate.admin.shapes_bulk import BulkOut
from tenantgate.admin.wire import Out
from tenantgate.cli.office import Office
from tenantgate.cli.output import print_json, print_table, show_change
from tenantgate.registry.bulk import Move, move_all
from tenantgate.registry.service import W

Why = Annotated[str, typer.Option("--reason", help="Why; it stands in the audit.")]
_COLUMNS = ("id", "outcome", "state")


def move(
    desk: Office, table: type[W], service: Move[W], ids: list[str], reason: str, shape: type[Out], *, as_json: bool
) -> None:
    """Move one and show it; or several, all or none, and say of each whether it was moved."""
    if len(ids) == 1:
        with desk.changing() as work:
            row = service(work, ids[0], reason=reason)
        show_change(shape.model_validate(row), work.revision, as_json=as_json)
        return
    with desk.changing() as work:
        shown = BulkOut.of(move_all(work, table, service, ids, reason=reason)).model_dump(mode="json")
    if as_json:
        print_json({**shown, "revision": work.revision})
    else:
        print_table(_COLUMNS, shown["items"])
