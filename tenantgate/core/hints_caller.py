"""Hints about an authentic caller and the list: for the operator. The partner reads of it that it is to ask."""

from __future__ import annotations

from typing import Final

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.facts import Facts, Holding, caller, held, holdings
from tenantgate.core.hints import Hint, Words, always
from tenantgate.core.refusals import REFUSALS
from tenantgate.core.strict import shown
from tenantgate.core.wording import instant, listed


def _partners(reason: R) -> Words:
    """Return the table's own words for the partner: no fact of the list makes them more exact."""
    return always(REFUSALS[reason].partner)


def _known(facts: Facts) -> str:
    return "" if facts.partner is None else f"{facts.partner.id} ({shown(facts.partner.name)})"


def _role_value(facts: Facts) -> str:
    return listed(facts.wanted) if facts.wanted else "a role"


def defined(facts: Facts) -> set[str]:
    """Return the roles that the resource defines."""
    return {row.value for row in tuple(facts.index.app_roles.values()) if row.resource == facts.asked}


def lacking(facts: Facts) -> list[str]:
    """Return the roles asked for that no assignment gives now."""
    counting = held(facts)
    return [role for role in facts.wanted if role not in counting]


def _undefined(facts: Facts) -> list[str]:
    return [role for role in facts.wanted if role not in defined(facts)]


def _out_of_time(facts: Facts) -> list[str]:
    """Return, in words, the assignments that would give what is lacking, were it another time."""
    lost = set(lacking(facts)) if facts.wanted else {each.value for each in holdings(facts)}
    return [_when(each, facts.now) for each in holdings(facts) if not each.counts and each.value in lost]


def _when(holding: Holding, now: float) -> str:
    grant = holding.grant
    if grant.not_before is not None and now < grant.not_before:
        return f"{shown(holding.value)} begins at {instant(grant.not_before)}"
    return f"{shown(holding.value)} ended at {instant(grant.expires_at or 0)}"


def not_in_token(facts: Facts) -> list[str]:
    """Return the roles that count here but are missing in the token, where the resource asks for both."""
    if facts.resource is None or facts.resource.token_roles != "intersect" or facts.claims is None:
        return []
    assigned = {each.value for each in holdings(facts) if each.counts}
    asked = facts.wanted or sorted(assigned)
    return [role for role in asked if role in assigned and role not in facts.claims.roles]


def _held(facts: Facts) -> str:
    return listed(sorted(held(facts))) or "none"


def _daemon(facts: Facts) -> str:
    return "the daemon" if facts.daemon is None else f"daemon {facts.daemon.id}"


def _partners_roles(facts: Facts) -> str:
    if facts.resource is not None and facts.resource.token_roles == "intersect" and facts.claims is not None:
        absent = [role for role in facts.wanted if role not in facts.claims.roles]
        if absent:
            return (
                f"This API asks that {listed(absent)} also stands in your token's `roles`: let your administrator "
                "assign it to the daemon in your own tenant. If it does, ask the publisher for the role."
            )
    return f"Ask the publisher for {_role_value(facts)} on this API."


