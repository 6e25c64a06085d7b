"""`tenantgate token` as it is called: a process of its own, lines in, lines out, an exit status."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from tenantgate.core.decision import Decision, DenialReason, Granted
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.policy import DaemonRow, PartnerRow, RoleAssignmentRow, RowData, TenantRow, kind_of
from tenantgate.core.rendering import for_operator
from tenantgate.core.trace import explain
from tests.builders import (
    ACME_SECOND_CLIENT,
    CONSUMER_TID,
    GLOBEX_CLIENT,
    HOME_CLIENT,
    HOME_TID,
    NOW,
    STRANGE_CLIENT,
    STRANGE_TID,
    ask,
    cloud_key,
    oidc_token,
    policy_rows,
    static_keys,
    stranger_key,
    unchanged_index,
    v1_token,
    v2_claims,
    v2_issuer,
    v2_token,
)
from tests.real_parts import ROOT


class Done(NamedTuple):
    """What a command left behind."""

    status: int
    out: bytes
    err: bytes

    def answers(self) -> list[dict[str, Any]]:
        """Return standard output, one JSON object a line."""
        return [json.loads(line) for line in self.out.splitlines()]


def tenantgate(*argv: str, stdin: bytes = b"", env: dict[str, str] | None = None) -> Done:
    """Run the command as a process of its own."""
    command = [sys.executable, "-m", "tenantgate", *argv]
    done = subprocess.run(command, input=stdin, capture_output=True, cwd=ROOT, env=env, timeout=60, check=False)
    return Done(done.returncode, done.stdout, done.stderr)


def write_policy(path: Path, *extra: RowData, **changes: Any) -> Path:
    """Write the built world as a policy file; `extra` and `changes` as for `policy_rows`."""
    document: dict[str, Any] = {"version": 1}
    for row in policy_rows(*extra, **changes):
        document.setdefault(f"{kind_of(row)}s", []).append(msgspec.to_builtins(row))
    path.write_text(json.dumps(document))
    return path


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the path of the built world's policy file."""
    return str(write_policy(tmp_path_factory.mktemp("policy") / "policy.json"))


def line(token: str, **members: Any) -> bytes:
    """Return one line of a batch: the token for orders, judged at NOW."""
    return json.dumps({"token": token, "resource": "orders", "now": NOW, **members}).encode()


def judged(policy: str, lines: Iterable[bytes]) -> Done:
    """Judge a batch."""
    return tenantgate("token", "judge", "--policy", policy, "--batch", stdin=b"".join(each + b"\n" for each in lines))


def expected(decision: Decision) -> dict[str, Any]:
    """Return the line that tells a decision."""
    if not isinstance(decision, Granted):
        return {"granted": False, "reason": decision.reason.value, "principal": None}
    who = decision.principal
    members = ("partner", "tenant", "client_id", "oid", "credential")
    principal = {name: getattr(who, name) for name in members} | {"roles": list(who.roles)}
    return {"granted": True, "reason": None, "principal": principal}


def spoiled_signature(token: str) -> str:
    """Return a token with another signature of the right length."""
    head, _, signature = token.rpartition(".")
    return f"{head}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"


