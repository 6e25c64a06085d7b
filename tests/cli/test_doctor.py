"""`tenantgate doctor` and `issuer probe`, against a real authority: what is wrong, and what to do about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tenantgate import open_gate
from tests.builders import signer
from tests.cli.desk import Answer, Desk
from tests.emulator.program import RunningEmulator
from tests.gate.world import eventually

pytestmark = pytest.mark.slow


@pytest.fixture
def own(desk: Desk, emulator: RunningEmulator) -> Desk:
    """A registry whose issuers are the authority on this machine and one that brings its keys along."""
    where = f"--authority {emulator.authority} --insecure-allow-http"
    v1 = (
        f"--v1-issuer {emulator.authority}/sts/{{tenantid}}/ "
        f"--v1-metadata-url {emulator.authority}/organizations/.well-known/openid-configuration"
    )
    Path("keys.json").write_text(json.dumps({"keys": [signer("ES256", "own").jwk()]}))
    for words in (
        f"issuer create --id local --kind entra {where} {v1}",
        "issuer create --id static --kind oidc --issuer https://id.static.example --jwks-file keys.json",
    ):
        assert desk.call(*words.split()).status == 0
    return desk


def symptoms(answer: Answer) -> dict[str, tuple[str, str | None]]:
    """Return state and code of each check."""
    return {each["check"]: (each["state"], each["code"]) for each in answer.document}


def policy_file(emulator: RunningEmulator, **issuer: Any) -> str:
    """Write a policy file with the authority in it; return its name."""
    members = {"id": "local", "kind": "entra", "authority": emulator.authority, "insecure_allow_http": True} | issuer
    document = {"version": 1, "issuers": [members], "resources": [{"id": "orders", "audiences": ["api://orders"]}]}
    Path("policy.json").write_text(json.dumps(document))
    return "policy.json"


def test_an_issuer_is_looked_at(own: Desk):
    """Both documents, step by step; plain http is worth a warning and no failure."""
    answer = own.call("issuer", "probe", "local", "--json")

    assert answer.status == 0
    steps = [(each["document"], each["step"], each["state"]) for each in answer.document]
    assert steps == [
        (document, step, "warning" if step == "connection" else "ok")
        for document in ("v2", "v1")
        for step in ("name", "connection", "metadata", "keys", "clock")
    ]
    assert "1 to verify with" in answer.out or "2 to verify with" in answer.out


def test_an_issuer_is_looked_at_in_words(own: Desk):
    """A line a step, and below it what to do."""
    answer = own.call("issuer", "probe", "local")

    assert "ok       v2 metadata    of http://127.0.0.1:" in answer.out
    assert "warning  v2 connection  plain http, on this machine [plain_http]" in answer.out
    assert "→ For tests only" in answer.out


def test_an_issuer_is_looked_at_before_it_is_trusted(desk: Desk, emulator: RunningEmulator):
    """`create --probe` writes nothing, whatever it finds; the exit status says whether it was well."""
    before = desk.json("issuer", "list")
    good = f"issuer create --kind entra --authority {emulator.authority} --insecure-allow-http --probe --json"
    bad = f"{good} --metadata-url {emulator.authority}/nothing"

    assert desk.call(*good.split()).status == 0
    answer = desk.call(*bad.split())
    assert answer.status == 1
    failed = [each for each in answer.document if each["state"] == "failed"]
    assert [(each["document"], each["step"], each["code"]) for each in failed] == [("v2", "metadata", "status")]
    assert failed[0]["advice"]
    assert desk.json("issuer", "list") == before


def test_what_could_be_no_issuer_is_not_looked_at(desk: Desk):
    """It is refused as creating it would be; and so is one that is not there."""
    words = "issuer create --kind oidc --issuer http://id.example --probe"

    assert desk.refused(*words.split())[0] == "url_not_https"
    assert desk.refused("issuer", "probe", "nobody")[0] == "issuer_not_found"


def test_a_sound_installation_is_sound(own: Desk):
    """Each check in turn; Microsoft's cloud cannot be reached from here, and that is said."""
    answer = own.call("doctor", "--json")
    found = symptoms(answer)

    assert found["settings"] == found["state folder"] == found["policy"] == ("ok", None)
    assert found["local: v2 keys"] == found["local: v1 keys"] == found["static: v2 keys"] == ("ok", None)
    assert found["local: v2 clock"] == ("ok", None)
    failed = {check for check, (state, _) in found.items() if state == "failed"}
    assert all(check.startswith("entra: ") for check in failed)
    assert answer.status == (1 if failed else 0)


def test_offline_nobody_is_asked(own: Desk):
    """What is on this machine is looked at all the same."""
    answer = own.call("doctor", "--offline", "--json")

    assert answer.status == 0
    assert set(symptoms(answer)) == {"settings", "state folder", "policy"}


def test_a_policy_file_is_looked_at(desk: Desk, emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch):
    """Without a database, and where keys are not kept that is said."""
    name = policy_file(emulator, v1_issuer=None)
    answer = desk.call("doctor", "--policy", name, "--json", TENANTGATE_DATABASE_URL=None)

    assert answer.status == 0
    found = symptoms(answer)
    assert found["state folder"] == ("warning", "state_dir_missing")
    assert found["local: v2 keys"] == ("ok", None)


@pytest.mark.parametrize(
    ("issuer", "check", "code"),
    [
        ({"metadata_url": "http://127.0.0.1:1/x"}, "local: v2 connection", "connect"),
        ({"v2_issuer": "http://127.0.0.1:9/{tenantid}/v2.0"}, "local: v2 metadata", "issuer_mismatch"),
    ],
)
def test_a_bad_issuer_fails(desk: Desk, emulator: RunningEmulator, issuer: dict[str, Any], check: str, code: str):
    """With the class of the fault, and what to do."""
    name = policy_file(emulator, **issuer)
    answer = desk.call("doctor", "--policy", name, "--json", TENANTGATE_DATABASE_URL=None)

    assert answer.status == 1
    assert symptoms(answer)[check] == ("failed", code)


