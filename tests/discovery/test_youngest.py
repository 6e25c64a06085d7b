"""What tokens say of the clocks: the least age of those seen lately, per issuer."""

from __future__ import annotations

import pytest

from tenantgate.core.keys import KeySetRef
from tenantgate.discovery.youngest import WINDOW, YoungestToken
from tests.builders import signer
from tests.discovery.fakes import World, a_row

REF = KeySetRef("globex")


def test_nothing_is_said_where_no_token_was_seen():
    """Neither before the first, nor long after the last."""
    tokens = YoungestToken()
    assert tokens.at(0.0) is None
    tokens.note(7.0, 100.0)
    assert tokens.at(100.0 + 2 * WINDOW) is None


@pytest.mark.parametrize(
    ("seen", "asked", "expected"),
    [
        pytest.param([(5.0, 0), (3.0, 1), (9.0, 2)], 3, 3.0, id="the least"),
        pytest.param([(5.0, 0), (-40.0, 1)], 3, -40.0, id="our clock is behind"),
        pytest.param([(3.0, 0), (9.0, WINDOW)], WINDOW, 3.0, id="of the stretch before, too"),
        pytest.param([(3.0, 0), (1.0, WINDOW)], WINDOW, 1.0, id="of this one"),
        pytest.param([(3.0, 0)], 2 * WINDOW - 1, 3.0, id="of a stretch that has ended"),
        pytest.param([(3.0, 0), (9.0, WINDOW), (8.0, 2 * WINDOW)], 2 * WINDOW, 8.0, id="not of earlier ones"),
        pytest.param([(3.0, 0), (9.0, 2 * WINDOW)], 2 * WINDOW, 9.0, id="nor over a stretch without any"),
    ],
)
def test_the_least_age_of_late(seen: list[tuple[float, float]], asked: float, expected: float):
    """A clock that was set right shows after an hour or two; until then the worst is told."""
    tokens = YoungestToken()
    for age, now in seen:
        tokens.note(age, now)
    assert tokens.at(asked) == expected


async def test_each_issuer_has_its_own():
    """It is in the health and the report, whole seconds there, and a change of the row that keeps the keys keeps it."""
    row = a_row()
    world = World(signer("ES256", "a"), rows=[row, a_row(id="other", issuer="https://other.example")])
    world.keyring.authentic(REF, 12.4)
    world.keyring.authentic(REF, 30.0)
    world.keyring.authentic(KeySetRef("nobody"), 1.0)

    found = {each.issuer: each.clock_ahead_at_most for each in world.keyring.health()}
    assert found == {"globex": 12.4, "other": None}
    assert {each["issuer"]: each["clock_ahead_at_most"] for each in world.keyring.reports()} == {
        "globex": 12,
        "other": None,
    }

    world.keyring.set_issuers([a_row(max_key_age=7200)])
    assert [each.clock_ahead_at_most for each in world.keyring.health()] == [12.4]
