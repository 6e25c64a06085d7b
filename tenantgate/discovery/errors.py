"""What keeps an issuer's documents from being used.

DiscoveryError            an issuer's keys could not be learnt this time
├── FetchFailed           no document came (the codes of `net.door`: `dns`, `connect`, `tls`, `timeout` …)
├── MetadataMalformed     it is no metadata document (`metadata_malformed`)
├── IssuerMismatch        it is somebody else's (`issuer_mismatch`)
├── JwksUriRefused        it points to keys on a host nobody listed (`jwks_uri_refused`)
└── KeySetRefused         the key document has no usable key (`key_set_malformed`)
"""

from __future__ import annotations

from typing import Final

from tenantgate.net.door import NetError, StatusRefused

UNEXPECTED: Final = "unexpected"
"""The code recorded for a defect of ours: an exception that is in no tree. The keys in use stay."""


class DiscoveryError(Exception):
    """Keys could not be learnt; those in use stay. `code` is stable (health, metrics)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class FetchFailed(DiscoveryError):
    """The door brought nothing. `retry_after`: seconds the server asked us to wait, if it did."""

    def __init__(self, error: NetError) -> None:
        super().__init__(error.code, str(error))
        self.retry_after = error.retry_after if isinstance(error, StatusRefused) else None


class MetadataMalformed(DiscoveryError):
    """Not strict JSON, or without the members that are needed."""

    def __init__(self, message: str) -> None:
        super().__init__("metadata_malformed", message)


class IssuerMismatch(DiscoveryError):
    """The document names another issuer than the one configured."""

    def __init__(self, message: str) -> None:
        super().__init__("issuer_mismatch", message)


class JwksUriRefused(DiscoveryError):
    """`jwks_uri` is not https, or leads to a host that is neither the metadata's own nor listed."""

    def __init__(self, message: str) -> None:
        super().__init__("jwks_uri_refused", message)


class KeySetRefused(DiscoveryError):
    """The key document is malformed, empty, or holds no usable key."""

    def __init__(self, message: str) -> None:
        super().__init__("key_set_malformed", message)
