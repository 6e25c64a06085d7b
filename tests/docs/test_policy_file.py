"""`docs/policy-file.md` tells what the code does: its examples are loaded, its tables compared."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from tenantgate.cli.token import Line
from tenantgate.core import clouds, fetching, fields, keys, pointer, policy, references, resources, rules
from tenantgate.core.decision import Principal
from tenantgate.core.index import PolicyIndex
from tenantgate.core.policy import KINDS, IssuerRow, PolicySnapshot
from tenantgate.core.profiles.table import PROFILES
from tenantgate.core.refusals import REFUSALS
from tenantgate.feed import file
from tenantgate.gate.request import MAX_HEADERS, MAX_PARAMETERS
from tests.real_parts import ROOT

PAGE = (ROOT / "docs" / "policy-file.md").read_text()
KEY_FILES = {"jwks_file", "v1_jwks_file", "ca_bundle_file"}


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of a language, in order."""
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", PAGE)


def table(heading: str) -> dict[str, list[str]]:
    """Return the first table below a heading: first cell, its code mark removed → the other cells."""
    below = PAGE.split(f"{heading}\n", 1)[1].split("\n#", 1)[0]
    rows = re.findall(r"(?m)^\| `(\w+)` \|(.*)\|$", below)
    return {name: [cell.strip() for cell in cells.split("|")] for name, cells in rows}


@pytest.fixture
def policy_file(tmp_path: Path) -> Path:
    """Write the page's TOML example with the key file it names."""
    named = re.search(r"`(keys/\S+)`", PAGE)
    assert named is not None
    (tmp_path / "keys").mkdir()
    (tmp_path / named[1]).write_text(blocks("json")[1])
    (tmp_path / "policy.toml").write_text(blocks("toml")[0])
    return tmp_path / "policy.toml"


def load(path: Path) -> PolicySnapshot:
    """Load a policy file."""
    return file.FileSource(path).load()


def test_both_examples_are_the_same_policy(policy_file: Path) -> None:
    """The TOML example loads, uses every array, and the JSON example is the same policy."""
    as_json = policy_file.with_name("policy.json")
    as_json.write_text(blocks("json")[0])

    snapshot = load(policy_file)

    assert snapshot.rows == load(as_json).rows
    assert {row.kind for row in snapshot.rows} == set(KINDS)
    index = PolicyIndex.from_snapshot(snapshot)
    keys.StaticKeys(entry.row for entry in index.issuers.values())


@pytest.mark.parametrize("kind", KINDS)
def test_every_member_of_every_array_is_described(kind: str) -> None:
    """The table of an array has each member of its row, and no other."""
    described = set(table(f"### `{kind}s`"))

    assert described == {*KINDS[kind].__struct_fields__, *(KEY_FILES if kind == "issuer" else ())}


@pytest.mark.parametrize("kind", KINDS)
def test_every_default_is_the_codes(kind: str) -> None:
    """What the page calls the default is what an omitted member means."""
    told = {name: cells[1] for name, cells in table(f"### `{kind}s`").items() if name not in KEY_FILES}

    assert told == {each.name: default_of(each) for each in msgspec.structs.fields(KINDS[kind])}


@pytest.mark.parametrize(
    ("heading", "struct"),
    [
        ("#### `required_claims` of a resource", policy.RequiredClaim),
        ("#### `report_only` of a resource", policy.ReportOnly),
    ],
)
def test_members_within_a_resource_are_described(heading: str, struct: type[msgspec.Struct]) -> None:
    """The members of a required claim and of a reported rule, each with its default, and no other."""
    told = {name: cells[1] for name, cells in table(heading).items()}

    assert told == {each.name: default_of(each) for each in msgspec.structs.fields(struct)}


def test_every_rule_that_may_be_reported_only_is_named() -> None:
    """The rules of the page are those of the code, and the limits of the query too."""
    named = re.findall(r'"(\w+)"', table("#### `report_only` of a resource")["rule"][2])

    assert named == list(get_args(policy.ResourceRule))
    assert f"at most {MAX_PARAMETERS} parameters, and {MAX_HEADERS // 1024} KiB with all headers" in " ".join(
        PAGE.split()
    )
    assert f"up to {resources.MESSAGE_LENGTH} visible" in table("### `resources`")["failure_message"][2]
    assert f"At most {pointer.MAX_STEPS} names" in " ".join(PAGE.split())


