"""Tokens of a real, certified OpenID provider (npm oidc-provider) as a partner's own issuer, over real HTTP."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tenantgate import DenialReason, Denied, Granted, RequestView, open_gate
from tenantgate.discovery.limits import KeyLimits
from tenantgate.gate.gate import Gate
from tests.http import post_form
from tests.real_parts import need_binary, node_modules

pytestmark = pytest.mark.idp

AUDIENCE = "api://orders.example"
ISSUERS = ("rsa", "ec", "pss")


class World(NamedTuple):
    base: str
    gate: Gate

    def token(self, issuer: str, client: str = "daemon") -> str:
        """Ask the provider as the partner's daemon would."""
        form = {
            "grant_type": "client_credentials",
            "client_id": f"{issuer}-{client}",
            "client_secret": "a-secret-of-the-test",
            "scope": "orders.read",
        }
        return str(post_form(f"{self.base}/{issuer}/token", form)["access_token"])

    def ask(self, token: str, *roles: str) -> Granted | Denied:
        """Present a token at the gate."""
        return self.gate.decide(RequestView("GET", "/", [(b"authorization", b"Bearer " + token.encode())]), roles)


def _policy(base: str, profile: str = "standard") -> str:
    parts = ["version = 1", f'[[resources]]\nid = "orders"\naudiences = ["{AUDIENCE}"]']
    parts.append('[[app_roles]]\nid = "orders-read"\nresource = "orders"\nvalue = "Orders.Read"')
    for name in ISSUERS:
        parts.append(
            f'[[issuers]]\nid = "{name}"\nkind = "oidc"\nissuer = "{base}/{name}"\ninsecure_allow_http = true\n'
            f'profile = "{profile}"\n'
            f'[[partners]]\nid = "{name}-co"\nname = "{name} company"\n'
            f'[[tenants]]\nid = "{name}-tenant"\nissuer = "{name}"\npartner = "{name}-co"\n'
            f'[[daemons]]\nid = "{name}-sync"\ntenant = "{name}-tenant"\nclient_id = "{name}-daemon"\n'
            f'[[role_assignments]]\nid = "{name}-reads"\napp_role = "orders-read"\ndaemon = "{name}-sync"'
        )
    return "\n\n".join(parts)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    node, modules = need_binary("node"), node_modules()
    script = Path(__file__).with_name("oidc_provider.mjs")
    child = subprocess.Popen(
        [node, str(script), str(modules), AUDIENCE], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert child.stdout is not None
        base = json.loads(child.stdout.readline())["listening"]
        policy = tmp_path_factory.mktemp("policy") / "policy.toml"
        policy.write_text(_policy(base))
        gate = open_gate(policy, resource="orders", key_limits=KeyLimits(cooldown=0.0))
        try:
            yield World(base, gate)
        finally:
            gate.close()
    finally:
        child.terminate()
        child.wait(10)
        assert child.stdout is not None
        child.stdout.close()


@pytest.mark.parametrize("issuer", ISSUERS)
def test_listed_daemon_of_a_real_provider_is_let_in(world: World, issuer: str):
    """A token the provider issued to a listed client is granted, with the role the policy gives it."""
    decision = world.ask(world.token(issuer), "Orders.Read")

    assert isinstance(decision, Granted), decision
    assert decision.principal.partner == f"{issuer}-co"
    assert decision.principal.client_id == f"{issuer}-daemon"
    assert decision.principal.roles == ("Orders.Read",)


@pytest.mark.parametrize(
    ("profile", "reason"),
    [("rfc9068", None), ("keycloak", DenialReason.CLAIM_MISSING), ("okta", DenialReason.CLAIM_MISSING)],
)
@pytest.mark.parametrize("issuer", ISSUERS)
def test_profile_is_held_against_a_real_token(
    world: World, tmp_path: Path, issuer: str, profile: str, reason: DenialReason | None
):
    """A certified provider's access token has all that RFC 9068 asks for, and is none of another make's."""
    policy = tmp_path / "policy.toml"
    policy.write_text(_policy(world.base, profile))
    gate = open_gate(policy, resource="orders")
    try:
        decision = World(world.base, gate).ask(world.token(issuer), "Orders.Read")
    finally:
        gate.close()

    assert (decision.reason if isinstance(decision, Denied) else None) is reason


def test_unlisted_client_of_the_same_provider_is_not(world: World):
    """Another client of a partner's provider is authentic, and nobody."""
    decision = world.ask(world.token("rsa", "other"))

    assert isinstance(decision, Denied)
    assert decision.reason is DenialReason.DAEMON_NOT_LISTED


def test_issuer_that_is_not_in_the_policy_is_unknown(world: World, tmp_path: Path):
    """The same good token at a gate whose policy lacks the issuer: refused, and nothing is fetched for it."""
    policy = tmp_path / "policy.toml"
    policy.write_text(f'version = 1\n[[resources]]\nid = "orders"\naudiences = ["{AUDIENCE}"]\n')
    gate = open_gate(policy, resource="orders")
    try:
        decision = World(world.base, gate).ask(world.token("ec"))
    finally:
        gate.close()

    assert isinstance(decision, Denied)
    assert decision.reason is DenialReason.ISSUER_UNKNOWN


def test_rotated_key_is_accepted_without_restart(world: World):
    """After the provider rotates, a token by the new key is granted at once, and one by the old key still is."""
    old = world.token("rsa")
    assert isinstance(world.ask(old), Granted)

    kid = post_form(f"{world.base}/rsa/_rotate", {})["kid"]
    new = world.token("rsa")

    assert kid not in ("", None)
    assert isinstance(world.ask(new), Granted)
    assert isinstance(world.ask(old), Granted)


def test_changed_byte_in_a_real_token_is_refused(world: World):
    """A real token with another payload byte has no valid signature."""
    head, payload, signature = world.token("pss").split(".")
    changed = payload[:-6] + ("A" if payload[-6] != "A" else "B") + payload[-5:]
    decision = world.ask(f"{head}.{changed}.{signature}")

    assert isinstance(decision, Denied)
    assert decision.reason in (DenialReason.SIGNATURE_INVALID, DenialReason.TOKEN_MALFORMED)
