"""A few lines of HTTP for tests that talk to real programs on loopback."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

_OPENER = build_opener(ProxyHandler({}))


def post_form(url: str, form: Mapping[str, str]) -> dict[str, Any]:
    """Post a form and return the JSON answer. Raises HTTPError for a status from 400 on."""
    with _OPENER.open(Request(url, urlencode(form).encode()), timeout=10) as answer:
        found: dict[str, Any] = json.loads(answer.read())
        return found


def get(url: str) -> bytes:
    """Get a body. Raises HTTPError for a status from 400 on."""
    with _OPENER.open(url, timeout=10) as answer:
        body: bytes = answer.read()
        return body


def post_json(url: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Post a JSON object and return the JSON answer. Raises HTTPError for a status from 400 on."""
    request = Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with _OPENER.open(request, timeout=10) as answer:
        found: dict[str, Any] = json.loads(answer.read())
        return found
