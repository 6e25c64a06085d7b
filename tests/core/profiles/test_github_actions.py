"""GitHub Actions: a workflow of one repository of one owner, by their numbers, and of one branch or environment."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from tenantgate.core.decide import decide
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied
from tenantgate.core.policy import PolicyDelta, row_of
from tests.builders import NOW, static_keys
from tests.core.profiles.made import Made, principal_of, reason_of

NAMED = "repo:acme/sync:environment:production"
NUMBERED = "repo:acme@65/sync@74:environment:production"
GITHUB = Made(
    profile="github_actions",
    iss="https://token.actions.githubusercontent.com",
    client_id="65/74",
    subject=NAMED,
    claims={
        "jti": "eeeeeeee-0000-4000-8000-000000000005",
        "sub": NAMED,
        "environment": "production",
        "ref": "refs/heads/main",
        "ref_type": "branch",
        "ref_protected": "true",
        "repository": "acme/sync",
        "repository_owner": "acme",
        "repository_id": "74",
        "repository_owner_id": "65",
        "repository_visibility": "private",
        "run_id": "30",
        "run_attempt": "1",
        "actor": "acme-bot",
        "actor_id": "12",
        "workflow": "sync",
        "workflow_ref": "acme/sync/.github/workflows/sync.yml@refs/heads/main",
        "job_workflow_ref": "acme/sync/.github/workflows/sync.yml@refs/heads/main",
        "event_name": "schedule",
        "runner_environment": "github-hosted",
    },
)


def pinned(subject: str | None) -> dict[str, Any]:
    """The daemon with another pin."""
    return {"daemon": {"subject": subject}}


@pytest.mark.parametrize("subject", [NAMED, NUMBERED])
def test_a_workflow_comes_in_by_either_form_of_subject(subject: str):
    """Names alone, or names with their numbers: what is pinned is what must be sent."""
    principal = principal_of(GITHUB.ask(GITHUB.token(sub=subject), **pinned(subject)))

    assert (principal.client_id, principal.oid) == ("65/74", subject)


@pytest.mark.parametrize(("sent", "listed"), [(NAMED, NUMBERED), (NUMBERED, NAMED)])
def test_the_other_form_of_subject_is_another_subject(sent: str, listed: str):
    """A repository that was renamed or transferred changes its form: the pin is looked at again by a person."""
    decision = GITHUB.ask(GITHUB.token(sub=sent), **pinned(listed))

    assert reason_of(decision) is R.OBJECT_ID_MISMATCH


def test_a_changed_form_of_subject_is_explained():
    """Both sides stand beside each other."""
    step = GITHUB.explain(GITHUB.token(sub=NUMBERED)).steps[-1]

    assert (step.name, step.expected, step.received) == ("pin", f"sub {NAMED}", f"sub {NUMBERED}")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"repository_id": "75"}, "the repository was deleted and made anew under its name"),
        ({"repository_owner_id": "66"}, "the owner's name was taken by somebody else"),
        ({"repository_id": "75", "repository_owner_id": "66"}, "both"),
        ({"repository_id": "65", "repository_owner_id": "74"}, "the numbers the other way round"),
    ],
)
def test_recycled_names_are_nobody(changes: dict[str, str], why: str):
    """The `sub` of names is the listed one, letter by letter; the numbers are not."""
    assert GITHUB.reason(**changes) is R.DAEMON_NOT_LISTED, why


def test_a_transferred_repository_is_nobody():
    """It keeps its number and its workflows; its owner, who now decides about them, is another."""
    sub = "repo:evil@66/sync@74:environment:production"

    assert GITHUB.reason(repository_owner_id="66", sub=sub) is R.DAEMON_NOT_LISTED


@pytest.mark.parametrize(
    "sub",
    [
        "repo:acme/sync:ref:refs/heads/main",
        "repo:acme/sync:ref:refs/heads/a-branch-of-anybody",
        "repo:acme/sync:pull_request",
        "repo:acme/sync:environment:Production",
        "repo:acme/sync:environment:production:x",
    ],
)
def test_another_branch_or_environment_is_refused(sub: str):
    """Who may push to the repository may run a workflow; who may run this one is the environment's rules."""
    assert GITHUB.reason(sub=sub) is R.OBJECT_ID_MISMATCH


def test_a_daemon_without_its_subject_is_refused():
    """A row that no rule has seen is refused at the gate, with a reason of its own."""
    index = GITHUB.index(row={"subject_pin": False}, daemon={"subject": None})
    asking = replace(index.issuers["made"].row, subject_pin=None)
    index.apply(PolicyDelta(epoch="e1", since=1, revision=2, rows=(row_of(asking, 2),)))

    decision = decide(GITHUB.token(), index, static_keys(index), "orders", (), NOW)

    assert isinstance(decision, Denied)
    assert decision.reason is R.SUBJECT_NOT_PINNED
    assert decision.detail == f"pin: expected a daemon with a pinned sub, got sub {NAMED}"


def test_an_unlisted_repository_is_not_listed_rather_than_not_pinned():
    """The reason says what is wrong first."""
    assert GITHUB.reason(repository_id="7500") is R.DAEMON_NOT_LISTED


def test_an_issuer_may_do_without_pins():
    """Where every workflow of the repository is meant, the publisher says so."""
    anywhere = {"row": {"subject_pin": False}, **pinned(None)}

    assert reason_of(GITHUB.ask(GITHUB.token(sub="repo:acme/sync:ref:refs/heads/x"), **anywhere)) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"repository_id": ...}, R.CLAIM_MISSING),
        ({"repository_owner_id": ...}, R.CLAIM_MISSING),
        ({"repository_owner_id": None}, R.CLAIM_MISSING),
        ({"repository_id": 74}, R.CLAIM_MALFORMED),
        ({"repository_id": "acme/sync"}, R.CLAIM_MALFORMED),
        ({"repository_id": "7 4"}, R.CLAIM_MALFORMED),
        ({"repository_owner_id": "65/74", "repository_id": ""}, R.CLAIM_MALFORMED),
        ({"repository_owner_id": "٦٥"}, R.CLAIM_MALFORMED),
        ({"aud": "https://github.com/acme"}, R.AUDIENCE_MISMATCH),
        ({"iss": "https://token.actions.githubusercontent.com/acme"}, R.ISSUER_UNKNOWN),
        ({"email": "somebody@acme.example"}, R.NOT_APP_ONLY),
    ],
)
def test_one_spoiled_claim(changes: dict[str, object], reason: R):
    """Numbers come as strings of digits, both of them, and the audience must have been asked for."""
    assert GITHUB.reason(**changes) is reason


def test_the_client_may_be_the_repository_alone():
    """An operator who writes `client_id_claim` lists what that claim says."""
    row = {"client_id_claim": "repository_id"}

    assert principal_of(GITHUB.ask(GITHUB.token(), row=row, daemon={"client_id": "74"})).client_id == "74"
