"""`python -m tests.fuzz TARGET --seconds N`: fuzz one parser for a while; one JSON object says what came of it.

The exit status is 1 when something was found: its input is kept, and replayed by `python -m tests.fuzz TARGET FILE`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

_LAST_COVERAGE = re.compile(r"(?m)^#\d+\s+\w+\s+cov: (\d+) ft: (\d+) corp: (\d+)/")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument(
        "inputs", nargs="*", type=Path, metavar="FILE", help="run these inputs once, without the engine"
    )
    parser.add_argument("--seconds", type=int, default=60, help="how long (default 60)")
    parser.add_argument("--seed", type=int, default=0, help="the engine's own; 0 takes a new one each time")
    parser.add_argument("--corpus", type=Path, help="a folder to go on from and to add to (default: a new one)")
    parser.add_argument(
        "--found", type=Path, default=Path(), help="where inputs that find something go (default: here)"
    )
    given = parser.parse_args(arguments)
    if given.inputs:
        replay(TARGETS[given.target], given.inputs)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        report = fuzz(given.target, given.seconds, given.seed, given.corpus or Path(folder), given.found)
    sys.stdout.write(json.dumps(report) + "\n")
    return 1 if report["found"] or report["status"] else 0


def replay(target: Target, inputs: Iterable[Path]) -> None:
    """Run inputs once; the first that finds something ends it with its own traceback."""
    for path in inputs:
        target.run(path.read_bytes())


def fuzz(name: str, seconds: int, seed: int, corpus: Path, found: Path) -> dict[str, Any]:
    """Run the engine from the target's seeds; its log goes to standard error. Return what it did."""
    corpus.mkdir(parents=True, exist_ok=True)
    for each in TARGETS[name].seeds():
        (corpus / hashlib.sha256(each).hexdigest()[:40]).write_bytes(each)
    flags = [
        f"-max_total_time={seconds}",
        f"-seed={seed}",
        f"-artifact_prefix={found.resolve()}{os.sep}",
        "-timeout=20",  # of one input: longer is a finding
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
    ]
    command = [sys.executable, "-m", "tests.fuzz.engine", name, str(corpus), *flags]
    log = ""
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as child:
        assert child.stderr is not None
        for line in child.stderr:
            sys.stderr.write(line)
            log += line
    return {"target": name, **read(log), "status": child.returncode}


def read(log: str) -> dict[str, Any]:
    """Return the figures in an engine's log."""
    executed = re.search(r"stat::number_of_executed_units:\s+(\d+)", log)
    memory = re.search(r"stat::peak_rss_mb:\s+(\d+)", log)
    coverage = _LAST_COVERAGE.findall(log)
    edges, features, corpus = coverage[-1] if coverage else (0, 0, 0)
    return {
        "executions": int(executed[1]) if executed else 0,
        "edges": int(edges),
        "features": int(features),
        "corpus": int(corpus),
        "peak_mb": int(memory[1]) if memory else 0,
        "found": re.findall(r"Test unit written to (.*)", log),
    }


if __name__ == "__main__":
    sys.exit(main())
