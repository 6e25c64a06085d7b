"""A database is adopted: a new epoch takes the place of every one it was refused for; the audit says who did it."""

from __future__ import annotations

import os

import pytest

from tenantgate.registry import adoption, audit, instances, sessions
from tenantgate.registry.engine import reading, writing
from tenantgate.registry.errors import ConflictError, CredentialError, InvalidError
from tenantgate.registry.instances import InstanceSpec
from tenantgate.registry.snapshot import read_changes, read_state
from tests.registry.builders import EPOCH, NOW, Registry, a_partner


def refused_by(registry: Registry, name: str, epoch: str, revision: int) -> None:
    """An instance that holds something else."""
    with writing(registry.engine) as session:
        instances.register(session, InstanceSpec(id=name, kind="gate", version="1"), now=NOW)
        instances.refuse(session, name, "policy_went_back", epoch=epoch, revision=revision)


def test_a_new_epoch_takes_the_place_of_all_it_was_refused_for(registry: Registry):
    """Its revision is beyond all that was seen, and changes since any revision are the whole policy."""
    refused_by(registry, "gate-1", EPOCH, 41)
    refused_by(registry, "gate-2", "ep-other", 7)

    with registry.work() as work:
        adoption.adopt(work, epoch=EPOCH, over=("ep-lost",))

    with reading(registry.engine) as session:
        state = read_state(session)
        assert state.epoch not in (EPOCH, "ep-other", "ep-lost")
        assert state.supersedes == sorted([EPOCH, "ep-other", "ep-lost"])
        assert (state.revision, work.revision) == (42, 42)
        assert read_changes(session, 41) is None
        entry = audit.list_(session, newest_first=True, limit=1).items[0]
        assert (entry.action, entry.kind, entry.operator) == ("policy.adopted", "policy", "adm")
        assert entry.before == {"epoch": EPOCH, "revision": 1, "supersedes": []}
        supersedes = {"supersedes": state.supersedes, "sessions_ended": 0}
        assert entry.after == {"epoch": state.epoch, "revision": 42, **supersedes}
        assert audit.verify_chain(session).sound


def test_nobody_stays_signed_in(registry: Registry):
    """A session of a backup may have been ended since, and a link used."""
    with registry.work() as work:
        link = sessions.create_link(work, "adm", random_bytes=os.urandom)
        used = sessions.create_link(work, "adm", random_bytes=os.urandom)
        opened = sessions.redeem(work, used.code, random_bytes=os.urandom)

    with registry.work() as work:
        adoption.adopt(work, epoch=EPOCH)

    with reading(registry.engine) as session:
        assert audit.list_(session, newest_first=True, limit=1).items[0].after["sessions_ended"] == 1
        with pytest.raises(CredentialError) as caught:
            sessions.authenticate(session, opened.token, now=NOW)
        assert caught.value.code == "session_revoked"
    with pytest.raises(CredentialError), registry.work() as work:
        sessions.redeem(work, link.code, random_bytes=os.urandom)


def test_what_was_given_up_once_stays_given_up(registry: Registry):
    """Epochs add up over adoptions, so that no older backup is taken for this history."""
    for _ in range(2):
        with reading(registry.engine) as session:
            epoch = read_state(session).epoch
        with registry.work() as work:
            adoption.adopt(work, epoch=epoch)

    with reading(registry.engine) as session:
        state = read_state(session)
    assert EPOCH in state.supersedes
    assert len(state.supersedes) == 2
    assert state.revision == 3


def test_changes_go_on_from_there(registry: Registry):
    """Followers of the new epoch get the next change as a change."""
    with registry.work() as work:
        adoption.adopt(work, epoch=EPOCH)
    with registry.work() as work:
        a_partner(work, id="fabrikam", name="Fabrikam")

    with reading(registry.engine) as session:
        delta = read_changes(session, 2)
    assert delta is not None
    assert [row.id for row in delta.rows] == ["fabrikam"]


def test_what_an_operator_did_not_look_at_is_not_adopted(registry: Registry):
    """Where another epoch was begun meanwhile, nothing happens."""
    with registry.work() as work:
        adoption.adopt(work, epoch=EPOCH)
    with pytest.raises(ConflictError) as caught, registry.work() as work:
        adoption.adopt(work, epoch=EPOCH)

    assert caught.value.code == "epoch_changed"
    with reading(registry.engine) as session:
        assert read_state(session).revision == 2


@pytest.mark.parametrize(
    ("over", "code"), [(("Not an epoch",), "id_malformed"), (tuple(f"ep-{n}" for n in range(64)), "list_too_long")]
)
def test_what_no_epoch_can_be_is_refused(registry: Registry, over: tuple[str, ...], code: str):
    """And leaves everything as it was."""
    with pytest.raises(InvalidError) as caught, registry.work() as work:
        adoption.adopt(work, epoch=EPOCH, over=over)

    assert caught.value.code == code
    with reading(registry.engine) as session:
        assert read_state(session).epoch == EPOCH
