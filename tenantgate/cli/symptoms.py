"""What one check of `tenantgate doctor` found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from tenantgate.discovery.probe import Finding

State = Literal["ok", "warning", "failed"]


class Symptom(NamedTuple):
    """What one check found. `code` is stable, None where all is well."""

    check: str
    state: State
    detail: str
    code: str | None = None
    advice: str | None = None


def symptoms_of(issuer: str, findings: Iterable[Finding]) -> Iterator[Symptom]:
    """Yield what a look at an issuer found."""
    for each in findings:
        yield Symptom(f"{issuer}: {each.document} {each.step}", each.state, each.detail, each.code, each.advice)
