"""What stands between a token and a 200, and what is missing: each thing by itself, and the first as the next step."""

from __future__ import annotations

import json
import shlex
import tomllib
from typing import Any

import pytest
import typer

from tenantgate.cli.app import app
from tenantgate.core.policy import KINDS, RoleMappingRow
from tenantgate.core.rules import check_row
from tenantgate.core.stands import Fix, Stand, next_step
from tenantgate.core.trace import explain
from tests.builders import (
    ACME_CLIENT,
    ACME_OID,
    ACME_SECOND_CLIENT,
    ACME_TID,
    ISSUED_AT,
    NOW,
    REMOVE,
    STRANGE_CLIENT,
    STRANGE_TID,
    an_index,
    oidc_token,
    static_keys,
    stranger_key,
    v1_token,
    v2_claims,
    v2_issuer,
    v2_token,
)
from tests.core.cases import NeverFetched, home_token

STRANGER = {"iss": v2_issuer(STRANGE_TID), "tid": STRANGE_TID}
NAMES = ["issuer", "signature", "token", "tenant", "partner", "daemon", "roles"]
PROVED = [True, True, True]


def stands_of(
    token: str, wanted: tuple[str, ...] = ("Orders.Read",), keys: Any = None, resource: str = "orders", **world: Any
) -> tuple[Stand, ...]:
    """Return what stands for a token in the world as `world` changes it."""
    index = an_index(**world)
    return explain(token, index, keys or static_keys(index), resource, wanted, NOW).stands


def how(stands: tuple[Stand, ...]) -> list[bool | None]:
    """Return whether each thing stands."""
    assert [each.name for each in stands] == NAMES
    return [each.stands for each in stands]


def fix_of(stands: tuple[Stand, ...]) -> Fix:
    """Return the next step, which there must be."""
    fix = next_step(stands)
    assert fix is not None
    return fix


@pytest.mark.parametrize("token", [v2_token, v1_token, oidc_token, home_token])
def test_for_a_grant_everything_stands(token: Any) -> None:
    """Nothing is missing and nothing is next."""
    stands = stands_of(token())

    assert how(stands) == [True] * 7
    assert next_step(stands) is None


@pytest.mark.parametrize(
    ("token", "world", "expected"),
    [
        pytest.param(lambda: v2_token(iss="https://nobody.example"), {}, [False] + [None] * 6, id="issuer"),
        pytest.param(lambda: "opaque", {}, [False] + [None] * 6, id="no token"),
        pytest.param(lambda: stranger_key().sign(v2_claims()), {}, [True, False, None] + [True] * 4, id="forged"),
        pytest.param(lambda: v2_token(aud="x"), {}, [True, True, False] + [True] * 4, id="audience"),
        pytest.param(lambda: v2_token(oid=REMOVE), {}, [True, True, False] + [True] * 4, id="claims"),
        pytest.param(lambda: v2_token(**STRANGER), {}, [*PROVED, False, None, None, None], id="tenant"),
        pytest.param(
            lambda: v2_token(aud="x", **STRANGER), {}, [True, True, False, False, None, None, None], id="both"
        ),
        pytest.param(v2_token, {"acme_tenant": {"state": "suspended"}}, [*PROVED, False, True, True, True], id="t off"),
        pytest.param(v2_token, {"acme": {"state": "suspended"}}, [*PROVED, True, False, True, True], id="partner off"),
        pytest.param(v2_token, {"acme": {"state": "archived"}}, [*PROVED, True, False, True, True], id="archived"),
        pytest.param(v2_token, {"acme": {"ends_at": NOW}}, [*PROVED, True, False, True, True], id="partner ended"),
        pytest.param(v2_token, {"acme": ...}, [*PROVED, True, False, True, True], id="partner gone"),
        pytest.param(lambda: v2_token(azp=STRANGE_CLIENT), {}, [*PROVED, True, True, False, None], id="daemon"),
        pytest.param(
            lambda: home_token(azp=STRANGE_CLIENT), {}, [*PROVED, True, None, False, None], id="hosted daemon"
        ),
        pytest.param(v2_token, {"acme_daemon": {"state": "suspended"}}, [*PROVED, True, True, False, True], id="d off"),
        pytest.param(v2_token, {"acme_daemon": {"oid": STRANGE_CLIENT}}, [*PROVED, True, True, False, True], id="pin"),
        pytest.param(
            lambda: v2_token(azp=ACME_SECOND_CLIENT), {}, [*PROVED, True, True, True, False], id="no role at all"
        ),
        pytest.param(
            lambda: v2_token(roles=REMOVE),
            {"orders": {"token_roles": "intersect"}},
            [*PROVED, True, True, True, False],
            id="role not in the token",
        ),
    ],
)
def test_each_thing_stands_or_falls_by_itself(token: Any, world: dict[str, Any], expected: list[bool | None]) -> None:
    """What can be said is said, also beyond the step that refused; the rest waits for it."""
    assert how(stands_of(token(), **world)) == expected


