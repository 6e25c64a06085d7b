"""The commands that work on the registry, called in this process, on a database of the test's own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from tenantgate.cli.app import app
from tests.registry.builders import CLIENT_ID, TID

WORLD = (
    ("issuer", "create", "--id", "entra", "--kind", "entra", "--authority", "https://login.microsoftonline.com"),
    ("resource", "create", "--id", "orders", "--audience", "api://orders"),
    ("role", "create", "--id", "orders-read", "--resource", "orders", "--value", "Orders.Read"),
    ("partner", "create", "--id", "contoso", "--name", "Contoso"),
    ("tenant", "create", "--id", "contoso-entra", "--issuer", "entra", "--partner", "contoso", "--tid", TID),
    ("daemon", "create", "--id", "nightly", "--tenant", "contoso-entra", "--client-id", CLIENT_ID),
    ("role", "grant", "--id", "nightly-read", "--role", "orders-read", "--daemon", "nightly"),
    ("operator", "create", "--id", "operations", "--name", "Adm", "--role", "Admin"),
)
"""What makes one daemon hold one role, and an operator who may change that: seven revisions."""


@dataclass(frozen=True)
class Answer:
    """What a command said and how it ended."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Desk:
    """Calls commands with the database in the environment."""

    path: Path

    @property
    def url(self) -> str:
        """The database's address."""
        return f"sqlite:///{self.path}"

    def call(self, *words: str, **environment: str | None) -> Answer:
        """Call a command; the environment is what is given beside the database."""
        known = {"TENANTGATE_DATABASE_URL": self.url, "COLUMNS": None}
        # A failure nobody foresaw is raised here: no test may take it for a refusal.
        result = CliRunner().invoke(app, list(words), env=known | environment, catch_exceptions=False)
        return Answer(result.exit_code, result.stdout, result.stderr)

    def json(self, *words: str) -> Any:
        """Call a command that must succeed, with --json: its document."""
        answer = self.call(*words, "--json")
        assert (answer.status, answer.err) == (0, ""), answer
        return answer.document

    def refused(self, *words: str, status: int = 1, **environment: str | None) -> tuple[str, str]:
        """Call a command that must be refused: code and message of its one line."""
        answer = self.call(*words, **environment)
        assert (answer.status, answer.out) == (status, ""), answer
        (line,) = answer.err.splitlines()
        code, separator, message = line.partition(": ")
        assert separator, line
        return code, message
