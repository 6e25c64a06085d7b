"""Files of last-known-good keys: one an issuer, written whole or not at all, believed only where they are our own.

Reading happens on the policy's thread, when an issuer is first served. Writing happens on a thread of its own, started
on need, so that a disk that hangs delays neither a fetch nor an exit; of several states of one issuer that wait, the
newest is written. What cannot be read or written is said, and never keeps anybody from judging.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Protocol

from tenantgate.core.policy import IssuerRow
from tenantgate.discovery.alarms import say_unused, say_written
from tenantgate.discovery.stored import Stored, UnusableStored, newest, read_stored, write_stored
from tenantgate.forks import undivided

FOLDER: Final = "keys"
_MOST_BYTES: Final = 8 << 20
_UNFINISHED: Final = ".new"
_LOCK: Final = ".lock"
_TRIES: Final = 40
_PAUSE: Final = 0.025
"""How often another writer is waited for, and seconds between two looks."""
_CLOSING: Final = 2.0
"""Seconds that `close` waits for what is still to be written."""


class StateDirUnusable(Exception):
    """The folder for what outlives the process cannot be made, or others may write to it. Said at the start."""

    code: Final = "state_dir_unusable"


class KeyStore(Protocol):
    """Where keys are kept beyond the life of a process. Nothing here raises for what goes wrong with a disk."""

    def load(self, row: IssuerRow) -> Stored | None:
        """Return what is known of an issuer; None where there is nothing that may be believed."""
        ...

    def put(self, row: IssuerRow, render: Callable[[], Stored]) -> None:
        """Have an issuer's keys written soon. `render` is called on another thread, and only if nothing newer waits."""
        ...

    def close(self) -> None:
        """Write what waits, for a short while at most."""
        ...

    def reset_after_fork(self) -> None:
        """Forget the parent's thread."""
        ...


def why_unusable(folder: Path) -> str | None:
    """Return why keys could not be kept in a state folder, None where they can. Nothing is made or changed."""
    there = folder / FOLDER
    try:
        if there.exists():
            _require_own(there.stat(), stat.S_ISDIR)
        while not there.exists():
            there = there.parent
    except OSError as error:
        return _words(error)
    return None if os.access(there, os.W_OK | os.X_OK) and there.is_dir() else f"{there} cannot be written to"


