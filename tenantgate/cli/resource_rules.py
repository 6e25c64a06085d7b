"""The rules of a resource as options, the same for `resource create` and `resource change`. None: not given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, get_args

import msgspec
import typer

from tenantgate.cli.moments import moment
from tenantgate.core.policy import (
    AppOnlyRule,
    CredentialStrength,
    Match,
    ReportOnly,
    RequiredClaim,
    ResourceRow,
    ResourceRule,
    TokenRoles,
)
from tenantgate.core.strict import Unreadable, read_object

MEMBERS: Final = frozenset(ResourceRow.__struct_fields__) - {"id"} | {"access_requests"}
"""What these options set: each is the parameter of its own name."""
UNSET: Final[dict[str, Any]] = {
    each.name: each.default
    for each in msgspec.structs.fields(ResourceRow)
    if not each.required and each.default is not msgspec.NODEFAULT
}
"""Members that `--clear` can name, and what they are then."""


def required_claim(text: str) -> RequiredClaim:
    """Return a claim for `roles`, `roles any Orders.Read,Orders.Write`, or a JSON object as in the policy file.

    Raises:
        typer.BadParameter: it is none of these.
    """
    if text.lstrip().startswith("{"):
        try:
            return msgspec.convert(read_object(text.encode()), RequiredClaim)
        except (Unreadable, msgspec.ValidationError, UnicodeEncodeError) as error:
            raise typer.BadParameter(f"is no required claim: {error}") from None
    claim, match, values = (*text.split(None, 2), None, None)[:3]
    if claim is None or (match is None) is not (values is None) or match not in (None, *get_args(Match)):
        raise typer.BadParameter("must be as: roles, or: roles any Orders.Read,Orders.Write, or a JSON object")
    if match is None:
        return RequiredClaim(claim=claim)
    return RequiredClaim(claim=claim, match="any" if match == "any" else "all", values=tuple((values or "").split(",")))


def report_only(text: str) -> ReportOnly:
    """Return a rule and its end for `addresses 2031-01-31`.

    Raises:
        typer.BadParameter: it is not that.
    """
    rule, _, until = text.strip().partition(" ")
    if rule not in get_args(ResourceRule) or not until:
        raise typer.BadParameter(f"must be a rule and a time, as: addresses 2031-01-31; {', '.join(_RULES)}")
    return msgspec.convert({"rule": rule, "until": moment(until.strip())}, ReportOnly)


def cleared(text: str) -> str:
    """Return the name of a member that can be cleared.

    Raises:
        typer.BadParameter: there is none of that name.
    """
    if text not in UNSET:
        raise typer.BadParameter(f"must be one of {', '.join(UNSET)}")
    return text


def given(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members that were given, out of all parameters of a command."""
    found = {name: value for name, value in parameters.items() if name in MEMBERS and value not in (None, [])}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}


_RULES: Final = get_args(ResourceRule)

AppOnly = Annotated[
    AppOnlyRule | None, typer.Option("--app-only", help="strict (unless set): proof that no user is there.")
]
AgentIdentities = Annotated[
    bool | None, typer.Option("--agent-identities/--no-agent-identities", help="Let agent identities of Entra call.")
]
WhichRoles = Annotated[TokenRoles | None, typer.Option("--token-roles", help="Whether a token's roles count.")]
TenantWideRoles = Annotated[
    bool | None, typer.Option("--tenant-wide-roles/--no-tenant-wide-roles", help="Allow roles for tenants.")
]
MinCredential = Annotated[CredentialStrength | None, typer.Option("--min-credential", help="Least credential.")]
MaxLifetime = Annotated[
    int | None, typer.Option("--max-lifetime", metavar="SECONDS", help="Longest exp - iat (86400 unless set).")
]
ClockSkew = Annotated[
    int | None, typer.Option("--clock-skew", metavar="SECONDS", help="How far clocks may differ (60 unless set).")
]
Issuers = Annotated[list[str] | None, typer.Option("--issuer", metavar="ID", help="An issuer accepted here; several.")]
Clients = Annotated[
    list[str] | None, typer.Option("--client", metavar="CLIENT_ID", help="A client id accepted here; several.")
]
TokenVersions = Annotated[
    list[str] | None,
    typer.Option("--token-version", metavar="1.0|2.0", help="Entra: an accepted version of tokens; several."),
]
RequiredClaims = Annotated[
    list[RequiredClaim] | None,
    typer.Option(
        "--require-claim",
        parser=required_claim,
        metavar="CLAIM",
        help="A claim a token must carry, as: 'roles any Orders.Read,Orders.Write', 'roles all A,B', or 'roles' alone "
        "(it must exist); or a JSON object as in the policy file, where a value has a comma or the claim a separator. "
        "Several.",
    ),
]
Addresses = Annotated[
    list[str] | None, typer.Option("--address", metavar="CIDR", help="A network callers must be in; several.")
]
Reported = Annotated[
    list[ReportOnly] | None,
    typer.Option(
        "--report-only",
        parser=report_only,
        metavar="RULE-UNTIL",
        help="A rule that denies only from a time on, as: 'addresses 2031-01-31'. Several. Rules: "
        + ", ".join(_RULES)
        + ".",
    ),
]
SigningKeysAppid = Annotated[
    str | None,
    typer.Option("--signing-keys-appid", metavar="GUID", help="Entra: the API's application id, for keys of its own."),
]
TokenHeader = Annotated[
    str | None, typer.Option("--token-header", metavar="NAME", help="The header that holds the token alone.")
]
TokenQuery = Annotated[
    str | None, typer.Option("--token-query", metavar="NAME", help="A query parameter that may hold the token.")
]
TokenScheme = Annotated[
    str | None, typer.Option("--token-scheme", metavar="NAME", help="The scheme in Authorization (Bearer unless set).")
]
FailureStatus = Annotated[
    int | None, typer.Option("--failure-status", metavar="STATUS", help="Status of a refused credential.")
]
FailureMessage = Annotated[str | None, typer.Option("--failure-message", help="What a refused caller reads.")]
ShowReasons = Annotated[
    bool | None, typer.Option("--show-reasons/--no-show-reasons", help="Callers read the exact reason.")
]
AccessRequests = Annotated[
    bool | None,
    typer.Option("--access-requests/--no-access-requests", help="Note authentic callers that are on no list."),
]
Clear = Annotated[
    list[str] | None,
    typer.Option(
        "--clear",
        parser=cleared,
        metavar="MEMBER",
        help="Take a rule back: a member as the policy file calls it, as required_claims or token_header. Several.",
    ),
]
