"""Old and new side by side: the wheel of the commit before the newest migration, and this checkout, over one database.

Needs the history: in a shallow clone, or where the newest migration is not committed yet, there is no version before.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from tenantgate.registry.migrations import head_revision, migrations_folder
from tests.builders import signer
from tests.gate.world import eventually
from tests.postgres import Postgres
from tests.real.test_postgres_service import GATE
from tests.real_parts import ROOT, missing, need_binary
from tests.servers import AUDIENCE, Prepared, Server, environment_of

pytestmark = pytest.mark.slow


def git(*words: str) -> str:
    """What git says of this checkout, or the empty text."""
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def commit_before() -> str:
    """The commit before the one that brought the newest migration.

    A shallow clone has none, and nobody here can fetch it: that is said, where a missing part would be a failure.
    """
    if git("rev-parse", "--is-shallow-repository") == "true":
        pytest.skip("a shallow clone: the version before the newest migration is not in it")
    (script,) = (ROOT / "alembic" / "versions").glob(f"{head_revision()}_*.py")
    path = str(script.relative_to(ROOT))
    brought = git("log", "-1", "--no-renames", "--diff-filter=A", "--format=%H", "--", path)
    earlier = git("rev-list", "--first-parent", f"{brought}^").split() if brought else []
    before = next(filter(has_one_schema, earlier), "")
    return before or missing("commit before the newest migration (a shallow clone, or it is not committed)")


def has_one_schema(commit: str) -> bool:
    """Whether the migrations of a commit are one after the other: of two that met unmended nobody makes a version."""
    numbers = [Path(name).name[:4] for name in git("ls-tree", "--name-only", commit, "alembic/versions/").split()]
    return len(set(numbers)) == len(numbers)


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python in which the version before is installed from its wheel, beside what is installed here."""
    folder = tmp_path_factory.mktemp("old")
    commit = commit_before()
    (folder / "source").mkdir()
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", commit], capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", str(folder / "source")], input=archive, check=True)
    build = [need_binary("uv"), "build", "--quiet", "--wheel", "--out-dir", str(folder), str(folder / "source")]
    subprocess.run(build, cwd=folder, check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    python = str(folder / "venv" / "bin" / "python")
    find = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(subprocess.run([python, "-c", find], capture_output=True, text=True, check=True).stdout.strip())
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(site)
    # Only the folder: what its .pth files add, this checkout among it, is not taken over.
    (site / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    where = subprocess.run(
        [python, "-c", "import tenantgate; print(tenantgate.__file__)"],
        cwd=folder, env=without_checkout(os.environ), capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert where.startswith(str(site))
    return python


def without_checkout(environment: Mapping[str, str]) -> dict[str, str]:
    """The same environment, in which a Python finds the version that is installed."""
    return {name: value for name, value in environment.items() if name != "PYTHONPATH"}


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database that is not there yet, or is empty."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/registry.db"
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = server.create()
    yield server.url_of(name)
    server.drop(name)


class Version:
    """A version of the program, over one database."""

    def __init__(self, python: str, environment: dict[str, str], folder: Path) -> None:
        self.python = python
        self.environment = environment
        self.folder = folder

    def run(self, *words: str, status: int = 0) -> str:
        """Run a command; return what it prints."""
        done = subprocess.run(
            [self.python, "-m", "tenantgate", *words],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == status, (words, done.stdout, done.stderr)
        return done.stdout + done.stderr

    @contextmanager
    def serving(self) -> Iterator[Server]:
        """Run a server, over whatever is in the database."""
        server = Server(self.environment, self.folder, self.python, ready=False)
        try:
            yield server
        finally:
            server.stop()

    @contextmanager
    def gate(self) -> Iterator[Gate]:
        """Run a program that embeds the gate."""
        url = self.environment["TENANTGATE_DATABASE_URL"]
        with subprocess.Popen(
            [self.python, "-c", GATE, url], cwd=self.folder, env=self.environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            try:
                yield Gate(process)
            finally:
                process.terminate()


class Gate:
    """A program that embeds the gate and says what it decides."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def allows(self, token: str) -> bool:
        """Whether a token is let in."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{token}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline() == "granted\n"


@pytest.fixture
def versions(old: str, url: str, tmp_path: Path) -> tuple[Version, Version]:
    """The version before and this one."""
    environment = environment_of(url)
    (tmp_path / "run").mkdir()
    before = Version(old, without_checkout(environment), tmp_path / "run")
    return before, Version(sys.executable, environment, tmp_path / "run")


def prepare_by_rest(server: Server, key: str) -> None:
    """Put two partners on the list, by the API: what its commands and services are called is each version's own."""
    jwks = {"keys": [signer("ES256", "contoso").jwk(alg="ES256")]}
    for path, body in (
        ("/issuers", {"id": "contoso", "kind": "oidc", "issuer": "https://id.contoso.example", "jwks": jwks}),
        ("/resources", {"id": "orders", "audiences": [AUDIENCE]}),
        ("/app-roles", {"id": "read", "resource": "orders", "value": "Orders.Read"}),
        ("/partners", {"id": "contoso", "name": "Contoso"}),
        ("/tenants", {"id": "contoso", "issuer": "contoso", "partner": "contoso"}),
        ("/daemons", {"id": "contoso", "tenant": "contoso", "client_id": "sync"}),
        ("/role-assignments", {"id": "contoso", "app_role": "read", "daemon": "contoso"}),
    ):
        answer = server.rest(key, "POST", path, body)
        assert answer.status_code == 201, (path, answer.text)


def test_the_version_before_goes_on_beside_this_one(versions: tuple[Version, Version], url: str):
    """Servers and gates of both, through the migration: each enforces what the other did, and the audit holds."""
    before, now = versions
    before.run("migrate")
    made = before.run("admin-key", "create", "--operator-name", "Adm", "--role", "Admin", "--json")
    key = next(each for each in json.loads(made).values() if isinstance(each, str) and each.startswith("tg_"))
    with ExitStack() as running:
        old_server = running.enter_context(before.serving())
        prepare_by_rest(old_server, key)
        token = Prepared(url, key).token("contoso")
        old_gate = running.enter_context(before.gate())
        eventually(lambda: bool(old_server.allows(token)) and old_gate.allows(token), seconds=30)

        now.run("migrate")
        if not is_compatible():
            assert "schema_unknown" in before.run("serve", status=2)
            return
        new_server = running.enter_context(now.serving())
        everywhere = [old_server, new_server, old_gate, running.enter_context(now.gate())]
        for server, change, allowed in (
            (old_server, "suspend", False),
            (new_server, "activate", True),
            (new_server, "suspend", False),
            (old_server, "activate", True),
        ):
            answer = server.rest(key, "POST", f"/partners/contoso/{change}")
            assert answer.status_code == 200, answer.text
            for each in everywhere:
                eventually(lambda each=each, allowed=allowed: each.allows(token) is allowed, seconds=30)  # type: ignore[misc]
            made_there = server.rest(key, "POST", "/partners", {"name": f"By {change}"}).json()
            for each in (old_server, new_server):
                assert each.rest(key, "GET", f"/partners/{made_there['id']}").json()["name"] == f"By {change}"

        # An old one that has to start anew is let in, too: what restarts it knows nothing of the migration.
        assert "newer version" in before.run("migrate")
        old_server.kill()
        old_server.start()
        late_gate = running.enter_context(before.gate())
        assert new_server.rest(key, "POST", "/partners/contoso/suspend").status_code == 200
        for each in (*everywhere, late_gate):
            eventually(lambda each=each: each.allows(token) is False, seconds=30)  # type: ignore[misc]
    for version in versions:
        assert "in order" in version.run("audit", "verify")


def is_compatible() -> bool:
    """Whether the newest migration lets the version before go on."""
    script = ScriptDirectory(str(migrations_folder())).get_revision(head_revision())
    assert script is not None
    return str(script.module.oldest_compatible) < head_revision()
