"""An API with an embedded gate in gunicorn's workers, and callers who note which worker said what."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from tests.faults.load import LONGEST, wait_for
from tests.real_parts import ROOT
from tests.servers import Prepared, environment_of

WELCOME: Final = "globex"
CHANGING: Final = "initech"
MARKING: Final = "umbrella"
"""Partners: one that is always let in, one that is suspended and comes back, and one whose calls mark a point."""
_APP: Final = """
import os
from tenantgate import RequestView, open_gate

gate = open_gate(os.environ["DATABASE"], resource="orders", state_dir=os.environ["STATE"])


def app(environ, start_response):
    headers = [(b"authorization", environ.get("HTTP_AUTHORIZATION", "").encode())]
    answer = gate.answer(gate.decide(RequestView("GET", "/", headers)))
    start_response(f"{answer.status} X", [("X-Pid", str(os.getpid())), ("Content-Length", "0")])
    return [b""]
"""
_CONFIGURATION: Final = """
def worker_exit(server, worker):
    from application import gate

    gate.close()
"""


class Workers:
    """Gunicorn over a database. With `preload` one process opens the gate and forks three workers; else two do so."""

    def __init__(self, url: str, folder: Path, *, preload: bool) -> None:
        self.count = 3 if preload else 2
        (folder / "application.py").write_text(_APP)
        (folder / "gunicorn.conf.py").write_text(_CONFIGURATION)
        self.state = folder / "state"
        self.log = folder / "gunicorn.log"
        self._preload = preload
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            self._port = bound.getsockname()[1]
        environment = environment_of(url) | {"DATABASE": url, "STATE": str(self.state)}
        command = [sys.executable, "-m", "gunicorn", "-w", str(self.count), "-b", f"127.0.0.1:{self._port}"]
        command += ["--timeout", "600"]  # else it kills a worker that a test has frozen
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *(["--preload"] if preload else []), "application:app"],
                cwd=folder,
                env=environment | {"PYTHONPATH": f"{ROOT}:{folder}"},
                stdout=log,
                stderr=log,
            )

    def pids(self) -> set[int]:
        """The workers there are now."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return set(map(int, children.split()))

    def enforcing(self) -> set[int]:
        """Whose word is needed: the workers', and with `preload` that of the one they are forked from."""
        return self.pids() | ({self.process.pid} if self._preload else set())

    def ask(self, token: str) -> tuple[int, int] | None:
        """Return the status and the worker that said so; None where no answer comes."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            connection.request("GET", "/", headers={"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            answer.read()
            return answer.status, int(answer.headers["X-Pid"])
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def kill(self) -> None:
        """SIGKILL to all of them, the first process first: it would start others."""
        pids = self.pids()
        self.process.kill()
        self.process.wait(30)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        """End it, if it runs."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()


class Callers:
    """Two threads that ask about the welcome partner and the changing one, and note which worker answered.

    `answered` counts answers by worker since they began. A call begun after `bar` that lets the changing partner in is
    a wrong yes.
    """

    def __init__(self, workers: Workers, prepared: Prepared) -> None:
        self._workers = workers
        self._tokens = {name: prepared.token(name) for name in (WELCOME, CHANGING, MARKING)}
        self._lock = threading.Lock()
        self.marked = 0
        self.wrong: Counter[str] = Counter()
        self.wrong_yes: list[int] = []
        self._forget()

    def _forget(self) -> None:
        self.answered: Counter[int] = Counter()
        self.refused: Counter[int] = Counter()
        self.unanswered = 0
        self._barred = False
        self._stop = threading.Event()

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Ask again and again until the block ends; then nobody is on the way any more."""
        self._forget()
        threads = [threading.Thread(target=self._call) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(LONGEST)
                assert not thread.is_alive()

    def bar(self) -> None:
        """From now on nobody lets the changing partner in."""
        self._barred = True

    def mark(self) -> None:
        """Have every worker decide something that stands behind all it has decided before."""
        seen: set[int] = set()

        def all_marked() -> bool:
            if (found := self._workers.ask(self._tokens[MARKING])) is not None:
                self.marked += 1
                seen.add(found[1])
            return seen >= self._workers.pids()

        wait_for(all_marked)

    def _call(self) -> None:
        while not self._stop.is_set():
            self._ask(WELCOME)
            self._ask(CHANGING)
            self._stop.wait(0.02)

    def _ask(self, partner: str) -> None:
        barred = self._barred
        found = self._workers.ask(self._tokens[partner])
        with self._lock:
            if found is None:
                self.unanswered += 1
                return
            status, worker = found
            self.answered[worker] += 1
            if partner == CHANGING and barred and status == 403:
                self.refused[worker] += 1
            elif partner == CHANGING and barred and status == 200:
                self.wrong_yes.append(worker)
            elif status != 200 and (partner, status) != (CHANGING, 403):
                self.wrong[f"{partner} {status}"] += 1