def test_a_policy_applied_by_half_says_nothing() -> None:
    """Nobody is told what stands in a policy that could not be applied."""
    index = an_index()
    index.broken = True

    assert explain(v2_token(), index, static_keys(), "orders", (), NOW).stands == ()


def test_an_unknown_resource_leaves_the_roles_open() -> None:
    """Roles are a resource's: without one nothing can be said of them."""
    assert how(stands_of(v2_token(), resource="nothing"))[-1] is None


# What puts it right.


def test_an_unlisted_tenant_is_listed_by_one_command() -> None:
    """The command names issuer and tid; the partner is the operator's to know."""
    fix = fix_of(stands_of(v2_token(**STRANGER)))

    assert fix.command == f"tenantgate tenant create --issuer cloud --partner PARTNER --tid {STRANGE_TID}"


def test_an_issuers_only_tenant_has_no_tid() -> None:
    """An OIDC issuer is itself the tenant."""
    fix = fix_of(stands_of(oidc_token(), globex_tenant=..., globex_daemon=..., globex_reads=...))

    assert fix.command == "tenantgate tenant create --issuer oidc --partner PARTNER"


def test_an_unlisted_daemon_is_listed_with_its_pin() -> None:
    """Client id and object id are those of the proved token; in a hosted tenant the partner is asked for, too."""
    fix = fix_of(stands_of(v2_token(azp=STRANGE_CLIENT.upper(), oid=ACME_OID.upper())))
    assert fix.command == (
        f"tenantgate daemon create --tenant acme_tenant --client-id {STRANGE_CLIENT} --oid {ACME_OID}"
    )

    hosted = fix_of(stands_of(home_token(azp=STRANGE_CLIENT)))
    assert hosted.command.endswith(f"--client-id {STRANGE_CLIENT} --oid {ACME_OID} --partner PARTNER")


@pytest.mark.parametrize("client", ["it's; rm -rf *", "-x", "$(id)", "`id`", "a b"])
def test_a_client_of_any_name_is_one_word_of_the_command(client: str) -> None:
    """A client id is a partner's text: in a command it is quoted."""
    fix = fix_of(stands_of(oidc_token(client_id=client, sub=client)))

    assert shlex.split(fix.command)[5:] == ["--client-id", client]


@pytest.mark.parametrize("client", ["ключ", "x" * 300])
def test_a_client_that_cannot_be_shown_whole_is_not_copied(client: str) -> None:
    """A look-alike or a cut name in a command would list somebody else."""
    fix = fix_of(stands_of(oidc_token(client_id=client, sub=client)))

    assert shlex.split(fix.command)[5:] == ["--client-id", "VALUE"]


@pytest.mark.parametrize(
    ("row", "command"),
    [
        ("acme_tenant", "tenantgate tenant activate acme_tenant"),
        ("acme", "tenantgate partner activate acme"),
        ("acme_daemon", "tenantgate daemon activate acme_daemon"),
    ],
)
def test_what_is_suspended_is_activated(row: str, command: str) -> None:
    """The command for it, and where in a policy file it stands."""
    fix = fix_of(stands_of(v2_token(), **{row: {"state": "suspended"}}))

    assert fix.command == command
    assert f'id = "{row}"' in fix.rows


def test_a_missing_role_is_granted_to_the_daemon() -> None:
    """Each role asked for and not held has its line; one that the resource lacks is defined first."""
    fix = fix_of(stands_of(v2_token(), wanted=("Orders.Read", "Orders.Write", "Orders.Purge")))

    assert fix.command.splitlines() == [
        "tenantgate role grant --role orders_write --daemon acme_daemon",
        "tenantgate role create --resource orders --value Orders.Purge",
        "tenantgate role grant --role ROLE --daemon acme_daemon",
    ]


def test_without_a_role_asked_for_the_only_one_is_offered() -> None:
    """Where the resource has several, which one is the operator's to say."""
    token = v2_token(azp=ACME_SECOND_CLIENT)

    several = fix_of(stands_of(token, wanted=()))
    assert several.command == "tenantgate role grant --role ROLE --daemon acme_second"
    assert "Orders.Read, Orders.Write" in several.text

    one = fix_of(stands_of(token, wanted=(), orders_write=...))
    assert one.command == "tenantgate role grant --role orders_read --daemon acme_second"


def test_roles_are_told_with_their_dates() -> None:
    """What counts, until when, and what has ended or not begun."""
    details = [
        stands_of(v2_token(), acme_reads=change)[-1].detail
        for change in ({}, {"expires_at": NOW + 60}, {"expires_at": ISSUED_AT}, {"not_before": NOW + 1})
    ]

    assert details == [
        "Orders.Read",
        "Orders.Read until 2027-01-15T08:11:00Z",
        "Orders.Read ended at 2027-01-15T08:00:00Z; missing: Orders.Read",
        "Orders.Read from 2027-01-15T08:10:01Z; missing: Orders.Read",
    ]


