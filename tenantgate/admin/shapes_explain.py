"""What `/explain` takes and answers: what `tenantgate token explain --json` prints, and by which revision."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import to_builtins
from pydantic import Field, SecretStr

from tenantgate.admin.explaining import Explained
from tenantgate.admin.shapes import ResourceId, RoleValue
from tenantgate.admin.wire import GivenInstant, In, Instant, Out, example, words
from tenantgate.core.fields import LIST_LENGTH

PEER_LENGTH: Final = 64
"""Characters of an address, a port with it."""


class ExplainIn(In):
    """A question about one token. It is judged, and kept nowhere."""

    model_config = example(
        token="header.payload.signature",  # noqa: S106 - an example, and no token
        resource="orders",
        roles=["Orders.Read"],
        at="2031-01-31T00:00:00Z",
    )
    token: SecretStr = Field(description="The access token, without its scheme.")
    resource: ResourceId
    roles: list[RoleValue] = Field(
        [], description="Asked for; any where empty.", json_schema_extra={"maxItems": LIST_LENGTH}
    )
    at: GivenInstant | None = Field(None, description="Judged as of then; now where left out.")
    peer: Annotated[str, words(PEER_LENGTH, "192.0.2.7")] | None = Field(None, description="Where the call came from.")


class ExplainStep(Out):
    """One step of the judgement."""

    name: str
    passed: bool
    expected: str
    received: str


class ExplainFix(Out):
    """What puts one missing thing right: in words, as a command, and as rows of a policy file."""

    text: str
    command: str
    rows: str


class ExplainStand(Out):
    """One thing that must stand; null where it cannot be said before what is above it stands."""

    name: str
    stands: bool | None
    detail: str
    fix: ExplainFix | None


class ExplainOut(Out):
    """Every step up to the one that refused, what it means, what helps, and everything that is still missing."""

    granted: bool
    status: int
    code: str | None = Field(description="What the caller was told.")
    reason: str | None = Field(description="Why, exactly.", examples=["token_expired"])
    meaning: str
    steps: list[ExplainStep]
    partner: str = Field(description="What whoever runs the daemon can do. May be sent to them.")
    publisher: str = Field(description="What you can do. Not for partners.")
    stands: list[ExplainStand]
    next: ExplainFix | None = Field(description="What to do first.")
    revision: int = Field(description="Of the policy it was judged by.")
    at: Instant


def explain_out(explained: Explained, at: int) -> ExplainOut:
    """Return an explanation as it goes over the wire."""
    return ExplainOut.model_validate(to_builtins(explained.view) | {"revision": explained.revision, "at": at})
