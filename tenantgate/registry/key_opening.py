"""Which master key opens a database, and how it is changed for another without a moment in which none does."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import Engine
from sqlmodel import Session

from tenantgate.registry.engine import reading
from tenantgate.registry.errors import MasterKeyError
from tenantgate.registry.ids import RandomBytes
from tenantgate.registry.master_key import (
    NEXT,
    MasterKey,
    new_master_key,
    read_master_key,
    take_next,
    write_master_key,
)
from tenantgate.registry.product_keys import list_, open_all


def open_master_key(engine: Engine, given: MasterKey | None, file: Path | None, random_bytes: RandomBytes) -> MasterKey:
    """Return the master key of a database: the one given, else the one in the file, which is made for a new database.

    A rotation that was killed between the database and the file is ended here.

    Raises:
        MasterKeyError: `master_key_missing`: none was given, and there is no file for it, or it is gone while keys in
            the database need it; `master_key_wrong`, `product_key_damaged`; what is wrong with the file.
        DatabaseError: the database cannot be read now.
    """
    with reading(engine) as session:
        if given is not None:
            open_all(session, given)
            return given
        if file is None:
            raise MasterKeyError("master_key_missing", "TENANTGATE_MASTER_KEY is not set, and this is no SQLite file")
        return _of_file(session, file, random_bytes)


def next_master_key(file: Path, random_bytes: RandomBytes) -> MasterKey:
    """Return the key to come, written down beside the file before anything is sealed under it. Raises MasterKeyError.

    One that is there already is of a rotation that was killed before it was committed: nothing knows it, it serves.
    """
    beside = file.with_name(file.name + NEXT)
    write_master_key(beside, new_master_key(random_bytes))
    found = read_master_key(beside)
    if found is None:
        raise MasterKeyError("master_key_unwritable", f"{beside} went away again")
    return found


def _of_file(session: Session, file: Path, random_bytes: RandomBytes) -> MasterKey:
    found = read_master_key(file)
    if found is None:
        if list_(session):
            message = f"{file} is gone: bring it back, or set TENANTGATE_MASTER_KEY; keys in the database need it"
            raise MasterKeyError("master_key_missing", message)
        write_master_key(file, new_master_key(random_bytes))
        found = read_master_key(file)
        if found is None:
            raise MasterKeyError("master_key_unwritable", f"{file} went away again")
    try:
        open_all(session, found)
    except MasterKeyError as error:
        coming = read_master_key(file.with_name(file.name + NEXT)) if error.code == "master_key_wrong" else None
        if coming is None:
            raise
        open_all(session, coming)
        take_next(file)
        return coming
    return found
