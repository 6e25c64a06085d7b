"""The kit as a package: its clock, its keys, its names, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

import pytest

from tenantgate.testing import keys, kit
from tenantgate.testing.clock import START
from tenantgate.testing.keys import KeyShelf
from tenantgate.testing.kit import FrozenClock

HEAVY = {
    *("httpx", "httpx2", "httpcore", "fastapi", "starlette", "sqlmodel", "sqlalchemy", "pydantic", "pytest"),
    *("tenantgate.registry", "tenantgate.discovery", "tenantgate.net", "tenantgate.integrations"),
}


def test_a_frozen_clock_stands_still_until_it_is_moved():
    """It begins at the same instant in every run, and moves both ways."""
    clock = FrozenClock()
    assert (clock(), clock()) == (START, START)
    clock.move(90)
    clock.move(-30.5)
    assert clock() == START + 59.5
    assert FrozenClock(7)() == 7


def test_keys_are_made_once_and_only_when_needed(monkeypatch: pytest.MonkeyPatch):
    """Threads that need the first key at once wait for one; every authority gets the same ones in the same order."""
    made: list[float] = []
    real = keys.generate_key

    def counting(now: float) -> Any:
        made.append(now)
        return real(now)

    monkeypatch.setattr(keys, "generate_key", counting)
    shelf = KeyShelf()
    first, second = shelf.factory(), shelf.factory()
    assert made == []
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(shelf.get(0))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(made), len({id(key) for key in found})) == (1, 1)
    assert first(0) is second(99) is found[0]
    assert first(0) is not found[0]


def test_the_kit_exports_what_it_says():
    """Every name in `__all__` is there, and nothing public of the kit's own is missing from it."""
    public = {name for name in vars(kit) if not name.startswith("_")} - {"annotations"}
    assert public == set(kit.__all__)


def test_importing_the_kit_costs_no_framework():
    """A test of an API without FastAPI need not have it; no HTTP client, database or key is made on import."""
    code = (
        "import sys, tenantgate.testing.kit\n"
        "from tenantgate.testing.partner import _KEYS\n"
        f"print(sorted({HEAVY}.intersection(sys.modules)), len(_KEYS._made))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[] 0"
