"""`python -m tests.mutation run [MODULE…]` mutates the core and runs its tests; `report` holds what lives to the list.

mutmut does the work; what survives is told by what was changed, not by mutmut's numbers, which move when code does.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

from tests.mutation.results import collect
from tests.mutation.survivors import FILE, as_toml, find_faults, read_list, unlisted
from tests.real_parts import ROOT


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status: 0 when the tests are as strong as promised."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutation", description="Mutation testing of tenantgate/core."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="make mutants and try them; goes on where it was stopped")
    run.add_argument("modules", nargs="*", help="names of modules of the core (default: all)")
    run.add_argument("--workers", type=int, default=2)
    report = commands.add_parser("report", help="hold the survivors of what was run to tests/mutation/survivors.toml")
    form = report.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object instead of words")
    form.add_argument("--toml", action="store_true", help="the unlisted survivors in the list's own form")
    report.add_argument("--whole", action="store_true", help="fail where a mutant has not been tried")
    given = parser.parse_args(arguments)
    return mutate(given.modules, given.workers) if given.command == "run" else tell(given)


def mutate(modules: list[str], workers: int) -> int:
    """Let mutmut try every mutant of these modules that it has not tried since the code changed."""
    names = [f"tenantgate.core.{name}.*" for name in modules]
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", str(workers), *names]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def tell(given: argparse.Namespace) -> int:
    """Print how many died, who lived, and what is wrong with that; return 1 where something is."""
    results, listed = collect(ROOT), read_list(FILE.read_text())
    faults = find_faults(results, listed, whole=given.whole)
    if given.toml:
        sys.stdout.write(as_toml(unlisted(results, listed)))
    elif given.json:
        modules = {name: count._asdict() for name, count in results.modules.items()}
        figures = {"score": results.score, "listed": len(listed), "modules": modules, "faults": faults}
        sys.stdout.write(json.dumps(figures) + "\n")
    else:
        sys.stdout.write("\n".join([*results.lines(), *faults]) + "\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