def test_roles_by_the_tokens_own_claims_are_told() -> None:
    """What a mapping gives is held, and shown as what it is."""
    mapping = RoleMappingRow(id="mapped", issuer="cloud", claim="roles", value="Orders.Read", app_role="orders_write")
    index = an_index(mapping)
    stands = explain(v2_token(), index, static_keys(index), "orders", ("Orders.Write",), NOW).stands

    assert how(stands) == [True] * 7
    assert stands[-1].detail == "Orders.Read, Orders.Write by the token's own claims"


@pytest.mark.parametrize(
    ("token", "world"),
    [
        (oidc_token, {"oidc": {"subject_pin": True}}),
        (oidc_token, {"orders": {"issuers": ("cloud",)}}),
        (v2_token, {"orders": {"clients": (ACME_SECOND_CLIENT,)}}),
        (v2_token, {"orders": {"addresses": ("192.0.2.0/24",)}}),
        (oidc_token, {"orders": {"min_credential": "secret"}}),
    ],
    ids=["pin", "issuers", "clients", "addresses", "strength"],
)
def test_a_listed_daemon_that_does_not_suffice_falls_by_itself(token: Any, world: dict[str, Any]) -> None:
    """The list has it; the reason stands beside it, and there is no command for what must be thought about."""
    stands = stands_of(token(), **world)

    assert how(stands) == [*PROVED, True, True, False, True]
    assert next_step(stands) is None


# Nothing is advised on an unproved token's word.


@pytest.mark.parametrize(
    "claims",
    [STRANGER, {"azp": STRANGE_CLIENT}, {"azp": ACME_SECOND_CLIENT}],
    ids=["tenant", "daemon", "roles"],
)
@pytest.mark.parametrize("forged", [True, False], ids=["forged", "no keys"])
def test_nobody_is_listed_on_an_unproved_tokens_word(claims: dict[str, str], forged: bool) -> None:
    """Whatever a forged token says, no command to let its bearer in is written, and the list says it is unproved."""
    token = (stranger_key().sign if forged else lambda payload: v2_token(**payload))(v2_claims(**claims))
    stands = stands_of(token, keys=None if forged else NeverFetched())

    assert stands[1].stands is (False if forged else None)
    assert [each.fix for each in stands[2:]] == [None] * 5
    assert all("unproved" in each.detail for each in stands[3:])


def test_keys_that_are_not_at_hand_are_the_next_step() -> None:
    """A first token of an issuer whose keys are found by discovery: fetch them, and ask again."""
    stands = stands_of(v2_token(), keys=NeverFetched())

    assert how(stands) == [True, None, None, True, True, True, True]
    assert "--fetch" in fix_of(stands).text


# The texts are true.

FIXES = {
    "tenant": lambda: stands_of(v2_token(**STRANGER)),
    "oidc tenant": lambda: stands_of(oidc_token(), globex_tenant=..., globex_daemon=..., globex_reads=...),
    "daemon": lambda: stands_of(v2_token(azp=STRANGE_CLIENT)),
    "hosted daemon": lambda: stands_of(home_token(azp=STRANGE_CLIENT)),
    "oidc daemon": lambda: stands_of(oidc_token(client_id='a"b', sub='a"b')),
    "roles": lambda: stands_of(v2_token(), wanted=("Orders.Write", "Orders.Purge")),
    "suspended": lambda: stands_of(v2_token(), acme={"state": "suspended"}),
}


@pytest.mark.parametrize("name", list(FIXES))
def test_every_command_is_one_of_ours(name: str) -> None:
    """Each line parses as the command it names, with options that command has, and leaves no needed one out."""
    for line in fix_of(FIXES[name]()).command.splitlines():
        program, group, command, *words = shlex.split(line)
        assert program == "tenantgate"
        root: Any = typer.main.get_command(app)
        found = root.get_command(root.make_context("tenantgate", [], resilient_parsing=True), group)
        found.commands[command].make_context(command, words)


@pytest.mark.parametrize("name", [name for name in FIXES if name != "suspended"])
def test_every_row_is_one_a_policy_file_may_hold(name: str) -> None:
    """With the ids filled in, each row is one of the policy's: no unknown member, nothing missing."""
    rows = tomllib.loads(fix_of(FIXES[name]()).rows.replace('"PARTNER"', '"acme"').replace('"ROLE"', '"role"'))

    for array, members in rows.items():
        for member in members:
            check_row(KINDS[array[:-1]](**(member | {"id": "filled-in"})))


def test_details_name_no_opaque_claim() -> None:
    """The list shows ids and the caller, never a claim that names nobody."""
    text = json.dumps([each.detail for each in stands_of(v2_token(uti="uti-secret", rh="rh-secret"))])

    assert "secret" not in text
    assert ACME_CLIENT not in text
    assert ACME_TID not in text
