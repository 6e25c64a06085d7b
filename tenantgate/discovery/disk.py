"""Files of last-known-good keys: one an issuer, written whole or not at all, believed only where they are our own.

Reading happens on the policy's thread, when an issuer is first served. Writing happens on a thread of its own, started
on need, so that a disk that hangs delays neither a fetch nor an exit; of several states of one issuer that wait, the
newest is written. What cannot be read or written is said, and never keeps anybody from judging.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Protocol

from tenantgate.core.policy import IssuerRow
from tenantgate.discovery.alarms import say_unused, say_written
from tenantgate.discovery.stored import Stored, UnusableStored, newest, read_stored, write_stored
from tenantgate.files import StateDirUnusable, clear_away, make_own_folder, read_own, replace, words
from tenantgate.forks import undivided

FOLDER: Final = "keys"
_MOST_BYTES: Final = 8 << 20
_LOCK: Final = ".lock"
_TRIES: Final = 40
_PAUSE: Final = 0.025
"""How often another writer is waited for, and seconds between two looks."""
_LONGEST_WRITING: Final = 3600.0
"""Seconds after which what is half-written was left by a process that is gone."""
_CLOSING: Final = 2.0
"""Seconds that `close` waits for what is still to be written."""


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
            make_own_folder(self._folder)
        except OSError as error:
            raise StateDirUnusable(f"keys cannot be kept in {self._folder}: {words(error)}") from None
        self._complaint: str | None = None
        self._lock = threading.Lock()
        self._waiting: dict[str, tuple[IssuerRow, Callable[[], Stored]]] = {}
        self._thread: threading.Thread | None = None
        self._closed = False
        clear_away(self._folder, wall() - _LONGEST_WRITING)

    def load(self, row: IssuerRow) -> Stored | None:
        """Return what was last written of an issuer, if it is ours, whole, and of this very row."""
        try:
            return _read(self._folder, row)
        except OSError as error:
            say_unused(row.id, "stored_unreadable", words(error))
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
                replace(_path(self._folder, row.id), content)
            self._complain(None)
        except OSError as error:
            self._complain(words(error))
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
        return read_stored(read_own(_path(folder, row.id), _MOST_BYTES), row)
    except FileNotFoundError:
        return None
