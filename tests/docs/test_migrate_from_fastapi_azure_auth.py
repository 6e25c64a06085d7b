"""`docs/migrate-from-fastapi-azure-auth.md`: both codes run against one authority and answer each call as told."""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import json
import re
import tomllib
from collections.abc import Callable, Iterator
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tenantgate import Principal, open_gate
from tenantgate.core.policy import KINDS
from tenantgate.discovery.keyring import Keyring
from tenantgate.discovery.limits import KeyLimits
from tenantgate.feed.file import parse_policy
from tenantgate.integrations.fastapi import FastAPIGate
from tests.emulator.program import running_emulator
from tests.emulator.world import CLIENT, OID, ORDERS, OTHER_TID, TID
from tests.gate.world import PATIENT, eventually, patient
from tests.http import post_json
from tests.real_parts import ROOT, missing

PAGE = (ROOT / "docs" / "migrate-from-fastapi-azure-auth.md").read_text(encoding="utf-8")
MICROSOFT = "https://login.microsoftonline.com"
URI = "api://orders.publisher.example"
OTHER_CLIENT = "cccccccc-0000-4000-8000-0000000000aa"
READ = {"roles": ["Orders.Read"]}
CONFIG: dict[str, Any] = {
    "resources": [{"client_id": ORDERS, "app_id_uris": [URI]}],
    "tenants": [
        {
            "tid": TID,
            "name": "acme",
            "daemons": [
                {"client_id": CLIENT, "oid": OID, "roles": {URI: ["Orders.Read"]}},
                {"client_id": OTHER_CLIENT, "oid": OID.replace("4004", "40aa"), "roles": {URI: ["Orders.Read"]}},
            ],
        },
        {"tid": OTHER_TID, "name": "initech", "daemons": [{"client_id": CLIENT, "oid": OID}]},
    ],
}
LIMITS = KeyLimits(cooldown=0.05, **PATIENT)
"""Half a minute as a fraction of a second. Hours stay hours: no fetch of the background ends just before a call."""
HURRIED = KeyLimits(cooldown=0.05, refresh_entra=0.3, refresh_least=0.1, **PATIENT)
"""The hours likewise: keys are due again in a moment."""

Headers = list[tuple[str, str]]


def section(heading: str) -> str:
    """Return the text below a heading."""
    return PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def code(heading: str, word: str) -> str:
    """Return the Python of a section that begins with `# before` or `# after`."""
    (found,) = re.findall(rf"(?ms)^```python\n# {word}\n(.*?)^```$", section(heading))
    return str(found)


