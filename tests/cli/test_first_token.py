"""A partner's first token, from a real authority: each explanation names the next step, and its command takes it."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from tenantgate import open_gate
from tests.builders import b64url, json_bytes
from tests.cli.desk import Desk
from tests.cli.test_token import tenantgate
from tests.emulator.program import RunningEmulator
from tests.emulator.world import CLIENT, OID, ORDERS, SECRET, TID
from tests.gate.world import eventually
from tests.http import post_form, post_json

pytestmark = pytest.mark.slow

BILLING = "aaaaaaaa-0000-4000-8000-0000000000bb"


@pytest.fixture
def desk(tmp_path: Path, emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A registry that knows the authority and two APIs, and nobody's daemon."""
    monkeypatch.chdir(tmp_path)
    desk = Desk(tmp_path / "registry.db")
    issuer = ("--id", "entra", "--kind", "entra", "--authority", emulator.authority, "--insecure-allow-http")
    v1 = (
        *("--v1-issuer", emulator.authority + "/sts/{tenantid}/"),
        *("--v1-metadata-url", emulator.authority + "/organizations/.well-known/openid-configuration"),
    )
    for words in (
        ("migrate",),
        ("issuer", "create", *issuer, *v1),
        ("resource", "create", "--id", "orders", "--audience", "api://orders", "--audience", ORDERS),
        ("resource", "create", "--id", "legacy", "--audience", "https://legacy.example/"),
        ("role", "create", "--id", "orders-read", "--resource", "orders", "--value", "Orders.Read"),
        ("partner", "create", "--id", "contoso", "--name", "Contoso"),
    ):
        answer = desk.call(*words)
        assert answer.status == 0, (words, answer)
    return desk


def token_for(emulator: RunningEmulator, scope: str) -> str:
    """Return what the partner's daemon gets at its own tenant's endpoint."""
    form = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": SECRET, "scope": scope}
    return str(post_form(f"{emulator.authority}/{TID}/oauth2/v2.0/token", form)["access_token"])


def explained(desk: Desk, token: str, *options: str, resource: str = "orders") -> dict[str, Any]:
    """Return the explanation of a token against the registry, keys fetched from the authority."""
    words = ("token", "explain", "--database", desk.url, "--resource", resource, "--fetch", "--json", *options)
    done = tenantgate(*words, stdin=token.encode())
    assert done.err == b"", done.err
    found: dict[str, Any] = json.loads(done.out)
    assert done.status == (0 if found["granted"] else 1)
    return found


def test_each_step_is_named_and_its_command_takes_it(desk: Desk, emulator: RunningEmulator) -> None:
    """Tenant, daemon, role: three explanations, three commands copied as they stand, and the token is let in."""
    token = token_for(emulator, "api://orders/.default")
    reasons = []
    for _ in range(4):
        found = explained(desk, token, "--role", "Orders.Read")
        reasons.append(found["reason"])
        if found["granted"]:
            break
        _, *words = shlex.split(found["next"]["command"].replace("PARTNER", "contoso"))
        answer = desk.call(*words)
        assert answer.status == 0, (words, answer)

    assert reasons == ["tenant_not_listed", "daemon_not_listed", "role_not_assigned", None]
    daemons = desk.json("daemon", "list")["items"]
    assert [(each["client_id"], each["oid"]) for each in daemons] == [(CLIENT, OID)]


def test_what_the_publisher_forgot_is_named(desk: Desk, emulator: RunningEmulator) -> None:
    """An API whose registration does not ask for `idtyp`: the explanation names the switch, and what shows it."""
    found = explained(desk, token_for(emulator, "https://legacy.example//.default"), resource="legacy")

    assert found["reason"] == "not_app_only"
    assert "`idtyp` is not switched on for this API" in found["publisher"]
    assert "tenantgate resource setup-guide --id legacy" in found["publisher"]


def test_keys_come_only_when_asked_for(desk: Desk, emulator: RunningEmulator) -> None:
    """Without --fetch nothing is proved and nobody is advised to list anybody; with it the signature stands."""
    token = token_for(emulator, "api://orders/.default")
    words = ("token", "explain", "--database", desk.url, "--resource", "orders", "--json")

    offline = json.loads(tenantgate(*words, stdin=token.encode()).out)
    online = explained(desk, token)

    assert offline["reason"] == "key_set_unavailable"
    assert [each["stands"] for each in offline["stands"]][:2] == [True, None]
    assert all(each["fix"] is None for each in offline["stands"][2:])
    assert [each["stands"] for each in online["stands"]][:3] == [True, True, True]


