"""`python -m tests.mutation run [MODULE…]` mutates the core and runs its tests; `report` holds what lives to the list.

mutmut makes the mutants; what survives is told by what was changed, not by mutmut's numbers, which move when code does.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tomllib
from typing import Final

from tests.mutation import forked, tables
from tests.mutation.results import collect
from tests.mutation.survivors import FILE, as_toml, find_faults, read_list, unlisted
from tests.real_parts import ROOT

SMALLEST: Final = "clouds"
"""A module with hardly a mutant."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status: 0 when the tests are as strong as promised."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutation", description="Mutation testing of tenantgate/core."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="make mutants and try them; goes on where it was stopped")
    run.add_argument("modules", nargs="*", help="names of modules of the core (default: all)")
    run.add_argument("--workers", type=int, default=2)
    tops = commands.add_parser("tables", help="drop each member of the tables at the top of modules, and try that")
    tops.add_argument("modules", nargs="*", help="names of modules of the core (default: all)")
    tops.add_argument("--workers", type=int, default=2)
    report = commands.add_parser("report", help="hold the survivors of what was run to tests/mutation/survivors.toml")
    form = report.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object instead of words")
    form.add_argument("--toml", action="store_true", help="the unlisted survivors in the list's own form")
    report.add_argument("--whole", action="store_true", help="fail where a mutant has not been tried")
    given = parser.parse_args(arguments)
    if given.command == "tables":
        return drop(given.modules, given.workers)
    return mutate(given.modules, given.workers) if given.command == "run" else tell(given)


def mutate(modules: list[str], workers: int) -> int:
    """Try every mutant of these modules; of all of them, where none is named, those that were not tried yet.

    mutmut makes the mutants and notes which test reaches which function (by trying the few of one small module);
    `tests.mutation.forked` tries them, many times as fast.
    """
    made = subprocess.run(
        [sys.executable, "-m", "mutmut", "run", f"tenantgate.core.{SMALLEST}.*"], cwd=ROOT, check=False
    )
    if made.returncode:
        return made.returncode
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mutmut"]
    tests = [*config["pytest_add_cli_args_test_selection"], *config["pytest_add_cli_args"]]
    environment = os.environ | {
        "MUTANT_UNDER_TEST": "",
        forked.WANTED: ":".join(f"tenantgate.core.{name}.*" for name in modules),
        forked.WORKERS: str(workers),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.mutation.forked", *tests]
    return subprocess.run(
        command, cwd=ROOT / "mutants", env=environment, stdout=subprocess.DEVNULL, check=False
    ).returncode


def drop(modules: list[str], workers: int) -> int:
    """Try the changes of tables and numbers; print those that live and are not listed; return 1 if there are any."""
    tried, survived = tables.survivors(ROOT, modules, workers)
    left = unlisted(survived, read_list(FILE.read_text(), "table"))
    sys.stdout.write(f"{tried} tried, {len(survived)} live, {len(left)} of them not listed\n")
    sys.stdout.write(as_toml(left, "table") if left else "")
    return 1 if left else 0


def tell(given: argparse.Namespace) -> int:
    """Print how many died, who lived, and what is wrong with that; return 1 where something is."""
    results, listed = collect(ROOT), read_list(FILE.read_text())
    faults = find_faults(results, listed, whole=given.whole)
    if given.toml:
        sys.stdout.write(as_toml(unlisted(results.survived, listed)))
    elif given.json:
        modules = {name: count._asdict() for name, count in results.modules.items()}
        figures = {"score": results.score, "listed": len(listed), "modules": modules, "faults": faults}
        sys.stdout.write(json.dumps(figures) + "\n")
    else:
        sys.stdout.write("\n".join([*results.lines(), *faults]) + "\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
