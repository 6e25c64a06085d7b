"""`tenantgate doctor`: what is wrong with this installation, and what to do about it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Final

import typer

from tenantgate.cli.administration import examine_administration
from tenantgate.cli.findings import say
from tenantgate.cli.output import Json, print_json
from tenantgate.cli.policies import DatabaseOrNone, PolicyOrNone, read_database
from tenantgate.cli.symptoms import Symptom, symptoms_of
from tenantgate.core.policy import IssuerRow, PolicyError, PolicySnapshot, ResourceRow, RowData
from tenantgate.core.rules import check_references, check_row
from tenantgate.discovery.disk import FOLDER as KEYS_FOLDER
from tenantgate.discovery.disk import KeptKeys
from tenantgate.discovery.limits import KeyLimits
from tenantgate.discovery.stored import UnusableStored
from tenantgate.embed import probe_issuer
from tenantgate.feed.file import FileSource
from tenantgate.feed.source import FeedError
from tenantgate.feed.store import FOLDER as POLICY_FOLDER
from tenantgate.files import why_unusable
from tenantgate.settings import Settings, SettingsError, check_settings, read_settings

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_AT_ONCE: Final = 16
"""Issuers looked at at the same time."""


@app.command()
def doctor(
    policy: PolicyOrNone = None,
    database: DatabaseOrNone = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no issuer anything.")] = False,
    as_json: Json = False,
) -> None:
    """Check settings, state folder, policy and clock, and look at every issuer; say what to do about what is wrong.

    Nothing is changed. Exit status 1: something failed.
    """
    found = list(examine(policy, database, offline=offline))
    if as_json:
        print_json([each._asdict() for each in found])
    else:
        for each in found:
            say(each.state, each.check, each.detail, each.code, each.advice)
    if any(each.state == "failed" for each in found):
        raise typer.Exit(1)


def examine(policy: Path | None, database: str | None, *, offline: bool) -> Iterator[Symptom]:
    """Yield what each check finds, in the order in which one hangs on the other."""
    try:
        settings = read_settings(os.environ, policy=policy, database_url=database)
    except SettingsError as error:
        yield Symptom(
            "settings", "failed", str(error), "settings_invalid", "See docs/configuration.md for each setting."
        )
        return
    yield _settings(settings)
    yield _state_folder(settings)
    try:
        snapshot = _policy_of(settings)
    except _Unusable as error:
        yield Symptom("policy", "failed", str(error), error.code, error.advice)
        return
    rows = [row.data for row in snapshot.rows if row.data is not None]
    yield from _policy(snapshot, rows)
    yield from examine_administration(settings, rows, offline=offline)
    if settings.resource is not None and settings.resource not in {
        row.id for row in rows if isinstance(row, ResourceRow)
    }:
        detail = f"there is no resource {settings.resource}: everything asked at /auth/check is answered 503"
        advice = f"`tenantgate resource create --id {settings.resource} …`, or name another in TENANTGATE_RESOURCE."
        yield Symptom("resource", "failed", detail, "resource_unknown", advice)
    issuers = [row for row in rows if isinstance(row, IssuerRow)]
    yield from _kept(settings.state_folder, issuers)
    if not offline:
        yield from _issuers(issuers)


def _settings(settings: Settings) -> Symptom:
    try:
        check_settings(settings)
    except SettingsError as error:
        advice = "An embedded gate can do without; `tenantgate serve` cannot (docs/configuration.md)."
        return Symptom("settings", "warning", f"{settings.told()}; serve would not start: {error}", "serve", advice)
    return Symptom("settings", "ok", settings.told())


def _kept(folder: Path | None, rows: list[IssuerRow]) -> Iterator[Symptom]:
    """Look at what gates have kept of each issuer: in an outage nobody wants to find out."""
    if folder is None:
        return
    kept = KeptKeys(folder)
    for row in rows:
        check = f"{row.id}: kept keys"
        try:
            stored = kept.read(row)
        except UnusableStored as error:
            advice = "The next successful fetch of a gate replaces the file."
            yield Symptom(check, "warning", str(error), error.code, advice)
            continue
        except OSError as error:
            advice = "Its user must be the gate's, and no other may write to it."
            yield Symptom(check, "warning", error.strerror or "it cannot be read", "stored_unreadable", advice)
            continue
        if stored is not None and stored.sets:
            ages = ", ".join(f"{each.document} {time.time() - each.fetched_at:.0f} s old" for each in stored.sets)
            most = KeyLimits().judging(row)
            yield Symptom(check, "ok", f"{ages}; they judge until {most / 3600:g} hours old")


def _state_folder(settings: Settings) -> Symptom:
    folder = settings.state_folder
    if folder is None:
        advice = "Set TENANTGATE_STATE_DIR, so that a restart needs neither every issuer at once nor the database."
        what = "keys and policy are not kept over a restart"
        return Symptom("state folder", "warning", what, "state_dir_missing", advice)
    why = why_unusable(folder / KEYS_FOLDER) or why_unusable(folder / POLICY_FOLDER)
    if why is not None:
        advice = "Make it a folder of this user's own, which nobody else may write to."
        return Symptom("state folder", "failed", f"{folder}: {why}", "state_dir_unusable", advice)
    return Symptom("state folder", "ok", str(folder))


class _Unusable(Exception):
    def __init__(self, code: str, message: str, advice: str) -> None:
        super().__init__(message)
        self.code = code
        self.advice = advice


def _policy_of(settings: Settings) -> PolicySnapshot:
    if settings.policy is not None:
        try:
            return FileSource(settings.policy).load()
        except (PolicyError, FeedError) as error:
            raise _Unusable(
                error.code, str(error), "See docs/policy-file.md; a running gate keeps its policy."
            ) from None
    if settings.database_url is None:
        advice = "Give --policy FILE or --database URL, or set one of TENANTGATE_POLICY and TENANTGATE_DATABASE_URL."
        raise _Unusable("policy_missing", "there is neither a policy file nor a database", advice)
    return _policy_in(settings.database_url)


def _policy_in(database_url: str) -> PolicySnapshot:
    from tenantgate.registry.errors import RegistryError  # SQLAlchemy comes with it: a policy file does without

    try:
        return read_database(database_url)
    except RegistryError as error:
        raise _Unusable(error.code, error.message, _DATABASE.get(error.code, _MIGRATE)) from None


_MIGRATE: Final = "`tenantgate migrate` makes a database, or brings it to this version's schema."
_DATABASE: Final = {
    "database_missing": "`tenantgate migrate` makes an SQLite file; PostgreSQL's administrator makes a database there.",
    "database_server_old": "Bring the server to PostgreSQL 15 or later; until then nothing is read from it or written.",
    "database_driver_missing": "Install tenantgate[postgres].",
    "database_folder_missing": "Make the folder, or name another path.",
    "database_not_sqlite": "This is another file; look at the path.",
    "database_not_a_file": "Name a file; look at the path.",
    "database_corrupt": "Stop every process that uses it, keep the file, and bring back a backup.",
    "database_unwritable": "It must belong to the user that TenantGate runs as, and its folder too.",
}


def _policy(snapshot: PolicySnapshot, rows: list[RowData]) -> Iterator[Symptom]:
    counts = ", ".join(f"{sum(row.kind == kind for row in snapshot.rows)} {kind}s" for kind in _COUNTED)
    yield Symptom("policy", "ok", f"revision {snapshot.revision}: {counts}")
    try:
        check_references([check_row(row) for row in rows])
    except PolicyError as error:
        advice = "A gate loads such a policy as far as it can be applied; mend the row that is named."
        yield Symptom("policy", "failed", str(error), error.code, advice)


_COUNTED: Final = ("issuer", "tenant", "daemon", "resource")


def _issuers(rows: list[IssuerRow]) -> Iterator[Symptom]:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for row, findings in zip(rows, pool.map(probe_issuer, rows), strict=True):
            yield from symptoms_of(row.id, findings)
