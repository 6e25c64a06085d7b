"""What real parts a test may ask for; a missing one is a skip, or a failure where CI requires it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parent.parent
REQUIRED = os.environ.get("TENANTGATE_REQUIRE_REAL") == "1"


def missing(what: str) -> NoReturn:
    """Skip the test because `what` is not here; fail where TENANTGATE_REQUIRE_REAL=1."""
    if REQUIRED:
        pytest.fail(f"TENANTGATE_REQUIRE_REAL=1, but there is no {what}")
    pytest.skip(f"no {what} here")


def need_binary(name: str) -> str:
    """Return the path of a program, or skip."""
    return shutil.which(name) or missing(f"program {name!r}")


def vectors_dir(folder: str) -> Path:
    """Return a folder of the published vectors (`TENANTGATE_VECTORS`, else ../shared/vectors), or skip."""
    base = Path(os.environ.get("TENANTGATE_VECTORS") or ROOT.parent / "shared" / "vectors")
    return base / folder if (base / folder).is_dir() else missing(f"vectors folder {folder!r}")


def node_modules() -> Path:
    """Return the folder the tests' npm packages are in (`TENANTGATE_NODE_MODULES`, else ./node_modules), or skip."""
    folder = Path(os.environ.get("TENANTGATE_NODE_MODULES") or ROOT / "node_modules")
    return folder if folder.is_dir() else missing("node_modules with the tests' npm packages")
