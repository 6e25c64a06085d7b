"""Nothing an operator or a partner writes is a pattern, and no pattern of our own takes long over anything."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

import tenantgate
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied, Granted
from tenantgate.core.policy import DaemonRow, PolicyError, ResourceRow, RoleAssignmentRow, TenantRow
from tenantgate.core.rules import check_row
from tests.builders import (
    API_URI,
    GLOBEX_CLIENT,
    OIDC_ISSUER,
    an_index,
    an_oidc_issuer,
    ask,
    oidc_token,
)

PACKAGE = Path(tenantgate.__file__).parent
FUNCTIONS = {"compile", "match", "search", "fullmatch", "sub", "subn", "split", "findall", "finditer"}
WILD = [
    ".*",
    "*",
    "%",
    "_",
    ".",
    "^.*$",
    "(a+)+$",
    "[a-z]*",
    "?",
    "**",
    "globex.sync",
    "globex-.*",
    "globex*",
    "GLOBEX-SYNC",
]


def patterns_of(path: Path) -> list[str | None]:
    """Return the pattern of each use of `re` in a module: its text, or None where it is not written there."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    constants = {
        target.id: node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    found: list[str | None] = []
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in FUNCTIONS):
            continue
        if not (isinstance(node.func.value, ast.Name) and node.func.value.id == "re"):
            continue
        first = node.args[0]
        text = first.value if isinstance(first, ast.Constant) else constants.get(getattr(first, "id", ""))
        text = text.decode("ascii") if isinstance(text, bytes) else text
        found.append(text if isinstance(text, str) else None)
    return found


PATTERNS = sorted({pattern for path in PACKAGE.rglob("*.py") for pattern in patterns_of(path) if pattern is not None})


@pytest.mark.threat(50)
def test_every_pattern_is_written_in_the_code() -> None:
    """No pattern comes from a policy, a request, a setting or a token; nor is there another language of patterns."""
    assert len(PATTERNS) > 10
    for path in PACKAGE.rglob("*.py"):
        assert None not in patterns_of(path), path.name
        imported = {alias.name for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                    if isinstance(node, ast.Import) for alias in node.names}  # fmt: skip
        assert imported.isdisjoint({"fnmatch", "glob", "regex", "re2", "sre_compile"}), path.name
        froms = {node.module for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                 if isinstance(node, ast.ImportFrom)}  # fmt: skip
        assert froms.isdisjoint({"re", "fnmatch", "glob", "regex"}), path.name


HOSTILE = [
    "a" * 50_000 + "!",
    "0" * 50_000,
    "-" * 50_000,
    "\n" * 50_000,
    "aA" * 25_000,
    "a:" * 25_000,
    "a.b-" * 12_000,
    "00000000" + "-0000" * 10_000,
    "/partners/" + "a" * 50_000 + "/",
    " - at `$" * 6_000,
    " - at `$" + "x" * 50_000,
]


@pytest.mark.threat(50)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_no_pattern_of_ours_can_be_read_in_many_ways(pattern: str) -> None:
    """No repetition stands in a repetition, and none holds a choice: what takes patterns exponential time has both.

    Each is done with 50 KB of long runs, near misses and repetitions; a pattern that is not would never end here.
    """
    assert not nests(pattern)
    compiled = re.compile(pattern)
    for text in HOSTILE:
        compiled.match(text)


def nests(pattern: str) -> bool:
    """Whether an unbounded repetition holds another one, or a choice."""
    return _nests(re._parser.parse(pattern), repeated=False)  # type: ignore[attr-defined]


def _nests(parsed: Any, *, repeated: bool) -> bool:
    for operation, argument in parsed:
        name = str(operation)
        if name == "BRANCH" and repeated:
            return True
        unbounded = name in ("MAX_REPEAT", "MIN_REPEAT") and argument[1] > 100
        if unbounded and repeated:
            return True
        for inner in _inner(argument):
            if _nests(inner, repeated=repeated or unbounded):
                return True
    return False


