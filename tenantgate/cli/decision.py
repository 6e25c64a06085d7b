"""`tenantgate decision`: who was let in and who was not, and why."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from tenantgate.admin.shapes_decisions import CountsOut, Dimension, decision_out, explained, slices_out
from tenantgate.cli.moments import moment
from tenantgate.cli.office import Database, office
from tenantgate.cli.output import Cursor, Json, Limit, print_json, print_table, show, show_list
from tenantgate.feed.sink import HOUR
from tenantgate.registry import decisions
from tenantgate.registry.decisions import DAY

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

COLUMNS = ("id", "at", "resource", "outcome", "partner", "tenant", "client_id", "detail")

Since = Annotated[int | None, typer.Option("--since", parser=moment, metavar="TIME", help="Not before then.")]
Until = Annotated[int | None, typer.Option("--until", parser=moment, metavar="TIME", help="Before then.")]
Outcome = Annotated[str | None, typer.Option("--outcome", help="granted, or the exact reason of a denial.")]
OfResource = Annotated[str | None, typer.Option("--resource", metavar="ID", help="Only of this resource.")]
OfTenant = Annotated[str | None, typer.Option("--tenant", metavar="ID", help="Only of this tenant.")]
OfDaemon = Annotated[str | None, typer.Option("--daemon", metavar="ID", help="Only of this daemon.")]
OfClient = Annotated[str | None, typer.Option("--client-id", help="Only of callers with this client id.")]


@app.callback()
def decision() -> None:
    """Who was let in and who was not, and why."""


@app.command("show")
def show_(
    id_: Annotated[str, typer.Argument(metavar="ID", help="As in the answer's X-TG-Decision.")],
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Show why a caller was refused, by the id it was told, and what either side can do."""
    with office(database) as desk, desk.reading() as session:
        show(explained(decisions.get(session, id_)), as_json=as_json)


@app.command("list")
def list_(
    since: Since = None,
    until: Until = None,
    outcome: Outcome = None,
    resource: OfResource = None,
    partner: Annotated[str | None, typer.Option("--partner", metavar="ID", help="Only of this partner.")] = None,
    tenant: OfTenant = None,
    daemon: OfDaemon = None,
    client_id: OfClient = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """List decisions whose details were kept, newest first: denials, and a sample of the grants."""
    equal = {
        "outcome": outcome,
        "resource": resource,
        "partner": partner,
        "tenant": tenant,
        "daemon": daemon,
        "client_id": client_id,
    }
    with office(database) as desk, desk.reading() as session:
        page = decisions.list_(session, after=cursor, limit=limit, since=since, until=until, equal=equal)
        show_list(map(decision_out, page.items), page.after, COLUMNS, as_json=as_json)


@app.command()
def counts(
    by: Annotated[Dimension, typer.Option("--by", help="What is told apart.")] = "outcome",
    step: Annotated[Literal["hour", "day"], typer.Option("--step", help="How long a period is.")] = "hour",
    since: Since = None,
    until: Until = None,
    outcome: Outcome = None,
    resource: OfResource = None,
    tenant: OfTenant = None,
    client_id: OfClient = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Count all decisions by one dimension, of the last day where nothing else is said."""
    equal = {"outcome": outcome, "resource": resource, "tenant": tenant, "client_id": client_id}
    with office(database) as desk, desk.reading() as session:
        end = desk.now + 1 if until is None else until
        begin = end - DAY if since is None else since
        found = decisions.counts(
            session, by=by, since=begin, until=end, step=HOUR if step == "hour" else DAY, equal=equal
        )
    shown = CountsOut(by=by, step=step, since=begin, until=end, items=slices_out(found)).model_dump(mode="json")
    if as_json:
        print_json(shown)
    else:
        print_table(("begins_at", "value", "count"), shown["items"])
