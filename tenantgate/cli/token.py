"""`tenantgate token`: judge tokens by a policy, and explain one. Offline, unless keys are to be fetched (`--fetch`)."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import typer

from tenantgate.cli.explained import print_for_operator, print_for_partner
from tenantgate.cli.policies import DatabaseOrNone, PolicyOrNone, read_either, read_file, state_folder, unusable
from tenantgate.core.decide import decide
from tenantgate.core.decision import Denied, Granted
from tenantgate.core.fields import LATEST
from tenantgate.core.index import PolicyIndex
from tenantgate.core.judge import Torn
from tenantgate.core.keys import KeySource, MalformedKeySet, StaticKeys
from tenantgate.core.policy import IssuerRow, PolicyError, PolicySnapshot
from tenantgate.core.rendering import PartnerView, for_operator, for_partner
from tenantgate.core.strict import Unreadable, read_document
from tenantgate.core.trace import Trace, explain

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

Now = Annotated[int | None, typer.Option(help="Judge as of this epoch second.", min=0, max=LATEST)]
PolicyFile = Annotated[Path, typer.Option("--policy", help="Policy file (TOML or JSON; docs/policy-file.md).")]

Reader = Literal["operator", "partner"]


class Line(msgspec.Struct, forbid_unknown_fields=True):
    """One question of the batch: which token, for which resource and roles, judged when (epoch seconds)."""

    token: str
    resource: str
    roles: tuple[str, ...] | None = None
    now: Annotated[int, msgspec.Meta(ge=0, le=LATEST)] | None = None


@app.callback()
def token() -> None:
    """Judge and explain tokens against a policy, offline."""


@app.command("judge")
def judge_tokens(
    policy: PolicyFile,
    batch: Annotated[bool, typer.Option("--batch", help="JSON lines in, one JSON decision a line out.")] = False,
    resource: Annotated[str, typer.Option(help="Id of the resource (without --batch).")] = "",
    role: Annotated[list[str] | None, typer.Option(help="A role asked for; may be repeated.")] = None,
    now: Now = None,
) -> None:
    """Judge the token on standard input, or with --batch one JSON line each.

    A batch line is {"token": …, "resource": …, "roles": […], "now": …}; the last two may be left out.
    Exit status: 0 all judged, 1 some lines unreadable, 2 policy unusable.
    """
    if batch == bool(resource):
        raise typer.BadParameter("give --resource for one token, or --batch: its lines name their resources.")
    index, keys = _indexed(read_file(policy))
    if not batch:
        question = Line(_token_on_stdin(), resource, tuple(role or ()), now)
        typer.echo(_encode(_judged(index, keys, question)))
        return
    unreadable = 0
    for number, raw in enumerate(sys.stdin.buffer, 1):
        answer = _answer(index, keys, raw, number)
        unreadable += "error" in answer
        sys.stdout.write(_encode(answer) + "\n")
        sys.stdout.flush()  # who asks line by line waits for this answer before the next question
    raise typer.Exit(1 if unreadable else 0)


@app.command("explain")
def explain_token(
    resource: Annotated[str, typer.Option(help="Id of the resource.")],
    policy: PolicyOrNone = None,
    database: DatabaseOrNone = None,
    role: Annotated[list[str] | None, typer.Option(help="A role asked for; may be repeated.")] = None,
    now: Now = None,
    reader: Annotated[Reader, typer.Option("--for", help="Who will read it: operator has everything.")] = "operator",
    peer: Annotated[str | None, typer.Option("--peer", metavar="ADDRESS", help="Where the call came from.")] = None,
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Fetch the issuer's keys, from where the policy says.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Explain the token on standard input step by step, and name what is still missing for it to be let in.

    Keys are those of the policy, and those that a gate has kept in TENANTGATE_STATE_DIR (beside the database where
    nothing is said).
    With --for partner it tells what whoever runs the daemon may read: about their token, nothing about the list.
    Exit status: 0 granted, 1 denied, 2 policy unusable.
    """
    snapshot = read_either(policy, database)
    index, keys = _indexed(snapshot)
    token_ = _token_on_stdin()
    moment = time.time() if now is None else now
    kept = state_folder(policy, database)
    if fetch or kept is not None:
        from tenantgate.cli.fetching import keys_at_hand

        keys = keys_at_hand(token_, index, resource, kept, fetch=fetch)
    trace = explain(token_, index, keys, resource, tuple(role or ()), moment, peer=peer)
    _tell(trace, reader, as_json=as_json, from_file=policy is not None)
    raise typer.Exit(0 if trace.reason is None else 1)


def _tell(trace: Trace, reader: Reader, *, as_json: bool, from_file: bool) -> None:
    view = for_partner(trace) if reader == "partner" else for_operator(trace)
    if as_json:
        typer.echo(_encode(msgspec.to_builtins(view)))
    elif isinstance(view, PartnerView):
        print_for_partner(view)
    else:
        print_for_operator(view, from_file=from_file)


def _token_on_stdin() -> str:
    # Whatever is no UTF-8 becomes a character that no token has: a denial, not an exception.
    return sys.stdin.buffer.read().decode("utf-8", "replace").strip()


def _indexed(snapshot: PolicySnapshot) -> tuple[PolicyIndex, KeySource]:
    rows = [row.data for row in snapshot.rows if isinstance(row.data, IssuerRow)]
    try:
        return PolicyIndex.from_snapshot(snapshot), StaticKeys(rows)
    except PolicyError as error:
        raise unusable(error.code, str(error)) from None
    except MalformedKeySet as error:
        raise unusable("jwks_malformed", str(error)) from None


def _answer(index: PolicyIndex, keys: KeySource, raw: bytes, number: int) -> dict[str, Any]:
    try:
        question = msgspec.convert(read_document(raw), Line)
    except (Unreadable, msgspec.ValidationError):
        # The line may hold a token: it is named by its number, never quoted.
        return {"error": {"code": "line_malformed", "line": number}}
    return _judged(index, keys, question)


def _judged(index: PolicyIndex, keys: KeySource, question: Line) -> dict[str, Any]:
    moment = time.time() if question.now is None else question.now
    decision = decide(question.token, index, keys, question.resource, question.roles or (), moment)
    assert not isinstance(decision, Torn)  # nothing writes to this index
    if isinstance(decision, Denied):
        return {"granted": False, "reason": decision.reason.value, "principal": None}
    return {"granted": True, "reason": None, "principal": _principal(decision)}


def _principal(decision: Granted) -> dict[str, Any]:
    who = decision.principal
    return {
        "partner": who.partner,
        "tenant": who.tenant,
        "client_id": who.client_id,
        "oid": who.oid,
        "roles": list(who.roles),
        "credential": who.credential,
    }


def _encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()
