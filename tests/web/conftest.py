"""What the page's tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.registry.builders import a_daemon, a_grant, a_partner, a_tenant
from tests.web.world import HTTPS, World, make_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """The publisher is ready, no partner is there yet; plain http on loopback."""
    made = make_world(tmp_path)
    yield made
    made.engine.dispose()


@pytest.fixture
def secure_world(tmp_path: Path) -> Iterator[World]:
    """The same, reached by https."""
    made = make_world(tmp_path, HTTPS)
    yield made
    made.engine.dispose()


@pytest.fixture
def contoso(world: World) -> World:
    """Contoso's nightly program may read orders."""
    world.change(a_partner, a_tenant, a_daemon, a_grant)
    return world
