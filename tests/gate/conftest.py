"""Fixtures of the gate's tests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tenantgate.gate.gate import Gate
from tests.gate.world import a_gate, eventually


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio alone: the keeper's loop is one."""
    return "asyncio"


@pytest.fixture
def make() -> Iterator[Callable[..., Gate]]:
    """Makes gates (see `a_gate`), closes them after the test, and asks that no thread of theirs is left."""
    before = set(threading.enumerate())
    made: list[Gate] = []

    def make(*args: Any, **named: Any) -> Gate:
        made.append(a_gate(*args, **named))
        return made[-1]

    yield make
    for gate in made:
        gate.close()
    eventually(lambda: not [each for each in threading.enumerate() if each not in before and _is_ours(each)])


def _is_ours(thread: threading.Thread) -> bool:
    return thread.name.startswith("tenantgate-")
