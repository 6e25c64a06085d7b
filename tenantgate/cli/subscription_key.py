"""`tenantgate subscription-key`: values of ours that daemons may show."""

from __future__ import annotations

from typing import Annotated

import typer

from tenantgate.admin.shapes_credentials import NewSubscriptionKeyOut, SubscriptionKeyOut
from tenantgate.admin.wire import format_instant
from tenantgate.cli.moments import DAY, EndsAfter, EndsBefore, moment
from tenantgate.cli.office import Database, office
from tenantgate.cli.output import Cursor, Json, Limit, Search, Sort, print_json, show, show_change, show_list
from tenantgate.registry import subscription_keys
from tenantgate.registry.subscription_keys import (
    DEFAULT_OVERLAP,
    LONGEST_OVERLAP,
    NewSubscriptionKey,
    RotationSpec,
    SubscriptionKeySpec,
)

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

COLUMNS = ("id", "daemon", "name", "created_at", "expires_at", "revoked_at")

KeyId = Annotated[str, typer.Argument(metavar="ID", help="Id of the key (not its value).")]
ExpiresAt = Annotated[
    int | None, typer.Option("--expires-at", parser=moment, metavar="TIME", help="Works until just before then.")
]
Days = Annotated[int, typer.Option("--days", min=1, max=3650, help="Or for so many days.")]


@app.callback()
def subscription_key() -> None:
    """Values of ours that daemons may show. Kept and audited; no gate judges by them yet."""


@app.command()
def create(
    daemon: Annotated[str, typer.Option("--daemon", metavar="ID", help="Whose it is.")],
    name: Annotated[str, typer.Option("--name", help="What it is for.")] = "primary",
    expires_at: ExpiresAt = None,
    days: Days = 365,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Make a subscription key for a daemon.

    Prints the key: this is the only time it can be seen.
    """
    with office(database) as desk:
        end = expires_at if expires_at is not None else desk.now + days * DAY
        spec = SubscriptionKeySpec(daemon=daemon, name=name, expires_at=end)
        with desk.changing() as work:
            made = subscription_keys.create(work, spec, random_bytes=desk.random_bytes)
    _show_new(made, as_json=as_json)


@app.command("list")
def list_(
    daemon: Annotated[str | None, typer.Option("--daemon", metavar="ID", help="Only this daemon's.")] = None,
    partner: Annotated[
        str | None, typer.Option("--partner", metavar="ID", help="Only of this partner's daemons.")
    ] = None,
    ends_after: EndsAfter = None,
    ends_before: EndsBefore = None,
    sort: Sort = None,
    search: Search = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """List subscription keys, those that ended included; never their values."""
    with office(database) as desk, desk.reading() as session:
        page = subscription_keys.list_(
            session,
            after=cursor,
            limit=limit,
            sort=sort,
            search=search,
            daemon=daemon,
            partner=partner,
            expires_after=ends_after,
            expires_before=ends_before,
        )
        show_list(map(SubscriptionKeyOut.model_validate, page.items), page.after, COLUMNS, as_json=as_json)


@app.command("show")
def show_(id_: KeyId, database: Database = None, as_json: Json = False) -> None:
    """Show a subscription key, never its value."""
    with office(database) as desk, desk.reading() as session:
        show(SubscriptionKeyOut.model_validate(subscription_keys.get(session, id_)), as_json=as_json)


@app.command()
def rotate(
    id_: KeyId,
    expires_at: ExpiresAt = None,
    days: Days = 365,
    overlap: Annotated[
        int, typer.Option("--overlap", min=0, max=LONGEST_OVERLAP, metavar="SECONDS", help="The old one works so long.")
    ] = DEFAULT_OVERLAP,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Make the next key of the same name; the old one works on for the overlap.

    Prints the new key: this is the only time it can be seen.
    """
    with office(database) as desk:
        end = expires_at if expires_at is not None else desk.now + days * DAY
        with desk.changing() as work:
            spec = RotationSpec(expires_at=end, overlap=overlap)
            made = subscription_keys.rotate(work, id_, spec, random_bytes=desk.random_bytes)
    _show_new(made, as_json=as_json)


@app.command()
def revoke(id_: KeyId, database: Database = None, as_json: Json = False) -> None:
    """End a subscription key at once."""
    with office(database) as desk:
        with desk.changing() as work:
            row = subscription_keys.revoke(work, id_)
        show_change(SubscriptionKeyOut.model_validate(row), work.revision, as_json=as_json)


def _show_new(made: NewSubscriptionKey, *, as_json: bool) -> None:
    if as_json:
        print_json(NewSubscriptionKeyOut.of(made).model_dump(mode="json"))
        return
    row = made.row
    typer.echo(made.value)
    typer.echo(
        f"Key {row.id} of daemon {row.daemon}, until {format_instant(row.expires_at)}. It is not shown again.", err=True
    )
