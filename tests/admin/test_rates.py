"""How much an operator may ask, by whichever scheme, and how often an address may be wrong."""

from __future__ import annotations

from contextlib import suppress

import pytest

from tenantgate.admin.admission import PresentedKey
from tenantgate.admin.problems import RateLimited
from tenantgate.admin.rates import FAILURES, PORTIONS, Failures, OperatorRates
from tenantgate.registry.errors import DatabaseError
from tenantgate.registry.identities import Identity
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
FORGED = f"Bearer {staff.token(tid=staff.PARTNER)}"


def wrong(api: Api, times: int, header: str = WRONG) -> list[int]:
    """What a stranger is answered who comes with a wrong credential so often."""
    return [api.ask("GET", "/me", headers={"Authorization": header}).status_code for _ in range(times)]


@pytest.mark.parametrize("header", [WRONG, FORGED, "Bearer x"], ids=["key", "token", "neither"])
@pytest.mark.parametrize("scheme", ["admin_key", "bearer"])
def test_a_stranger_shuts_nobody_out_who_shares_their_address(api: Api, clock: Clock, header: str, scheme: str):
    """An address that is wrong without end is answered 429, and operators go on, also those who were never seen."""
    api.context.failures, api.scheme = Failures(clock), scheme
    assert wrong(api, FAILURES + 2, header) == [401] * FAILURES + [429] * 2
    for second in range(12):
        clock.now += second % 2
        assert wrong(api, 2, header)[-1] == 429
        assert api.ask("GET", "/me", role="Admin").status_code == 200
    assert api.ask("POST", "/partners/contoso/suspend", role="Operator").status_code == 200


def test_beyond_the_limit_no_answer_tells_which_keys_there_are(api: Api, clock: Clock):
    """A wrong secret of a key that is there, of one that is not, and what is no key: the same answer, however often."""
    api.context.failures = Failures(clock)
    wrong(api, FAILURES)
    there = api.keys["Operator"].rpartition("_")[0]
    told = set()
    for value in (f"{there}_{'A' * 43}", f"tg_key-x_{'A' * 43}", "tg_x", "x"):
        for _ in range(FAILURES + 2):
            answer = api.ask("GET", "/me", headers={"Authorization": f"Bearer {value}"})
            told.add((answer.status_code, answer.headers["Retry-After"], answer.json()["detail"]))
    assert told == {(429, "2", "too many wrong credentials came from your address")}


def test_beyond_the_limit_a_key_is_looked_up_so_often_for_each_id(api: Api, clock: Clock):
    """Then neither for a wrong secret nor for the right one, unless that came in lately; other keys are."""
    api.context.failures = Failures(clock)
    assert api.ask("GET", "/me", role="Viewer").status_code == 200
    wrong(api, FAILURES)
    for role in ("Viewer", "Operator"):
        wrong(api, FAILURES + 1, f"Bearer {api.keys[role].rpartition('_')[0]}_{'A' * 43}")
    statuses = [api.ask("GET", "/me", role=role).status_code for role in ("Viewer", "Operator", "Admin")]
    assert statuses == [200, 429, 200]
    clock.now += 2
    assert api.ask("GET", "/me", role="Operator").status_code == 200


def test_what_is_no_credential_costs_no_look_into_the_database(api: Api, clock: Clock, monkeypatch: pytest.MonkeyPatch):
    """Beyond the limit it is answered before; the same for a key's id that was wrong too often."""
    api.context.failures = Failures(clock)
    wrong(api, 2 * FAILURES)
    monkeypatch.setattr(api.context, "engine", None)
    assert wrong(api, 1) == wrong(api, 1, "Bearer tg_x") == wrong(api, 1, "Bearer x") == [429]


