"""What is shipped works: the wheel in a clean environment, and this checkout."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.http import get
from tests.real_parts import ROOT, need_binary

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def _run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, env=_environment())
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TENANTGATE_", "VIRTUAL_ENV"))}
    return {**kept, "PYTHONWARNINGS": "error::DeprecationWarning:tenantgate"}


@contextmanager
def _serving(command: list[str], cwd: Path) -> Iterator[str]:
    child = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=_environment())
    assert child.stdout is not None
    assert child.stderr is not None
    try:
        line = child.stdout.readline()
        assert line, child.stderr.read().decode()
        yield json.loads(line)["listening"]
    finally:
        child.terminate()
        child.communicate(timeout=20)


def _migrate_and_start(tenantgate: list[str], folder: Path) -> None:
    """Migrate a new database and serve from it; the page, its style and the two health words answer."""
    database = f"sqlite:///{folder}/registry.db"
    _run(*tenantgate, "migrate", "--database", database, cwd=folder)
    with _serving([*tenantgate, "serve", "--bind", "127.0.0.1:0", "--database", database], folder) as address:
        assert get(f"{address}/health/live") == b"ok\n"
        assert get(f"{address}/health/ready") == b"ok\n"
        page = get(f"{address}/sign-in").decode()
        assert "TenantGate" in page
        style = re.search(r'href="([^"]+tabler[^"]*\.css[^"]*)"', page)
        assert style is not None
        assert len(get(f"{address}{style[1]}")) > 100_000


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    _run(need_binary("uv"), "build", "--quiet", "--wheel", "--out-dir", str(folder), str(ROOT), cwd=folder)
    return next(folder.glob("*.whl"))


def test_wheel_holds_page_and_migrations(wheel: Path):
    """Templates, static files and migrations travel inside the package; the migrations folder is no package."""
    names = zipfile.ZipFile(wheel).namelist()

    assert "tenantgate/_admin_ui/static/vendor/tabler.min.css" in names
    assert any(name.startswith("tenantgate/_admin_ui/templates/") for name in names)
    assert "tenantgate/_migrations/env.py" in names
    assert any(name.startswith("tenantgate/_migrations/versions/0001") for name in names)
    assert "tenantgate/_migrations/__init__.py" not in names
    assert not [name for name in names if name.startswith(("tests/", "alembic/", "admin_ui/", "benchmarks/"))]


@pytest.mark.slow
def test_wheel_works_in_a_clean_environment(wheel: Path, tmp_path: Path):
    """Installed from the hashed lock and the wheel alone, the server migrates, starts and serves its page."""
    uv = need_binary("uv")
    python = tmp_path / "venv" / "bin" / "python"
    _run(uv, "venv", "--quiet", "--python", sys.executable, str(tmp_path / "venv"), cwd=tmp_path)
    install = [uv, "pip", "install", "--quiet", "--python", str(python)]
    _run(*install, "--require-hashes", "-r", str(ROOT / "requirements.lock"), cwd=tmp_path)
    _run(*install, "--no-deps", str(wheel), cwd=tmp_path)

    _migrate_and_start([str(python.with_name("tenantgate"))], tmp_path)


@pytest.mark.slow
def test_checkout_works_as_it_is(tmp_path: Path):
    """From an editable checkout the same commands work, with the page and migrations of the checkout."""
    _migrate_and_start([sys.executable, "-m", "tenantgate"], tmp_path)


def test_pins_agree():
    """The hashed lock names the very versions that uv is held to, and every dependency has a pin."""
    pins = dict(pin.split("==") for pin in PYPROJECT["tool"]["uv"]["constraint-dependencies"])
    locked = dict(re.findall(r"(?m)^([a-z0-9._-]+)==([^ ;\\]+)", (ROOT / "requirements.lock").read_text()))
    wanted = {re.split(r"[>=\[ ]", each)[0] for each in PYPROJECT["project"]["dependencies"]}

    assert wanted <= locked.keys()
    assert {name: pins.get(name) for name in locked} == locked
    for group in PYPROJECT["dependency-groups"].values():
        assert {re.split(r"[>=\[ ]", each)[0] for each in group} <= pins.keys()


def test_every_locked_version_is_hashed():
    """Each entry of the lock carries hashes, and no entry says where it came from."""
    text = (ROOT / "requirements.lock").read_text()
    entries = re.split(r"(?m)^(?=[a-z0-9._-]+==)", text)[1:]

    assert entries
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text


def test_build_requirements_are_pinned():
    """The build back end is pinned too."""
    pins = {pin.split("==")[0] for pin in PYPROJECT["tool"]["uv"]["build-constraint-dependencies"]}
    assert "hatchling" in pins


def test_ci_installs_what_the_readme_says():
    """The install lines for the real parts stand in the README and in `.ci/run`, with the same packages."""
    readme, script = (ROOT / "README.md").read_text(), (ROOT / ".ci" / "run").read_text()

    for command in ("apt-get install", "npm install"):
        said, done = (re.search(rf"{command}[^\n]*", text) for text in (readme, script))
        assert said is not None, command
        assert done is not None, command
        assert _packages(said[0]) == _packages(done[0])
    for line in ("uv run tenantgate demo", "uv run pytest", "uv sync --group real"):
        assert line in readme
    for line in ("uv run tenantgate demo --check", "uv run pytest", "--group real", "TENANTGATE_REQUIRE_REAL=1"):
        assert line in script


def _packages(line: str) -> list[str]:
    words = line.split()[2:]
    return sorted(word for word in words if re.fullmatch(r"[a-z][a-z0-9@.-]*", word))
