"""Explains tokens to operators by the policy in the database. Nothing is stored, nothing logged, nothing fetched.

One index for the process, made when somebody first asks and brought up to date by what changed since; so an
explanation costs two judgements, not a policy. A token chooses no address: keys are those at hand.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Final, NamedTuple

from sqlalchemy.engine import Engine
from sqlmodel import Session

from tenantgate.admin.problems import RateLimited
from tenantgate.core.index import PolicyIndex
from tenantgate.core.keys import KeySource
from tenantgate.core.policy import PolicyError
from tenantgate.core.rendering import OperatorView, for_operator
from tenantgate.core.token import READER, TokenReader
from tenantgate.core.trace import explain
from tenantgate.feed.source import Mark
from tenantgate.registry.engine import reading
from tenantgate.registry.errors import DatabaseError
from tenantgate.registry.snapshot import mark_of, read_changes, read_snapshot, read_state, remembers
from tenantgate.registry.tables import Revision

WAIT: Final = 5.0
"""Seconds that one question waits for those before it: the first one reads the whole policy."""

AT_ONCE: Final = 4
"""Questions under way in one process, the one that is answered included: each holds a thread of the server."""

KeysAtHand = Callable[[PolicyIndex, str], KeySource]
"""Returns the keys that this process has for the issuers of a policy and one resource. Fetches nothing."""


class TooManyExplanations(RateLimited):
    """Others are being explained to, and it takes long."""

    def __init__(self) -> None:
        message = "Explanations are made one after the other; there are too many now."
        super().__init__("rate_limited", message, retry_after=math.ceil(WAIT))


class Explained(NamedTuple):
    """An explanation, and the revision of the policy that it is by."""

    view: OperatorView
    revision: int


class Explaining:
    """Any thread. `keys` are those at hand, `reader` bounds how much of a token is read."""

    def __init__(self, keys: KeysAtHand, reader: TokenReader = READER) -> None:
        self._keys = keys
        self._reader = reader
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(AT_ONCE)
        self._index: PolicyIndex | None = None
        self._mark: Mark | None = None

    def run(
        self, engine: Engine, token: str, resource: str, roles: tuple[str, ...], at: float, peer: str | None = None
    ) -> Explained:
        """Explain an untrusted token as of `at` (epoch seconds).

        Raises:
            TooManyExplanations: nothing was looked at.
            RegistryError: the policy cannot be read.
        """
        # Who waits in a thread keeps the rest of the administration waiting: a few may, and nobody for long.
        if not self._places.acquire(blocking=False):
            raise TooManyExplanations
        try:
            if not self._lock.acquire(timeout=WAIT):
                raise TooManyExplanations
            try:
                return self._run(engine, token, resource, roles, at, peer)
            finally:
                self._lock.release()
        finally:
            self._places.release()

    def _run(
        self, engine: Engine, token: str, resource: str, roles: tuple[str, ...], at: float, peer: str | None
    ) -> Explained:
        index = self._refreshed(engine)
        keys = self._keys(index, resource)
        trace = explain(token, index, keys, resource, roles, at, peer=peer, reader=self._reader)
        index.recognised.clear()  # what was learnt of a token is not kept
        return Explained(for_operator(trace), index.revision)

    def _refreshed(self, engine: Engine) -> PolicyIndex:
        """Return the index of the database's revision. Under the lock: nobody judges by it meanwhile."""
        try:
            with reading(engine) as session:
                state = read_state(session)
                index = self._followed(session, state)
                if index is None:
                    self._index = None  # never two of them in memory
                    index = PolicyIndex.from_snapshot(read_snapshot(session))
                self._index, self._mark = index, mark_of(state)
        except PolicyError as error:
            self._index = None
            raise DatabaseError("row_malformed", str(error)) from None
        return index

    def _followed(self, session: Session, state: Revision) -> PolicyIndex | None:
        """Return the index there was with what changed since; None where the whole is needed: it is of another history.

        A backup that was put back goes on from its own revision, and passes ours.
        """
        index, last = self._index, self._mark
        if index is None or last is None or last.epoch != state.epoch or not remembers(session, state, last):
            return None
        if index.revision == state.revision:
            return index
        changes = read_changes(session, index.revision)
        if changes is None:
            return None
        index.apply(changes)
        return index
