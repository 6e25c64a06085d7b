"""The master key: read strictly, shown nowhere, made once beside a file, changed without a gap."""

from __future__ import annotations

import os
import stat
import threading
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest

from tenantgate.registry import product_keys
from tenantgate.registry.errors import DatabaseError, MasterKeyError
from tenantgate.registry.key_opening import next_master_key, open_master_key
from tenantgate.registry.master_key import (
    NEXT,
    MasterKey,
    new_master_key,
    parse_master_key,
    read_master_key,
    take_next,
    write_master_key,
)
from tests.registry.builders import NOW, Registry, counting_bytes, counting_ids, work_on

pytestmark = pytest.mark.file
RANDOM = counting_bytes(70)
GOOD = new_master_key(RANDOM)


def code_of(call: object, *arguments: object) -> str:
    """The code of a refusal, whose message shows nothing of a key."""
    with pytest.raises(MasterKeyError) as caught:
        call(*arguments)  # type: ignore[operator]
    assert GOOD[:12] not in str(caught.value)
    return caught.value.code


@pytest.fixture
def file(registry: Registry) -> Path:
    """Where the master key of the registry's database lies."""
    return Path(f"{registry.path}.master-key")


def opened(registry: Registry, file: Path, given: MasterKey | None = None) -> product_keys.ProductKeys:
    """The product's keys as `serve` opens them."""
    master = open_master_key(registry.engine, given, file, RANDOM)
    keys = product_keys.ProductKeys(
        registry.engine,
        master,
        now=lambda: NOW,
        clock=lambda: 0.0,
        new_id=counting_ids(71),
        random_bytes=RANDOM,
    )
    keys.check()
    return keys


def opened_patiently(registry: Registry, file: Path) -> product_keys.ProductKeys:
    """The same, where others write: whoever has waited in vain for a writer that stands still comes again."""
    for _ in range(10):
        try:
            return opened(registry, file)
        except DatabaseError as error:
            if error.code != "database_busy":
                raise
    return opened(registry, file)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "secret",
        GOOD[:-1],
        f"{GOOD}=",
        f" {GOOD}",
        f"{GOOD}\n",
        GOOD[:-1] + "B",  # the last character holds two bits that are no part of 32 bytes
        f"{GOOD[:20]}+{GOOD[21:]}",
        "A" * 43,
        urlsafe_b64encode(b"changeme" * 4).decode().rstrip("="),
        GOOD + GOOD,
    ],
)
def test_only_32_random_bytes_are_a_master_key(text: str):
    """One spelling, nothing around it, and no placeholder."""
    assert code_of(parse_master_key, text) == "master_key_malformed"


def test_a_good_one_is_taken():
    """What `master-key create` prints."""
    assert isinstance(parse_master_key(GOOD), MasterKey)


def test_the_first_server_makes_the_file_and_every_other_takes_it(registry: Registry, file: Path):
    """For its owner alone; several that start at once end up with one."""
    before = os.umask(0)
    found: list[bytes] = []

    def start() -> None:
        found.append(opened_patiently(registry, file).get("session"))

    threads = [threading.Thread(target=start) for _ in range(6)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    finally:
        os.umask(before)

    assert len(found) == 6
    assert len(set(found)) == 1
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir() if "master" in path.name] == [file.name]


def test_a_file_that_is_gone_is_not_made_anew(registry: Registry, file: Path):
    """Keys in the database need the old one: it is asked for, and nothing is put in its place."""
    opened(registry, file)
    file.unlink()
    assert code_of(open_master_key, registry.engine, None, file, RANDOM) == "master_key_missing"
    assert not file.exists()


def test_without_a_file_for_it_the_setting_is_needed(registry: Registry):
    """As with PostgreSQL."""
    assert code_of(open_master_key, registry.engine, None, None, RANDOM) == "master_key_missing"


def test_another_key_in_the_file_is_refused_and_kept(registry: Registry, file: Path):
    """So is another one in the setting; the database stays as it was."""
    opened(registry, file)
    other = new_master_key(RANDOM)
    file.write_text(f"{other}\n")
    assert code_of(open_master_key, registry.engine, None, file, RANDOM) == "master_key_wrong"
    assert code_of(open_master_key, registry.engine, parse_master_key(other), file, RANDOM) == "master_key_wrong"
    assert file.read_text() == f"{other}\n"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o700 | 0o007])
def test_a_file_that_others_may_open_is_refused(file: Path, mode: int):
    """Whoever can read it can make sessions."""
    write_master_key(file, GOOD)
    file.chmod(mode)
    assert code_of(read_master_key, file) == "master_key_unsafe"


def test_what_is_no_file_of_ours_is_refused(file: Path, tmp_path: Path):
    """A link, a folder, a pipe, another user's file, a text that is no key."""
    write_master_key(tmp_path / "real", GOOD)
    file.symlink_to(tmp_path / "real")
    assert code_of(read_master_key, file) == "master_key_unreadable"
    file.unlink()
    os.mkfifo(file, 0o600)
    assert code_of(read_master_key, file) == "master_key_unsafe"
    file.unlink()
    file.mkdir()
    assert code_of(read_master_key, file) == "master_key_unsafe"
    file.rmdir()
    for content in (b"", b"\xff\xfe", GOOD.encode() + b"\n\n", b"x" * 1000):
        file.write_bytes(content)
        file.chmod(0o600)
        assert code_of(read_master_key, file) == "master_key_malformed"
    if os.geteuid() == 0:
        os.chown(file, 65534, -1)
        assert code_of(read_master_key, file) == "master_key_unsafe"


def test_a_file_that_is_there_is_never_written_over(file: Path):
    """Whatever is in it."""
    file.write_text("somebody's")
    assert write_master_key(file, GOOD) is False
    assert file.read_text() == "somebody's"
    assert [path.name for path in file.parent.iterdir() if "master" in path.name] == [file.name]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path):
    """The file cannot be made, and that is said."""
    assert code_of(write_master_key, tmp_path / "no" / "key", GOOD) == "master_key_unwritable"


def seal_anew(registry: Registry, file: Path, *, commit: bool = True) -> None:
    """The half of a rotation that is in the database."""
    old = open_master_key(registry.engine, None, file, RANDOM)
    new = next_master_key(file, RANDOM)
    if commit:
        with work_on(registry.engine) as work:
            product_keys.seal_anew(work, old, new, random_bytes=RANDOM)


def test_a_rotation_killed_before_the_commit_changed_nothing(registry: Registry, file: Path):
    """The key to come lies there and is used by nobody; the next rotation takes it."""
    secret = opened(registry, file).get("session")
    before = file.read_text()
    seal_anew(registry, file, commit=False)

    assert opened(registry, file).get("session") == secret
    assert file.read_text() == before
    seal_anew(registry, file)
    take_next(file)
    assert file.read_text() != before
    assert opened(registry, file).get("session") == secret


def test_a_rotation_killed_after_the_commit_is_ended_by_the_next_start(registry: Registry, file: Path):
    """The file has the old key and the database the new one: what lies beside it takes its place."""
    secret = opened(registry, file).get("session")
    before = file.read_text()
    seal_anew(registry, file)

    assert opened(registry, file).get("session") == secret
    assert file.read_text() != before
    assert not file.with_name(file.name + NEXT).exists()
