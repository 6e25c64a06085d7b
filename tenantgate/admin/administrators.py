"""The tokens of people and automation that administer, and the thread in which their issuers' keys are fetched."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from tenantgate.admin.bearer import AdminTokens
from tenantgate.admin.trusted import Trusted
from tenantgate.core.limits import LIMITS, Limits
from tenantgate.discovery.health import IssuerHealth
from tenantgate.gate.gate import KeyRing
from tenantgate.gate.keeper import Keeper
from tenantgate.registry.issuer_health import OF_ADMINISTRATORS
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
        self._keys = keys
        self._keeper = Keeper(keys)
        self.tokens = AdminTokens(trusted, keys, self._keeper.afetch, unmapped=unmapped, enrols=enrols, limits=limits)

    def start(self) -> None:
        """Fetch the keys, and keep them fresh. Raises RuntimeError: no thread is to be had."""
        self._keeper.start()

    def key_health(self) -> list[IssuerHealth]:
        """Return how every key set is doing, under a name that no issuer of the policy can have. Any thread."""
        return [replace(each, issuer=f"{OF_ADMINISTRATORS}{each.issuer}") for each in self._keys.health()]

    def key_reports(self) -> list[dict[str, Any]]:
        """Return the same for other machines."""
        return [each | {"issuer": f"{OF_ADMINISTRATORS}{each['issuer']}"} for each in self._keys.reports()]

    def close(self) -> None:
        """Fetch nothing any more."""
        self._keeper.close()
