"""Whose tokens administer: issuers named in the settings, each pinned to one tenant, with an audience of their own.

They are a policy of their own, apart from the partners': whom the registry trusts to sign for daemons is asked nothing
here, and nothing in the database adds an issuer to these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

from msgspec.structs import replace
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, model_validator

from tenantgate.core.claims import Caller
from tenantgate.core.clouds import find_cloud
from tenantgate.core.entries import ResourceEntry
from tenantgate.core.fields import IDENTITY_LENGTH, check_list, check_text
from tenantgate.core.index import PolicyIndex
from tenantgate.core.pointer import Pointer, check_believable, parse_pointer
from tenantgate.core.policy import (
    IssuerRow,
    PolicyError,
    PolicySnapshot,
    ResourceRow,
    RowData,
    TenantRow,
    is_guid,
    one_spelling,
    row_of,
)
from tenantgate.core.references import check_issuers, check_tenant
from tenantgate.core.rules import check_row

if TYPE_CHECKING:  # the settings do without a database
    from tenantgate.registry.operators import OperatorRole

_SEVERAL: Final = frozenset(("common", "organizations", "consumers"))
_LARGEST: Final = 16

Texts = tuple[Annotated[StrictStr, Field(max_length=IDENTITY_LENGTH)], ...]


class AdminIssuer(BaseModel):
    """An issuer whose tokens administer, as the settings name it. Members as in `core.policy`, where they are there.

    Entra: `authority` and `tenant`; elsewhere `issuer`, which is one tenant by itself. `admin`, `operator` and `viewer`
    are the values of `roles_claim` that give the role.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    authority: StrictStr | None = None
    tenant: StrictStr | None = None
    issuer: StrictStr | None = None
    audiences: Texts = ()
    roles_claim: StrictStr = "roles"
    admin: Texts = ()
    operator: Texts = ()
    viewer: Texts = ()
    max_lifetime: StrictInt = 86_400
    profile: StrictStr = "standard"
    metadata_url: StrictStr | None = None
    jwks_hosts: Texts = ()
    max_key_age: StrictInt | None = None
    ca_bundle: StrictStr | None = None
    proxy: StrictStr | None = None
    allow_private_addresses: StrictBool = False
    insecure_allow_http: StrictBool = False

    @model_validator(mode="after")
    def _usable(self) -> AdminIssuer:
        _check_pinned(self)
        try:
            _rows(self, 0)
            _values(self)
            self.pointer  # noqa: B018 - refuses a claim that cannot be read, or believed
        except PolicyError as error:
            raise ValueError(str(error)) from None
        return self

    def __str__(self) -> str:
        """Return it for people."""
        return f"{self.authority}/{self.tenant}" if self.issuer is None else self.issuer

    @property
    def pointer(self) -> Pointer:
        """Where the roles stand in a payload. Raises PolicyError."""
        pointer = parse_pointer(self.roles_claim, "roles_claim")
        check_believable(pointer, "roles_claim")
        return pointer


def _check_pinned(issuer: AdminIssuer) -> None:
    """Refuse what would let anybody's tenant in, or cannot say whose token is meant. Raises ValueError."""
    if (issuer.authority is None) == (issuer.issuer is None):
        raise ValueError("needs authority and tenant (Entra), or issuer (any other), and not both")
    if not issuer.audiences:
        raise ValueError("needs audiences: a token for something else must not administer")
    last = urlsplit(issuer.authority or "").path.rstrip("/").rpartition("/")[2].lower()
    if last in _SEVERAL:
        raise ValueError(f"authority: {last} is more than one tenant; name the login address alone, and your tenant")
    if issuer.issuer is not None:
        if issuer.tenant is not None:
            raise ValueError("tenant goes with authority; an issuer is one tenant by itself")
        if find_cloud(urlsplit(issuer.issuer).hostname or ""):
            raise ValueError("issuer: for Entra give authority and tenant")
    elif issuer.tenant is None:
        raise ValueError("needs tenant: the id of your own tenant, the one whose people administer")
    elif not is_guid(issuer.tenant):
        raise ValueError("tenant: must be the id (a GUID) of one tenant; no name, and none that stands for several")


