"""`tenantgate serve` that cannot start: one line, exit status 2."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

from tests.real_parts import ROOT


def test_a_schema_from_the_future_is_one_line(tmp_path: Path):
    """A database this version does not know ends the start with one line, and nothing of a library's before it."""
    with sqlite3.connect(tmp_path / "a.db") as database:
        database.execute("create table alembic_version (version_num text)")
        database.execute("insert into alembic_version values ('9999')")
    database.close()

    arguments = ["serve", "--bind", "127.0.0.1:0", "--database", f"sqlite:///{tmp_path}/a.db"]
    done = subprocess.run(
        [sys.executable, "-m", "tenantgate", *arguments], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("schema_unknown: ")
    assert done.stderr.count("\n") == 1


def test_a_state_folder_that_is_not_ours_alone_is_one_line(tmp_path: Path):
    """Keys would be believed from where others may write."""
    (tmp_path / "policy.toml").write_text('version = 1\n[[resources]]\nid = "orders"\naudiences = ["api://orders"]\n')
    (tmp_path / "state" / "keys").mkdir(parents=True)
    (tmp_path / "state" / "keys").chmod(0o777)
    settings = {"POLICY": "policy.toml", "RESOURCE": "orders", "STATE_DIR": "state", "BIND": "127.0.0.1:0"}

    done = subprocess.run(
        [sys.executable, "-m", "tenantgate", "serve"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
        env={"PATH": "/usr/bin", "PYTHONPATH": str(ROOT), **{f"TENANTGATE_{k}": v for k, v in settings.items()}},
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "state_dir_unusable: keys cannot be kept in state/keys: others may write to it\n"