def tokens() -> dict[str, tuple[str, DenialReason | None]]:
    """Return tokens by name, each with the reason it is refused for (None: granted)."""
    unlisted = {"tid": STRANGE_TID, "iss": v2_issuer(STRANGE_TID)}
    at_home = {"tid": HOME_TID, "iss": v2_issuer(HOME_TID)}
    consumer = {"tid": CONSUMER_TID, "iss": v2_issuer(CONSUMER_TID)}
    return {
        "v2": (v2_token(), None),
        "v1": (v1_token(), None),
        "oidc": (oidc_token(), None),
        "hosted": (v2_token(azp=HOME_CLIENT, **at_home), None),
        "opaque": ("opaque", R.TOKEN_MALFORMED),
        "empty": ("", R.TOKEN_MALFORMED),
        "not ASCII": ("é" + v2_token(), R.TOKEN_MALFORMED),
        "too large": ("a" * 20_000, R.TOKEN_TOO_LARGE),
        "encrypted": ("a.b.c.d.e", R.TOKEN_ENCRYPTED),
        "none": (cloud_key().sign(v2_claims(), alg="none"), R.ALGORITHM_NOT_ALLOWED),
        "jku": (cloud_key().sign(v2_claims(), jku="https://keys.example"), R.HEADER_NOT_ALLOWED),
        "typ": (cloud_key().sign(v2_claims(), typ="logout+jwt"), R.TOKEN_TYPE_NOT_ALLOWED),
        "issuer": (v2_token(iss="https://nobody.example"), R.ISSUER_UNKNOWN),
        "tid": (v2_token(tid=STRANGE_TID), R.TENANT_MISMATCH),
        "consumers": (v2_token(**consumer), R.CONSUMER_TENANT),
        "version": (v2_token(ver="1.0"), R.VERSION_MISMATCH),
        "kid": (cloud_key().sign(v2_claims(), kid="another"), R.SIGNING_KEY_UNKNOWN),
        "stranger's key": (stranger_key().sign(v2_claims()), R.SIGNATURE_INVALID),
        "signature": (spoiled_signature(v2_token()), R.SIGNATURE_INVALID),
        "no aud": (v2_token(aud=...), R.CLAIM_MISSING),
        "exp": (v2_token(exp="soon"), R.CLAIM_MALFORMED),
        "audience": (v2_token(aud="https://graph.microsoft.com"), R.AUDIENCE_MISMATCH),
        "expired": (v2_token(exp=NOW - 60), R.TOKEN_EXPIRED),
        "not yet": (v2_token(nbf=NOW + 61), R.TOKEN_NOT_YET_VALID),
        "future": (v2_token(iat=NOW + 61), R.TOKEN_ISSUED_IN_FUTURE),
        "lifetime": (v2_token(exp=NOW + 90_000), R.TOKEN_LIFETIME_TOO_LONG),
        "user": (v2_token(idtyp="user"), R.NOT_APP_ONLY),
        "id token": (v2_token(nonce="n"), R.ID_TOKEN_PRESENTED),
        "no oid": (v2_token(oid=...), R.SERVICE_PRINCIPAL_MISSING),
        "agent": (v2_token(xms_act_fct="11"), R.AGENT_IDENTITY_NOT_ALLOWED),
        "cnf": (v2_token(cnf={"jkt": "x"}), R.CONFIRMATION_UNSUPPORTED),
        "unlisted tenant": (v2_token(**unlisted), R.TENANT_NOT_LISTED),
        "unlisted daemon": (v2_token(azp=STRANGE_CLIENT), R.DAEMON_NOT_LISTED),
        "no role": (v2_token(azp=ACME_SECOND_CLIENT), R.ROLE_NOT_ASSIGNED),
    }


# The batch.


def test_each_token_is_answered_with_its_own_reason(policy: str) -> None:
    """One line out per line in, in order: granted, or refused for exactly that."""
    named = tokens()
    done = judged(policy, [line(token) for token, _ in named.values()])

    reasons = dict(zip(named, (answer["reason"] for answer in done.answers()), strict=True))
    assert reasons == {name: None if reason is None else reason.value for name, (_, reason) in named.items()}
    assert (done.status, done.err) == (0, b"")


def test_the_batch_answers_as_the_library_does(policy: str) -> None:
    """For every token, role and instant the line tells what `core.decide` returns."""
    questions: list[tuple[str, tuple[str, ...], int]] = [
        (token, roles, now)
        for token, _ in tokens().values()
        for roles in ((), ("Orders.Read",), ("Orders.Read", "Orders.Write"))
        for now in (NOW, NOW + 86_400)
    ]

    done = judged(policy, [line(token, roles=roles, now=now) for token, roles, now in questions])

    assert done.answers() == [expected(ask(token, wanted=roles, now=now)) for token, roles, now in questions]
    assert done.status == 0


def a_caller(number: int, partner: dict[str, Any], tenant: dict[str, Any], daemon: dict[str, Any]) -> list[RowData]:
    """Return the rows of one more partner with a tenant and a daemon that may read orders, but for the changes."""
    name = f"p{number}"
    tid, client = caller_ids(number)
    return [
        PartnerRow(**{"id": name, "name": name, **partner}),
        TenantRow(**{"id": f"{name}_tenant", "issuer": "cloud", "partner": name, "tid": tid, **tenant}),
        DaemonRow(**{"id": f"{name}_daemon", "tenant": f"{name}_tenant", "client_id": client, **daemon}),
        RoleAssignmentRow(id=f"{name}_reads", app_role="orders_read", daemon=f"{name}_daemon"),
    ]


