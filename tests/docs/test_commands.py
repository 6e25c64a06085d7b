"""`docs/commands.md` names every command and option there is, as the program has them."""

from __future__ import annotations

import re

from tenantgate.cli.app import COMMANDS
from tenantgate.cli.reference import commands, page
from tests.real_parts import ROOT

PAGE = (ROOT / "docs" / "commands.md").read_text()


def test_page_is_what_the_commands_say():
    """The committed page is the one written from the commands (`python -m tenantgate.cli.reference`)."""
    assert page() == PAGE


def test_every_command_has_its_heading_and_says_something():
    """Each command is a heading with a sentence under it, and no group is left out."""
    headings = re.findall(r"(?m)^## tenantgate (.+)\n\n(\S.*)", PAGE)
    names = [name for name, _ in commands()]

    assert [name for name, _ in headings] == names
    assert {name.split()[0] for name in names} == set(COMMANDS)
    assert len(names) == len(set(names))
