"""The partner's examples get in where they should, and explain every refusal."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import httpx2
import pytest

from tenantgate.core.decision import PublicCode
from tests.emulator.program import RunningEmulator
from tests.emulator.world import CLIENT, ROLELESS, SECRET, TID
from tests.examples.conftest import PLAIN, SECRET_FOR_HTTP_FILES, UNLISTED
from tests.examples.http_file import run_http_file
from tests.examples.orders_api import Listed, serving_api
from tests.real_parts import ROOT, need_binary

FOLDER = ROOT / "examples" / "partner_daemon"
TOKEN_PATH = f"/{TID}/oauth2/v2.0/token"
VARIABLES = ("TENANT_ID", "CLIENT_ID", "CLIENT_SECRET", "SCOPE", "API_URL")

Result = subprocess.CompletedProcess[str]


def run_shell(environ: dict[str, str]) -> Result:
    """Run daemon.sh."""
    need_binary("curl")
    command = ["sh", str(FOLDER / "daemon.sh")]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)


def run_python(environ: dict[str, str], *arguments: str) -> Result:
    """Run daemon.py."""
    command = [sys.executable, str(FOLDER / "daemon.py"), *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)


both = pytest.mark.parametrize("run", [run_shell, run_python], ids=["daemon.sh", "daemon.py"])


def token_requests(emulator: RunningEmulator) -> int:
    """How often the emulator's token endpoint was asked so far."""
    with httpx2.Client(trust_env=False) as client:
        requests: dict[str, int] = client.get(f"{emulator.authority}/_emulator/state").json()["requests"]
    return requests.get(TOKEN_PATH, 0)


@both
def test_a_listed_daemon_is_let_in(run: Any, environ: dict[str, str]) -> None:
    """With the environment filled in, the API's answer is shown and the exit code is 0."""
    result = run(environ)

    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == 'HTTP 200\n{"orders":[7]}\n'


@both
@pytest.mark.parametrize(
    ("changed", "status", "reason", "advice"),
    [
        pytest.param({"CLIENT_ID": ROLELESS}, 403, "insufficient_scope", "a new token will not help", id="no role"),
        pytest.param({"CLIENT_ID": UNLISTED}, 403, "caller_not_allowed", "a new token will not help", id="not listed"),
        pytest.param({"SCOPE": "https://legacy.example/.default"}, 401, "invalid_token", "check scope", id="wrong API"),
    ],
)
def test_a_refusal_is_explained(
    run: Any, environ: dict[str, str], changed: dict[str, str], status: int, reason: str, advice: str
) -> None:
    """Status, public code, decision number and what to do are shown; the exit code is 1."""
    result = run({**environ, **changed})

    assert result.returncode == 1
    assert result.stdout.startswith(f"HTTP {status}\n")
    assert re.search(f"^reason: +{reason}$", result.stderr, re.MULTILINE)
    assert re.search("^decision: [0-9a-f]{8}-[0-9a-f]+$", result.stderr, re.MULTILINE)
    assert advice in result.stderr.lower()


@both
def test_an_api_that_cannot_judge_is_explained(
    run: Any, environ: dict[str, str], listed: Listed, tmp_path: Path
) -> None:
    """A 503 says nothing about the caller: the advice is to come back with the same token."""
    (tmp_path / "policy.toml").write_text(listed.policy(reachable=False))
    with serving_api(tmp_path / "policy.toml") as address:
        result = run({**environ, "API_URL": address})

    assert result.returncode == 1
    assert result.stdout.startswith("HTTP 503\n")
    assert "same token" in result.stderr.replace("\n", " ")


@both
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        pytest.param({"CLIENT_SECRET": "wrong"}, "AADSTS7000215", id="wrong secret"),
        pytest.param({"TENANT_ID": "common"}, "AADSTS50059", id="no tenant"),
        pytest.param({"SCOPE": "api://orders"}, "AADSTS70011", id="wrong scope"),
        pytest.param({"AUTHORITY": "http://127.0.0.1:1"}, "no answer", id="no authority"),
    ],
)
def test_without_a_token_the_tenants_own_words_are_shown(
    run: Any, environ: dict[str, str], changed: dict[str, str], said: str
) -> None:
    """Where the tenant gives no token, its explanation is shown, and neither program shows the secret."""
    result = run({**environ, **changed})

    assert result.returncode == 3
    assert said in result.stderr
    assert SECRET not in result.stdout + result.stderr


@both
def test_an_api_that_does_not_answer_is_named(run: Any, environ: dict[str, str]) -> None:
    """No answer from the API is not a refusal: the exit code is 3."""
    result = run({**environ, "API_URL": "http://127.0.0.1:1/orders"})

    assert result.returncode == 3
    assert "no answer" in result.stderr


@both
@pytest.mark.parametrize("name", VARIABLES)
def test_a_missing_variable_is_named(run: Any, environ: dict[str, str], name: str) -> None:
    """A variable that is not filled in is named before anybody is asked."""
    result = run({**environ, name: ""})

    assert result.returncode == 2
    assert f"{name}" in result.stderr
    assert result.stdout == ""


def test_the_shell_example_puts_no_secret_on_a_command_line(environ: dict[str, str], tmp_path: Path) -> None:
    """Command lines can be read by every user of a machine, so secret and token go to curl another way."""
    seen = tmp_path / "seen"
    spy = tmp_path / "curl"
    spy.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >>{seen}\nexec {need_binary("curl")} "$@"\n')
    spy.chmod(0o755)

    result = run_shell({**environ, "PATH": f"{tmp_path}:{environ['PATH']}"})

    assert result.returncode == 0
    arguments = seen.read_text()
    assert f"client_id={CLIENT}" in arguments
    assert SECRET not in arguments
    assert "eyJ" not in arguments


