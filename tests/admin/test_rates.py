"""How much an operator may ask, by whichever scheme, and how often an address may be wrong."""

from __future__ import annotations

import pytest

from tenantgate.admin.problems import RateLimited
from tenantgate.admin.rates import FAILURES, PORTIONS, Failures, OperatorRates
from tenantgate.registry.errors import DatabaseError
from tests.admin import staff
from tests.admin.world import Api


class Clock:
    """Monotonic seconds that move only when told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


def spent(rates: OperatorRates, operator: str = "ada", most: int = 10_000) -> int:
    """How many requests an operator gets through at once."""
    for count in range(most):
        try:
            rates.spend(operator)
        except RateLimited:
            return count
    return most


def test_a_bucket_empties_and_fills_again(clock: Clock):
    """Ten seconds' worth at once, then as much as comes back; one operator takes nothing from another."""
    rates = OperatorRates(120, clock)
    assert (spent(rates), spent(rates), spent(rates, "grace")) == (20, 0, 20)
    clock.now += 0.5
    assert spent(rates) == 1
    clock.now += 3_600
    assert spent(rates) == 20


def test_the_refusal_says_when(clock: Clock):
    """`Retry-After` is at least a second, and as long as it takes to have one."""
    rates = OperatorRates(60, clock)
    spent(rates)
    with pytest.raises(RateLimited) as caught:
        rates.spend("ada")
    assert (caught.value.code, caught.value.retry_after) == ("rate_limited", 1)


class Database:
    """What all servers draw on."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.asked: list[int] = []
        self.away = False

    def take(self, operator: str, wanted: int) -> bool:
        """Take some."""
        del operator
        self.asked.append(wanted)
        if self.away:
            raise DatabaseError("database_unavailable", "the database is away")
        granted = wanted <= self.left
        self.left -= wanted if granted else 0
        return granted


def test_all_servers_draw_on_one_bucket(clock: Clock):
    """Two servers together let through what one alone would, and ask the database once for several requests."""
    database = Database(1_000)
    servers = [OperatorRates(6_000, clock, database.take) for _ in range(2)]
    assert sum(spent(server) for server in servers) == 1_000
    assert set(database.asked) == {1_000 // PORTIONS}
    assert len(database.asked) <= PORTIONS + 2


def test_a_database_in_trouble_opens_nothing_and_shuts_nobody_out(clock: Clock, caplog: pytest.LogCaptureFixture):
    """Then each server's own bucket holds; it is said once."""
    database = Database(0)
    database.away = True
    rates = OperatorRates(6_000, clock, database.take)
    assert spent(rates) == 1_000
    assert [each.message for each in caplog.records] == ["rates are each server's own for now: the database is away"]


def test_the_same_operator_whichever_scheme(api: Api, clock: Clock):
    """Key and token of one operator spend the same requests: 429 with Retry-After, and others go on."""
    api.context.rates = OperatorRates(60, clock)
    statuses = []
    for place in range(12):
        api.scheme = ("admin_key", "bearer")[place % 2]
        statuses.append(api.ask("GET", "/me", role="Operator").status_code)
    assert statuses == [200] * 10 + [429] * 2
    answer = api.ask("GET", "/me", role="Operator")
    assert (answer.json()["code"], answer.headers["Retry-After"]) == ("rate_limited", "1")
    assert api.ask("GET", "/me", role="Viewer").status_code == 200
    clock.now += 1
    assert api.ask("GET", "/me", role="Operator").status_code == 200


def test_what_is_refused_counts_too(api: Api, clock: Clock):
    """Who is told that their role is too low has asked; what is not changed costs as much."""
    api.context.rates = OperatorRates(60, clock)
    codes = [api.refused("POST", "/partners/contoso/suspend", role="Viewer")["code"] for _ in range(11)]
    assert codes == ["role_too_low"] * 10 + ["rate_limited"]


WRONG = f"Bearer tg_nobody_{'A' * 43}"


@pytest.mark.parametrize("wrong", [WRONG, f"Bearer {staff.token(tid=staff.PARTNER)}"], ids=["key", "token"])
def test_an_address_that_is_wrong_without_end_is_not_looked_at(api: Api, clock: Clock, wrong: str):
    """Then the answer is 429, also to a right credential that was never seen; what came in before does so again."""
    api.context.failures = Failures(clock)
    assert api.ask("GET", "/me", role="Viewer").status_code == 200
    statuses = [api.ask("GET", "/me", headers={"Authorization": wrong}).status_code for _ in range(FAILURES + 2)]
    assert statuses == [401] * FAILURES + [429] * 2
    assert api.ask("GET", "/me", role="Viewer").status_code == 200
    answer = api.ask("GET", "/me", role="Admin")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "2")
    clock.now += 2
    assert api.ask("GET", "/me", role="Admin").status_code == 200


def test_no_credential_is_no_wrong_one(api: Api, clock: Clock):
    """A browser that looks at the address, or a check of a monitor, is told 401 as often as it asks."""
    api.context.failures = Failures(clock)
    assert {api.ask("GET", "/me", role=None).status_code for _ in range(FAILURES * 2)} == {401}


def test_addresses_are_counted_by_network_and_bounded(clock: Clock):
    """One machine's many IPv6 addresses are one; a flood of addresses pushes out no more than what it filled."""
    failures = Failures(clock)
    for place in range(FAILURES):
        failures.note(f"2001:db8:0:1::{place + 1:x}")
    with pytest.raises(RateLimited):
        failures.check("2001:db8:0:1:ffff::1", "x")
    failures.check("2001:db8:0:2::1", "x")
    failures.check("testclient", "x")
    for place in range(20_000):
        failures.note(f"10.{place >> 16}.{place >> 8 & 255}.{place & 255}")
    assert len(failures._wrong._left) <= 4_096


def test_nothing_of_a_credential_is_kept(clock: Clock):
    """Of what came in a digest is remembered, for an hour."""
    failures = Failures(clock)
    failures.welcome("tg_ada_secret")
    assert "secret" not in repr(vars(failures))
    for _ in range(FAILURES):
        failures.note("192.0.2.1")
    failures.check("192.0.2.1", "tg_ada_secret")
    clock.now += 3_599
    failures.welcome("other")
    for _ in range(FAILURES):
        failures.note("192.0.2.1")
    clock.now += 1
    with pytest.raises(RateLimited):
        failures.check("192.0.2.1", "tg_ada_secret")
