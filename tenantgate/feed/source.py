"""The seam between a gate and whatever holds the policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from tenantgate.core.policy import PolicyDelta, PolicySnapshot


class FeedError(Exception):
    """A source cannot deliver a policy now; what is in force stays in force. `code` is stable."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class PolicySource(Protocol):
    """Delivers the policy to one gate. Every method may block: each source has a worker thread of its own.

    A source notices by itself that it runs in a forked child and uses nothing it inherited.
    The rows it delivers are trusted. A source never delivers an empty policy because something is
    missing or broken: it raises.
    """

    def load(self) -> PolicySnapshot:
        """Return the whole policy. Raises FeedError where there is none to be had."""
        ...

    def wait(self, timeout: float) -> PolicySnapshot | PolicyDelta | None:
        """Wait up to `timeout` seconds for something newer than what was delivered last.

        Returns a delta, or a whole snapshot where a delta cannot be given (another epoch), or None
        when nothing came. Raises FeedError; the caller may call again.
        """
        ...

    def acknowledge(self, revision: int) -> None:
        """Tell the source that this gate now enforces `revision`."""
        ...

    def report(self, keys: Callable[[], list[dict[str, Any]]]) -> None:
        """Tell the source whom to ask how the issuers' key sets are doing here (`discovery.health`). Never blocks."""
        ...

    def close(self) -> None:
        """Release what the source holds; a `wait` under way in another thread returns soon."""
        ...


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """How far a source got: what it may never fall behind of.

    `epoch` is the history it is of, `supersedes` those that an operator gave up for it (`policy adopt`); the audit's
    head is of the moment in which the revision was read.
    """

    epoch: str
    revision: int
    audit_sequence: int
    audit_hash: str
    supersedes: tuple[str, ...] = ()

    def covers(self, other: Mark) -> bool:
        """Whether this is as far as another one, or further: in its history, or in one that took its place."""
        if self.epoch == other.epoch:
            return self.revision >= other.revision
        return other.epoch in self.supersedes


class GuardedSource(PolicySource, Protocol):
    """A PolicySource on a database that may turn out to be an older one than it was."""

    @property
    def refusal(self) -> FeedError | None:
        """Why it is not followed though it can be read: it lacks what was seen. None where it is, or nobody knows."""
        ...


class MarkedSource(GuardedSource, Protocol):
    """A PolicySource that can tell a step back, also one that was made while this process did not run."""

    @property
    def mark(self) -> Mark | None:
        """How far it got: of what was delivered last, or what `resume` said."""
        ...

    def resume(self, mark: Mark) -> None:
        """Never deliver what is behind `mark`, and begin with a whole policy. One behind its own adds nothing."""
        ...