def caller_ids(number: int) -> tuple[str, str]:
    """Return tid and client id of such a caller."""
    return f"bbbbbbbb-0000-4000-8000-0000000001{number:02}", f"cccccccc-0000-4000-8000-0000000001{number:02}"


def test_policy_reasons_come_from_the_policy(tmp_path: Path) -> None:
    """Tokens alike are refused for what the policy says of their tenant, partner or daemon."""
    cases: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], DenialReason | None]] = [
        ({}, {}, {}, None),
        ({}, {"state": "suspended"}, {}, R.TENANT_SUSPENDED),
        ({"state": "suspended"}, {}, {}, R.PARTNER_SUSPENDED),
        ({"state": "invited"}, {}, {}, R.PARTNER_NOT_ACTIVE),
        ({"ends_at": NOW}, {}, {}, R.PARTNER_ENDED),
        ({}, {}, {"state": "suspended"}, R.DAEMON_SUSPENDED),
        ({}, {}, {"oid": STRANGE_CLIENT}, R.OBJECT_ID_MISMATCH),
        ({}, {}, {"min_credential": "certificate"}, R.CREDENTIAL_TOO_WEAK),
    ]
    rows = [row for number, case in enumerate(cases) for row in a_caller(number, *case[:3])]
    path = write_policy(tmp_path / "policy.json", *rows, oidc={"jwks": None})
    callers = [caller_ids(number) for number in range(len(cases))]
    asked = [v2_token(tid=tid, iss=v2_issuer(tid), azp=client, azpacr="1") for tid, client in callers]

    done = judged(str(path), [line(token) for token in [*asked, oidc_token()]])

    reasons = [reason for *_, reason in cases] + [R.KEY_SET_UNAVAILABLE]
    assert [answer["reason"] for answer in done.answers()] == [reason and reason.value for reason in reasons]


def test_a_granted_principal_is_told(policy: str) -> None:
    """The principal has exactly the promised members."""
    done = judged(policy, [line(oidc_token())])

    assert done.answers() == [
        {
            "granted": True,
            "reason": None,
            "principal": {
                "partner": "globex",
                "tenant": "globex_tenant",
                "client_id": GLOBEX_CLIENT,
                "oid": GLOBEX_CLIENT,
                "roles": ["Orders.Read"],
                "credential": "token",
            },
        }
    ]


def test_roles_and_now_may_be_left_out(policy: str) -> None:
    """Without roles any role will do; without now a token is judged as of the present."""
    without_roles = {"token": v2_token(), "resource": "orders", "now": NOW}
    nulls = {**without_roles, "roles": None}
    without_now = {"token": v2_token(iat=100, nbf=100, exp=200), "resource": "orders"}

    done = judged(policy, [json.dumps(each).encode() for each in (without_roles, nulls, without_now)])

    assert [answer["reason"] for answer in done.answers()] == [None, None, "token_expired"]


def test_an_unknown_resource_cannot_be_judged(policy: str) -> None:
    """A slug that is no resource of the policy says nothing about the token."""
    done = judged(policy, [line(v2_token(), resource="nothing")])

    assert [answer["reason"] for answer in done.answers()] == ["policy_unavailable"]
    assert done.status == 0


UNREADABLE = {
    "not JSON": b"token",
    "cut off": b'{"token": "a", "resource": "orders"',
    "two values": b'{"token": "a", "resource": "orders"} {}',
    "blank": b"",
    "white space": b" \t",
    "not an object": b'["a", "orders"]',
    "no token": b'{"resource": "orders"}',
    "no resource": b'{"token": "a"}',
    "token is a number": b'{"token": 1, "resource": "orders"}',
    "token is null": b'{"token": null, "resource": "orders"}',
    "roles is a string": b'{"token": "a", "resource": "orders", "roles": "Orders.Read"}',
    "roles holds a number": b'{"token": "a", "resource": "orders", "roles": [1]}',
    "now is a string": b'{"token": "a", "resource": "orders", "now": "1"}',
    "now is no whole second": b'{"token": "a", "resource": "orders", "now": 1.5}',
    "now is a boolean": b'{"token": "a", "resource": "orders", "now": true}',
    "now is NaN": b'{"token": "a", "resource": "orders", "now": NaN}',
    "now is endless": b'{"token": "a", "resource": "orders", "now": 1e999}',
    "now is beyond the year 9999": b'{"token": "a", "resource": "orders", "now": 253402300800}',
    "now is beyond any number": b'{"token": "a", "resource": "orders", "now": 1' + b"0" * 400 + b"}",
    "now is before 1970": b'{"token": "a", "resource": "orders", "now": -1}',
    "unknown member": b'{"token": "a", "resource": "orders", "nows": 1}',
    "duplicate member": b'{"token": "a", "token": "a", "resource": "orders"}',
    "not UTF-8": b'{"token": "\xff", "resource": "orders"}',
    "lone surrogate": b'{"token": "\\ud800", "resource": "orders"}',
    "byte order mark": b'\xef\xbb\xbf{"token": "a", "resource": "orders"}',
    "deep": b"[" * 100_000,
}


