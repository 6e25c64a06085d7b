"""No thread of ours imports anything: a fork in the middle of it would leave the child waiting for ever."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tenantgate.net import prepared
from tests.builders import json_bytes, signer

SCRIPT = """
import json, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

keys = sys.argv[1].encode()

class Issuer(BaseHTTPRequestHandler):
    def do_GET(self):
        here = f"http://127.0.0.1:{server.server_port}"
        metadata = json.dumps({"issuer": here, "jwks_uri": here + "/keys"}).encode()
        body = keys if self.path == "/keys" else metadata
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Issuer)
threading.Thread(target=server.serve_forever, daemon=True).start()
here = f"http://127.0.0.1:{server.server_port}"
policy = {"version": 1, "resources": [{"id": "orders", "audiences": ["a"]}],
          "issuers": [{"id": "own", "kind": "oidc", "issuer": here.replace("127.0.0.1", sys.argv[2]),
                       "metadata_url": here.replace("127.0.0.1", sys.argv[2]), "insecure_allow_http": True}]}
open("policy.json", "w").write(json.dumps(policy))

from tenantgate import open_gate
import time

gate = open_gate("policy.json", resource="orders", state_dir="state")
before = set(sys.modules)
until = time.monotonic() + 20
while time.monotonic() < until and gate.key_health()[0].tried_ago is None:
    time.sleep(0.01)
found = gate.key_health()[0]
new = sorted(set(sys.modules) - before)
gate.close()
print(json.dumps({"error": found.last_error, "new": new, "httpx": "httpx" in before}))
"""


@pytest.mark.parametrize(("host", "error"), [("127.0.0.1", None), ("localhost", "issuer_mismatch")])
def test_a_first_fetch_imports_nothing(tmp_path: Path, host: str, error: str | None):
    """Look-up, connection, parse and the file of keys: all of it was imported when the gate was opened."""
    import json

    keys = json_bytes({"keys": [signer("ES256", "a").jwk(), signer("RS256", "b").jwk()]}).decode()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, keys, host], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    told = json.loads(done.stdout)

    assert told["new"] == []
    assert told["httpx"]
    assert told["error"] == error


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_waits_for_what_is_being_imported(monkeypatch: pytest.MonkeyPatch):
    """A change of the policy may need the imports while the process is about to fork."""
    begun, done = threading.Event(), []

    def slowly(name: str) -> Any:
        begun.set()
        time.sleep(0.3)
        done.append(name)
        return SimpleNamespace(where=lambda: None)

    monkeypatch.setattr(prepared, "_NEEDED", ("one",))
    monkeypatch.setattr(prepared.importlib, "import_module", slowly)
    thread = threading.Thread(target=prepared.import_all)
    thread.start()
    assert begun.wait(10)
    child = os.fork()
    if not child:
        os._exit(0 if len(done) == 2 else 1)
    assert done == ["one", "certifi"]
    assert os.waitpid(child, 0)[1] == 0
    thread.join(10)
