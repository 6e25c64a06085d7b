"""`tenantgate doctor`: what is wrong with this installation, and what to do about it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

import typer

from tenantgate.cli.findings import say
from tenantgate.cli.output import Json, print_json
from tenantgate.cli.policies import DatabaseOrNone, PolicyOrNone, read_database
from tenantgate.core.policy import IssuerRow, PolicyError, PolicySnapshot, RowData
from tenantgate.core.rules import check_references, check_row
from tenantgate.discovery.disk import why_unusable
from tenantgate.discovery.probe import Finding
from tenantgate.embed import probe_issuer
from tenantgate.feed.file import FileSource
from tenantgate.feed.source import FeedError
from tenantgate.settings import Settings, SettingsError, read_settings

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_AT_ONCE: Final = 16
"""Issuers looked at at the same time."""
State = Literal["ok", "warning", "failed"]


class Symptom(NamedTuple):
    """What one check found. `code` is stable, None where all is well."""

    check: str
    state: State
    detail: str
    code: str | None = None
    advice: str | None = None


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
    yield Symptom("settings", "ok", _told(settings))
    yield _state_folder(settings)
    try:
        snapshot = _policy_of(settings)
    except _Unusable as error:
        yield Symptom("policy", "failed", str(error), error.code, error.advice)
        return
    rows = [row.data for row in snapshot.rows if row.data is not None]
    yield from _policy(snapshot, rows)
    if not offline:
        yield from _issuers([row for row in rows if isinstance(row, IssuerRow)])


def _told(settings: Settings) -> str:
    given = {name: getattr(settings, name) for name in sorted(settings.model_fields_set)}
    return ", ".join(f"{name}={value}" for name, value in given.items()) or "none are given"


def _state_folder(settings: Settings) -> Symptom:
    folder = settings.state_folder
    if folder is None:
        advice = "Set TENANTGATE_STATE_DIR, so that a restart does not need every issuer at once."
        return Symptom("state folder", "warning", "keys are not kept over a restart", "state_dir_missing", advice)
    why = why_unusable(folder)
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
        advice = "Give --policy FILE or --database sqlite:///PATH, or set one of TENANTGATE_POLICY and _DATABASE_URL."
        raise _Unusable("policy_missing", "there is neither a policy file nor a database", advice)
    return _policy_in(settings.database_url)


def _policy_in(database_url: str) -> PolicySnapshot:
    from tenantgate.registry.errors import RegistryError  # SQLAlchemy comes with it: a policy file does without

    try:
        return read_database(database_url)
    except RegistryError as error:
        advice = "`tenantgate migrate` makes a database, or brings it to this version's schema."
        raise _Unusable(error.code, error.message, advice) from None


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
            yield from _symptoms(row.id, findings)


def _symptoms(issuer: str, findings: Iterable[Finding]) -> Iterator[Symptom]:
    for each in findings:
        yield Symptom(f"{issuer}: {each.document} {each.step}", each.state, each.detail, each.code, each.advice)
