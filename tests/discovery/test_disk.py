"""Files of keys: whole or not at all, ours alone, and nobody waits for them."""

from __future__ import annotations

import logging
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tenantgate.core.policy import IssuerRow
from tenantgate.discovery import disk as module
from tenantgate.discovery.disk import Disk, KeptKeys
from tenantgate.discovery.stored import Stored, StoredSet, row_digest
from tenantgate.files import StateDirUnusable
from tests.builders import signer
from tests.discovery.fakes import JWKS, a_row
from tests.gate.world import eventually
from tests.real_parts import ROOT

A, B = (signer("ES256", name) for name in "ab")
ROW = a_row()


def stored(fetched_at: float = 50.0, row: IssuerRow = ROW, key: str = "a") -> Stored:
    """Return what a file holds, with a key set fetched at some time."""
    keys = ({"a": A, "b": B}[key].jwk(),)
    one = StoredSet(document="v2", jwks_uri=JWKS, metadata_at=0.0, fetched_at=fetched_at, age=0.0, keys=keys)
    return Stored(issuer=row.id, row=row_digest(row), sets=(one,))


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is to be written is there when a store was closed, on a slow machine as well."""
    monkeypatch.setattr(module, "_CLOSING", 60.0)


def a_disk(folder: Path, wall: float = 100.0) -> Disk:
    """Return a store in a folder."""
    return Disk(folder, lambda: wall)


def written(folder: Path, *states: Stored, row: IssuerRow = ROW) -> Path:
    """Have states written one after the other; return the issuer's file."""
    for each in states:
        disk = a_disk(folder)
        disk.put(row, lambda state=each: state)
        disk.close()
    return folder / "keys" / f"{row.id}.json"


def files_in(folder: Path) -> list[Path]:
    """Return what is in a folder, but for the lock of those who write there."""
    return sorted(path for path in folder.iterdir() if path.name != ".lock")


def test_what_was_put_is_loaded_by_the_next_process(tmp_path: Path):
    """And what was never put is not."""
    path = written(tmp_path, stored())

    assert a_disk(tmp_path).load(ROW) == stored()
    assert a_disk(tmp_path).load(a_row(id="other")) is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert files_in(path.parent) == [path]


def test_of_what_waits_the_newest_is_written(tmp_path: Path):
    """While the disk is busy, states of one issuer take each other's place; other issuers' wait beside them."""
    disk, begun, go_on = a_disk(tmp_path), threading.Event(), threading.Event()
    rendered: list[float] = []

    def slowly() -> Stored:
        begun.set()
        assert go_on.wait(10)
        return stored(1.0)

    def render(at: float, row: IssuerRow = ROW) -> Callable[[], Stored]:
        return lambda: (rendered.append(at), stored(at, row))[1]

    other = a_row(id="other")
    disk.put(ROW, slowly)
    assert begun.wait(10)
    for at in (2.0, 3.0, 4.0):
        disk.put(ROW, render(at))
    disk.put(other, render(9.0, other))
    go_on.set()
    disk.close()

    assert rendered == [4.0, 9.0]
    assert a_disk(tmp_path).load(ROW) == stored(4.0)
    assert a_disk(tmp_path).load(other) == stored(9.0, other)


def test_the_newest_fetch_of_several_processes_stays(tmp_path: Path):
    """A process whose fetches fail writes on, and undoes nothing."""
    written(tmp_path, stored(60.0, key="b"), stored(50.0))

    assert a_disk(tmp_path).load(ROW) == stored(60.0, key="b")


def test_what_cannot_be_read_is_replaced(tmp_path: Path):
    """A damaged file keeps nobody from writing a good one."""
    path = written(tmp_path, stored())
    path.write_bytes(b"garbage")

    written(tmp_path, stored(70.0))

    assert a_disk(tmp_path).load(ROW) == stored(70.0)


def test_another_rows_file_is_replaced(tmp_path: Path):
    """The row has changed: what was learnt of the old one is no one's."""
    written(tmp_path, stored(60.0))
    changed = a_row(algorithms=("ES256",))
    written(tmp_path, stored(50.0, changed), row=changed)

    assert a_disk(tmp_path).load(changed) == stored(50.0, changed)


def _damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def _open_to_all(path: Path) -> None:
    path.chmod(0o666)


def _open_to_a_group(path: Path) -> None:
    path.chmod(0o620)


