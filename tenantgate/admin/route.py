"""What every route does before and after its function: who calls, may they, what did they send.

Order matters: nobody without a key learns anything of the rest, and no body is read before.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Final, TypeVar, get_type_hints

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from sqlmodel import Session
from starlette.background import BackgroundTask

from tenantgate.admin.admission import Admitted, Credential, NotLinked, PresentedKey, PresentedToken
from tenantgate.admin.body import UPLOADS, read_request, read_upload
from tenantgate.admin.conditions import expected_of, is_versioned, table_at, with_tag
from tenantgate.admin.context import AdminContext
from tenantgate.admin.entry import Need, credential_of, need_of, presented
from tenantgate.admin.once import REPLAYED, Once, Repeated, is_repeatable, is_secret, once_of, refuse_key, repeatable
from tenantgate.admin.problems import (
    COMMON_HEADERS,
    PROBLEMS,
    IdentityRefused,
    KeyRefused,
    log,
    problem_response,
)
from tenantgate.admin.refusals import body_problems, problems, problems_at
from tenantgate.admin.request_ids import request_id_of
from tenantgate.admin.who_may import WHO_MAY
from tenantgate.admin.wire import Out
from tenantgate.registry import operators
from tenantgate.registry.engine import reading, writing
from tenantgate.registry.errors import CredentialError, RegistryError
from tenantgate.registry.identities import Identity
from tenantgate.registry.kept_answers import KeptAnswer
from tenantgate.registry.preconditions import Expected, require_version
from tenantgate.registry.unit_of_work import Actor, Work, unit_of_work

PREFIX: Final = "/api/v1"
REVISION_HEADER: Final = "X-TG-Revision"
NOTE_INTERVAL: Final = 60
"""Seconds. That a key is in use is written down at most this often."""

F = TypeVar("F", bound=Callable[..., Any])


class Call:
    """One request of an operator: who asks, by which credential, and how they read and change things."""

    def __init__(self, context: AdminContext, credential: Credential, need: Need, request: Request) -> None:
        self.context = context
        self.now = context.now()
        self._credential = credential
        self._need = need
        self._request = request
        self._response: Response | None = None
        self.once: Once | None = None
        self.expected: Expected | None = None
        address = request.client.host if request.client else ""
        self.actor = Actor("", credential.scheme, address, request.state.request_id)
        self.admitted = self._let_in()
        self.operator = self.admitted.operator
        if context.rates is not None:
            context.rates.spend(self.operator.id)
        need.check(self.admitted)
        key = self.admitted.admin_key
        self.actor = replace(self.actor, operator_id=self.operator.id, admin_key=key.id if key is not None else "")

    def answering(self, response: Response) -> Call:
        """Write revision and place of what is made into the headers of this response."""
        self._response = response
        return self

    def reading(self) -> AbstractContextManager[Session]:
        """Open a session that sees one moment of the database."""
        return reading(self.context.engine)

    @contextmanager
    def changing(self) -> Iterator[Work]:
        """Run a unit of work in the operator's name; its revision goes into the answer's header."""
        # Anew: whoever sends a body as slowly as they like must not use a key that has ended, nor date the audit back.
        self.now = self.context.now()
        if self.once is not None:
            # It ends when the answer is made: see `answer`.
            work = self.once.begin(self._work(self.actor, self.now), self._judge_again)
            self._require_version(work)
            yield work
            return
        with self._work(self.actor, self.now) as work:
            self._judge_again(work)
            self._require_version(work)
            yield work
        self._tell_revision(work)

    def _judge_again(self, work: Work) -> None:
        # Now that nobody else can write: a key revoked a moment ago changes nothing any more.
        self._need.check(self._judge(work.session, self.now))

    def _require_version(self, work: Work) -> None:
        if self.expected is not None:
            require_version(work.session, self.expected)

    def _tell_revision(self, work: Work) -> None:
        if work.revision is not None and self._response is not None:
            self._response.headers[REVISION_HEADER] = str(work.revision)

    def answer(self, endpoint: Callable[[], Any], *, status: int, secret: bool) -> Any:
        """Return what a changing endpoint answers; where the request was answered before, that answer again."""
        if self.once is None:
            return endpoint()
        try:
            found = self.once.run(endpoint, status=status, secret=secret, place=self._place)
        except Repeated as repeated:
            return self._again(repeated.kept)
        if self.once.work is not None and not isinstance(found, Response):
            self._tell_revision(self.once.work)
        return found

    def _place(self) -> str | None:
        return None if self._response is None else self._response.headers.get("Location")

    def _again(self, kept: KeptAnswer) -> Response:
        headers = dict(REPLAYED)
        if kept.location is not None:
            headers["Location"] = kept.location
        if kept.revision is not None:
            headers[REVISION_HEADER] = str(kept.revision)
        if kept.body is not None:
            return Response(kept.body, kept.status, headers, media_type="application/json")
        detail = f"what was asked for is at {kept.location}; revoke it and make another one if its secret is lost"
        return problem_response(self._request, PROBLEMS["secret_not_repeated"], detail, headers=headers)

    @contextmanager
    def going_on(self, request_id: str) -> Iterator[Work]:
        """Run a unit of work of what this request began, after its answer, if the operator may do so even then."""
        now = self.context.now()
        with self._work(replace(self.actor, request_id=request_id), now) as work:
            self._need.check(self._judge(work.session, now))
            yield work

    def created(self, path: str) -> None:
        """Say where what was made is, below the prefix."""
        assert self._response is not None
        self._response.headers["Location"] = PREFIX + path

    def waiting(self, path: str, shown: Out) -> Response:
        """Answer 202: nothing is in force yet; what waits for somebody is at `path`, below the prefix."""
        return Response(shown.model_dump_json(), 202, {"Location": PREFIX + path}, media_type="application/json")

    @property
    def is_use_news(self) -> bool:
        """Whether it is a while since it was written down that this key is in use."""
        key = self.admitted.admin_key
        if key is None:
            return False
        last = key.last_used_at
        return last is None or self.now >= last + NOTE_INTERVAL

    def note_use(self) -> None:
        """Write down that the key was used, after the answer: nobody waits for it, and a busy database may refuse."""
        key = self.admitted.admin_key
        assert key is not None
        try:
            with writing(self.context.engine) as session:
                operators.note_keys_used(session, {key.id: self.now})
        except RegistryError as error:
            log.info("the use of a key was not noted: %s", error.code, extra={"admin_key": key.id})

    def _work(self, actor: Actor, now: int) -> AbstractContextManager[Work]:
        context = self.context
        return unit_of_work(
            context.engine,
            actor=actor,
            now=now,
            new_id=context.new_id,
            reserved_audiences=context.reserved_audiences,
        )

    def _let_in(self) -> Admitted:
        """Return who is let in. Who is not linked becomes an operator, where that is so set (audited in their name)."""
        credential = self._credential
        try:
            with reading(self.context.engine) as session:
                return self._judge(session, self.now)
        except IdentityRefused:  # judging raises it for one reason alone
            if not (isinstance(credential, PresentedToken) and credential.enrols):
                raise
        with self._work(self.actor, self.now) as work:
            credential.enrol(work)
        with reading(self.context.engine) as session:
            return self._judge(session, self.now)

    def _judge(self, session: Session, now: int) -> Admitted:
        try:
            admitted = self._credential.judge(session, now=now)
        except NotLinked as error:
            raise IdentityRefused(
                "identity_not_linked", f"no operator has the identity {error}", error.identity
            ) from None
        return admitted


async def _call_of(request: Request, response: Response) -> Call:
    call: Call = request.state.call
    return call.answering(response)


Calling = Annotated[Call, Depends(_call_of)]
"""The parameter that says who calls. There is no route without: `AdminRoute` lets nobody else in."""


async def _upload_of(request: Request) -> bytes:
    return await request.body()


Uploaded = Annotated[bytes, Depends(_upload_of)]
"""The parameter that holds a file which was sent (`body.UPLOADS` says where)."""


class AdminRoute(APIRoute):
    """A route behind a credential. Bound to its context by a subclass: `bound_to`."""

    context: ClassVar[AdminContext]

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the framework's handler with the questions of this module before it."""
        inner = super().get_route_handler()
        (method,) = self.methods or {""}
        need = need_of(method, self.path.removeprefix(PREFIX))
        parameters = frozenset(field.alias for field in self.dependant.query_params)
        wants_body = self.body_field is not None
        upload = UPLOADS.get((method, self.path.removeprefix(PREFIX)))
        context = self.context
        table, tagged = table_at(self.path.removeprefix(PREFIX)), is_versioned(self.response_model)
        takes_no_key = method == "POST" and not is_repeatable(self.endpoint)

        async def handle(request: Request) -> Response:
            request_id = request_id_of(request, context.new_id)
            request.state.call = await _admitted_call(request, context, need)
            _check_query(request, parameters)
            if method != "GET":
                request.state.call.expected = expected_of(request, table)
            if takes_no_key:
                refuse_key(request)
            if upload is not None:
                read = await read_upload(request, *upload)
            else:
                read = await read_request(request, wants_body=wants_body)
            if is_repeatable(self.endpoint):
                request.state.call.once = once_of(request, await read.body())
            response = await inner(read)
            if tagged:
                response = with_tag(request, response)
            if request.state.call.is_use_news and response.background is None:
                response.background = BackgroundTask(request.state.call.note_use)
            response.headers.update({**COMMON_HEADERS, "X-Request-Id": request_id})
            return response

        return handle


