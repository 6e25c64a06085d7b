"""Files that outlive a process and decide who is let in: ours alone, and written whole or not at all.

Who can write where these stand can say what an issuer's keys are, or what the policy is. What is not this user's alone
to write to is therefore neither read nor written. Every function here does I/O and raises OSError.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

UNFINISHED: Final = ".new"
"""How the name of a file ends that is not whole yet."""


class StateDirUnusable(Exception):
    """The folder for what outlives the process cannot be made, or others may write to it. Said at the start."""

    code: Final = "state_dir_unusable"


def words(error: OSError) -> str:
    """Return what went wrong, without a path."""
    return error.strerror or type(error).__name__


def make_own_folder(folder: Path) -> None:
    """Make a folder for our eyes only, those above it included; refuse one that others may write to."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    require_own(folder.stat(), stat.S_ISDIR)


def why_unusable(folder: Path) -> str | None:
    """Return why nothing could be kept in a folder, None where it could. Nothing is made or changed."""
    there = folder
    try:
        if there.exists():
            require_own(there.stat(), stat.S_ISDIR)
        while not there.exists():
            there = there.parent
    except OSError as error:
        return words(error)
    return None if os.access(there, os.W_OK | os.X_OK) and there.is_dir() else f"{there} cannot be written to"


def open_own(path: Path, flags: int = os.O_RDONLY) -> int:
    """Open a regular file that is ours alone to write to; return its descriptor."""
    handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        require_own(os.fstat(handle), stat.S_ISREG)
    except BaseException:
        os.close(handle)
        raise
    return handle


def read_own(path: Path, most: int) -> bytes:
    """Return the bytes of a regular file that is ours alone to write to, `most` of them."""
    with os.fdopen(open_own(path), "rb") as file:
        raw = file.read(most + 1)
    if len(raw) > most:
        raise OSError(None, "it is larger than any that is written")
    return raw


def require_own(found: os.stat_result, is_kind: Callable[[int], bool]) -> None:
    """Refuse what others can write to."""
    if not is_kind(found.st_mode):
        raise OSError(None, "it is neither a plain file nor a folder")
    if found.st_uid not in (os.geteuid(), 0):
        raise PermissionError(None, "it belongs to another user")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(None, "others may write to it")


def replace(path: Path, content: bytes) -> None:
    """Write a small file whole or not at all, for our eyes only, and on the disk when this returns."""
    beside, handle = begin(path)
    try:
        try:
            write(handle, content)
        finally:
            os.close(handle)
        put_in_place(beside, path)
    except BaseException:
        discard(beside)
        raise


def begin(path: Path) -> tuple[Path, int]:
    """Return name and descriptor of a new file beside `path`, for our eyes only."""
    # Not by tempfile: the lock of its first use could be cut in two by a fork, and this is no piece to wait for.
    beside = path.with_name(f".{path.stem}.{secrets.token_hex(8)}{UNFINISHED}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return beside, os.open(beside, flags, 0o600)


def write(handle: int, content: bytes) -> None:
    """Write all of it, and have it on the disk."""
    write_all(handle, content)
    os.fsync(handle)


def write_all(handle: int, content: bytes) -> None:
    """Write all of it: the system may take less at a time."""
    left = memoryview(content)
    while left:
        left = left[os.write(handle, left) :]


def put_in_place(beside: Path, path: Path) -> None:
    """Give a finished file its name, and have that on the disk."""
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def discard(beside: Path) -> None:
    """Take away what was not finished; what cannot be taken away is cleared away by the next process."""
    with contextlib.suppress(OSError):
        beside.unlink()


def clear_away(folder: Path, before: float) -> None:
    """Remove what killed processes left half-written before an epoch second."""
    for path in folder.glob(f".*{UNFINISHED}"):
        with contextlib.suppress(OSError):
            if path.lstat().st_mtime < before:
                path.unlink()
