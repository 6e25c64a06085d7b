"""`tenantgate policy`: what is in force."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from msgspec.structs import replace

from tenantgate.admin.shapes_admin import InstanceOut
from tenantgate.admin.standing import read_policy
from tenantgate.cli.office import Database, office, told
from tenantgate.cli.output import Json, print_json, print_row, print_table
from tenantgate.core.policy import KINDS, PolicyError, PolicySnapshot
from tenantgate.feed.file import FILE_VERSION, parse_policy
from tenantgate.registry import adoption, operators
from tenantgate.registry.snapshot import read_snapshot, read_state
from tenantgate.registry.tables import AdminKey

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def policy() -> None:
    """What is in force, and who enforces it."""


@app.command("show")
def show_(database: Database = None, as_json: Json = False) -> None:
    """Show epoch and revision of the policy, and which instances enforce it."""
    with office(database) as desk, desk.reading() as session:
        found = read_policy(session, now=desk.now)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    row = found.model_dump(mode="json", exclude={"instances"})
    row["enforcing"] = f"{found.enforcing} of {len(found.instances)}"
    print_row(row, as_json=False)
    if found.instances:
        print_table(tuple(InstanceOut.model_fields), [each.model_dump(mode="json") for each in found.instances])


@app.command()
def adopt(
    epoch: Annotated[
        str | None, typer.Option(help="The epoch you have looked at (`policy show`); asked for where it is left out.")
    ] = None,
    over: Annotated[
        list[str] | None, typer.Option(metavar="EPOCH", help="An epoch to give up besides those that instances hold.")
    ] = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Say that this database's history counts, although gates have seen further: after a backup was restored.

    What came after the backup is gone then, suspensions above all: look at it first. Admin keys that were revoked after
    it are live again: they are listed, revoke them first. Gates follow within a second, and nobody stays signed in.
    """
    with office(database) as desk:
        with desk.reading() as session:
            state, refusing = read_state(session), adoption.refusals(session)
            keys = operators.live_keys(session, now=desk.now)
        if not as_json:
            _show_keys(keys)
        if epoch is None:
            _confirm(state.epoch, state.revision, refusing)
        with desk.changing() as work:
            adoption.adopt(work, epoch=epoch or state.epoch, over=tuple(over or ()))
        with desk.reading() as session:
            found = read_policy(session, now=desk.now)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    typer.echo(f"adopted: epoch {found.epoch}, revision {found.revision}, in place of {', '.join(found.supersedes)}")


def _show_keys(keys: Sequence[AdminKey]) -> None:
    typer.echo("Admin keys that are live in this database, by what it knows:" if keys else "No admin key is live here.")
    for each in keys:
        typer.echo(f"  {each.id}  {each.name} of {each.operator}  (tenantgate admin-key revoke {each.id})")


def _confirm(epoch: str, revision: int, refusing: tuple[adoption.Refusal, ...]) -> None:
    typer.echo(f"The database is of epoch {epoch}, revision {revision}.")
    for each in refusing:
        typer.echo(f"{each.instance} refuses it ({each.code}): it holds epoch {each.epoch}, revision {each.revision}.")
    if not refusing:
        typer.echo("No instance has said that it refuses it.")
    typer.confirm("What came after that revision is lost, suspensions included. Adopt it?", abort=True)


@app.command()
def export(
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE.json", help="Write it here, instead of to standard output.")
    ] = None,
    database: Database = None,
) -> None:
    """Write the policy as a policy file (JSON, docs/policy-file.md) that a gate can be opened with.

    Names of partners are in it, contacts and notes are not: they are no policy.
    """
    with office(database) as desk, desk.reading() as session:
        snapshot = read_snapshot(session)
    rows = tuple(sorted(snapshot.rows, key=lambda row: row.id))  # the same policy is the same file
    document = as_policy_file(replace(snapshot, rows=rows))
    try:
        parse_policy(document, Path())
    except PolicyError as error:
        raise told(error.code, f"the file would not load: {error}") from None
    if output is None:
        print_json(document)
        return
    try:
        _write(output, msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
    except OSError as error:
        raise told("file_unwritable", f"{output} cannot be written: {error.strerror}") from None


def as_policy_file(snapshot: PolicySnapshot) -> dict[str, Any]:
    """Return the document of a policy file that holds the same rows."""
    arrays: dict[str, list[Any]] = {f"{kind}s": [] for kind in KINDS}
    for row in snapshot.rows:
        arrays[f"{row.kind}s"].append(msgspec.to_builtins(row.data))
    return {"version": FILE_VERSION, **{name: rows for name, rows in arrays.items() if rows}}


def _write(path: Path, content: bytes) -> None:
    """Put a file in place whole: a gate that looks at it each second never sees half of it."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with beside.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
