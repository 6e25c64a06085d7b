"""A principal of the judge's in the oracle's words, to compare the two."""

from __future__ import annotations

from tenantgate.core.decision import Principal
from tests.core.oracle import Answer


def granted_answer(who: Principal) -> Answer:
    """Return the answer that a principal stands for. No reason is noted twice."""
    assert len(set(who.would_deny)) == len(who.would_deny)
    names = (who.partner, who.tenant, who.daemon)
    return Answer(frozenset(), names, who.roles, who.identity, frozenset(who.would_deny))
