"""What a fetch is: its rules, its result, and every way it can fail. Imports no HTTP library.

NetError                 one fetch did not bring a document
├── UrlRefused           the address is not one we ask (`url_refused`)
├── DnsFailed            the name has no address (`dns`)
├── AddressRefused       the name leads to an address we do not dial (`address_refused`)
├── ConnectFailed        no connection, or it broke (`connect`)
├── TlsFailed            no TLS, or not with whom we wanted (`tls`)
├── DeadlinePassed       it took too long, all in all (`timeout`)
├── StatusRefused        an answer other than 200 (`status`)
├── RedirectRefused      an answer that points elsewhere (`redirect`)
├── TooLarge             more bytes than the rules allow (`too_large`)
└── ProtocolViolated     no HTTP, or an encoding we did not ask for (`protocol`)
"""

from __future__ import annotations

from typing import ClassVar, Final, Protocol

import msgspec

MEBIBYTE: Final = 1 << 20


class NetError(Exception):
    """A fetch failed. `code` is stable (health, metrics); the message never quotes what the server sent."""

    code: ClassVar[str] = "net"


class UrlRefused(NetError):
    """The address is not https (or http on this machine where allowed), or carries a user or a fragment."""

    code = "url_refused"


class DnsFailed(NetError):
    """The name could not be looked up."""

    code = "dns"


class AddressRefused(NetError):
    """The name leads, maybe only at this look-up, to an address that the rules do not allow."""

    code = "address_refused"


class ConnectFailed(NetError):
    """No connection could be made, the proxy refused it, or it was reset."""

    code = "connect"


class TlsFailed(NetError):
    """The handshake failed: an untrusted, expired or wrong-name certificate, or no TLS at all."""

    code = "tls"


class DeadlinePassed(NetError):
    """The whole of look-up, connection, handshake and answer took longer than `FetchRules.deadline`."""

    code = "timeout"


class StatusRefused(NetError):
    """The server answered with another status than 200. `retry_after`: seconds it asked us to wait, if it did."""

    code = "status"

    def __init__(self, message: str, status: int, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class RedirectRefused(NetError):
    """The server wants us to ask somewhere else. We do not: the address is the operator's choice alone."""

    code = "redirect"


class TooLarge(NetError):
    """The body is longer than `FetchRules.max_bytes`; the rest was not read."""

    code = "too_large"


class ProtocolViolated(NetError):
    """The answer is not HTTP, ended early, or is compressed although only `identity` was accepted."""

    code = "protocol"


class FetchRules(msgspec.Struct, frozen=True, kw_only=True):
    """What one fetch may do. Written by an operator, never by a token or a document.

    `insecure_allow_http`: plain http, and only to this machine itself. `allow_private_addresses`: loopback
    and private networks may be dialled. `deadline`: seconds for the whole fetch. `max_bytes`: of the body,
    counted after decoding. `ca_bundle`: PEM certificates to trust instead of the public authorities. `proxy`: its
    address (`http://proxy.example:3128`); proxies of the environment are never used.
    """

    insecure_allow_http: bool = False
    allow_private_addresses: bool = False
    deadline: float = 5.0
    max_bytes: int = MEBIBYTE
    ca_bundle: str | None = None
    proxy: str | None = None


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """A document as it came (untrusted). `max_age`: seconds of Cache-Control; `date`: the server's epoch seconds."""

    status: int
    body: bytes
    content_type: str = ""
    max_age: int | None = None
    date: float | None = None


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """A server's certificate that was verified. `ends_at`: epoch seconds."""

    subject: str
    issuer: str
    ends_at: float


class Door(Protocol):
    """The only way out. One GET at a time is one call; nothing is kept between calls but what `aclose` releases."""

    async def get(self, url: str, rules: FetchRules) -> Fetched:
        """Fetch one document.

        Raises:
            NetError: one of the tree above; anything else is a defect.
        """
        ...

    async def aclose(self) -> None:
        """Release what the door holds. No `get` may follow."""
        ...
