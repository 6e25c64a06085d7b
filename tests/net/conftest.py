"""Doors and servers for the tests of the room."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tenantgate.net.http import HttpDoor
from tests.net.certificates import Authority


@pytest.fixture
def anyio_backend() -> str:
    """The door lives on asyncio."""
    return "asyncio"


@pytest.fixture
async def door() -> AsyncIterator[HttpDoor]:
    """A door that asks the system's resolver (for addresses, which are their own answer)."""
    opened = HttpDoor()
    yield opened
    await opened.aclose()


@pytest.fixture
async def servers() -> AsyncIterator[AsyncExitStack]:
    """Where a test enters its servers; they end with it."""
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority of our own, its certificate in a file."""
    folder: Path = tmp_path_factory.mktemp("authority")
    return Authority(folder)
