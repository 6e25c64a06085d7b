"""Database files with damage in them: whatever is read, nobody who was refused is let in, and every error has a code.

Thirty files of each kind are damaged; `TENANTGATE_FAULT_SCALE=1 uv run pytest tests/faults` damages six hundred.
"""

from __future__ import annotations

import random
import re
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from tenantgate.core.decision import Granted
from tenantgate.core.policy import PolicyError
from tenantgate.embed import open_gate
from tenantgate.feed.source import FeedError
from tenantgate.gate.request import RequestView
from tenantgate.registry import audit, partners
from tenantgate.registry.engine import open_engine, reading
from tenantgate.registry.errors import CODES, RegistryError
from tenantgate.registry.migrations import require_known_schema
from tenantgate.registry.partners import PartnerSpec
from tests.faults.load import code_of, log, opened
from tests.faults.process import SCALE
from tests.registry.builders import work_on
from tests.servers import Prepared, environment_of, prepare, running_servers

pytestmark = [pytest.mark.faults, pytest.mark.slow]
FILES: Final = max(30, int(600 * SCALE))
PAGE: Final = 4096


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Prepared]:
    """A database with a partner who is welcome, many others, and one who was suspended last: that is in the log."""
    path = tmp_path_factory.mktemp("sound") / "registry.db"
    prepared = prepare(f"sqlite:///{path}")
    with opened(prepared.url) as engine:
        for number in range(10):
            with work_on(engine) as work:
                for place in range(30):
                    partners.create(work, PartnerSpec(id=f"p-{number}-{place}", name=f"Partner {place}"))
        with closing(sqlite3.connect(path)) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with work_on(engine) as work:
            partners.suspend(work, "fabrikam")
        for suffix in ("", "-wal"):  # as a machine leaves them that lost its power
            shutil.copy(f"{path}{suffix}", f"{path}{suffix}.kept")
    return path, prepared


def copied(sound: Path, folder: Path, *, folded: bool) -> Path:
    """Return a copy; `folded`: with the log written into the file."""
    path = folder / "registry.db"
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    for suffix in ("", "-wal"):
        shutil.copy(f"{sound}{suffix}.kept", f"{path}{suffix}")
    if folded:
        with closing(sqlite3.connect(path)) as own:
            own.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


