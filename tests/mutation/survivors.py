"""The list of survivors: mutants that change nothing anybody could see, each with the reason why."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.mutation.results import Change, Results

FILE: Final = Path(__file__).parent / "survivors.toml"
CLAIM_CHECKS: Final = ("judge", "claims", "app_only", "oidc", "profiles")
"""Modules whose every mutant must die or be listed."""
LEAST: Final = 0.90
"""Of all mutants of the core, the share that must die."""


class Listed(NamedTuple):
    """One entry: the change, why nobody can see it, and how often it can be made in that function."""

    change: Change
    reason: str
    times: int


def read_list(text: str, kind: str = "survivor") -> tuple[Listed, ...]:
    """Read the list of mutmut's survivors, or of a `table`'s. Every entry has a reason."""
    entries = tomllib.loads(text).get(kind, [])
    listed = [Listed(_change(each), each["reason"], each.get("times", 1)) for each in entries]
    assert all(each.reason.strip() for each in listed), "a survivor without a reason"
    return tuple(listed)


def _change(entry: dict[str, Any]) -> Change:
    return Change(entry["function"], entry["was"].strip(), entry.get("now", "").strip())


def unlisted(survived: Iterable[Change], listed: Iterable[Listed]) -> list[Change]:
    """Return the survivors that the list does not know."""
    left = Counter(survived)
    left.subtract({each.change: each.times for each in listed})
    return sorted(left.elements())


def find_faults(results: Results, listed: tuple[Listed, ...], *, whole: bool) -> list[str]:
    """Return what is wrong with a run: too many live, a claim check's lives unlisted, or the list is out of date."""
    faults = [] if results.score >= LEAST else [f"score {results.score:.1%} is below {LEAST:.0%}"]
    for change in unlisted(results.survived, listed):
        if change.module in CLAIM_CHECKS:
            faults.append(f"{change.function}: {change.was!r} → {change.now!r} lives, and is not listed")
    alive = Counter(results.survived)
    for entry in listed:
        count = results.modules.get(entry.change.module)
        if count is not None and not count.untried and alive[entry.change] != entry.times:
            faults.append(f"{entry.change.function}: {entry.change.now!r} is listed {entry.times} times, and lives "
                          f"{alive[entry.change]} times")  # fmt: skip
    if whole:
        faults += [f"{name}: {count.untried} not tried" for name, count in results.modules.items() if count.untried]
    return faults


def as_toml(changes: Iterable[Change], kind: str = "survivor") -> str:
    """Return changes in the list's own form, with the reason left to be written."""
    entries = []
    for change, times in sorted(Counter(changes).items()):
        lines = [f"[[{kind}]]", f'function = "{change.function}"']
        lines += [f"{name} = '''{value}'''" for name, value in (("was", change.was), ("now", change.now)) if value]
        lines += [f"times = {times}"] if times > 1 else []
        entries.append("\n".join([*lines, 'reason = ""']))
    return "\n\n".join(entries) + "\n"
