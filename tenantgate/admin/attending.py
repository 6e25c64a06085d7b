"""How many things need a person, for the metrics: asked of the database whenever it is there, however late it came."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from sqlalchemy.engine import Engine

from tenantgate.registry import attention
from tenantgate.registry.engine import open_engine, reading
from tenantgate.registry.errors import RegistryError
from tenantgate.registry.migrations import require_known_schema

log: Final = logging.getLogger("tenantgate.server")


class Attending:
    """Any thread. `url` is where the database is, `engine` what is open of it already; `now`: epoch seconds.

    `opened` is told of an engine that is opened here: who owns the process closes it.
    """

    def __init__(
        self, url: str, engine: Engine | None, now: Callable[[], int], opened: Callable[[Engine], object]
    ) -> None:
        self._url = url
        self._tell = opened
        self._engine = engine
        self._now = now
        self._lock = threading.Lock()

    def __call__(self) -> dict[str, int] | None:
        """Return how many of each kind; None where the database cannot be asked now. Blocks."""
        try:
            with reading(self._opened()) as session:
                return {kind: len(found) for kind, found in attention.read(session, now=self._now()).items()}
        except RegistryError as error:
            log.info("what needs a person is not known: %s", error.message, extra={"code": error.code})
            return None

    def _opened(self) -> Engine:
        # A server that started while its database was away has opened none: it is asked for anew at each reading.
        with self._lock:
            if self._engine is None:
                engine = open_engine(self._url, create=False)
                try:
                    require_known_schema(engine)
                except RegistryError:
                    engine.dispose()
                    raise
                self._engine = engine
                self._tell(engine)
            return self._engine
