"""A decision, once made, stays as it is."""

from __future__ import annotations

from typing import cast

import pytest

from tenantgate.core.decision import DenialReason, Denied, Granted, Principal


@pytest.mark.parametrize("decision", [Denied(DenialReason.ISSUER_UNKNOWN), Granted(cast("Principal", None))])
def test_nobody_changes_a_decision_after_it_was_made(decision: Denied | Granted) -> None:
    with pytest.raises(AttributeError, match="immutable"):
        decision.revision = 1  # type: ignore[misc]
    assert decision.revision == 0
