"""From the start of a process to its first grant, with the issuers gone: keys come from disk.

Each round is a new interpreter that imports `tenantgate`, opens a gate over a policy file and judges one token of every
partner. Its issuers' address takes connections and says nothing; what they published last is in the gate's state
folder. Beside it, the same process where the keys stand in the policy itself.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from benchmarks.measure import figure
from benchmarks.report import machine, versions
from tenantgate import open_gate

ISSUERS: Final = (1, 300)
ROUNDS: Final = 15
AUDIENCE: Final = "api://orders.example"
_PROGRAM: Final = """
import json, sys, time
from tenantgate import Granted, RequestView, open_gate

tokens = json.load(open("tokens.json"))
gate = open_gate(sys.argv[1], resource="orders", state_dir="state")
opened = time.monotonic()

def ask(token):
    return gate.decide(RequestView("GET", "/", [(b"authorization", b"Bearer " + token.encode())]))

first = ask(tokens[0])
judged = time.monotonic()
granted = isinstance(first, Granted) and all(isinstance(ask(token), Granted) for token in tokens)
print(json.dumps({"opened": opened, "judged": judged, "granted": granted,
                  "restored": [each.restored for each in gate.key_health()]}))
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"rounds (default {ROUNDS})")
    parser.add_argument("--issuers", type=int, nargs="*", default=ISSUERS, help="numbers of issuers (default 1 300)")


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure and return the figures. Raises RuntimeError where a token of a known partner was refused."""
    figures: dict[str, Any] = {}
    for count in arguments.issuers:
        with tempfile.TemporaryDirectory() as folder:
            port = _prepare(Path(folder), count)
            times: dict[str, list[float]] = {"from_policy": [], "from_disk": []}
            with socket.create_server(("127.0.0.1", port), backlog=1024):
                for _ in range(arguments.rounds):
                    times["from_policy"].append(_start(Path(folder), "from_policy", 0))
                    times["from_disk"].append(_start(Path(folder), "from_disk", count))
        figures |= {f"{kind}_{count}_ms": figure(values) for kind, values in times.items()}
    return {
        **figures,
        "rounds": arguments.rounds,
        "machine": machine(),
        "versions": versions(["tenantgate", "cryptography", "httpx"]),
    }


def _start(folder: Path, kind: str, restored: int) -> float:
    """Return the milliseconds until the first token was let in."""
    begun = time.monotonic()  # the same clock in every process of a machine
    command = [sys.executable, "-c", _PROGRAM, f"{kind}.json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=True, timeout=120)
    told = json.loads(done.stdout)
    if not told["granted"] or sum(told["restored"]) != restored:
        raise RuntimeError(f"{kind}: a known partner was refused, or keys did not come from disk")
    return float(told["judged"] - begun) * 1000


def _prepare(folder: Path, count: int) -> int:
    """Have the keys of so many issuers fetched and kept, then let the issuers go. Returns the port they were at."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(count)]
    documents = [_document(key) for key in keys]
    with _issuers(documents) as port:
        base = f"http://127.0.0.1:{port}"
        names = [f"{base}/{place}" for place in range(count)]
        (folder / "from_disk.json").write_bytes(_policy(names))
        (folder / "from_policy.json").write_bytes(_policy(names, documents))
        (folder / "tokens.json").write_text(json.dumps([_token(*each) for each in zip(names, keys, strict=True)]))
        gate = open_gate(folder / "from_disk.json", resource="orders", state_dir=folder / "state")
        try:
            until = time.monotonic() + 60
            while not all(each.kids for each in gate.key_health()):
                if time.monotonic() > until:
                    raise RuntimeError("the keys could not be had")
                time.sleep(0.05)
        finally:
            gate.close()
    return port


@contextmanager
def _issuers(documents: list[dict[str, Any]]) -> Iterator[int]:
    """Serve the issuers' documents on a port of loopback until the end of the block."""

    class Issuer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _, place, *rest = self.path.split("/")
            name = f"{base}/{place}"
            body = documents[int(place)] if rest == ["keys"] else {"issuer": name, "jwks_uri": f"{name}/keys"}
            raw = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the name of the base
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Issuer)
    base = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _document(key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
    jwk = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {"keys": [{**jwk, "kid": "one", "alg": "ES256", "use": "sig"}]}


def _token(issuer: str, key: ec.EllipticCurvePrivateKey) -> str:
    now = int(time.time())
    claims = {"iss": issuer, "aud": AUDIENCE, "sub": "sync", "client_id": "sync", "iat": now, "exp": now + 3600}
    return jwt.encode(claims, key, "ES256", {"kid": "one"})


def _policy(issuers: list[str], documents: list[dict[str, Any]] | None = None) -> bytes:
    """Return a policy in which each issuer has a daemon; with `documents`, its keys as well."""
    rows = []
    for place, name in enumerate(issuers):
        row = {"id": f"i{place}", "kind": "oidc", "issuer": name, "insecure_allow_http": True}
        rows.append(row if documents is None else {**row, "jwks": documents[place]})
    every = range(len(issuers))
    return msgspec.json.encode(
        {
            "version": 1,
            "resources": [{"id": "orders", "audiences": [AUDIENCE]}],
            "app_roles": [{"id": "read", "resource": "orders", "value": "Orders.Read"}],
            "issuers": rows,
            "partners": [{"id": f"p{place}", "name": f"Partner {place}"} for place in every],
            "tenants": [{"id": f"t{place}", "issuer": f"i{place}", "partner": f"p{place}"} for place in every],
            "daemons": [{"id": f"d{place}", "tenant": f"t{place}", "client_id": "sync"} for place in every],
            "role_assignments": [{"id": f"r{place}", "app_role": "read", "daemon": f"d{place}"} for place in every],
        }
    )
