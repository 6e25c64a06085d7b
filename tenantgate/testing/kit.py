"""Everything a test of your own imports: `from tenantgate.testing.kit import FakePartner, open_test_gate`."""

from __future__ import annotations

from tenantgate.testing.clock import FrozenClock
from tenantgate.testing.errors import FetchAttempted, KitError
from tenantgate.testing.gate import OfflineGate, open_test_gate
from tenantgate.testing.partner import FakePartner

__all__ = ["FakePartner", "FetchAttempted", "FrozenClock", "KitError", "OfflineGate", "open_test_gate"]
