"""Servers under load while their database fails: who wrote what was acknowledged, and whom the gates let in.

`TENANTGATE_FAULT_SCALE` (0.05 where nothing is said) says how long a fault lasts and how often it comes.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from httpx2 import HTTPError, Response
from sqlalchemy.engine import Engine
from sqlmodel import select

from tenantgate.registry.audit import verify_chain
from tenantgate.registry.engine import open_engine, reading
from tenantgate.registry.errors import DATABASE_CODES
from tenantgate.registry.tables import Partner, Revision
from tests.faults.process import SCALE
from tests.servers import Prepared, Server

log: Final = logging.getLogger("tests.faults")

HOLD: Final = max(2.0, 40 * SCALE)
"""Seconds that a fault lasts."""
LONGEST: Final = 60.0
"""Seconds after which what has not healed never will, on a machine that is busy with other things."""
_LOADS: Final = itertools.count(1)
HEALS: Final = 5.0
"""Seconds within which it must at the product's own pace (scale 1); below that it is measured and told."""
OPENS: Final = 30.0
"""The same for an administration that was closed at the start of its server: it is put together only then."""


class Load:
    """Writers and callers, each a thread. `acknowledged` and `suspended` are what writers were told is done."""

    def __init__(self, servers: Sequence[Server], prepared: Prepared, *, writers: int = 3, callers: int = 2) -> None:
        self.servers = servers
        self.prepared = prepared
        self.acknowledged: set[str] = set()
        self.suspended: set[str] = set()
        self.revision = 0
        self.refused: Counter[tuple[int, str, str]] = Counter()
        self.lost = 0
        self.granted = 0
        self.wrong: Counter[str] = Counter()
        self.wrong_yes = 0
        self._name = f"load-{next(_LOADS)}"
        self._numbers = itertools.count(1)
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(place,)) for place in range(writers)]
        self._threads += [threading.Thread(target=self._call, args=(place,)) for place in range(callers)]

    def _write(self, place: int) -> None:
        """Make partners and suspend every second one; an id that was refused is never used again."""
        for turn in itertools.count(place):
            if self._stop.is_set():
                return
            id_ = f"{self._name}-{next(self._numbers)}"
            server = self.servers[turn % len(self.servers)]
            if self._change(server, "/partners", {"id": id_, "name": "Load"}, self.acknowledged, id_) and turn % 2:
                self._change(server, f"/partners/{id_}/suspend", {}, self.suspended, id_)

    def _change(self, server: Server, path: str, body: dict[str, str], done: set[str], id_: str) -> bool:
        try:
            answer = server.rest(self.prepared.admin_key, "POST", path, body)
        except (HTTPError, RuntimeError):  # killed, or its client was closed: nobody knows whether it was done
            self.lost += 1
            self._stop.wait(0.05)
            return False
        if answer.is_success:
            done.add(id_)
            self.revision = max(self.revision, int(answer.headers.get("X-TG-Revision", 0)))
            return True
        self.refused[answer.status_code, code_of(answer), answer.headers.get("Retry-After", "")] += 1
        self._stop.wait(0.05)
        return False

    def _call(self, place: int) -> None:
        """Ask about the partner who is welcome, and about the one who was suspended before."""
        good, suspended = self.prepared.token("contoso"), self.prepared.token("fabrikam")
        for turn in itertools.count(place):
            if self._stop.is_set():
                return
            server = self.servers[turn % len(self.servers)]
            try:
                answer, other = server.check(good), server.check(suspended)
            except (HTTPError, RuntimeError):
                self._stop.wait(0.05)
                continue
            if answer.status_code == 200:
                self.granted += 1
            else:
                self.wrong[f"{answer.status_code} {answer.headers.get('X-TG-Reason', '')}"] += 1
            self.wrong_yes += other.status_code == 200
            self._stop.wait(0.01)

    def __enter__(self) -> Load:
        """Suspend one partner everywhere, then begin."""
        token = self.prepared.token("fabrikam")
        answer = self.servers[0].sure(self.prepared.admin_key, "POST", "/partners/fabrikam/suspend")
        assert answer.status_code in {200, 409}, answer.text
        for server in self.servers:
            wait_for(lambda server=server: server.allows(token) is False)  # type: ignore[misc]
        for thread in self._threads:
            thread.start()
        wait_for(lambda: len(self.acknowledged) > 20 and self.granted > 5)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End it, and wait until nobody is on the way any more."""
        self._stop.set()
        for thread in self._threads:
            thread.join(LONGEST)
            assert not thread.is_alive()

    def healed(self) -> float:
        """Wait until every server makes changes again; return how many seconds that took."""
        begun = time.monotonic()
        for place, server in enumerate(self.servers):
            wait_for(lambda server=server, place=place: self._heals(server, place))  # type: ignore[misc]
        return time.monotonic() - begun

    def _heals(self, server: Server, place: int) -> bool:
        id_ = f"{self._name}-heals-{place}-{next(self._numbers)}"
        return self._change(server, "/partners", {"id": id_, "name": "Load"}, self.acknowledged, id_)

    def told(self, fault: str, seconds: float, within: float = HEALS) -> None:
        """Write down what came of it; in the long form it was in time (`within`, seconds)."""
        log.info(
            "%s: healed %.2f s after its end (to hold: %.0f); "
            "%d changes acknowledged, %d refused, %d without an answer; %d calls let in",
            fault,
            seconds,
            within,
            len(self.acknowledged) + len(self.suspended),
            self.refused.total(),
            self.lost,
            self.granted,
        )
        assert SCALE < 1 or seconds <= within, f"{fault}: not healed within {within:.0f} s but after {seconds:.2f} s"


def code_of(answer: Response) -> str:
    """Return the stable code of a problem."""
    try:
        return str(answer.json()["code"])
    except (ValueError, KeyError):
        return answer.text[:80]


def wait_for(condition: Callable[[], bool], seconds: float = LONGEST) -> None:
    """Wait until something holds; fail where it never does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.02)


def assert_nobody_noticed(load: Load) -> None:
    """Validation went on: who is welcome was let in by every answer there was, who is suspended by none."""
    assert load.wrong == {}
    assert load.wrong_yes == 0
    assert load.granted > 0


def assert_refusals_say_why(load: Load, codes: set[str]) -> None:
    """What was not done was refused with 503, one of these codes, and when to come again."""
    assert codes <= DATABASE_CODES.keys()
    assert {code for _, code, _ in load.refused} <= codes, load.refused
    assert {status for status, _, _ in load.refused} <= {503}
    assert "" not in {later for _, _, later in load.refused}


def assert_nothing_was_lost(load: Load, url: str) -> None:
    """Everything acknowledged is in the database, nothing is half there, and the audit is whole."""
    with opened(url) as engine, reading(engine) as session:
        states = {row.id: row.state for row in session.exec(select(Partner)).all()}
        assert load.acknowledged - states.keys() == set()
        assert {id_ for id_ in load.suspended if states[id_] != "suspended"} == set()
        report = verify_chain(session)
        assert report.sound, report
        state = session.get(Revision, 1)
        assert state is not None
        assert state.revision >= load.revision


@contextmanager
def opened(url: str) -> Iterator[Engine]:
    """Open a database past the servers."""
    engine = open_engine(url, create=False)
    try:
        yield engine
    finally:
        engine.dispose()