CALLER_HINTS: Final[dict[R, tuple[Hint, ...]]] = {
    R.TENANT_NOT_LISTED: (
        Hint(
            "",
            lambda f: f.claims is not None,
            _partners(R.TENANT_NOT_LISTED),
            lambda f: f"If this caller is welcome, list its tenant: {caller(f)}. Both are authentic.",
        ),
    ),
    R.PARTNER_NOT_ACTIVE: (
        Hint(
            "no partner is there",
            lambda f: f.partner is None,
            _partners(R.PARTNER_NOT_ACTIVE),
            lambda f: f"This caller, {_daemon(f)}, belongs to no partner of the policy: name one that exists.",
        ),
        Hint(
            "the partner is archived",
            lambda f: f.partner is not None and f.partner.state == "archived",
            _partners(R.PARTNER_NOT_ACTIVE),
            lambda f: f"Partner {_known(f)} is archived for good. If the company is back, list it anew.",
        ),
        Hint(
            "the partner is invited",
            lambda f: f.partner is not None and f.partner.state == "invited",
            _partners(R.PARTNER_NOT_ACTIVE),
            lambda f: f"Partner {_known(f)} is invited. Activate it when the onboarding is finished.",
        ),
    ),
    R.PARTNER_ENDED: (
        Hint(
            "",
            lambda f: f.partner is not None and f.partner.ends_at is not None,
            _partners(R.PARTNER_ENDED),
            lambda f: (
                f"Partner {_known(f)} ended at {instant(_ends_at(f))}. Give it a later end, or none, if the agreement "
                "was renewed."
            ),
        ),
    ),
    R.DAEMON_NOT_LISTED: (
        Hint(
            "",
            lambda f: f.tenant is not None and f.claims is not None,
            _partners(R.DAEMON_NOT_LISTED),
            lambda f: (
                f"If this caller is welcome, list it in tenant {_tenant_id(f)}: client {shown(f.client_id)}, "
                f"{_object(f)}. A tenant-wide role does not let in an unlisted daemon."
            ),
        ),
    ),
    R.SUBJECT_NOT_PINNED: (
        Hint(
            "",
            lambda f: f.daemon is not None and f.claims is not None,
            _partners(R.SUBJECT_NOT_PINNED),
            lambda f: (
                f"If the partner confirms it by another way than this call, set the `subject` of {_daemon(f)} to "
                f"{shown(f.payload.get('sub'))}: issuer {f.issuer}'s client ids say too little."
            ),
        ),
    ),
    R.ISSUER_NOT_ACCEPTED: (
        Hint(
            "",
            lambda f: f.resource is not None,
            _partners(R.ISSUER_NOT_ACCEPTED),
            lambda f: (
                f"Resource {f.asked} does not name issuer {f.issuer} in its `issuers`: add it, if it is to count."
            ),
        ),
    ),
    R.CLIENT_NOT_ACCEPTED: (
        Hint(
            "",
            lambda f: f.resource is not None,
            _partners(R.CLIENT_NOT_ACCEPTED),
            lambda f: (
                f"Resource {f.asked} does not name client {shown(f.client_id)} in its `clients`: add it, if "
                f"{_daemon(f)} is welcome there."
            ),
        ),
    ),
    R.CREDENTIAL_TOO_WEAK: (
        Hint(
            "the issuer does not tell how clients prove themselves",
            lambda f: f.claims is not None and f.claims.caller.strength is None,
            _partners(R.CREDENTIAL_TOO_WEAK),
            lambda f: (
                f"Issuer {f.issuer} does not say how the client proved itself, so it counts as `none`: ask for less "
                "(`min_credential`) of this daemon and resource, or of none whose issuer is silent."
            ),
        ),
    ),
    R.ROLE_NOT_ASSIGNED: (
        Hint(
            "the resource has no such role",
            lambda f: bool(_undefined(f)),
            _partners_roles,
            lambda f: (
                f"Resource {f.asked} defines no role {listed(_undefined(f))} (it has "
                f"{listed(sorted(defined(f))) or 'none'}): compare what the route asks for, or define it."
            ),
        ),
        Hint(
            "an assignment has ended or not begun",
            lambda f: bool(_out_of_time(f)),
            _partners_roles,
            lambda f: f"{_asked_and_held(f)} {listed(_out_of_time(f))}. Grant it again, or with other dates.",
        ),
        Hint(
            "the role is assigned here and missing in the token",
            lambda f: bool(not_in_token(f)),
            _partners_roles,
            lambda f: (
                f"{listed(not_in_token(f))} is assigned to {_daemon(f)} here, but does not stand in its token's "
                f"`roles`, and resource {f.asked} asks for both (`token_roles` = `intersect`): the partner's "
                "administrator assigns it."
            ),
        ),
        Hint(
            "it is not assigned",
            lambda f: f.daemon is not None,
            _partners_roles,
            lambda f: f"{_asked_and_held(f)} Assign what is missing, if the partner is to have it.",
        ),
    ),
    R.POLICY_UNAVAILABLE: (
        Hint(
            "there is no such resource",
            lambda f: f.resource is None and not f.index.broken,
            _partners(R.POLICY_UNAVAILABLE),
            lambda f: (
                f"The policy has no resource {shown(f.asked)}; it has {listed(sorted(f.index.resources)) or 'none'}."
            ),
        ),
    ),
}


def _asked_and_held(facts: Facts) -> str:
    return f"Asked for: {_role_value(facts)}; {_daemon(facts)} holds {_held(facts)}."


def _ends_at(facts: Facts) -> int:
    return 0 if facts.partner is None or facts.partner.ends_at is None else facts.partner.ends_at


def _tenant_id(facts: Facts) -> str:
    return "" if facts.tenant is None else facts.tenant.row.id


def _object(facts: Facts) -> str:
    if facts.entra:
        return f"object id {shown(facts.payload.get('oid'))}"
    return f"sub {shown(facts.payload.get('sub'))}"
