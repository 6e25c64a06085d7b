"""Answers as the description shows them: what was done and decided, and what an import did."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from tenantgate.admin.examples_policy import CLIENT_ID, END, LATER, MADE, TID
from tenantgate.admin.shapes_access import AccessOut, HeldOut
from tenantgate.admin.shapes_admin import AuditEntryOut, InstanceOut, PolicyOut
from tenantgate.admin.shapes_attention import AttentionItem, AttentionOut
from tenantgate.admin.shapes_bulk import BulkOut, MovedOut
from tenantgate.admin.shapes_decisions import CountOut, CountsOut, decision_out, explained
from tenantgate.admin.shapes_explain import ExplainFix, ExplainOut, ExplainStand, ExplainStep
from tenantgate.admin.shapes_imports import ImportLineOut, ImportOut
from tenantgate.admin.wire import Out
from tenantgate.registry.audit import canonical
from tenantgate.registry.decision_tables import Decision
from tenantgate.registry.tables import AuditEntry

_HOUR: Final = 3_600
_BEFORE: Final = hashlib.sha256(b"the entry before").hexdigest()
IMPORT_FILE: Final = f"""\
partner,partner_name,issuer,tid,client_id,oid,roles,expires_at,reason
contoso,Contoso,entra,{TID},{CLIENT_ID},,orders-read,2031-01-31,contract 4711
"""
"""What `POST /imports` takes; also in docs/imports.md."""


def _entry() -> AuditEntry:
    members: dict[str, Any] = {
        "sequence": 42,
        "revision": 17,
        "at": LATER,
        "operator": "ada",
        "scheme": "admin_key",
        "address": "192.0.2.7",
        "request_id": "req-mfrggzdfmztwq2lk",
        "action": "partner.suspended",
        "kind": "partner",
        "row_id": "contoso",
        "before": {"id": "contoso", "name": "Contoso", "state": "active", "version": 1},
        "after": {"id": "contoso", "name": "Contoso", "state": "suspended", "version": 2},
        "previous_hash": _BEFORE,
    }
    entry = AuditEntry(**members, hash="")
    entry.hash = hashlib.sha256(canonical(entry).encode()).hexdigest()
    return entry


ENTRY: Final = _entry()
HELD: Final = HeldOut(
    assignment="asg-mfrggzdfmztwq2lk",
    resource="orders",
    role="Orders.Read",
    partner="contoso",
    tenant="contoso-entra",
    daemon="contoso-nightly",
    client_id=CLIENT_ID,
    not_before=None,
    expires_at=END,
    granted_by="ada",
    granted_at=MADE,
    approved_by=None,
    reason="contract 4711",
    counted=True,
)
DECISION: Final = Decision(
    id="9f86d081-1a",
    at=LATER,
    resource="orders",
    outcome="daemon_suspended",
    detail="daemon contoso-nightly is suspended",
    revision=17,
    roles="Orders.Read",
    would_deny="",
    partner="contoso",
    tenant="contoso-entra",
    daemon="contoso-nightly",
    issuer="entra",
    tid=TID,
    client_id=CLIENT_ID,
    oid="dddddddd-1111-4222-8333-444444444444",
    credential="token",
    strength="certificate",
    idtyp="app",
    version="2.0",
    lifetime=3_900,
)
_FIX: Final = ExplainFix(
    text="Activate the daemon, if the reason it is not active is gone.",
    command="tenantgate daemon activate contoso-nightly",
    rows='# in [[daemons]], id = "contoso-nightly":\nstate = "active"',
)
_EXPLAINED: Final = explained(DECISION)
_INSTANCE: Final = InstanceOut(
    id="gate-1",
    kind="gate",
    version="1.0.0",
    acknowledged_revision=17,
    refuses=None,
    held_epoch=None,
    held_revision=None,
    started_at=MADE,
    seen_at=LATER,
)

SEEN: Final[tuple[Out, ...]] = (
    AuditEntryOut.model_validate(ENTRY),
    AccessOut(as_of=LATER, items=[HELD], next=HELD.assignment),
    decision_out(DECISION),
    _EXPLAINED,
    CountsOut(
        by="outcome",
        step="hour",
        since=MADE,
        until=MADE + _HOUR,
        items=[CountOut(begins_at=MADE, value="granted", count=1_234)],
    ),
    ExplainOut(
        granted=False,
        status=_EXPLAINED.status,
        code=_EXPLAINED.code,
        reason=_EXPLAINED.outcome,
        meaning=_EXPLAINED.meaning,
        steps=[
            ExplainStep(
                name="daemon",
                passed=False,
                expected="a listed, active daemon",
                received=f"client {CLIENT_ID} of tid {TID} at entra",
            )
        ],
        partner=_EXPLAINED.partner_advice,
        publisher=_EXPLAINED.publisher_advice,
        stands=[ExplainStand(name="daemon", stands=False, detail="contoso-nightly is suspended", fix=_FIX)],
        next=_FIX,
        revision=17,
        at=LATER,
    ),
    _INSTANCE,
    PolicyOut(
        epoch="ep-mfrggzdfmztwq2lk",
        revision=17,
        audit_sequence=ENTRY.sequence,
        supersedes=[],
        audit_hash=ENTRY.hash,
        enforcing=1,
        slowest=0.2,
        instances=[_INSTANCE],
    ),
    AttentionOut(
        counts={"access_request": 1},
        items=[
            AttentionItem(
                kind="access_request",
                id="acr-mfrggzdfmztwq2lk",
                text="bbbbbbbb-bbbb-4ccc-8ddd-eeeeeeeeeeee of 22222222-2222-4333-8444-555555555555 asks for orders "
                "(tenant_not_listed, 12 times)",
                since=MADE,
                until=None,
                href="/api/v1/access-requests/acr-mfrggzdfmztwq2lk",
            )
        ],
    ),
    BulkOut(items=[MovedOut(id="contoso", outcome="changed", state="suspended", version=2)], changed=1),
    ImportOut(
        id="imp-mfrggzdfmztwq2lk",
        created_at=MADE,
        created_by="ada",
        dry_run=False,
        digest=hashlib.sha256(IMPORT_FILE.encode()).hexdigest(),
        state="done",
        problem=None,
        lines=1,
        done=1,
        created=1,
        changed=0,
        existing=0,
        refused=0,
        seen_at=LATER,
        ended_at=LATER,
    ),
    ImportLineOut(line=2, partner="contoso", outcome="created", code=None, cell=None, message=None),
)