def _link(path: Path) -> None:
    elsewhere = path.with_name("elsewhere")
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def _too_large(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate((8 << 20) + 1)


def _of_somebody_else(path: Path) -> None:
    os.chown(path, 12345, 12345)


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        (_damage, "stored_damaged"),
        (_open_to_all, "stored_unreadable"),
        (_open_to_a_group, "stored_unreadable"),
        (_link, "stored_unreadable"),
        (_folder, "stored_unreadable"),
        (_pipe, "stored_unreadable"),
        (_too_large, "stored_unreadable"),
        pytest.param(
            _of_somebody_else,
            "stored_unreadable",
            marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away"),
        ),
    ],
)
def test_what_is_not_ours_alone_is_not_believed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, harm: Callable[[Path], None], code: str
):
    """Whoever can write there could say which keys are an issuer's. It is said, and the issuer begins without keys."""
    harm(written(tmp_path, stored()))

    assert a_disk(tmp_path).load(ROW) is None
    records = [record for record in caplog.records if record.name == "tenantgate.discovery"]
    assert [(record.levelno, record.__dict__["code"], record.__dict__["issuer"]) for record in records] == [
        (logging.WARNING, code, "globex")
    ]


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path, mode: int):
    """At the start: everything in it would be theirs to say."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys").chmod(mode)

    with pytest.raises(StateDirUnusable, match="others may write to it"):
        a_disk(tmp_path)


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path):
    """There is nowhere to write to."""
    (tmp_path / "keys").write_text("")

    with pytest.raises(StateDirUnusable, match="File exists"):
        a_disk(tmp_path)


def test_a_disk_that_fails_is_said_once_and_again_when_it_works(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    """Nobody who judges hears of it; nothing half-written stays, and the old file does."""
    caplog.set_level(logging.INFO, logger="tenantgate.discovery")
    path = written(tmp_path, stored(10.0))
    disk = a_disk(tmp_path)
    broken = True

    def fsync(handle: int, really: Callable[[int], None] = os.fsync) -> None:
        if broken:
            raise OSError(28, "No space left on device")
        really(handle)

    monkeypatch.setattr(module.os, "fsync", fsync)
    for _ in range(3):
        disk.put(ROW, lambda: stored(20.0))
        eventually(lambda: disk._thread is None)
    assert a_disk(tmp_path).load(ROW) == stored(10.0)
    assert files_in(path.parent) == [path]
    broken = False
    disk.put(ROW, lambda: stored(30.0))
    disk.close()

    assert a_disk(tmp_path).load(ROW) == stored(30.0)
    said = [(record.levelno, record.getMessage()) for record in caplog.records]
    assert said == [
        (logging.WARNING, "keys cannot be written to disk: No space left on device"),
        (logging.INFO, "keys are written to disk again"),
    ]


def test_a_defect_ends_no_thread(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """What cannot be rendered is said, and the next is written."""
    disk, other = a_disk(tmp_path), a_row(id="other")

    def defect() -> Stored:
        raise KeyError("x")

    disk.put(ROW, defect)
    disk.put(other, lambda: stored(5.0, other))
    disk.close()

    assert a_disk(tmp_path).load(other) == stored(5.0, other)
    assert [record.getMessage() for record in caplog.records] == [
        "keys cannot be written to disk: unexpected: KeyError"
    ]


def test_a_disk_that_hangs_delays_neither_fetch_nor_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`put` returns at once, and `close` after a short while."""
    monkeypatch.setattr(module, "_CLOSING", 0.05)
    disk, go_on = a_disk(tmp_path), threading.Event()
    begun = time.monotonic()

    def hang() -> Stored:
        assert go_on.wait(60)
        return stored()

    disk.put(ROW, hang)
    disk.put(ROW, hang)
    disk.close()
    assert time.monotonic() - begun < 50
    assert not (tmp_path / "keys" / "globex.json").exists()
    go_on.set()


def test_nothing_is_taken_after_the_end(tmp_path: Path):
    """A store that was closed writes no more."""
    disk = a_disk(tmp_path)
    disk.close()
    disk.put(ROW, stored)

    assert disk._thread is None
    assert a_disk(tmp_path).load(ROW) is None


def test_a_machine_without_threads_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    """The next fetch tries again."""
    disk = a_disk(tmp_path)

    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        disk.put(ROW, stored)
    assert "no thread could be started" in caplog.text
    disk.put(ROW, stored)
    disk.close()

    assert a_disk(tmp_path).load(ROW) == stored()


def test_what_killed_processes_left_is_cleared_away(tmp_path: Path):
    """After an hour: nobody writes that long."""
    path = written(tmp_path, stored())
    old, new = (path.with_name(f".globex.{name}.new") for name in ("old", "new"))
    for each, at in ((old, 1000.0), (new, 5000.0)):
        each.write_text("half")
        os.utime(each, (at, at))

    a_disk(tmp_path, wall=5000.0)

    assert files_in(path.parent) == sorted((new, path))


def test_a_child_writes_by_a_thread_of_its_own(tmp_path: Path):
    """What the parent was about to write the parent writes."""
    disk, go_on = a_disk(tmp_path), threading.Event()

    def hang() -> Stored:
        assert go_on.wait(10)
        return stored(1.0)

    disk.put(ROW, hang)
    child = os.fork()
    if not child:
        disk.reset_after_fork()
        disk.put(ROW, lambda: stored(2.0))
        disk.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert a_disk(tmp_path).load(ROW) == stored(2.0)
    go_on.set()
    disk.close()
    assert a_disk(tmp_path).load(ROW) == stored(2.0)


PUTTING = """
import sys, time
from pathlib import Path
from tenantgate.discovery import disk as module
from tenantgate.discovery.disk import Disk
from tests.discovery.test_disk import ROW, at

module._TRIES = 10_000  # whoever stands still with the lock is waited for
disk = Disk(Path(sys.argv[1]), time.time)
for number in range(200):
    disk.put(ROW, lambda number=number: at(int(sys.argv[2]) + 2.0 * number))
    while disk._thread is not None:
        time.sleep(0)
disk.close()
"""


def at(fetched_at: float) -> Stored:
    """Return what was fetched then."""
    (one,) = stored(2.0).sets
    return msgspec.structs.replace(stored(2.0), sets=(msgspec.structs.replace(one, fetched_at=fetched_at, age=0.0),))


def test_the_newest_stays_whoever_writes_at_the_same_moment(tmp_path: Path):
    """Two processes that each read and replace: neither undoes what the other has just written."""
    begun = int(time.time()) - 1000
    writers = [
        subprocess.Popen([sys.executable, "-c", PUTTING, str(tmp_path), str(begun + place)], cwd=ROOT)
        for place in range(2)
    ]
    newest = 0.0
    kept = KeptKeys(tmp_path)
    while any(writer.poll() is None for writer in writers):
        found = kept.load(ROW)
        if found is not None:
            assert found.sets[0].fetched_at >= newest
            newest = found.sets[0].fetched_at
    assert [writer.wait(60) for writer in writers] == [0, 0]
    last = kept.load(ROW)
    assert last is not None
    assert last.sets[0].fetched_at == begun + 1 + 2.0 * 199
