"""The whole way: an issuer named in the settings, its keys fetched by the server, and a token it really issued."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from starlette.testclient import TestClient

from tenantgate.registry import attention, identities, operators, resources
from tenantgate.registry.attention import Item
from tenantgate.registry.engine import open_engine, reading
from tenantgate.registry.identities import Identity
from tenantgate.registry.migrations import migrate
from tenantgate.registry.operators import OperatorSpec
from tenantgate.registry.resources import ResourceSpec
from tenantgate.server import build_service
from tenantgate.settings import Settings, SettingsError, read_settings
from tests.emulator.program import RunningEmulator, running_emulator
from tests.gate.world import eventually
from tests.registry.builders import EPOCH, url_of, work_on

TID = "bbbbbbbb-0000-4000-8000-0000000000b1"
PARTNER = "bbbbbbbb-0000-4000-8000-0000000000b2"
CLIENT = "cccccccc-0000-4000-8000-0000000000b3"
OID = "dddddddd-0000-4000-8000-0000000000b4"
API = "aaaaaaaa-0000-4000-8000-0000000000b5"
SECRET = "emulator-only"
NOBODY = "http://127.0.0.1:1"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEmulator]:
    """An authority with the publisher's tenant and a partner's, and the same automation in both."""
    roles = {API: ["TenantGate.Operator"]}
    daemons = [{"client_id": CLIENT, "oid": OID, "client_secret": SECRET, "roles": roles}]
    tenants = [{"tid": tid, "name": name, "daemons": daemons} for tid, name in ((TID, "home"), (PARTNER, "partner"))]
    config = {"resources": [{"client_id": API}], "tenants": tenants}
    with running_emulator(config, tmp_path_factory.mktemp("emulator")) as running:
        yield running


def token_of(emulator: RunningEmulator, tid: str) -> str:
    """A token by client credentials."""
    form = {
        "grant_type": "client_credentials",
        "client_id": CLIENT,
        "client_secret": SECRET,
        "scope": f"{API}/.default",
    }
    return str(httpx.post(f"{emulator.authority}/{tid}/oauth2/v2.0/token", data=form).json()["access_token"])


def settings_for(authority: str, path: Path, **more: str) -> Settings:
    """Settings of a server that takes tokens of the publisher's tenant there."""
    issuer = {
        "authority": authority,
        "tenant": TID,
        "audiences": [API],
        "operator": ["TenantGate.Operator"],
        "insecure_allow_http": True,
    }
    return read_settings({}, database_url=url_of(path), admin_issuers=[issuer], **more)


@pytest.fixture
def database(tmp_path: Path, emulator: RunningEmulator) -> Path:
    """A registry in which the publisher's automation is an operator."""
    path = tmp_path / "registry.db"
    engine = open_engine(url_of(path))
    migrate(engine, epoch=EPOCH)
    with work_on(engine) as work:
        operators.create(work, OperatorSpec(id="pipeline", name="Pipeline", role="Admin"))
        identities.link(work, "pipeline", Identity(issuer=emulator.authority, tid=TID, oid=OID))
    engine.dispose()
    return path


def ask(client: TestClient, token: str) -> Any:
    """What `/me` answers."""
    return client.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})


@pytest.mark.threat(23)
def test_keys_are_fetched_and_kept(database: Path, emulator: RunningEmulator):
    """Own automation comes in; a partner's with the same role, client and object id does not. The keys outlive it."""
    own, partners = token_of(emulator, TID), token_of(emulator, PARTNER)
    with TestClient(build_service(settings_for(emulator.authority, database), NOBODY)) as client:
        found = ask(client, own)
        assert found.status_code == 200, found.text
        assert (found.json()["operator"]["id"], found.json()["role"]) == ("pipeline", "Operator")
        assert ask(client, partners).json()["code"] == "admin_key_refused"
    folder = database.parent / "registry.db.state" / "administrators" / "keys"
    assert [path.stem for path in folder.iterdir() if not path.name.startswith(".")] == ["administration-0"]


def test_with_the_issuer_gone_kept_keys_judge(database: Path, tmp_path: Path):
    """Started after the issuer went, a server lets in by the keys that an earlier one left."""
    roles = {API: ["TenantGate.Operator"]}
    daemons = [{"client_id": CLIENT, "oid": OID, "client_secret": SECRET, "roles": roles}]
    config = {"resources": [{"client_id": API}], "tenants": [{"tid": TID, "name": "home", "daemons": daemons}]}
    with running_emulator(config, tmp_path) as running:
        settings = settings_for(running.authority, database)
        engine = open_engine(url_of(database))
        with work_on(engine) as work:
            identities.link(work, "pipeline", Identity(issuer=running.authority, tid=TID, oid=OID))
        engine.dispose()
        own = token_of(running, TID)
        with TestClient(build_service(settings, NOBODY)) as client:
            assert ask(client, own).status_code == 200
    with TestClient(build_service(settings, NOBODY)) as client:
        assert ask(client, own).status_code == 200


def test_without_keys_the_answer_is_503(database: Path, emulator: RunningEmulator):
    """The issuer that is named is not there, and nothing was kept: nobody is judged, and nothing said of the token."""
    own = token_of(emulator, TID)
    with TestClient(build_service(settings_for(NOBODY, database), NOBODY)) as client:
        assert ask(client, own).status_code == 401  # of an issuer that nobody named
        answer = ask(client, _renamed(own, emulator.authority, NOBODY))
    assert (answer.status_code, answer.json()["code"]) == (503, "keys_unavailable")


def test_keys_that_cannot_be_had_need_a_person(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Told before nobody gets in any more: with which server, and why."""
    monkeypatch.chdir(tmp_path)
    engine = open_engine(url_of(database))

    def failing() -> list[Item]:
        with reading(engine) as session:
            return attention.read(session, now=int(time.time()))["issuer_failing"]

    settings = settings_for(NOBODY, database, resource="orders")
    with TestClient(build_service(settings, NOBODY)):
        eventually(lambda: len(failing()) == 1, seconds=30)
        (item,) = failing()
    engine.dispose()
    assert item.id.startswith("administrators/")
    assert item.path.startswith("/instances/")
    assert "cannot be refreshed" in item.text


def _renamed(token: str, old: str, new: str) -> str:
    """The same token, as if another authority had issued it: its signature is never looked at here."""
    head, body, signature = token.split(".")
    payload = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)).replace(old.encode(), new.encode())
    return f"{head}.{base64.urlsafe_b64encode(payload).rstrip(b'=').decode()}.{signature}"


def test_a_server_does_not_start_with_a_shared_audience(database: Path, emulator: RunningEmulator):
    """A resource that was there before the setting: named, and nothing is served."""
    engine = open_engine(url_of(database))
    with work_on(engine) as work:
        resources.create(work, ResourceSpec(id="sly", audiences=(API.upper(),)))
    engine.dispose()
    with pytest.raises(SettingsError, match="resource sly accepts one of"):
        build_service(settings_for(emulator.authority, database), NOBODY)
