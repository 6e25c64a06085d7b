"""A policy from a TOML or JSON file (`docs/policy-file.md`): one schema, `version = 1`, strict in every member.

The file is an operator's; it is looked at again each second and a bad one keeps the policy in force.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import threading
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from tenantgate.core.keys import MalformedKeySet, build_key_set
from tenantgate.core.policy import (
    KINDS,
    IssuerRow,
    PolicyDelta,
    PolicyError,
    PolicySnapshot,
    RowData,
    row_of,
)
from tenantgate.core.rules import check_references, check_row
from tenantgate.core.strict import Unreadable, read_document, shown
from tenantgate.feed.source import FeedError
from tenantgate.forks import undivided

FILE_VERSION: Final = 1
_ARRAYS: Final = {f"{kind}s": kind for kind in KINDS}
_KEY_FILES: Final = {"jwks_file": "jwks", "v1_jwks_file": "v1_jwks", "ca_bundle_file": "ca_bundle"}
_COMPLAINTS: Final = (
    ("Object contains unknown field", "member_unknown", "there is no such member"),
    ("Object missing required field", "member_missing", "is missing"),
    ("Invalid enum value", "value_unknown", "there is no value"),
)
_AT: Final = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<path>[^`]*)`)?$", re.DOTALL)


def parse_policy(
    document: dict[str, Any], folder: Path, read: Callable[[Path], bytes] = Path.read_bytes
) -> tuple[RowData, ...]:
    """Turn a decoded policy file into checked rows. `folder`: what `jwks_file` is relative to; `read` reads it.

    Raises:
        PolicyError: with a stable code and the path of the member (`tenants[2].tid`).
    """
    version = document.get("version")
    if version != FILE_VERSION or type(version) is not int:
        raise PolicyError("version_unknown", f"version must be {FILE_VERSION}", "version")
    rows: list[RowData] = []
    for name, members in document.items():
        if name == "version":
            continue
        if name not in _ARRAYS:
            raise PolicyError("member_unknown", "there is no such array in a policy file", shown(name))
        if type(members) is not list:
            raise PolicyError("type_wrong", "must be an array", name)
        rows.extend(
            _read_row(KINDS[_ARRAYS[name]], member, f"{name}[{place}]", folder, read)
            for place, member in enumerate(members)
        )
    check_references(rows)
    return tuple(rows)


def _read_row(struct: type[RowData], member: Any, path: str, folder: Path, read: Callable[[Path], bytes]) -> RowData:
    named: dict[str, str] = {}
    if type(member) is dict and struct is IssuerRow:
        named = {target: name for name, target in _KEY_FILES.items() if name in member}
        member = _with_key_files(member, path, folder, read)
    try:
        data = msgspec.convert(member, struct)
    except msgspec.ValidationError as error:
        raise _explained(str(error), path, named) from None
    try:
        checked = check_row(data)
        _check_keys(checked)
    except PolicyError as error:
        member = named.get(error.path, error.path)
        raise PolicyError(error.code, error.message, f"{path}.{member}" if member else path) from None
    return checked


def _explained(message: str, path: str, named: dict[str, str]) -> PolicyError:
    """Turn msgspec's words into a code and the path of the member, as the file has it."""
    found = _AT.match(message)
    what, inner = (found["what"], found["path"] or "") if found else (message, "")
    for words, code, text in _COMPLAINTS:
        if what.startswith(words):
            member = what.removeprefix(words).strip(" `'")
            if code == "value_unknown":
                return PolicyError(code, f"{text} {shown(member)}", path + inner)
            return PolicyError(code, text, f"{path}{inner}.{shown(member)}")
    member = inner.removeprefix(".")
    return PolicyError("type_wrong", what, f"{path}.{named[member]}" if member in named else path + inner)


def _with_key_files(member: dict[str, Any], path: str, folder: Path, read: Callable[[Path], bytes]) -> dict[str, Any]:
    """Replace `jwks_file` by the key set it names, `ca_bundle_file` by its certificates."""
    member = dict(member)
    for name, target in _KEY_FILES.items():
        if name not in member:
            continue
        where = f"{path}.{name}"
        if target in member:
            raise PolicyError("member_not_allowed", f"give {target} or {name}, not both", where)
        value = member.pop(name)
        if type(value) is not str:
            raise PolicyError("type_wrong", "must be the path of a file", where)
        try:
            raw = read(folder / value)
        except OSError as error:
            raise PolicyError("file_unreadable", f"cannot be read: {error.strerror}", where) from None
        except ValueError:  # a NUL or a lone surrogate is in no file's name
            raise PolicyError("file_unreadable", "cannot be the path of a file", where) from None
        member[target] = _certificates(raw, where) if target == "ca_bundle" else _key_set(raw, where)
    return member


def _key_set(raw: bytes, where: str) -> dict[str, Any]:
    try:
        found = read_document(raw)
    except Unreadable as error:
        raise PolicyError("jwks_malformed", f"is not a key set: {error}", where) from None
    if type(found) is not dict:  # null above all: the issuer would look as if its keys were to be fetched
        raise PolicyError("jwks_malformed", "is not a key set: not a JSON object", where)
    return found


