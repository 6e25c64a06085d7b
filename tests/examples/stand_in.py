"""A stand-in for an API behind a gate: verifies the token with PyJWT and refuses with the gate's public codes.

It knows one daemon and one role. It exists so that the partner's examples can be run without the gate.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import jwt


@dataclass
class StandIn:
    """What the stand-in believes. `closed` makes it answer that it cannot judge."""

    authority: str
    audience: str
    listed: frozenset[tuple[str, str]]
    role: str
    closed: bool = False
    url: str = ""

    def judge(self, authorization: str | None) -> tuple[int, str]:
        """Return status and public code for one call; the code is empty where it is let in."""
        if self.closed:
            return 503, "cannot_judge"
        scheme, _, token = (authorization or "").partition(" ")
        if scheme != "Bearer":
            return 401, "no_credential"
        try:
            claims = self._verified(token)
        except jwt.InvalidTokenError:
            return 401, "invalid_token"
        if (claims["tid"], claims["azp"]) not in self.listed:
            return 403, "caller_not_allowed"
        return (200, "") if self.role in claims.get("roles", []) else (403, "insufficient_scope")

    def _verified(self, token: str) -> dict[str, str]:
        with httpx2.Client(trust_env=False) as client:
            keys = client.get(f"{self.authority}/common/discovery/v2.0/keys").json()["keys"]
        kid = jwt.get_unverified_header(token)["kid"]
        [key] = [jwt.PyJWK(key, algorithm="RS256") for key in keys if key["kid"] == kid]
        return jwt.decode(token, key, algorithms=["RS256"], audience=self.audience)


@contextlib.contextmanager
def standing_in(stand_in: StandIn) -> Iterator[StandIn]:
    """Serve `stand_in` on a free loopback port; its `url` is the address to call."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, reason = stand_in.judge(self.headers["Authorization"])
            body = json.dumps({"orders": [7]} if status == 200 else {"code": reason}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-TG-Decision", "d-1")
            if reason:
                self.send_header("X-TG-Reason", reason)
            if status == 401:
                self.send_header("WWW-Authenticate", "Bearer")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Stay quiet: the test's output is about the daemons."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        serving.start()
        stand_in.url = f"http://127.0.0.1:{server.server_address[1]}/orders"
        try:
            yield stand_in
        finally:
            server.shutdown()
            serving.join()
