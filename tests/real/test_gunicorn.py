"""A gate in a preforking server: opened once, forked into workers, each of which judges, fetches and ends by itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.emulator.program import RunningEmulator, running_emulator
from tests.emulator.world import CLIENT, CONFIG, OID, ORDERS, SECRET, TID
from tests.http import post_form, post_json
from tests.real_parts import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="gunicorn needs fork")]

WORKERS = 3
APP = """
import os
from tenantgate import RequestView, open_gate
from tenantgate.discovery.limits import KeyLimits

limits = KeyLimits(cooldown=0.0, wait=60.0, deadline=60.0)
gate = open_gate("policy.json", resource="orders", key_limits=limits, state_dir="state")
gate._keeper._deadline = 60.0


def app(environ, start_response):
    headers = [(b"authorization", environ.get("HTTP_AUTHORIZATION", "").encode())]
    answer = gate.answer(gate.decide(RequestView("GET", "/", headers)))
    start_response(f"{answer.status} X", [("X-Pid", str(os.getpid())), ("Content-Length", "0")])
    return [b""]
"""
CONFIGURATION = """
def post_fork(server, worker):
    pass


def worker_exit(server, worker):
    from application import gate

    gate.close()
"""


class Running(NamedTuple):
    """A gunicorn over the application, and the authority its partner's tokens come from."""

    url: str
    process: subprocess.Popen[bytes]
    emulator: RunningEmulator

    def token(self) -> str:
        """Return a fresh token of the partner's daemon."""
        form = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": SECRET}
        url = f"{self.emulator.authority}/{TID}/oauth2/v2.0/token"
        return str(post_form(url, {**form, "scope": "api://orders/.default"})["access_token"])

    def ask(self, token: str) -> tuple[int, str]:
        """Return the status and the worker that answered."""
        request = urllib.request.Request(self.url, headers={"Authorization": f"Bearer {token}", "Connection": "close"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.headers["X-Pid"]
        except urllib.error.HTTPError as error:
            return error.code, error.headers["X-Pid"]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """Start both, and wait until the port answers."""
    with running_emulator(CONFIG, tmp_path) as emulator:
        policy = {
            "version": 1,
            "issuers": [{"id": "local", "kind": "entra", "authority": emulator.authority, "insecure_allow_http": True}],
            "partners": [{"id": "contoso", "name": "Contoso"}],
            "tenants": [{"id": "contoso", "issuer": "local", "partner": "contoso", "tid": TID}],
            "daemons": [{"id": "sync", "tenant": "contoso", "client_id": CLIENT, "oid": OID}],
            "resources": [{"id": "orders", "audiences": [ORDERS, "api://orders"], "show_reasons": True}],
            "app_roles": [{"id": "read", "resource": "orders", "value": "Orders.Read"}],
            "role_assignments": [{"id": "sync-reads", "app_role": "read", "daemon": "sync"}],
        }
        (tmp_path / "policy.json").write_text(json.dumps(policy))
        (tmp_path / "application.py").write_text(APP)
        (tmp_path / "gunicorn.conf.py").write_text(CONFIGURATION)
        import socket

        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            port = bound.getsockname()[1]
        command = [sys.executable, "-m", "gunicorn", "--preload", "-w", str(WORKERS), "-b", f"127.0.0.1:{port}"]
        environment = os.environ | {"PYTHONPATH": f"{ROOT}:{tmp_path}"}
        with subprocess.Popen([*command, "application:app"], cwd=tmp_path, env=environment) as process:
            found = Running(f"http://127.0.0.1:{port}/", process, emulator)
            try:
                until = time.monotonic() + 60
                while True:
                    try:
                        found.ask("none")
                        break
                    except OSError:
                        assert time.monotonic() < until
                        assert process.poll() is None
                        time.sleep(0.05)
                yield found
            finally:
                if process.poll() is None:
                    process.kill()


def answers_of_all(running: Running, token: str) -> dict[str, set[int]]:
    """Ask until each worker has answered a few times; return the statuses by worker."""
    found: dict[str, list[int]] = {}
    until = time.monotonic() + 60
    while len(found) < WORKERS or min(map(len, found.values())) < 3:
        assert time.monotonic() < until, found
        status, worker = running.ask(token)
        found.setdefault(worker, []).append(status)
    return {worker: set(statuses) for worker, statuses in found.items()}


def test_every_worker_judges_and_learns_new_keys(running: Running):
    """Keys come to each by itself, a new key within a fetch; and the end is clean."""
    assert {status for seen in answers_of_all(running, running.token()).values() for status in seen} == {200}
    assert {status for seen in answers_of_all(running, "garbage").values() for status in seen} == {401}

    post_json(f"{running.emulator.authority}/_emulator/rotate", {"retire": True})
    assert {status for seen in answers_of_all(running, running.token()).values() for status in seen} == {200}

    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(60) == 0
