"""The proof over HTTP and on the command line: how long the slowest instance took."""

from __future__ import annotations

from tenantgate.registry import instances
from tenantgate.registry.engine import writing
from tenantgate.registry.instances import InstanceSpec
from tenantgate.registry.snapshot import read_state
from tenantgate.registry.tables import Instance
from tests.admin.world import Api
from tests.registry.builders import NOW


def test_the_policy_says_how_long_the_slowest_took(api: Api):
    """In seconds, of those that were there when the revision was made; null before anybody has said so."""
    with writing(api.engine) as session:
        for name in ("fast", "slow"):
            instances.register(session, InstanceSpec(id=name, kind="gate", version="1.0"), now=NOW)
    revision = int(api.ask("POST", "/partners/contoso/suspend").headers["X-TG-Revision"])
    before = api.get("/policy")
    assert (before["enforcing"], before["slowest"]) == (0, None)
    with writing(api.engine) as session:
        made = read_state(session).revised_at or 0
        for name, took in (("fast", 20), ("slow", 1_250)):
            instances.acknowledge(session, name, revision, now=NOW)
            session.get_one(Instance, name).acknowledged_at = made + took
    after = api.get("/policy")
    assert (after["enforcing"], after["slowest"]) == (2, 1.25)
