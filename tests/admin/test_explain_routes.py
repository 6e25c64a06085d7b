"""`/explain`: the same words as the command's, by the policy in the database, and not a byte of the token anywhere."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tenantgate.admin.explaining import AT_ONCE, Explaining, TooManyExplanations
from tenantgate.cli.app import app
from tenantgate.core.index import PolicyIndex
from tenantgate.core.keys import StaticKeys
from tenantgate.embed import keys_at_hand
from tenantgate.registry import daemons, issuers, partners
from tenantgate.registry.issuers import IssuerSpec
from tests.admin.world import Api, description
from tests.builders import Signer, signer
from tests.registry.builders import NOW, work_on

ISS = "https://id.fabrikam.example/realms/main"
KEY: Signer = signer("RS256", "theirs")


def a_token(**changed: Any) -> str:
    """A token of fabrikam's daemon, in the form of RFC 9068."""
    claims = {
        "iss": ISS,
        "aud": "api://orders",
        "sub": "nightly",
        "client_id": "nightly",
        "iat": NOW - 60,
        "exp": NOW + 600,
        "jti": "one-of-many",
    }
    return KEY.sign(claims | changed, typ="at+jwt")


@pytest.fixture
def world(api: Api) -> Api:
    """The API over a database with an issuer whose keys stand in the policy, and a daemon of it that has a role."""
    with work_on(api.engine) as work:
        issuers.create(
            work, IssuerSpec(id="theirs", kind="oidc", issuer=ISS, profile="rfc9068", jwks={"keys": [KEY.jwk()]})
        )
    api.make("/partners", id="fabrikam", name="Fabrikam")
    api.make("/tenants", id="fabrikam-own", issuer="theirs", partner="fabrikam")
    api.make("/daemons", id="theirs-nightly", tenant="fabrikam-own", client_id="nightly")
    api.make("/role-assignments", app_role="orders-read", daemon="theirs-nightly")
    api.clock.now = NOW
    return api


def ask(api: Api, token: str, role: str = "Operator", **members: Any) -> Any:
    """The explanation of a token."""
    answer = api.ask("POST", "/explain", json={"token": token, "resource": "orders"} | members, role=role)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_token_that_is_let_in(world: Api):
    """Step by step, with the revision it was judged by."""
    found = ask(world, a_token(), roles=["Orders.Read"])
    assert (found["granted"], found["status"], found["reason"], found["at"]) == (
        True,
        200,
        None,
        "2027-01-15T08:00:00Z",
    )
    assert found["steps"][-1]["name"] == "roles"
    assert found["revision"] == world.get("/policy")["revision"]


