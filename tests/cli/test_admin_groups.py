"""The groups around the policy: keys, links, the audit, the export, and the database itself."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer

from tenantgate.admin.csv_text import cell
from tenantgate.admin.shapes_admin import AuditEntryOut, ChainOut, NewAdminKeyOut, PolicyOut
from tenantgate.cli.app import COMMANDS, app
from tenantgate.core.policy import KINDS
from tenantgate.feed.file import FileSource
from tenantgate.registry import instances, operators, sessions
from tenantgate.registry.engine import open_engine, reading, writing
from tenantgate.registry.instances import InstanceSpec
from tenantgate.registry.snapshot import read_snapshot
from tests.cli.desk import Desk
from tests.registry.builders import counting_bytes, work_on

ROOT = Path(__file__).resolve().parents[2]
GROUPS = [name for name, (module, _) in COMMANDS.items() if name not in ("demo", "serve", "token")]


def test_the_first_key_needs_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """On a fresh database one command makes operator and key; the key lets in, and standard output is the key alone."""
    monkeypatch.chdir(tmp_path)
    desk = Desk(tmp_path / "fresh.db")
    assert desk.call("migrate").status == 0
    answer = desk.call("admin-key", "create", "--operator-name", "Adm", "--role", "Admin")
    assert answer.status == 0
    assert "not shown again" in answer.err
    engine = open_engine(desk.url)
    with reading(engine) as session:
        operator, key = operators.authenticate_key(session, answer.out.strip(), now=int(time.time()))
    engine.dispose()
    assert (operator.name, operator.role, key.name) == ("Adm", "Admin", "command line")
    assert abs(key.expires_at - key.created_at) == 90 * 86_400


def test_a_key_for_an_operator_who_is_there(desk: Desk):
    """--json prints the object with its value once; the list never has it."""
    made = desk.json(
        "admin-key", "create", "--operator", "operations", "--name", "import", "--expires-at", "2031-01-31"
    )
    assert set(made) == set(NewAdminKeyOut.model_fields)
    assert (made["operator"], made["name"], made["expires_at"]) == ("operations", "import", "2031-01-31T00:00:00Z")
    listed = desk.json("admin-key", "list", "--operator", "operations")["items"]
    assert [each | {"value": made["value"]} for each in listed] == [made]
    assert made["value"][-43:] not in desk.call("admin-key", "list").out + desk.call("audit", "list", "--json").out


def test_a_key_is_revoked_once(desk: Desk):
    """Revoked it has a time; the second time is refused."""
    made = desk.json("admin-key", "create", "--operator", "operations", "--days", "1")
    assert desk.json("admin-key", "revoke", made["id"])["revoked_at"] is not None
    assert desk.refused("admin-key", "revoke", made["id"])[0] == "already_revoked"
    assert desk.refused("admin-key", "revoke", made["value"])[0] == "admin_key_not_found"


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--operator", "operations", "--operator-name", "Adm", "--role", "Admin"),
        ("--operator-name", "Adm"),
        ("--operator", "operations", "--role", "Admin"),
        ("--role", "Admin"),
        ("--operator", "operations", "--days", "0"),
    ],
)
def test_a_key_is_of_one_operator(desk: Desk, words: tuple[str, ...]):
    """An operator who is there, or a new one with a role; anything else makes nobody and nothing."""
    assert desk.call("admin-key", "create", *words).status == 2
    assert len(desk.json("operator", "list")["items"]) == 1
    assert desk.json("admin-key", "list")["items"] == []


def test_a_key_that_cannot_be_made_leaves_no_operator_behind(desk: Desk):
    """Operator and key are one change."""
    words = ("--operator-name", "Grace", "--role", "Viewer", "--expires-at", "2020-01-01")
    assert desk.refused("admin-key", "create", *words)[0] == "time_in_past"
    assert len(desk.json("operator", "list")["items"]) == 1


def _redeemed(desk: Desk, url: str) -> str:
    engine = open_engine(desk.url)
    with work_on(engine, now=int(time.time())) as work:
        opened = sessions.redeem(work, url.partition("#code=")[2], random_bytes=counting_bytes(40))
    engine.dispose()
    return opened.operator.id


def test_a_link_signs_its_operator_in(desk: Desk):
    """The address has the code in its fragment, and the code opens a session of the operator."""
    answer = desk.call("sign-in-link", "create", "--operator", "operations")
    assert answer.out.startswith("http://127.0.0.1:8440/sign-in#code=")
    assert "once, until " in answer.err
    assert _redeemed(desk, answer.out.strip()) == "operations"


def test_a_link_leads_where_people_reach_the_server(desk: Desk):
    """TENANTGATE_PUBLIC_URL where it is set; where nobody knows, no link is made."""
    created = ("sign-in-link", "create", "--operator", "operations")
    answer = desk.call(*created, "--json", TENANTGATE_PUBLIC_URL="https://partners.example/")
    assert answer.document["url"].startswith("https://partners.example/sign-in#code=")
    assert set(answer.document) == {"id", "operator", "url", "expires_at"}
    for bind in ("0.0.0.0:8440", "127.0.0.1:0"):
        assert desk.refused(*created, status=2, TENANTGATE_BIND=bind)[0] == "settings_invalid"
    assert desk.refused("sign-in-link", "create", "--operator", "nobody")[0] == "reference_unknown"
    desk.call("operator", "suspend", "operations")
    assert desk.refused(*created)[0] == "operator_suspended"


def test_the_policy_shows_who_enforces_it(desk: Desk):
    """Revision, and how many of the live instances are there yet."""
    engine = open_engine(desk.url)
    now = int(time.time())
    with writing(engine) as session:
        for id_, revision in (("there", 7), ("behind", 6)):
            instances.register(session, InstanceSpec(id=id_, kind="gate", version="1.0"), now=now)
            instances.acknowledge(session, id_, revision, now=now)
    engine.dispose()
    shown = desk.json("policy", "show")
    assert set(shown) == set(PolicyOut.model_fields)
    assert (shown["revision"], shown["enforcing"], len(shown["instances"])) == (7, 1, 2)
    table = desk.call("policy", "show").out
    assert "1 of 2" in table
    assert "behind" in table


def test_the_export_is_the_same_policy(desk: Desk, tmp_path: Path):
    """What is exported loads as a policy file, and its rows are the database's, row by row."""
    desk.call("partner", "suspend", "contoso")
    desk.call("issuer", "create", "--kind", "oidc", "--issuer", "https://id.fabrikam.example/main")
    desk.json("role", "map", "--issuer", "entra", "--claim", "roles", "--value", "Reader", "--role", "orders-read")
    rules = ("--require-claim", "roles any A,B", "--report-only", "addresses 2090-01-31", "--address", "192.0.2.0/24")
    desk.json("resource", "change", "orders", *rules, "--issuer", "entra", "--token-query", "t")
    path = tmp_path / "policy.json"
    assert desk.call("policy", "export", "--output", str(path)).status == 0
    engine = open_engine(desk.url)
    with reading(engine) as session:
        rows = [row.data for row in read_snapshot(session).rows]
    engine.dispose()
    assert {row.kind for row in FileSource(path).load().rows} == set(KINDS)
    assert [row.data for row in FileSource(path).load().rows] == rows
    assert desk.call("policy", "export").document == json.loads(path.read_text())