def test_the_shell_example_leaves_nothing_behind(environ: dict[str, str], tmp_path: Path) -> None:
    """The folder the token was kept in is gone afterwards."""
    result = run_shell({**environ, "TMPDIR": str(tmp_path)})

    assert result.returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_the_python_example_keeps_its_token(environ: dict[str, str], emulator: RunningEmulator) -> None:
    """Three calls need one token, also when the answer is a 403: a new token would change nothing."""
    for client_id, exit_code in ((CLIENT, 0), (ROLELESS, 1)):
        before = token_requests(emulator)

        result = run_python({**environ, "CLIENT_ID": client_id}, "--times", "3", "--pause", "0")

        assert result.returncode == exit_code
        assert result.stdout.count("HTTP ") == 3
        assert token_requests(emulator) == before + 1


def test_the_python_example_replaces_a_token_that_was_not_accepted(
    environ: dict[str, str], emulator: RunningEmulator
) -> None:
    """After a 401 the next call comes with a new token, and no call is repeated by itself."""
    before = token_requests(emulator)
    environ["SCOPE"] = "https://legacy.example/.default"

    result = run_python(environ, "--times", "2", "--pause", "0")

    assert result.returncode == 1
    assert result.stdout.count("HTTP 401") == 2
    assert token_requests(emulator) == before + 2


def test_the_http_file_runs_as_it_stands(environ: dict[str, str]) -> None:
    """Its three requests get a token, are let in with it, and are asked for one without it."""
    environ |= {"CLIENT_ID": PLAIN, "CLIENT_SECRET": SECRET_FOR_HTTP_FILES}

    answers = run_http_file(FOLDER / "daemon.http", environ)

    assert {name: answer.status_code for name, answer in answers.items()} == {
        "token": 200,
        "call": 200,
        "anonymous": 401,
    }
    assert answers["call"].json() == {"orders": [7]}
    assert answers["anonymous"].headers["X-TG-Reason"] == "no_credential"
    assert answers["anonymous"].headers["WWW-Authenticate"].startswith("Bearer")


@pytest.fixture(scope="module")
def daemon() -> ModuleType:
    """daemon.py as a module."""
    spec = importlib.util.spec_from_file_location("partner_daemon_example", FOLDER / "daemon.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_a_token_is_replaced_five_minutes_before_it_ends(daemon: ModuleType) -> None:
    """Until then the same token is given; the secret is sent in the form of the tenant's own endpoint."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"access_token": f"token-{len(asked)}", "expires_in": "3600"})

    now = [1000.0]
    environ = {name: f"the-{name}" for name in VARIABLES} | {"AUTHORITY": "https://login.example/"}
    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        tokens = daemon.TokenSource(client, daemon.settings_from(environ), lambda: now[0])
        assert tokens.token() == "token-1"
        now[0] = 1000.0 + 3600 - 301
        assert tokens.token() == "token-1"
        now[0] = 1000.0 + 3600 - 300
        assert tokens.token() == "token-2"

    assert [str(request.url) for request in asked] == ["https://login.example/the-TENANT_ID/oauth2/v2.0/token"] * 2


@pytest.mark.parametrize(
    "answer", [httpx.Response(200, text="<html>"), httpx.Response(200, json=[]), httpx.Response(502)]
)
def test_an_answer_that_is_no_token_is_refused(daemon: ModuleType, answer: httpx.Response) -> None:
    """A proxy's page instead of a token ends in a clear error, not in a crash."""
    environ = dict.fromkeys(VARIABLES, "x")
    with httpx.Client(transport=httpx.MockTransport(lambda request: answer)) as client:
        tokens = daemon.TokenSource(client, daemon.settings_from(environ), lambda: 0.0)
        with pytest.raises(daemon.TokenRefused, match=f"HTTP {answer.status_code}"):
            tokens.token()


def test_entra_is_the_authority_unless_another_is_named(daemon: ModuleType) -> None:
    """The default is the real authority; the secret does not show when settings are printed."""
    settings = daemon.settings_from({name: f"the-{name}" for name in VARIABLES})

    assert settings.authority == "https://login.microsoftonline.com"
    assert "the-CLIENT_SECRET" not in repr(settings)


def test_every_public_code_is_explained(daemon: ModuleType) -> None:
    """The Python example and the README's table know each code a caller can meet, and no other."""
    codes = {code.value for code in PublicCode}
    rows = re.findall(r"^\| \d{3} \| `(\w+)` \|", (FOLDER / "README.md").read_text(), re.MULTILINE)

    assert set(daemon.ADVICE) == codes
    assert set(rows) == codes
    assert len(rows) == len(codes)


def test_no_secret_stands_in_the_examples() -> None:
    """The secret comes from the environment alone, and every GUID and host in the folder is invented."""
    allowed_hosts = {"login.microsoftonline.com", "api.publisher.example"}
    for file in FOLDER.iterdir():
        if file.is_file():
            text = file.read_text()
            assert set(re.findall(r"https?://([\w.-]+)", text)) <= allowed_hosts, file.name
            assert not re.search(r"client_secret=(?!\{\{\$processEnv CLIENT_SECRET\}\})\w", text), file.name
            assert all(
                guid[9:19] == "0000-4000-" for guid in re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", text)
            )


def test_the_shell_example_can_be_executed() -> None:
    """README.md says `./daemon.sh`, so the file is executable."""
    assert os.access(FOLDER / "daemon.sh", os.X_OK)
