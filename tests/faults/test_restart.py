"""A server that starts while its database is away: it judges by what it kept, and never by what was given up since."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tenantgate.feed.kept_lines import FIRST, line_after
from tenantgate.registry.engine import open_engine, writing
from tenantgate.registry.migrations import migrate
from tenantgate.registry.tables import Revision
from tests.gate.world import eventually
from tests.postgres import Postgres
from tests.servers import Prepared, Server, environment_of, prepare, tenantgate
from tests.test_metrics import free_port, read

pytestmark = [pytest.mark.slow, pytest.mark.faults]


@dataclass
class Away:
    """A database that can be taken away and brought back, and servers over it with one state folder."""

    prepared: Prepared
    folder: Path
    postgres: tuple[Postgres, str] | None
    servers: list[Server] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What its processes are given."""
        return environment_of(self.prepared.url, TENANTGATE_STATE_DIR=str(self.folder / "state"))

    def start(self, **more: str) -> Server:
        """Run a server."""
        self.servers.append(Server({**self.environment, **more}, self.folder))
        return self.servers[-1]

    def take_away(self) -> None:
        """Let nobody reach the database any more."""
        if self.postgres is not None:
            server, name = self.postgres
            server.run(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
            server.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        else:
            self._file.rename(self.folder / "away.db")

    def bring_back(self) -> None:
        """Let them again."""
        if self.postgres is not None:
            server, name = self.postgres
            server.run(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")
        else:
            (self.folder / "away.db").rename(self._file)

    def change(self, partner: str, what: str) -> int:
        """Suspend or activate a partner by the newest server; wait until it says that it enforces that."""
        server = self.servers[-1]
        answer = server.sure(self.prepared.admin_key, "POST", f"/partners/{partner}/{what}")
        assert answer.status_code == 200, answer.text
        revision = int(answer.headers["X-TG-Revision"])
        eventually(lambda: self._enforced() >= revision)
        return revision

    def _enforced(self) -> int:
        policy = self.servers[-1].sure(self.prepared.admin_key, "GET", "/policy").json()
        return max([each["acknowledged_revision"] or 0 for each in policy["instances"]], default=0)

    @property
    def _file(self) -> Path:
        return Path(self.prepared.url.removeprefix("sqlite:///"))


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def away(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Away]:
    """A registry with two partners, nothing running yet."""
    if request.param == "postgres":
        server: Postgres = request.getfixturevalue("postgres")
        name = server.create()
        found = Away(prepare(server.url_of(name)), tmp_path, (server, name))
    else:
        found = Away(prepare(f"sqlite:///{tmp_path}/registry.db"), tmp_path, None)
    yield found
    for each in found.servers:
        each.stop()
    if request.param == "postgres":
        server.drop(name)


def test_a_restart_without_the_database(away: Away):
    """Who was suspended stays out, who was not comes in; administration is closed until the database is back."""
    contoso, fabrikam = away.prepared.token("contoso"), away.prepared.token("fabrikam")
    first = away.start()
    assert (first.allows(contoso), first.allows(fabrikam)) == (True, True)
    away.change("contoso", "suspend")
    first.kill()
    away.take_away()

    port = free_port()
    second = away.start(TENANTGATE_METRICS_BIND=f"127.0.0.1:{port}")

    assert (second.allows(contoso), second.allows(fabrikam)) == (False, True)
    assert read(port)["tenantgate_attention_known"] == {(): 0.0}
    assert second.check(contoso).headers["X-TG-Reason"] == "caller_not_allowed"
    refused = second.rest(away.prepared.admin_key, "GET", "/me")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert refused.json()["code"] in {"database_missing", "database_unavailable"}
    assert refused.json()["request_id"] == refused.headers["X-Request-Id"]
    assert second.client.get("/").status_code == 503
    assert "is in force" in second.log.read_text()

    away.bring_back()
    eventually(lambda: second.rest(away.prepared.admin_key, "GET", "/me").status_code == 200)
    away.change("contoso", "activate")
    eventually(lambda: second.allows(contoso) is True)
    measured = read(port)
    assert measured["tenantgate_attention_known"] == {(): 1.0}
    assert measured["tenantgate_attention"]["access_request",] == 0.0


def test_nothing_kept_and_no_database_is_no_start(away: Away):
    """One line, as ever: there is no policy to judge by."""
    away.take_away()

    said = tenantgate(away.environment, away.folder, "serve", status=2)

    assert said.startswith(("database_missing: ", "database_unavailable: "))
    assert len(said.splitlines()) == 1


def test_what_was_kept_too_long_ago_is_no_start(away: Away):
    """A policy that nobody has heard of for a day lets nobody in after a restart either."""
    first = away.start()
    away.change("contoso", "suspend")
    first.kill()
    away.take_away()
    heard = away.folder / "state" / "policy" / "heard.jsonl"
    content = json.dumps({"at": round(time.time()), "age": 86_401.0}).encode()
    heard.write_bytes(line_after(FIRST, "heard", content)[1])

    said = tenantgate(away.environment, away.folder, "serve", status=2)

    assert "what was kept is 86401 s old, 86400 are allowed" in said


def restore(away: Away, backup: Path | str) -> None:
    """Put yesterday's database in place of today's."""
    if away.postgres is not None:
        server, name = away.postgres
        server.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        server.run(f"DROP DATABASE {name} WITH (FORCE)")
        server.run(f"CREATE DATABASE {name} TEMPLATE {backup}")
        return
    file = away._file
    for path in file.parent.glob(f"{file.name}-*"):
        if path.suffix in (".db-wal", ".db-shm"):
            path.unlink()
    shutil.copy(backup, file)


def back_up(away: Away) -> Path | str:
    """Copy the database as it is."""
    if away.postgres is not None:
        server, name = away.postgres
        server.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        server.run(f"CREATE DATABASE {name}_backup TEMPLATE {name}")
        return f"{name}_backup"
    there = away.folder / "backup.db"
    with sqlite3.connect(away._file) as live, sqlite3.connect(there) as copy:
        live.backup(copy)
    live.close()
    copy.close()
    return there


def test_a_restored_backup_lets_nobody_in_again_before_it_is_adopted(away: Away):
    """Also over a restart: the mark outside of the database knows better. Adopted, it is the policy; and audited."""
    contoso = away.prepared.token("contoso")
    first = away.start()
    away.change("fabrikam", "suspend")
    first.kill()
    backup = back_up(away)
    first = away.start()
    suspended = away.change("contoso", "suspend")
    first.kill()
    restore(away, backup)

    second = away.start()
    assert second.allows(contoso) is False
    eventually(lambda: "policy_went_back" in refusing(away))
    # A key of the backup may have been revoked since: with it nobody administers, and least of all adopts.
    for path in ("/me", "/policy", "/partners"):
        refused = second.rest(away.prepared.admin_key, "GET", path)
        assert (refused.status_code, refused.json()["code"]) == (503, "database_put_back")
    assert second.client.get("/").status_code == 503
    assert second.allows(contoso) is False

    # It goes on beyond the old revision by other changes: it is still another history.
    for _ in range(2):
        for what in ("activate", "suspend"):
            tenantgate(away.environment, away.folder, "partner", what, "fabrikam")
    eventually(lambda: "policy_history_differs" in refusing(away))
    assert second.allows(contoso) is False

    epoch = shown(away)["epoch"]
    assert "epoch_changed" in tenantgate(away.environment, away.folder, *ADOPT, "ep-of-yore", status=1)
    adopted = tenantgate(away.environment, away.folder, *ADOPT, epoch)
    assert "Admin keys that are live in this database" in adopted
    assert f"in place of {epoch}" in adopted
    assert shown(away)["revision"] > suspended
    eventually(lambda: second.allows(contoso) is True)
    eventually(lambda: set(refusing(away)) == {None})
    assert second.sure(away.prepared.admin_key, "GET", "/me").status_code == 200
    assert "policy.adopted" in tenantgate(away.environment, away.folder, "audit", "list")
    assert "in order" in tenantgate(away.environment, away.folder, "audit", "verify")

    # And the backup of before the adoption is of an epoch that was given up.
    away.change("contoso", "suspend")
    second.kill()
    restore(away, backup)
    third = away.start()
    eventually(lambda: "policy_epoch_unknown" in refusing(away))
    assert third.allows(contoso) is False


def test_a_key_that_was_revoked_since_administers_no_backup(away: Away):
    """It is live in the backup; but administration is closed until somebody who has the database itself has looked."""
    first = away.start()
    away.change("contoso", "suspend")
    first.kill()
    backup = back_up(away)
    first = away.start()
    away.change("contoso", "activate")
    (key,) = tenantgate_keys(away)
    tenantgate(away.environment, away.folder, "admin-key", "revoke", key)
    assert first.rest(away.prepared.admin_key, "GET", "/me").status_code == 401
    first.kill()
    restore(away, backup)

    second = away.start()

    refused = second.rest(away.prepared.admin_key, "POST", "/partners/contoso/activate")
    assert (refused.status_code, refused.json()["code"]) == (503, "database_put_back")
    assert refused.headers["Retry-After"] == "5"
    # Whoever has the database looks, revokes once more, and lets it count.
    tenantgate(away.environment, away.folder, "admin-key", "revoke", key)
    assert "No admin key is live here." in tenantgate(away.environment, away.folder, *ADOPT, shown(away)["epoch"])
    eventually(lambda: second.rest(away.prepared.admin_key, "GET", "/me").status_code == 401)


ADOPT = ("policy", "adopt", "--epoch")


def shown(away: Away) -> dict[str, Any]:
    """What `policy show` tells: the database itself is asked, as administration may be closed."""
    found: dict[str, Any] = json.loads(tenantgate(away.environment, away.folder, "policy", "show", "--json"))
    return found


def tenantgate_keys(away: Away) -> list[str]:
    """The ids of the admin keys."""
    listed = json.loads(tenantgate(away.environment, away.folder, "admin-key", "list", "--json"))
    return [each["id"] for each in listed["items"]]


def refusing(away: Away) -> list[str | None]:
    """What the running instances say against the database."""
    return [each["refuses"] for each in shown(away)["instances"]]


def test_another_installations_folder_is_refused(away: Away, tmp_path: Path):
    """A state folder that remembers another database keeps its policy and says so; `policy adopt` is the way."""
    first = away.start()
    away.change("contoso", "suspend")
    first.kill()
    engine = open_engine(away.prepared.url)
    migrate(engine, epoch="unused")
    with writing(engine) as session:
        session.execute(sa.update(Revision).values(epoch="epoch-elsewhere"))
    engine.dispose()

    away.start()
    eventually(lambda: "policy_epoch_unknown" in refusing(away))
    said = tenantgate(away.environment, tmp_path, "policy", "adopt", "--epoch", "epoch-elsewhere")
    assert "\nadopted: epoch ep-" in said
    eventually(lambda: set(refusing(away)) == {None})
