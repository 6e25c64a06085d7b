"""What `tenantgate doctor` asks of administrators' tokens: whose are taken, what for, and can their keys be had."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from tenantgate.admin.trusted import Trusted
from tenantgate.cli.symptoms import Symptom, symptoms_of
from tenantgate.core.policy import ResourceRow, RowData, one_spelling
from tenantgate.embed import probe_issuer
from tenantgate.settings import Settings

CHECK: Final = "administrators"


def examine_administration(settings: Settings, rows: Iterable[RowData], *, offline: bool) -> Iterator[Symptom]:
    """Yield what each check finds; nothing where no issuer is named for administration. `rows` are the policy's."""
    if not settings.admin_issuers:
        return
    yield Symptom(CHECK, "ok", f"tokens of {', '.join(map(str, settings.admin_issuers))} administer")
    for row in rows:
        if isinstance(row, ResourceRow) and not settings.admin_audiences.isdisjoint(map(one_spelling, row.audiences)):
            detail = f"resource {row.id} accepts an audience of administrators' tokens: serve does not start"
            advice = "Give the administration an application of its own, whose id is no resource's audience."
            yield Symptom(CHECK, "failed", detail, "audience_shared", advice)
    if settings.admin_unlinked == "create":
        advice = "Whoever administers the directory makes operators here; with `refuse` an Admin links each."
        detail = "who comes with a role becomes an operator (TENANTGATE_ADMIN_UNLINKED)"
        yield Symptom(CHECK, "warning", detail, "unlinked_created", advice)
    if not offline:
        for row in Trusted(settings.admin_issuers).rows:
            yield from symptoms_of(row.id, probe_issuer(row))
