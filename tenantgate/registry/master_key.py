"""The master key: 256 bits that every server of one database is given, under which the product's own keys lie in it.

It comes from the settings. Beside an SQLite file it may be a file of its own, made by the first server that needs
one, for its owner alone. Who can read database and master key can make sessions; the database by itself is not enough.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tenantgate.registry.errors import MasterKeyError
from tenantgate.registry.ids import RandomBytes

KEY_BYTES: Final = 32
NEXT: Final = ".next"
"""What the file of the key to come is called while the database is sealed anew."""

_TEXT: Final = re.compile(r"[A-Za-z0-9_-]{43}\Z")
_NONCE_BYTES: Final = 12
_FORMAT: Final = "1."
_LEAST_DIFFERENT: Final = 16
"""Of 32 random bytes about 30 differ; fewer than 16 in one key of 10^15: that is a placeholder somebody typed."""


class MasterKey:
    """256 bits. Never printed, compared or stored; all it does is seal and open."""

    __slots__ = ("_cipher",)

    def __init__(self, secret: bytes) -> None:
        self._cipher = AESGCM(secret)

    def __repr__(self) -> str:
        """Say what it is, and no more."""
        return "MasterKey(…)"

    def seal(self, name: str, version: int, secret: bytes, *, random_bytes: RandomBytes) -> str:
        """Return a product key as the database keeps it: good for this name and version alone."""
        nonce = random_bytes(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, secret, _bound_to(name, version))
        return _FORMAT + urlsafe_b64encode(sealed).decode("ascii")

    def open(self, name: str, version: int, sealed: str) -> bytes | None:
        """Return what was sealed (untrusted), or None: another master key, name or version, or a changed byte."""
        if not sealed.startswith(_FORMAT):
            return None
        try:
            raw = urlsafe_b64decode(sealed.removeprefix(_FORMAT).encode("ascii"))
            return self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _bound_to(name, version))
        except (ValueError, InvalidTag):
            return None


def _bound_to(name: str, version: int) -> bytes:
    return f"tenantgate product key\n{name}\n{version}".encode()


def parse_master_key(text: str) -> MasterKey:
    """Read a master key as it is written: 32 bytes, base64url without padding (RFC 4648 §5), nothing around it.

    Raises:
        MasterKeyError: `master_key_malformed`. The message never shows any of it.
    """
    if not _TEXT.match(text):
        raise MasterKeyError("master_key_malformed", "a master key is 43 characters of base64url: 32 bytes")
    secret = urlsafe_b64decode(f"{text}=")
    if urlsafe_b64encode(secret).decode("ascii") != f"{text}=":
        raise MasterKeyError("master_key_malformed", "the last character of the master key is no end of 32 bytes")
    if len(set(secret)) < _LEAST_DIFFERENT:
        raise MasterKeyError("master_key_malformed", "the master key is not random: see `tenantgate master-key create`")
    return MasterKey(secret)


def new_master_key(random_bytes: RandomBytes) -> str:
    """Return a fresh master key as it is written."""
    return urlsafe_b64encode(random_bytes(KEY_BYTES)).rstrip(b"=").decode("ascii")


def read_master_key(path: Path) -> MasterKey | None:
    """Read the file of a master key; None where there is none.

    Raises:
        MasterKeyError: `master_key_unsafe`: not a file of this user's alone; `master_key_malformed`;
            `master_key_unreadable`.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise MasterKeyError("master_key_unreadable", f"{path}: {error.strerror}") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise MasterKeyError("master_key_unsafe", f"{path} must be a file of this user's own, of mode 0600")
        text = os.read(descriptor, 256)
    except OSError as error:
        raise MasterKeyError("master_key_unreadable", f"{path}: {error.strerror}") from None
    finally:
        os.close(descriptor)
    try:
        return parse_master_key(text.decode("ascii").removesuffix("\n"))
    except UnicodeDecodeError:
        raise MasterKeyError("master_key_malformed", f"{path} holds no master key") from None
    except MasterKeyError as error:
        raise MasterKeyError(error.code, f"{path}: {error.message}") from None


def write_master_key(path: Path, text: str) -> bool:
    """Put a new file in place, whole or not at all, for its owner alone. False: there is one already, and it stays.

    Raises:
        MasterKeyError: `master_key_unwritable`.
    """
    beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(text.encode("ascii") + b"\n")
                file.flush()
                os.fsync(file.fileno())
            os.link(beside, path)
        except FileExistsError:
            return False
        finally:
            beside.unlink()
        _sync_folder(path)
    except OSError as error:
        raise MasterKeyError("master_key_unwritable", f"{path} cannot be made: {error.strerror}") from None
    return True


def take_next(path: Path) -> None:
    """Put the key to come in place of the one there was.

    Raises:
        MasterKeyError: `master_key_unwritable`.
    """
    try:
        path.with_name(path.name + NEXT).replace(path)
        _sync_folder(path)
    except OSError as error:
        raise MasterKeyError("master_key_unwritable", f"{path} cannot be replaced: {error.strerror}") from None


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