def test_an_unreadable_line_is_named_and_the_rest_goes_on(policy: str) -> None:
    """Each such line is answered in its place by its number; the others are judged; the status is 1."""
    lines = [each for unreadable in UNREADABLE.values() for each in (unreadable, line(v2_token()))]

    done = judged(policy, lines)

    answers = done.answers()
    assert len(answers) == len(lines)
    wrong = {
        name: answer
        for place, (name, answer) in enumerate(zip(UNREADABLE, answers[::2], strict=True))
        if answer != {"error": {"code": "line_malformed", "line": 2 * place + 1}}
    }
    assert wrong == {}
    assert all(answer["granted"] for answer in answers[1::2])
    assert (done.status, done.err) == (1, b"")


def test_the_last_line_needs_no_end_and_others_may_end_as_on_windows(policy: str) -> None:
    """What ends a line is no part of it."""
    raw = line(v2_token())
    done = tenantgate("token", "judge", "--policy", policy, "--batch", stdin=raw + b"\r\n" + raw)

    assert [answer["granted"] for answer in done.answers()] == [True, True]
    assert done.status == 0


def test_each_line_is_answered_before_the_next_is_read(policy: str) -> None:
    """A program may ask, wait for the answer, and ask again."""
    command = [sys.executable, "-m", "tenantgate", "token", "judge", "--policy", policy, "--batch"]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env=buffered) as asked:
        assert asked.stdin is not None
        assert asked.stdout is not None
        asked.stdin.write(line(v2_token()) + b"\n")
        asked.stdin.flush()

        ready, _, _ = select.select([asked.stdout], [], [], 30)
        answer = asked.stdout.readline() if ready else b""
        asked.stdin.close()

        assert asked.wait(30) == 0
    assert answer.startswith(b'{"granted":true')


def test_an_empty_batch_has_no_answers(policy: str) -> None:
    """Nothing in, nothing out, and nothing wrong."""
    assert judged(policy, []) == Done(0, b"", b"")


def test_no_token_byte_is_told(policy: str) -> None:
    """Neither stream repeats the payload or the signature of a token, judged, refused or unreadable."""
    secret = cloud_key().sign(v2_claims(uti="neverToBeSeen"), kid="another")
    lines = [line(secret), b'{"token": "' + secret.encode() + b'", "resource": 5}', secret.encode(), line(secret + "!")]

    done = judged(policy, lines)
    told = done.out + done.err

    assert done.status == 1
    _, payload, signature = secret.split(".")
    assert payload[:24].encode() not in told
    assert signature[:24].encode() not in told
    assert b"neverToBeSeen" not in told


# A policy that cannot be used.


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param(None, "file_unreadable", id="no file"),
        pytest.param("{", "file_malformed", id="not JSON"),
        pytest.param('{"version": 2}', "version_unknown", id="another version"),
        pytest.param('{"version": 1, "partners": [{"id": "a"}]}', "member_missing", id="a member missing"),
        pytest.param(
            '{"version": 1, "issuers": [{"id": "a", "kind": "oidc", "issuer": "https://a.example", "jwks_file": "k"}]}',
            "file_unreadable",
            id="no key file",
        ),
    ],
)
def test_an_unusable_policy_is_one_line_and_status_2(tmp_path: Path, content: str | None, code: str) -> None:
    """Nothing is judged; standard error says in one line what is wrong with the policy."""
    path = tmp_path / "policy.json"
    if content is not None:
        path.write_text(content)

    done = judged(str(path), [line(v2_token())])

    assert (done.status, done.out) == (2, b"")
    (told,) = done.err.decode().splitlines()
    assert told.startswith(f"policy unusable: {code}: ")
    assert str(tmp_path) not in told


