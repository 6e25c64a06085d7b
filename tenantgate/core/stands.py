"""What must stand for a token to be let in, what does, and what is missing: issuer, proof, token, list, roles.

For operators. Where the signature is not proved, the list is looked up by what the token says and nothing is
advised that would let its bearer in: a forged token must not talk an operator into listing somebody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec.structs import replace

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.facts import Facts, Holding, caller, held, holdings
from tenantgate.core.hints_caller import defined, lacking
from tenantgate.core.strict import shown
from tenantgate.core.wording import exact, instant, listed, quoted

PARTNER: Final = "PARTNER"
ROLE: Final = "ROLE"
"""Stand in a command for what only the operator knows."""


class Fix(msgspec.Struct, frozen=True):
    """What puts one missing thing right: in words, as a command, and as rows of a policy file (TOML; may be empty)."""

    text: str
    command: str
    rows: str = ""


class Stand(msgspec.Struct, frozen=True):
    """One thing that must stand. `stands` is None where it cannot be said before what is above it stands."""

    name: str
    stands: bool | None
    detail: str
    fix: Fix | None = None


def standing(facts: Facts) -> tuple[Stand, ...]:
    """Return what stands and what does not, in the order in which it must. A policy applied by half says nothing."""
    if facts.index.broken:
        return ()
    stands = (find(facts) for find in _THINGS)
    return tuple(stands) if facts.proved else tuple(_unproved(each) for each in stands)


def _unproved(stand: Stand) -> Stand:
    doubt = " (as the token says, unproved)" if stand.name in _SAID else ""
    return replace(stand, detail=stand.detail + doubt)


def next_step(stands: tuple[Stand, ...]) -> Fix | None:
    """Return the fix of the first thing that does not stand, if it has one. What only waits is no obstacle."""
    missing = next((each for each in stands if each.stands is False or each.fix is not None), None)
    return None if missing is None else missing.fix


_OF_THE_DAEMON: Final = frozenset(
    (
        R.OBJECT_ID_MISMATCH, R.SUBJECT_NOT_PINNED, R.CREDENTIAL_TOO_WEAK, R.ISSUER_NOT_ACCEPTED,
        R.CLIENT_NOT_ACCEPTED, R.ADDRESS_NOT_ALLOWED,
    )
)  # fmt: skip
_SAID: Final = frozenset(("tenant", "partner", "daemon", "roles"))
_AFTER_THE_TOKEN: Final = frozenset(
    (
        R.TENANT_NOT_LISTED, R.TENANT_SUSPENDED, R.PARTNER_NOT_ACTIVE, R.PARTNER_SUSPENDED, R.PARTNER_ENDED,
        R.DAEMON_NOT_LISTED, R.DAEMON_SUSPENDED, R.OBJECT_ID_MISMATCH, R.SUBJECT_NOT_PINNED, R.CREDENTIAL_TOO_WEAK,
        R.ISSUER_NOT_ACCEPTED, R.CLIENT_NOT_ACCEPTED, R.ADDRESS_NOT_ALLOWED, R.ROLE_NOT_ASSIGNED,
    )
)  # fmt: skip


def _issuer(facts: Facts) -> Stand:
    if facts.match is None:
        return Stand("issuer", False, f"the policy has no issuer for iss {shown(facts.payload.get('iss'))}")
    row = facts.match.entry.row
    form = f", {facts.match.document} token" if facts.entra else ""
    return Stand("issuer", True, f"{row.id} ({row.kind}{form})")


def _proof(facts: Facts) -> Stand:
    if facts.proved:
        return Stand("signature", True, f"made with key {shown(facts.header.get('kid'))}")
    if facts.match is None:
        return Stand("signature", None, "nobody's key can be asked before the issuer is known")
    if facts.reason in (R.KEY_SET_UNAVAILABLE, R.KEY_SET_TOO_OLD):
        fetch = Fix(
            "Get the issuer's keys: --fetch asks for them from here; without internet put its key set into the policy.",
            "",
        )
        return Stand("signature", None, "not proved: the issuer's keys are not at hand", fetch)
    return Stand("signature", False, f"not proved: {_reason(facts)}")


def _token(facts: Facts) -> Stand:
    if not facts.proved:
        return Stand("token", None, "cannot be said before the signature is proved")
    if facts.reason is None or facts.reason in _AFTER_THE_TOKEN:
        return Stand("token", True, f"for {facts.asked}, in time, and an app's own")
    return Stand("token", False, _reason(facts))


def _tenant(facts: Facts) -> Stand:
    if facts.match is None:
        return Stand("tenant", None, "cannot be said before the issuer is known")
    if facts.tenant is None:
        return Stand("tenant", False, f"not listed: {_where(facts)}", _if_proved(facts, _list_tenant))
    row = facts.tenant.row
    if row.state != "active":
        return Stand("tenant", False, f"{row.id} is {row.state}", _activate("tenant", row.id))
    return Stand("tenant", True, f"{row.id}, active")


def _partner(facts: Facts) -> Stand:
    row = facts.partner
    if row is None:
        absent = facts.tenant is not None and not (facts.tenant.row.hosted and facts.daemon is None)
        what = "the policy has no such partner" if absent else "cannot be said before tenant and daemon are listed"
        return Stand("partner", False if absent else None, what)
    if row.state == "archived":
        return Stand("partner", False, f"{row.id} is archived, for good")
    if row.state != "active":
        return Stand("partner", False, f"{row.id} is {row.state}", _activate("partner", row.id))
    if row.ends_at is not None and row.ends_at <= facts.now:
        return Stand("partner", False, f"{row.id} ended at {instant(row.ends_at)}")
    return Stand("partner", True, f"{row.id}, active")


def _daemon(facts: Facts) -> Stand:
    if facts.tenant is None or not facts.client_id:
        return Stand("daemon", None, "cannot be said before tenant and client are known")
    if facts.daemon is None:
        return Stand("daemon", False, f"not listed: {caller(facts)}", _if_proved(facts, _list_daemon))
    if not facts.daemon.active:
        return Stand("daemon", False, f"{facts.daemon.id} is suspended", _activate("daemon", facts.daemon.id))
    if facts.reason in _OF_THE_DAEMON:
        return Stand("daemon", False, f"{facts.daemon.id}, {_reason(facts)}")
    return Stand("daemon", True, f"{facts.daemon.id}, active")


def _roles(facts: Facts) -> Stand:
    if facts.daemon is None or facts.resource is None:
        return Stand("roles", None, "cannot be said before daemon and resource are known")
    missing = _missing_roles(facts)
    assigned = {each.value for each in holdings(facts)}
    words = [_in_words(each, facts.now) for each in holdings(facts)]
    words += [f"{shown(role)} by the token's own claims" for role in sorted(held(facts) - assigned)]
    detail = listed(words) or "none granted"
    if missing:
        return Stand(
            "roles",
            False,
            f"{detail}; missing: {listed(missing if facts.wanted else ['a role'])}",
            _if_proved(facts, _grant_roles),
        )
    if facts.reason is R.ROLE_NOT_ASSIGNED:
        return Stand("roles", False, f"{detail}; not in the token's own `roles`")
    return Stand("roles", True, detail)


_THINGS: Final[tuple[Callable[[Facts], Stand], ...]] = (
    _issuer,
    _proof,
    _token,
    _tenant,
    _partner,
    _daemon,
    _roles,
)


def _reason(facts: Facts) -> str:
    return "" if facts.reason is None else facts.reason.value


def _where(facts: Facts) -> str:
    assert facts.match is not None
    return f"tid {facts.match.tid_text.lower()} at {facts.issuer}" if facts.entra else f"issuer {facts.issuer}"


def _missing_roles(facts: Facts) -> list[str]:
    """Return the roles to grant: those asked for and not held; with none asked for, the only one there is or `ROLE`."""
    if facts.wanted:
        return lacking(facts)
    if held(facts):
        return []
    there = sorted(defined(facts))
    return there if len(there) == 1 else [ROLE]


def _in_words(holding: Holding, now: float) -> str:
    value, grant = shown(holding.value), holding.grant
    if holding.counts:
        return value if grant.expires_at is None else f"{value} until {instant(grant.expires_at)}"
    if grant.not_before is not None and now < grant.not_before:
        return f"{value} from {instant(grant.not_before)}"
    return f"{value} ended at {instant(grant.expires_at or 0)}"


# What puts it right. Nothing that lets somebody in is said of an unproved token.


def _if_proved(facts: Facts, fix: Callable[[Facts], Fix]) -> Fix | None:
    return fix(facts) if facts.claims is not None else None


def _activate(kind: str, id_: str) -> Fix:
    text = f"Activate the {kind}, if the reason it is not active is gone."
    return Fix(text, f"tenantgate {kind} activate {id_}", f'# in [[{kind}s]], id = "{id_}":\nstate = "active"')


def _list_tenant(facts: Facts) -> Fix:
    assert facts.match is not None
    tid = facts.match.tid_text.lower()
    words = f"tenantgate tenant create --issuer {facts.issuer} --partner {PARTNER}" + (f" --tid {tid}" if tid else "")
    members = {"id": "TENANT", "issuer": facts.issuer, "partner": PARTNER} | ({"tid": tid} if tid else {})
    text = "List the tenant as its partner's, if this caller is welcome. A new partner comes first: "
    return Fix(f"{text}`tenantgate partner create`.", words, _toml("tenants", members))


def _list_daemon(facts: Facts) -> Fix:
    assert facts.tenant is not None
    tenant = facts.tenant.row
    members = {"id": "DAEMON", "tenant": tenant.id, "client_id": facts.client_id}
    if facts.entra:
        members["oid"] = facts.text("oid").lower()
    if tenant.hosted:
        members["partner"] = PARTNER
    options = [f"--{name.replace('_', '-')} {quoted(value)}" for name, value in members.items() if name != "id"]
    return Fix(
        "List the daemon, if it is welcome.", f"tenantgate daemon create {' '.join(options)}", _toml("daemons", members)
    )


def _grant_roles(facts: Facts) -> Fix:
    assert facts.daemon is not None
    ids = {row.value: row.id for row in tuple(facts.index.app_roles.values()) if row.resource == facts.asked}
    commands, rows = list[str](), list[str]()
    for role in _missing_roles(facts):
        if role not in ids and role != ROLE:
            commands.append(f"tenantgate role create --resource {quoted(facts.asked)} --value {quoted(role)}")
            rows.append(_toml("app_roles", {"id": ROLE, "resource": facts.asked, "value": role}))
        id_ = ids.get(role, ROLE)
        commands.append(f"tenantgate role grant --role {id_} --daemon {facts.daemon.id}")
        rows.append(_toml("role_assignments", {"id": "ASSIGNMENT", "app_role": id_, "daemon": facts.daemon.id}))
    there = "" if facts.wanted else f" Roles of {facts.asked}: {listed(sorted(defined(facts))) or 'none'}."
    return Fix(f"Grant the role, if the daemon is to have it.{there}", "\n".join(commands), "\n\n".join(rows))


def _toml(array: str, members: dict[str, str]) -> str:
    lines = [f"{name} = {msgspec.json.encode(exact(value)).decode()}" for name, value in members.items()]
    return "\n".join([f"[[{array}]]", *lines])
