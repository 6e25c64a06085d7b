"""Who enforces the newest revision, and how fast the slowest was: by what is said, and by one clock."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from tenantgate.registry import enforcement, instances, partners
from tenantgate.registry.enforcement import LEFT, SILENT, Enforcement
from tenantgate.registry.engine import database_clock, reading, writing
from tenantgate.registry.instances import HEARD_OF, InstanceSpec
from tenantgate.registry.tables import Instance, Revision
from tests.registry.builders import NOW, Registry


def standing(registry: Registry, now: int = NOW) -> Enforcement:
    """Who enforces it."""
    with reading(registry.engine) as session:
        return enforcement.read(session, now=now)


def revise(registry: Registry) -> int:
    """Change the policy; the new revision."""
    with registry.work() as work:
        change = partners.suspend if work.session.get_one(partners.Partner, "contoso").state == "active" else None
        (change or partners.activate)(work, "contoso")
    assert work.revision is not None
    return work.revision


def come(registry: Registry, *names: str) -> None:
    """Processes register."""
    with writing(registry.engine) as session:
        for name in names:
            instances.register(session, InstanceSpec(id=name, kind="gate", version="1"), now=NOW)


def say(registry: Registry, name: str, revision: int, now: int = NOW) -> None:
    """A process says what it enforces."""
    with writing(registry.engine) as session:
        instances.acknowledge(session, name, revision, now=now)


def times(registry: Registry, table: Any, **columns: int | None) -> None:
    """Write times as if they had been then."""
    with writing(registry.engine) as session:
        session.execute(sa.update(table).values(columns))


def test_the_slowest_tells(registry: Registry):
    """Each that was there is timed from the making of the revision; the last to say so is shown."""
    come(registry, "fast", "slow")
    revision = revise(registry)
    for name in ("fast", "slow"):
        say(registry, name, revision)
    found = standing(registry)
    made = found.state.revised_at
    assert made is not None
    assert found.slowest is not None
    assert 0 <= found.slowest < 600
    with writing(registry.engine) as session:
        session.get_one(Instance, "fast").acknowledged_at = made + 20
        session.get_one(Instance, "slow").acknowledged_at = made + 1_250
    found = standing(registry)
    assert (found.enforcing, found.whole, found.slowest) == (2, True, 1.25)


def test_a_new_revision_is_timed_anew(registry: Registry):
    """Nothing is known of it before somebody says so, and what is not of the policy is no revision."""
    come(registry, "gate-1")
    say(registry, "gate-1", revise(registry))
    before = standing(registry)
    newest = revise(registry)
    behind = standing(registry)
    assert (behind.enforcing, behind.whole, behind.slowest) == (0, False, None)
    assert [(each.row.id, each.why) for each in behind.stragglers] == [("gate-1", "behind")]
    assert (behind.state.revised_at or 0) >= (before.state.revised_at or 0)
    say(registry, "gate-1", newest)
    assert standing(registry).whole


def test_who_came_later_is_not_timed(registry: Registry):
    """It enforced the revision from its first moment on: that it came an hour later is no delay."""
    come(registry, "late")
    say(registry, "late", revise(registry))
    times(registry, Revision, revised_at=1_000)
    found = standing(registry)
    assert (found.enforcing, found.slowest) == (1, None)


def test_who_comes_back_said_it_then(registry: Registry):
    """A process that lost its connection says the same again: it had enforced it all the while."""
    come(registry, "gate-1")
    revision = revise(registry)
    say(registry, "gate-1", revision)
    times(registry, Revision, revised_at=1_000)
    times(registry, Instance, registered_at=900, acknowledged_at=1_100)
    come(registry, "gate-1")
    assert [each.why for each in standing(registry).stragglers] == ["starting"]
    say(registry, "gate-1", revision)
    assert standing(registry).slowest == 0.1


def test_who_was_cut_off_is_timed(registry: Registry):
    """A process that lost its connection before the revision and follows after it was that slow."""
    come(registry, "gate-1")
    say(registry, "gate-1", 1)
    times(registry, Instance, registered_at=900, acknowledged_at=950)
    revision = revise(registry)
    come(registry, "gate-1")
    say(registry, "gate-1", revision)
    with writing(registry.engine) as session:
        made = session.get_one(Revision, 1).revised_at
        assert made is not None
        assert (session.get_one(Instance, "gate-1").acknowledged_at or 0) >= made
    assert standing(registry).slowest is not None


@pytest.mark.parametrize("column", ["revised_at", "acknowledged_at"])
def test_what_an_older_version_wrote_is_unknown(registry: Registry, column: str):
    """It leaves the times as they were; who enforces what is known all the same."""
    come(registry, "gate-1")
    say(registry, "gate-1", revise(registry))
    times(registry, Revision if column == "revised_at" else Instance, **{column: None})
    found = standing(registry)
    assert (found.enforcing, found.whole, found.slowest) == (1, True, None)


def test_a_frozen_process_counts_for_nothing(registry: Registry):
    """What it said before it fell silent is no proof, though it was the newest revision; then it is gone, and named."""
    come(registry, "gate-1", "gate-2")
    revision = revise(registry)
    say(registry, "gate-1", revision)
    say(registry, "gate-2", revision, now=NOW + SILENT + 1)
    found = standing(registry, now=NOW + SILENT)
    assert (found.enforcing, found.whole) == (2, True)
    found = standing(registry, now=NOW + SILENT + 1)
    assert (found.enforcing, len(found.instances), found.whole) == (1, 2, False)
    assert [(each.row.id, each.why, each.silence) for each in found.stragglers] == [("gate-1", "silent", SILENT + 1)]
    found = standing(registry, now=NOW + HEARD_OF + 1)
    assert (found.enforcing, len(found.instances), found.gone[0].row.id) == (1, 1, "gate-1")
    assert standing(registry, now=NOW + LEFT + 1).gone[-1].row.id == "gate-2"


def test_who_refuses_enforces_nothing(registry: Registry):
    """A process that does not follow this database is not one that enforces its revision."""
    come(registry, "gate-1")
    revision = revise(registry)
    say(registry, "gate-1", revision)
    with writing(registry.engine) as session:
        instances.refuse(session, "gate-1", "policy_went_back", epoch="epoch-one", revision=revision + 5)
    found = standing(registry)
    assert (found.enforcing, [each.why for each in found.stragglers]) == (0, ["refuses"])


def test_nobody_is_nobody(registry: Registry):
    """Where no process is there, nothing is enforced; that is not all of them."""
    found = standing(registry)
    assert (found.enforcing, found.instances, found.whole) == (0, (), False)


def test_the_database_has_one_clock(registry: Registry):
    """It is in milliseconds, and goes on."""
    with writing(registry.engine) as session:
        first, second = (session.execute(sa.select(database_clock(session))).scalar_one() for _ in range(2))
    assert 1_600_000_000_000 < first <= second
