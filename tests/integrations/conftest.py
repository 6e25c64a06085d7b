"""Fixtures of the integrations' tests."""

from __future__ import annotations

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio alone: the keeper's loop is one."""
    return "asyncio"