def _certificates(raw: bytes, where: str) -> str:
    try:
        return raw.decode("ascii")
    except UnicodeDecodeError:
        raise PolicyError("ca_bundle_malformed", "must be certificates in PEM, at least one", where) from None


def _check_keys(data: RowData) -> None:
    if not isinstance(data, IssuerRow):
        return
    for name in ("jwks", "v1_jwks"):
        document = getattr(data, name)
        if document is not None:
            try:
                build_key_set(document, data)
            except MalformedKeySet as error:
                raise PolicyError("jwks_malformed", str(error), name) from None


class FileSource:
    """A PolicySource over one file. Its epoch is the file's name; its revision counts the contents seen."""

    def __init__(self, path: Path, *, pause: Callable[[threading.Event, float], bool] = threading.Event.wait) -> None:
        self._path = path
        self._pause = pause
        self._closed = threading.Event()
        self._process = os.getpid()
        self._seen = b""
        self._key_files: dict[Path, bytes | None] = {}  # as they were when the policy was read; None: not to be read
        self._revision = 0

    def load(self) -> PolicySnapshot:
        """Read the file. Raises FeedError (`file_unreadable`) or PolicyError (what is wrong, and where)."""
        return self._parse(self._read())

    def wait(self, timeout: float) -> PolicySnapshot | PolicyDelta | None:
        """Look at the file each second; return its policy when its bytes (or those of its key files) changed."""
        if self._process != os.getpid():  # a forked child: the parent's event may be locked for ever
            self._process, self._closed = os.getpid(), threading.Event()
        remaining = timeout
        while remaining > 0 and not self._pause(self._closed, min(1.0, remaining)):
            remaining -= 1.0
            with undivided():
                raw = self._read()
                if self._is_new(raw):
                    return self._parse(raw)
        return None

    def acknowledge(self, revision: int) -> None:
        """A file has nobody to tell."""

    def report(self, keys: Callable[[], list[dict[str, Any]]]) -> None:
        """A file has nobody to tell."""

    def close(self) -> None:
        """Wake a `wait` under way."""
        self._closed.set()

    def _read(self) -> bytes:
        try:
            return _bytes_of(self._path)
        except OSError as error:
            raise FeedError("file_unreadable", f"{self._path.name} cannot be read: {error.strerror}") from None

    def _is_new(self, raw: bytes) -> bool:
        """Whether the file, or a key file it names, is not as it was when the policy was last read."""
        if _digest(raw) != self._seen:
            return True
        return any(_digest_of(path) != known for path, known in self._key_files.items())

    def _read_key_file(self, path: Path) -> bytes:
        self._key_files[path] = None
        raw = _bytes_of(path)
        self._key_files[path] = _digest(raw)  # of what was read, not of what may stand there a moment later
        return raw

    def _parse(self, raw: bytes) -> PolicySnapshot:
        self._seen = _digest(raw)  # before it is judged: a bad file is reported once, and read again when it changes
        self._key_files = {}
        document = _decode(raw, self._path.suffix.lower())
        rows = parse_policy(document, self._path.parent, self._read_key_file)
        self._revision += 1
        return PolicySnapshot(
            epoch=f"file:{self._path.name}",
            revision=self._revision,
            rows=tuple(row_of(data, self._revision) for data in rows),
        )


def _bytes_of(path: Path) -> bytes:
    """Return the bytes of a file. Raises OSError: a pipe would be waited for, a device may have no end."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "Is a directory" if path.is_dir() else "Not a regular file")
    return path.read_bytes()


def _digest(raw: bytes) -> bytes:
    return hashlib.sha256(raw).digest()


def _digest_of(path: Path) -> bytes | None:
    """Return the digest of a file, None where it cannot be read."""
    try:
        return _digest(_bytes_of(path))
    except (OSError, ValueError):
        return None


class _Pairs(list[tuple[str, Any]]):
    """The members of a JSON object, those that stand twice included."""


def _duplicate(raw: bytes) -> str | None:
    """Return the path of a member that stands twice, or None where that is not what is wrong."""
    try:
        todo = [(json.loads(raw, object_pairs_hook=_Pairs), "")]
    except (ValueError, RecursionError):
        return None
    while todo:
        value, path = todo.pop()
        if type(value) is list:
            todo += [(each, f"{path}[{place}]") for place, each in enumerate(value)]
        elif type(value) is _Pairs:
            members = [(each, f"{path}.{shown(name)}".removeprefix(".")) for name, each in value]
            names = [name for name, _ in value]
            for place, name in enumerate(names):
                if name in names[:place]:
                    return members[place][1]
            todo += members
    return None


def _decode(raw: bytes, suffix: str) -> dict[str, Any]:
    try:
        document = read_document(raw) if suffix == ".json" else tomllib.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError, Unreadable) as error:
        twice = _duplicate(raw) if suffix == ".json" else None
        if twice is not None:
            raise PolicyError("member_duplicate", "stands here twice", twice) from None
        raise PolicyError(
            "file_malformed", f"the file is not {'JSON' if suffix == '.json' else 'TOML'}: {error}"
        ) from None
    if type(document) is not dict:
        raise PolicyError("file_malformed", "the file does not hold an object")
    return document
