"""What a run of mutmut left in `mutants/`: how many died in each module, and what the survivors change."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

KILLED = frozenset((1, 3))
TIMED_OUT = frozenset((24, 36, 152, 255, -24))
"""A mutant that never ends is found, too: its test would hang."""
UNTRIED = None


class Change(NamedTuple):
    """One surviving mutant: the function it is in, the lines that were there, and those that are there instead."""

    function: str
    was: str
    now: str

    @property
    def module(self) -> str:
        """The core module the function is in; of a room inside the core (`profiles`), the room."""
        return self.function.split(".")[0]


class Count(NamedTuple):
    """The mutants of one module. `survived` counts those that no test reaches as well."""

    killed: int
    survived: int
    untried: int


class Results(NamedTuple):
    """A run, module by module, with every survivor."""

    modules: dict[str, Count]
    survived: tuple[Change, ...]

    @property
    def score(self) -> float:
        """The share of all tried mutants that died."""
        killed, survived = (sum(count[place] for count in self.modules.values()) for place in (0, 1))
        return killed / (killed + survived) if killed + survived else 0.0

    def lines(self) -> Iterator[str]:
        """Yield one line a module, and the sum."""
        for name, (killed, survived, untried) in sorted(self.modules.items()):
            yield f"{name:12} {killed:5} killed {survived:5} survived {untried:5} not tried"
        yield f"score {self.score:.1%}"


def collect(root: Path) -> Results:
    """Read the results of the last runs from the `mutants` folder of a checkout."""
    modules: dict[str, Count] = {}
    survived: list[Change] = []
    core = root / "mutants" / "tenantgate" / "core"
    for path in sorted(core.rglob("*.py.meta")):
        codes = json.loads(path.read_text())["exit_code_by_key"]
        source = path.relative_to(core).with_suffix("")
        alive = [name for name, code in codes.items() if code not in KILLED | TIMED_OUT | {UNTRIED}]
        survived.extend(change_of(name, Path("tenantgate", "core", source)) for name in alive)
        untried = sum(code is UNTRIED for code in codes.values())
        if codes:
            module = source.parts[0].removesuffix(".py")
            found = Count(len(codes) - len(alive) - untried, len(alive), untried)
            modules[module] = Count(*map(sum, zip(found, modules.get(module, (0, 0, 0)), strict=True)))
    return Results(modules, tuple(survived))


def change_of(mutant: str, path: Path) -> Change:
    """Return what a mutant of a module changes. mutmut looks for `mutants` where the process runs."""
    from mutmut.mutation.diff_apply import get_diff_for_mutant

    diff = get_diff_for_mutant(mutant, path=path).splitlines()[2:]
    was, now = ("\n".join(line[1:].strip() for line in diff if line.startswith(sign)) for sign in "-+")
    return Change(function_of(mutant), was, now)


def function_of(mutant: str) -> str:
    """Return `keys.KeySet.find` for `tenantgate.core.keys.xǁKeySetǁfind__mutmut_3`."""
    module, _, name = re.sub(r"__mutmut_\d+$", "", mutant).removeprefix("tenantgate.core.").rpartition(".")
    return f"{module}." + (name[2:].replace("ǁ", ".") if name.startswith("xǁ") else name.removeprefix("x_"))
