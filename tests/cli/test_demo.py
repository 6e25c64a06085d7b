"""`tenantgate demo`: every promise kept over real processes; one broken promise is a failed check."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from tenantgate.cli.demo import command
from tenantgate.cli.demo.calls import Outcome
from tenantgate.cli.demo.client import bearer, call
from tenantgate.cli.demo.processes import DemoError, program

ARGUMENTS = [sys.executable, "-m", "tenantgate", "demo"]


def _outcome(got: str) -> Outcome:
    return Outcome("somebody", "GET /orders", "200", got, "a note")


class _Nothing:
    """Stands where the running programs would: these tests are about the verdict alone."""

    def __enter__(self) -> _Nothing:
        return self

    def __exit__(self, *details: object) -> None:
        return None


@pytest.mark.parametrize(("got", "status"), [("200", 0), ("403 daemon_not_listed", 1)])
def test_check_fails_when_one_outcome_is_not_as_expected(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, got: str, status: int
):
    """`demo --check` exits 0 only if every outcome is the expected one."""
    monkeypatch.setattr(command, "running_demo", lambda folder: _Nothing())
    monkeypatch.setattr(command, "make_calls", lambda running: [_outcome("200"), _outcome(got)])

    done = CliRunner().invoke(command.app, ["--check", "--folder", str(tmp_path / "demo")])

    assert done.exit_code == status, done.output


def test_table_keeps_verdicts_and_reasons_whole_on_a_narrow_terminal():
    """At 80 columns words are folded; verdicts and reasons stay in one piece."""
    written = StringIO()
    outcomes = [
        Outcome("Acme nightly-sync", "token, other signature", each, each, "a rather long note on why this is so")
        for each in ("200", "403 daemon_not_listed", "403 partner_suspended")
    ]
    command._show(Console(width=80, file=written), outcomes)

    for whole in ("│ ok │", "403 daemon_not_listed", "403 partner_suspended"):
        assert whole in written.getvalue()


def test_folder_that_exists_is_refused(tmp_path: Path):
    """The demo never writes into a folder that was there before."""
    done = CliRunner().invoke(command.app, ["--check", "--folder", str(tmp_path)])
    assert done.exit_code == 2
    assert "folder_unusable" in done.output


def test_program_that_does_not_start_is_named(tmp_path: Path):
    """A child that ends at once is an error that names its log, not a wait for ever."""
    with (
        pytest.raises(DemoError, match=r"authority did not start; see .*authority\.log"),
        program("authority", ["tenantgate.emulator", "--host", "192.0.2.1"], tmp_path, os.environ),
    ):
        pass


@pytest.mark.slow
def test_demo_stays_up_and_its_addresses_work(tmp_path: Path):
    """Without --check the demo prints addresses, a sign-in link that opens the page, and a curl that lets Acme in."""
    folder = tmp_path / "demo"
    child = subprocess.Popen([*ARGUMENTS, "--folder", str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert child.stdout is not None
        said = "".join(iter(lambda: _line(child), "Ctrl-C ends it.\n"))
        assert "14 calls, 14 as expected, 0 not." in said, said
        _sign_in_by_the_link(said)
        shown = re.search(r"(?ms)^ *TOKEN=\$\(.*$", said)
        assert shown is not None
        done = subprocess.run(["sh", "-c", shown[0]], capture_output=True, text=True, timeout=20, check=True)
        assert "HTTP/1.1 200" in done.stdout
        assert json.loads(done.stdout.splitlines()[-1])["partner"] == "acme"
    finally:
        child.send_signal(signal.SIGTERM)
        _, errors = child.communicate(timeout=30)
    assert child.returncode == 0, errors.decode()
    assert "Bearer" not in "".join(path.read_text() for path in folder.glob("*.log"))


def _line(child: subprocess.Popen[bytes]) -> str:
    assert child.stdout is not None
    line = child.stdout.readline().decode()
    assert line, "the demo ended"
    return line


def _sign_in_by_the_link(said: str) -> None:
    found = re.search(r"(http://127\.0\.0\.1:\d+)/sign-in#code=(\S+)", said)
    assert found is not None
    server, code = found.groups()
    reply = call("POST", f"{server}/sign-in", headers={"Origin": server}, form={"code": code})
    assert reply.status == 303
    again = call("POST", f"{server}/sign-in", headers={"Origin": server}, form={"code": code})
    assert again.status == 403
    refused = call("GET", f"{server}/auth/check", headers=bearer("no.such.token"))
    assert refused.status == 401
    assert refused.headers["x-tg-reason"] == "invalid_token"


@pytest.mark.slow
def test_demo_check_keeps_every_promise(tmp_path: Path):
    """`demo --check` makes at least ten calls over real processes and every answer is the expected one."""
    done = subprocess.run(
        [*ARGUMENTS, "--check", "--folder", str(tmp_path / "demo")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line for line in done.stdout.splitlines() if re.search(r"│ (ok|NO) │", line)]
    assert len(rows) >= 10
    assert re.search(r"next call refused; in force after \d+ ms", done.stdout)
