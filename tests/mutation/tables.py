"""What mutmut leaves alone: the tables and numbers at the top of a module, without one member, or one more.

The core keeps much of what it knows there (claims that mark a user, header members that are never followed, limits), so
each member must be missed by a test. What a profile says of its make of issuer is such a table: its members have names.
"""

from __future__ import annotations

import ast
import copy
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tests.mutation.results import Change

TESTS = ("tests/core/test_decide.py", "tests/core/test_app_only.py", "tests/core")
"""The quickest to notice first; the last is the whole suite of the core."""


def changes(module: str, source: str) -> Iterator[tuple[Change, str]]:
    """Yield each change of a module's tables and numbers, with the source that has it."""
    tree = ast.parse(source)
    for place, statement in enumerate(tree.body):
        if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
            continue
        target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
        for was, now in (*variants(statement.value), *without_named(statement.value)):
            whole = copy.copy(tree)
            changed = copy.copy(statement)
            changed.value = now
            whole.body = [*tree.body[:place], changed, *tree.body[place + 1 :]]
            yield Change(f"{module}.{ast.unparse(target)}", was, ""), ast.unparse(whole)


def variants(value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """Yield a value without one member of one table in it, or a number and one more; and what was changed."""
    if is_number(value):
        yield ast.unparse(value), ast.BinOp(value, ast.Add(), ast.Constant(1))
        return
    for path in tables(value):
        length = len(members_of(follow(value, path)))
        for place in range(length):
            changed = copy.deepcopy(value)
            table = follow(changed, path)
            was = ast.unparse(members_of(table)[place])
            del members_of(table)[place]
            if isinstance(table, ast.Dict):
                was = f"{ast.unparse(table.keys[place] or value)}: {was}"
                del table.keys[place]
            yield was, changed


def without_named(value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """Yield what is made at the top of a module, without one of its named members."""
    for place, given in enumerate(value.keywords if isinstance(value, ast.Call) else ()):
        changed = copy.deepcopy(value)
        assert isinstance(changed, ast.Call)
        del changed.keywords[place]
        yield ast.unparse(given), changed


def members_of(node: ast.AST) -> list[ast.expr]:
    """Return the members of a table that is written out."""
    if isinstance(node, ast.Dict):
        return node.values
    assert isinstance(node, ast.Tuple | ast.List | ast.Set)
    return node.elts


def tables(node: ast.AST, path: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """Yield the way to each table written out in an expression; what a lambda does is no table."""
    if isinstance(node, ast.Tuple | ast.List | ast.Set | ast.Dict):
        yield path
    if not isinstance(node, ast.Lambda):
        for place, child in enumerate(ast.iter_child_nodes(node)):
            yield from tables(child, (*path, place))


def follow(node: ast.AST, path: tuple[int, ...]) -> ast.AST:
    """Return the node at the end of a way."""
    for place in path:
        node = list(ast.iter_child_nodes(node))[place]
    return node


def is_number(value: ast.expr) -> bool:
    """Whether a value is a whole number, written out or calculated from such."""
    if isinstance(value, ast.BinOp):
        return is_number(value.left) and is_number(value.right)
    return isinstance(value, ast.Constant) and type(value.value) is int


def survivors(root: Path, modules: list[str], workers: int) -> tuple[int, list[Change]]:
    """Try every change of these modules (all, if none is named); return how many there are, and those that live."""
    core = root / "tenantgate" / "core"
    paths = [path for name in modules or [""] for path in sources(core, name)]
    todo = [(path, *each) for path in paths for each in changes(name_of(path), (core / path).read_text())]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(workers) as pool:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(workers):
            copies.put(copied(root, Path(folder) / str(number)))
        assert lives(copies, paths[0], (core / paths[0]).read_text()), "the tests fail before anything is changed"
        alive = list(pool.map(lambda each: lives(copies, each[0], each[2]), todo))
    return len(todo), [change for (_, change, _), alive_one in zip(todo, alive, strict=True) if alive_one]


def sources(core: Path, name: str) -> list[Path]:
    """Return the files of a module, or of a room inside the core; of all of them where no name is given."""
    files = sorted(path.relative_to(core) for path in core.rglob("[a-z]*.py"))
    return [path for path in files if name in ("", path.parts[0].removesuffix(".py"), name_of(path))]


def name_of(path: Path) -> str:
    """Return `profiles.okta` for `profiles/okta.py`."""
    return ".".join(path.with_suffix("").parts)


def copied(root: Path, folder: Path) -> Path:
    """Copy what the core's tests need of a checkout."""
    for name in ("tenantgate", "tests", "docs"):
        shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "pyproject.toml", folder)
    return folder


def lives(copies: SimpleQueue[Path], changed: Path, source: str) -> bool:
    """Run the core's tests with one module changed; whether they all pass."""
    folder = copies.get()
    path = folder / "tenantgate" / "core" / changed
    kept = path.read_text()
    try:
        path.write_text(source)
        options = ["-x", "-q", "--hypothesis-profile=mutants", "--deselect=tests/core/test_purity.py"]
        command = [sys.executable, "-B", "-m", "pytest", *options, *TESTS]
        return subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=300).returncode == 0
    finally:
        path.write_text(kept)
        copies.put(folder)