def _values(issuer: AdminIssuer) -> dict[str, OperatorRole]:
    """Return which role each value of the claim gives.

    Raises:
        PolicyError: none does, or one gives two.
    """
    named: tuple[tuple[OperatorRole, Texts], ...] = (
        ("Admin", issuer.admin),
        ("Operator", issuer.operator),
        ("Viewer", issuer.viewer),
    )
    values = tuple(one_spelling(value) for _, texts in named for value in texts)
    check_list(values, "admin, operator, viewer", empty=False)
    for value in values:
        check_text(value, "admin, operator, viewer", limit=IDENTITY_LENGTH)
    return {one_spelling(value): role for role, texts in named for value in texts}


def _rows(issuer: AdminIssuer, number: int) -> tuple[IssuerRow, TenantRow, ResourceRow]:
    """Return the rows of an issuer. Raises PolicyError."""
    id_ = f"administration-{number}"
    row = check_row(
        IssuerRow(
            id=id_,
            kind="oidc" if issuer.authority is None else "entra",
            authority=issuer.authority,
            issuer=issuer.issuer,
            profile=issuer.profile,
            metadata_url=issuer.metadata_url,
            jwks_hosts=issuer.jwks_hosts,
            max_key_age=issuer.max_key_age,
            ca_bundle=issuer.ca_bundle,
            proxy=issuer.proxy,
            allow_private_addresses=issuer.allow_private_addresses,
            insecure_allow_http=issuer.insecure_allow_http,
        )
    )
    tenant = check_row(TenantRow(id=id_, issuer=id_, tid=issuer.tenant, hosted=True))
    resource = check_row(ResourceRow(id=id_, audiences=issuer.audiences, max_lifetime=issuer.max_lifetime))
    assert isinstance(row, IssuerRow)
    assert isinstance(tenant, TenantRow)
    assert isinstance(resource, ResourceRow)
    check_tenant(tenant, row)
    return row, tenant, resource


@dataclass(frozen=True, slots=True)
class Terms:
    """What one tenant's tokens are held to. `name` is how the settings call it, `issuer` how an identity does."""

    name: str
    issuer: str
    resource: ResourceEntry
    claim: str
    pointer: Pointer
    values: dict[str, OperatorRole]


class Trusted:
    """All issuers of administrators' tokens, ready to be asked. Never changes while the process runs."""

    def __init__(self, issuers: Sequence[AdminIssuer]) -> None:
        """Put them together.

        Raises:
            PolicyError: two of them are the same, or cannot be told apart.
        """
        if len(issuers) > _LARGEST:
            raise PolicyError("list_too_long", f"must not hold more than {_LARGEST}")
        self.rows: list[IssuerRow] = []
        rows: list[RowData] = []
        for number, issuer in enumerate(issuers):
            row, tenant, resource = _rows(issuer, number)
            shared = self._known(row)
            rows += [replace(tenant, issuer=shared.id), resource]
        rows = [*self.rows, *rows]
        self.index = PolicyIndex.from_snapshot(
            PolicySnapshot(epoch="settings", revision=1, rows=tuple(row_of(row, 1) for row in rows))
        )
        self._terms = {f"administration-{n}": self._terms_of(each, n) for n, each in enumerate(issuers)}
        self.audiences = frozenset(one_spelling(each) for issuer in issuers for each in issuer.audiences)

    def terms_of(self, caller: Caller) -> Terms | None:
        """Return what a verified caller's token is held to; None where its tenant is none of those named."""
        tenant = self.index.issuers[caller.issuer].tenants.get(caller.tid)
        return None if tenant is None else self._terms[tenant.row.id]

    def _known(self, row: IssuerRow) -> IssuerRow:
        """Return the row of the same cloud, if it was named before with another tenant, else this one."""
        for other in self.rows:
            if row.kind == "entra" and replace(row, id=other.id) == other:
                return other
            check_issuers(row, other)
        self.rows.append(row)
        return row

    def _terms_of(self, issuer: AdminIssuer, number: int) -> Terms:
        row = self.index.issuers[self.index.tenants[f"administration-{number}"].row.issuer].row
        return Terms(
            name=f"admin_issuers[{number}]",
            issuer=row.authority or row.issuer or "",
            resource=self.index.resources[f"administration-{number}"],
            claim=issuer.roles_claim,
            pointer=issuer.pointer,
            values=_values(issuer),
        )
