"""The seam between a gate and whatever holds the policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

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