def table(heading: str) -> list[list[str]]:
    """Return the cells of a section's table."""
    lines = re.findall(r"(?m)^\| .*$", section(heading))[1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def toml(heading: str) -> dict[str, Any]:
    """Return the policy, or the tables of one, that a section shows."""
    (found,) = re.findall(r"(?ms)^```toml\n(.*?)^```$", section(heading))
    return tomllib.loads(found)


def policy(cloud: Cloud | None = None, **changes: Any) -> dict[str, Any]:
    """Return the page's policy, its cloud the emulator, with other tables in place of some."""
    found = {**toml("Several tenants"), **changes}
    if cloud is not None:
        (issuer,) = found["issuers"]
        v1 = f"{cloud.authority}/sts/{{tenantid}}/"
        found["issuers"] = [{**issuer, "authority": cloud.authority, "v1_issuer": v1, "insecure_allow_http": True}]
    return found


class Cloud:
    """The running emulator in Entra's place."""

    def __init__(self, authority: str) -> None:
        self.authority = authority

    def call(self, path: str, body: Any = None) -> Any:
        """Ask the control surface."""
        return post_json(f"{self.authority}/_emulator/{path}", body or {})

    def token(self, tid: str = TID, client_id: str = CLIENT, audience: str = ORDERS, **spoiled: Any) -> Headers:
        """Return the header with a token of the listed daemon, good but for what is spoiled."""
        body = {"tid": tid, "client_id": client_id, "audience": audience, **spoiled}
        return [("Authorization", f"Bearer {self.call('mint', body)['access_token']}")]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One emulator as a process."""
    with running_emulator(CONFIG, tmp_path_factory.mktemp("emulator")) as running:
        yield running.authority


@pytest.fixture
def cloud(authority: str) -> Iterator[Cloud]:
    """That emulator, switched on again afterwards; keys it got by a rotation stay beside the new ones."""
    cloud = Cloud(authority)
    yield cloud
    cloud.call("on")


class Running:
    """One of the two applications, started."""

    def __init__(self, client: TestClient, names: dict[str, Any]) -> None:
        self.client = client
        self.names = names

    def age_keys(self) -> None:
        """Let the time come at which keys are fetched again; the authority is off."""
        if "gate" not in self.names:
            self.names["azure_scheme"].openid_config._config_timestamp -= timedelta(hours=25)
            return
        eventually(lambda: all(each.last_error for each in self._keyring().health()))

    def pass_the_cooldown(self) -> None:
        """Let the time come at which an unknown key has keys fetched; the background's first fetches count, too."""
        if "gate" in self.names:
            health = self._keyring().health
            eventually(lambda: all((each.tried_ago or 0.0) > LIMITS.cooldown for each in health()))

    def _keyring(self) -> Keyring:
        keyring = self.names["gate"]._keys
        assert isinstance(keyring, Keyring)
        return keyring


def names_of(text: str, cloud: Cloud, limits: KeyLimits = LIMITS) -> dict[str, Any]:
    """Run the code of a page's block, with the emulator in Microsoft's place, and return its names."""
    names: dict[str, Any] = {"__name__": "example", "LIMITS": limits}
    exec(compile(text.replace(MICROSOFT, cloud.authority), "example.py", "exec"), names)
    return names


@contextlib.contextmanager
def before(heading: str, cloud: Cloud, tenant: str = "common") -> Iterator[Running]:
    """Run the application as it was, its metadata the emulator's."""
    if importlib.util.find_spec("fastapi_azure_auth") is None:
        missing("fastapi-azure-auth (dependency group bench)")
    names = names_of(code(heading, "before"), cloud)
    names["azure_scheme"].openid_config.config_url = f"{cloud.authority}/{tenant}/v2.0/.well-known/openid-configuration"
    with TestClient(names["app"]) as client:
        yield Running(client, names)


@contextlib.contextmanager
def after(cloud: Cloud, folder: Path, limits: KeyLimits = LIMITS, **changes: Any) -> Iterator[Running]:
    """Run the application as it becomes, over the page's policy."""
    path = folder / "policy.json"
    path.write_text(json.dumps(policy(cloud, **changes)))
    text = code("Several tenants", "after")
    assert text.count('"policy.toml", resource="orders"') == 1
    names = names_of(text.replace('"policy.toml"', f"{str(path)!r}, key_limits=LIMITS"), cloud, limits)
    patient(names["gate"])
    with TestClient(names["app"]) as client:
        yield Running(client, names)


# One entry a row of the table: what happens to a running application, and the headers of the call then.


def _expired(seconds: int) -> Callable[[Cloud, Running], Headers]:
    return lambda cloud, running: cloud.token(lifetime=-seconds)


def _rotated(cloud: Cloud, running: Running) -> Headers:
    running.pass_the_cooldown()
    cloud.call("rotate")
    return cloud.token()


def _down(cloud: Cloud, running: Running) -> Headers:
    token = cloud.token()
    cloud.call("off", {"mode": "drop"})
    running.age_keys()
    return token


CALLS: dict[str, Callable[[Cloud, Running], Headers]] = {
    "without a token": lambda cloud, running: [],
    "with what is no token": lambda cloud, running: [("Authorization", "Bearer x.y.z")],
    "with a token that ended an hour ago": _expired(3600),
    "with a token that ended 30 s ago": _expired(30),
    "with somebody else's signature": lambda cloud, running: cloud.token(key="unpublished"),
    "with two `Authorization` headers": lambda cloud, running: cloud.token() * 2,
    "with a v1 token": lambda cloud, running: cloud.token(version="1.0", audience=URI),
    "with a user's token": lambda cloud, running: cloud.token(claims={"scp": "Orders.Read", "idtyp": "user", **READ}),
    "from a tenant that is not on the list": lambda cloud, running: cloud.token(OTHER_TID, claims=READ),
    "from another application of a listed tenant": lambda cloud, running: cloud.token(client_id=OTHER_CLIENT),
    "with a role that you assigned and the token does not have": lambda cloud, running: cloud.token(remove=["roles"]),
    "with a role that the token has and you did not assign": lambda cloud, running: cloud.token(),
    "with a key that was published a moment ago": _rotated,
    "while the provider is down and its keys are due again": _down,
}
NEVER_UP = "while the provider has been down since before the start"
UNASSIGNED = "with a role that the token has and you did not assign"
ANSWERS = table("What changes for your callers")


def told(answer: Any) -> str:
    """Return an answer as the table has it."""
    code = answer.headers.get("X-TG-Reason")
    return f"{answer.status_code}" if code is None else f"{answer.status_code} `{code}`"


def test_the_table_has_every_call():
    """Each row is made below, and each call has its row."""
    assert [row[0] for row in ANSWERS] == [*CALLS, NEVER_UP]


@pytest.mark.parametrize(("call", "there"), [(row[0], row[1]) for row in ANSWERS if row[0] != NEVER_UP])
def test_there(cloud: Cloud, call: str, there: str):
    """The code as it was answers each call as the left column says, the good call of a moment before with 200."""
    with before("Several tenants", cloud) as running:
        assert running.client.get("/orders", headers=cloud.token()).json() == {"client": CLIENT, **READ}
        headers = CALLS[call](cloud, running)
        assert told(running.client.get("/orders", headers=headers)) == there


@pytest.mark.parametrize(("call", "here"), [(row[0], row[2]) for row in ANSWERS if row[0] != NEVER_UP])
def test_here(cloud: Cloud, call: str, here: str, tmp_path: Path):
    """The code as it becomes answers each call as the right column says."""
    changes = {"role_assignments": []} if call == UNASSIGNED else {}
    limits = HURRIED if CALLS[call] is _down else LIMITS
    with after(cloud, tmp_path, limits, **changes) as running:
        good = running.client.get("/orders", headers=cloud.token())
        assert good.status_code == (403 if changes else 200)
        assert changes or good.json() == {"client": CLIENT, **READ}
        headers = CALLS[call](cloud, running)
        assert told(running.client.get("/orders", headers=headers)) == here


def test_without_a_provider_at_the_start_there(cloud: Cloud):
    """The lifespan that loads the metadata ends the start."""
    assert ANSWERS[-1][:2] == [NEVER_UP, "no start"]
    cloud.call("off", {"mode": "drop"})
    with pytest.raises(RuntimeError, match="provider"), before("Several tenants", cloud):
        pass


def test_without_a_provider_at_the_start_here(cloud: Cloud, tmp_path: Path):
    """The application starts, says that it cannot judge, and lets the caller in once the provider is up."""
    headers = cloud.token()
    cloud.call("off", {"mode": "drop"})
    with after(cloud, tmp_path) as running:
        assert told(running.client.get("/orders", headers=headers)) == ANSWERS[-1][2]
        cloud.call("on")
        eventually(lambda: running.client.get("/orders", headers=headers).status_code == 200)


def test_one_tenant_becomes_a_hosted_one(cloud: Cloud, tmp_path: Path):
    """Both let the daemon in; of the tenant's other applications only the list knows that they are nobody's."""
    other = cloud.token(client_id=OTHER_CLIENT)
    with before("One tenant", cloud, tenant=TID) as running:
        assert running.client.get("/orders", headers=cloud.token()).json() == {"client": CLIENT, **READ}
        assert running.client.get("/orders", headers=other).status_code == 200
    with after(cloud, tmp_path, **toml("One tenant")) as running:
        assert running.client.get("/orders", headers=cloud.token()).json() == {"client": CLIENT, **READ}
        assert running.client.get("/orders", headers=other).status_code == 403


def test_both_live_in_one_application(cloud: Cloud, tmp_path: Path):
    """A user's route keeps its scheme, a daemon's has the gate."""
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(policy(cloud)))
    with before("Several tenants", cloud) as running, contextlib.closing(open_gate(path, resource="orders")) as gate:
        app: FastAPI = running.names["app"]
        reader = FastAPIGate(gate).require("Orders.Read")

        @app.get("/daemons/orders")
        async def list_orders(caller: Principal = reader) -> str:
            return caller.partner

        user = cloud.token(claims={"scp": "Orders.Read", "idtyp": "user", **READ})
        daemon = cloud.token()
        paths = [("/orders", user), ("/daemons/orders", user), ("/daemons/orders", daemon)]
        answers = [running.client.get(path, headers=headers) for path, headers in paths]

        assert [answer.status_code for answer in answers] == [200, 401, 200]
        assert answers[2].json() == "acme"


