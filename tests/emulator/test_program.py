"""The emulator as the program it is: started, asked over HTTP, stopped."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest

from tenantgate.emulator.__main__ import main
from tests.emulator.program import RunningEmulator, running_emulator
from tests.emulator.world import CLIENT, CONFIG, ORDERS, SECRET, TID
from tests.real_parts import missing

KEYS = "/common/discovery/v2.0/keys"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEmulator]:
    """One running emulator for the tests that do not stop it."""
    folder = tmp_path_factory.mktemp("emulator")
    with running_emulator(CONFIG, folder, "--announce", str(folder / "ready.json")) as running:
        assert json.loads((folder / "ready.json").read_text()) == running.announced
        assert sorted(path.name for path in folder.iterdir()) == ["emulator.json", "ready.json"]
        yield running


@pytest.fixture
def client(emulator: RunningEmulator) -> Iterator[httpx2.Client]:
    """An HTTP client of the running emulator that asks no proxy."""
    with httpx2.Client(base_url=emulator.authority, trust_env=False) as client:
        yield client
        client.post("/_emulator/on")


def test_a_daemon_gets_a_token_that_verifies(client: httpx2.Client, emulator: RunningEmulator) -> None:
    """From metadata to keys to token and back: PyJWT accepts the token with nothing but what was published."""
    metadata = client.get("/common/v2.0/.well-known/openid-configuration").json()
    form = {
        "grant_type": "client_credentials",
        "client_id": CLIENT,
        "client_secret": SECRET,
        "scope": "api://orders/.default",
    }
    tenant = client.get(f"/{TID}/v2.0/.well-known/openid-configuration").json()
    answer = client.post(tenant["token_endpoint"], data=form).json()
    keys = jwt.PyJWKSet.from_dict(client.get(metadata["jwks_uri"]).json())

    kid = jwt.get_unverified_header(answer["access_token"])["kid"]
    claims = jwt.decode(
        answer["access_token"],
        keys[kid],
        algorithms=["RS256"],
        audience=ORDERS,
        issuer=metadata["issuer"].replace("{tenantid}", TID),
        options={"require": ["exp", "nbf", "iat", "iss", "aud", "sub"]},
    )
    assert claims["tid"] == TID
    assert claims["roles"] == ["Orders.Read"]
    assert emulator.announced["pid"] == emulator.process.pid


def test_the_program_can_hang_up(client: httpx2.Client) -> None:
    """In mode drop a caller gets no answer at all, on a fresh connection and on a kept one, while control goes on."""
    assert client.get(KEYS).status_code == 200
    client.post("/_emulator/off", json={"mode": "drop"})

    for _ in range(2):
        with pytest.raises(httpx2.TransportError):
            client.get(KEYS)

    assert client.post("/_emulator/on").json() == {"mode": "on"}
    assert client.get(KEYS).status_code == 200


def test_the_program_can_be_unavailable(client: httpx2.Client) -> None:
    """In the other mode a caller gets a 503."""
    client.post("/_emulator/off")

    assert client.get(KEYS).status_code == 503


def test_a_rotated_key_is_published_by_the_program(client: httpx2.Client) -> None:
    """Rotation works over real HTTP and takes a key from the system's randomness."""
    before = {key["kid"] for key in client.get(KEYS).json()["keys"]}
    signing_kid = client.post("/_emulator/rotate").json()["signing_kid"]
    after = {key["kid"] for key in client.get(KEYS).json()["keys"]}

    assert after == before | {signing_kid}
    assert signing_kid not in before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_being_asked_to_stop_is_a_clean_end(tmp_path: Path, number: signal.Signals) -> None:
    """SIGTERM and SIGINT end the program with exit code 0, also while a caller keeps a connection open."""
    with running_emulator({}, tmp_path) as running, httpx2.Client(trust_env=False) as client:
        client.get(f"{running.authority}{KEYS}")
        os.kill(running.process.pid, number)

        assert running.process.wait(10) == 0


