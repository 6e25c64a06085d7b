"""A policy from a TOML or JSON file (`docs/policy-file.md`): one schema, `version = 1`, strict in every member.

The file is an operator's; it is looked at again each second and a bad one keeps the policy in force.
"""

from __future__ import annotations

import hashlib
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
from tenantgate.core.strict import Unreadable, read_document
from tenantgate.feed.source import FeedError

FILE_VERSION: Final = 1
_ARRAYS: Final = {f"{kind}s": kind for kind in KINDS}
_KEY_FILES: Final = {"jwks_file": "jwks", "v1_jwks_file": "v1_jwks"}
_AT: Final = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<path>[^`]*)`)?$", re.DOTALL)


def parse_policy(document: dict[str, Any], folder: Path) -> tuple[RowData, ...]:
    """Turn a decoded policy file into checked rows. `folder`: what `jwks_file` is relative to.

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
            raise PolicyError("member_unknown", f"there is no {name!r} in a policy file", str(name))
        if type(members) is not list:
            raise PolicyError("type_wrong", "must be an array", name)
        rows.extend(
            _read_row(KINDS[_ARRAYS[name]], member, f"{name}[{place}]", folder) for place, member in enumerate(members)
        )
    check_references(rows)
    return tuple(rows)


def _read_row(struct: type[RowData], member: Any, path: str, folder: Path) -> RowData:
    if type(member) is dict and struct is IssuerRow:
        member = _with_key_files(member, path, folder)
    try:
        data = msgspec.convert(member, struct)
    except msgspec.ValidationError as error:
        found = _AT.match(str(error))
        what, inner = (found["what"], found["path"] or "") if found else (str(error), "")
        raise PolicyError(_code_of(what), what, path + inner) from None
    try:
        checked = check_row(data)
        _check_keys(checked)
    except PolicyError as error:
        raise PolicyError(error.code, error.message, f"{path}.{error.path}" if error.path else path) from None
    return checked


def _code_of(what: str) -> str:
    if "unknown field" in what:
        return "member_unknown"
    return "member_missing" if "missing required field" in what else "type_wrong"


def _with_key_files(member: dict[str, Any], path: str, folder: Path) -> dict[str, Any]:
    """Replace `jwks_file` by the key set it names."""
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
            member[target] = read_document((folder / value).read_bytes())
        except OSError as error:
            raise PolicyError("file_unreadable", f"cannot be read: {error.strerror}", where) from None
        except Unreadable as error:
            raise PolicyError("jwks_malformed", f"is not a key set: {error}", where) from None
    return member


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
        self._key_files: tuple[Path, ...] = ()
        self._revision = 0

    def load(self) -> PolicySnapshot:
        """Read the file. Raises FeedError (`file_unreadable`) or PolicyError (what is wrong, and where)."""
        raw = self._read()
        snapshot = self._parse(raw)
        self._seen = self._digest(raw)
        return snapshot

    def wait(self, timeout: float) -> PolicySnapshot | PolicyDelta | None:
        """Look at the file each second; return its policy when its bytes (or those of its key files) changed."""
        if self._process != os.getpid():  # a forked child: the parent's event may be locked for ever
            self._process, self._closed = os.getpid(), threading.Event()
        remaining = timeout
        while remaining > 0 and not self._pause(self._closed, min(1.0, remaining)):
            remaining -= 1.0
            raw = self._read()
            digest = self._digest(raw)
            if digest != self._seen:
                self._seen = digest  # a bad file is reported once, and read again when it changes again
                return self._parse(raw)
        return None

    def acknowledge(self, revision: int) -> None:
        """A file has nobody to tell."""

    def close(self) -> None:
        """Wake a `wait` under way."""
        self._closed.set()

    def _read(self) -> bytes:
        try:
            return self._path.read_bytes()
        except OSError as error:
            raise FeedError("file_unreadable", f"{self._path.name} cannot be read: {error.strerror}") from None

    def _digest(self, raw: bytes) -> bytes:
        """Digest the file together with the key files it named when it was last read."""
        digest = hashlib.sha256(raw)
        for path in self._key_files:
            digest.update(hashlib.sha256(path.read_bytes()).digest() if path.is_file() else b"gone")
        return digest.digest()

    def _parse(self, raw: bytes) -> PolicySnapshot:
        document = _decode(raw, self._path.suffix.lower())
        self._key_files = _key_files(document, self._path.parent)
        rows = parse_policy(document, self._path.parent)
        self._revision += 1
        return PolicySnapshot(
            epoch=f"file:{self._path.name}",
            revision=self._revision,
            rows=tuple(row_of(data, self._revision) for data in rows),
        )


def _key_files(document: dict[str, Any], folder: Path) -> tuple[Path, ...]:
    issuers = document.get("issuers")
    members = [each for each in issuers if type(each) is dict] if type(issuers) is list else []
    return tuple(folder / member[name] for member in members for name in _KEY_FILES if type(member.get(name)) is str)


def _decode(raw: bytes, suffix: str) -> dict[str, Any]:
    try:
        document = read_document(raw) if suffix == ".json" else tomllib.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError, Unreadable) as error:
        raise PolicyError(
            "file_malformed", f"the file is not {'JSON' if suffix == '.json' else 'TOML'}: {error}"
        ) from None
    if type(document) is not dict:
        raise PolicyError("file_malformed", "the file does not hold an object")
    return document
