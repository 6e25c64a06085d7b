"""Decisions added up between two writings, in bounded memory whatever anybody sends.

Two steps: an entry is first counted under what is at hand without building anything (the caller object, the roles, the
times), and only once for each of these is found out what it is counted by for good. Listed callers are told apart, so
many of them; strangers are whatever the world sends: the busiest are told apart, the rest counts in one row.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from tenantgate.core.claims import Caller
from tenantgate.core.decision import Decision, Denied, Granted
from tenantgate.core.entries import TenantEntry
from tenantgate.core.index import PolicyIndex
from tenantgate.core.strict import guid_text
from tenantgate.feed.sink import DROPPED, GRANTED, HOUR, OTHER, Batch, Count, Detail, Stranger, lifetime_of

MOST_FRESH: Final = 4_096
MOST_LISTED: Final = 10_000
MOST_STRANGERS: Final = 1_000
MOST_OTHER: Final = 2_000
"""Rows held at once, at most: just counted, of listed callers, of strangers, and those that stand for many."""
BUSIEST: Final = 50
"""Strangers that are told apart in one writing."""
ASKING: Final = 50
ASKING_OF_A_TENANT: Final = 20
"""Strangers that are told of as such in one writing, and of them callers of one tenant: each is looked up there.
Where more ask, tenants share the places evenly."""
HOLDERS: Final = 20
"""Object ids or `sub`s of one listed daemon that are told apart in an hour: at some issuers they are as many as its
owner likes, and every one of them would be a row for a year."""
IN_A_BATCH: Final = 1_000
"""Rows in one writing: it must not hold the database for long."""
DETAILS_OF_LISTED: Final = 200
DETAILS_OF_OTHERS: Final = 100
"""Details held at once, at most."""
_NOT_LISTED: Final = frozenset(("tenant_not_listed", "daemon_not_listed"))

Entry = tuple[Decision, Caller | None, tuple[str, ...], float, float, float]
"""Decision, caller (where verified), roles asked for, `iat`, `exp`, and when it was (epoch seconds)."""


class Who(NamedTuple):
    """How a caller is told apart. `tenant` is an id, or `ISSUER/TID` where none is listed."""

    tenant: str
    tid: str
    listed: bool


class Tallies:
    """Adds decisions up for one resource. One thread; `index` gives the policy in force."""

    def __init__(self, resource: str, index: Callable[[], PolicyIndex | None]) -> None:
        self._resource = resource
        self._index = index
        self._fresh: dict[tuple[Any, ...], list[Any]] = {}
        self._listed: dict[Count, int] = {}
        self._strangers: dict[Count, int] = {}
        self._others: dict[Count, int] = {}
        self._asking: dict[tuple[str, str, str], Stranger] = {}
        self._asking_of: dict[tuple[str, str], int] = {}
        self._holders: dict[tuple[str, str], set[str]] = {}
        self._holders_of = 0
        self._details: list[Detail] = []
        self._other_details: list[Detail] = []
        self.skipped = 0
        """Details for which there was no room."""
        self.lost = 0
        """Decisions counted nowhere, because even rows that stand for many were too many: a sink is gone for days."""

    def add(self, entry: Entry) -> None:
        """Count one decision."""
        decision, caller, roles, issued_at, expires_at, at = entry
        if type(decision) is Granted:
            key: tuple[Any, ...] = (
                caller,
                roles or decision.principal.roles,
                decision.revision,
                expires_at - issued_at,
                at // HOUR,
            )
        else:
            assert isinstance(decision, Denied)
            key = (caller, roles, decision.revision, expires_at - issued_at, at // HOUR, decision.reason)
        fresh = self._fresh.get(key)
        if fresh is not None:
            fresh[0] += 1
            return
        if len(self._fresh) >= MOST_FRESH:
            self._settle()
        self._fresh[key] = [1, entry]

    def drop(self, dropped: int, now: float) -> None:
        """Count decisions of which nothing is known but that they were."""
        self._count(self._others, MOST_OTHER, self._row(now, OTHER, DROPPED), dropped)

    def tell(self, entry: Entry, *, listed: bool) -> None:
        """Keep the details of one decision, if there is room."""
        room, most = (self._details, DETAILS_OF_LISTED) if listed else (self._other_details, DETAILS_OF_OTHERS)
        if len(room) < most:
            room.append(self._detail(entry))
        else:
            self.skipped += 1

    def who(self, caller: Caller) -> Who:
        """Return how a verified caller is told apart by the policy in force."""
        index = self._index()
        tenant, daemon = _find(index, caller)
        tid = "" if caller.tid is None else guid_text(caller.tid)
        if tenant is None:
            return Who(f"{caller.issuer}/{tid}" if tid else caller.issuer + "/", tid, False)
        return Who(tenant.row.id, tid, daemon is not None)

    def take(self) -> Batch | None:
        """Return the next batch to be written, or None where nothing is left."""
        self._settle()
        self._fold_strangers()
        counts: dict[Count, int] = {}
        for rows in (self._others, self._strangers, self._listed):
            while rows and len(counts) < IN_A_BATCH:
                row, number = rows.popitem()
                counts[row] = number
        details = (*self._details, *self._other_details)
        self._details, self._other_details = [], []
        strangers = tuple(self._asking.values())
        self._asking, self._asking_of = {}, {}
        return Batch(counts, details, strangers) if counts or details or strangers else None

    def _settle(self) -> None:
        """Find out what each fresh entry is counted by for good."""
        fresh, self._fresh = self._fresh, {}
        for number, entry in fresh.values():
            row, who = self._row_of(entry)
            if not row.stranger:
                self._count(self._listed, MOST_LISTED, row, number)
                continue
            self._count(self._strangers, MOST_STRANGERS, row, number)
            if who is not None and row.outcome in _NOT_LISTED:
                self._ask(entry, row, who, number)

    def _count(self, rows: dict[Count, int], most: int, row: Count, number: int) -> None:
        """Add to a row; where there is no room for another one, to the row that stands for many."""
        if row in rows:
            rows[row] += number
        elif len(rows) < most:
            rows[row] = number
        elif rows is self._others:
            self.lost += number
        else:
            self._count(self._others, MOST_OTHER, _many(row), number)

    def _fold_strangers(self) -> None:
        """Keep the busiest strangers apart."""
        if len(self._strangers) <= BUSIEST:
            return
        busiest = dict(heapq.nlargest(BUSIEST, self._strangers.items(), key=lambda item: item[1]))
        for row, number in self._strangers.items():
            if row not in busiest:
                self._count(self._others, MOST_OTHER, _many(row), number)
        self._strangers = busiest

    def _ask(self, entry: Entry, row: Count, who: Who, number: int) -> None:
        """Note that an authentic caller asks to be let in, where it may be asked for so many at once."""
        caller, at = entry[1], int(entry[5])
        assert caller is not None
        key = (caller.issuer, who.tid, caller.client_id)
        asking = self._asking.get(key)
        if asking is not None:
            asking.count += number
            asking.first_at, asking.last_at = min(asking.first_at, at), max(asking.last_at, at)
            asking.oids_differ = asking.oids_differ or asking.oid != caller.holder
            return
        of_tenant = self._asking_of.get(key[:2], 0)
        if of_tenant < ASKING_OF_A_TENANT and self._has_room(of_tenant):
            self._asking_of[key[:2]] = of_tenant + 1
            self._asking[key] = Stranger(
                resource=self._resource,
                issuer=caller.issuer,
                tid=who.tid,
                client_id=caller.client_id,
                oid=caller.holder,
                reason=row.outcome,
                first_at=at,
                last_at=at,
                count=number,
            )

    def _has_room(self, of_tenant: int) -> bool:
        """Whether there is a place for one more of a tenant that has so many; if need be, of the one that has most.

        Else a few tenants that flood a gate would have all places before anybody else comes.
        """
        if len(self._asking) < ASKING:
            return True
        most = max(self._asking_of.values())
        if most <= of_tenant + 1:
            return False
        last = next(key for key in reversed(self._asking) if self._asking_of[key[:2]] == most)
        del self._asking[last]
        self._asking_of[last[:2]] = most - 1
        return True

    def _row_of(self, entry: Entry) -> tuple[Count, Who | None]:
        decision, caller, roles, issued_at, expires_at, at = entry
        outcome = decision.reason.value if isinstance(decision, Denied) else GRANTED
        if caller is None:
            return self._row(at, "", outcome, " ".join(roles), decision.revision), None
        who = self.who(caller)
        used, credential = roles, "token"
        if isinstance(decision, Granted):
            used, credential = roles or decision.principal.roles, decision.principal.credential
        hour = int(at) // HOUR * HOUR
        # Whom the policy let in was listed then, whatever it says by now.
        stranger = not who.listed and outcome != GRANTED
        row = Count(
            hour=hour,
            resource=self._resource,
            tenant=who.tenant,
            client_id=caller.client_id,
            oid=caller.holder if stranger else self._holder(who, caller, hour),
            outcome=outcome,
            roles=" ".join(used),
            credential=credential,
            strength=caller.strength or "",
            idtyp=caller.idtyp,
            version=caller.version,
            lifetime=lifetime_of(expires_at - issued_at),
            revision=decision.revision,
            stranger=stranger,
        )
        return row, who

    def _holder(self, who: Who, caller: Caller, hour: int) -> str:
        """Return the object id or `sub` that a listed caller is counted by, or what stands for many."""
        if hour != self._holders_of or len(self._holders) >= MOST_LISTED:
            self._holders, self._holders_of = {}, hour
        known = self._holders.setdefault((who.tenant, caller.client_id), set())
        if len(known) < HOLDERS:
            known.add(caller.holder)
        return caller.holder if caller.holder in known else OTHER

    def _row(self, at: float, whom: str, outcome: str, roles: str = "", revision: int = 0) -> Count:
        hour = int(at) // HOUR * HOUR
        return Count(hour, self._resource, whom, whom, whom, outcome, roles, "", "", "", "", "", revision, False)

    def _detail(self, entry: Entry) -> Detail:
        decision, caller, roles, issued_at, expires_at, at = entry
        told: dict[str, Any] = {}
        if isinstance(decision, Denied):
            told |= {"outcome": decision.reason.value, "detail": decision.detail}
        else:
            told |= {"outcome": GRANTED, "detail": "", "credential": decision.principal.credential}
            told["would_deny"] = " ".join(decision.principal.would_deny)
        if caller is not None:
            told |= self._caller_told(caller) | {"lifetime": int(expires_at - issued_at)}
        return Detail(
            id=decision.id,
            at=int(at),
            resource=self._resource,
            revision=decision.revision,
            roles=" ".join(roles),
            **told,
        )

    def _caller_told(self, caller: Caller) -> dict[str, Any]:
        tenant, daemon = _find(self._index(), caller)
        partner = None if tenant is None else tenant.row.partner
        if daemon is not None:
            partner = partner or daemon.partner
        return {
            "partner": partner or "",
            "tenant": "" if tenant is None else tenant.row.id,
            "daemon": "" if daemon is None else daemon.id,
            "issuer": caller.issuer,
            "tid": "" if caller.tid is None else guid_text(caller.tid),
            "client_id": caller.client_id,
            "oid": caller.holder,
            "strength": caller.strength or "",
            "idtyp": caller.idtyp,
            "version": caller.version,
        }


def _find(index: PolicyIndex | None, caller: Caller) -> tuple[TenantEntry | None, Any]:
    """Return what the policy lists of a caller, for statistics: a row read while it changes is no matter here."""
    issuer = None if index is None else index.issuers.get(caller.issuer)
    tenant = None if issuer is None else issuer.tenants.get(caller.tid)
    return tenant, None if tenant is None else tenant.daemons.get(caller.client)


def _many(row: Count) -> Count:
    """Return the row that counts for all that are not told apart."""
    return row._replace(
        tenant=OTHER, client_id=OTHER, oid=OTHER, roles="", credential="", strength="", idtyp="", version="",
        lifetime="", revision=0, stranger=False,
    )  # fmt: skip