@pytest.mark.parametrize("command", ["judge", "explain"])
def test_an_unusable_policy_stops_every_command(tmp_path: Path, command: str) -> None:
    """A single token is not judged by a broken policy either."""
    options = ("--policy", str(tmp_path / "gone.toml"), "--resource", "orders")

    done = tenantgate("token", command, *options, stdin=v2_token().encode())

    assert (done.status, done.out) == (2, b"")
    assert done.err.startswith(b"policy unusable: file_unreadable: ")


def test_without_a_policy_nothing_is_judged() -> None:
    """The policy has no default: leaving it out is a mistake in the call."""
    done = tenantgate("token", "judge", "--batch", stdin=line(v2_token()) + b"\n")

    assert (done.status, done.out) == (2, b"")
    assert b"--policy" in done.err


# One token.


def test_bytes_that_are_no_text_are_a_denial(policy: str) -> None:
    """Whatever standard input holds and whatever the locale, the answer is a decision."""
    options = ("--policy", policy, "--resource", "orders")
    strict = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}

    judged_ = tenantgate("token", "judge", *options, stdin=b"\xff.\xfe.", env=strict)
    explained = tenantgate("token", "explain", *options, "--json", stdin=b"\xff.\xfe.", env=strict)

    assert [answer["reason"] for answer in judged_.answers()] == ["token_malformed"]
    assert [answer["reason"] for answer in explained.answers()] == ["token_malformed"]
    assert (judged_.status, explained.status, judged_.err + explained.err) == (0, 1, b"")


def test_one_token_is_judged_without_a_batch(policy: str) -> None:
    """The token alone on standard input, the rest as options; the answer is a batch's line."""
    options = ("--resource", "orders", "--role", "Orders.Read", "--now", str(NOW))
    done = tenantgate("token", "judge", "--policy", policy, *options, stdin=v2_token().encode() + b"\n")

    assert done.answers() == [expected(ask(v2_token()))]
    assert (done.status, done.err) == (0, b"")


@pytest.mark.parametrize(
    ("token", "status"),
    [(v2_token, 0), (lambda: v2_token(exp=NOW - 60), 1), (lambda: "opaque", 1)],
    ids=["granted", "denied", "malformed"],
)
def test_explain_as_json_is_the_operators_reading(policy: str, token: Any, status: int) -> None:
    """Everything, as `core.rendering` has it; status 0 where granted, 1 where denied."""
    text = token()
    options = ("--resource", "orders", "--role", "Orders.Read", "--now", str(NOW), "--json")

    done = tenantgate("token", "explain", "--policy", policy, *options, stdin=text.encode())

    index = unchanged_index()
    trace = explain(text, index, static_keys(), "orders", ("Orders.Read",), NOW)
    assert done.answers() == [json.loads(msgspec.json.encode(for_operator(trace)))]
    assert (done.status, done.err) == (status, b"")


@pytest.mark.parametrize("form", [("--json",), ()], ids=["json", "people"])
def test_explain_for_the_partner_tells_them_what_is_theirs(policy: str, form: tuple[str, ...]) -> None:
    """Unknown tenant and unknown daemon print the same bytes; a mistake in the token is named."""
    options = ("--policy", policy, "--resource", "orders", "--now", str(NOW), "--for", "partner", *form)
    stranger = v2_token(tid=STRANGE_TID, iss=v2_issuer(STRANGE_TID))
    asked = [stranger, v2_token(azp=STRANGE_CLIENT), v2_token(aud="https://graph.microsoft.com")]

    tenant, daemon, graph = (tenantgate("token", "explain", *options, stdin=token.encode()) for token in asked)

    assert tenant == daemon
    assert (tenant.status, tenant.err) == (1, b"")
    assert b"caller_not_allowed" in tenant.out
    assert b"This token is for Microsoft Graph." in graph.out
    assert b"next" not in graph.out


def test_explain_for_people_names_step_reason_and_advice(policy: str) -> None:
    """The table ends at the step that refused; then reason, advice for both, what stands, and the next command."""
    options = ("--resource", "orders", "--role", "Orders.Write", "--now", str(NOW))

    done = tenantgate("token", "explain", "--policy", policy, *options, stdin=v2_token().encode())

    text = " ".join(done.out.decode().split())
    trace = explain(v2_token(), unchanged_index(), static_keys(), "orders", ("Orders.Write",), NOW)
    assert "denied: role_not_assigned" in text
    assert all(step.name in text for step in trace.steps)
    assert f"partner: {trace.partner}" in text
    assert f"publisher: {trace.publisher}" in text
    assert "what stands: ok issuer cloud (entra, v2 token)" in text
    assert text.count("NO") == 2
    assert "next: Grant the role" in text
    assert "\n  tenantgate role grant --role orders_write --daemon acme_daemon\n" in done.out.decode()
    assert "\n  [[role_assignments]]\n" in done.out.decode()
    assert (done.status, done.err) == (1, b"")