def default_of(field: msgspec.structs.FieldInfo) -> str:
    """Return a member's default as the page writes it."""
    if field.required:
        return "needed"
    default: Any = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    if default is None:
        return "–"
    return f"`{json.dumps(default)}`"


def test_every_code_is_explained() -> None:
    """Each code that a policy can be refused with has its line, and each line is such a code."""
    modules = (fetching, fields, pointer, references, resources, rules, file)
    sources = "".join(Path(module.__file__).read_text() for module in modules if module.__file__)
    used = set(re.findall(r'(?:PolicyError|FeedError)\(\s*"(\w+)"', sources))
    used |= set(re.findall(r'self\._take\(\s*"(\w+)"', sources))
    used |= set(re.findall(r'_each\(row\.\w+, "\w+", "(\w+)"', sources))
    used |= {code for _, code, _ in file._COMPLAINTS}

    section = PAGE.split("## Errors\n", 1)[1].split("\n## ", 1)[0]
    lines = re.findall(r"(?m)^\| (`.*?`) \|", section)
    told = {code for line in lines for code in re.findall(r"`(\w+)`", line)}

    assert told == used


def test_every_algorithm_and_limit_is_the_codes() -> None:
    """Algorithms, list lengths and bounds on the page are those that are enforced."""
    algorithms = table("### `issuers`")["algorithms"][2]

    assert set(re.findall(r"`((?:RS|PS|ES)\d{3}|EdDSA)`", algorithms)) == keys.SUPPORTED
    assert f"names have at most {fields.NAME_LENGTH} characters" in " ".join(PAGE.split())
    assert f"identifiers {fields.IDENTITY_LENGTH}, lists {fields.LIST_LENGTH} elements" in " ".join(PAGE.split())
    assert f"1 s to {resources.LONGEST_LIFETIME // 86_400} days" in table("### `resources`")["max_lifetime"][2]
    assert f"0 to {resources.LARGEST_SKEW} s" in table("### `resources`")["clock_skew"][2]
    assert policy.ID_PATTERN.startswith("^[a-z0-9][a-z0-9._-]{0,62}")


def test_every_profile_is_named() -> None:
    """The profiles of the table are those of the code, in order."""
    cells = table("### `issuers`")["profile"]

    assert re.findall(r"`([a-z0-9_]+)`", cells[2]) == list(PROFILES)
    assert [name for name in PROFILES if PROFILES[name].subject_pin] == ["github_actions"]
    assert f"deeper than {pointer.MAX_STEPS} names" in PAGE


def test_clouds_with_a_known_v1_issuer_are_those_named() -> None:
    """Public, US government and China clouds: a v1 issuer is filled in, and nowhere else."""
    assert {cloud.host.rpartition(".")[2] for cloud in clouds.CLOUDS if cloud.v1_issuer} == {"com", "us", "cn"}
    elsewhere = rules.check_row(IssuerRow(id="a", kind="entra", authority="https://login.cloud.example"))
    assert isinstance(elsewhere, IssuerRow)
    assert elsewhere.v1_issuer is None


def test_questions_have_the_answers_shown(policy_file: Path) -> None:
    """The page's batch, asked of the page's policy, is answered as the page says."""
    questions, answers = blocks("jsonl")
    command = [sys.executable, "-m", "tenantgate", "token", "judge", "--policy", str(policy_file), "--batch"]

    done = subprocess.run(command, input=questions, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)

    assert done.stdout == answers
    assert (done.returncode, done.stderr) == (1, "")


def test_forms_of_answers_are_the_codes() -> None:
    """The members of question and answer are those the command has; the reason shown is a denial reason."""
    granted, denied, unreadable = (json.loads(block) for block in blocks("json")[2:])

    assert set(table("## Testing a policy: `token judge --batch`")) == set(Line.__struct_fields__)
    assert set(granted["principal"]) == {"partner", "tenant", "client_id", "oid", "roles", "credential"}
    assert set(granted["principal"]) <= set(Principal.__struct_fields__)
    assert set(granted) == set(denied) == {"granted", "reason", "principal"}
    assert denied["reason"] in {reason.value for reason in REFUSALS}
    assert set(unreadable["error"]) == {"code", "line"}