def test_an_export_that_cannot_be_written_leaves_what_was(desk: Desk, tmp_path: Path):
    """Where the folder is missing there is one line; a file that is replaced is replaced whole."""
    code, message = desk.refused("policy", "export", "--output", str(tmp_path / "nowhere" / "policy.json"))
    assert code == "file_unwritable"
    assert "No such file" in message
    path = tmp_path / "policy.json"
    path.write_text("before")
    assert desk.call("policy", "export", "--output", str(path)).status == 0
    assert sorted(each.name for each in tmp_path.iterdir() if "policy" in each.name) == ["policy.json"]


def test_an_export_that_would_not_load_is_none(desk: Desk):
    """A key set that no gate could use is told, not written."""
    connection = sqlite3.connect(desk.path)
    connection.execute("UPDATE issuer SET jwks = '{\"keys\": [{}]}'")
    connection.commit()
    connection.close()
    assert desk.refused("policy", "export")[0] == "jwks_malformed"


def test_the_audit_is_listed_and_sound(desk: Desk):
    """Newest first, or oldest; by kind, id and operator; and the chain holds."""
    newest = desk.json("audit", "list", "--limit", "3")
    assert [each["sequence"] for each in newest["items"]] == [8, 7, 6]
    assert set(newest["items"][0]) == set(AuditEntryOut.model_fields)
    assert desk.json("audit", "list", "--cursor", newest["next"])["items"][0]["sequence"] == 5
    assert [each["sequence"] for each in desk.json("audit", "list", "--oldest")["items"]] == list(range(1, 9))
    (entry,) = desk.json("audit", "list", "--kind", "partner", "--id", "contoso")["items"]
    assert (entry["scheme"], entry["address"]) == ("cli", "local")
    assert len(desk.json("audit", "list", "--operator", entry["operator"])["items"]) == 8
    report = desk.json("audit", "verify")
    assert set(report) == set(ChainOut.model_fields)
    assert (report["sound"], report["entries"], report["first_bad"]) == (True, 8, None)
    assert desk.call("audit", "verify").out.startswith("8 entries in order, head ")


