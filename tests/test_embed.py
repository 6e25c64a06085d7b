"""What the composition roots hand on to the gate they make."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlmodel import select

from tenantgate import Denied, RequestView
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.limits import BOUNDS, LIMITS, Limits
from tenantgate.embed import open_gate
from tenantgate.files import StateDirUnusable
from tenantgate.registry import decisions
from tenantgate.registry.decision_tables import DecisionCount
from tenantgate.registry.engine import open_engine, reading
from tenantgate.server import build_service
from tenantgate.settings import SettingsError, read_settings
from tests.gate.world import eventually
from tests.registry.builders import an_engine, everything, url_of, work_on
from tests.servers import MASTER_KEY

POLICY = """
version = 1
[[resources]]
id = "orders"
audiences = ["api://orders.publisher.example"]
"""
OWN = Limits(token_bytes=8_192, header_bytes=2_048, kid_bytes=64, audiences=4, depth=5, members=32)


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the smallest policy, in a folder without settings."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policy.toml").write_text(POLICY)
    return tmp_path / "policy.toml"


def test_an_embedded_gate_has_the_limits_it_was_given(policy: Path):
    """`open_gate` hands them on; left out they are the defaults."""
    for given, expected in ((OWN, OWN), (None, LIMITS)):
        gate = open_gate(policy, resource="orders", limits=given) if given else open_gate(policy, resource="orders")
        try:
            assert gate.limits == expected
        finally:
            gate.close()


def test_the_servers_gate_has_the_limits_of_the_settings(policy: Path, monkeypatch: pytest.MonkeyPatch):
    """Each setting reaches the gate behind /auth/check."""
    for name in BOUNDS:
        monkeypatch.setenv(f"TENANTGATE_MAX_{name.upper()}", str(getattr(OWN, name)))
    service = build_service(read_settings({}, policy=policy, resource="orders"), "http://127.0.0.1:1")
    gate = service._gate
    assert gate is not None
    try:
        assert gate.limits == OWN
    finally:
        gate.close()


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="this system has no clock that goes on in its sleep")
def test_keys_age_while_the_machine_sleeps(policy: Path):
    """By the clock that counts the time since the machine was started, asleep or not."""
    gate = open_gate(policy, resource="orders")
    try:
        before = time.clock_gettime(time.CLOCK_BOOTTIME)
        told = gate._keys._clock()  # type: ignore[attr-defined]
        assert before <= told <= time.clock_gettime(time.CLOCK_BOOTTIME)
    finally:
        gate.close()


def test_keys_are_kept_where_the_caller_says(policy: Path, tmp_path: Path):
    """`state_dir` is made where it is not there; left out, nothing is written anywhere."""
    for state_dir, made in ((tmp_path / "state", True), (None, False)):
        before = set(tmp_path.iterdir())
        open_gate(policy, resource="orders", state_dir=state_dir).close()
        assert (set(tmp_path.iterdir()) - before == {tmp_path / "state"}) is made


def test_a_folder_that_is_not_ours_alone_ends_the_start(policy: Path, tmp_path: Path):
    """Whoever may write there would say which keys are an issuer's."""
    folder = tmp_path / "state" / "keys"
    folder.mkdir(parents=True)
    folder.chmod(0o777)

    with pytest.raises(StateDirUnusable, match=f"keys cannot be kept in {folder}: others may write to it"):
        open_gate(policy, resource="orders", state_dir=tmp_path / "state")


