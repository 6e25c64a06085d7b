"""What is known when one judgement is explained: the token's own words, and what the policy has about them.

Unless `proved`, header and payload are what somebody claims: they choose a sentence and are shown, bounded;
nothing is concluded from them, and nobody is listed by them. Policy rows are an operator's.
"""

from __future__ import annotations

import functools
from typing import Any, Final, Literal, NamedTuple

import msgspec

from tenantgate.core.claims import VerifiedClaims
from tenantgate.core.decision import DenialReason
from tenantgate.core.entries import DaemonEntry, ResourceEntry, TenantEntry
from tenantgate.core.index import IssuerMatch, PolicyIndex
from tenantgate.core.judge import Case
from tenantgate.core.limits import Limits
from tenantgate.core.policy import PartnerRow, ResourceRow, RoleAssignmentRow
from tenantgate.core.roles import held_roles
from tenantgate.core.strict import ObjectReader, Unreadable, decode_base64url, guid_bytes, shown
from tenantgate.core.token import READER, Refused, TokenReader

Form = Literal["parts", "opaque", "prefixed", "quoted", "wrapped", "cut"]
_CLIENT_CLAIMS: Final = {"v2": "azp", "v1": "appid"}


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """One judgement, as far as it came. `now` in epoch seconds; `asked` is the resource's id as it was asked for.

    `proved`: the signature holds. `claims`: they could be read, too. `client_id` is "" where none is known.
    """

    reason: DenialReason | None
    form: Form
    header: dict[str, Any]
    payload: dict[str, Any]
    proved: bool
    claims: VerifiedClaims | None
    index: PolicyIndex
    asked: str
    entry: ResourceEntry | None
    wanted: tuple[str, ...]
    now: float
    match: IssuerMatch | None
    client_id: str
    tenant: TenantEntry | None
    daemon: DaemonEntry | None
    partner: PartnerRow | None

    @property
    def resource(self) -> ResourceRow | None:
        """The resource's row; None where the policy has none."""
        return None if self.entry is None else self.entry.row

    @property
    def entra(self) -> bool:
        """Whether the issuer is an Entra cloud of the policy."""
        return self.match is not None and self.match.tid is not None

    @property
    def issuer(self) -> str:
        """The id of the issuer's row; empty where the policy has none."""
        return "" if self.match is None else self.match.entry.row.id

    def text(self, claim: str) -> str:
        """Return a claim that is a string; empty where it is absent or none."""
        value = self.payload.get(claim)
        return value if type(value) is str else ""

    def has(self, *claims: str) -> bool:
        """Whether one of these claims is there."""
        return not self.payload.keys().isdisjoint(claims)


class Asked(NamedTuple):
    """The question of a judgement: for which resource, with which roles, when (epoch seconds), from where."""

    resource: str
    wanted: tuple[str, ...]
    now: float
    peer: str | None = None
    reader: TokenReader = READER


def read_facts(
    token: str | bytes,
    index: PolicyIndex,
    asked: Asked,
    reason: DenialReason | None,
    claims: VerifiedClaims | None,
    *,
    proved: bool,
) -> Facts:
    """Gather what is known of a judgement that ended in `reason`. `token` is untrusted; any input ends in facts."""
    raw = token if isinstance(token, bytes) else token.encode("utf-8", "replace")
    header, payload = _segments(raw, asked.reader)
    iss = payload.get("iss")
    # A policy applied by half knows nothing.
    match = index.find_issuer(iss) if type(iss) is str and not index.broken else None
    client_id = claims.caller.client_id if claims is not None else _client_id(payload, match)
    tenant = match.entry.tenants.get(match.tid) if match is not None else None
    daemon = _find_daemon(tenant, client_id)
    return Facts(
        reason=reason,
        form=_form(raw),
        header=header,
        payload=payload,
        proved=proved,
        claims=claims,
        index=index,
        asked=asked.resource,
        entry=None if index.broken else index.resources.get(asked.resource),
        wanted=asked.wanted,
        now=asked.now,
        match=match,
        client_id=client_id,
        tenant=tenant,
        daemon=daemon,
        partner=_find_partner(index, tenant, daemon),
    )


