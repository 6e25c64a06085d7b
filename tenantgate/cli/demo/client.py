"""A small HTTP client for the demo: loopback only, one call at a time, cookies by hand."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit


class Reply(NamedTuple):
    """An answer: status, headers by lower-case name (the last one of a name), body."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON, or an empty object."""
        return json.loads(self.body) if self.body else {}


def call(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: Any = None,
    form: Mapping[str, Any] | None = None,
) -> Reply:
    """Send one request with a JSON body or a form, and read the whole answer. Redirects are not followed."""
    parts = urlsplit(url)
    sent = dict(headers or {})
    content: bytes | None = None
    if form is not None:
        content = urlencode(form, doseq=True).encode()
        sent["Content-Type"] = "application/x-www-form-urlencoded"
    elif body is not None:
        content = json.dumps(body).encode()
        sent["Content-Type"] = "application/json"
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=10)
    try:
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        connection.request(method, target, body=content, headers=sent)
        answer = connection.getresponse()
        return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def bearer(token: str) -> dict[str, str]:
    """Return the header that presents a token or key."""
    return {"Authorization": f"Bearer {token}"}