def test_an_api_with_signing_keys_of_its_own_is_told_what_to_name(desk: Desk, emulator: RunningEmulator) -> None:
    """Its tokens have an unknown key until its application is named; then the list is what is left to do."""
    billing = {"client_id": BILLING, "app_id_uris": ["api://billing"], "own_keys": True}
    post_json(f"{emulator.authority}/_emulator/resources", billing)
    made = desk.call("resource", "create", "--id", "billing", "--audience", "api://billing", "--audience", BILLING)
    token = token_for(emulator, "api://billing/.default")
    unnamed = explained(desk, token, resource="billing")
    named = desk.call("resource", "change", "billing", "--signing-keys-appid", BILLING)

    assert (made.status, named.status) == (0, 0)
    assert unnamed["reason"] == "signing_key_unknown"
    assert "`signing_keys_appid`" in unnamed["publisher"]
    assert explained(desk, token, resource="billing")["reason"] == "tenant_not_listed"


def test_an_authority_that_is_down_is_said(desk: Desk, tmp_path: Path) -> None:
    """Keys that cannot be had are one line on standard error, and the explanation ends where the judgement does."""
    here = "http://127.0.0.1:1"
    made = desk.call(
        *("issuer", "create", "--id", "gone", "--kind", "entra", "--authority", here, "--insecure-allow-http")
    )
    assert made.status == 0
    header, payload = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ", {"iss": f"{here}/{TID}/v2.0", "tid": TID, "ver": "2.0"}
    token = f"{header}.{_segment(payload)}.AAAA"
    words = ("token", "explain", "--database", desk.url, "--resource", "orders", "--fetch", "--json")

    done = tenantgate(*words, stdin=token.encode())

    assert json.loads(done.out)["reason"] == "key_set_unavailable"
    assert done.err.startswith(b"keys of gone (v2) cannot be had: connect: ")
    assert len(done.err.splitlines()) == 1

    assert desk.call("resource", "change", "orders", "--signing-keys-appid", ORDERS).status == 0
    lines = tenantgate(*words, stdin=token.encode()).err.decode().splitlines()
    assert sorted(line.partition(" cannot")[0] for line in lines) == [
        "keys of gone (v2)",
        f"keys of gone (v2, appid {ORDERS})",
    ]


def test_a_token_of_an_unknown_issuer_makes_nobody_fetch(desk: Desk, emulator: RunningEmulator) -> None:
    """A token never chooses an address: an issuer that is not in the policy is not asked for keys."""
    payload = {"iss": f"{emulator.authority}/elsewhere", "jku": emulator.authority}
    for token in (f"eyJhbGciOiJSUzI1NiJ9.{_segment(payload)}.AAAA", "opaque"):
        found = explained(desk, token)
        assert found["reason"] in ("issuer_unknown", "token_malformed")


def _segment(payload: dict[str, Any]) -> str:
    return b64url(json_bytes(payload))


def test_what_a_gate_has_kept_is_at_hand(desk: Desk, emulator: RunningEmulator, tmp_path: Path) -> None:
    """The keys that a gate judges by in an outage explain what it says; a command that may not read them has none."""
    token = token_for(emulator, "api://orders/.default")
    state = tmp_path / "state"
    gate = open_gate(desk.url, resource="orders", state_dir=state)
    try:
        eventually(lambda: any((state / "keys").iterdir()))
    finally:
        gate.close()
    words = ("token", "explain", "--database", desk.url, "--resource", "orders", "--json")
    kept = tenantgate(*words, stdin=token.encode(), env=os.environ | {"TENANTGATE_STATE_DIR": str(state)})
    elsewhere = tenantgate(*words, stdin=token.encode(), env=os.environ | {"TENANTGATE_STATE_DIR": str(tmp_path)})

    assert json.loads(kept.out)["reason"] == "tenant_not_listed"
    assert re.fullmatch(rb"keys of entra \(v2\) are those a gate kept, \d+ s old", kept.err.strip())
    assert json.loads(elsewhere.out)["reason"] == "key_set_unavailable"
    (one,) = [each for each in (state / "keys").iterdir() if each.name == "entra.json"]
    one.write_bytes(one.read_bytes()[:-3])
    torn = tenantgate(*words, stdin=token.encode(), env=os.environ | {"TENANTGATE_STATE_DIR": str(state)})
    assert json.loads(torn.out)["reason"] == "key_set_unavailable"
