"""Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): what is asked for twice is done once.

The endpoint's unit of work is held open until its answer is made, so that both are committed together, in the thread
that made them. Without the header nothing of this happens.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import wraps
from typing import Any, Final

from fastapi import Request, Response
from pydantic import BaseModel

from tenantgate.admin.problems import RequestRefused
from tenantgate.registry import kept_answers
from tenantgate.registry.kept_answers import KeptAnswer
from tenantgate.registry.unit_of_work import Work

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = {"Idempotent-Replayed": "true"}
# A quoted string (RFC 8941 §3.3.3, without escapes), or the same without quotes, as many send it.
_KEY: Final = re.compile(r'"([\x20\x21\x23-\x5b\x5d-\x7e]{1,255})"|([!#-+\--:<-\[\]-~]{1,255})')


class Repeated(Exception):
    """The request was answered before."""

    def __init__(self, kept: KeptAnswer) -> None:
        super().__init__()
        self.kept = kept


class Once:
    """One request that may come again. `begin` is asked for its unit of work, once."""

    def __init__(self, key: str, fingerprint: str) -> None:
        self.key = key
        self.fingerprint = fingerprint
        self.work: Work | None = None
        self._stack = ExitStack()

    def begin(self, unit_of_work: AbstractContextManager[Work], judge: Callable[[Work], object]) -> Work:
        """Open the unit of work; it ends when the answer is made. `judge` asks once more who asks.

        Raises:
            Repeated: the request was answered before.
            InvalidError: `idempotency_key_reused`.
        """
        if self.work is not None:
            raise RuntimeError("what may be repeated is one unit of work")
        work = self._stack.enter_context(unit_of_work)
        judge(work)
        if (kept := kept_answers.find(work, self.key, self.fingerprint)) is not None:
            raise Repeated(kept)
        self.work = work
        return work

    def run(self, endpoint: Callable[[], Any], *, status: int, secret: bool, place: Callable[[], str | None]) -> Any:
        """Run the endpoint, and keep its answer with what it changed. `place` tells its Location."""
        with self._stack:
            answer = endpoint()
            if self.work is not None:
                kept = self._kept(self.work, answer, status, secret, place)
                self.work.at_end = lambda work: kept_answers.keep(work, kept)
        return answer

    def _kept(self, work: Work, answer: Any, status: int, secret: bool, place: Callable[[], str | None]) -> KeptAnswer:
        if isinstance(answer, Response):
            status, body = answer.status_code, bytes(answer.body).decode()
            location = answer.headers.get("Location")
        else:
            assert isinstance(answer, BaseModel)
            body = json.dumps(answer.model_dump(mode="json"), ensure_ascii=False, separators=(",", ":"))
            location = place()
        return KeptAnswer(
            operator=work.actor.operator_id,
            key=self.key,
            fingerprint=self.fingerprint,
            created_at=work.now,
            status=status,
            location=location,
            body=None if secret else body,
        )


def once_of(request: Request, body: bytes) -> Once | None:
    """Return how a request is to be done once, if it says so.

    Raises:
        RequestRefused: `idempotency_key_malformed`.
    """
    values = request.headers.getlist(HEADER)
    if not values:
        return None
    match = _KEY.fullmatch(values[0].strip()) if len(values) == 1 else None
    if match is None:
        raise RequestRefused("idempotency_key_malformed", "a text of 1 to 255 ASCII characters, in quotes, once")
    scope = request.scope
    parts = (request.method.encode(), scope["path"].encode(), scope["query_string"], body)
    return Once(match[1] or match[2], kept_answers.fingerprint_of(*parts))


def refuse_key(request: Request) -> None:
    """Refuse a key where nothing is done once by it: whoever sends one would believe that it was.

    Raises:
        RequestRefused: `idempotency_key_malformed`.
    """
    if HEADER in request.headers:
        raise RequestRefused("idempotency_key_malformed", f"{HEADER}: nothing at this address is done once by a key")


def is_secret(shape: Any) -> bool:
    """Whether a shape shows what is shown once alone (members that have no `repr`)."""
    return any(not each.repr for each in getattr(shape, "model_fields", {}).values())


def repeatable(endpoint: Callable[..., Any], *, status: int, secret: bool) -> Callable[..., Any]:
    """Return the endpoint of a change, done once for each Idempotency-Key."""

    @wraps(endpoint)
    def answered(**parameters: Any) -> Any:
        return parameters["call"].answer(lambda: endpoint(**parameters), status=status, secret=secret)

    answered.is_repeatable = True  # type: ignore[attr-defined]
    return answered


def is_repeatable(endpoint: object) -> bool:
    """Whether an endpoint is done once for each Idempotency-Key."""
    return getattr(endpoint, "is_repeatable", False)