@pytest.mark.parametrize(
    ("words", "environment", "check", "code"),
    [
        ("doctor", {"TENANTGATE_NOTHING": "x"}, "settings", "settings_invalid"),
        ("doctor --database sqlite:///gone.db", {}, "policy", "database_missing"),
        ("doctor --policy gone.json", {"TENANTGATE_DATABASE_URL": None}, "policy", "file_unreadable"),
        ("doctor --policy bad.json", {"TENANTGATE_DATABASE_URL": None}, "policy", "file_malformed"),
        ("doctor", {"TENANTGATE_DATABASE_URL": None}, "policy", "policy_missing"),
        ("doctor --offline", {"TENANTGATE_STATE_DIR": "open"}, "state folder", "state_dir_unusable"),
        ("doctor --offline", {"TENANTGATE_STATE_DIR": "bad.json/x"}, "state folder", "state_dir_unusable"),
    ],
)
def test_what_is_wrong_is_named(desk: Desk, words: str, environment: dict[str, str | None], check: str, code: str):
    """And what can still be looked at is."""
    Path("bad.json").write_text("{")
    (Path("open") / "keys").mkdir(parents=True)
    (Path("open") / "keys").chmod(0o777)
    answer = desk.call(*words.split(), "--json", **environment)

    assert answer.status == 1
    assert symptoms(answer)[check] == ("failed", code)
    assert all(each["advice"] for each in answer.document if each["state"] == "failed")


@pytest.mark.parametrize(
    "environment",
    [
        {"TENANTGATE_BIND": "0.0.0.0:8440"},
        {"TENANTGATE_METRICS_BIND": "127.0.0.1:9464"},
        {"TENANTGATE_POLICY": "policy.json"},
    ],
)
def test_settings_with_which_serve_would_not_start_are_said(own: Desk, environment: dict[str, str | None]):
    """They may be an embedded gate's; whoever means to serve wants to know before."""
    found = symptoms(own.call("doctor", "--offline", "--json", **environment))

    assert found["settings"] == ("warning", "serve")


def test_a_resource_that_is_not_there_fails(own: Desk):
    """Every call would be answered 503."""
    assert own.call("resource", "create", "--id", "orders-2", "--audience", "api://orders-2").status == 0
    for name, expected in (("orders-2", None), ("ordes", ("failed", "resource_unknown"))):
        found = symptoms(own.call("doctor", "--offline", "--json", TENANTGATE_RESOURCE=name))
        assert found.get("resource") == expected


def test_kept_keys_are_looked_at(own: Desk):
    """How old they are and until when they judge; and what a gate would not believe."""
    gate = open_gate(own.url, resource="orders", state_dir="state")
    eventually(lambda: (Path("state") / "keys" / "local.json").exists())
    gate.close()
    answer = own.call("doctor", "--offline", "--json", TENANTGATE_STATE_DIR="state")
    (kept,) = [each for each in answer.document if each["check"] == "local: kept keys"]
    assert kept["state"] == "ok"
    assert "they judge until 72 hours old" in kept["detail"]

    file = Path("state") / "keys" / "local.json"
    file.chmod(0o666)
    found = symptoms(own.call("doctor", "--offline", "--json", TENANTGATE_STATE_DIR="state"))
    assert found["local: kept keys"] == ("warning", "stored_unreadable")
    file.chmod(0o600)
    file.write_bytes(file.read_bytes()[:-2])
    found = symptoms(own.call("doctor", "--offline", "--json", TENANTGATE_STATE_DIR="state"))
    assert found["local: kept keys"] == ("warning", "stored_damaged")


def test_nothing_is_made_or_changed(own: Desk):
    """A doctor looks."""
    before = {path.name for path in Path().iterdir()}
    own.call("doctor")

    assert {path.name for path in Path().iterdir()} == before


ADMIN = {"tenant": "11111111-2222-4333-8444-555555555555", "audiences": ["api://admin"], "admin": ["TenantGate.Admin"]}


def administered(own: Desk, authority: str) -> Answer:
    """What doctor says where tokens of this authority administer."""
    issuer = ADMIN | {"authority": authority, "insecure_allow_http": True}
    environment = {"TENANTGATE_ADMIN_ISSUERS": json.dumps([issuer]), "TENANTGATE_ADMIN_UNLINKED": "create"}
    return own.call("doctor", "--json", **environment)


def test_issuers_of_administrators_are_looked_at(own: Desk, emulator: RunningEmulator):
    """As those of partners are, by their own settings; who becomes an operator unasked is said."""
    answer = administered(own, emulator.authority)
    said = [(each["check"], each["state"]) for each in answer.document if each["check"] == "administrators"]
    assert said == [("administrators", "ok"), ("administrators", "warning")]
    assert symptoms(answer)["administration-0: v2 keys"] == ("ok", None)
    failed = {each["check"] for each in answer.document if each["state"] == "failed"}
    assert not any(check.startswith("admin") for check in failed), failed


def test_a_shared_audience_of_administrators_fails(own: Desk, emulator: RunningEmulator):
    """A resource that was there before the setting, and an issuer that is not there."""
    own.json("resource", "create", "--id", "sly", "--audience", "api://admin")
    answer = administered(own, emulator.authority)
    assert ("administrators", "failed", "audience_shared") in [
        (each["check"], each["state"], each["code"]) for each in answer.document
    ]
    assert answer.status == 1
    assert symptoms(administered(own, "http://127.0.0.1:1"))["administration-0: v2 connection"][0] == "failed"