def pages_of(path: Path, kind: str) -> list[int]:
    """Return the numbers of the pages of tables or indexes: what the first byte of a page says it is."""
    content = path.read_bytes()
    wanted = {"table": {5, 13}, "index": {2, 10}}[kind]
    return [place for place in range(1, len(content) // PAGE) if content[place * PAGE] in wanted]


def damage(path: Path, kind: str, chance: random.Random) -> None:
    """Flip one bit, or overwrite up to a whole page, somewhere."""
    target = path.with_name("registry.db-wal") if kind == "log" else path
    content = bytearray(target.read_bytes())
    if kind == "header":
        start, length = 0, 100
    elif kind == "log":
        start, length = 0, len(content)
    else:
        start, length = chance.choice(pages_of(path, kind)) * PAGE, PAGE
    place = start + chance.randrange(length)
    if chance.random() < 0.5:
        content[place] ^= 1 << chance.randrange(8)
    else:
        size = min(chance.choice((8, 64, 1024)), start + length - place)
        content[place : place + size] = chance.randbytes(size)
    target.write_bytes(content)


def decisions(path: Path, prepared: Prepared, state: Path | None = None) -> tuple[str, bool]:
    """Open a gate over a file; return what became of it, and whether the suspended partner is let in."""
    try:
        gate = open_gate(f"sqlite:///{path}", resource="orders", state_dir=state)
    except (FeedError, PolicyError) as error:
        return error.code, False
    try:
        said = [
            isinstance(gate.decide(RequestView("GET", "/", [(b"authorization", b"Bearer " + token.encode())])), Granted)
            for token in (prepared.token("contoso"), prepared.token("fabrikam"))
        ]
    finally:
        gate.close()
    return "judged" if said[0] else "refused", said[1]


def administration(path: Path) -> str:
    """Look at a file as the administration does, and change something; return what became of it."""
    try:
        engine = open_engine(f"sqlite:///{path}", create=False)
        try:
            require_known_schema(engine)
            with reading(engine) as session:
                for row in partners.list_(session, limit=500).items:
                    assert isinstance(row.id, str)
                whole = audit.verify_chain(session).sound
            with work_on(engine) as work:
                partners.create(work, PartnerSpec(id="new", name="New"))
        finally:
            engine.dispose()
    except RegistryError as error:
        return error.code
    return "whole" if whole else "audit broken"


@pytest.mark.parametrize("kind", ["header", "table", "index"])
def test_damage_lets_nobody_in(sound: tuple[Path, Prepared], tmp_path: Path, kind: str):
    """A gate judges as before or says by a code why it cannot; the administration answers or has a code."""
    path, prepared = sound
    found: Counter[str] = Counter()
    for seed in range(FILES):
        chance = random.Random(f"{kind} {seed}")
        copy = copied(path, tmp_path, folded=True)
        damage(copy, kind, chance)
        outcome, wrong = decisions(copy, prepared)
        assert not wrong, (kind, seed)
        found[f"gate: {outcome}"] += 1
        found[f"administration: {administration(copy)}"] += 1
    log.info("%s: %s", kind, dict(found))
    assert any("corrupt" in each or "not_sqlite" in each or "row_malformed" in each for each in found), found


def test_a_damaged_log_takes_nobody_back(sound: tuple[Path, Prepared], tmp_path: Path):
    """SQLite drops what follows a damaged frame, and says nothing; who has enforced it before keeps what it knows."""
    path, prepared = sound
    state = tmp_path / "state"
    copy = copied(path, tmp_path, folded=False)
    assert decisions(copy, prepared, state) == ("judged", False)
    found: Counter[str] = Counter()
    for seed in range(FILES):
        copy = copied(path, tmp_path, folded=False)
        damage(copy, "log", random.Random(f"log {seed}"))
        kept = tmp_path / f"state-{seed}"
        shutil.copytree(state, kept)
        outcome, wrong = decisions(copy, prepared, kept)
        shutil.rmtree(kept)
        assert not wrong, seed
        found[f"gate: {outcome}"] += 1
        found[f"administration: {administration(copy)}"] += 1
    log.info("log: %s", dict(found))
    assert found["gate: judged"] > 0


def flip(path: Path, chance: random.Random) -> None:
    """Flip eight bits in every page in which partners are named, in a file that somebody has open; not in the key's."""
    content = path.read_bytes()
    with path.open("r+b") as file:
        for page in pages_of(path, "table") + pages_of(path, "index"):
            for place in [page * PAGE + chance.randrange(PAGE) for _ in range(8)]:
                if re.search(rb"p-\d-\d", content[page * PAGE : (page + 1) * PAGE]):
                    file.seek(place)
                    file.write(bytes((content[place] ^ 1 << chance.randrange(8),)))


def test_bits_flipped_under_a_server_change_no_answer_of_its_gate(sound: tuple[Path, Prepared], tmp_path: Path):
    """Over HTTP: the administration answers or says by a code why it cannot, and nothing falls over."""
    path, prepared = sound
    (tmp_path / "database").mkdir()
    copy = copied(path, tmp_path / "database", folded=True)
    settings = environment_of(f"sqlite:///{copy}", TENANTGATE_ADMIN_RATE="600000")
    found: Counter[str] = Counter()
    with running_servers(1, settings, tmp_path) as (server,):
        flip(copy, random.Random("over HTTP"))
        with closing(sqlite3.connect(copy)) as other:  # a change by anybody has all pages read anew
            other.execute("PRAGMA user_version = 1")
        for turn in range(20):
            for method, route, body in (
                ("GET", "/partners?limit=200", None),
                ("GET", "/audit", None),
                ("POST", "/partners", {"id": f"late-{turn}", "name": "Late"}),
            ):
                answer = server.rest(prepared.admin_key, method, route, body)
                code = "" if answer.is_success else code_of(answer)
                assert answer.is_success or (answer.status_code == 503 and code in CODES), answer.text
                found[f"{method} {route}: {answer.status_code} {code}"] += 1
            assert server.allows(prepared.token("contoso")) is True
            assert server.allows(prepared.token("fabrikam")) is False
        log.info("bits under a server: %s", dict(found))
        assert any("503" in each for each in found), found
        assert "Traceback" not in server.log.read_text()
