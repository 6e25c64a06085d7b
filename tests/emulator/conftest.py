"""Fixtures of the emulator's tests."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from starlette.testclient import TestClient

from tenantgate.emulator import config
from tenantgate.emulator.app import create_app
from tenantgate.emulator.authority import Authority
from tests.emulator.world import AUTHORITY, CONFIG, FakeClock, an_authority


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still at NOW."""
    return FakeClock()


@pytest.fixture
def authority(clock: FakeClock) -> Authority:
    """An authority that knows everybody in CONFIG."""
    authority = an_authority(clock)
    config.load(config.parse_spec(msgspec.json.encode(CONFIG), config.Config), authority)
    return authority


@pytest.fixture
def client(authority: Authority) -> Iterator[TestClient]:
    """An HTTP client of that authority, without a network between."""
    with TestClient(create_app(authority), base_url=AUTHORITY) as client:
        yield client