@pytest.mark.parametrize(
    ("statement", "first_bad"),
    [
        ("UPDATE audit_entry SET operator = 'cli:somebody' WHERE sequence = 3", 3),
        ("UPDATE audit_entry SET after = 'no JSON' WHERE sequence = 4", 4),
        ("DELETE FROM audit_entry WHERE sequence = 5", 6),
        ("DELETE FROM audit_entry WHERE sequence = 8", 8),
    ],
)
def test_a_forged_audit_is_found(desk: Desk, statement: str, first_bad: int):
    """An edit or a removal ends with status 1, names the first bad entry, and is JSON where asked for."""
    connection = sqlite3.connect(desk.path)
    connection.execute(statement)
    connection.commit()
    connection.close()
    code, message = desk.refused("audit", "verify")
    assert code == "audit_broken"
    assert message.startswith(f"entry {first_bad}: ")
    answer = desk.call("audit", "verify", "--json")
    assert (answer.status, answer.document["sound"], answer.document["first_bad"]) == (1, False, first_bad)


def test_migrate_makes_a_database_for_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The file is made with mode 0600; the second call changes nothing; each database has an epoch of its own."""
    monkeypatch.chdir(tmp_path)
    epochs = set()
    for name in ("one.db", "two.db"):
        desk = Desk(tmp_path / name)
        assert desk.json("migrate")["before"] is None
        assert stat.S_IMODE(desk.path.stat().st_mode) == 0o600
        again = desk.json("migrate")
        assert again["before"] == again["after"]
        assert "already" in desk.call("migrate").out
        epochs.add(desk.json("policy", "show")["epoch"])
    assert len(epochs) == 2


def test_a_database_that_is_none_is_told(desk: Desk, tmp_path: Path):
    """Missing, empty, foreign or newer: each has its code, and none is changed."""
    missing, empty, foreign = (tmp_path / name for name in ("missing.db", "empty.db", "foreign.db"))
    foreign.write_bytes(b"not a database at all")
    sqlite3.connect(empty).close()
    empty.touch()
    for path, code in ((missing, "database_missing"), (empty, "schema_missing"), (foreign, "database_not_sqlite")):
        assert desk.refused("partner", "list", "--database", f"sqlite:///{path}")[0] == code
    assert not missing.exists()
    connection = sqlite3.connect(desk.path)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.execute("UPDATE revision SET oldest_compatible = '9999'")
    connection.commit()
    connection.close()
    assert desk.refused("partner", "list")[0] == "schema_unknown"
    assert desk.refused("migrate")[0] == "schema_unknown"


@pytest.mark.parametrize(
    ("environment", "part"),
    [
        ({"TENANTGATE_DATABASE_URL": None}, "--database"),
        ({"TENANTGATE_DATABASE_URL": "mysql://db.example/x"}, "TENANTGATE_DATABASE_URL"),
        ({"TENANTGATE_DATABASE_UR": "x"}, "TENANTGATE_DATABASE_URL"),
        ({"TENANTGATE_BIND": "nowhere"}, "TENANTGATE_BIND"),
    ],
)
def test_settings_at_fault_end_with_2(desk: Desk, environment: dict[str, str | None], part: str):
    """A missing or unknown setting is one line that names it."""
    for words in (("partner", "list"), ("migrate",), ("policy", "export")):
        code, message = desk.refused(*words, status=2, **environment)
        assert code == "settings_invalid"
        assert part in message


def test_the_option_wins_over_the_setting(desk: Desk, tmp_path: Path):
    """--database is taken, whatever the environment says."""
    answer = desk.call(
        "partner", "list", "--json", "--database", desk.url, TENANTGATE_DATABASE_URL=f"sqlite:///{tmp_path}/other.db"
    )
    assert [each["id"] for each in answer.document["items"]] == ["contoso"]


def _commands() -> list[tuple[str, ...]]:
    found = []
    context = typer.Context(typer.main.get_command(app))
    for name in GROUPS:
        group = typer.main.get_command(app).get_command(context, name)
        found += [(name, each) for each in group.commands] if hasattr(group, "commands") else [(name,)]
    return found


FILES = (("policy", "export"), ("audit", "export"), ("resource", "setup-guide"), ("master-key", "create"))
"""What prints a file, or what is to stand in one."""


@pytest.mark.parametrize("words", _commands(), ids=" ".join)
def test_every_command_helps_and_speaks_json(desk: Desk, words: tuple[str, ...]):
    """--help says what a command does and which database it works on; all speak JSON but those that print a file."""
    answer = desk.call(*words, "--help")
    assert answer.status == 0
    assert "--database" in answer.out or words == ("master-key", "create")
    assert "--json" in answer.out or words in FILES


def test_commands_never_load_the_web_framework():
    """The groups share the REST API's shapes, not its routes: a command starts without FastAPI."""
    modules = ", ".join(module for name, (module, _) in COMMANDS.items() if name in GROUPS)
    code = f"import {modules}, sys; sys.exit('fastapi' in sys.modules or 'starlette' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_as_a_process_of_its_own(desk: Desk):
    """Called as people call it, with an output that knows ASCII only: JSON is UTF-8, errors are one line, no stack."""
    environment = {**os.environ, "TENANTGATE_DATABASE_URL": desk.url, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}

    def run(*words: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "tenantgate", *words], env=environment, capture_output=True, check=False, cwd=ROOT
        )

    made = run("partner", "create", "--id", "cafe", "--name", "Café Ⅻ", "--json")
    assert (made.returncode, made.stderr) == (0, b"")
    assert "Café Ⅻ" in made.stdout.decode()
    refused = run("partner", "suspend", "nobody")
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert refused.stderr == b"partner_not_found: there is no partner nobody\n"


