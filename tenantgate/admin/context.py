"""What the administration needs of its process: the database, the clock, ids and randomness.

Made once by the composition root and handed to every router; nothing here is global.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.engine import Engine

from tenantgate.admin.bearer import AdminTokens
from tenantgate.admin.explaining import Explaining
from tenantgate.admin.probing import Probing
from tenantgate.admin.rates import Failures, OperatorRates
from tenantgate.registry.ids import NewId, RandomBytes
from tenantgate.registry.product_keys import ProductKeys


@dataclass(frozen=True, slots=True)
class AdminContext:
    """`now` gives whole epoch seconds. `public_url` is where people reach this server (no trailing slash).

    `probing` looks at issuers for operators; `keys` are the product's own, the same on every server.
    `explaining` judges tokens for them once more; `tokens` reads administrators' own, where any are taken.
    `rates` and `failures` are how much an operator may ask, and how often an address may be wrong; None: without end.
    """

    engine: Engine
    now: Callable[[], int]
    new_id: NewId
    random_bytes: RandomBytes
    public_url: str
    probing: Probing
    keys: ProductKeys
    explaining: Explaining
    tokens: AdminTokens | None = None
    rates: OperatorRates | None = None
    failures: Failures | None = None

    @property
    def reserved_audiences(self) -> frozenset[str]:
        """What no resource may accept, for administrators' tokens are made for it."""
        return frozenset() if self.tokens is None else self.tokens.audiences

    @property
    def secure(self) -> bool:
        """Whether people reach this server by https (plain http is for loopback alone)."""
        return self.public_url.startswith("https://")
