"""What the oracle knows of a caller: the rows that a token's claims lead to, and what its claims look like.

GUIDs in rows are in lower case, as `check_row` leaves them.
"""

from __future__ import annotations

import ipaddress
import json
import re
import unicodedata
from collections.abc import Iterator
from typing import Any, NamedTuple

from tenantgate.core.policy import (
    AppRoleRow,
    DaemonRow,
    IssuerRow,
    PartnerRow,
    RequiredClaim,
    ResourceRow,
    RoleAssignmentRow,
    RoleMappingRow,
    RowData,
    TenantRow,
)

GUID = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
ENTRA_NAMES = {"v1": ("appid", "azp", "appidacr", "1.0"), "v2": ("azp", "appid", "azpacr", "2.0")}
ENTRA_USER = ("upn", "unique_name", "preferred_username", "puid", "amr")


class Question(NamedTuple):
    """A policy, a token's payload, the ids of the issuers that publish the key it is signed with, and the call.

    `peer` is the address it comes from, as far as anybody knows.
    """

    rows: tuple[RowData, ...]
    claims: dict[str, Any]
    signers: frozenset[str]
    resource: str
    wanted: tuple[str, ...]
    now: float
    peer: str | None = None


def named(row: IssuerRow, iss: str) -> Iterator[tuple[IssuerRow, str, str | None]]:
    """Yield how an `iss` names an issuer: by itself, or by a template with a GUID in its place."""
    if row.kind == "oidc" and row.issuer == iss:
        yield row, "v2", None
    for form, template in (("v1", row.v1_issuer), ("v2", row.v2_issuer)):
        head, _, tail = (template or "").partition("{tenantid}")
        if head and (match := re.fullmatch(f"{re.escape(head)}({GUID}){re.escape(tail)}", iss)):
            yield row, form, match[1]


