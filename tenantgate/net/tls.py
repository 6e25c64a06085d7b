"""Whom a door believes: the public authorities, or those of a bundle, and nothing of the environment."""

from __future__ import annotations

import ssl

import httpx

from tenantgate.net.door import TlsFailed


def tls_context(ca_bundle: str | None) -> ssl.SSLContext:
    """Return a context that verifies chain and name. `ca_bundle`: PEM, counts instead of the public authorities.

    Raises:
        TlsFailed: the bundle cannot be read.
    """
    try:
        context = httpx.create_ssl_context(trust_env=False) if ca_bundle is None else _context_of(ca_bundle)
    except (ValueError, ssl.SSLError):
        raise TlsFailed("the bundle of certificate authorities cannot be read") from None
    # Python's defaults follow SSLKEYLOGFILE: nothing of the environment, and no session's keys on disk.
    context.keylog_filename = None  # type: ignore[assignment]
    return context


def _context_of(ca_bundle: str) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=ca_bundle)


def tls_reason(error: BaseException | None) -> str:
    """Return OpenSSL's own words: they name no more than the certificate's fault and the name we asked for."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate was refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and error.reason:
        return f"no TLS: {error.reason.replace('_', ' ').lower()}"
    return "the connection ended in the TLS handshake"
