"""The policy in a folder: whole, with what changed since behind it, so that a restart needs no database.

`policy.jsonl` holds the policy (`feed.kept_lines`); `mark.jsonl` how far it got, written after what it speaks of is on
the disk; `heard.jsonl` when the source was last heard of. A policy that ends before its mark has lost something that
was acknowledged, and is not used. The folder is believed only where it is this user's alone (`tenantgate.files`).

Several processes may share a folder. Each change is written by the first that has it.
"""

from __future__ import annotations

import fcntl
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from tenantgate.core.policy import PolicyDelta, PolicySnapshot
from tenantgate.feed.kept_lines import (
    FIRST,
    Changes,
    Place,
    PolicyReader,
    UnusableKept,
    contents_of,
    identity,
    line_after,
    parsed,
)
from tenantgate.feed.source import Mark
from tenantgate.files import (
    StateDirUnusable,
    begin,
    clear_away,
    discard,
    make_own_folder,
    open_own,
    put_in_place,
    read_own,
    replace,
    words,
    write,
    write_all,
)

FOLDER: Final = "policy"
_POLICY: Final = "policy.jsonl"
_MARK: Final = "mark.jsonl"
_HEARD: Final = "heard.jsonl"
_LOCK: Final = ".lock"
_SMALL: Final = 64 << 10
"""Bytes. No mark is larger; and changes of less than this never cause the whole to be written anew."""
_LOCK_TRIES: Final = 200
_LOCK_PAUSE: Final = 0.025
"""How often another process is waited for, and seconds between two looks."""
CLOCK_SLACK: Final = 60.0
"""Seconds by which a time in a file may be ahead of our clock, or of the last note that the source was heard of."""
_LONGEST_WRITING: Final = 3600.0
"""Seconds after which what is half-written was left by a process that is gone."""


T = TypeVar("T")


class NotWhole(Exception):
    """There is nothing that a change could be appended to: the whole policy is needed."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A policy as it was kept. `heard_at` is the epoch second in which its source was last heard of.

    None where nobody can say, because all that was written down is yet to come: its age is infinite then.
    """

    mark: Mark
    snapshot: PolicySnapshot
    heard_at: float | None


class _Heard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    at: float
    age: float


_MARKS: Final = msgspec.json.Decoder(Mark)
_HEARDS: Final = msgspec.json.Decoder(_Heard)


