"""`/metrics`, read as Prometheus reads it."""

from __future__ import annotations

import socket
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from tenantgate.admin.administrators import Administrators
from tenantgate.admin.trusted import AdminIssuer, Trusted
from tenantgate.core.keys import KeySetRef
from tenantgate.core.policy import is_id
from tenantgate.discovery.health import IssuerHealth
from tenantgate.gate.recorder import Recorded
from tenantgate.metrics import MetricsServer
from tenantgate.server import build_service
from tenantgate.settings import SettingsError, read_settings
from tests.admin.staff import KEYCLOAK
from tests.builders import signer
from tests.discovery.fakes import JWKS, World, a_row

LABELS = ("issuer", "document", "appid", "state", "code", "kind")
Sample = dict[tuple[str, ...], float]


class FakeGate:
    """A gate whose keys a test's own keyring has."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.revision = ("e", 7)
        self.recorded: Recorded | None = None

    def key_health(self) -> list[IssuerHealth]:
        """Return how every key set is doing."""
        return self._world.keyring.health()


def read(port: int) -> dict[str, Sample]:
    """Return every sample by metric and label values."""
    found: dict[str, Sample] = {}
    for family in text_string_to_metric_families(text_at(port)):
        for sample in family.samples:
            labels = tuple(sample.labels[name] for name in LABELS if name in sample.labels)
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


def text_at(port: int) -> str:
    """Return what is served at a port."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


@pytest.fixture
def anyio_backend() -> str:
    """The keyring lives on asyncio."""
    return "asyncio"


@pytest.fixture
def world() -> World:
    """Two issuers: one whose keys are had, one whose are not."""
    a, b = signer("ES256", "a"), signer("ES256", "b")
    gone = a_row(id="gone", issuer="https://gone.example")
    return World(a, b, rows=[a_row(distrusted_keys=(b.kid,)), gone])


async def test_what_a_gate_knows_is_measured(world: World):
    """Keys by state, their age, failures by class, the clocks; and what is not known is absent."""
    world.door.date = world.wall() - 4
    await world.keyring.ensure(KeySetRef("globex"), None)
    await world.keyring.ensure(KeySetRef("gone"), None)
    world.keyring.authentic(KeySetRef("globex"), 9.0)
    await world.clock.advance(60)
    server = MetricsServer(FakeGate(world), "127.0.0.1", 0)
    try:
        found = read(server.port)
    finally:
        server.close()

    well, ill = ("globex", "v2", ""), ("gone", "v2", "")
    assert found["tenantgate_policy_revision"] == {(): 7.0}
    keys = found["tenantgate_issuer_keys"]
    assert {state: keys[*well, state] for state in ("serving", "withdrawn", "distrusted")} == {
        "serving": 1.0,
        "withdrawn": 0.0,
        "distrusted": 1.0,
    }
    assert found["tenantgate_issuer_keys_age_seconds"] == {well: 60.0}
    assert found["tenantgate_issuer_clock_ahead_seconds"] == {well: 4.0}
    assert found["tenantgate_issuer_clock_ahead_at_most_seconds"] == {well: 9.0}
    assert found["tenantgate_issuer_refresh_seconds"][well] == 540.0
    assert found["tenantgate_issuer_failures"] == {well: 0.0, ill: 1.0}
    assert found["tenantgate_issuer_failing"] == {(*ill, "dns"): 1.0}
    assert found["tenantgate_issuer_keys_too_old"] == {well: 0.0, ill: 0.0}
    assert found["tenantgate_issuer_keys_dropped"] == {well: 0.0, ill: 0.0}
    assert JWKS not in str(found)


async def test_keys_of_administrators_are_measured_beside_the_gates(world: World):
    """Under a name that no issuer of the policy can have: that one of theirs fails is seen before nobody gets in."""
    theirs = World(signer("ES256", "a"), rows=[])
    administrators = Administrators(Trusted([AdminIssuer(**KEYCLOAK)]), theirs.keyring)
    (row,) = Trusted([AdminIssuer(**KEYCLOAK)]).rows
    await theirs.keyring.ensure(KeySetRef(row.id), None)
    server = MetricsServer(FakeGate(world), "127.0.0.1", 0, others=administrators.key_health)
    try:
        found = read(server.port)
    finally:
        server.close()

    named = f"administrators/{row.id}"
    assert not is_id(named)
    failing = {labels[:1]: value for labels, value in found["tenantgate_issuer_failures"].items()}
    assert failing[named,] == 1.0
    assert ("globex", "v2", "", "serving") in found["tenantgate_issuer_keys"]


