"""What one line of an import does: its partner, then the tenant, then the daemon, then its roles; what is there stays.

The services decide, as for everybody else. A line is done whole or not at all, in the order in which a gate may see
it: nobody has a role before everything that could forbid it is there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlmodel import col, select

from tenantgate.core.policy import one_spelling
from tenantgate.registry import assignments, daemons, partners, tenants
from tenantgate.registry.assignments import AssignmentSpec
from tenantgate.registry.daemons import DaemonSpec
from tenantgate.registry.errors import ConflictError, DatabaseError, InvalidError, RegistryError, SchemaError
from tenantgate.registry.import_file import ImportRow
from tenantgate.registry.moments import read_moment
from tenantgate.registry.partners import PartnerSpec
from tenantgate.registry.service import (
    REASON_LENGTH,
    check_slug,
    refer,
    text,
)
from tenantgate.registry.tables import AppRole, Daemon, Issuer, Partner, RoleAssignment, Tenant
from tenantgate.registry.tenants import TenantSpec
from tenantgate.registry.unit_of_work import Work

Outcome = Literal["created", "changed", "exists", "refused"]

_NEEDS: Final = {
    "tid": "issuer",
    "client_id": "issuer",
    "oid": "client_id",
    "subject": "client_id",
    "roles": "client_id",
    "not_before": "roles",
    "expires_at": "roles",
}
"""A column that says nothing without another."""
_MADE_UP: Final = re.compile(r"\b[a-z]{3}-[a-z2-7]{16}\b")
"""An id of `ids.random_ids`."""
_CELLS: Final = {"id": "partner", "name": "partner_name", "app_role": "roles", "tenant": "tid", "daemon": "client_id"}
"""A service's member → the column it comes from, where the names differ."""


@dataclass(frozen=True, slots=True)
class LineResult:
    """What came of a line. `created` before `changed`: a line that did both made something. `code` where refused."""

    line: int
    partner: str
    outcome: Outcome
    code: str | None = None
    cell: str | None = None
    message: str | None = None


Made = dict[str, int]
"""Ids that an import made up → the line it did so for."""


def apply_line(work: Work, row: ImportRow, made: Made) -> LineResult:
    """Do one line, or nothing of it where it is refused. What it makes is added to `made`.

    Raises:
        DatabaseError, SchemaError: nothing can be done now; the whole unit of work is off.
    """
    partner = row.cell("partner")
    try:
        with work.attempt():
            line = _Line(work, row)
            result = LineResult(row.line, partner, line.run())
    except (DatabaseError, SchemaError):
        raise
    except RegistryError as error:
        cell = _CELLS.get(error.field, error.field) or None
        return LineResult(row.line, partner, "refused", error.code, cell, _by_lines(error.message, made))
    made.update(dict.fromkeys(line.made, row.line))
    return result


def listed_client_id(given: str, *, entra: bool) -> str:
    """Return a cell's client id as a daemon has it: a GUID of Entra's in lower case, any other to the letter."""
    return one_spelling(given) if entra else given


def _by_lines(message: str, made: Made) -> str:
    """Return a message with the line instead of an id made up by this import: the next run would make up another."""
    return _MADE_UP.sub(lambda found: f"(line {made[found[0]]})" if found[0] in made else found[0], message)


