"""Who is signed in, whether a post is ours, and who may write.

A post passes three checks, each of which alone stops a forged one: the cookie is SameSite=Strict, the
browser says that it comes from this site, and the form carries the token of this session.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response

from tenantgate.admin.context import AdminContext
from tenantgate.core.fields import is_loopback
from tenantgate.registry import sessions, tables
from tenantgate.registry.errors import CredentialError
from tenantgate.registry.seals import is_of_another, is_sealed
from tenantgate.web.errors import PostRefused, RoleRefused, SignInNeeded

COOKIE: Final = "__Host-tenantgate"
"""Browsers take a name with this prefix only with Secure, Path=/ and no Domain."""
INSECURE_COOKIE: Final = "tenantgate-insecure-loopback"
"""The cookie where people reach us by plain http, which is on loopback alone. Its name says what it is."""
WRITERS: Final = frozenset({"Admin", "Operator"})
"""The roles of operators that may change anything on the page."""

_LONGEST_TOKEN: Final = 128


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is signed in, by which session. `token` is the cookie's value."""

    operator: tables.Operator
    session: tables.Session
    token: str = field(repr=False)

    @property
    def csrf(self) -> str:
        """What every form on this visitor's pages carries."""
        return sessions.csrf_of(self.token)

    @property
    def may_write(self) -> bool:
        """Whether buttons are shown, and what they post is taken."""
        return self.operator.role in WRITERS


def cookie_name(context: AdminContext) -> str:
    """Return the name of the session's cookie."""
    return COOKIE if context.secure else INSECURE_COOKIE


def has_ended_cookie(request: Request, context: AdminContext) -> bool:
    """Whether the browser was ever given a session, or says so: one of which another server cannot know more."""
    token = request.cookies.get(cookie_name(context))
    return token is not None and not is_of_another(context.keys, token)


def token_of(request: Request, context: AdminContext) -> str:
    """Return what the session's cookie holds, or the empty text where no server of ours made it.

    Raises:
        DatabaseError, MasterKeyError: whether it is ours cannot be told now.
    """
    token = request.cookies.get(cookie_name(context), "")
    return token if is_sealed(context.keys, token) else ""


def identify(session: Session, token: str, *, now: int) -> Visitor:
    """Return who holds this cookie (untrusted).

    Raises:
        SignInNeeded: nobody, or a session that has ended.
    """
    if not token or len(token) > _LONGEST_TOKEN:
        raise SignInNeeded("needed")
    try:
        operator, row = sessions.authenticate(session, token, now=now)
    except CredentialError as error:
        raise SignInNeeded("needed" if error.code == "session_unknown" else "ended") from error
    return Visitor(operator, row, token)


def set_cookie(response: Response, context: AdminContext, token: str) -> None:
    """Give the browser a session. It goes with the browser; when the session ends is the server's to say."""
    response.set_cookie(cookie_name(context), token, path="/", secure=context.secure, httponly=True, samesite="strict")


def delete_cookie(response: Response, context: AdminContext) -> None:
    """Take the session's cookie back."""
    response.delete_cookie(cookie_name(context), path="/", secure=context.secure, httponly=True, samesite="strict")


def require_own_site(request: Request, context: AdminContext) -> None:
    """Refuse a post that does not come from a page of ours.

    Browsers say `Origin: null` for a page with `Referrer-Policy: no-referrer`, as ours are (Fetch §3.3),
    and then only `Sec-Fetch-Site` tells. A post that says neither comes from no browser we know: refused too.

    Raises:
        PostRefused: `post_from_elsewhere`.
    """
    origin = request.headers.get("origin", "null")
    site = request.headers.get("sec-fetch-site")
    if site not in {None, "same-origin"}:
        raise PostRefused("post_from_elsewhere", f"Sec-Fetch-Site is {site}")
    if origin == "null":
        if site is None:
            raise PostRefused("post_from_elsewhere", "neither Origin nor Sec-Fetch-Site says where it comes from")
    elif origin not in _own_origins(request, context):
        raise PostRefused("post_from_elsewhere", f"Origin is {origin}")


def require_token(visitor: Visitor, presented: str) -> None:
    """Refuse a form that was not made for this session.

    Raises:
        PostRefused: `post_token_wrong`.
    """
    if not sessions.is_csrf(visitor.token, presented):
        raise PostRefused("post_token_wrong", "the form's token is not this session's")


def require_writer(visitor: Visitor) -> None:
    """Refuse an operator who may only look.

    Raises:
        RoleRefused: `role_not_enough`.
    """
    if not visitor.may_write:
        raise RoleRefused("role_not_enough", f"the role {visitor.operator.role} does not allow it")


def _own_origins(request: Request, context: AdminContext) -> frozenset[str]:
    """The origin people are told of; on loopback also the loopback name this request was sent to, by the same scheme.

    Cookies know no scheme: were any taken, a page of http://ours could post to https://ours. No other name is
    taken from the request itself: a name that anybody may point here proves nothing.
    """
    public = urlsplit(context.public_url)
    own = {f"{public.scheme}://{public.netloc}"}
    addressed = urlsplit(f"//{request.headers.get('host', '').lower()}")
    if is_loopback(public.hostname or "") and is_loopback(addressed.hostname or ""):
        own.add(f"{public.scheme}://{addressed.netloc}")
    return frozenset(own)
