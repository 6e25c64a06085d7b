"""Two programs the examples talk to: the Entra-shaped emulator, and a stand-in for the API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.emulator.program import RunningEmulator, running_emulator
from tests.emulator.world import CLIENT, CONFIG, ORDERS, ROLELESS, SECRET, TID
from tests.examples.stand_in import StandIn, standing_in

SECRET_FOR_HTTP_FILES = "plain-and-not-a-secret"
PLAIN = "cccccccc-0000-4000-8000-0000000000dd"
UNLISTED = "cccccccc-0000-4000-8000-0000000000ee"


def the_config() -> dict[str, object]:
    """The emulator tests' world with two more daemons: one with a secret that needs no encoding, one nobody listed."""
    tenant, *others = CONFIG["tenants"]
    more = [
        {
            "client_id": PLAIN,
            "client_secret": SECRET_FOR_HTTP_FILES,
            "oid": "dddddddd-0000-4000-8000-0000000000dd",
            "roles": {"api://orders": ["Orders.Read"]},
        },
        {"client_id": UNLISTED, "client_secret": SECRET, "oid": "dddddddd-0000-4000-8000-0000000000ee"},
    ]
    return {**CONFIG, "tenants": [{**tenant, "daemons": [*tenant["daemons"], *more]}, *others]}


@pytest.fixture(scope="package")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEmulator]:
    """The emulator program."""
    with running_emulator(the_config(), tmp_path_factory.mktemp("emulator")) as running:
        yield running


@pytest.fixture
def api(emulator: RunningEmulator) -> Iterator[StandIn]:
    """The API: three daemons of one tenant are listed, and a call needs Orders.Read."""
    listed = frozenset({(TID, CLIENT), (TID, ROLELESS), (TID, PLAIN)})
    with standing_in(StandIn(emulator.authority, ORDERS, listed, "Orders.Read")) as stand_in:
        yield stand_in


@pytest.fixture
def environ(emulator: RunningEmulator, api: StandIn) -> dict[str, str]:
    """The environment README.md asks a partner to fill in, for a daemon that is let in; and nothing else."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "AUTHORITY": emulator.authority,
        "TENANT_ID": TID,
        "CLIENT_ID": CLIENT,
        "CLIENT_SECRET": SECRET,
        "SCOPE": "api://orders/.default",
        "API_URL": api.url,
    }
