"""How programs are served: what a caller says of itself is not believed, and what cannot be bound is an OSError."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import pytest

from tenantgate.cli.serving import bind, configuration

Message = MutableMapping[str, Any]


async def test_a_forwarded_address_is_not_the_callers():
    """X-Forwarded-For and -Proto change neither address nor scheme of a request, not even from loopback."""
    seen: list[Message] = []

    async def app(scope: Message, receive: Callable[[], Awaitable[Message]], send: object) -> None:
        seen.append(scope)

    config = configuration(app)
    config.load()
    headers = [(b"x-forwarded-for", b"192.0.2.66"), (b"x-forwarded-proto", b"https")]
    scope = {"type": "http", "headers": headers, "client": ("127.0.0.1", 4711), "scheme": "http"}
    await config.loaded_app(scope, None, None)

    assert (seen[0]["client"], seen[0]["scheme"]) == (("127.0.0.1", 4711), "http")


def test_the_reader_of_requests_is_named():
    """Which parser reads requests does not depend on what else is installed, and no socket is ever upgraded."""
    config = configuration(lambda scope: None)
    assert (config.http, config.ws) == ("h11", "none")


@pytest.mark.parametrize(
    "host", ["\udce9", "\u00e9" * 80, "a" * 300], ids=["not UTF-8", "too long in IDNA", "too long"]
)
def test_a_host_that_cannot_be_looked_up_is_an_oserror(host: str):
    """Whatever stands for a host, a listening socket that cannot be had is one kind of error."""
    with pytest.raises(OSError):  # noqa: PT011 - gaierror and EINVAL have no words in common
        bind(host, 0)
