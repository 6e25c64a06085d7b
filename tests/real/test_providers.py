"""Tokens of two real, independent providers (npm oidc-provider; Debian's glewlwyd) as partners' own, over real HTTP."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tenantgate import DenialReason, Denied, Granted, RequestView, open_gate
from tenantgate.discovery.limits import KeyLimits
from tenantgate.gate.gate import Gate
from tests.gate.world import PATIENT, eventually, patient
from tests.real.glewlwyd import running_glewlwyd
from tests.real.oidc_provider import running_oidc_provider
from tests.real.provider import Provider

pytestmark = pytest.mark.idp


class World(NamedTuple):
    provider: Provider
    folder: Path

    def open(self, profile: str = "standard", issuers: tuple[str, ...] | None = None, **limits: float) -> Gate:
        """Open a gate for which each issuer is a partner's own."""
        policy = self.folder / f"{time.monotonic_ns()}.toml"
        policy.write_text(_policy(self.provider, profile, self.provider.issuers if issuers is None else issuers))
        return patient(open_gate(policy, resource="orders", key_limits=KeyLimits(**(PATIENT | limits))))


def _policy(provider: Provider, profile: str, issuers: tuple[str, ...]) -> str:
    parts = ["version = 1", f'[[resources]]\nid = "orders"\naudiences = ["{provider.audience}"]']
    parts.append('[[app_roles]]\nid = "orders-read"\nresource = "orders"\nvalue = "Orders.Read"')
    for name in issuers:
        parts.append(
            f'[[issuers]]\nid = "{name}"\nkind = "oidc"\nissuer = "{provider.issuer(name)}"\n'
            f'insecure_allow_http = true\nprofile = "{profile}"\n'
            f'[[partners]]\nid = "{name}-co"\nname = "{name} company"\n'
            f'[[tenants]]\nid = "{name}-tenant"\nissuer = "{name}"\npartner = "{name}-co"\n'
            f'[[daemons]]\nid = "{name}-sync"\ntenant = "{name}-tenant"\nclient_id = "daemon"\n'
            f'[[role_assignments]]\nid = "{name}-reads"\napp_role = "orders-read"\ndaemon = "{name}-sync"'
        )
    return "\n\n".join(parts)


def ask(gate: Gate, token: str, *roles: str) -> Granted | Denied:
    """Present a token at a gate."""
    return gate.decide(RequestView("GET", "/", [(b"authorization", b"Bearer " + token.encode())]), roles)


def reason_of(decision: Granted | Denied) -> DenialReason | None:
    """Return why it was denied, None where it was not."""
    return decision.reason if isinstance(decision, Denied) else None


