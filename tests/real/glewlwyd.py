"""One real OpenID provider (Debian's glewlwyd, in C, on SQLite) with several issuers on one port of loopback.

Each issuer is one of its `oidc` plugins, set up through its own admin REST API, with keys of ours: it publishes all of
them and signs with the first.
"""

from __future__ import annotations

import contextlib
import gzip
import http.client
import itertools
import json
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Self

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.http import post_form
from tests.real.provider import Change
from tests.real_parts import missing, need_binary

SCHEMA: Final = Path("/usr/share/doc/glewlwyd/database/init.sqlite3.sql.gz")
MODULES: Final = Path("/usr/lib/glewlwyd")
SCOPE: Final = "orders.read"
AUDIENCE: Final = "https://orders.example/"
SECRET: Final = "a-secret-of-the-test"
_KINDS: Final = {"RS256": "rsa", "ES256": "ecdsa"}


def new_key(alg: str, kid: str) -> dict[str, Any]:
    """Return a new private key as a JWK."""
    jwk: dict[str, Any]
    if alg == "ES256":
        jwk = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True)
    else:
        jwk = RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 2048), as_dict=True)
        del jwk["key_ops"]
    return {**jwk, "kid": kid, "alg": alg}


class Glewlwyd:
    """A running server, and its administrator."""

    audience = AUDIENCE
    issuers = ("rsa", "ec")

    def __init__(self, program: str, folder: Path) -> None:
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            self._port = int(bound.getsockname()[1])
        self._program = program
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._algs = {"rsa": "RS256", "ec": "ES256"}
        self._cookie = ""
        self._numbers = itertools.count(1)
        self._keys: dict[str, list[dict[str, Any]]] = {}
        self._newest: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> Self:
        with contextlib.closing(sqlite3.connect(self._folder / "glewlwyd.db")) as database:
            database.executescript(gzip.decompress(SCHEMA.read_bytes()).decode())
        (self._folder / "glewlwyd.conf").write_text(_configuration(self._folder, self._port))
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _start(self) -> None:
        with (self._folder / "glewlwyd.log").open("ab") as log:
            command = [self._program, f"--config-file={self._folder / 'glewlwyd.conf'}"]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until = time.monotonic() + 20
        while True:
            assert self._process.poll() is None, "glewlwyd has ended"
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 1):
                return
            assert time.monotonic() < until, "glewlwyd does not listen"
            time.sleep(0.02)

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def issuer(self, name: str) -> str:
        """Return an issuer's name, as its tokens bear it."""
        return f"http://127.0.0.1:{self._port}/api/{name}"

    def token(self, issuer: str, client: str = "daemon") -> str:
        """Ask for a token as the partner's daemon would."""
        form = {"grant_type": "client_credentials", "client_id": client, "client_secret": SECRET, "scope": SCOPE}
        form["resource"] = AUDIENCE
        return str(post_form(f"{self.issuer(issuer)}/token", form)["access_token"])

    def change_keys(self, change: Change) -> set[str]:
        """Change the keys of every issuer and start anew; return the newest kids.

        It could take them while it runs, but its plugins end the process where a request is under way (2.7.5).
        """
        for name, alg in self._algs.items():
            if change in ("add", "replace"):
                self._newest[name] = new_key(alg, f"{name}-{next(self._numbers)}")
            newest = self._newest[name]
            others = [key for key in self._keys[name] if key is not newest]
            self._keys[name] = {"add": [*others, newest], "sign": [newest, *others]}.get(change, [newest])
        self._stop()
        with contextlib.closing(sqlite3.connect(self._folder / "glewlwyd.db")) as database, database:
            for name in self._algs:
                parameters = json.dumps(self._plugin(name)["parameters"])
                sql = "UPDATE g_plugin_module_instance SET gpmi_parameters = ? WHERE gpmi_name = ?"
                assert database.execute(sql, (parameters, name)).rowcount == 1
        self._start()
        return {str(key["kid"]) for key in self._newest.values()}

    def set_up(self) -> None:
        """Make its scope, its issuers and their clients."""
        self._sign_in()
        self._ask("POST", "/scope/", {"name": SCOPE, "display_name": SCOPE, "password_required": False})
        for name, alg in self._algs.items():
            self._newest[name] = new_key(alg, f"{name}-{next(self._numbers)}")
            self._keys[name] = [self._newest[name]]
            self._ask("POST", "/mod/plugin/", self._plugin(name))
        for client in ("daemon", "other"):
            body = {
                "client_id": client,
                "name": client,
                "client_secret": SECRET,
                "confidential": True,
                "enabled": True,
                "authorization_type": ["client_credentials"],
                "token_endpoint_auth_method": ["client_secret_post"],
                "scope": [SCOPE],
            }
            self._ask("POST", "/client/", body)

    def _plugin(self, name: str) -> dict[str, Any]:
        keys = self._keys[name]
        parameters = {
            "iss": self.issuer(name),
            "jwks-private": json.dumps({"keys": keys}),
            "default-kid": keys[0]["kid"],
            "jwt-type": _KINDS[self._algs[name]],
            "jwt-key-size": "256",
            "access-token-duration": 300,
            "refresh-token-duration": 300,
            "code-duration": 300,
            "allow-non-oidc": True,
            "auth-type-client-enabled": True,
            "auth-type-code-enabled": False,
            "auth-type-token-enabled": False,
            "auth-type-id-token-enabled": False,
            "auth-type-password-enabled": False,
            "auth-type-refresh-enabled": False,
            "auth-type-device-enabled": False,
            "jwks-show": True,
            "resource-allowed": True,
            "resource-scope": {SCOPE: [AUDIENCE]},
            "resource-scope-and-client-property": False,
            "subject-type": "public",
        }
        return {"module": "oidc", "name": name, "display_name": name, "enabled": True, "parameters": parameters}

    def _sign_in(self) -> None:
        _, cookie = self._call("POST", "/auth/", {"username": "admin", "password": "password"})
        self._cookie = cookie.split(";")[0]

    def _ask(self, method: str, path: str, body: Any = None) -> None:
        self._call(method, path, body)

    def _call(self, method: str, path: str, body: Any) -> tuple[bytes, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            headers = {"Content-Type": "application/json"} | ({"Cookie": self._cookie} if self._cookie else {})
            connection.request(method, f"/api{path}", None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            told = answer.read()
            assert answer.status == 200, (method, path, answer.status, told)
            return told, answer.getheader("Set-Cookie", "")
        finally:
            connection.close()


@contextlib.contextmanager
def running_glewlwyd(folder: Path) -> Iterator[Glewlwyd]:
    """Run it on a database of its own; skip where it is not installed."""
    program = need_binary("glewlwyd")
    if not SCHEMA.is_file():
        missing("schema of glewlwyd (its package's documentation)")
    server = Glewlwyd(program, folder)
    with server:
        server.set_up()
        yield server


def _configuration(folder: Path, port: int) -> str:
    (folder / "user_middleware").mkdir()
    modules: Sequence[tuple[str, Path]] = (
        ("user_module_path", MODULES / "user"),
        ("user_middleware_module_path", folder / "user_middleware"),
        ("client_module_path", MODULES / "client"),
        ("user_auth_scheme_module_path", MODULES / "scheme"),
        ("plugin_module_path", MODULES / "plugin"),
    )
    lines = [
        f"port={port}",
        'bind_address="127.0.0.1"',
        f'external_url="http://127.0.0.1:{port}"',
        'login_url="login.html"',
        'api_prefix="api"',
        'log_mode="console"',
        'log_level="WARNING"',
        'cookie_domain="127.0.0.1"',
        "cookie_secure=0",
        "session_expiration=2419200",
        'session_key="SESSION"',
        'admin_scope="g_admin"',
        'profile_scope="g_profile"',
        'hash_algorithm="SHA512"',
        *(f'{name}="{path}"' for name, path in modules),
        f'database = {{ type = "sqlite3" path = "{folder / "glewlwyd.db"}" }};',
    ]
    return "\n".join(lines) + "\n"