def _inner(argument: Any) -> list[Any]:
    """Return the patterns within an operation's argument, at any depth of tuples and lists."""
    if isinstance(argument, re._parser.SubPattern):  # type: ignore[attr-defined]
        return [argument]
    return [each for part in argument for each in _inner(part)] if isinstance(argument, tuple | list) else []


def test_the_check_finds_what_it_looks_for(tmp_path: Path) -> None:
    """A pattern that is computed would be seen, and one that takes long would take long."""
    module = tmp_path / "module.py"
    module.write_text(
        'import re\nA = "a"\nre.compile(A)\nre.match("b", x)\nre.search(policy.pattern, x)\nre.sub(f"{x}", "", x)'
    )

    assert patterns_of(module) == ["a", "b", None, None]
    assert all(nests(slow) for slow in ("(a|a)*!", "(a+)+!", "((ab?)*c)*", "x(?:y|z*)+"))
    assert not any(nests(fast) for fast in ("a*b*", "(a|b)c+", "[ab]+", "(ab){1,8}c*"))


@pytest.mark.threat(50)
@pytest.mark.parametrize("wild", WILD)
def test_a_client_id_in_the_policy_means_itself_alone(wild: str) -> None:
    """Listed as a client id or a pinned subject, what looks like a pattern matches the very same text only."""
    listed = an_index(
        DaemonRow(id="wild", tenant="globex_tenant", client_id=wild),
        RoleAssignmentRow(id="wild_reads", app_role="orders_read", daemon="wild"),
        globex_daemon=...,
        globex_reads=...,
    )
    assert isinstance(ask(oidc_token(client_id=wild, sub=wild), listed), Granted)
    for refused, reason in (
        (ask(oidc_token(), listed), R.DAEMON_NOT_LISTED),
        (ask(oidc_token(), globex_daemon={"subject": wild}), R.OBJECT_ID_MISMATCH),
    ):
        assert isinstance(refused, Denied)
        assert refused.reason is reason


@pytest.mark.threat(50)
@pytest.mark.parametrize("wild", [".*", "*", "api://*", "api://orders.exampl.", "api://orders%", "."])
def test_an_audience_a_role_and_an_issuer_mean_themselves_alone(wild: str) -> None:
    """An audience with a star fits no other; nor does a role, and an issuer cannot be written with one that matters."""
    audience = ask(oidc_token(aud=API_URI), orders={"audiences": (wild,)})
    assert isinstance(audience, Denied)
    assert audience.reason is R.AUDIENCE_MISMATCH
    role = ask(oidc_token(), orders_read={"value": wild}, wanted=("Orders.Read",))
    assert isinstance(role, Denied)
    assert role.reason is R.ROLE_NOT_ASSIGNED
    issuer = ask(oidc_token(), oidc={"issuer": OIDC_ISSUER[:-1] + wild})
    assert isinstance(issuer, Denied)
    assert issuer.reason is R.ISSUER_UNKNOWN


@pytest.mark.threat(50)
def test_what_would_have_to_be_a_pattern_is_refused_as_a_row() -> None:
    """A host, a tenant or an algorithm with a star is no value of its kind."""
    wild: list[tuple[Any, str]] = [
        (an_oidc_issuer(jwks_hosts=("*.globex.example",)), "host_malformed"),
        (an_oidc_issuer(algorithms=("RS*",)), "algorithm_not_allowed"),
        (an_oidc_issuer(token_types=("*+jwt",)), "token_type_malformed"),
        (TenantRow(id="t", issuer="cloud", partner="acme", tid="*"), "guid_malformed"),
        (DaemonRow(id="*", tenant="t", client_id=GLOBEX_CLIENT), "id_malformed"),
        (ResourceRow(id="orders*", audiences=("a",)), "id_malformed"),
    ]
    for row, code in wild:
        with pytest.raises(PolicyError) as caught:
            check_row(row)
        assert caught.value.code == code