class _Line:
    """One line under way."""

    def __init__(self, work: Work, row: ImportRow) -> None:
        self._work = work
        self._row = row
        self._created = self._changed = False
        self.made: list[str] = []

    def run(self) -> Outcome:
        if self._row.fault is not None:
            raise self._row.fault
        self._check_form()
        partner = self._partner()
        if self._row.cell("issuer"):
            tenant = self._tenant(partner)
            if self._row.cell("client_id"):
                self._roles(self._daemon(partner, tenant))
        return "created" if self._created else "changed" if self._changed else "exists"

    def _check_form(self) -> None:
        """Refuse a line that leaves something out, or says what no column may say, before anything is looked up."""
        row = self._row
        if not row.cell("partner"):
            raise InvalidError("member_missing", "every line names its partner", field="partner")
        check_slug(row.cell("partner"), "partner")
        for name, needed in _NEEDS.items():
            if row.cell(name) and not row.cell(needed):
                raise InvalidError("member_missing", f"{name} says nothing without {needed}", field=needed)
        for name in ("not_before", "expires_at"):
            self._moment(name)
        text(row.cell("reason"), "reason", limit=REASON_LENGTH, lines=True, empty=True)

    def _moment(self, name: str) -> int | None:
        value = self._row.cell(name)
        if not value:
            return None
        moment = read_moment(value)
        if moment is None:
            raise InvalidError("timestamp_malformed", "must be as 2031-01-31 or 2031-01-31T00:00:00Z", field=name)
        return moment

    def _partner(self) -> Partner:
        work, name = self._work, self._row.cell("partner_name")
        row = work.session.get(Partner, self._row.cell("partner"))
        if row is None:
            if not name:
                raise InvalidError("member_missing", "a partner that is new needs its name", field="partner_name")
            self._created = True
            return partners.create(work, PartnerSpec(id=self._row.cell("partner"), name=name))
        partners.require_open(row, "partner")
        if name and name != row.name:
            partners.change(work, row.id, {"name": name})
            self._changed = True
        return row

    def _tenant(self, partner: Partner) -> Tenant:
        issuer, tid = self._row.cell("issuer"), self._row.cell("tid") or None
        refer(self._work.session, Issuer, issuer, "issuer")
        here = select(Tenant).where(Tenant.issuer == issuer, Tenant.tid == (tid.lower() if tid else None))
        found = self._work.session.exec(here).first()
        if found is not None and (found.hosted or found.partner == partner.id):
            return found
        made = tenants.create(self._work, TenantSpec(issuer=issuer, partner=partner.id, tid=tid))
        self._created = True
        self.made.append(made.id)
        return made

    def _daemon(self, partner: Partner, tenant: Tenant) -> Daemon:
        row = self._row
        given = row.cell("client_id")
        listed = listed_client_id(given, entra=tenant.tid is not None)
        found = self._work.session.exec(
            select(Daemon).where(Daemon.tenant == tenant.id, Daemon.client_id == listed)
        ).first()
        if found is None:
            spec = DaemonSpec(
                tenant=tenant.id,
                client_id=given,
                oid=row.cell("oid") or None,
                subject=row.cell("subject") or None,
                partner=partner.id if tenant.hosted else None,
            )
            made = daemons.create(self._work, spec)
            self._created = True
            self.made.append(made.id)
            return made
        if tenant.hosted and found.partner != partner.id:
            message = f"client id {found.client_id} is already listed as daemon {found.id} of partner {found.partner}"
            raise ConflictError("client_id_duplicate", message, field="client_id", holder=found.id)
        self._pin(found)
        return found

    def _pin(self, daemon: Daemon) -> None:
        """Pin a daemon that is not pinned yet. Another pin is a decision of its own, made by name."""
        pins: dict[str, Any] = {}
        for name in ("oid", "subject"):
            given, has = self._row.cell(name), getattr(daemon, name)
            given = one_spelling(given) if name == "oid" else given
            if given and has is not None and given != has:
                message = f"daemon {daemon.id} is pinned to another {name}; change it there"
                raise ConflictError("pin_differs", message, field=name, holder=daemon.id)
            if given and has is None:
                pins[name] = given
        if pins:
            daemons.change(self._work, daemon.id, pins)
            self._changed = True

    def _roles(self, daemon: Daemon) -> None:
        wanted = self._row.cell("roles").split()
        if len(set(wanted)) != len(wanted):
            raise InvalidError("list_duplicate", "names a role twice", field="roles")
        for role in wanted:
            self._role(daemon, role)

    def _role(self, daemon: Daemon, role: str) -> None:
        refer(self._work.session, AppRole, role, "roles")
        expires_at, now = self._moment("expires_at"), self._work.now
        same = select(RoleAssignment).where(RoleAssignment.app_role == role, RoleAssignment.daemon == daemon.id)
        held = self._work.session.exec(same.order_by(col(RoleAssignment.id))).all()
        running = [each for each in held if each.expires_at is None or each.expires_at > now]
        if expires_at is not None and any(each.expires_at == expires_at for each in held):
            return  # also where that end has passed meanwhile: the same file again changes nothing
        if not running:
            self._grant(daemon, role, expires_at)
        elif expires_at is not None and len(running) > 1:
            message = f"the role is given {len(running)} times already; change one of them"
            raise ConflictError("assignment_overlap", message, field="roles", holder=running[0].id)
        elif expires_at is not None:
            assignments.change(self._work, running[0].id, {"expires_at": expires_at})
            self._changed = True

    def _grant(self, daemon: Daemon, role: str, expires_at: int | None) -> None:
        spec = AssignmentSpec(
            app_role=role,
            daemon=daemon.id,
            not_before=self._moment("not_before"),
            expires_at=expires_at,
            reason=self._row.cell("reason"),
            ticket=self._row.cell("ticket"),
        )
        self.made.append(assignments.grant(self._work, spec).id)
        self._created = True
