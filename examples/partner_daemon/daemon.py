"""A partner's daemon in Python: gets a token from its own tenant, calls the API, and explains a refusal.

Needs httpx (`pip install httpx`) and TENANT_ID, CLIENT_ID, CLIENT_SECRET, SCOPE and API_URL in the environment;
see README.md. Exit code: 0 every call was let in, 1 one was refused, 2 a variable is missing, 3 no token or no answer.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

ENTRA = "https://login.microsoftonline.com"
RENEW_EARLY = 300  # seconds before its end at which a token is replaced
TIMEOUT = 30.0  # seconds

ADVICE = {
    "no_credential": "no token arrived. Does a proxy on the way remove the Authorization header?",
    "invalid_request": "the request's headers are malformed or doubled. Does a proxy on the way add a second one?",
    "invalid_token": "the token was not accepted. Check SCOPE, this machine's clock, and that AUTHORITY and TENANT_ID "
    "are the ones you told the publisher.",
    "caller_not_allowed": "the token is genuine, but this tenant or this daemon is not on the publisher's list, or no "
    "longer. A new token will not help: send the publisher TENANT_ID, CLIENT_ID and the decision below.",
    "insufficient_scope": "you are known, but lack a role for this call. A new token will not help: ask the publisher "
    "for the role.",
    "certificate_required": "this API wants a client certificate on the connection; a token alone does not do.",
    "cannot_judge": "the API cannot judge anybody just now; this says nothing about you. Try again later with the "
    "same token.",
}
ADVICE_BY_STATUS = {401: ADVICE["invalid_token"], 403: ADVICE["caller_not_allowed"], 503: ADVICE["cannot_judge"]}


@dataclass(frozen=True)
class Settings:
    """What README.md asks to be filled in. The secret comes from the environment and is never printed."""

    tenant_id: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str
    api_url: str
    authority: str


class TokenRefused(Exception):
    """The tenant gave no token; the text is its own explanation."""


class TokenSource:
    """Gives a token, the same one until shortly before it ends: a token lives an hour or more, a call milliseconds."""

    def __init__(self, client: httpx.Client, settings: Settings, clock: Callable[[], float]) -> None:
        """Ask through `client` when a token is first needed; `clock` gives monotonic seconds."""
        self._client = client
        self._settings = settings
        self._clock = clock
        self._token = ""
        self._renew_at = float("-inf")

    def token(self) -> str:
        """Return a token that is still good; raise TokenRefused or httpx.HTTPError."""
        if self._clock() >= self._renew_at:
            self._fetch()
        return self._token

    def forget(self) -> None:
        """Ask for a new token next time: the API did not accept this one."""
        self._renew_at = float("-inf")

    def _fetch(self) -> None:
        settings = self._settings
        asked_at = self._clock()
        answer = self._client.post(
            f"{settings.authority}/{settings.tenant_id}/oauth2/v2.0/token",
            data={
                "grant_type": "client_credentials",
                "client_id": settings.client_id,
                "client_secret": settings.client_secret,
                "scope": settings.scope,
            },
        )
        body = _members(answer)
        if not answer.is_success or "access_token" not in body:
            raise TokenRefused(str(body.get("error_description") or f"HTTP {answer.status_code}"))
        self._token = str(body["access_token"])
        self._renew_at = asked_at + int(body.get("expires_in", 0)) - RENEW_EARLY


def main() -> int:
    """Read the environment, then call the API as often as asked."""
    parser = argparse.ArgumentParser(description="Call an API behind TenantGate as a partner's daemon.")
    parser.add_argument("--times", type=int, default=1, help="how many calls to make (default: %(default)s)")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between two calls (default: %(default)s)")
    options = parser.parse_args()
    settings = settings_from(os.environ)
    if isinstance(settings, str):
        print(f"daemon.py: {settings}", file=sys.stderr)
        return 2
    with httpx.Client(timeout=TIMEOUT) as client:
        tokens = TokenSource(client, settings, time.monotonic)
        try:
            return work(client, settings.api_url, tokens, options.times, options.pause)
        except TokenRefused as refused:
            print(f"daemon.py: no token; your tenant says: {refused}", file=sys.stderr)
            return 3
        except httpx.HTTPError as error:
            print(f"daemon.py: no answer: {error}", file=sys.stderr)
            return 3


def settings_from(environ: Mapping[str, str]) -> Settings | str:
    """Return the settings, or a sentence about what is missing."""
    names = ("TENANT_ID", "CLIENT_ID", "CLIENT_SECRET", "SCOPE", "API_URL")
    missing = [name for name in names if not environ.get(name)]
    if missing:
        return f"not set: {', '.join(missing)}"
    authority = (environ.get("AUTHORITY") or ENTRA).rstrip("/")
    return Settings(**{name.lower(): environ[name] for name in names}, authority=authority)


def work(client: httpx.Client, api_url: str, tokens: TokenSource, times: int, pause: float) -> int:
    """Call the API `times` times; return 0 where every call was let in, else 1."""
    refused = 0
    for number in range(times):
        if number:
            time.sleep(pause)
        answer = client.get(api_url, headers={"Authorization": f"Bearer {tokens.token()}"})
        print(f"HTTP {answer.status_code}\n{answer.text}")
        if not answer.is_success:
            refused = 1
            print(explain(answer), file=sys.stderr)
        if answer.status_code == 401:
            tokens.forget()  # the next call gets a new one; after a 403 or 503 a new one would change nothing
    return refused


def explain(answer: httpx.Response) -> str:
    """Say what a refusal means for us and what to do about it."""
    reason = answer.headers.get("X-TG-Reason", "")
    advice = ADVICE.get(reason) or ADVICE_BY_STATUS.get(answer.status_code, "this is the API's own answer.")
    decision = answer.headers.get("X-TG-Decision", "none given")
    return f"reason:   {reason or 'none given'}\nadvice:   {advice}\ndecision: {decision}"


def _members(answer: httpx.Response) -> dict[str, Any]:
    """Return the members of a JSON object, or nothing where the answer is none."""
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


if __name__ == "__main__":
    sys.exit(main())
