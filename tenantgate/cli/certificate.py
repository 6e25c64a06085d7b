"""`tenantgate certificate`: which certificates daemons may show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tenantgate.admin.shapes_credentials import CertificateState, ClientCertificateOut
from tenantgate.cli.moments import EndsAfter, EndsBefore
from tenantgate.cli.office import Database, office, told
from tenantgate.cli.output import Cursor, Json, Limit, Search, Sort, show, show_change, show_list
from tenantgate.core.certificate import CERTIFICATE_LENGTH
from tenantgate.registry import certificates
from tenantgate.registry.certificates import CertificateSpec

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

COLUMNS = ("id", "daemon", "name", "subject", "thumbprint", "not_after", "state")

CertificateId = Annotated[str, typer.Argument(metavar="ID", help="Id of the certificate (not its thumbprint).")]


@app.callback()
def certificate() -> None:
    """Which certificates daemons may show. Kept and audited; no gate judges by them yet."""


@app.command()
def add(
    daemon: Annotated[str, typer.Argument(metavar="DAEMON", help="Id of the daemon.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The certificate in PEM, alone.")],
    name: Annotated[str, typer.Option("--name", help="What people call it.")] = "",
    id_: Annotated[str | None, typer.Option("--id", metavar="SLUG", help="Its id; made up where left out.")] = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Add a certificate to a daemon: the public part, alone. Thumbprints and dates are kept, not the file."""
    spec = CertificateSpec(daemon=daemon, certificate=_read(file), id=id_, name=name)
    with office(database) as desk:
        with desk.changing() as work:
            row = certificates.create(work, spec)
        show_change(ClientCertificateOut.model_validate(row), work.revision, as_json=as_json)


@app.command("list")
def list_(
    daemon: Annotated[str | None, typer.Option("--daemon", metavar="ID", help="Only this daemon's.")] = None,
    partner: Annotated[
        str | None, typer.Option("--partner", metavar="ID", help="Only of this partner's daemons.")
    ] = None,
    thumbprint: Annotated[str | None, typer.Option("--thumbprint", help="Only the one with this SHA-256.")] = None,
    state: Annotated[CertificateState | None, typer.Option("--state", help="Only those in this state.")] = None,
    ends_after: EndsAfter = None,
    ends_before: EndsBefore = None,
    sort: Sort = None,
    search: Search = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """List certificates, those that ended included."""
    with office(database) as desk, desk.reading() as session:
        page = certificates.list_(
            session,
            after=cursor,
            limit=limit,
            sort=sort,
            search=search,
            daemon=daemon,
            partner=partner,
            thumbprint=thumbprint,
            state=state,
            expires_after=ends_after,
            expires_before=ends_before,
        )
        show_list(map(ClientCertificateOut.model_validate, page.items), page.after, COLUMNS, as_json=as_json)


@app.command("show")
def show_(id_: CertificateId, database: Database = None, as_json: Json = False) -> None:
    """Show a certificate."""
    with office(database) as desk, desk.reading() as session:
        show(ClientCertificateOut.model_validate(certificates.get(session, id_)), as_json=as_json)


@app.command()
def suspend(id_: CertificateId, database: Database = None, as_json: Json = False) -> None:
    """Take it for no credential until it is activated."""
    with office(database) as desk:
        with desk.changing() as work:
            row = certificates.suspend(work, id_)
        show_change(ClientCertificateOut.model_validate(row), work.revision, as_json=as_json)


@app.command()
def activate(id_: CertificateId, database: Database = None, as_json: Json = False) -> None:
    """Take it for a credential again."""
    with office(database) as desk:
        with desk.changing() as work:
            row = certificates.activate(work, id_)
        show_change(ClientCertificateOut.model_validate(row), work.revision, as_json=as_json)


@app.command()
def revoke(id_: CertificateId, database: Database = None, as_json: Json = False) -> None:
    """End it for good: the same certificate can be added to no daemon again."""
    with office(database) as desk:
        with desk.changing() as work:
            row = certificates.revoke(work, id_)
        show_change(ClientCertificateOut.model_validate(row), work.revision, as_json=as_json)


def _read(file: Path) -> str:
    """Return a file's text; a byte more than may be is enough to be refused by its size."""
    try:
        with file.open("rb") as opened:
            return opened.read(CERTIFICATE_LENGTH + 1).decode("ascii", errors="replace")
    except OSError as error:
        raise told("file_unreadable", f"{file} cannot be read: {error.strerror}") from None
