"""Two programs the examples talk to: the Entra-shaped emulator, and an API behind a real gate."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.emulator.program import RunningEmulator, running_emulator
from tests.emulator.world import CLIENT, CONFIG, ORDERS, ROLELESS, SECRET, TID
from tests.examples.orders_api import Listed, serving_api

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


@pytest.fixture(scope="package")
def listed(emulator: RunningEmulator) -> Listed:
    """The policy: three daemons of one tenant are listed, one of them without the role."""
    return Listed(emulator.authority, ORDERS, TID, (CLIENT, PLAIN), (ROLELESS,))


@pytest.fixture(scope="package")
def api(listed: Listed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API's address; a call needs Orders.Read."""
    policy = tmp_path_factory.mktemp("api") / "policy.toml"
    policy.write_text(listed.policy())
    with serving_api(policy) as address:
        yield address


@pytest.fixture
def environ(emulator: RunningEmulator, api: str) -> dict[str, str]:
    """The environment README.md asks a partner to fill in, for a daemon that is let in; and nothing else."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "AUTHORITY": emulator.authority,
        "TENANT_ID": TID,
        "CLIENT_ID": CLIENT,
        "CLIENT_SECRET": SECRET,
        "SCOPE": "api://orders/.default",
        "API_URL": api,
    }