def test_every_metric_has_its_line(world: World):
    """In docs/configuration.md, and no other has one."""
    import re

    from tests.real_parts import ROOT

    gate = FakeGate(world)
    gate.recorded = Recorded(seen=7, dropped=2, skipped=1, failing="")
    server = MetricsServer(gate, "127.0.0.1", 0, dict)
    try:
        made = {family.name for family in text_string_to_metric_families(text_at(server.port))}
    finally:
        server.close()
    page = (ROOT / "docs" / "configuration.md").read_text()

    # A counter's family has the name of its line but for `_total`.
    assert made == {name.removesuffix("_total") for name in re.findall(r"(?m)^\| `(tenantgate_\w+)` \|", page)}


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def settings_of(tmp_path: Path, **given: str) -> object:
    """Read settings with a small policy."""
    (tmp_path / "policy.toml").write_text('version = 1\n[[resources]]\nid = "orders"\naudiences = ["api://orders"]\n')
    return read_settings({}, policy=tmp_path / "policy.toml", **given)


def test_the_server_measures_its_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """While it runs, at the address of its own; partners' address has no such path."""
    monkeypatch.chdir(tmp_path)
    port = free_port()
    settings = settings_of(tmp_path, resource="orders", metrics_bind=f"127.0.0.1:{port}")
    with TestClient(build_service(settings, "http://127.0.0.1:1")) as client:  # type: ignore[arg-type]
        assert read(port)["tenantgate_policy_revision"] == {(): 1.0}
        assert client.get("/metrics").status_code == 404
    with pytest.raises(OSError, match="refused"):
        read(port)


def test_an_address_that_cannot_be_had_ends_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With the name of the setting."""
    monkeypatch.chdir(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = settings_of(tmp_path, resource="orders", metrics_bind=f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(SettingsError, match="TENANTGATE_METRICS_BIND"):
            build_service(settings, "http://127.0.0.1:1")  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["9464", "localhost:", "localhost:x", "localhost:70000", ":9464"])
def test_an_address_is_host_and_port(value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As for the server itself."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match="TENANTGATE_METRICS_BIND: must be HOST:PORT"):
        read_settings({}, metrics_bind=value)


def test_a_server_without_a_gate_measures_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """And says so."""
    monkeypatch.chdir(tmp_path)
    settings = read_settings({}, database_url="sqlite:///a.db", metrics_bind="127.0.0.1:9464")
    with pytest.raises(SettingsError, match="TENANTGATE_METRICS_BIND needs TENANTGATE_RESOURCE"):
        build_service(settings, "http://127.0.0.1:1")


def test_decisions_and_attention_are_measured(world: World):
    """Counters of the gate, kinds of attention with their numbers; where nobody can say, that is said."""
    gate = FakeGate(world)
    gate.recorded = Recorded(seen=7, dropped=2, skipped=1, failing="database_busy")
    found: dict[str, int] | None = {"access_request": 3, "role_ending": 0}
    server = MetricsServer(gate, "127.0.0.1", 0, lambda: found)
    try:
        told = read(server.port)
        found = None
        then = read(server.port)
    finally:
        server.close()
    assert told["tenantgate_decisions_total"] == {(): 7.0}
    assert told["tenantgate_decisions_dropped_total"] == {(): 2.0}
    assert told["tenantgate_decision_details_skipped_total"] == {(): 1.0}
    assert told["tenantgate_decisions_failing"] == {("database_busy",): 1.0}
    assert told["tenantgate_attention"] == {("access_request",): 3.0, ("role_ending",): 0.0}
    assert told["tenantgate_attention_known"] == {(): 1.0}
    assert then["tenantgate_attention_known"] == {(): 0.0}
    assert "tenantgate_attention" not in then
