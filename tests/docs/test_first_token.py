"""`docs/first-token.md` shows what the commands print."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from tenantgate.cli.app import app
from tenantgate.core.policy import AppRoleRow, PartnerRow, ResourceRow, RowData, TenantRow, kind_of
from tests.builders import ACME_TID, API_CLIENT_ID, NOW, an_entra_issuer, v2_token
from tests.real_parts import ROOT

PAGE = (ROOT / "docs" / "first-token.md").read_text(encoding="utf-8")
ROWS: tuple[RowData, ...] = (
    an_entra_issuer(id="entra"),
    PartnerRow(id="acme", name="Acme Logistics"),
    TenantRow(id="acme-tenant", issuer="entra", partner="acme", tid=ACME_TID),
    ResourceRow(id="orders", audiences=(API_CLIENT_ID, "api://orders.publisher.example")),
    AppRoleRow(id="orders-read", resource="orders", value="Orders.Read"),
)


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of a language, in order."""
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", PAGE)


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """The policy file the page speaks of: partner and tenant are listed, the daemon is not."""
    document: dict[str, Any] = {"version": 1}
    for row in ROWS:
        document.setdefault(f"{kind_of(row)}s", []).append(msgspec.to_builtins(row))
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(document))
    return file


def run(command: str, policy: Path, *more: str) -> str:
    """Run one of the page's explain commands over that policy, without its redirection and the network."""
    words = shlex.split(command.partition(" < ")[0].replace("policy.toml", str(policy)).replace(" --fetch", ""))[1:]
    result = CliRunner().invoke(app, [*words, *more], input=v2_token(), env={"COLUMNS": "400"}, catch_exceptions=False)
    assert (result.exit_code, result.stderr) == (1, "")
    return result.stdout


def test_the_explanation_ends_as_shown(policy: Path) -> None:
    """What stands below the table is the page's block, to the letter."""
    command = next(block for block in blocks("sh") if "--fetch" in block)

    printed = run(command, policy, "--now", str(NOW))

    assert printed[printed.index("denied: ") :] == blocks("text")[0]


def test_the_partners_reading_is_as_shown(policy: Path) -> None:
    """All of it: there is no step in it."""
    command = next(block for block in blocks("sh") if "--for partner" in block)

    assert run(command, policy, "--now", str(NOW)) == blocks("text")[1]


def test_the_guides_command_runs() -> None:
    """The page's own call prints a registration."""
    command = blocks("sh")[0].replace("\\\n", " ")

    result = CliRunner().invoke(app, shlex.split(command)[1:], catch_exceptions=False)

    assert (result.exit_code, result.stderr) == (0, "")
    assert "az ad app create" in result.stdout


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", PAGE))))
def test_links_lead_somewhere(target: str) -> None:
    """Every relative link leads to a file."""
    assert (ROOT / "docs" / target).exists()
