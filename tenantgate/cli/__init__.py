"""The commands. Each group is a module of its own, imported when it is called."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    from tenantgate.cli.app import app

    sys.exit(app())
