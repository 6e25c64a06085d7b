"""Who is let in, as what, and why: what is presented, judged by the database's rows of this moment.

A credential is looked at twice: before anything else of the request is read, and again inside of the transaction that
changes something, so that what was revoked in between changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from sqlmodel import Session

from tenantgate.registry import identities, operators
from tenantgate.registry.admission_tables import OperatorIdentity
from tenantgate.registry.errors import CredentialError
from tenantgate.registry.identities import Identity
from tenantgate.registry.operators import OperatorRole, lower_of
from tenantgate.registry.tables import AdminKey, Operator
from tenantgate.registry.unit_of_work import Work

Scheme = Literal["admin_key", "bearer"]
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
    identity: OperatorIdentity | None = None


class NotLinked(Exception):
    """The credential is authentic and would give a role, but no operator has this identity."""

    def __init__(self, identity: Identity) -> None:
        super().__init__(str(identity))
        self.identity = identity


@dataclass(frozen=True, slots=True)
class PresentedKey:
    """An admin key. `value` is untrusted."""

    value: str = field(repr=False)
    scheme: Scheme = field(default="admin_key", init=False)

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


@dataclass(frozen=True, slots=True)
class PresentedToken:
    """A token that is authentic and for us, and gives `role`; `why` says what in it does. Made by `admin.bearer` alone.

    `enrols`: whether whom nobody has linked becomes an operator by coming; `name` is what to call them then, and never
    looked at again. `audiences` are those of the token's issuer, `ends_at` (epoch seconds) is when the token does.
    """

    identity: Identity
    role: OperatorRole
    why: str
    name: str
    audiences: frozenset[str]
    enrols: bool
    ends_at: float
    scheme: Scheme = field(default="bearer", init=False)

    def judge(self, session: Session, *, now: int) -> Admitted:
        """Return which operator it is, and the lower one of the operator's role and the token's.

        Raises:
            CredentialError: `token_ended`, `operator_suspended`; `audience_shared`: a resource accepts tokens made for
                us, so that who serves it could be anybody here.
            NotLinked: no operator has this identity.
        """
        if not now < self.ends_at:  # what one request began may go on for longer than the token
            raise CredentialError("token_ended", "the token has expired meanwhile")
        shared = identities.resource_accepting(session, self.audiences)
        if shared is not None:
            raise CredentialError(
                "audience_shared", f"resource {shared} accepts the audience of administrators' tokens"
            )
        found = identities.find(session, self.identity)
        if found is None:
            raise NotLinked(self.identity)
        operator, row = found
        why = (f"identity {row.id} is operator {operator.id}'s", f"operator {operator.id} has the role {operator.role}")
        role = lower_of(operator.role, self.role)
        return Admitted(operator, role, "bearer", (*why, self.why), identity=row)

    def enrol(self, work: Work) -> None:
        """Make an operator with the role that the token gives. Raises InvalidError, CredentialError."""
        identities.enrol(work, self.identity, name=self.name, role=self.role)


Credential = PresentedKey | PresentedToken
"""What a caller presents."""
