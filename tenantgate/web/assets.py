"""The folder `admin_ui/` (the wheel's, else the checkout's) and its static files.

Static files are few and known when the process starts, so they are a table, not a folder: a path that is
not in the table does not exist, and there is nothing to traverse, no range and no symbolic link to follow.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import tenantgate.web
from tenantgate.web.errors import AssetsMissing

_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One static file. `version` changes with its content."""

    body: bytes
    gzipped: bytes
    media_type: str
    version: str


def admin_ui_folder() -> Path:
    """Return the folder with templates, static files and texts.

    Raises:
        AssetsMissing: it was not installed with the package.
    """
    package = Path(tenantgate.web.__file__).resolve().parent.parent
    for folder in (package / "_admin_ui", package.parent / "admin_ui"):
        if (folder / "templates").is_dir():
            return folder
    raise AssetsMissing("assets_missing", "the page's templates were not installed with tenantgate")


@functools.cache
def static_files() -> Mapping[str, Asset]:
    """Return every static file by its path under `/static/`, read once a process."""
    folder = admin_ui_folder() / "static"
    found = {
        path.relative_to(folder).as_posix(): _read(path)
        for path in sorted(folder.rglob("*"))
        if path.suffix in _TYPES and path.is_file() and not path.is_symlink()
    }
    return MappingProxyType(found)


def asset_address(name: str) -> str:
    """Return the address of a static file, with its version, so that it may be cached for good. Raises KeyError."""
    return f"/static/{name}?v={static_files()[name].version}"


def _read(path: Path) -> Asset:
    body = path.read_bytes()
    digest = hashlib.sha256(body).hexdigest()[:16]
    return Asset(body, gzip.compress(body, mtime=0), _TYPES[path.suffix], digest)