class KeptKeys:
    """A KeyStore that only reads what a gate has kept in `folder`, for who looks at it from beside."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER

    def read(self, row: IssuerRow) -> Stored | None:
        """Return what is kept of an issuer; None where nothing is. Raises OSError, UnusableStored."""
        return _read(self._folder, row)

    def load(self, row: IssuerRow) -> Stored | None:
        """Return what is kept of an issuer and may be believed; a gate says what may not."""
        try:
            return self.read(row)
        except (OSError, UnusableStored):
            return None

    def put(self, row: IssuerRow, render: Callable[[], Stored]) -> None:
        """Write nothing."""

    def close(self) -> None:
        """There is nothing to end."""

    def reset_after_fork(self) -> None:
        """There is no thread."""


class Disk:
    """A KeyStore in `folder`/keys; `wall` gives epoch seconds.

    Several processes may share the folder: of each key set the newest fetch stays.

    Raises:
        StateDirUnusable: the folder cannot be made, or is not ours alone to write to.
    """

    def __init__(self, folder: Path, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._folder = folder / FOLDER
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _require_own(self._folder.stat(), stat.S_ISDIR)
        except OSError as error:
            raise StateDirUnusable(f"keys cannot be kept in {self._folder}: {_words(error)}") from None
        self._complaint: str | None = None
        self._lock = threading.Lock()
        self._waiting: dict[str, tuple[IssuerRow, Callable[[], Stored]]] = {}
        self._thread: threading.Thread | None = None
        self._closed = False
        self._clear_away()

    def load(self, row: IssuerRow) -> Stored | None:
        """Return what was last written of an issuer, if it is ours, whole, and of this very row."""
        try:
            return _read(self._folder, row)
        except OSError as error:
            say_unused(row.id, "stored_unreadable", _words(error))
        except UnusableStored as error:
            say_unused(row.id, error.code, str(error))
        return None

    def put(self, row: IssuerRow, render: Callable[[], Stored]) -> None:
        """Have an issuer's file written by the writing thread."""
        with self._lock:
            if self._closed:
                return
            self._waiting[row.id] = (row, render)
            if self._thread is None:
                thread = threading.Thread(target=self._write_all, name="tenantgate-keys-on-disk", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # the machine gives no thread now; the next fetch asks again
                    self._complain("no thread could be started")
                    return
                self._thread = thread

    def close(self) -> None:
        """Take no more, and wait shortly for what is being written."""
        with self._lock:
            self._closed, thread = True, self._thread
        if thread is not None:
            thread.join(_CLOSING)

    def reset_after_fork(self) -> None:
        """Forget the parent's thread and what it was about to write: the parent does that."""
        self._lock = threading.Lock()
        self._waiting, self._thread = {}, None

    def _clear_away(self) -> None:
        """Remove what killed processes left half-written; an hour is longer than any writing takes."""
        for path in self._folder.glob(f".*{_UNFINISHED}"):
            with contextlib.suppress(OSError):
                if path.lstat().st_mtime < self._wall() - 3600:
                    path.unlink()

    def _write_all(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return
                row, render = self._waiting.pop(next(iter(self._waiting)))
            self._write(row, render)

    def _write(self, row: IssuerRow, render: Callable[[], Stored]) -> None:
        try:
            with _alone(self._folder):  # another process may be about to write what it has fetched since
                with undivided():
                    content = self._content(row, render())
                _replace(_path(self._folder, row.id), content)
            self._complain(None)
        except OSError as error:
            self._complain(_words(error))
        except Exception as error:  # noqa: BLE001 - a defect must not end this thread: nothing would be written any more
            self._complain(f"unexpected: {type(error).__name__}")

    def _content(self, row: IssuerRow, stored: Stored) -> bytes:
        """Return what an issuer's file is to hold; what another process has fetched since stays in it."""
        with contextlib.suppress(OSError, UnusableStored):  # what is there is of no use, and is replaced
            there = _read(self._folder, row)
            if there is not None:
                stored = newest(stored, there, self._wall())
        return write_stored(stored)

    def _complain(self, complaint: str | None) -> None:
        with undivided():
            say_written(complaint, self._complaint)
        self._complaint = complaint


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Be the only process that reads and replaces a file of the folder, for as long as it may take. Raises OSError.

    By lockf, whose locks are a process's own: one of flock's would live on in every child that was forked meanwhile.
    A process that hangs with it is not waited for: what it may overwrite comes back with the next fetch.
    """
    handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        for _ in range(_TRIES):
            try:
                fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except (BlockingIOError, PermissionError):  # either may be said (POSIX, fcntl)
                time.sleep(_PAUSE)
        yield
    finally:
        os.close(handle)


def _path(folder: Path, issuer: str) -> Path:
    return folder / f"{issuer}.json"  # ids are slugs: a name of one file, and never a hidden one


def _read(folder: Path, row: IssuerRow) -> Stored | None:
    try:
        return read_stored(_read_own(_path(folder, row.id)), row)
    except FileNotFoundError:
        return None


def _words(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _read_own(path: Path) -> bytes:
    """Return the bytes of a regular file that is ours alone to write to. Raises OSError."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        _require_own(os.fstat(file.fileno()), stat.S_ISREG)
        raw = file.read(_MOST_BYTES + 1)
    if len(raw) > _MOST_BYTES:
        raise OSError(None, "it is larger than any that is written")
    return raw


def _require_own(found: os.stat_result, is_kind: Callable[[int], bool]) -> None:
    """Refuse what others can write to: who writes there says which keys are an issuer's."""
    if not is_kind(found.st_mode):
        raise OSError(None, "it is neither a plain file nor a folder")
    if found.st_uid not in (os.geteuid(), 0):
        raise PermissionError(None, "it belongs to another user")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(None, "others may write to it")


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, for our eyes only. Raises OSError."""
    # Not by tempfile: the lock of its first use could be cut in two by a fork, and this is no piece to wait for.
    beside = path.with_name(f".{path.stem}.{secrets.token_hex(8)}{_UNFINISHED}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
