"""A gate over the simulator's issuers, as a process has it, with every time there is shortened alike.

`TENANTGATE_FAULT_SCALE` (0.05 where nothing is said) says by how much; 1 is the product's own pace.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied
from tenantgate.core.policy import (
    AppRoleRow,
    DaemonRow,
    IssuerRow,
    PartnerRow,
    PolicySnapshot,
    ResourceRow,
    RoleAssignmentRow,
    RowData,
    TenantRow,
    row_of,
)
from tenantgate.core.rules import check_row
from tenantgate.discovery.disk import Disk
from tenantgate.discovery.health import IssuerHealth
from tenantgate.discovery.keyring import Keyring
from tenantgate.discovery.limits import KeyLimits
from tenantgate.gate.gate import Gate
from tenantgate.gate.request import RequestView
from tenantgate.net.http import HttpDoor
from tests.builders import Signer
from tests.faults.simulator import Issuer, Simulator

SCALE: Final = float(os.environ.get("TENANTGATE_FAULT_SCALE", "0.05"))
USUAL: Final = KeyLimits()
LIMITS: Final = KeyLimits(
    cooldown=USUAL.cooldown * SCALE,
    wait=USUAL.wait * SCALE,
    unknown_ttl=USUAL.unknown_ttl * SCALE,
    refresh_other=USUAL.refresh_other * SCALE,
    refresh_least=USUAL.refresh_least * SCALE,
    backoff=USUAL.backoff * SCALE,
    spread=USUAL.spread * SCALE,
    spread_most=USUAL.spread_most * SCALE,
    metadata_refresh=USUAL.metadata_refresh * SCALE,
    retire_other=USUAL.retire_other * SCALE,
    hard_age=USUAL.hard_age * SCALE,
    deadline=max(0.5, USUAL.deadline * SCALE),
)
AUDIENCE: Final = "api://orders.example"


def token_of(issuer: Issuer, key: Signer | None = None, *, kid: str | None = None) -> str:
    """Return a token of an issuer's daemon, signed by the old key unless another is given; `kid` names one instead."""
    now = int(time.time())
    claims = {"iss": issuer.url, "aud": AUDIENCE, "sub": "sync", "client_id": "sync", "jti": str(random.random())}
    header = {} if kid is None else {"kid": kid}
    return (key or issuer.old).sign({**claims, "iat": now, "nbf": now, "exp": now + 3600}, **header)


class Clock:
    """Monotonic seconds that stand still while it is held: no pause of the machine then ends a cooldown."""

    def __init__(self) -> None:
        self._behind = 0.0
        self._held_at: float | None = None

    def __call__(self) -> float:
        """Return the seconds."""
        now = time.monotonic() if self._held_at is None else self._held_at
        return now - self._behind

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let no time pass."""
        self._held_at = time.monotonic()
        try:
            yield
        finally:
            self._behind += time.monotonic() - self._held_at
            self._held_at = None


class Process:
    """A gate as a process has it, over the simulator's issuers, with keys kept in a folder."""

    def __init__(
        self,
        simulator: Simulator,
        issuers: Sequence[Issuer],
        folder: Path,
        limits: KeyLimits = LIMITS,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.keyring = Keyring(
            lambda: HttpDoor(resolve=simulator.resolve),
            clock=clock,
            wall=time.time,
            jitter=jitter,
            limits=limits,
            store=Disk(folder, time.time),
        )
        self.gate = Gate(
            "orders",
            self.keyring,
            now=time.time,
            yield_thread=lambda: time.sleep(0),
            id_prefix="t-",
            deadline=limits.wait,
        )
        self.gate.install(policy(simulator, issuers))

    def start(self) -> None:
        """Begin to refresh in the background."""
        self.gate._keeper.start()

    def ask(self, token: str) -> R | None:
        """Present a token; return the reason of a refusal, None where it is let in."""
        view = RequestView("GET", "/", [(b"authorization", b"Bearer " + token.encode())])
        decision = self.gate.decide(view)
        return decision.reason if isinstance(decision, Denied) else None

    def health(self, issuer: Issuer) -> IssuerHealth:
        """Return how an issuer's keys are doing."""
        return next(each for each in self.keyring.health() if each.issuer == issuer.name)


def policy(simulator: Simulator, issuers: Sequence[Issuer]) -> PolicySnapshot:
    """Return the policy in which every issuer's daemon is welcome."""
    rows: list[RowData] = [
        ResourceRow(id="orders", audiences=(AUDIENCE,)),
        AppRoleRow(id="read", resource="orders", value="Orders.Read"),
        PartnerRow(id="partner", name="Partner"),
    ]
    for issuer in issuers:
        id_ = issuer.name
        rows += [
            IssuerRow(
                id=id_,
                kind="oidc",
                issuer=issuer.url,
                allow_private_addresses=True,
                ca_bundle=simulator.authority.pem,
            ),
            TenantRow(id=f"t-{id_}", issuer=id_, partner="partner"),
            DaemonRow(id=f"d-{id_}", tenant=f"t-{id_}", client_id="sync"),
            RoleAssignmentRow(id=f"r-{id_}", app_role="read", daemon=f"d-{id_}"),
        ]
    return PolicySnapshot(epoch="e", revision=1, rows=tuple(row_of(check_row(each), 1) for each in rows))


def wait_until(condition: Callable[[], bool], most: float) -> bool:
    """Wait until something holds; whether it did."""
    until = time.monotonic() + most
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True
