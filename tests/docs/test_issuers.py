"""`docs/issuers.md`: every profile has its section, and the token of each is let in by the policy below it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tenantgate.core.decide import decide
from tenantgate.core.decision import Decision, DenialReason, Denied, Granted
from tenantgate.core.index import PolicyIndex
from tenantgate.core.keys import StaticKeys
from tenantgate.core.policy import IssuerRow, PolicySnapshot, ResourceRow, row_of
from tenantgate.core.profiles.table import PROFILES
from tenantgate.feed.file import FileSource
from tests.builders import signer
from tests.real_parts import ROOT

PAGE = (ROOT / "docs" / "issuers.md").read_text(encoding="utf-8")
BEFORE, *SECTIONS = re.split(r"(?m)^## ", PAGE)
SECTION = {text.partition("\n")[0].strip("`"): text for text in SECTIONS if text.startswith("`")}
KEY = signer("RS256", "docs")


def block(text: str, language: str) -> str:
    """Return the one fenced block of a language."""
    found = re.findall(rf"(?ms)^```{language}\n(.*?)^```$", text)
    assert len(found) == 1
    return str(found[0])


def token(profile: str, **changes: Any) -> str:
    """Return the section's token, signed, with the header its profile takes."""
    payload = json.loads(block(SECTION[profile], "json")) | changes
    return KEY.sign(payload, typ="at+jwt" if PROFILES[profile].typ_required else "JWT")


def ask(profile: str, raw: str, folder: Path) -> Decision:
    """Judge a token by the page's beginning and the section's policy, our key published as the issuer's."""
    path = folder / "policy.toml"
    path.write_text(block(BEFORE, "toml") + block(SECTION[profile], "toml"))
    rows = [row.data for row in FileSource(path).load().rows]
    known = [replace(row, jwks={"keys": [KEY.jwk()]}) if isinstance(row, IssuerRow) else row for row in rows]
    snapshot = PolicySnapshot(epoch="e1", revision=1, rows=tuple(row_of(row, 1) for row in known if row is not None))
    index = PolicyIndex.from_snapshot(snapshot)
    keys = StaticKeys(entry.row for entry in index.issuers.values())
    decision = decide(raw, index, keys, "orders", ("Orders.Read",), 1_800_000_060)
    assert isinstance(decision, Granted | Denied)
    return decision


def test_every_profile_has_its_section_in_order():
    """A profile that nobody can read about is none."""
    assert list(SECTION) == list(PROFILES)


@pytest.mark.parametrize("profile", PROFILES)
def test_the_token_is_let_in_by_the_policy(profile: str, tmp_path: Path):
    """What the issuer sends and what the policy says fit together."""
    decision = ask(profile, token(profile), tmp_path)

    assert isinstance(decision, Granted), decision
    assert (decision.principal.partner, decision.principal.daemon) == ("acme", "acme-sync")


@pytest.mark.parametrize("profile", PROFILES)
def test_the_policy_lets_in_nobody_else(profile: str, tmp_path: Path):
    """The same token with another subject is refused: no section lists more than it shows."""
    decision = ask(profile, token(profile, sub="somebody"), tmp_path)

    assert isinstance(decision, Denied)
    assert decision.reason in (
        DenialReason.NOT_APP_ONLY,
        DenialReason.OBJECT_ID_MISMATCH,
        DenialReason.CLAIM_MALFORMED,
    )


@pytest.mark.parametrize("profile", PROFILES)
def test_the_table_is_the_codes(profile: str):
    """Client id and roles stand where the table says; a pin is needed where it says so."""
    row = re.search(rf"(?m)^\| `{profile}` \|(.*)\|$", BEFORE)
    assert row is not None
    _, client, roles, subject = (cell.strip() for cell in row[1].split("|"))
    known = PROFILES[profile]
    told = [tuple(each.removeprefix("/").split("/")) for each in re.findall(r"`([^`]+)`", client)]
    if profile == "rfc9068":
        told.append(("azp",))  # must agree where it is there, and never stands in

    assert told == list(known.client)
    assert re.findall(r"`([^`]+)`", roles) == ["/" * (len(known.roles) > 1) + "/".join(known.roles)]
    assert ("must be named" in subject) is known.subject_pin


def test_the_snippets_say_nothing_twice():
    """A section holds an issuer of its own profile, a tenant and a daemon; the rest is the beginning's."""
    for profile in PROFILES:
        text = block(SECTION[profile], "toml")
        named = re.findall(r'(?m)^profile = "(\w+)"$', text)
        assert named == ([] if profile == "standard" else [profile])
        assert re.findall(r"(?m)^\[\[(\w+)\]\]$", text) == ["issuers", "tenants", "daemons"]


def test_an_application_is_named_as_the_page_shows(tmp_path: Path):
    """The resource with signing keys of its own is one a policy may hold, with the application's id."""
    text = next(each for each in SECTIONS if each.startswith("Entra: applications"))
    path = tmp_path / "policy.toml"
    path.write_text(f"version = 1\n{block(text, 'toml')}")
    [row] = [row.data for row in FileSource(path).load().rows]

    assert isinstance(row, ResourceRow)
    assert row.audiences == (row.signing_keys_appid,)
