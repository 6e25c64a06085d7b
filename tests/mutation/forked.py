"""A plugin of pytest that tries many mutants after one collection: a fork for each, its quickest tests first.

mutmut makes the mutants and knows which test reaches which function; but it collects the tests anew for each mutant,
and with thousands of them that is nearly all of its time. Here a child is forked once the tests are collected and
before any has run, so that no cache is filled; it switches its mutant on, runs what reaches it, and ends at the first
failure. What came of each stands where mutmut keeps it, so that `report` and mutmut's own commands read it.

Run in the folder `mutants`, by `python -m tests.mutation run`.
"""

from __future__ import annotations

import fnmatch
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

KILLED, SURVIVED, TIMED_OUT = 1, 0, 36
WANTED = "TENANTGATE_MUTANTS"
"""Environment: globs of the mutants to try, with a colon between; those that were tried are tried again."""
WORKERS = "TENANTGATE_MUTATION_WORKERS"
CORE = Path("tenantgate", "core")
MOST = 20
"""Tests that are remembered for a module."""


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool:
    """Try every wanted mutant instead of running the tests once; none, where a test fails by itself."""
    if os.waitstatus_to_exitcode(os.waitpid(start(session, "", session.items), 0)[1]) != SURVIVED:
        sys.__stderr__.write("a test fails before anything is changed\n")
        session.testsfailed = 1
        return True
    stats = json.loads(Path("mutmut-stats.json").read_text())
    items = {item.nodeid: item for item in session.items}
    tried, begun = 0, time.monotonic()
    running: dict[int, str] = {}
    workers = int(os.environ.get(WORKERS, "2"))
    killers = Killers()
    for name in wanted():
        while len(running) >= workers:
            settle(running, killers)
        running[start(session, name, killers.first(name, tests_of(name, stats, items)))] = name
        tried += 1
        if tried % 50 == 0:
            sys.__stderr__.write(f"{tried} tried, {(time.monotonic() - begun) / tried:.2f} s each\n")
            sys.__stderr__.flush()
    while running:
        settle(running, killers)
    sys.__stderr__.write(f"{tried} tried in {time.monotonic() - begun:.0f} s\n")
    return True


class Killers:
    """The tests that found a module's last mutants: they are asked first about its next one."""

    def __init__(self) -> None:
        self._known: dict[str, list[str]] = {}

    def found(self, mutant: str, test: str) -> None:
        """Note which test found a mutant."""
        known = self._known.setdefault(module_of(mutant), [])
        self._known[module_of(mutant)] = [test, *(each for each in known if each != test)][:MOST]

    def first(self, mutant: str, tests: list[pytest.Item]) -> list[pytest.Item]:
        """Return tests in the order to ask them."""
        known = self._known.get(module_of(mutant), [])
        places = {test: place for place, test in enumerate(known)}
        return sorted(tests, key=lambda each: places.get(each.nodeid, MOST))


def module_of(mutant: str) -> str:
    """Return `tenantgate.core.keys` for a mutant of one of its functions."""
    return mutant.rpartition(".")[0]


def wanted() -> Iterator[str]:
    """Yield the mutants to try: named ones, else all that were not tried."""
    globs = [glob for glob in os.environ.get(WANTED, "").split(":") if glob]
    for path in sorted(CORE.rglob("*.py.meta")):
        for name, code in json.loads(path.read_text())["exit_code_by_key"].items():
            if any(fnmatch.fnmatch(name, glob) for glob in globs) if globs else code is None:
                yield name


def tests_of(name: str, stats: dict[str, Any], items: dict[str, pytest.Item]) -> list[pytest.Item]:
    """Return the collected tests that reach a mutant's function, the quickest first."""
    function = name.rpartition("__mutmut_")[0]
    reached = stats["tests_by_mangled_function_name"].get(function, [])
    durations = stats["duration_by_test"]
    return [items[test] for test in sorted(reached, key=lambda test: durations.get(test, 0.0)) if test in items]


def start(session: pytest.Session, name: str, tests: list[pytest.Item]) -> int:
    """Fork a child that runs the tests under the mutant (none, where it has no name); return its process id."""
    child = os.fork()
    if child:
        return child
    code = TIMED_OUT
    try:
        os.environ["MUTANT_UNDER_TEST"] = name
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(60 + 2 * len(tests) // 10)
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        code = run(session, tests)
    finally:
        os._exit(code)


def run(session: pytest.Session, tests: list[pytest.Item]) -> int:
    """Run tests until one fails."""
    for test in tests:
        test.config.hook.pytest_runtest_protocol(item=test, nextitem=None)
        if session.testsfailed:
            Path(f"killer-{os.getpid()}").write_text(test.nodeid)
            return KILLED
    return SURVIVED


def settle(running: dict[int, str], killers: Killers) -> None:
    """Wait for a child, and write down what came of its mutant."""
    child, status = os.wait()
    name = running.pop(child)
    said = Path(f"killer-{child}")
    if said.exists():
        killers.found(name, said.read_text())
        said.unlink()
    code = os.waitstatus_to_exitcode(status)
    path = Path(*name.rpartition(".")[0].split(".")).with_suffix(".py.meta")
    meta = json.loads(path.read_text())
    meta["exit_code_by_key"][name] = TIMED_OUT if code < 0 else code
    whole = path.with_suffix(".new")  # whoever stops this run finds one or the other
    whole.write_text(json.dumps(meta, indent=4))
    whole.replace(path)