def test_it_says_what_the_command_says(world: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Member by member, for a grant and for refusals."""
    monkeypatch.chdir(tmp_path)
    address = world.engine.url.set(drivername=world.engine.dialect.name).render_as_string(hide_password=False)
    words = ["token", "explain", "--resource", "orders", "--now", str(NOW), "--json", "--database", address]
    for token in (a_token(), a_token(aud="api://stock"), "a.b.c"):
        command = json.loads(CliRunner().invoke(app, words, input=token).stdout)
        told = ask(world, token)
        assert {name: told[name] for name in command} == command
        assert told.keys() - command.keys() == {"revision", "at"}


def test_no_byte_of_the_token_is_kept(world: Api, caplog: pytest.LogCaptureFixture):
    """Not in an answer, not in a log, whatever is wrong with it or with what came beside it."""
    caplog.set_level(logging.DEBUG)
    token = a_token(exp=NOW - 600)
    answers = [
        json.dumps(ask(world, token)),
        json.dumps(ask(world, token[:-4] + "AAAA")),
        json.dumps(ask(world, "x" + token)),
        json.dumps(world.refused("POST", "/explain", json={"token": token, "resource": 7})),
        json.dumps(world.refused("POST", "/explain", json={"token": token})),
        json.dumps(world.refused("POST", "/explain", json={"token": [token], "resource": "orders"})),
        json.dumps(world.get("/audit")),
    ]
    said = "".join(answers) + caplog.text
    for part in (token, *token.split("."), token[-4:] + "AAAA"):
        assert part not in said


def test_it_follows_the_policy(world: Api):
    """By what changed since; a suspension is in the next answer, and the whole policy is read once."""
    assert ask(world, a_token())["granted"]
    index = _index(world)
    with work_on(world.engine) as work:
        partners.suspend(work, "fabrikam")
    found = ask(world, a_token())
    assert (found["reason"], found["revision"]) == ("partner_suspended", world.get("/policy")["revision"])
    with work_on(world.engine) as work:
        partners.activate(work, "fabrikam")
        daemons.suspend(work, "theirs-nightly")
    assert ask(world, a_token())["reason"] == "daemon_suspended"
    assert _index(world) is index


@pytest.mark.file
@pytest.mark.parametrize("later", [1, 3], ids=["at the same revision", "beyond it"])
def test_a_backup_that_was_put_back_is_explained_by_itself(world: Api, later: int):
    """It went on to the revision of the index, and further: nothing of what was known before is in an answer."""
    path = world.engine.url.database
    assert path is not None
    backup = Path(path).with_name("backup.db")
    _copied(path, backup)
    with work_on(world.engine) as work:
        partners.suspend(work, "fabrikam")
    assert ask(world, a_token())["reason"] == "partner_suspended"

    _copied(backup, path)
    for number in range(later):
        with work_on(world.engine) as work:
            partners.change(work, "contoso", {"name": f"Contoso {number}"})

    found = ask(world, a_token())
    assert (found["granted"], found["revision"]) == (True, world.get("/policy")["revision"])
    index = _index(world)
    with work_on(world.engine) as work:
        daemons.suspend(work, "theirs-nightly")
    assert ask(world, a_token())["reason"] == "daemon_suspended"
    assert _index(world) is index


def _copied(source: str | Path, target: str | Path) -> None:
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)


def test_as_of_another_time(world: Api):
    """A token of yesterday, as of yesterday."""
    old = a_token(iat=NOW - 86_400, exp=NOW - 82_800)
    assert ask(world, old)["reason"] == "token_expired"
    assert ask(world, old, at="2027-01-14T08:00:01Z")["granted"]


def test_an_unknown_issuer_or_resource_is_an_answer(world: Api):
    """Nothing is asked of anybody."""
    assert ask(world, a_token(iss="https://somebody.example"))["reason"] == "issuer_unknown"
    assert ask(world, a_token(), resource="nothing")["reason"] == "policy_unavailable"
    assert ask(world, "")["reason"] == "token_malformed"


def test_keys_that_are_not_at_hand_are_said(world: Api):
    """The cloud's are fetched by gates, not by a question."""
    with work_on(world.engine) as work:
        issuers.change(work, "theirs", {"jwks": None})
    assert ask(world, a_token())["reason"] == "key_set_unavailable"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"token": 7}, "type_wrong"),
        ({"for": "partner"}, "member_unknown"),
        ({"at": NOW}, "timestamp_malformed"),
        ({"roles": "Orders.Read"}, "type_wrong"),
    ],
)
def test_questions_that_cannot_be_read(world: Api, changed: dict[str, Any], code: str):
    """Each with its own code, and without what was given."""
    problem = world.refused("POST", "/explain", json={"token": "a.b.c", "resource": "orders"} | changed)
    assert [each["code"] for each in problem["errors"]] == [code]
    assert (
        world.refused("POST", "/explain", json={"token": "a", "resource": "orders", "roles": ["r"] * 300})["status"]
        == 422
    )


def test_a_viewer_explains_nothing(world: Api):
    """The trace tells what the list holds: least Operator."""
    problem = world.refused("POST", "/explain", json={"token": "a.b.c", "resource": "orders"}, role="Viewer")
    assert problem["code"] == "role_too_low"