async def _admitted_call(request: Request, context: AdminContext, need: Need) -> Call:
    """Return the call of who is let in. For who was refused too often the database is not asked for a while."""
    value, address = presented(request), request.client.host if request.client else ""
    failures = context.failures
    came: PresentedKey | Identity | None = None  # whom a token that is not authentic names is anybody's invention
    try:
        credential = await credential_of(value, context)
        came = credential.identity if isinstance(credential, PresentedToken) else credential
        if failures is not None:
            failures.check(address, came)
        call = await run_in_threadpool(Call, context, credential, need, request)
    except (KeyRefused, IdentityRefused, CredentialError) as error:
        if failures is not None:
            failures.note(address, error.identity if isinstance(error, IdentityRefused) else came)
        raise
    if failures is not None:
        failures.welcome(came)
    return call


def bound_to(context: AdminContext) -> type[AdminRoute]:
    """Return the class of routes that work on `context`."""
    return type("BoundAdminRoute", (AdminRoute,), {"context": context})


def _check_query(request: Request, known: frozenset[str]) -> None:
    """Refuse parameters nobody reads (a misspelled filter would answer with too much) and repeated ones."""
    errors = []
    names = [name for name, _ in request.query_params.multi_items()]
    for name in dict.fromkeys(names):
        if name not in known:
            errors.append({"type": "extra_forbidden", "loc": ("query", name), "msg": "there is no such parameter"})
        elif names.count(name) > 1:
            errors.append({"type": "query_repeated", "loc": ("query", name), "msg": "is given more than once"})
    if errors:
        raise RequestValidationError(errors)