def test_a_key_that_was_revoked_is_none_that_came_in(api: Api, clock: Clock):
    """It is refused as any other wrong one: so often, and no more."""
    api.context.failures = Failures(clock)
    assert api.ask("GET", "/me", role="Viewer").status_code == 200
    (key,) = api.get("/admin-keys?operator=an-viewer")["items"]
    api.change(f"/admin-keys/{key['id']}/revoke")
    statuses = [api.ask("GET", "/me", role="Viewer").status_code for _ in range(FAILURES + 2)]
    assert statuses == [401] * FAILURES + [429] * 2
    assert len(api.context.failures._known) == 1  # the Admin's


@pytest.mark.parametrize("roles", [("TenantGate.Viewer",), ()], ids=["not linked", "no role"])
def test_an_authentic_token_that_gives_nothing_spends_its_identitys(api: Api, clock: Clock, roles: tuple[str, ...]):
    """Whoever it names is refused so often; nobody else is, at the same address."""
    api.context.failures = Failures(clock)
    header = f"Bearer {staff.token('a-stranger', roles)}"
    assert wrong(api, FAILURES + 2, header) == [403] * FAILURES + [429] * 2
    assert wrong(api, 1, f"Bearer {staff.token('another', roles)}") == [403]
    assert api.ask("GET", "/me", role="Viewer").status_code == 200
    clock.now += 2
    assert wrong(api, 1, header) == [403]


def test_a_suspended_operators_token_spends_its_identitys(api: Api, clock: Clock):
    """It is authentic too: refused so often, and the address is no worse for it."""
    api.context.failures = Failures(clock)
    api.change("/operators/an-viewer/suspend")
    header = f"Bearer {staff.token('an-viewer', ('TenantGate.Viewer',))}"
    assert wrong(api, FAILURES + 2, header) == [401] * FAILURES + [429] * 2
    assert wrong(api, 1) == [401]


def test_no_credential_is_no_wrong_one(api: Api, clock: Clock):
    """A browser that looks at the address, or a check of a monitor, is told 401 as often as it asks."""
    api.context.failures = Failures(clock)
    assert {api.ask("GET", "/me", role=None).status_code for _ in range(FAILURES * 2)} == {401}


def note(failures: Failures, address: str, value: str = "x") -> None:
    """One more wrong key."""
    with suppress(RateLimited):
        failures.note(address, PresentedKey(value))


def test_addresses_are_counted_by_network_and_bounded(clock: Clock):
    """One machine's many IPv6 addresses are one; a flood of addresses, ids or identities pushes out what it filled."""
    failures = Failures(clock)
    for place in range(FAILURES):
        note(failures, f"2001:db8:0:1::{place + 1:x}")
    with pytest.raises(RateLimited):
        failures.check("2001:db8:0:1:ffff::1", PresentedKey("x"))
    failures.check("2001:db8:0:2::1", PresentedKey("x"))
    failures.check("testclient", PresentedKey("x"))
    for place in range(20_000):
        note(failures, f"10.{place >> 16}.{place >> 8 & 255}.{place & 255}")
        note(failures, "192.0.2.1", f"tg_key-{place}_{'A' * 43}")
        failures.note("192.0.2.1", Identity(issuer="https://id.example", sub=str(place)))
    buckets = (failures._wrong, failures._of_keys, failures._of_identities)
    assert [len(each._left) for each in buckets] == [4_096] * 3


def test_nothing_of_a_credential_is_kept(clock: Clock):
    """Of a key that came in a digest is remembered, for an hour."""
    failures = Failures(clock)
    key = PresentedKey(f"tg_ada_{'s' * 43}")
    failures.welcome(key)
    assert "sss" not in repr(
        [vars(failures), *(vars(each) for each in vars(failures).values() if hasattr(each, "take"))]
    )
    for _ in range(2 * FAILURES):
        note(failures, "192.0.2.1", f"tg_ada_{'A' * 43}")
    failures.check("192.0.2.1", key)
    clock.now += 3_600
    for _ in range(2 * FAILURES):
        note(failures, "192.0.2.1", f"tg_ada_{'A' * 43}")
    with pytest.raises(RateLimited):
        failures.check("192.0.2.1", key)
