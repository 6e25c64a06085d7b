"""The way in to a route: what the caller presents, and what the route asks of whoever it stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fastapi import Request

from tenantgate.admin.admission import Admitted, Credential, PresentedKey
from tenantgate.admin.context import AdminContext
from tenantgate.admin.problems import KeyRefused, RoleTooLow, ScopeTooSmall
from tenantgate.admin.who_may import EVERYBODYS, WHO_MAY
from tenantgate.registry.operators import KEY_PREFIX, RANK, OperatorRole

_OF_CREDENTIALS: Final = frozenset(("operators", "admin-keys"))
"""Where a key that has scopes changes nothing, for there it could give itself what it has not."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a route asks of whoever calls it."""

    role: OperatorRole
    scope: str
    changes: bool

    def check(self, admitted: Admitted) -> None:
        """Refuse whose role does not reach, or whose key is for something else.

        Raises:
            RoleTooLow: `role_too_low`.
            ScopeTooSmall: `scope_too_small`.
        """
        require_role(admitted, self.role)
        if not admitted.scopes or self.scope == EVERYBODYS:
            return
        if self.scope not in admitted.scopes:
            has = ", ".join(admitted.scopes)
            raise ScopeTooSmall("scope_too_small", f"this needs the scope {self.scope}; the admin key is for {has}")
        if self.changes and self.scope in _OF_CREDENTIALS:
            raise ScopeTooSmall("scope_too_small", f"a key that has scopes changes nothing of {self.scope}")


def require_role(admitted: Admitted, role: OperatorRole, what: str = "this", *, field: str = "") -> None:
    """Refuse whose role does not reach for `what`; `field` is the member that asks for so much.

    Raises:
        RoleTooLow: `role_too_low`.
    """
    if RANK[admitted.role] < RANK[role]:
        name = admitted.operator.name
        raise RoleTooLow("role_too_low", f"{what} needs the role {role}; {name} has {admitted.role} here", field=field)


def need_of(method: str, path: str) -> Need:
    """Return what a route asks for. `path` is below /api/v1. Raises KeyError: it is not in the table."""
    return Need(WHO_MAY[method, path], path.split("/")[1], method != "GET")


async def credential_of(value: str, context: AdminContext) -> Credential:
    """Return what a caller presents: a key, or a token that is authentic. What it looks like says which, once.

    Raises:
        KeyRefused, IdentityRefused, KeysUnavailable: as `AdminTokens.read`.
    """
    if context.tokens is None or value.startswith(KEY_PREFIX):
        return PresentedKey(value)
    return await context.tokens.read(value, now=context.now())


def presented(request: Request) -> str:
    """Return what stands in the one `Authorization: Bearer` header. Untrusted.

    Raises:
        KeyRefused: there is none, or more than one header.
    """
    values = request.headers.getlist("authorization")
    if len(values) != 1:
        raise KeyRefused("admin_key_refused", f"{len(values)} Authorization headers")
    scheme, _, key = values[0].partition(" ")
    if scheme.lower() != "bearer" or not key:
        raise KeyRefused("admin_key_refused", "not a Bearer credential")
    return key
