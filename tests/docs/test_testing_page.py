"""The examples of docs/testing.md run, and its table of spoiled tokens tells the truth."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tenantgate.core.decision import DenialReason, Denied
from tenantgate.gate.request import RequestView
from tenantgate.testing.kit import FakePartner, open_test_gate

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
ROWS = re.findall(r"^\| `(.+?)` \| (?:`(\w+)`|–) \|$", PAGE, re.MULTILINE)


def test_the_examples_pass(tmp_path: Path):
    """Each Python block is a test module of its own that passes, warnings being errors, outside of this project."""
    assert len(BLOCKS) == 3
    written = 0
    for number, block in enumerate(BLOCKS):
        (tmp_path / f"test_block_{number}.py").write_text(block, encoding="utf-8")
        written += len(re.findall(r"^def test_", block, re.MULTILINE))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{written} passed" in done.stdout


@pytest.mark.parametrize(("code", "reason"), ROWS)
def test_the_table_is_right(code: str, reason: str):
    """A token made as the row says is refused for the row's reason, or let in where it names none."""
    acme = FakePartner("acme")
    gate = open_test_gate(partners=[acme], roles={"acme": ["Orders.Read"]})
    token = eval(code, {"acme": acme, "FakePartner": FakePartner})
    view = RequestView("GET", "/orders", [(b"authorization", f"Bearer {token}".encode())])
    decision = gate.decide(view, ("Orders.Read",))

    assert (decision.reason.value if isinstance(decision, Denied) else "") == reason


def test_the_table_shows_every_keyword():
    """Whatever `token` can spoil stands in the table, and every reason it names exists."""
    from tenantgate.testing.partner import Spoiled

    shown = {
        keyword.arg
        for code, _ in ROWS
        for call in ast.walk(ast.parse(code))
        if isinstance(call, ast.Call)
        for keyword in call.keywords
    }
    assert set(Spoiled.__annotations__) <= shown
    assert {reason for _, reason in ROWS if reason} <= {reason.value for reason in DenialReason}
