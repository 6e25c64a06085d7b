"""One request on its way through the page: what every view gets."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import HTMLResponse

from tenantgate.admin.context import AdminContext
from tenantgate.registry import sessions
from tenantgate.registry.engine import reading, writing
from tenantgate.registry.errors import DatabaseError
from tenantgate.registry.unit_of_work import Actor, Work, unit_of_work
from tenantgate.web.forms import Form
from tenantgate.web.guard import Visitor, identify, require_writer, token_of
from tenantgate.web.limits import Turnstile, spend
from tenantgate.web.rendering import render
from tenantgate.web.tally import Tally

log: Final = logging.getLogger("tenantgate.web")


@dataclass(frozen=True, slots=True)
class Call:
    """A request, its form (empty unless posted), and when it came (epoch seconds).

    `turnstile` counts by address what this page is asked for too often.
    """

    context: AdminContext
    request: Request
    form: Form
    now: int
    id: str
    tally: Tally
    turnstile: Turnstile

    @property
    def address(self) -> str:
        """Where the request came from, as far as we can see; a proxy in front of us is what we see."""
        return self.request.client.host if self.request.client else ""

    @property
    def htmx(self) -> bool:
        """Whether htmx asks, for a part of the page."""
        return self.request.headers.get("hx-request") == "true"

    def asked(self, name: str, limit: int = 200) -> str:
        """Return a parameter of the address (untrusted), at most `limit` characters of it."""
        return self.request.query_params.get(name, "").strip()[:limit]

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a session that sees one moment and cannot write."""
        with reading(self.context.engine) as session:
            yield session

    def visitor(self, *, asked_by_itself: bool = False) -> Visitor:
        """Return who is signed in, and set their session's idle clock back where it is due.

        Not where a page asked by itself: one that is left open would keep its session for as long.

        Raises:
            SignInNeeded: nobody is.
        """
        with self.reading() as session:
            found = identify(session, token_of(self.request, self.context), now=self.now)
        if not asked_by_itself and sessions.needs_touch(found.session, now=self.now):
            self._touch(found)
        return found

    def spend(self, visitor: Visitor, *, asked_by_itself: bool = False) -> None:
        """Take one of the visitor's requests: the same ones, whichever credential they come with.

        Raises:
            TooOften: there is none left.
        """
        spend(self.context.rates, visitor.operator.id, asked_by_itself=asked_by_itself)

    @contextmanager
    def work(self, visitor: Visitor) -> Iterator[Work]:
        """Begin a change in the visitor's name. Asked again inside: the session may have ended since the last look.

        Raises:
            SignInNeeded, RoleRefused: it has, or the role was taken away.
        """
        key = visitor.session.admin_key or ""
        actor = Actor(visitor.operator.id, "session", self.address, self.id, key)
        context = self.context
        reserved = context.reserved_audiences
        with unit_of_work(
            context.engine, actor=actor, now=self.now, new_id=context.new_id, reserved_audiences=reserved
        ) as work:
            require_writer(identify(work.session, visitor.token, now=self.now))
            yield work

    def page(self, template: str, visitor: Visitor | None, *, status: int = 200, **values: Any) -> HTMLResponse:
        """Return a page; who is signed in, where we are and what waits is in the frame around it."""
        frame: dict[str, Any] = {"visitor": visitor, "path": self.request.url.path, "now": self.now}
        if visitor is not None and not template.startswith("_"):
            with self.reading() as session:
                frame["waiting"] = self.tally.read(session, now=self.now)
        return render(template, frame | values, status=status)

    def _touch(self, visitor: Visitor) -> None:
        # A database that cannot be written may still be looked at: the session only ends a little earlier.
        try:
            with writing(self.context.engine) as session:
                sessions.touch(session, visitor.session, now=self.now)
        except DatabaseError as error:
            log.warning("the idle clock of a session could not be set", extra={"code": error.code})