def _segments(raw: bytes, reader: TokenReader) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read header and payload as strictly as a judgement does, but each by itself; what is unreadable is empty."""
    limits, parts = reader.limits, raw.split(b".", 3)
    if len(raw) > limits.token_bytes or len(parts) != 3 or len(parts[0]) > limits.header_bytes:
        return {}, {}
    objects = _objects(limits)
    return _object(parts[0], objects), _object(parts[1], objects)


@functools.lru_cache(maxsize=8)
def _objects(limits: Limits) -> ObjectReader:
    return ObjectReader(limits)


def _object(segment: bytes, objects: ObjectReader) -> dict[str, Any]:
    try:
        return objects.read(decode_base64url(segment))
    except Unreadable:
        return {}


def _form(raw: bytes) -> Form:
    """Tell the commonest ways in which a token is spoiled before it is sent."""
    if raw[:7].lower() == b"bearer ":
        return "prefixed"
    if raw[:1] in (b'"', b"'", b"<") or raw[-1:] in (b'"', b"'", b">"):
        return "quoted"
    if len(raw.split()) > 1:
        return "wrapped"
    dots = raw.count(b".")
    if dots == 0:
        return "opaque"
    return "cut" if dots == 1 or raw.endswith(b".") else "parts"


def _client_id(payload: dict[str, Any], match: IssuerMatch | None) -> str:
    """Return the client id that an unproved token gives itself."""
    if match is None:
        return ""
    if match.tid is not None:
        value = payload.get(_CLIENT_CLAIMS[match.document])
        return value.lower() if type(value) is str and guid_bytes(value) is not None else ""
    assert match.entry.oidc is not None
    try:
        return match.entry.oidc.read(payload).caller.client_id
    except Refused:
        return ""


def _find_daemon(tenant: TenantEntry | None, client_id: str) -> DaemonEntry | None:
    if tenant is None:
        return None
    key = client_id if tenant.tid is None else guid_bytes(client_id)
    return None if key is None else tenant.daemons.get(key)


def _find_partner(index: PolicyIndex, tenant: TenantEntry | None, daemon: DaemonEntry | None) -> PartnerRow | None:
    if tenant is None:
        return None
    id_ = tenant.row.partner
    if tenant.row.hosted:
        id_ = None if daemon is None else daemon.partner
    return None if id_ is None else index.partners.get(id_)


class Holding(NamedTuple):
    """A role that was granted on the resource: by which assignment, and whether it counts at `now`."""

    value: str
    grant: RoleAssignmentRow
    counts: bool


def holdings(facts: Facts) -> list[Holding]:
    """Return every role the daemon was granted on the resource, those that have ended or not begun included."""
    if facts.resource is None or facts.daemon is None or facts.tenant is None:
        return []
    grants = facts.daemon.grants
    if facts.resource.tenant_wide_roles and not facts.tenant.row.hosted:
        grants = (*grants, *facts.tenant.grants)
    found = []
    for grant in grants:
        role = facts.index.app_roles.get(grant.app_role)
        if role is not None and role.resource == facts.resource.id:
            begun = grant.not_before is None or facts.now >= grant.not_before
            found.append(
                Holding(role.value, grant, begun and (grant.expires_at is None or facts.now < grant.expires_at))
            )
    return found


def held(facts: Facts) -> frozenset[str]:
    """Return the roles that count on the resource now: assigned, the tenant's, or mapped from a proved claim."""
    if facts.entry is None or facts.daemon is None or facts.tenant is None or facts.match is None:
        return frozenset()
    assigned = frozenset(each.value for each in holdings(facts) if each.counts)
    if facts.claims is None:
        return assigned
    case = Case(facts.claims, facts.index, facts.entry, facts.wanted, facts.now)
    case.issuer, case.tenant, case.daemon = facts.match.entry, facts.tenant, facts.daemon
    return frozenset(held_roles(case))


def caller(facts: Facts) -> str:
    """Return who the token says is calling, in words."""
    if facts.match is None:
        return f"iss {shown(facts.payload.get('iss'))}"
    where = f"tid {facts.match.tid_text.lower()}" if facts.entra else f"issuer {facts.issuer}"
    return f"client {shown(facts.client_id) or 'unknown'} of {where}"
