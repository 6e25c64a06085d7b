"""The demo's child programs: started, waited for until they say they listen, stopped by their own handle."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

START_DEADLINE: Final = 30.0
STOP_DEADLINE: Final = 10.0


class DemoError(Exception):
    """The demo cannot go on. The message says what did not happen, and where to look."""


@contextlib.contextmanager
def program(name: str, arguments: list[str], folder: Path, environment: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Run `python -m …` for the length of the block; yields the JSON line with which it says it is ready.

    Its log goes to `folder/NAME.log`.

    Raises:
        DemoError: it ended, or said nothing in time.
    """
    log = folder / f"{name}.log"
    with log.open("wb") as sink:
        child = subprocess.Popen(  # noqa: S603 - our own program, no shell
            [sys.executable, "-m", *arguments], stdout=subprocess.PIPE, stderr=sink, env=dict(environment)
        )
        try:
            yield _ready(name, child, log)
        finally:
            _stop(child)


def _ready(name: str, child: subprocess.Popen[bytes], log: Path) -> dict[str, Any]:
    assert child.stdout is not None
    timer = threading.Timer(START_DEADLINE, child.kill)
    timer.start()
    try:
        line = child.stdout.readline()
    finally:
        timer.cancel()
    try:
        said: dict[str, Any] = json.loads(line)
    except ValueError:
        raise DemoError(f"{name} did not start; see {log}") from None
    return said


def _stop(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(STOP_DEADLINE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if child.stdout is not None:
        child.stdout.close()