def test_explain_shows_claims_as_they_are(policy: str) -> None:
    """What a claim holds is text, never markup of the terminal's library."""
    done = tenantgate(
        "token", "explain", "--policy", policy, "--resource", "orders", stdin=v2_token(iss="[/b][red]:ok:").encode()
    )

    assert "[/b][red]:ok:" in done.out.decode()
    assert (done.status, done.err) == (1, b"")


def test_explain_for_people_says_granted(policy: str) -> None:
    """Every step is fine, the verdict stands below, and nothing is next."""
    options = ("--resource", "orders", "--now", str(NOW))

    done = tenantgate("token", "explain", "--policy", policy, *options, stdin=v2_token().encode())

    text = done.out.decode()
    assert "granted" in text
    assert " NO " not in text
    assert "next:" not in text
    assert done.status == 0


def test_explain_never_shows_the_token(policy: str) -> None:
    """Neither reading, in neither form, repeats a segment of the token."""
    token = stranger_key().sign(v2_claims(uti="neverToBeSeen"))
    for form in ((), ("--json",), ("--for", "partner"), ("--for", "partner", "--json")):
        options = ("--resource", "orders", "--now", str(NOW), *form)
        done = tenantgate("token", "explain", "--policy", policy, *options, stdin=token.encode())

        told = done.out + done.err
        assert (b"invalid_token" if "partner" in form else b"signature_invalid") in told
        assert not any(segment[:24].encode() in told for segment in token.split("."))
        assert b"neverToBeSeen" not in told


# Where the policy comes from, and the keys.


def test_explain_reads_the_registry(tmp_path: Path, made_by_commands: Path) -> None:
    """With --database the policy is the registry's; its next step is a command, not a row of a file."""
    database = f"sqlite:///{made_by_commands}"
    token = v2_token(iss=f"https://login.microsoftonline.com/{STRANGE_TID}/v2.0", tid=STRANGE_TID)

    done = tenantgate("token", "explain", "--database", database, "--resource", "orders", stdin=token.encode())

    text = done.out.decode()
    assert (done.status, done.err) == (1, b"")
    assert "denied: key_set_unavailable" in text
    assert "ok issuer     entra (entra, v2 token)" in text
    assert f"NO tenant     not listed: tid {STRANGE_TID} at entra (as the token says, unproved)" in text
    assert "next: Get the issuer's keys: --fetch" in text
    assert "tenantgate tenant create" not in text
    assert "policy file:" not in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), b"give --policy FILE or --database"),
        (("--policy", "a.toml", "--database", "sqlite:///a.db"), b"not both"),
        (("--database", "sqlite:///nowhere.db"), b"policy unusable: "),
        (("--database", "mysql://nowhere/x"), b"policy unusable: settings_invalid: "),
    ],
    ids=["neither", "both", "no database", "no such kind"],
)
def test_explain_needs_one_policy(tmp_path: Path, options: tuple[str, ...], message: bytes) -> None:
    """One source, and one that can be read: else a line on standard error and status 2."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TENANTGATE_")}
    command = [sys.executable, "-m", "tenantgate", "token", "explain", "--resource", "orders", *options]
    environment = {**kept, "PYTHONPATH": str(ROOT)}

    done = subprocess.run(
        command, input=b"x", capture_output=True, cwd=tmp_path, env=environment, timeout=60, check=False
    )

    assert (done.returncode, done.stdout) == (2, b"")
    assert message in done.stderr.replace(b"\n", b" ")


def test_explain_over_a_file_loads_no_database_and_no_network(policy: str) -> None:
    """Over a policy file neither SQLAlchemy nor httpx is imported."""
    code = (
        "import sys\nfrom tenantgate.cli import main\n"
        f"sys.argv[1:] = ['token', 'explain', '--policy', {policy!r}, '--resource', 'orders']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(*sorted({'sqlalchemy', 'httpx'} & sys.modules.keys()), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], input=b"x", capture_output=True, cwd=ROOT, check=True)

    assert done.stderr.strip() == b""
