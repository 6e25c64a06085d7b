"""`tenantgate issuer`: what is trusted to sign."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from tenantgate.admin.shapes import IssuerOut, health_out
from tenantgate.admin.standing import HEARD_OF
from tenantgate.cli.findings import show_findings
from tenantgate.cli.office import Database, errors_told, office, told
from tenantgate.cli.output import (
    Cursor,
    Json,
    Limit,
    Search,
    Sort,
    clear_screen,
    print_blocks,
    print_json,
    show,
    show_change,
    show_list,
)
from tenantgate.core.policy import IssuerKind, IssuerRow
from tenantgate.core.profiles.standard import STANDARD
from tenantgate.core.profiles.table import PROFILES
from tenantgate.core.strict import Unreadable, read_document
from tenantgate.embed import probe_issuer
from tenantgate.registry import issuer_health, issuers
from tenantgate.registry.issuers import IssuerSpec
from tenantgate.registry.rows import data_of_row
from tenantgate.registry.tables import IssuerHealth

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

STATUS = ("issuer", "document", "instance", "keys", "state", "age", "last_error", "failures", "next", "clock")
_WIDE: Final = 150
"""Columns that a table of the status needs, so that no kid is broken."""
WATCH_INTERVAL = 2.0
"""Seconds between two looks of `status --watch`."""
COLUMNS = ("id", "kind", "profile", "authority", "issuer", "metadata_url")


@app.callback()
def issuer() -> None:
    """What is trusted to sign: Entra clouds and OIDC issuers."""


@app.command()
def create(
    kind: Annotated[IssuerKind, typer.Option("--kind", help="An Entra cloud, or an OIDC issuer.")],
    id_: Annotated[str | None, typer.Option("--id", metavar="SLUG", help="Its id; made up where left out.")] = None,
    authority: Annotated[str | None, typer.Option(metavar="URL", help="Entra: login address of the cloud.")] = None,
    v1_issuer: Annotated[str | None, typer.Option(metavar="URL", help="Entra: iss of v1, with {tenantid}.")] = None,
    v2_issuer: Annotated[str | None, typer.Option(metavar="URL", help="Entra: iss of v2, with {tenantid}.")] = None,
    v1_metadata_url: Annotated[str | None, typer.Option(metavar="URL", help="Entra: where v1 keys are found.")] = None,
    iss: Annotated[str | None, typer.Option("--issuer", metavar="URL", help="OIDC: the exact iss.")] = None,
    metadata_url: Annotated[str | None, typer.Option(metavar="URL", help="Where keys are found.")] = None,
    jwks_file: Annotated[Path | None, typer.Option(help="Public keys from a file, instead of found.")] = None,
    v1_jwks_file: Annotated[Path | None, typer.Option(help="Entra: the same for v1 tokens.")] = None,
    jwks_host: Annotated[
        list[str] | None, typer.Option(metavar="HOST", help="Another host of its keys; several.")
    ] = None,
    algorithm: Annotated[list[str] | None, typer.Option(metavar="ALG", help="Accepted algorithm; several.")] = None,
    profile: Annotated[str, typer.Option(metavar="NAME", help=f"OIDC: {', '.join(PROFILES)}.")] = STANDARD.name,
    client_id_claim: Annotated[
        str | None, typer.Option(metavar="CLAIM", help="OIDC: the claim that names the daemon, if another.")
    ] = None,
    roles_claim: Annotated[
        str | None, typer.Option(metavar="CLAIM", help="OIDC: the claim of the caller's roles, if another.")
    ] = None,
    subject_pin: Annotated[
        bool | None, typer.Option("--subject-pin/--no-subject-pin", help="OIDC: whether daemons must name a subject.")
    ] = None,
    token_type: Annotated[list[str] | None, typer.Option(metavar="TYP", help="Accepted typ; several.")] = None,
    allow_private_addresses: Annotated[
        bool, typer.Option("--allow-private-addresses", help="An inner issuer.")
    ] = False,
    insecure_allow_http: Annotated[bool, typer.Option("--insecure-allow-http", help="Loopback only.")] = False,
    max_key_age: Annotated[
        int | None,
        typer.Option(
            metavar="SECONDS", help="How long its keys judge after the last fetch: 3600 to 2678400; 72 hours."
        ),
    ] = None,
    ca_bundle_file: Annotated[
        Path | None, typer.Option(help="PEM certificates of its authorities, instead of the public ones.")
    ] = None,
    proxy: Annotated[str | None, typer.Option(metavar="URL", help="The HTTP proxy by which it is reached.")] = None,
    probe: Annotated[bool, typer.Option("--probe", help="Only look at it; trust nobody.")] = False,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Trust an issuer. No tenant of it is let in before it is listed."""
    spec = IssuerSpec(
        kind=kind,
        id=id_,
        authority=authority,
        v1_issuer=v1_issuer,
        v2_issuer=v2_issuer,
        v1_metadata_url=v1_metadata_url,
        issuer=iss,
        metadata_url=metadata_url,
        jwks=_keys_in(jwks_file),
        v1_jwks=_keys_in(v1_jwks_file),
        jwks_hosts=tuple(jwks_host or ()),
        algorithms=tuple(algorithm or ()),
        profile=profile,
        client_id_claim=client_id_claim,
        roles_claim=roles_claim,
        subject_pin=subject_pin,
        allow_private_addresses=allow_private_addresses,
        insecure_allow_http=insecure_allow_http,
        max_key_age=max_key_age,
        ca_bundle=_text_in(ca_bundle_file),
        proxy=proxy,
    )
    if token_type:
        spec = replace(spec, token_types=tuple(token_type))
    if probe:
        with errors_told():
            row_to_be = issuers.check(spec, id_ or "probed")
        show_findings(probe_issuer(row_to_be), as_json=as_json)
        return
    with office(database) as desk:
        with desk.changing() as work:
            row = issuers.create(work, spec)
        show_change(IssuerOut.model_validate(row), work.revision, as_json=as_json)


