"""Two servers over one database, asked in turn, as by a load balancer without stickiness."""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from httpx2 import Client, Response

from tests.gate.world import eventually
from tests.postgres import Postgres
from tests.servers import MASTER_KEY, Prepared, Server, environment_of, prepare, running_servers, tenantgate

pytestmark = [pytest.mark.slow, pytest.mark.postgres]
OTHER_KEY = "HwECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHgA"


@pytest.fixture(scope="module")
def prepared(postgres: Postgres) -> Iterator[Prepared]:
    name = postgres.create()
    yield prepare(postgres.url_of(name))
    postgres.drop(name)


@pytest.fixture(scope="module")
def servers(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    environment = environment_of(prepared.url, TENANTGATE_ADMIN_RATE="600000")
    with running_servers(2, environment, tmp_path_factory.mktemp("servers")) as running:
        yield running


class Balanced:
    """A browser behind a load balancer: every request goes to another server than the one before."""

    def __init__(self, servers: list[Server]) -> None:
        self._turns = itertools.cycle(servers)
        self._client = Client(trust_env=False, timeout=20)

    def ask(self, method: str, path: str, **given: Any) -> Response:
        """Ask the next server; cookies of loopback know no port."""
        return self._client.request(method, f"{next(self._turns).address}{path}", **given)

    def close(self) -> None:
        """Let go of every connection."""
        self._client.close()

    def post(self, path: str, **fields: str) -> Response:
        """Post a form to the server after the one whose page it was on."""
        return self.ask("POST", path, data=fields, headers={"Origin": "null", "Sec-Fetch-Site": "same-origin"})


Open = Callable[[list[Server]], Balanced]


@pytest.fixture
def browse() -> Iterator[Open]:
    """Open browsers that are closed after the test."""
    with ExitStack() as clients:

        def open_(servers: list[Server]) -> Balanced:
            browser = Balanced(servers)
            clients.callback(browser.close)
            return browser

        yield open_


def csrf_on(page: Response) -> str:
    """The token in the first form of a page."""
    assert page.status_code == 200, page.text
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found is not None
    return found[1]


def sign_in(browser: Balanced, prepared: Prepared, folder: Path) -> None:
    """Get in by a link that a third process made."""
    made = tenantgate(environment_of(prepared.url), folder, "sign-in-link", "create", "--operator", "adm", "--json")
    code = json.loads(made)["url"].partition("#code=")[2]
    answer = browser.post("/sign-in", code=code)
    assert answer.status_code == 303, answer.text
    assert browser.post("/sign-in", code=code).status_code == 403  # once, wherever


def test_a_session_and_its_forms_are_good_on_both(
    servers: list[Server], prepared: Prepared, tmp_path: Path, browse: Open
):
    """Signed in at one, reading at the other, a form of one posted to the other, signed out everywhere."""
    browser = browse(servers)
    sign_in(browser, prepared, tmp_path)
    for change in ("suspend", "activate", "suspend"):
        page = browser.ask("GET", "/partners/contoso")
        answer = browser.post(f"/partners/contoso/{change}", csrf=csrf_on(page))
        assert answer.status_code in {200, 303}, answer.text
        browser.ask("GET", "/partners")  # so that the next form goes to the other one, too
    token = prepared.token("contoso")
    for server in servers:
        eventually(lambda server=server: server.allows(token) is False)  # type: ignore[misc]

    page = browser.ask("GET", "/partners")
    assert browser.post("/sign-out", csrf=csrf_on(page)).status_code == 303
    for _ in servers:
        assert browser.ask("GET", "/partners").status_code == 303


def test_keys_cursors_and_suspensions_are_good_on_both(servers: list[Server], prepared: Prepared):
    """An admin key works at both until it is revoked at either; pages go on; what is suspended is refused."""
    one, two = servers
    made = one.rest(
        prepared.admin_key,
        "POST",
        "/admin-keys",
        {"operator": "adm", "name": "second", "expires_at": "2099-01-01T00:00:00Z"},
    )
    assert made.status_code == 201, made.text
    key = next(value for value in made.json().values() if isinstance(value, str) and value.startswith("tg_"))
    turns = itertools.cycle(servers)
    seen: list[str] = []
    cursor = ""
    while True:
        page = next(turns).rest(key, "GET", f"/partners?limit=1{cursor}").json()
        seen += [each["id"] for each in page["items"]]
        if page.get("next") is None:
            break
        cursor = f"&cursor={page['next']}"
    assert sorted(seen) == ["contoso", "fabrikam"]

    token = prepared.token("fabrikam")
    assert [server.allows(token) for server in servers] == [True, True]
    assert one.sure(key, "POST", "/partners/fabrikam/suspend").status_code == 200
    eventually(lambda: two.allows(token) is False)
    eventually(lambda: one.allows(token) is False)
    assert two.sure(prepared.admin_key, "POST", f"/admin-keys/{made.json()['id']}/revoke").status_code == 200
    assert [server.rest(key, "GET", "/me").status_code for server in servers] == [401, 401]


def test_rotated_keys_reach_every_server(servers: list[Server], prepared: Prepared, tmp_path: Path, browse: Open):
    """A session of before stays; one that ends what older versions signed ends at both within the half minute."""
    browser = browse(servers)
    sign_in(browser, prepared, tmp_path)
    tenantgate(environment_of(prepared.url), tmp_path, "product-key", "rotate", "session")
    assert {browser.ask("GET", "/partners").status_code for _ in range(4)} == {200}
    with running_servers(1, environment_of(prepared.url), tmp_path) as started:
        sign_in(browse(started), prepared, tmp_path)
        # A session that the newest server sealed with the new version, shown to those that may not know it yet.
        newer = browse([*started, *servers])
        sign_in(newer, prepared, tmp_path)
        assert {newer.ask("GET", "/partners").status_code for _ in range(6)} == {200}
    tenantgate(environment_of(prepared.url), tmp_path, "product-key", "rotate", "session", "--forget-older")
    eventually(lambda: {browser.ask("GET", "/partners").status_code for _ in range(2)} == {303}, seconds=60)


def test_what_an_operator_may_ask_is_one_for_all_servers(prepared: Prepared, tmp_path: Path):
    """By two keys at two servers in turn it is as many as by one at one; another operator has their own."""
    a_second, burst = 1, 10
    keys = [prepared.admin_key]
    with running_servers(1, environment_of(prepared.url), tmp_path) as (one,):
        one.rest(keys[0], "POST", "/operators", {"id": "grace", "name": "Grace", "role": "Viewer"})
        for operator in ("adm", "grace"):
            body = {"operator": operator, "name": "rates", "expires_at": "2099-01-01T00:00:00Z"}
            keys.append(one.rest(keys[0], "POST", "/admin-keys", body).json()["value"])

    with running_servers(2, environment_of(prepared.url, TENANTGATE_ADMIN_RATE=str(60 * a_second)), tmp_path) as both:
        turns = itertools.product(range(12), both, keys[:2])
        began = time.monotonic()
        answers = [server.rest(key, "GET", "/me") for _, server, key in turns]
        came_back = (time.monotonic() - began) * a_second
        refused = [answer for answer in answers if answer.status_code != 200]
        # Each server alone would have let through as many again.
        assert burst <= len(answers) - len(refused) <= burst + came_back + 1
        assert {(each.status_code, each.json()["code"]) for each in refused} == {(429, "rate_limited")}
        assert all(int(each.headers["Retry-After"]) > 0 for each in refused)
        assert [server.rest(keys[2], "GET", "/me").status_code for server in both] == [200, 200]


@pytest.mark.parametrize(
    ("master_key", "code"),
    [(None, "settings_invalid"), (OTHER_KEY, "master_key_wrong"), ("A" * 43, "settings_invalid")],
)
def test_postgresql_is_not_served_without_its_master_key(
    servers: list[Server], prepared: Prepared, tmp_path: Path, browse: Open, master_key: str | None, code: str
):
    """None, another one, no key at all: one line and status 2, the key not in it, and the servers that run go on."""
    environment = environment_of(prepared.url)
    if master_key is None:
        del environment["TENANTGATE_MASTER_KEY"]
    else:
        environment["TENANTGATE_MASTER_KEY"] = master_key
    told = tenantgate(environment, tmp_path, "serve", status=2)
    assert told.startswith(f"{code}: ")
    assert told.count("\n") == 1
    assert master_key is None or master_key not in told
    browser = browse(servers)
    sign_in(browser, prepared, tmp_path)
    assert {browser.ask("GET", "/partners").status_code for _ in range(2)} == {200}
    logs = "".join(server.log.read_text() for server in servers)
    assert MASTER_KEY not in logs