def test_the_policies_are_whole():
    """The page's policy, and the one with a hosted tenant, are policies as they stand."""
    for changes in ({}, toml("One tenant")):
        rows = parse_policy(policy(**changes), Path())
        assert {type(row) for row in rows} >= {KINDS["tenant"], KINDS["daemon"], KINDS["role_assignment"]}


def test_every_setting_has_its_row():
    """The table names each parameter of the three schemes of the installed version, and no other."""
    if importlib.util.find_spec("fastapi_azure_auth") is None:
        missing("fastapi-azure-auth (dependency group bench)")
    import fastapi_azure_auth as there

    schemes = (
        there.SingleTenantAzureAuthorizationCodeBearer,
        there.MultiTenantAzureAuthorizationCodeBearer,
        there.B2CMultiTenantAuthorizationCodeBearer,
    )
    rows = table("Settings")

    assert version("fastapi-azure-auth").startswith("5.")
    assert len(rows) == len({row[0] for row in rows})
    assert {row[0].strip("`") for row in rows} == {
        name for each in schemes for name in inspect.signature(each).parameters
    }


def test_every_equal_is_a_member_of_the_policy():
    """What the right cell begins with exists, or it says that there is none, or that it is always so."""
    members = {name for struct in KINDS.values() for name in struct.__struct_fields__} | {f"{kind}s" for kind in KINDS}
    for there, here in table("Settings"):
        named = re.match(r"(?:a row of )?`([a-z_]+)`", here)
        if named is not None:
            assert named[1] in members, there
        else:
            assert re.match(r"none|always", here), there


def test_what_a_route_gets_is_there():
    """The left names are attributes of its user, the right ones of our principal."""
    rows = table("What a route gets")
    right = {name for _, here in rows if not here.startswith("none") for name in re.findall(r"^`(\w+)`", here)}
    assert right == {"client_id", "oid", "tenant", "roles", "strength"}
    assert {*right, "partner", "daemon"} <= set(Principal.__struct_fields__)
    if importlib.util.find_spec("fastapi_azure_auth") is None:
        missing("fastapi-azure-auth (dependency group bench)")
    from fastapi_azure_auth.user import User

    assert {name for there, _ in rows for name in re.findall(r"`(\w+)`", there)} <= set(User.model_fields)