UNSET: Final[dict[str, Any]] = {
    each.name: each.default for each in fields(IssuerSpec) if each.name in issuers.CHANGEABLE
}
"""Members that `--clear` can name, and what they are then: as `create` has them where nothing is said."""


@app.command()
def change(
    id_: Annotated[str, typer.Argument(metavar="ID", help="Id of the issuer.")],
    v1_metadata_url: Annotated[str | None, typer.Option(help="Entra: metadata document for v1 keys.")] = None,
    metadata_url: Annotated[str | None, typer.Option(help="Metadata document.")] = None,
    jwks_file: Annotated[Path | None, typer.Option(help="Public keys from a file, instead of found.")] = None,
    v1_jwks_file: Annotated[Path | None, typer.Option(help="Entra: the same for v1 tokens.")] = None,
    jwks_host: Annotated[
        list[str] | None, typer.Option(metavar="HOST", help="Another host of its keys; several.")
    ] = None,
    algorithm: Annotated[list[str] | None, typer.Option(metavar="ALG", help="Accepted algorithm; several.")] = None,
    profile: Annotated[str | None, typer.Option(metavar="NAME", help=f"OIDC: {', '.join(PROFILES)}.")] = None,
    client_id_claim: Annotated[str | None, typer.Option(metavar="CLAIM", help="OIDC: names the daemon.")] = None,
    roles_claim: Annotated[str | None, typer.Option(metavar="CLAIM", help="OIDC: names the roles.")] = None,
    subject_pin: Annotated[
        bool | None, typer.Option("--subject-pin/--no-subject-pin", help="OIDC: each daemon names its subject.")
    ] = None,
    token_type: Annotated[list[str] | None, typer.Option(metavar="TYP", help="Accepted typ; several.")] = None,
    allow_private_addresses: Annotated[
        bool | None, typer.Option("--allow-private-addresses/--no-private-addresses", help="It may be an inner one.")
    ] = None,
    insecure_allow_http: Annotated[
        bool | None, typer.Option("--insecure-allow-http/--https-only", help="Plain http on this machine, for tests.")
    ] = None,
    max_key_age: Annotated[int | None, typer.Option(metavar="SECONDS", help="3600 to 2678400; 72 hours.")] = None,
    ca_bundle_file: Annotated[Path | None, typer.Option(help="PEM certificates of its authorities.")] = None,
    proxy: Annotated[str | None, typer.Option(metavar="URL", help="The HTTP proxy by which it is reached.")] = None,
    clear: Annotated[
        list[str] | None, typer.Option(metavar="MEMBER", help="Back to what it is where nothing is said; several.")
    ] = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Change how an issuer's keys are had and its tokens read, from the next request on.

    What is named becomes so, the rest stays. Who the issuer is (kind, authority, iss) stays: delete it and create
    another one. An option that may be given several times replaces the whole list.
    """
    named: dict[str, Any] = {
        "v1_metadata_url": v1_metadata_url,
        "metadata_url": metadata_url,
        "jwks": _keys_in(jwks_file),
        "v1_jwks": _keys_in(v1_jwks_file),
        "jwks_hosts": jwks_host,
        "algorithms": algorithm,
        "profile": profile,
        "client_id_claim": client_id_claim,
        "roles_claim": roles_claim,
        "subject_pin": subject_pin,
        "token_types": token_type,
        "allow_private_addresses": allow_private_addresses,
        "insecure_allow_http": insecure_allow_http,
        "max_key_age": max_key_age,
        "ca_bundle": _text_in(ca_bundle_file),
        "proxy": proxy,
    }
    members = {name: value for name, value in named.items() if value not in (None, [])}
    members = {name: tuple(value) if isinstance(value, list) else value for name, value in members.items()}
    for name in clear or ():
        if name not in UNSET or name in members:
            raise typer.BadParameter(f"must be one of {', '.join(UNSET)}, and not given as well", param_hint="--clear")
        members[name] = UNSET[name]
    if not members:
        raise typer.BadParameter("say what is to be different", param_hint="options")
    with office(database) as desk:
        with desk.changing() as work:
            row = issuers.change(work, id_, members)
        show_change(IssuerOut.model_validate(row), work.revision, as_json=as_json)


@app.command()
def delete(
    id_: Annotated[str, typer.Argument(metavar="ID", help="Id of the issuer.")],
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Trust an issuer no more, where no tenant, role mapping or resource names it. Shows what it was."""
    with office(database) as desk:
        with desk.changing() as work:
            row = issuers.delete(work, id_)
        show_change(IssuerOut.model_validate(row), work.revision, as_json=as_json)


@app.command("list")
def list_(
    kind: Annotated[IssuerKind | None, typer.Option("--kind", help="Only of this kind.")] = None,
    sort: Sort = None,
    search: Search = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """List issuers."""
    with office(database) as desk, desk.reading() as session:
        page = issuers.list_(session, after=cursor, limit=limit, sort=sort, search=search, kind=kind)
        show_list(map(IssuerOut.model_validate, page.items), page.after, COLUMNS, as_json=as_json)


@app.command("show")
def show_(
    id_: Annotated[str, typer.Argument(metavar="ID", help="Id of the issuer.")],
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Show an issuer, with what was filled in."""
    with office(database) as desk, desk.reading() as session:
        show(IssuerOut.model_validate(issuers.get(session, id_)), as_json=as_json)


@app.command()
def status(
    id_: Annotated[str | None, typer.Argument(metavar="[ID]", help="Id of the issuer; all where left out.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every two seconds, until stopped.")] = False,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Show how issuers' keys are doing in each running instance: their age, the last error, the clocks.

    `clock` is by how much the instance's clock is ahead of the issuer's: by the time in its answers, and by how old its
    tokens are when they are first seen (at most so much; Entra dates them five minutes back).
    Instances that follow this database tell it so; a gate over a policy file tells nobody.
    """
    while True:
        with office(database) as desk, desk.reading() as session:
            if id_ is not None:
                issuers.get(session, id_)
            rows = issuer_health.list_(session, issuer=id_, seen_since=desk.now - HEARD_OF)
        if as_json:
            named = [id_] if id_ is not None else sorted({row.issuer for row in rows})
            found = [health_out(name, (row for row in rows if row.issuer == name)) for name in named]
            print_json([each.model_dump(mode="json") for each in found])
        else:
            if watch:
                clear_screen()
            if rows:
                print_blocks(STATUS, (_status(row, desk.now) for row in rows), width=_WIDE)
            else:
                typer.echo("No running instance has reported. Gates over a policy file never do.")
        if not watch:
            return
        time.sleep(WATCH_INTERVAL)


def _status(row: IssuerHealth, now: int) -> dict[str, Any]:
    facts = row.facts
    age = None if facts["fetched_at"] is None else now - facts["fetched_at"]
    return {
        "issuer": row.issuer,
        "document": row.document if not row.appid else f"{row.document} {row.appid}",
        "instance": row.instance,
        "keys": ", ".join(
            each["kid"] + ("" if each["state"] == "serving" else f" ({each['state']})") for each in facts["keys"]
        ),
        "state": _state(facts),
        "age": "" if age is None else f"{age} s",
        "last_error": facts["last_error"] or facts["metadata_error"],
        "failures": facts["failures"] or "",
        "next": "" if facts["due_at"] is None else f"{max(0, facts['due_at'] - now)} s",
        "clock": _clock(facts["clock_ahead"], facts.get("clock_ahead_at_most")),
    }


def _state(facts: dict[str, Any]) -> str:
    if not facts["keys"]:
        return "no keys"
    if facts["static"]:
        return "static"
    return "too old" if facts["too_old"] else "from disk" if facts["restored"] else "serving"


def _clock(ahead: int | None, at_most: int | None) -> str:
    """Say what an issuer's answers say of the instance's clock, and what its tokens do."""
    said = [] if ahead is None else [f"{ahead:+d} s by its answers"]
    if at_most is not None:
        said.append(f"at most {at_most:+d} s by its tokens")
    return ", ".join(said)


@app.command("probe")
def probe_(
    id_: Annotated[str, typer.Argument(metavar="ID", help="Id of the issuer.")],
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Look at an issuer now: its name, its certificate, its metadata, its keys, its clock.

    Nothing of it is kept, and running instances do not hear of it. Exit status 1: a step failed. One that is not
    trusted yet is looked at with `issuer create … --probe`.
    """
    with office(database) as desk, desk.reading() as session:
        row = data_of_row("issuer", issuers.get(session, id_))
    assert isinstance(row, IssuerRow)
    show_findings(probe_issuer(row), as_json=as_json)


IssuerId = Annotated[str, typer.Argument(metavar="ID", help="Id of the issuer.")]
Key = Annotated[str, typer.Argument(metavar="KEY", help="Its kid, or its RFC 7638 thumbprint.")]


@app.command("distrust-key")
def distrust_key(id_: IssuerId, key: Key, database: Database = None, as_json: Json = False) -> None:
    """Let no token in any more that this key signed, whatever the issuer publishes.

    A kid is a name: it shuts out whatever key the issuer publishes under it, also a new one. A thumbprint is the
    key itself, under any name.
    """
    with office(database) as desk:
        with desk.changing() as work:
            row = issuers.distrust_key(work, id_, key)
            seen = issuer_health.list_(work.session, issuer=id_, seen_since=desk.now - HEARD_OF)
        _note_unknown(key, seen)
        show_change(IssuerOut.model_validate(row), work.revision, as_json=as_json)


def _note_unknown(key: str, seen: Sequence[IssuerHealth]) -> None:
    """Say where nobody has a key of this name: it may be a slip, while the stolen key goes on."""
    known = {name for row in seen for each in row.facts["keys"] for name in (each["kid"], each["thumbprint"])}
    if seen and key not in known:
        typer.echo("note: no running instance has a key of this kid or thumbprint now", err=True)


@app.command("trust-key")
def trust_key(id_: IssuerId, key: Key, database: Database = None, as_json: Json = False) -> None:
    """Let a distrusted key count again, named as it was when it was distrusted."""
    with office(database) as desk:
        with desk.changing() as work:
            row = issuers.trust_key(work, id_, key)
        show_change(IssuerOut.model_validate(row), work.revision, as_json=as_json)


def _text_in(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text("ascii")
    except OSError as error:
        raise told("file_unreadable", f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise told("ca_bundle_malformed", f"{path} must be certificates in PEM") from None


def _keys_in(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        document = read_document(path.read_bytes())
    except OSError as error:
        raise told("file_unreadable", f"{path} cannot be read: {error.strerror}") from None
    except Unreadable as error:
        raise told("jwks_malformed", f"{path} is not a key set: {error}") from None
    if not isinstance(document, dict):
        raise told("jwks_malformed", f"{path} is not a key set: not an object")
    return document
