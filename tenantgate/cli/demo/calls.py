"""The demo's calls: each a promise of the product, made against running programs and compared with what came back."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from tenantgate.cli.demo import world
from tenantgate.cli.demo.client import Reply, bearer, call
from tenantgate.cli.demo.processes import DemoError
from tenantgate.cli.demo.setup import Running, wait_for_gates


class Outcome(NamedTuple):
    """One line of the table: what was tried, what was expected and what came back (`200`, `403 daemon_not_listed`)."""

    who: str
    what: str
    expected: str
    got: str
    note: str

    @property
    def as_expected(self) -> bool:
        """Whether the promise was kept."""
        return self.expected == self.got


def make_calls(running: Running) -> list[Outcome]:
    """Make every call in order and return what happened."""
    return [make(running) for make in _CALLS]


def get_token(running: Running, daemon: world.Daemon) -> str:
    """Ask the authority for a token as the daemon would (RFC 6749 §4.4)."""
    form = {
        "grant_type": "client_credentials",
        "client_id": daemon.client_id,
        "client_secret": daemon.secret,
        "scope": f"{world.APP_ID_URI}/.default",
    }
    reply = call("POST", f"{running.authority}/{daemon.tid}/oauth2/v2.0/token", form=form)
    if reply.status != 200:
        raise DemoError(f"the authority answered {reply.status} to {daemon.name}'s token request")
    token: str = reply.json()["access_token"]
    return token


def _mint(running: Running, daemon: world.Daemon, **spoiled: Any) -> str:
    """Have the authority sign a token no honest one would."""
    body = {"tid": daemon.tid, "client_id": daemon.client_id, "audience": world.APP_ID_URI, **spoiled}
    reply = call("POST", f"{running.authority}/_emulator/mint", body=body)
    if reply.status != 200:
        raise DemoError(f"the authority answered {reply.status} to a request for a spoiled token")
    token: str = reply.json()["access_token"]
    return token


def _ask(running: Running, token: str | None, method: str = "GET") -> Reply:
    return call(method, f"{running.api}/orders", headers=bearer(token) if token is not None else {})


def _summary(reply: Reply) -> str:
    """Return status and exact reason; the demo's resource shows reasons, others show the public code alone."""
    if reply.status < 400:
        return str(reply.status)
    body = reply.json()
    problem = body.get("detail", body) if isinstance(body, dict) else {}
    reason = problem.get("reason") if isinstance(problem, dict) else None
    return f"{reply.status} {reason or reply.headers.get('x-tg-reason', '')}".strip()


def _allowed(running: Running) -> Outcome:
    reply = _ask(running, get_token(running, world.ACME_SYNC))
    return Outcome("Acme nightly-sync", "GET /orders", "200", _summary(reply), "listed, and has Orders.Read")


def _other_partner(running: Running) -> Outcome:
    reply = _ask(running, get_token(running, world.GLOBEX_SYNC))
    return Outcome("Globex order-sync", "GET /orders", "200", _summary(reply), "onboarded by the page's form")


def _without_role(running: Running) -> Outcome:
    reply = _ask(running, get_token(running, world.ACME_SYNC), "POST")
    return Outcome(
        "Acme nightly-sync", "POST /orders", "403 role_not_assigned", _summary(reply), "Orders.Write was not given"
    )


def _unlisted_daemon(running: Running) -> Outcome:
    reply = _ask(running, get_token(running, world.ACME_REPORTS))
    return Outcome(
        "Acme reports", "GET /orders", "403 daemon_not_listed", _summary(reply), "right tenant, but not on the list"
    )


def _unlisted_tenant(running: Running) -> Outcome:
    reply = _ask(running, get_token(running, world.INITECH_SYNC))
    return Outcome(
        "Initech crawler", "GET /orders", "403 tenant_not_listed", _summary(reply), "authentic, and nobody's partner"
    )