class PolicyStore:
    """A policy in `folder`/policy. `wall` gives epoch seconds. One thread at a time uses it.

    Everything here raises OSError where the disk does not do what is asked.

    Raises:
        StateDirUnusable: the folder cannot be made, or is not ours alone to write to.
    """

    def __init__(self, folder: Path, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._folder = folder / FOLDER
        try:
            make_own_folder(self._folder)
        except OSError as error:
            raise StateDirUnusable(f"the policy cannot be kept in {self._folder}: {words(error)}") from None
        clear_away(self._folder, wall() - _LONGEST_WRITING)
        self._place: Place | None = None

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self._folder

    def mark(self) -> Mark | None:
        """Return how far this folder got, None where nothing was ever kept.

        Raises:
            UnusableKept: neither the mark nor the policy can be read.
        """
        try:
            return self._read_mark()
        except UnusableKept:
            place = self._scan()  # the policy tells it, too, unless it is damaged as well
            if place is None:
                raise
            return place.mark

    def read(self) -> Kept | None:
        """Return the policy that is kept, None where there is none.

        Raises:
            UnusableKept: it is damaged, of another version, or ends before what was acknowledged.
        """
        try:
            handle = open_own(self._folder / _POLICY)
        except FileNotFoundError:
            return None
        with os.fdopen(handle, "rb") as file:
            reader = PolicyReader(file)
            snapshot, mark, kept_at = reader.read_policy()
        reached = self._mark_or(mark)  # a mark that cannot be read says nothing against a policy that can
        if not mark.covers(reached):
            message = f"it ends at revision {mark.revision}, {reached.revision} was acknowledged"
            raise UnusableKept("kept_behind", message)
        heard, now = self._read_heard(), self._wall()
        at = _heard_at(kept_at, heard, now)
        age = math.inf if at is None else max(0.0, now - at, 0.0 if heard is None else heard.age)
        return Kept(mark=mark, snapshot=msgspec.structs.replace(snapshot, age=age), heard_at=at)

    def keep(self, news: PolicySnapshot | PolicyDelta, mark: Mark) -> None:
        """Have news on the disk, and then its mark, unless another process was faster.

        Raises:
            NotWhole: a change, where nothing is kept that it follows.
            UnusableKept: the folder is of another history; nothing was written.
        """
        with self._alone():
            reached = self._reached()
            if reached is not None and reached.epoch != mark.epoch and not mark.covers(reached):
                if reached.covers(mark):
                    return  # another process has followed the database to its next history already
                raise UnusableKept("kept_of_another", f"the folder is of epoch {reached.epoch}, not {mark.epoch}")
            place = self._scan()
            if place is None or not place.mark.covers(mark):
                place = self._add(place, news, mark)
            self._place = place
            if reached is None or not reached.covers(mark):
                replace(self._folder / _MARK, line_after(FIRST, "mark", msgspec.json.encode(mark))[1])

    def note_heard(self, at: float, age: float) -> None:
        """Write down when the source was last heard of (epoch seconds), and the seconds since by a steady clock."""
        content = msgspec.json.encode(_Heard(at=at, age=age))
        replace(self._folder / _HEARD, line_after(FIRST, "heard", content)[1])

    def discard(self) -> None:
        """Take the kept policy away, the mark not: a restart then finds none rather than an old one."""
        (self._folder / _POLICY).unlink(missing_ok=True)
        self._place = None

    # Writing.

    def _add(self, place: Place | None, news: PolicySnapshot | PolicyDelta, mark: Mark) -> Place:
        if isinstance(news, PolicySnapshot):
            return self._write_whole(news, mark)
        if place is None or place.mark.epoch != mark.epoch or place.mark.revision < news.since:
            raise NotWhole
        place = self._append(place, news, mark)
        if place.size - place.base > max(_SMALL, place.base):
            kept = self.read()
            if kept is None or not kept.mark.covers(mark):
                raise NotWhole  # taken away, or the disk lost a line that it had taken
            place = self._write_whole(kept.snapshot, kept.mark)
        return place

    def _append(self, place: Place, news: PolicyDelta, mark: Mark) -> Place:
        since = place.mark.revision
        rows = [msgspec.Raw(msgspec.json.encode(row)) for row in news.rows if row.revision > since]
        content = msgspec.json.encode(Changes(since=since, at=self._wall(), mark=mark, rows=rows))
        digest, line = line_after(place.digest, "change", content)
        handle = open_own(self._folder / _POLICY, os.O_RDWR)
        try:
            if not place.stands_in(handle):
                raise NotWhole
            os.ftruncate(handle, place.size)  # what a killed process left of its line
            os.lseek(handle, 0, os.SEEK_END)
            write(handle, line)
        finally:
            os.close(handle)
        end = place.size + len(line)
        return msgspec.structs.replace(place, last=place.size, size=end, digest=digest, mark=mark)

    def _write_whole(self, snapshot: PolicySnapshot, mark: Mark) -> Place:
        path = self._folder / _POLICY
        beside, handle = begin(path)
        try:
            try:
                digest, last, size = FIRST, 0, 0
                for tag, content in contents_of(snapshot, mark, self._wall()):
                    digest, line = line_after(digest, tag, content)
                    write_all(handle, line)
                    last, size = size, size + len(line)
                os.fsync(handle)
                file = identity(handle)
            finally:
                os.close(handle)
            put_in_place(beside, path)
        except BaseException:
            discard(beside)
            raise
        return Place(file=file, base=size, last=last, size=size, digest=digest, mark=mark)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Be the only one who writes here. By flock: threads of one process must not meet either.

        Its lock would live on in a child forked meanwhile: whoever owns this store lets no fork happen then.
        """
        handle = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            _lock(handle)
            try:
                yield
            finally:
                fcntl.flock(handle, fcntl.LOCK_UN)
        finally:
            os.close(handle)

    # Reading.

    def _scan(self) -> Place | None:
        """Return where the sound part of the policy file ends, None where there is none. Goes on from the last time."""
        try:
            handle = open_own(self._folder / _POLICY)
        except FileNotFoundError:
            return None
        with os.fdopen(handle, "rb") as file:
            try:
                return PolicyReader(file).scan(self._place)
            except UnusableKept:
                return None

    def _reached(self) -> Mark | None:
        try:
            return self.mark()
        except UnusableKept:
            return None

    def _mark_or(self, other: Mark) -> Mark:
        try:
            return self._read_mark() or other
        except UnusableKept:
            return other

    def _read_mark(self) -> Mark | None:
        return self._read_small(_MARK, "mark", _MARKS)

    def _read_heard(self) -> _Heard | None:
        try:
            return self._read_small(_HEARD, "heard", _HEARDS)
        except UnusableKept:
            return None

    def _read_small(self, name: str, tag: str, decoder: msgspec.json.Decoder[T]) -> T | None:
        try:
            raw = read_own(self._folder / name, _SMALL)
        except FileNotFoundError:
            return None
        try:
            found, content, _ = parsed(FIRST, raw)
            if found != tag:
                raise UnusableKept("kept_damaged", f"{name} holds something else")
            return decoder.decode(content)
        except msgspec.MsgspecError as error:
            raise UnusableKept("kept_malformed", f"{name} makes no sense: {error}") from None


def _heard_at(kept_at: float, heard: _Heard | None, now: float) -> float | None:
    """Return when the source was last heard of by what the files say, None where nobody can say. Epoch seconds.

    What is yet to come was written by a clock that ran ahead, or is read by one that lags: it says nothing. Also once
    its time has come: the source is noted beforehand, so that what was kept long after the note has a wrong time too.
    """
    latest = now + CLOCK_SLACK
    if heard is None or heard.at > latest:
        return kept_at if kept_at <= latest else None
    return kept_at if heard.at < kept_at <= min(latest, heard.at + CLOCK_SLACK) else heard.at


def _lock(handle: int) -> None:
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOCK_PAUSE)
        else:
            return
    raise OSError(None, "another process does not let go of it")
