"""The room lives on asyncio."""

from __future__ import annotations

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Tests run on asyncio alone: the Keeper's loop is one."""
    return "asyncio"
