"""Signing in, by link or by admin key, and out again."""

from __future__ import annotations

import re
from typing import Final

from sqlmodel import select
from starlette.responses import Response

from tenantgate.registry import sessions
from tenantgate.registry.errors import CredentialError, TransitionError
from tenantgate.registry.operators import authenticate_key, hash_of
from tenantgate.registry.seals import sealer
from tenantgate.registry.sessions import NewSession
from tenantgate.registry.tables import SignInLink
from tenantgate.registry.unit_of_work import Actor, Work, unit_of_work
from tenantgate.web.call import Call, log
from tenantgate.web.errors import SignInNeeded
from tenantgate.web.guard import Visitor, delete_cookie, identify, set_cookie, token_of
from tenantgate.web.links import safe_next
from tenantgate.web.rendering import see_other

WHYS: Final = frozenset({"needed", "ended", "out"})
"""Why somebody is sent here; anything else in the address says nothing."""
_CODE: Final = re.compile(r"[A-Za-z0-9_-]{43}\Z")


def show(call: Call) -> Response:
    """Show the two ways in. Who is signed in already is told so, never sent on: a redirect would carry the code on."""
    return _form(call, call.asked("next"), why=call.asked("why"))


def submit(call: Call) -> Response:
    """Take a sign-in code or an admin key. Every failure looks the same; the log says which it was.

    Only failures are counted against an address: a stranger behind the same proxy must not shut the operators out.

    Raises:
        TooOften: `too_often`, where one more fails; nothing is logged then.
    """
    try:
        new = _open(call)
    except CredentialError as error:
        call.turnstile.enter(call.address)
        log.warning("a sign-in was refused", extra={"code": error.code, "address": call.address})
        return _form(call, call.form.text("next"), refused=True)
    response = see_other(safe_next(call.form.text("next")))
    set_cookie(response, call.context, new.token)
    return response


def leave(call: Call, visitor: Visitor) -> Response:
    """End the session: the row, so that a copy of the cookie is worth nothing, and the cookie."""
    context = call.context
    actor = Actor(visitor.operator.id, "session", call.address, call.id)
    with unit_of_work(context.engine, actor=actor, now=call.now, new_id=context.new_id) as work:
        try:
            sessions.revoke(work, visitor.session.id)
        except TransitionError as error:
            # Signed out twice at the same moment: it is ended, which is what was asked for.
            log.info("the session had been ended already", extra={"code": error.code})
    response = see_other("/sign-in?why=out")
    delete_cookie(response, call.context)
    return response


def _form(call: Call, wanted: str, *, why: str = "", refused: bool = False) -> Response:
    try:
        visitor: Visitor | None = call.visitor()
    except SignInNeeded:
        visitor = None
    if visitor is not None:
        call.spend(visitor)
    return call.page(
        "sign_in.html",
        visitor,
        status=403 if refused else 200,
        next=safe_next(wanted),
        why=why if why in WHYS else "",
        refused=refused,
        # SameSite=Strict: a link on another site brings no cookie, not even that of who is signed in.
        elsewhere=call.request.headers.get("sec-fetch-site") == "cross-site",
    )


def _open(call: Call) -> NewSession:
    code, key = call.form.text("code"), call.form.text("key")
    _look_first(call, code, key)
    context = call.context
    seal = sealer(context.keys)
    actor = Actor("", "sign_in_link" if code else "admin_key", call.address, call.id)
    with unit_of_work(context.engine, actor=actor, now=call.now, new_id=context.new_id) as work:
        if code:
            new = sessions.redeem(work, code, random_bytes=context.random_bytes, seal=seal)
        else:
            new = sessions.sign_in_with_key(work, key, random_bytes=context.random_bytes, seal=seal)
        _end_earlier(work, token_of(call.request, context))
        return new


def _look_first(call: Call, code: str, key: str) -> None:
    """Refuse what is plainly no credential of ours without the write lock: guessing must not hold up a change."""
    if code and not _CODE.match(code):
        raise CredentialError("link_unknown", "this is not a sign-in code")
    with call.reading() as session:
        if not code:
            authenticate_key(session, key, now=call.now)
        elif session.exec(select(SignInLink).where(SignInLink.code_hash == hash_of(code))).first() is None:
            raise CredentialError("link_unknown", "there is no such sign-in link")


def _end_earlier(work: Work, token: str) -> None:
    """End the session this browser had before, if it had one: its cookie is about to be replaced."""
    try:
        earlier = identify(work.session, token, now=work.now)
    except SignInNeeded:
        return
    sessions.revoke(work, earlier.session.id)