def _nothing(running: Running) -> Outcome:
    return Outcome("anybody", "GET /orders", "401 no_credential", _summary(_ask(running, None)), "no token at all")


def _expired(running: Running) -> Outcome:
    reply = _ask(running, _mint(running, world.ACME_SYNC, lifetime=-300))
    return Outcome("Acme nightly-sync", "expired token", "401 token_expired", _summary(reply), "ended 5 minutes ago")


def _other_audience(running: Running) -> Outcome:
    reply = _ask(running, _mint(running, world.ACME_SYNC, audience=world.OTHER_APP_ID_URI))
    return Outcome(
        "Acme nightly-sync", "token for billing", "401 audience_mismatch", _summary(reply), "another API's token"
    )


def _tenant_mismatch(running: Running) -> Outcome:
    reply = _ask(running, _mint(running, world.INITECH_SYNC, claims={"tid": world.ACME.tid}))
    return Outcome(
        "Initech crawler", "Acme's tid, own iss", "401 tenant_mismatch", _summary(reply), "well signed, and a lie"
    )


def _forged(running: Running) -> Outcome:
    head, _, signature = get_token(running, world.ACME_SYNC).rpartition(".")
    turned = signature[::-1][1:] + "A"  # the last character keeps its unused bits zero
    reply = _ask(running, f"{head}.{turned}")
    return Outcome(
        "anybody", "Acme's token, other signature", "401 signature_invalid", _summary(reply), "nobody's signature"
    )


def _suspended(running: Running) -> Outcome:
    """Suspend, wait until the gates say that they enforce it (the measured delay), and let the daemon call once."""
    token = get_token(running, world.GLOBEX_SYNC)
    _ask(running, token)  # so that the API's gate remembers this very token as verified
    running.suspend_partner(world.GLOBEX.slug)
    began = time.monotonic()
    wait_for_gates(running)
    delay = (time.monotonic() - began) * 1000
    note = f"next call refused; in force after {delay:.0f} ms"
    return Outcome(
        "Globex order-sync", "suspended a moment ago", "403 partner_suspended", _summary(_ask(running, token)), note
    )


def _rotated(running: Running) -> Outcome:
    reply = call("POST", f"{running.authority}/_emulator/rotate", body={"retire": True})
    kid = reply.json()["signing_kid"]
    time.sleep(world.KEY_COOLDOWN + 0.1)  # the keys were fetched a moment ago: forged kids must not cause more
    answer = _ask(running, get_token(running, world.ACME_SYNC))
    return Outcome(
        "Acme nightly-sync", "keys rotated", "200", _summary(answer), f"new key {kid[:8]}… accepted without restart"
    )


def _authority_off(running: Running) -> Outcome:
    token = get_token(running, world.ACME_SYNC)
    call("POST", f"{running.authority}/_emulator/off", body={"mode": "drop"})
    try:
        reply = _ask(running, token)
    finally:
        call("POST", f"{running.authority}/_emulator/on", body={})
    return Outcome("Acme nightly-sync", "authority switched off", "200", _summary(reply), "known keys go on serving")


def _forward_auth(running: Running) -> Outcome:
    token = get_token(running, world.ACME_SYNC)
    reply = call("GET", f"{running.server}/auth/check", headers={**bearer(token), "X-TG-Partner": "somebody-else"})
    note = f"X-TG-Partner: {reply.headers.get('x-tg-partner', '')}, X-TG-Roles: {reply.headers.get('x-tg-roles', '')}"
    return Outcome("a gateway, for Acme", "GET /auth/check", "200", _summary(reply), note)


_CALLS: Final[tuple[Callable[[Running], Outcome], ...]] = (
    _allowed,
    _other_partner,
    _without_role,
    _unlisted_daemon,
    _unlisted_tenant,
    _nothing,
    _expired,
    _other_audience,
    _tenant_mismatch,
    _forged,
    _forward_auth,
    _suspended,
    _rotated,
    _authority_off,
)
