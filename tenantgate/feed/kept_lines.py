"""Lines of a kept policy: each carries the hash of what is before it, and a policy file is read by them.

```text
policy.jsonl   <hash> policy {...}     who it is of: epoch, revision, audit
               <hash> partner [...]    rows, some hundred a line, referred-to kinds first
               <hash> end {...}
               <hash> change {...}     one line for each later change, appended
```

Each hash is the SHA-256 of the one before and of its line: a line that is torn, changed, gone or moved shows, and so do
all after it. The hashes find accidents; they prove no author.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Final

import msgspec

from tenantgate.core.policy import KINDS, PolicyError, PolicySnapshot, PutRows, Row, RowData, decode_row, put_rows
from tenantgate.feed.source import Mark

_VERSION: Final = 1
_ROWS_A_LINE: Final = 500
_BESIDE: Final = {"daemon": ("tenant", "tenant"), "role_assignment": ("daemon", "daemon")}
"""What is kept in the order of another kind, and by which member."""
FIRST: Final = bytes(32)
"""What stands for the hash before the first line."""


class UnusableKept(Exception):
    """What is in the folder may not be used. `code` is stable."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class _Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    v: int
    rows: int
    at: float
    mark: Mark


class _End(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    rows: int


class Changes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    since: int
    at: float
    mark: Mark
    rows: list[msgspec.Raw]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a policy file ends: which file, after how many bytes (`base` of them the whole), by which last hash.

    `last` is where the line with that hash begins.
    """

    file: tuple[int, int]
    base: int
    last: int
    size: int
    digest: bytes
    mark: Mark

    def stands_in(self, handle: int) -> bool:
        """Whether an open file is the one this is a place of: what it is called by is given to another one in time.

        The hash of the last line stands for all that is before it.
        """
        if identity(handle) != self.file:
            return False
        shown = self.digest.hex().encode() + b" "
        return os.pread(handle, len(shown), self.last) == shown and os.pread(handle, 1, self.size - 1) == b"\n"


_HEADS: Final = msgspec.json.Decoder(_Head)
_CHANGES: Final = msgspec.json.Decoder(Changes)
_ROWS: Final[dict[str, msgspec.json.Decoder[Any]]] = {
    kind: msgspec.json.Decoder(list.__class_getitem__(struct)) for kind, struct in KINDS.items()
}


class PolicyReader:
    """Reads a policy file line by line, each checked against the one before."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = FIRST
        self._last = self._size = 0

    def scan(self, last: Place | None) -> Place:
        """Return where the sound part ends. From `last` on, where an earlier scan of this very file ended there.

        Raises:
            UnusableKept: the whole is not sound.
        """
        file = identity(self._file.fileno())
        if last is not None and last.stands_in(self._file.fileno()):
            self._file.seek(last.size)
            self._digest, self._last, self._size = last.digest, last.last, last.size
            base, mark = last.base, last.mark
        else:
            mark = self._head().mark
            for tag, _ in self._until_end():
                if tag not in KINDS:
                    raise UnusableKept("kept_damaged", "the file is out of order")
            base = self._size
        for change in self._later():
            mark = change.mark
        return Place(file=file, base=base, last=self._last, size=self._size, digest=self._digest, mark=mark)

    def read_policy(self) -> tuple[PolicySnapshot, Mark, float]:
        """Return the policy with every change in it, how far it got, and the epoch second of the last change.

        Raises:
            UnusableKept: the whole is not sound.
        """
        head = self._head()
        kinds: dict[str, list[RowData]] = {kind: [] for kind in KINDS}
        for tag, content in self._until_end():
            try:
                kinds[tag].extend(_ROWS[tag].decode(content))
            except (KeyError, msgspec.MsgspecError) as error:
                raise UnusableKept("kept_malformed", f"its rows make no sense: {error}") from None
        if sum(map(len, kinds.values())) != head.rows:
            raise UnusableKept("kept_damaged", "rows are missing")
        mark, at = head.mark, head.at
        changed: dict[str, dict[str, RowData | None]] = {kind: {} for kind in KINDS}
        for change in self._later():
            for raw in change.rows:
                row = _row(raw)
                changed[row.kind][row.id] = row.data
            mark, at = change.mark, change.at
        rows = PutRows({kind: _with(found, changed[kind]) for kind, found in kinds.items()}, mark.revision)
        return PolicySnapshot(epoch=mark.epoch, revision=mark.revision, rows=rows), mark, at

    def _head(self) -> _Head:
        tag, content = self._next()
        try:
            head = _HEADS.decode(content)
        except msgspec.MsgspecError as error:
            raise UnusableKept("kept_malformed", f"its first line makes no sense: {error}") from None
        if tag != "policy" or head.v != _VERSION:
            raise UnusableKept("kept_version_unknown", "it is of another version")
        return head

    def _until_end(self) -> Iterator[tuple[str, bytes]]:
        while True:
            tag, content = self._next()
            if tag == "end":
                return
            yield tag, content

    def _later(self) -> Iterator[Changes]:
        """Yield the changes, up to the first line that is not sound: a killed process's last, or a damage.

        Which of both it is, the mark tells.
        """
        while True:
            try:
                tag, content = self._next()
                if tag != "change":
                    return
                yield _CHANGES.decode(content)
            except (UnusableKept, msgspec.MsgspecError):
                return

    def _next(self) -> tuple[str, bytes]:
        line = self._file.readline()
        tag, content, digest = parsed(self._digest, line)
        self._digest, self._last, self._size = digest, self._size, self._size + len(line)
        return tag, content


def contents_of(snapshot: PolicySnapshot, mark: Mark, at: float) -> Iterator[tuple[str, bytes]]:
    head = _Head(v=_VERSION, rows=len(snapshot.rows), at=at, mark=mark)
    yield "policy", msgspec.json.encode(head)
    for kind, found in in_order(put_rows(snapshot.rows, snapshot.revision)):
        for place in range(0, len(found), _ROWS_A_LINE):
            yield kind, msgspec.json.encode(found[place : place + _ROWS_A_LINE])
    yield "end", msgspec.json.encode(_End(rows=len(snapshot.rows)))


def in_order(rows: PutRows) -> Iterator[tuple[str, Sequence[RowData]]]:
    """Yield data by kind, daemons beside those of their tenant and assignments beside those of their daemon.

    Who reads a million of them then finds what each names where it was a moment ago: half of the time, in the memory.
    """
    kinds: dict[str, Sequence[RowData]] = dict.fromkeys(KINDS, ())
    kinds |= rows.by_kind
    for kind, (below, member) in _BESIDE.items():
        places = {data.id: place for place, data in enumerate(kinds[below])}
        kinds[kind] = sorted(kinds[kind], key=lambda data: places.get(getattr(data, member) or "", -1))
    yield from kinds.items()


def line_after(before: bytes, tag: str, content: bytes) -> tuple[bytes, bytes]:
    """Return the hash of a line that follows the one with hash `before`, and the line."""
    told = tag.encode() + b" " + content
    digest = hashlib.sha256(before + told)
    return digest.digest(), digest.hexdigest().encode() + b" " + told + b"\n"


def parsed(before: bytes, line: bytes) -> tuple[str, bytes, bytes]:
    """Return tag, content and hash of a line that must follow the one with hash `before`."""
    if not line.endswith(b"\n"):
        raise UnusableKept("kept_damaged", "the file ends too early")
    shown, _, told = line[:-1].partition(b" ")
    digest = hashlib.sha256(before + told)
    if digest.hexdigest().encode() != shown:
        raise UnusableKept("kept_damaged", "it was changed, or not written whole")
    tag, _, content = told.partition(b" ")
    return tag.decode("ascii", "replace"), content, digest.digest()


def _row(raw: msgspec.Raw) -> Row:
    try:
        return decode_row(bytes(raw))
    except PolicyError as error:
        raise UnusableKept("kept_malformed", f"a change makes no sense: {error}") from None


def _with(found: list[RowData], changed: dict[str, RowData | None]) -> list[RowData]:
    """Return rows of a kind, with what was changed in place of what they were."""
    if not changed:
        return found
    kept = [data for data in found if data.id not in changed]
    return kept + [data for data in changed.values() if data is not None]


def identity(handle: int) -> tuple[int, int]:
    found = os.fstat(handle)
    return found.st_dev, found.st_ino
