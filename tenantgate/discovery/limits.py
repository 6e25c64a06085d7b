"""How often, how long, how many. Seconds throughout; why each default has its value stands in docs/decisions/0032."""

from __future__ import annotations

import msgspec

from tenantgate.core.policy import IssuerRow
from tenantgate.net.door import MEBIBYTE, FetchRules


class KeyLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The timers and bounds of a Keyring.

    Requests: `cooldown` between the end of one fetch, failed or not, and the next for the same key set;
    `waiters` requests may wait for one fetch, each at most `wait`. `unknown_ttl` and `unknown_most`: how
    long, and how many, kids are remembered that a successful fetch did not bring.

    Background: a set is fetched again after `refresh_entra` or `refresh_other`, sooner where the server's
    max-age is shorter but never before `refresh_least`, each ± `jitter` of itself. After failures the pause
    doubles from `cooldown` up to `backoff`. First fetches start `spread` apart, all within `spread_most`.
    `metadata_refresh`: how long metadata serves.

    Keys: one that a successful fetch no longer lists retires at the first success `retire_entra` or
    `retire_other` after the first that lacked it; at most `retained` of them are kept. `hard_age`: no key
    set judges longer than this after the last success, unless the issuer's row says how long.
    """

    cooldown: float = 30.0
    waiters: int = 64
    wait: float = 2.0
    unknown_ttl: float = 60.0
    unknown_most: int = 256
    refresh_entra: float = 3600.0
    refresh_other: float = 600.0
    refresh_least: float = 300.0
    jitter: float = 0.2
    backoff: float = 600.0
    spread: float = 0.1
    spread_most: float = 30.0
    metadata_refresh: float = 86_400.0
    retire_entra: float = 86_400.0
    retire_other: float = 300.0
    retained: int = 256
    hard_age: float = 72 * 3600.0
    deadline: float = 5.0
    max_bytes: int = MEBIBYTE

    def refresh(self, row: IssuerRow, max_age: int | None) -> float:
        """Return when to fetch an issuer's keys again, before jitter. `max_age` is the server's wish."""
        usual = self.refresh_entra if row.kind == "entra" else self.refresh_other
        longest = min(usual, self.judging(row) / 2)  # so that an age limit says how long an outage may last
        if max_age is None:
            return longest
        return min(longest, max(max_age, self.refresh_least))

    def retire(self, row: IssuerRow) -> float:
        """Return how long a withdrawn key of an issuer still counts (Entra's sets flap: docs/decisions/0033)."""
        return self.retire_entra if row.kind == "entra" else self.retire_other

    def rules(self, row: IssuerRow) -> FetchRules:
        """Return what a fetch for an issuer may do."""
        return FetchRules(
            insecure_allow_http=row.insecure_allow_http,
            allow_private_addresses=row.allow_private_addresses,
            deadline=self.deadline,
            max_bytes=self.max_bytes,
            ca_bundle=row.ca_bundle,
            proxy=row.proxy,
        )

    def judging(self, row: IssuerRow) -> float:
        """Return how long after the last success an issuer's keys judge."""
        return self.hard_age if row.max_key_age is None else float(row.max_key_age)