def test_it_serves_the_ipv6_loopback_address(tmp_path: Path) -> None:
    """::1 is loopback too, and stands in brackets in the authority's address."""
    with contextlib.closing(socket.socket(socket.AF_INET6)) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            missing("IPv6 loopback address")
    with running_emulator({}, tmp_path, "--host", "::1") as running, httpx2.Client(trust_env=False) as client:
        metadata = client.get(f"{running.authority}/common/v2.0/.well-known/openid-configuration").json()

    assert running.authority.startswith("http://[::1]:")
    assert metadata["issuer"] == f"{running.authority}/{{tenantid}}/v2.0"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "localhost", "emulator.example", ""])
def test_it_refuses_any_address_but_loopback(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The control surface mints for anybody, so nobody else may reach it: not even through a name."""
    assert main(["--host", host]) == 2

    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == (
        f"tenantgate.emulator: {host!r} is not a loopback address; the emulator serves 127.0.0.1 or ::1 only\n"
    )


def test_the_programs_exit_code_says_that_it_refused() -> None:
    """What the command line gets is the exit code, one line on standard error and nothing on standard output."""
    command = [sys.executable, "-m", "tenantgate.emulator", "--host", "0.0.0.0"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("tenantgate.emulator: '0.0.0.0' is not a loopback address")


@pytest.mark.parametrize("number", ["70000", "-1"])
def test_a_port_that_cannot_be_had_is_one_clear_line(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An impossible port ends in exit code 2 and one line, not a stack trace."""
    assert main(["--port", number]) == 2

    error = capsys.readouterr().err
    assert error.startswith(f"tenantgate.emulator: cannot bind 127.0.0.1 port {number}: ")
    assert error.count("\n") == 1


def test_a_port_in_use_is_one_clear_line(emulator: RunningEmulator, capsys: pytest.CaptureFixture[str]) -> None:
    """A second emulator on the same port says so and leaves the first one alone."""
    port = emulator.authority.rpartition(":")[2]

    assert main(["--port", port]) == 2
    assert capsys.readouterr().err.startswith(f"tenantgate.emulator: cannot bind 127.0.0.1 port {port}: ")


A_TENANT: dict[str, Any] = CONFIG["tenants"][0]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param("{", "Input data was truncated", id="no JSON"),
        pytest.param("[]", "Expected `object`, got `array`", id="no object"),
        pytest.param('{"tenant": []}', "Object contains unknown field `tenant`", id="misspelt member"),
        pytest.param(
            json.dumps({"tenants": [{"tid": TID, "name": 7}]}),
            "Expected `str`, got `int` - at `$.tenants[0].name`",
            id="wrong type",
        ),
        pytest.param(json.dumps({"tenants": [{"tid": "x", "name": ""}]}), "tid 'x' is not a GUID", id="no GUID"),
        pytest.param(
            json.dumps({"tenants": [A_TENANT]}), "no resource is called 'api://orders'", id="role on no resource"
        ),
        pytest.param(
            json.dumps({"tenants": [{"tid": TID, "name": ""}] * 2}), f"the tenant {TID} was added before", id="twice"
        ),
    ],
)
def test_a_bad_configuration_is_one_clear_line(
    tmp_path: Path, text: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The program says which file and what is wrong with it, and exits with 2 before it serves anything."""
    file = tmp_path / "bad.json"
    file.write_text(text)

    assert main(["--config", str(file)]) == 2

    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == f"tenantgate.emulator: {file}: {complaint}\n"


@pytest.mark.parametrize("option", ["--config", "--announce"])
def test_a_file_that_cannot_be_had_is_one_clear_line(tmp_path: Path, option: str) -> None:
    """A missing configuration file or announcement folder is named."""
    file = tmp_path / "missing" / "file.json"
    command = [sys.executable, "-m", "tenantgate.emulator", option, str(file)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    assert result.returncode == 2
    assert result.stderr == f"tenantgate.emulator: {file}: No such file or directory\n"


def test_it_imports_no_other_room_and_no_http_client() -> None:
    """The emulator must not share a bug with the judge, and contacts nobody."""
    script = (
        "import sys, tenantgate.emulator.__main__\n"
        "rooms = {name.split('.')[1] for name in sys.modules if name.startswith('tenantgate.')}\n"
        "clients = {'httpx', 'httpx2', 'httpcore', 'requests'} & set(sys.modules)\n"
        "print(sorted(rooms), sorted(clients))\n"
    )
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)

    assert result.stdout == "['emulator'] []\n"
