"""Every route of the description, called as a machine would that knows nothing but the description.

The short form sends the examples and every edge of every schema. The long form makes up requests as well:
`TENANTGATE_SCHEMA_EXAMPLES=200 uv run --group real pytest tests/real/test_schemathesis.py`.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tenantgate.registry.audit import verify_chain
from tenantgate.registry.engine import open_engine, reading
from tests.postgres import Postgres
from tests.real_parts import ROOT, need_binary
from tests.servers import Prepared, environment_of, prepare, running_servers

pytestmark = [pytest.mark.slow]

DESCRIPTION: Final = ROOT / "docs" / "openapi.json"
EXAMPLES: Final = int(os.environ.get("TENANTGATE_SCHEMA_EXAMPLES", "0"))
PHASES: Final = "examples,coverage,fuzzing,stateful" if EXAMPLES else "examples,coverage"
CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "ignored_auth",
)
"""All but three kinds: rules between rows stand in no schema (`positive_data_acceptance` does not know of them), an id
may be called like a verb (`allow_header_conformance`), and a thing that was deleted may be there again by its id."""
SETTINGS: Final = """
[checks]
negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 406, 409, 412, 413, 415, 422, 428, 429, "5XX"]
"""
"""412, too: a condition (If-Match) is looked at before the body is."""
LOCKED_OUT: Final = "/admin-keys/.+/(revoke|delete)$|/operators/.+/suspend$"
"""What may take the key away that it comes with: called last."""


@pytest.fixture(params=["sqlite", *([pytest.param("postgres", marks=pytest.mark.postgres)] if EXAMPLES else [])])
def prepared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Prepared]:
    """A registry; in the long form on either engine."""
    if request.param == "sqlite":
        yield prepare(f"sqlite:///{tmp_path}/registry.db")
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = server.create()
    yield prepare(server.url_of(name))
    server.drop(name)


def test_the_description_is_what_the_server_does(prepared: Prepared, tmp_path: Path):
    """No error of the server's, no answer that the description does not know, no bad request that is let through."""
    schemathesis = need_binary("schemathesis")
    configuration = tmp_path / "schemathesis.toml"
    configuration.write_text(SETTINGS)
    settings = environment_of(
        prepared.url, TENANTGATE_STATE_DIR=str(tmp_path / "state"), TENANTGATE_ADMIN_RATE="600000"
    )
    with running_servers(1, settings, tmp_path) as (server,):
        for which in ("--exclude-path-regex", "--include-path-regex"):
            command = [
                *(schemathesis, "--config-file", str(configuration)),
                *("run", str(DESCRIPTION), "--origin", server.address, which, LOCKED_OUT),
                *("-H", f"Authorization: Bearer {prepared.admin_key}"),
                *("--phases", PHASES, "--max-examples", str(EXAMPLES or 1), "--checks", ",".join(CHECKS)),
                *("--continue-on-failure", "--warnings", "off", "--no-color", "--seed", "7"),
            ]
            done = subprocess.run(
                command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=1_800 + 60 * EXAMPLES
            )
            assert done.returncode == 0, done.stdout[-20_000:]
        assert server.is_ready()
        assert "Traceback" not in server.log.read_text()
    engine = open_engine(prepared.url)
    with reading(engine) as session:
        assert verify_chain(session).sound
    engine.dispose()