def test_questions_wait_for_each_other_and_not_for_ever(api: Api, monkeypatch: pytest.MonkeyPatch):
    """While one takes long, the others are told to come again."""
    monkeypatch.setattr("tenantgate.admin.explaining.WAIT", 0.05)
    explaining = Explaining(lambda index, resource: StaticKeys(()))
    with explaining._lock, pytest.raises(TooManyExplanations):
        explaining.run(api.engine, "a.b.c", "orders", (), NOW)
    assert explaining.run(api.engine, "a.b.c", "orders", (), NOW).view.reason == "token_malformed"


def test_slow_explanations_leave_threads_for_the_rest(api: Api, monkeypatch: pytest.MonkeyPatch):
    """Of forty at once a few are taken; the others are told to come again, and everything else is answered."""
    monkeypatch.setattr("tenantgate.admin.explaining.WAIT", 600)
    begun, go_on = threading.Event(), threading.Event()

    def slowly(index: PolicyIndex, resource: str) -> StaticKeys:
        begun.set()
        assert go_on.wait(60)
        return StaticKeys(())

    api.context.explaining = Explaining(slowly)
    question = {"token": "a.b.c", "resource": "orders"}
    description()  # made once, and by no forty threads at once

    def ask(_: int) -> Any:
        return api.ask("POST", "/explain", json=question)

    with ThreadPoolExecutor(40) as pool:
        asked = [pool.submit(ask, number) for number in range(40)]
        assert begun.wait(60)
        try:
            refused = [each.result() for each in islice(as_completed(asked, timeout=60), 40 - AT_ONCE)]
            # None of the others can have been answered yet: they wait for the one that is slow.
            assert {(each.status_code, each.json()["code"]) for each in refused} == {(429, "rate_limited")}
            assert all(int(each.headers["Retry-After"]) > 0 for each in refused)
            assert api.get("/me")["role"] == "Admin"
            api.change("/partners/contoso/suspend")
        finally:
            go_on.set()
        statuses = sorted(each.result().status_code for each in asked)
    assert statuses == [200] * AT_ONCE + [429] * (40 - AT_ONCE)
    assert ask(0).status_code == 200


def test_many_at_once_while_the_policy_changes(world: Api):
    """Each answer is by one revision; none fails."""
    explaining = Explaining(lambda index, _: StaticKeys([entry.row for entry in index.issuers.values()]))
    reasons: set[str | None] = set()

    def work() -> None:
        for _ in range(5):
            reasons.add(explaining.run(world.engine, a_token(), "orders", (), NOW).view.reason)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for change in (partners.suspend, partners.activate, partners.suspend):
        with work_on(world.engine) as unit:
            change(unit, "fabrikam")
    for thread in threads:
        thread.join()
    assert reasons <= {None, "partner_suspended"}


def test_keys_at_hand_are_the_policys(world: Api):
    """And those that a gate has kept; a folder that is not there is none."""
    explained = Explaining(lambda index, resource: keys_at_hand(index, resource, Path("nowhere")))
    assert explained.run(world.engine, a_token(), "orders", (), NOW).view.granted


def _index(api: Api) -> PolicyIndex | None:
    assert api.explaining is not None
    return api.explaining._index


@pytest.mark.parametrize(
    ("given", "field"),
    [({"roles": ["Orders.Read", "x" * 121]}, "roles[1]"), ({"roles": [""]}, "roles[0]"), ({"peer": "1" * 65}, "peer")],
)
def test_what_is_longer_than_the_description_says_is_refused(world: Api, given: dict[str, Any], field: str):
    """A text that no role and no address can be."""
    problem = world.refused("POST", "/explain", json={"token": "a.b.c", "resource": "orders", **given}, role="Admin")
    assert problem["status"] == 422
    assert [each["field"] for each in problem["errors"]] == [field]
