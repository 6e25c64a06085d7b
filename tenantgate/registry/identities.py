"""Who at an issuer of administrators' tokens is which operator: linked by people, or on first use.

One operator may have several identities, and admin keys beside them: whichever they come with, they are the same. What
an identity is made of cannot be changed by whom it names: `tid` and `oid` at Entra, `sub` elsewhere; never a name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from sqlmodel import Session, col, select

from tenantgate.core.fields import check_guid, check_identity, check_url
from tenantgate.core.policy import CONSUMER_TENANT, IssuerRow, PolicyError, one_spelling
from tenantgate.core.rules import check_row
from tenantgate.registry import operators
from tenantgate.registry.admission_tables import OperatorIdentity
from tenantgate.registry.errors import ConflictError, InvalidError, NotFoundError, from_policy_error
from tenantgate.registry.operators import OperatorRole, OperatorSpec
from tenantgate.registry.rows import facts_of
from tenantgate.registry.service import Page, add, choose_id, get_row, page
from tenantgate.registry.tables import Operator, Resource
from tenantgate.registry.unit_of_work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Somebody at an issuer: Entra's authority with `tid` and `oid`, elsewhere the exact `iss` with `sub`."""

    issuer: str
    tid: str | None = None
    oid: str | None = None
    sub: str | None = None

    def __str__(self) -> str:
        """Return it for people."""
        who = f"tid {self.tid}, oid {self.oid}" if self.sub is None else f"sub {self.sub}"
        return f"issuer {self.issuer}, {who}"


def checked_identity(identity: Identity) -> Identity:
    """Return an identity in its one spelling: the authority's own name, GUIDs in lower case.

    Raises:
        InvalidError: a member is at fault; `consumer_tenant`.
    """
    try:
        if identity.sub is None:
            return _checked_at_entra(identity)
        check_url(identity.issuer, "issuer", allow_http=True)
        check_identity(identity.sub, "sub")
    except PolicyError as error:
        raise from_policy_error(error) from None
    if identity.tid is not None or identity.oid is not None:
        raise InvalidError("member_not_allowed", "give tid and oid (Entra), or sub (any other)", field="sub")
    return identity


def _checked_at_entra(identity: Identity) -> Identity:
    if identity.tid is None or identity.oid is None:
        missing = "tid" if identity.tid is None else "oid"
        raise InvalidError("member_missing", "give tid and oid (Entra), or sub (any other)", field=missing)
    try:
        row = check_row(IssuerRow(id="x", kind="entra", authority=identity.issuer, insecure_allow_http=True))
    except PolicyError as error:
        raise PolicyError(error.code, error.message, "issuer") from None
    assert isinstance(row, IssuerRow)
    assert row.authority is not None
    tid, oid = check_guid(identity.tid, "tid"), check_guid(identity.oid, "oid")
    if tid == CONSUMER_TENANT:
        raise PolicyError("consumer_tenant", "personal accounts administer nothing", "tid")
    return Identity(issuer=row.authority, tid=tid, oid=oid)


def link(work: Work, operator: str, identity: Identity) -> OperatorIdentity:
    """Let somebody at an issuer be this operator.

    Raises:
        NotFoundError: `operator_not_found`.
        InvalidError: a member is at fault.
        ConflictError: `identity_linked`; `holder` is the operator whose it is already.
    """
    identity = checked_identity(identity)
    get_row(work.session, Operator, operator, for_change=True)
    there = _find_row(work.session, identity)
    if there is not None:
        message = f"it is already operator {there.operator}'s"
        raise ConflictError("identity_linked", message, holder=there.operator)
    row = OperatorIdentity(
        id=choose_id(work, OperatorIdentity, "idn", None),
        operator=operator,
        created_at=work.now,
        created_by=work.actor.operator_id,
        **asdict(identity),
    )
    return add(work, row, "operator_identity.linked", policy=False)


def unlink(work: Work, operator: str, id_: str) -> OperatorIdentity:
    """Let an identity be this operator no more, at once. It is gone then; what it was stays in the audit.

    Where operators are made on first use (`enrol`) that shuts nobody out: suspending the operator does.

    Raises:
        NotFoundError: `operator_not_found`, `operator_identity_not_found` (another operator's is not there either).
    """
    get_row(work.session, Operator, operator, for_change=True)
    row = get_row(work.session, OperatorIdentity, id_, for_change=True)
    if row.operator != operator:
        raise NotFoundError("operator_identity_not_found", f"operator {operator} has no identity {id_}")
    work.record("operator_identity.unlinked", "operator_identity", id_, facts_of(row), None)
    work.session.delete(row)
    work.session.flush()
    return row


def list_(session: Session, operator: str, *, after: str | None = None, limit: int = 50) -> Page[OperatorIdentity]:
    """Return an operator's identities in order of id. Raises NotFoundError."""
    get_row(session, Operator, operator)
    table = OperatorIdentity
    return page(session, select(table), table, after=after, limit=limit, equal={"operator": operator})


def find(session: Session, identity: Identity) -> tuple[Operator, OperatorIdentity] | None:
    """Return the operator that a checked identity is, if it is one, in whatever state.

    Raises:
        CredentialError: `operator_suspended`.
    """
    row = _find_row(session, identity)
    return None if row is None else (operators.require_active(session, row.operator), row)


def enrol(work: Work, identity: Identity, *, name: str, role: OperatorRole) -> Operator:
    """Make an operator for an authentic identity that nobody has linked, in its own name; or return who it is by now.

    Raises:
        InvalidError: the name cannot be kept.
        CredentialError: `operator_suspended`.
    """
    there = find(work.session, identity)
    if there is not None:
        return there[0]
    id_ = choose_id(work, Operator, "opr", None)
    work.act_as(id_)
    made = operators.create(work, OperatorSpec(id=id_, name=name, role=role))
    link(work, id_, identity)
    return made


def resource_accepting(session: Session, audiences: Iterable[str]) -> str | None:
    """Return a resource that accepts one of these audiences (in one spelling), if there is one. Resources are few."""
    wanted = frozenset(audiences)
    for id_, accepted in session.exec(select(Resource.id, Resource.audiences).order_by(col(Resource.id))):
        if not wanted.isdisjoint(map(one_spelling, accepted)):
            return id_
    return None


def _find_row(session: Session, identity: Identity) -> OperatorIdentity | None:
    members = {name: value for name, value in asdict(identity).items() if value is not None}
    return session.exec(select(OperatorIdentity).filter_by(**members)).first()