def test_the_audit_is_written_out(desk: Desk):
    """As lines that prove themselves, each over the text before its hash; and as a table."""
    desk.json("partner", "create", "--id", "formula", "--name", "=1+1")
    lines = desk.call("audit", "export").out.splitlines()
    head = "0" * 64
    for number, line in enumerate(lines, 1):
        entry = json.loads(line)
        parts = re.fullmatch(r'(.*),"hash":"([0-9a-f]{64})"\}', line)
        assert parts is not None
        text, found = parts.groups()
        assert (entry["sequence"], entry["previous_hash"]) == (number, head)
        assert found == entry["hash"] == hashlib.sha256(f"{text}}}".encode()).hexdigest()
        head = found
    assert json.loads(lines[-1])["after"]["name"] == "=1+1"
    assert desk.json("audit", "verify")["head"] == head

    rows = list(csv.DictReader(io.StringIO(desk.call("audit", "export", "--format", "csv").out)))
    assert len(rows) == len(lines)
    assert rows[-1]["action"] == "partner.created"
    assert json.loads(rows[-1]["after"])["name"] == "=1+1"
    assert rows[-1]["before"] == ""
    later = desk.call("audit", "export", "--after", str(len(lines) - 1)).out.splitlines()
    assert later == lines[-1:]
    assert desk.call("audit", "export", "--since", "2999-01-01").out == ""
    assert desk.call("audit", "export", "--until", "2999-01-01").out.splitlines() == lines
    assert desk.call("audit", "export", "--until", "1999-01-01", "--format", "csv").out.splitlines() == [
        "sequence,at,operator,scheme,address,request_id,action,kind,row_id,revision,before,after,hash"
    ]