class Caller:
    """What the policy knows about the caller that a token names, if `issuer` is the one that its `iss` means."""

    def __init__(self, asked: Question, issuer: IssuerRow, form: str, tid: str | None) -> None:
        self.asked, self.claims, self.issuer, self.form, self.tid = asked, asked.claims, issuer, form, tid
        self.name, self.other, self.acr, self.version = ENTRA_NAMES[form]
        if tid is None:
            self.name = issuer.client_id_claim or ("azp" if self.claims.get("client_id") is None else "client_id")
            self.other, self.acr = self.name if issuer.client_id_claim else "azp", None
        self.acr_value = self.claims.get(self.acr)
        self.client = str(self.claims.get(self.name)).lower() if tid else self.claims.get(self.name)
        self.resource = self.row(ResourceRow, id=asked.resource)
        self.tenant = self.row(TenantRow, issuer=issuer.id, tid=tid and tid.lower())
        self.daemon = self.tenant and self.row(DaemonRow, tenant=self.tenant.id, client_id=self.client)
        owner = self.daemon if self.tenant and self.tenant.hosted else self.tenant
        self.partner = owner and self.row(PartnerRow, id=owner.partner)
        self.standing = 0 if self.tenant is None else 1 + (self.tenant.state == "active")

    def row(self, kind: type[Any], **members: Any) -> Any:
        """Return the row of a kind with these members, or None."""
        rows = (row for row in self.asked.rows if type(row) is kind)
        return next((row for row in rows if all(getattr(row, name) == members[name] for name in members)), None)

    def assigned(self) -> set[str]:
        """The roles held now on this resource: the daemon's, and its tenant's where allowed."""
        wide = self.tenant.id if self.resource.tenant_wide_roles and not self.tenant.hosted else ...
        rows = [row for row in self.asked.rows if isinstance(row, RoleAssignmentRow)]
        rows = [row for row in rows if (row.not_before or 0) <= self.asked.now and not self.past(row.expires_at)]
        return self.values([row for row in rows if row.daemon == self.daemon.id or row.tenant == wide])

    def mapped(self) -> set[str]:
        """The roles that claims of the token give, by its own issuer's mappings."""
        rows = [row for row in self.asked.rows if isinstance(row, RoleMappingRow) and row.issuer == self.issuer.id]
        return self.values([row for row in rows if row.value in spelled(self.at(row.claim))])

    def values(self, rows: Any) -> set[str]:
        """What the roles that these rows give are called on this resource."""
        roles = [self.row(AppRoleRow, id=row.app_role, resource=self.resource.id) for row in rows]
        return {role.value for role in roles if role}

    def roles(self) -> set[str]:
        """All the roles that policy and mappings give."""
        return self.assigned() | self.mapped()

    def roles_told(self) -> set[str]:
        """The same, the assigned ones cut by the token's own where the resource says so."""
        if self.resource.token_roles == "ignore":
            return self.roles()
        return self.assigned() & set(items(self.claims.get("roles"))) | self.mapped()

    def suffice(self, roles: set[str]) -> bool:
        """Whether these are the roles that are asked for, or any where none is."""
        return bool(roles) and roles >= set(self.asked.wanted)

    def reported(self, rule: str) -> bool:
        """Whether a rule of the resource only says now what it would have denied."""
        return any(each.rule == rule and not self.past(each.until) for each in self.resource.report_only)

    def at(self, claim: str) -> Any:
        """What stands at a claim's name, or where a JSON Pointer leads. None: nothing, or null."""
        deeper = [part.replace("~1", "/").replace("~0", "~") for part in claim.split("/")[1:]]
        value: Any = self.claims
        for name in deeper if claim[0] == "/" else [claim]:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    def carries(self, required: RequiredClaim) -> bool:
        """Whether a required claim is there with what is asked of it."""
        value, asked = self.at(required.claim), set(required.values)
        found = asked & spelled(value, required.separator)
        return value is not None and (not asked or found == asked or (required.match == "any" and bool(found)))

    def calls_from(self, networks: tuple[str, ...]) -> bool:
        """Whether the call's address is known and in one of these; IPv4 in IPv6's clothes is IPv4."""
        try:
            address = ipaddress.ip_address(self.asked.peer or "")
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in ipaddress.ip_network(each) for each in networks)

    def identity(self) -> str:
        """What kind of client Entra says it is; of others nothing is said."""
        if self.tid and 11 in self.numbers("xms_act_fct") | self.numbers("xms_sub_fct"):
            return "agent"
        if self.tid and (self.has("xms_ficinfo") or 33 in self.numbers("xms_idrel")):
            return "federated"
        return "managed_identity" if self.tid and self.has("xms_mirid") else "application"

    def past(self, end: int | None) -> bool:
        """Whether an end has come. The second named is no longer in."""
        return end is not None and end <= self.asked.now

    def has(self, *names: str) -> bool:
        """Whether the token holds one of these claims, whatever its value."""
        return any(name in self.claims for name in names)

    def numbers(self, name: str) -> set[int]:
        """Entra's lists of numbers: "7 28", [7, "28"] or 7; with -1 in it where that cannot be read."""
        value = self.claims.get(name, "")
        words = value.split() if isinstance(value, str) else items(value) if isinstance(value, list) else [value]
        texts = [str(word) if type(word) in (int, str) else "" for word in words]
        return {int(text) if re.fullmatch("[0-9]{1,18}", text) else -1 for text in texts}

    def says_app(self) -> bool:
        """`idtyp` says app, and nothing else in the token says user."""
        return self.claims["idtyp"] == "app" and self.claims.get("scp", "") in ("", "/") and not self.has(*ENTRA_USER)

    def looks_like_app(self) -> bool:
        """Without `idtyp`: the subject is the service principal itself, and nothing says user."""
        same = self.claims["sub"].lower() == self.claims["oid"].lower()
        return same and not self.has(*ENTRA_USER, "name", "scp")

    def is_client(self) -> bool:
        """Another issuer's token is its client's own."""
        names = (self.client, f"{self.client}@clients")
        return self.claims["sub"] in names or self.claims.get("gty") == "client-credentials"

    def pinned(self, member: str) -> bool:
        """Whether an operator said which object the daemon is."""
        return self.daemon is not None and getattr(self.daemon, member) is not None

    def misshapen(self, **shapes: Any) -> bool:
        """Whether one of these claims is there and has not its type or form."""
        return any(name in self.claims and not shape(self.claims[name]) for name, shape in shapes.items())


def items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def spelled(value: Any, separator: str | None = None) -> set[str]:
    """The texts that a claim is or lists; booleans and whole numbers as JSON spells them."""
    parts = value.split(separator) if isinstance(value, str) and separator else value
    each = parts if isinstance(parts, list) else [parts]
    return {one if isinstance(one, str) else json.dumps(one) for one in each if isinstance(one, str | int)}


def texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def as_accepted(names: tuple[str, ...]) -> set[str]:
    """Return names as written and, of GUIDs, as Entra writes them."""
    return {*names, *(each.lower() for each in names if guid(each))}


def sane(value: Any) -> bool:
    fits = isinstance(value, str) and 0 < len(value) <= 512 and unicodedata.is_normalized("NFC", value)
    return fits and all(unicodedata.category(each)[0] != "C" for each in value)


def guid(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(GUID, value) is not None


def instant(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= 2**53


def audience(value: Any) -> bool:
    return sane(value) or (0 < len(items(value)) <= 64 and all(map(sane, value)))
