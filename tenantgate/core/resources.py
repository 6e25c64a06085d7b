"""What makes a resource and its token rules right. Codes are those of `core.rules`; input is an operator's."""

from __future__ import annotations

import ipaddress
import re
from typing import Final, get_args

from msgspec.structs import replace

from tenantgate.core.fields import (
    IDENTITY_LENGTH,
    LATEST,
    check_guid,
    check_id,
    check_identity,
    check_list,
    check_number,
    check_text,
    check_value,
)
from tenantgate.core.pointer import parse_pointer
from tenantgate.core.policy import (
    AppOnlyRule,
    CredentialStrength,
    Match,
    PolicyError,
    ReportOnly,
    RequiredClaim,
    ResourceRow,
    ResourceRule,
    TokenRoles,
    TokenVersion,
    one_spelling,
)

LONGEST_LIFETIME: Final = 31 * 86_400
LARGEST_SKEW: Final = 600
MESSAGE_LENGTH: Final = 200

_HEADER: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}[A-Za-z0-9])?\Z")  # no underscore: proxies fold it
_QUERY: Final = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,31}\Z")
_MESSAGE: Final = re.compile(r"[ !#-\[\]-~]{1,200}\Z")  # a challenge's text holds neither quote nor backslash
# Authorization has a scheme: where it is meant, token_header is left out.
_TAKEN_HEADERS: Final = frozenset(
    (
        "authorization",
        "cookie",
        "connection",
        "content-length",
        "host",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
    )
)


def check_resource(row: ResourceRow) -> ResourceRow:
    """Return the resource with its key's GUID in lower case and networks in their usual form, or refuse it.

    Raises:
        PolicyError: `path` is the member.
    """
    _check_identities(row.audiences, "audiences", empty=False)
    _check_identities(row.clients, "clients")
    check_value(row.app_only, "app_only", AppOnlyRule)
    check_value(row.token_roles, "token_roles", TokenRoles)
    check_value(row.min_credential, "min_credential", CredentialStrength)
    check_number(row.max_lifetime, "max_lifetime", 1, LONGEST_LIFETIME)
    check_number(row.clock_skew, "clock_skew", 0, LARGEST_SKEW)
    for place, issuer in enumerate(row.issuers):
        check_id(issuer, f"issuers[{place}]")
    check_list(row.issuers, "issuers")
    for place, version in enumerate(row.token_versions):
        check_value(version, f"token_versions[{place}]", TokenVersion)
    check_list(row.token_versions, "token_versions")
    row = replace(row, addresses=_networks(row.addresses))
    _check_required(row.required_claims)
    _check_reported(row.report_only)
    _check_source(row)
    _check_failure(row)
    if row.signing_keys_appid is not None:
        row = replace(row, signing_keys_appid=check_guid(row.signing_keys_appid, "signing_keys_appid"))
    return row


def _check_identities(values: tuple[str, ...], path: str, *, empty: bool = True) -> None:
    # Kept as written: an issuer other than Entra may write a GUID in upper case, and means it to the letter.
    for place, value in enumerate(values):
        check_identity(value, f"{path}[{place}]", spaces=False)
    check_list(tuple(map(one_spelling, values)), path, empty=empty)


def _networks(values: tuple[str, ...]) -> tuple[str, ...]:
    found = []
    for place, value in enumerate(values):
        where = f"addresses[{place}]"
        try:
            network = ipaddress.ip_network(value)
        except ValueError:
            message = "must be an address or a network in CIDR form, without bits behind its prefix"
            raise PolicyError("network_malformed", message, where) from None
        if isinstance(network, ipaddress.IPv6Network) and _is_in_disguise(network.network_address):
            # A caller's IPv4 address is judged as IPv4, and its zone is another machine's word: neither ever matches.
            raise PolicyError("network_malformed", "must be IPv4 as such, or IPv6 without a zone", where)
        found.append(str(network))
    check_list(tuple(found), "addresses")
    return tuple(found)


def _is_in_disguise(address: ipaddress.IPv6Address) -> bool:
    return address.ipv4_mapped is not None or address.scope_id is not None


def _check_required(claims: tuple[RequiredClaim, ...]) -> None:
    check_list(tuple(each.claim for each in claims), "required_claims")
    for place, each in enumerate(claims):
        where = f"required_claims[{place}]"
        parse_pointer(each.claim, f"{where}.claim")
        check_value(each.match, f"{where}.match", Match)
        for number, value in enumerate(each.values):
            check_text(value, f"{where}.values[{number}]", limit=IDENTITY_LENGTH)
        check_list(each.values, f"{where}.values")
        if each.separator is not None and not 1 <= len(each.separator) <= 4:
            raise PolicyError("separator_malformed", "must be 1 to 4 characters", f"{where}.separator")


def _check_reported(rules: tuple[ReportOnly, ...]) -> None:
    check_list(tuple(each.rule for each in rules), "report_only")
    for place, each in enumerate(rules):
        if each.rule not in get_args(ResourceRule):
            message = "is nothing that may be reported only (`core.policy.ResourceRule`)"
            raise PolicyError("value_unknown", message, f"report_only[{place}].rule")
        check_number(each.until, f"report_only[{place}].until", 0, LATEST)


def _check_source(row: ResourceRow) -> None:
    header, query = row.token_header, row.token_query
    if header is not None and (not _HEADER.match(header) or _is_taken(header)):
        raise PolicyError("header_malformed", "cannot be a header that holds the token alone", "token_header")
    if query is not None and not _QUERY.match(query):
        raise PolicyError("query_malformed", "must be 1 to 64 of A-Z a-z 0-9 . _ -", "token_query")
    if not _SCHEME.match(row.token_scheme):
        raise PolicyError("scheme_malformed", "cannot be an authentication scheme", "token_scheme")
    if header is not None and row.token_scheme != "Bearer":
        raise PolicyError("member_not_allowed", "a header of its own holds the token alone", "token_scheme")


def _is_taken(header: str) -> bool:
    name = header.lower()
    return name in _TAKEN_HEADERS or name.startswith(("x-tg-", "x-forwarded-", "content-"))


def _check_failure(row: ResourceRow) -> None:
    if row.failure_status is not None and row.failure_status not in range(401, 500):
        raise PolicyError("number_out_of_range", "must be between 401 and 499", "failure_status")
    if row.failure_message is not None and not _MESSAGE.match(row.failure_message):
        message = f'must be 1 to {MESSAGE_LENGTH} visible ASCII characters, without " and \\'
        raise PolicyError("text_not_allowed", message, "failure_message")
