"""One real, certified OpenID provider (npm oidc-provider) with several issuers on one port of loopback."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.http import post_form
from tests.real.provider import Change
from tests.real_parts import need_binary, node_modules

AUDIENCE: Final = "api://orders.example"
SECRET: Final = "a-secret-of-the-test"


class OidcProvider:
    """A running server."""

    audience = AUDIENCE
    issuers = ("rsa", "ec", "pss")

    def __init__(self, base: str) -> None:
        self._base = base

    def issuer(self, name: str) -> str:
        """Return an issuer's name, as its tokens bear it."""
        return f"{self._base}/{name}"

    def token(self, issuer: str, client: str = "daemon") -> str:
        """Ask for a token as the partner's daemon would."""
        form = {"grant_type": "client_credentials", "client_id": client, "client_secret": SECRET}
        return str(post_form(f"{self.issuer(issuer)}/token", {**form, "scope": "orders.read"})["access_token"])

    def change_keys(self, change: Change) -> set[str]:
        """Change the keys of every issuer; return the newest kids."""
        return set(post_form(f"{self._base}/_{change}", {})["kids"])


@contextlib.contextmanager
def running_oidc_provider() -> Iterator[OidcProvider]:
    """Run it; skip where there is no Node or no package."""
    node, modules = need_binary("node"), node_modules()
    script = Path(__file__).with_name("oidc_provider.mjs")
    command = [node, str(script), str(modules), AUDIENCE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            yield OidcProvider(json.loads(process.stdout.readline())["listening"])
        finally:
            process.terminate()
