"""`tenantgate demo`: show the whole job, then stay up; with `--check`, only say whether every promise was kept."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from tenantgate.cli.demo import world
from tenantgate.cli.demo.calls import Outcome, make_calls
from tenantgate.cli.demo.processes import DemoError
from tenantgate.cli.demo.setup import Running, running_demo

_WIDTH: Final = 132
"""Columns where the output is no terminal."""

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def demo(
    check: Annotated[
        bool, typer.Option("--check", help="Do not stay up; exit 0 only if all went as expected.")
    ] = False,
    folder: Annotated[Path | None, typer.Option(help="Where to put the database and logs; must not exist yet.")] = None,
) -> None:
    """Let two partners in and everybody else not, on this machine alone.

    Starts an Entra-shaped authority (no Microsoft service is contacted), the server, and an orders API that embeds the
    gate, each a process of its own on loopback; needs no network and no configuration.
    """
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    where = _new_folder(folder)
    console.print(f"database and logs: {where}", highlight=False, soft_wrap=True)
    console.print("starting three programs and making the calls, about ten seconds …", highlight=False, soft_wrap=True)
    _end_on_sigterm()
    try:
        with running_demo(where) as running:
            outcomes = make_calls(running)
            _show(console, outcomes)
            kept = all(outcome.as_expected for outcome in outcomes)
            if not check:
                _stay(console, running)
    except DemoError as error:
        typer.echo(f"demo_failed: {error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        kept = True
    if check and kept and folder is None:
        shutil.rmtree(where)
    raise typer.Exit(0 if kept else 1)


def _new_folder(given: Path | None) -> Path:
    if given is None:
        return Path(tempfile.mkdtemp(prefix="tenantgate-demo-"))
    try:
        given.mkdir(mode=0o700)
    except OSError as error:
        typer.echo(f"folder_unusable: {given}: {error.strerror}", err=True)
        raise typer.Exit(2) from None
    return given.resolve()


def _end_on_sigterm() -> None:
    """Turn SIGTERM into KeyboardInterrupt, so that the programs are stopped whoever ends the demo."""

    def interrupt(number: int, frame: object) -> None:
        del number, frame
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


def _show(console: Console, outcomes: list[Outcome]) -> None:
    table = Table(title="who was let in, and why not", title_justify="left")
    for column, whole in (("", True), ("who", False), ("what", False), ("answer", True), ("why", False)):
        # Where the terminal is narrow, words are folded and never cut; verdicts and reasons stay in one piece.
        table.add_column(column, no_wrap=whole, overflow="fold")
    for outcome in outcomes:
        answer = outcome.got if outcome.as_expected else f"{outcome.got}, expected {outcome.expected}"
        table.add_row("ok" if outcome.as_expected else "NO", outcome.who, outcome.what, answer, outcome.note)
    console.print(table)
    wrong = sum(not outcome.as_expected for outcome in outcomes)
    console.print(f"{len(outcomes)} calls, {len(outcomes) - wrong} as expected, {wrong} not.", highlight=False)


def _stay(console: Console, running: Running) -> None:
    daemon = world.ACME_SYNC
    lines = (
        f"authority   {running.authority}  (Entra-shaped emulator; no Microsoft service is contacted)",
        f"server      {running.server}  (page, /api/v1, /auth/check)",
        f"orders API  {running.api}/orders",
        "",
        "Open the page (the link works once, for 10 minutes):",
        f"  {running.sign_in_link()}",
        "Another link:",
        f"  TENANTGATE_PUBLIC_URL={running.server} tenantgate sign-in-link create --operator demo-admin \\",
        f"    --database {running.database_url}",
        "",
        "As examples/partner_daemon wants it:",
        f"  export AUTHORITY={running.authority} TENANT_ID={daemon.tid} \\",
        f"    CLIENT_ID={daemon.client_id} CLIENT_SECRET={daemon.secret} \\",
        f"    SCOPE={world.APP_ID_URI}/.default API_URL={running.api}/orders",
        "",
        "Call the API as Acme's daemon:",
        f"  TOKEN=$(curl -s {running.authority}/{daemon.tid}/oauth2/v2.0/token -d grant_type=client_credentials \\",
        f"    -d client_id={daemon.client_id} -d client_secret={daemon.secret} \\",
        f'    -d scope={world.APP_ID_URI}/.default | sed \'s/.*"access_token": *"\\([^"]*\\)".*/\\1/\')',
        f'  curl -i {running.api}/orders -H "Authorization: Bearer $TOKEN"',
        "",
        "Ctrl-C ends it.",
    )
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    threading.Event().wait()
