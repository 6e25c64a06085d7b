"""`python -m benchmarks NAME`: run one benchmark and print its figures, as a table or as one JSON object."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Final

import msgspec

from benchmarks.report import table

BENCHMARKS: Final = {
    "judge": ("benchmarks.judge", "One token: the whole judgement against the signature alone, and against others."),
    "scale": ("benchmarks.scale", "10³ to 10⁶ daemons: memory, look-up, one change, garbage collection."),
    "start": ("benchmarks.start", "A process without a network: from its start to its first grant, by keys on disk."),
    "registry": ("benchmarks.registry", "10⁵ partners, 10⁶ daemons: lists, searches, and the policy read cold."),
    "propagation": ("benchmarks.propagation", "A suspension: how soon every one of ten processes refuses."),
}
"""Name → module and help line. A module has `add_arguments(parser)` and `run(arguments) -> dict`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark that `argv` names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = parser.add_subparsers(dest="name", metavar="NAME", required=True)
    for name, (module, summary) in BENCHMARKS.items():
        one = names.add_parser(name, help=summary, description=summary)
        one.add_argument("--json", action="store_true", help="print one JSON object (keys: docs/performance.md)")
        importlib.import_module(module).add_arguments(one)
    arguments = parser.parse_args(argv)
    figures = importlib.import_module(BENCHMARKS[arguments.name][0]).run(arguments)
    sys.stdout.write(msgspec.json.encode(figures).decode() + "\n" if arguments.json else table(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