@pytest.fixture(scope="module", params=["oidc-provider", "glewlwyd"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp(request.param)
    with running_oidc_provider() if request.param == "oidc-provider" else running_glewlwyd(folder) as provider:
        yield World(provider, folder)


@pytest.fixture
def gate(world: World) -> Iterator[Gate]:
    gate = world.open(cooldown=0.0)
    yield gate
    gate.close()


def test_listed_daemon_of_a_real_provider_is_let_in(world: World, gate: Gate):
    """A token the provider issued to a listed client is granted, with the role the policy gives it."""
    for issuer in world.provider.issuers:
        decision = ask(gate, world.provider.token(issuer), "Orders.Read")

        assert isinstance(decision, Granted), decision
        assert decision.principal.partner == f"{issuer}-co"
        assert decision.principal.client_id == "daemon"
        assert decision.principal.roles == ("Orders.Read",)


@pytest.mark.parametrize(
    ("profile", "reason"),
    [("rfc9068", None), ("keycloak", DenialReason.CLAIM_MISSING), ("okta", DenialReason.CLAIM_MISSING)],
)
def test_profile_is_held_against_a_real_token(world: World, profile: str, reason: DenialReason | None):
    """A real provider's access token has all that RFC 9068 asks for, and is none of another make's."""
    gate = world.open(profile)
    try:
        found = {reason_of(ask(gate, world.provider.token(name), "Orders.Read")) for name in world.provider.issuers}
    finally:
        gate.close()

    assert found == {reason}


def test_unlisted_client_of_the_same_provider_is_not(world: World, gate: Gate):
    """Another client of a partner's provider is authentic, and nobody."""
    assert reason_of(ask(gate, world.provider.token("rsa", "other"))) is DenialReason.DAEMON_NOT_LISTED


def test_issuer_that_is_not_in_the_policy_is_unknown(world: World):
    """The same good token at a gate whose policy lacks the issuer: refused, and nothing is fetched for it."""
    gate = world.open(issuers=())
    try:
        decision = ask(gate, world.provider.token("ec"))
        assert gate.key_health() == []
    finally:
        gate.close()

    assert reason_of(decision) is DenialReason.ISSUER_UNKNOWN


def test_changed_byte_in_a_real_token_is_refused(world: World, gate: Gate):
    """A real token with another payload byte has no valid signature."""
    head, payload, signature = world.provider.token(world.provider.issuers[-1]).split(".")
    changed = payload[:-6] + ("A" if payload[-6] != "A" else "B") + payload[-5:]
    found = reason_of(ask(gate, f"{head}.{changed}.{signature}"))

    assert found in (DenialReason.SIGNATURE_INVALID, DenialReason.TOKEN_MALFORMED)


class Traffic:
    """Calls with fresh tokens, one thread an issuer, until stopped. `seen`: how each call ended, by issuer."""

    def __init__(self, provider: Provider, gate: Gate) -> None:
        self.seen: Counter[tuple[str, str]] = Counter()
        self._provider = provider
        self._gate = gate
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(name,)) for name in provider.issuers]

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()

    def more(self, calls: int = 10) -> None:
        """Wait until each issuer's daemon has made so many more calls."""
        before = self.granted()
        eventually(lambda: all(self.granted()[name] >= before[name] + calls for name in self._provider.issuers))

    def granted(self) -> Counter[str]:
        """Return the calls that were let in, by issuer."""
        return Counter({name: count for (name, how), count in self.seen.copy().items() if how == "granted"})

    def refused(self) -> dict[tuple[str, str], int]:
        """Return the others."""
        return {each: count for each, count in self.seen.copy().items() if each[1] != "granted"}

    def _call(self, issuer: str) -> None:
        while not self._stop.is_set():
            try:
                token = self._provider.token(issuer)
            except OSError:  # the provider is taking its new keys: its daemons wait as well
                time.sleep(0.01)
                continue
            decision = ask(self._gate, token)
            how = "granted" if isinstance(decision, Granted) else f"{decision.reason}: {decision.detail}"
            self.seen[issuer, how] += 1


def test_no_good_token_is_refused_while_keys_change_without_notice(world: World):
    """Providers that sign with a new key at once, the old one gone with it: the first call of it has it fetched."""
    provider = world.provider
    gate = world.open(cooldown=0.0)
    try:
        with Traffic(provider, gate) as traffic:
            traffic.more()
            for _ in range(5):
                earlier = {name: provider.token(name) for name in provider.issuers}
                kids = provider.change_keys("replace")
                traffic.more()
                # Tokens of a moment ago are still good: five minutes, and ours are of this minute.
                assert {reason_of(ask(gate, token)) for token in earlier.values()} == {None}
                assert kids <= {kid for each in gate.key_health() for kid in each.kids}
            assert traffic.refused() == {}
    finally:
        gate.close()


def test_a_removed_key_is_refused_in_time_and_nobody_else_notices(world: World):
    """The long way round, as the standards advise: publish, sign, remove; minutes are a fraction of a second here."""
    provider, retire = world.provider, 1.5
    gate = world.open(cooldown=0.1, refresh_other=0.4, refresh_least=0.0, retire_other=retire)
    try:
        with Traffic(provider, gate) as traffic:
            traffic.more()
            old = {name: provider.token(name) for name in provider.issuers}
            kids = provider.change_keys("add")
            # Learnt in the background: no token has named them yet.
            eventually(lambda: kids <= {kid for name in provider.issuers for kid in kids_of(gate, name)})
            provider.change_keys("sign")
            traffic.more()
            assert {reason_of(ask(gate, token)) for token in old.values()} == {None}

            removed_at = time.monotonic()
            provider.change_keys("drop")
            for name, token in old.items():
                eventually(lambda name=name: len(kids_of(gate, name)) == 1)
                assert reason_of(ask(gate, token)) is DenialReason.SIGNING_KEY_UNKNOWN
            assert time.monotonic() - removed_at >= retire
            traffic.more()
            assert traffic.refused() == {}
    finally:
        gate.close()


def kids_of(gate: Gate, issuer: str) -> tuple[str, ...]:
    """Return the kids that verify tokens of an issuer."""
    return next(each.kids for each in gate.key_health() if each.issuer == issuer)
