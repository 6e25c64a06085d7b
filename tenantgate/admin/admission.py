"""Who is let in, as what, and why: what is presented, judged by the database's rows of this moment.

A credential is looked at twice: before anything else of the request is read, and again inside of the transaction that
changes something, so that what was revoked in between changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

from sqlmodel import Session

from tenantgate.registry import operators
from tenantgate.registry.operators import OperatorRole, lower_of
from tenantgate.registry.tables import AdminKey, Operator

Scheme = Literal["admin_key"]
"""How an operator came; the audit has it."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """An operator who is let in. `role` is the lowest of those that the operator and the credential have.

    `why` is a line for each thing that had a say in it. `scopes`: where alone it counts (none: everywhere).
    """

    operator: Operator
    role: OperatorRole
    scheme: Scheme
    why: tuple[str, ...]
    scopes: tuple[str, ...] = ()
    admin_key: AdminKey | None = None


class Credential(Protocol):
    """What a caller presents."""

    def judge(self, session: Session, *, now: int) -> Admitted:
        """Return whom it stands for. `now` is epoch seconds. Raises CredentialError."""
        ...


@dataclass(frozen=True, slots=True)
class PresentedKey:
    """An admin key. `value` is untrusted."""

    value: str = field(repr=False)

    def judge(self, session: Session, *, now: int) -> Admitted:
        """Return whose key it is, and what it may.

        Raises:
            CredentialError: as `operators.authenticate_key`.
        """
        operator, row = operators.authenticate_key(session, self.value, now=now)
        why = [f"operator {operator.id} has the role {operator.role}"]
        if row.role is not None:
            why.append(f"admin key {row.id} may do no more than the role {row.role} does")
        if row.scopes:
            why.append(f"admin key {row.id} is for {', '.join(row.scopes)} alone")
        if len(why) == 1:
            why.append(f"admin key {row.id} may do all that its operator may")
        role = lower_of(operator.role, row.role)
        return Admitted(operator, role, "admin_key", tuple(why), tuple(row.scopes), row)
