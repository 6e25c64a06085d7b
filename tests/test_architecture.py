"""The rooms keep to their walls, and importing a room costs only what it needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("fastapi", "sqlmodel", "sqlalchemy", "httpx", "httpcore", "starlette", "uvicorn", "pydantic", "jinja2")


def _loaded_by(code: str) -> set[str]:
    """Return the top-level modules a fresh interpreter holds after running `code`."""
    script = f"{code}\nimport sys\nprint(' '.join(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


def test_import_contracts_hold():
    """Imports go down only, and the walls between rooms stand (import-linter)."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--no-cache",
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_importing_tenantgate_loads_nothing_heavy():
    """`import tenantgate` pulls in neither FastAPI nor SQLModel nor httpx."""
    assert not _loaded_by("import tenantgate").intersection(HEAVY)


def test_opening_a_gate_over_a_file_loads_nothing_heavy(tmp_path: Path):
    """`open_gate(file)` pulls in neither FastAPI nor SQLModel nor httpx, even when it judges."""
    policy = tmp_path / "policy.toml"
    policy.write_text('version = 1\n[[resources]]\nid = "orders"\naudiences = ["api://orders"]\n')
    code = (
        "from tenantgate import open_gate\n"
        "from tenantgate.gate.request import RequestView\n"
        f"gate = open_gate({str(policy)!r}, resource='orders')\n"
        "decision = gate.decide(RequestView('GET', '/', [(b'authorization', b'Bearer a.b.c')]))\n"
        "assert decision.reason == 'token_malformed', decision\n"
        "gate.close()"
    )
    assert not _loaded_by(code).intersection(HEAVY)


def test_package_exports_what_it_says():
    """Every name in `__all__` is there, and nothing public is missing from it."""
    import tenantgate

    for name in tenantgate.__all__:
        assert getattr(tenantgate, name) is not None
    assert sorted(tenantgate.__all__) == sorted(name for name in dir(tenantgate) if not name.startswith("_"))


def test_package_names_its_unknown_names():
    """A name that is not exported is an AttributeError, as anywhere."""
    import tenantgate

    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = tenantgate.nothing


@pytest.mark.parametrize("room", [path.parent.name for path in (ROOT / "tenantgate").glob("*/__init__.py")])
def test_room_imports_nothing_by_itself(room: str):
    """A room's `__init__` holds its docstring; only cli's holds its entry point."""
    text = (ROOT / "tenantgate" / room / "__init__.py").read_text()
    imports = [line for line in text.splitlines() if line.startswith(("import ", "from "))]
    assert [line for line in imports if "__future__" not in line and line != "import sys"] == []


def test_alembic_folder_is_no_package():
    """`alembic/` never gets an `__init__.py`: it would hide the library of that name."""
    assert not list((ROOT / "alembic").rglob("__init__.py"))
