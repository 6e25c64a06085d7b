"""`tenantgate attention`: for people, and for a timer that mails what it says."""

from __future__ import annotations

from tenantgate.registry.engine import open_engine
from tests.cli.desk import Desk
from tests.registry.builders import Registry
from tests.registry.test_access_requests import asked


def test_nothing_needs_anybody(desk: Desk):
    """And the status says so."""
    answer = desk.call("attention")
    assert (answer.status, answer.out) == (0, "Nothing needs you.\n")


def test_something_needs_somebody(desk: Desk):
    """Status 1, and what it is."""
    engine = open_engine(desk.url)
    id_ = asked(Registry(desk.url, engine))
    engine.dispose()
    answer = desk.call("attention", "--kind", "access_request")
    assert (answer.status, id_ in answer.out) == (1, True)
    answer = desk.call("attention", "--json")
    assert (answer.status, answer.document["counts"]["access_request"]) == (1, 1)
