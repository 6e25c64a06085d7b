"""The seam between a gate and whatever keeps its decisions: what was decided, counted and in part told.

All decisions are counted; details are kept of denials and of a sample of grants. Nothing here holds a token. What is
said of a caller comes from a verified token; of a caller that was not verified nothing is said.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

import msgspec

GRANTED: Final = "granted"
"""The outcome of a grant; of a denial it is the exact reason."""
DROPPED: Final = "dropped"
"""The outcome of decisions that came faster than they could be counted: nothing else is known of them."""
OTHER: Final = "*"
"""Stands for many: callers beyond those that are told apart. No id, GUID or outcome looks like it."""
HOUR: Final = 3600


class SinkError(Exception):
    """A batch cannot be kept now; nothing of it was. `code` is stable.

    It may be handed over again, but for one that is `hopeless`: it would be refused for ever. One that is `passing`
    gave way to others, and is no trouble unless it goes on.
    """

    def __init__(self, code: str, message: str, *, hopeless: bool = False, passing: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.hopeless = hopeless
        self.passing = passing


class Count(NamedTuple):
    """What decisions are counted by. Texts may be empty: not known, or nothing.

    `hour` is its begin in epoch seconds. `tenant` is a tenant's id; where none is listed `ISSUER/TID`. `client_id` and
    `oid` (another issuer's `sub`) are as signed. `outcome` is `granted`, `dropped` or a denial's reason. `roles` are
    those asked for, else those that let the caller in, joined by blanks. `strength` is Entra's `azpacr`,
    `idtyp` and `version` are Entra's own claims, `lifetime` is a bucket (`lifetime_of`).
    """

    hour: int
    resource: str
    tenant: str
    client_id: str
    oid: str
    outcome: str
    roles: str
    credential: str
    strength: str
    idtyp: str
    version: str
    lifetime: str
    revision: int
    stranger: bool
    """Whether the caller, or its tenant, is on no list: such rows are bounded."""


class Detail(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One decision in full. `at` is epoch seconds, `lifetime` the token's in seconds, `roles` those asked for."""

    id: str
    at: int
    resource: str
    outcome: str
    detail: str
    revision: int
    roles: str
    would_deny: str = ""
    partner: str = ""
    tenant: str = ""
    daemon: str = ""
    issuer: str = ""
    tid: str = ""
    client_id: str = ""
    oid: str = ""
    credential: str = ""
    strength: str = ""
    idtyp: str = ""
    version: str = ""
    lifetime: int | None = None


class Stranger(msgspec.Struct, kw_only=True, gc=False):
    """An authentic caller that is not on the list, as one issuer signed it. Times are epoch seconds.

    `oids_differ`: its client id came with another `oid` besides.
    """

    resource: str
    issuer: str
    tid: str
    client_id: str
    oid: str
    reason: str
    first_at: int
    last_at: int
    count: int
    oids_differ: bool = False


class Batch(msgspec.Struct, frozen=True):
    """What one writing keeps. `counts` are to be added to what is there."""

    counts: dict[Count, int]
    details: tuple[Detail, ...] = ()
    strangers: tuple[Stranger, ...] = ()


class DecisionSink(Protocol):
    """Keeps the decisions of one gate. Every method may block: a sink has a worker thread of its own.

    A sink notices by itself that it runs in a forked child and uses nothing it inherited.
    """

    def write(self, batch: Batch) -> None:
        """Keep a batch, whole or not at all. Raises SinkError; the caller hands it over again."""
        ...

    def close(self) -> None:
        """Release what the sink holds."""
        ...


_LIFETIMES: Final = ((300, "5m"), (3600, "1h"), (5400, "90m"), (14_400, "4h"), (86_400, "24h"), (100_800, "28h"))


def lifetime_of(seconds: float) -> str:
    """Return the bucket of a token's lifetime: `5m` is at most five minutes; what is beyond the last is `longer`."""
    return next((name for most, name in _LIFETIMES if seconds <= most), "longer")