def test_no_cell_is_a_formula():
    """What a spreadsheet would take for one is text."""
    assert [cell(value) for value in ("=1", "+1", "-1", "@x", "\tx", "plain", None, 7, {"a": "=1"})] == [
        "'=1", "'+1", "'-1", "'@x", "'\tx", "plain", "", "7", '{"a": "=1"}',
    ]  # fmt: skip


def test_whoami_is_who_the_audit_names(desk: Desk):
    """This machine's user, who may do everything, and why."""
    me = desk.json("whoami")
    assert (me["scheme"], me["role"]) == ("cli", "Admin")
    assert "whoever may write the database" in me["why"]
    assert me["operator"] == desk.json("audit", "list")["items"][0]["operator"]
    assert f"operator  {me['operator']}\n" in desk.call("whoami").out


def test_access_is_told_as_it_was(desk: Desk):
    """As a table, JSON and CSV; for one partner; at a moment long before there was anything."""
    (held,) = desk.json("audit", "access")
    assert (held["partner"], held["role"], held["counted"]) == ("contoso", "Orders.Read", True)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", held["granted_at"])
    assert desk.json("audit", "access", "--partner", "nobody") == []
    assert desk.json("audit", "access", "--as-of", "2001-01-01") == []
    (row,) = csv.DictReader(io.StringIO(desk.call("audit", "access", "--csv").out))
    assert (row["client_id"], row["counted"], row["expires_at"]) == (held["client_id"], "true", "")
    assert "Orders.Read" in desk.call("audit", "access").out


def test_a_key_may_do_less(desk: Desk):
    """A lower role and scopes are given when it is made; a misspelled scope is refused."""
    words = ("admin-key", "create", "--operator", "operations", "--key-role", "Viewer")
    made = desk.json(*words, "--scope", "partners", "--scope", "audit")
    assert (made["role"], made["scopes"]) == ("Viewer", ["partners", "audit"])
    assert desk.refused(*words, "--scope", "partner")[0] == "scope_unknown"


def test_identities_of_an_operator(desk: Desk):
    """Linked, listed, unlinked; one is one operator's."""
    words = ("operator", "link", "operations", "--issuer", "https://id.staff.example/realms/staff", "--sub", "7c0ffee0")
    made = {name: value for name, value in desk.json(*words).items() if name != "revision"}
    assert (made["operator"], made["sub"], made["tid"]) == ("operations", "7c0ffee0", None)
    assert desk.refused(*words)[0] == "identity_linked"
    assert desk.json("operator", "identities", "operations")["items"] == [made]
    desk.json("operator", "unlink", "operations", made["id"])
    assert desk.json("operator", "identities", "operations")["items"] == []


def test_no_command_gives_a_resource_the_audience_of_administrators(desk: Desk):
    """The same settings hold for commands as for the server."""
    issuer = {"issuer": "https://id.staff.example", "audiences": ["api://admin"], "admin": ["x"]}
    environment = {"TENANTGATE_ADMIN_ISSUERS": json.dumps([issuer])}
    answer = desk.call("resource", "create", "--id", "sly", "--audience", "api://admin", **environment)
    assert (answer.status, answer.err.partition(":")[0]) == (1, "audience_overlap")