class Routes:
    """The routes of one resource, as its module writes them down; `add_to` gives them their context."""

    def __init__(self, tag: str) -> None:
        self._tag = tag
        self._found: list[dict[str, Any]] = []

    def get(self, path: str, *refusals: type[RegistryError]) -> Callable[[F], F]:
        """Read something."""
        return self._route("GET", path, 200, problems(*refusals), {})

    def table(self, path: str, model: type[Out], *refusals: type[RegistryError]) -> Callable[[F], F]:
        """Read something, as JSON or as CSV."""
        ok: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}
        return self._route("GET", path, 200, problems(*refusals) | ok, {}, model)

    def export(self, path: str, *media_types: str) -> Callable[[F], F]:
        """Write something out, however much it is."""
        ok: dict[int | str, dict[str, Any]] = {
            200: {"content": {each: {"schema": {"type": "string"}} for each in media_types}}
        }
        return self._route("GET", path, 200, problems() | ok, {}, response_class=Response)

    def create(
        self,
        path: str,
        *refusals: type[RegistryError],
        policy: bool = True,
        makes: type[Out] | None = None,
        waits: type[Out] | None = None,
    ) -> Callable[[F], F]:
        """Make something: 201 and Location. Where that may take somebody else, `waits` is what 202 answers."""
        answers = problems(*refusals) | body_problems()
        if waits is not None:
            answers[202] = {
                "model": waits,
                "description": "Nothing is in force yet: it waits for somebody.",
                "headers": _headers("Location", policy=False),
            }
        return self._route("POST", path, 201, answers, _headers("Location", policy), makes)

    def look(self, path: str, *refusals: type[RegistryError]) -> Callable[[F], F]:
        """Find something out that costs others something: a few times a minute. Nothing is changed."""
        return self._route("POST", path, 200, problems(*refusals) | body_problems(), {}, repeats=False)

    def upload(self, path: str, *refusals: type[RegistryError]) -> Callable[[F], F]:
        """Take a file and begin to work on it: 202 and Location."""
        media_type, _ = UPLOADS["POST", path]
        body = {"required": True, "content": {media_type: {"schema": {"type": "string"}}}}
        answers = problems(*refusals) | body_problems()
        return self._route(
            "POST", path, 202, answers, _headers("Location", False), described={"requestBody": body}, repeats=False
        )

    def change(
        self,
        path: str,
        *refusals: type[RegistryError],
        policy: bool = True,
        body: bool = False,
        repeats: bool = True,
    ) -> Callable[[F], F]:
        """Put something into another state; the body is empty unless it takes words to say which.

        Not `repeats`: it is done once by itself, and its answer tells of what is there when it is committed.
        """
        answers = problems(*refusals) | (body_problems() if body else {})
        return self._route("POST", path, 200, answers, _headers("", policy), repeats=repeats)

    def amend(self, path: str, *refusals: type[RegistryError], policy: bool = True) -> Callable[[F], F]:
        """Change members of something; the body has those that are to be different."""
        return self._route("PATCH", path, 200, problems(*refusals) | body_problems(), _headers("", policy))

    def add_to(self, router: APIRouter) -> None:
        """Add the routes to a router whose `route_class` is bound."""
        for route in self._found:
            router.add_api_route(**route)

    def _route(
        self,
        method: str,
        path: str,
        status: int,
        refusals: dict[int | str, Any],
        headers: dict[str, Any],
        makes: type[Out] | None = None,
        *,
        described: dict[str, Any] | None = None,
        repeats: bool = True,
        **options: Any,
    ) -> Callable[[F], F]:
        repeated = method == "POST" and repeats
        table = table_at(path) if method != "GET" else None
        answers = dict(refusals)
        if repeated:
            answers |= problems_at(409)
        if table is not None:
            answers |= problems_at(412)

        def keep(endpoint: F) -> F:
            shape = makes or get_type_hints(endpoint).get("return")
            tagged = is_versioned(shape)
            told = headers | (_TAG if tagged else {})
            if tagged and method == "GET":
                answers[304] = {"description": "It is in a version that the caller has.", "headers": _TAG}
            parameters = [
                *([_IF_NONE_MATCH] if tagged and method == "GET" else []),
                *([_IF_MATCH] if table is not None else []),
                *([_IDEMPOTENCY_KEY] if repeated else []),
            ]
            secret = is_secret(shape)
            self._found.append(
                {
                    "path": path,
                    "endpoint": repeatable(endpoint, status=status, secret=secret) if repeated else endpoint,
                    "methods": [method],
                    "status_code": status,
                    "responses": answers | ({status: {"headers": told}} if told else {}),
                    "tags": [self._tag],
                    "operation_id": endpoint.__name__,
                    **({"response_model": makes} if makes is not None else {}),
                    "openapi_extra": {
                        "x-least-role": WHO_MAY[method, path],
                        **({"parameters": parameters} if parameters else {}),
                        **(described or {}),
                    },
                    **options,
                }
            )
            return endpoint

        return keep


_TAG: Final[dict[str, Any]] = {
    "ETag": {"description": "Its version.", "schema": {"type": "string", "examples": ['"3"']}}
}
_IF_MATCH: Final[dict[str, Any]] = {
    "name": "If-Match",
    "in": "header",
    "description": "Only if it is still in this version (an ETag, several, or `*`); else 412.",
    "schema": {"type": "string", "examples": ['"3"']},
}
_IF_NONE_MATCH: Final[dict[str, Any]] = _IF_MATCH | {
    "name": "If-None-Match",
    "description": "The version that is known: 304 where it is still in it.",
}
_IDEMPOTENCY_KEY: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A text of your choice: the same request with it, within a day, is done once and answered alike.",
    "schema": {"type": "string", "maxLength": 257, "examples": ['"8e03978e-40d5-43dd-bc93-6894a57f9324"']},
}


def _headers(place: str, policy: bool) -> dict[str, Any]:
    headers = {}
    if place:
        headers[place] = {"description": "Where it is.", "schema": {"type": "string"}}
    if policy:
        headers[REVISION_HEADER] = {
            "description": "The revision the change got; GET /policy says who enforces it.",
            "schema": {"type": "string", "pattern": "^[0-9]+$"},
        }
    return headers
