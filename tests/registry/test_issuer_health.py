"""What instances say of issuers' keys: written when it changes, gone with who said it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from tenantgate.registry import instances, issuer_health
from tenantgate.registry.engine import reading, writing
from tenantgate.registry.instances import InstanceSpec
from tests.registry.builders import NOW
from tests.registry.conftest import Registry


def a_report(issuer: str = "entra", document: str = "v2", appid: str | None = None, **facts: Any) -> dict[str, Any]:
    """Return what a gate tells of one key set."""
    return {"issuer": issuer, "document": document, "appid": appid, "failures": 0, **facts}


def say(registry: Registry, instance: str, *reports: dict[str, Any], now: int = NOW) -> None:
    """Have an instance say something."""
    with writing(registry.engine) as session:
        instances.register(session, InstanceSpec(id=instance, kind="gate", version="1"), now=now)
        issuer_health.put(session, instance, reports, now=now)


def said(registry: Registry, issuer: str | None = None, since: int = NOW) -> list[tuple[str, str, str, str, int]]:
    """Return what is known, and since when."""
    with reading(registry.engine) as session:
        rows = issuer_health.list_(session, issuer=issuer, seen_since=since)
        return [(row.instance, row.issuer, row.document, row.appid, row.reported_at) for row in rows]


def test_what_did_not_change_is_not_written(registry: Registry):
    """What changed is, what is gone is struck, and what is new is added."""
    say(registry, "one", a_report(), a_report(document="v1"), a_report("oidc"))
    say(registry, "one", a_report(), a_report(document="v1", failures=1), a_report("new", appid="x"), now=NOW + 5)

    assert said(registry) == [
        ("one", "entra", "v1", "", NOW + 5),
        ("one", "entra", "v2", "", NOW),
        ("one", "new", "v2", "x", NOW + 5),
    ]
    with reading(registry.engine) as session:
        (row,) = [each for each in issuer_health.list_(session, seen_since=0) if each.document == "v1"]
        assert row.facts == a_report(document="v1", failures=1)


def test_each_instance_speaks_for_itself(registry: Registry):
    """And what one says is struck with it."""
    say(registry, "one", a_report())
    say(registry, "two", a_report())
    assert {row[0] for row in said(registry)} == {"one", "two"}

    with writing(registry.engine) as session:
        instances.forget(session, "one")
    assert {row[0] for row in said(registry)} == {"two"}
    with registry.engine.connect() as connection:
        assert connection.execute(sa.text("select count(*) from issuer_health")).scalar() == 1


def test_of_one_issuer_and_of_those_still_heard_of(registry: Registry):
    """Who is silent says nothing."""
    say(registry, "old", a_report(), now=NOW - 100)
    say(registry, "new", a_report(), a_report("oidc"))

    assert [row[:2] for row in said(registry, "entra")] == [("new", "entra")]
    assert len(said(registry, since=NOW - 100)) == 3