@pytest.mark.parametrize(
    ("given", "folder"),
    [
        ({"database_url": "sqlite:////var/lib/tenantgate/a.db"}, Path("/var/lib/tenantgate/a.db.state")),
        ({"database_url": "sqlite:///a.db"}, Path("a.db.state")),
        ({"database_url": "sqlite:///a.db", "state_dir": "/var/lib/x"}, Path("/var/lib/x")),
        ({"policy": "policy.toml", "resource": "orders"}, None),
        ({"policy": "policy.toml", "resource": "orders", "state_dir": "here"}, Path("here")),
    ],
)
def test_a_server_keeps_keys_beside_its_database(
    given: dict[str, str], folder: Path | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Unless a setting says where else; with a policy file nowhere."""
    monkeypatch.chdir(tmp_path)
    assert read_settings({}, **given).state_folder == folder


def test_the_servers_gate_keeps_keys_in_that_folder(policy: Path, tmp_path: Path):
    """The setting reaches the gate behind /auth/check."""
    service = build_service(
        read_settings({}, policy=policy, resource="orders", state_dir=tmp_path / "s"), "http://127.0.0.1:1"
    )
    assert service._gate is not None
    service._gate.close()

    assert (tmp_path / "s" / "keys").is_dir()


def test_at_its_end_the_service_has_nothing_of_its_database_open(tmp_path: Path):
    """Neither of the gate, nor of the administration: SQLite then puts its log into the file, and takes it away."""
    path = tmp_path / "registry.db"
    with work_on(engine := an_engine(path)) as work:
        everything(work)
    engine.dispose()
    settings = read_settings({}, database_url=url_of(path), resource="orders", master_key=MASTER_KEY)
    service = build_service(settings, "http://127.0.0.1:1")
    log = path.with_name("registry.db-wal")
    with TestClient(service):
        assert log.exists()

    assert not log.exists()


def test_a_database_that_is_gone_for_too_long_ends_the_judging(tmp_path: Path):
    """The policy serves on for as long as was said; then nobody is let in, until the database is back."""
    path = tmp_path / "registry.db"
    engine = an_engine(path)
    with work_on(engine) as work:
        everything(work)
    gate = open_gate(url_of(path), resource="orders", max_policy_age=2.0)

    def reason() -> R:
        decision = gate.decide(RequestView("GET", "/", [(b"authorization", b"Bearer x")]))
        assert isinstance(decision, Denied)
        return decision.reason

    try:
        eventually(lambda: reason() is R.TOKEN_MALFORMED)  # at once, unless this machine has just stood still
        away = path.rename(tmp_path / "away.db")
        eventually(lambda: reason() is R.POLICY_TOO_OLD)
        assert gate.revision == ("", 0)
        away.rename(path)
        eventually(lambda: reason() is R.TOKEN_MALFORMED)
        eventually(lambda: gate.revision[1] == 1)
    finally:
        gate.close()
        engine.dispose()


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with one of each in it, in a folder without settings."""
    monkeypatch.chdir(tmp_path)
    engine = an_engine(tmp_path / "registry.db")
    with work_on(engine) as work:
        everything(work)
    engine.dispose()
    return url_of(tmp_path / "registry.db")


def told(database: str) -> list[str]:
    """The ids of the decisions whose details were kept."""
    engine = open_engine(database)
    with reading(engine) as session:
        found = [row.id for row in decisions.list_(session).items]
        assert sum(each.count for each in session.exec(select(DecisionCount))) >= len(found)
    engine.dispose()
    return found


def test_an_embedded_gate_counts_its_decisions_in_its_database(database: str):
    """Closing it hands over what there is; until then each second does."""
    gate = open_gate(database, resource="orders", decision_days=7, decision_sample=0.5)
    first = gate.decide(RequestView("GET", "/", []))
    eventually(lambda: told(database) == [first.id])
    second = gate.decide(RequestView("GET", "/", [(b"authorization", b"Bearer a.b.c")]))
    gate.close()

    assert set(told(database)) == {first.id, second.id}


def test_the_server_counts_its_decisions(database: str):
    """By its settings."""
    settings = read_settings({}, database_url=database, resource="orders", decision_days=7, decision_sample=0)
    service = build_service(settings, "http://127.0.0.1:1")
    assert service._gate is not None
    denied = service._gate.decide(RequestView("GET", "/", []))
    service._gate.close()

    assert told(database) == [denied.id]


@pytest.mark.parametrize(
    ("name", "value"),
    [("DAYS", "0"), ("DAYS", "367"), ("DAYS", "1.5"), ("DAYS", "x")]
    + [("SAMPLE", each) for each in ("-1", "1.1", "nan", "1e-3", "", "0.1234567", "2")],
)
@pytest.mark.usefixtures("policy")
def test_days_and_sample_are_within_bounds(name: str, value: str, monkeypatch: pytest.MonkeyPatch):
    """What is not ends the start, with the name of the setting."""
    monkeypatch.setenv(f"TENANTGATE_DECISION_{name}", value)
    with pytest.raises(SettingsError, match=f"TENANTGATE_DECISION_{name}: must be"):
        read_settings({})
