"""The tokens of people and automation that administer, and the thread in which their issuers' keys are fetched."""

from __future__ import annotations

from tenantgate.admin.bearer import AdminTokens
from tenantgate.admin.trusted import Trusted
from tenantgate.core.limits import LIMITS, Limits
from tenantgate.gate.gate import KeyRing
from tenantgate.gate.keeper import Keeper
from tenantgate.registry.operators import OperatorRole


class Administrators:
    """`keys` are theirs alone. The rest is as `AdminTokens` has it."""

    def __init__(
        self,
        trusted: Trusted,
        keys: KeyRing,
        *,
        unmapped: OperatorRole | None = None,
        enrols: bool = False,
        limits: Limits = LIMITS,
    ) -> None:
        keys.set_issuers(trusted.rows)
        self._keeper = Keeper(keys)
        self.tokens = AdminTokens(trusted, keys, self._keeper.afetch, unmapped=unmapped, enrols=enrols, limits=limits)

    def start(self) -> None:
        """Fetch the keys, and keep them fresh. Raises RuntimeError: no thread is to be had."""
        self._keeper.start()

    def close(self) -> None:
        """Fetch nothing any more."""
        self._keeper.close()
