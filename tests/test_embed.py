"""What the composition roots hand on to the gate they make."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenantgate.core.limits import BOUNDS, LIMITS, Limits
from tenantgate.embed import open_gate
from tenantgate.server import build_service
from tenantgate.settings import read_settings

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
