"""The README's blocks do what they say: its Python is run, its commands are executed, its curl lines are sent."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real_parts import ROOT, need_binary

README = (ROOT / "README.md").read_text()
POLICY = """
version = 1
[[resources]]
id = "orders"
audiences = ["api://orders.publisher.example"]
"""


def _blocks(language: str) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```", README)


def _block(language: str, holding: str) -> str:
    found = [block for block in _blocks(language) if holding in block]
    assert len(found) == 1, f"{len(found)} {language} blocks hold {holding!r}"
    return found[0]


def _environment(folder: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TENANTGATE_")}
    return {**kept, "PATH": f"{Path(sys.executable).parent}:{kept['PATH']}", "HOME": str(folder), **more}


def test_two_commands_stand_first():
    """The first commands of the README are the two of a fresh machine, one line each."""
    assert _blocks("sh")[0].splitlines() == [
        "pip install uv && uv run tenantgate demo",
        "pip install uv && uv run pytest",
    ]


def test_embedding_runs(tmp_path: Path):
    """The FastAPI embedding runs as it stands: no token is 401, and OpenAPI names the scheme."""
    (tmp_path / "policy.toml").write_text(POLICY)
    check = """
from starlette.testclient import TestClient

with TestClient(app) as client:
    answer = client.get("/orders")
    assert answer.status_code == 401, answer
    assert answer.headers["x-tg-reason"] == "no_credential"
    assert "TenantGate-orders" in client.get("/openapi.json").json()["components"]["securitySchemes"]
"""
    code = _block("python", "orders.lifespan") + check
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=tmp_path, check=True, timeout=60)


def test_testing_example_passes(tmp_path: Path):
    """The README's test for our users' own suites is ten lines, and passes."""
    code = _block("python", "tenantgate.testing")
    assert len(code.partition("\n\n\n")[2].strip().splitlines()) == 10
    (tmp_path / "test_example.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_example.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


class Served:
    """The README's own server, with the key its commands showed."""

    def __init__(self, folder: Path, address: str, key: str) -> None:
        self.folder = folder
        self.address = address
        self.key = key


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Run the block of commands, the last one (`tenantgate serve`) in the background on a free port."""
    folder = tmp_path_factory.mktemp("readme")
    lines = _block("sh", "tenantgate migrate").replace("\\\n", "").strip().splitlines()
    assert lines[-1] == "tenantgate serve"
    done = subprocess.run(
        ["sh", "-ec", "\n".join(lines[:-1])],
        cwd=folder,
        env=_environment(folder),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    key = re.search(r"tg_[a-z0-9.-]+_[A-Za-z0-9_-]{43}", done.stdout)
    assert key is not None, done.stdout
    environment = _environment(folder, TENANTGATE_DATABASE_URL="sqlite:///tenantgate.db", TENANTGATE_BIND="127.0.0.1:0")
    child = subprocess.Popen(
        shlex.split(lines[-1]), cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        line = child.stdout.readline()
        assert line, child.communicate()[1].decode()
        yield Served(folder, json.loads(line)["listening"], key[0])
    finally:
        child.terminate()
        child.communicate(timeout=20)


@pytest.mark.slow
def test_commands_and_curl_allow_a_daemon(served: Served):
    """The commands list one partner's daemon, the curl lines another's; both stand in the exported policy."""
    need_binary("curl")
    script = (
        _block("sh", "api/v1/partners")
        .replace("http://127.0.0.1:8440", served.address)
        .replace("curl -sS", "curl -sS -f -w '\\n'")
    )
    done = subprocess.run(
        ["sh", "-ec", script],
        cwd=served.folder,
        env=_environment(served.folder, ADMIN_KEY=served.key),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

    export = subprocess.run(
        ["tenantgate", "policy", "export", "--database", "sqlite:///tenantgate.db"],
        cwd=served.folder,
        env=_environment(served.folder),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    policy = json.loads(export.stdout)
    assert {daemon["id"] for daemon in policy["daemons"]} == {"acme-sync", "globex-sync"}
    assert {each["daemon"] for each in policy["role_assignments"]} == {"acme-sync", "globex-sync"}


def test_demo_output_is_what_the_demo_prints(tmp_path: Path):
    """Each line of the table in the README is one the demo prints today, but for its figures and key ids."""
    shown = _block("text", "who was let in")
    done = subprocess.run(
        [sys.executable, "-m", "tenantgate", "demo", "--check", "--folder", str(tmp_path / "demo")],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert _rows(shown) == _rows(done.stdout)


def _rows(text: str) -> list[str]:
    """Return the table's rows without figures, key ids and spacing."""
    cells = [re.sub(r"\s+", " ", line.strip("│ ")) for line in text.splitlines() if line.startswith("│ ok")]
    return [re.sub(r"\d+ ms|call \d+|key \S{8}…", "#", cell).strip() for cell in cells]


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_links_lead_somewhere(target: str):
    """Every relative link of the README leads to a file or folder."""
    assert (ROOT / target).exists()
