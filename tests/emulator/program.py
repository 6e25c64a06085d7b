"""Runs the emulator as the program it is, for tests that want real HTTP between processes."""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_TIMEOUT = 30.0


@dataclass(frozen=True)
class RunningEmulator:
    """A started emulator: its address, what it announced, and its process."""

    authority: str
    announced: dict[str, Any]
    process: subprocess.Popen[str]


@contextlib.contextmanager
def running_emulator(config: dict[str, Any], folder: Path, *arguments: str) -> Iterator[RunningEmulator]:
    """Start the emulator with `config` on a free port, wait until it says it is ready, and stop it afterwards."""
    file = folder / "emulator.json"
    file.write_text(json.dumps(config))
    command = [sys.executable, "-m", "tenantgate.emulator", "--port", "0", "--config", str(file), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready, _, _ = select.select([process.stdout], [], [], START_TIMEOUT)
            announced = json.loads(process.stdout.readline()) if ready else {}
            assert announced, "the emulator did not announce itself in time"
            yield RunningEmulator(announced["authority"], announced, process)
        finally:
            if process.poll() is None:
                process.terminate()
