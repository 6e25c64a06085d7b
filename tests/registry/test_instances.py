"""Instances: who enforces the policy, and how far."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import Session, select

from tenantgate.registry import instances, issuer_health
from tenantgate.registry.engine import reading, writing
from tenantgate.registry.errors import InvalidError, NotFoundError
from tenantgate.registry.instances import KEPT, InstanceSpec
from tenantgate.registry.tables import IssuerHealth
from tests.registry.builders import NOW, Registry

HEALTH = {"issuer": "entra", "document": "v2", "appid": None}
GATE = InstanceSpec(id="gate-1", kind="gate", version="0.1.0")


def write(registry: Registry, call: Callable[[Session], Any]) -> None:
    """Write as a process does."""
    with writing(registry.engine) as session:
        call(session)


def test_instance_says_what_it_enforces(registry: Registry):
    """A process registers, says how far it is, and is known by both."""
    write(registry, lambda session: instances.register(session, GATE, now=NOW))
    write(registry, lambda session: instances.acknowledge(session, "gate-1", 7, now=NOW + 5))
    write(registry, lambda session: instances.acknowledge(session, "gate-1", None, now=NOW + 9))

    with reading(registry.engine) as session:
        row = instances.get(session, "gate-1")
    assert (row.kind, row.version, row.acknowledged_revision) == ("gate", "0.1.0", 7)
    assert (row.started_at, row.seen_at) == (NOW, NOW + 9)


def test_restarted_instance_enforces_nothing_yet(registry: Registry):
    """A process that registers again has not said anything of what it enforces now."""
    write(registry, lambda session: instances.register(session, GATE, now=NOW))
    write(registry, lambda session: instances.acknowledge(session, "gate-1", 7, now=NOW))
    write(registry, lambda session: instances.register(session, GATE, now=NOW + 60))

    with reading(registry.engine) as session:
        row = instances.get(session, "gate-1")
    assert (row.acknowledged_revision, row.started_at) == (None, NOW + 60)


def test_instances_are_listed_by_kind_and_life(registry: Registry):
    """Those not heard of any more can be left out."""
    for number, at in enumerate((NOW, NOW + 100)):
        spec = InstanceSpec(id=f"gate-{number}", kind="gate", version="1")
        with writing(registry.engine) as session:
            instances.register(session, spec, now=at)
    write(
        registry, lambda session: instances.register(session, InstanceSpec(id="s", kind="server", version="1"), now=NOW)
    )

    with reading(registry.engine) as session:
        assert [row.id for row in instances.list_(session).items] == ["gate-0", "gate-1", "s"]
        assert [row.id for row in instances.list_(session, kind="server").items] == ["s"]
        assert [row.id for row in instances.list_(session, seen_since=NOW + 100).items] == ["gate-1"]


def test_long_gone_instances_are_struck_off(registry: Registry):
    """A process that is started anew without end, and never signs off, fills no table."""
    write(registry, lambda session: instances.register(session, GATE, now=NOW))
    write(registry, lambda session: issuer_health.put(session, "gate-1", [HEALTH], now=NOW))
    another = InstanceSpec(id="gate-2", kind="gate", version="0.1.0")
    write(registry, lambda session: instances.register(session, another, now=NOW + KEPT))
    with reading(registry.engine) as session:
        assert {row.id for row in instances.list_(session).items} == {"gate-1", "gate-2"}
    write(registry, lambda session: instances.register(session, another, now=NOW + KEPT + 1))
    with reading(registry.engine) as session:
        assert {row.id for row in instances.list_(session).items} == {"gate-2"}
        assert session.exec(select(IssuerHealth)).all() == []


def test_forgotten_instance_is_not_there(registry: Registry):
    """What signed off is gone; signing off twice is fine; what is gone cannot say anything."""
    write(registry, lambda session: instances.register(session, GATE, now=NOW))
    for _ in range(2):
        write(registry, lambda session: instances.forget(session, "gate-1"))

    with pytest.raises(NotFoundError) as caught:
        write(registry, lambda session: instances.acknowledge(session, "gate-1", 7, now=NOW))
    assert caught.value.code == "instance_not_found"


@pytest.mark.parametrize(("changed", "field"), [({"id": "Gate 1"}, "id"), ({"kind": ""}, "kind")])
def test_instance_has_a_slug_for_a_name(registry: Registry, changed: dict[str, str], field: str):
    """Ids and kinds of instances are slugs."""
    spec = InstanceSpec(**({"id": "gate-1", "kind": "gate", "version": "1"} | changed))

    with pytest.raises(InvalidError) as caught:
        write(registry, lambda session: instances.register(session, spec, now=NOW))

    assert (caught.value.code, caught.value.field) == ("id_malformed", field)
