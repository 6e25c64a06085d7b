"""The metadata document of an issuer, held to configuration (OpenID Connect Discovery §4.3, RFC 8414 §3.3)."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple
from urllib.parse import quote, urlsplit

from tenantgate.core.fields import check_url
from tenantgate.core.policy import IssuerRow, PolicyError
from tenantgate.core.strict import Unreadable, read_object, shown
from tenantgate.discovery.errors import IssuerMismatch, JwksUriRefused, MetadataMalformed

Document = Literal["v1", "v2"]
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


class Metadata(NamedTuple):
    """What is believed of a metadata document: the issuer (as configured) and where its keys are."""

    issuer: str
    jwks_uri: str


def metadata_url(row: IssuerRow, document: Document, appid: str | None = None) -> str | None:
    """Return where an issuer's document is, or None where it has none.

    With `appid`, as an application's own keys are asked for at Entra: the last member of the query, and the only one
    of that name.
    """
    url = row.v1_metadata_url if document == "v1" else row.metadata_url
    if url is None or appid is None:
        return url
    place, _, query = url.partition("?")
    kept = [each for each in query.split("&") if each and each.partition("=")[0] != "appid"]
    return f"{place}?{'&'.join((*kept, 'appid=' + quote(appid, safe='')))}"


def expected_issuer(row: IssuerRow, document: Document) -> str | None:
    """Return the `issuer` a document must name: for Entra its template with `{tenantid}`, literally."""
    if row.kind == "oidc":
        return row.issuer
    return row.v1_issuer if document == "v1" else row.v2_issuer


def parse_metadata(raw: bytes, row: IssuerRow, document: Document) -> Metadata:
    """Read an untrusted metadata document of a (checked) issuer row.

    Only `issuer` and `jwks_uri` are looked at; neither may differ from what the operator chose, but for
    the path of `jwks_uri`.

    Raises:
        MetadataMalformed: not one strict JSON object with both members.
        IssuerMismatch: `issuer` is not exactly the configured one.
        JwksUriRefused: `jwks_uri` leads where the configuration does not.
    """
    try:
        members = read_object(raw)
    except Unreadable as error:
        raise MetadataMalformed(f"the metadata is {error}") from None
    issuer, uri = members.get("issuer"), members.get("jwks_uri")
    if type(issuer) is not str:
        raise MetadataMalformed("the metadata has no issuer")
    if issuer != (wanted := expected_issuer(row, document)):
        raise IssuerMismatch(f"the metadata is of {shown(issuer)}, not of {wanted}")
    if type(uri) is not str:
        raise MetadataMalformed("the metadata has no jwks_uri")
    check_jwks_uri(uri, row, document)
    return Metadata(issuer, uri)


def check_jwks_uri(uri: str, row: IssuerRow, document: Document) -> None:
    """Refuse an address of keys to which an issuer's row does not lead.

    Raises:
        JwksUriRefused: not https, or on a host that is neither the metadata's own nor listed.
    """
    try:
        check_url(uri, "jwks_uri", allow_http=row.insecure_allow_http, query=True)
    except PolicyError as error:
        raise JwksUriRefused(f"jwks_uri {error.message}: {shown(uri)}") from None
    home = metadata_url(row, document)
    if home is not None and _authority(uri) == _authority(home):
        return
    host, port, default = _authority(uri)
    names = {f"{host}:{port}"} | ({host} if port == default else set())
    if names.isdisjoint(row.jwks_hosts):
        raise JwksUriRefused(f"jwks_uri is on {shown(host)}, which is neither the metadata's host nor in jwks_hosts")


def _authority(url: str) -> tuple[str, int, int]:
    """Return host (bracketed if it is IPv6), port and the scheme's own port of a checked address."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    default = _DEFAULT_PORTS[parts.scheme]
    return (f"[{host}]" if ":" in host else host), parts.port or default, default
