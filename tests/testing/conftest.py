"""Fixtures of the test kit's tests."""

from __future__ import annotations

import pytest

from tenantgate.testing.kit import FakePartner, OfflineGate, open_test_gate
from tests.testing.world import ROLES


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio alone."""
    return "asyncio"


@pytest.fixture
def acme() -> FakePartner:
    """The listed partner."""
    return FakePartner("acme")


@pytest.fixture
def gate(acme: FakePartner) -> OfflineGate:
    """A gate that lets acme read orders."""
    return open_test_gate(partners=[acme], roles=ROLES)
