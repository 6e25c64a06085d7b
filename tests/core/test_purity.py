"""core judges and does nothing else: a short list of what it may import, and of what it may not call."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tenantgate.core

CORE = Path(tenantgate.core.__file__).parent
MODULES = sorted(CORE.rglob("*.py"))

# Values only: no clock, network, database, randomness, threads, files or logs. A module not on the list is a
# decision to be taken here, in the open.
ALLOWED = {
    "__future__",
    "collections.abc",
    "contextlib",
    "enum",
    "functools",
    "hashlib",
    "ipaddress",
    "itertools",
    "json",
    "operator",
    "re",
    "struct",
    "typing",
    "unicodedata",
    "urllib.parse",
    "msgspec",
    "msgspec.structs",
    "pybase64",
    "cryptography",
    "jwt.algorithms",
}
FORBIDDEN_CALLS = {"open", "input", "print", "eval", "exec", "compile", "__import__", "breakpoint", "globals", "vars"}
IMPURE = {
    "asyncio", "concurrent", "fastapi", "http", "httpcore", "httpx", "logging", "multiprocessing", "random", "secrets",
    "socket", "sqlalchemy", "sqlite3", "sqlmodel", "ssl", "subprocess", "threading",
}  # fmt: skip


def imports_of(path: Path) -> set[str]:
    """Return every module a file imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively"
            found.add(node.module or "")
    return found


def allowed(module: str) -> bool:
    """Whether core may import a module."""
    return module in ALLOWED or module.startswith(("tenantgate.core.", "cryptography."))


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in MODULES])
def test_a_module_of_core_imports_from_the_list_only(path: Path) -> None:
    """An allow-list: a deny-list would miss `datetime`, `uuid` or whatever comes next."""
    assert {module for module in imports_of(path) if not allowed(module)} == set()


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in MODULES])
def test_a_module_of_core_calls_nothing_impure(path: Path) -> None:
    """Built-in doors to the world are not used either."""
    calls = {
        node.func.id
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert calls.isdisjoint(FORBIDDEN_CALLS)


def test_every_entry_of_the_list_is_used() -> None:
    """A list that grows and never shrinks is no list."""
    used = set().union(*map(imports_of, MODULES))

    assert {entry for entry in ALLOWED if entry != "cryptography"} <= used


def test_importing_core_loads_nothing_impure() -> None:
    """A fresh interpreter that imports every module of core has no socket, no thread and no PyJWT yet."""
    parts = [path.relative_to(CORE).with_suffix("").parts for path in MODULES if path.stem != "__init__"]
    names = ", ".join(".".join(("tenantgate.core", *part)) for part in parts)
    code = f"import sys\nimport {names}\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())

    assert "tenantgate" in loaded
    assert loaded.isdisjoint(IMPURE | {"jwt"})


def test_the_check_finds_what_it_looks_for(tmp_path: Path) -> None:
    """An import of the clock, even inside a function, would be seen."""
    path = tmp_path / "bad.py"
    path.write_text("def now():\n    from time import time\n    import secrets, os.path\n    return time()\n")

    assert {module for module in imports_of(path) if not allowed(module)} == {"time", "secrets", "os.path"}
