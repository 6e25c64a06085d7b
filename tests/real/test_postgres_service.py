"""The server and an embedded gate as processes of their own, over one PostgreSQL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.program import RunningEmulator, running_emulator
from tests.emulator.world import CLIENT, CONFIG, OID, ORDERS, SECRET, TID
from tests.gate.world import eventually
from tests.http import post_form
from tests.postgres import Postgres
from tests.real_parts import ROOT
from tests.servers import MASTER_KEY

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

GATE = """
import sys
from tenantgate import Granted, RequestView, open_gate

gate = open_gate(sys.argv[1], resource="orders")
for line in sys.stdin:
    view = RequestView("GET", "/", [(b"authorization", b"Bearer " + line.strip().encode())])
    decision = gate.decide(view)
    print("granted" if isinstance(decision, Granted) else decision.reason, flush=True)
gate.close()
"""


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[RunningEmulator]:
    with running_emulator(CONFIG, tmp_path) as running:
        yield running


@pytest.fixture
def url(postgres: Postgres) -> Iterator[str]:
    name = postgres.create()
    yield postgres.url_of(name)
    postgres.drop(name)


def test_a_suspension_over_rest_acts_in_another_process(url: str, emulator: RunningEmulator, tmp_path: Path):
    """Commands make the list, the server's API changes it, and a gate elsewhere refuses with the next call."""
    environment = os.environ | {
        "TENANTGATE_DATABASE_URL": url,
        "TENANTGATE_MASTER_KEY": MASTER_KEY,
        "TENANTGATE_BIND": "127.0.0.1:0",
        "PYTHONPATH": str(ROOT),
    }

    def tenantgate(*words: str) -> str:
        command = [sys.executable, "-m", "tenantgate", *words]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

    issuer = f"issuer create --id local --kind entra --authority {emulator.authority} --insecure-allow-http"
    for words in (
        "migrate",
        issuer,
        f"resource create --id orders --audience api://orders --audience {ORDERS}",
        "role create --id read --resource orders --value Orders.Read",
        "partner create --id contoso --name Contoso",
        f"tenant create --id contoso --issuer local --partner contoso --tid {TID}",
        f"daemon create --id sync --tenant contoso --client-id {CLIENT} --oid {OID}",
        "role grant --id sync-reads --role read --daemon sync",
        "operator create --id adm --name Adm --role Admin",
    ):
        tenantgate(*words.split())
    words = "admin-key create --operator adm --name tests --days 1 --json"
    key = json.loads(tenantgate(*words.split()))
    secret = next(value for value in key.values() if isinstance(value, str) and value.startswith("tg_"))

    with (
        subprocess.Popen(
            [sys.executable, "-m", "tenantgate", "serve"],
            env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True,
        ) as server,
        subprocess.Popen(
            [sys.executable, "-c", GATE, url], cwd=tmp_path, env=environment, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True,
        ) as gate,
    ):  # fmt: skip
        try:
            assert server.stdout is not None
            address = json.loads(server.stdout.readline())["listening"]

            def ask() -> str:
                form = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": SECRET}
                token = post_form(
                    f"{emulator.authority}/{TID}/oauth2/v2.0/token", {**form, "scope": "api://orders/.default"}
                )["access_token"]
                assert gate.stdin is not None
                assert gate.stdout is not None
                gate.stdin.write(f"{token}\n")
                gate.stdin.flush()
                return gate.stdout.readline().strip()

            def rest(method: str, path: str) -> Any:
                headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
                request = urllib.request.Request(f"{address}/api/v1{path}", b"{}", headers, method=method)
                if method == "GET":
                    request.data = None
                with urllib.request.urlopen(request, timeout=10) as answer:
                    return json.loads(answer.read())

            assert ask() == "granted"
            rest("POST", "/partners/contoso/suspend")
            eventually(lambda: ask() == "partner_suspended")
            rest("POST", "/partners/contoso/activate")
            eventually(lambda: ask() == "granted")
            policy = rest("GET", "/policy")
            eventually(lambda: rest("GET", "/policy")["revision"] == policy["revision"])
        finally:
            server.terminate()
            gate.terminate()
    assert "in order" in tenantgate("audit", "verify")
