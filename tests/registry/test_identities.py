"""Who at an issuer is which operator: one operator each, in one spelling, by what nobody can change."""

from __future__ import annotations

import pytest

from tenantgate.core.policy import CONSUMER_TENANT
from tenantgate.registry import audit, identities, operators
from tenantgate.registry.engine import reading
from tenantgate.registry.errors import ConflictError, CredentialError, NotFoundError, RegistryError
from tenantgate.registry.identities import Identity
from tests.registry.builders import Registry, an_operator

AUTHORITY = "https://login.microsoftonline.com"
TID = "11111111-2222-4333-8444-5555555555AA"
OID = "99999999-AAAA-4bbb-8ccc-dddddddddddd"
PERSON = Identity(issuer=AUTHORITY, tid=TID, oid=OID)
REALM = Identity(issuer="https://id.staff.example/realms/staff", sub="f:1:Ada")


def linked(registry: Registry, identity: Identity, operator: str = "adm") -> str:
    """The id of an identity that is now an operator's."""
    with registry.work() as work:
        return identities.link(work, operator, identity).id


def refused(registry: Registry, identity: Identity, operator: str = "adm") -> RegistryError:
    """What linking is refused with."""
    with pytest.raises(RegistryError) as caught:
        linked(registry, identity, operator)
    return caught.value


def who(registry: Registry, identity: Identity) -> str | None:
    """The operator that an identity is."""
    with reading(registry.engine) as session:
        found = identities.find(session, identities.checked_identity(identity))
    return None if found is None else found[0].id


def test_one_spelling(registry: Registry):
    """However authority and GUIDs are written, it is the same identity; another make's `sub` is taken to the letter."""
    linked(registry, Identity(issuer="https://login.windows.net/", tid=TID.lower(), oid=OID))
    assert who(registry, PERSON) == "adm"
    linked(registry, REALM)
    assert who(registry, REALM) == "adm"
    assert who(registry, Identity(issuer=REALM.issuer, sub="f:1:ada")) is None


@pytest.mark.parametrize("identity", [PERSON, REALM], ids=["entra", "oidc"])
def test_an_identity_is_one_operators(registry: Registry, identity: Identity):
    """A second operator cannot have it, and is told whose it is; nor the same one twice."""
    linked(registry, identity)
    with registry.work() as work:
        an_operator(work, id="grace", name="Grace")
    for operator in ("grace", "adm"):
        error = refused(registry, identity, operator)
        assert isinstance(error, ConflictError)
        assert (error.code, error.holder) == ("identity_linked", "adm")


@pytest.mark.parametrize(
    "other",
    [
        Identity(issuer=AUTHORITY, tid=TID, oid=OID.replace("9", "8")),
        Identity(issuer=AUTHORITY, tid=TID.replace("1", "2"), oid=OID),
        Identity(issuer="https://login.microsoftonline.us", tid=TID, oid=OID),
        Identity(issuer=AUTHORITY, sub=OID),
    ],
)
def test_every_member_of_it_counts(registry: Registry, other: Identity):
    """Another object, tenant, cloud or kind of identity is somebody else."""
    linked(registry, PERSON)
    assert who(registry, other) is None


@pytest.mark.parametrize(
    ("identity", "code", "field"),
    [
        (Identity(issuer=AUTHORITY, tid=TID), "member_missing", "oid"),
        (Identity(issuer=AUTHORITY, oid=OID), "member_missing", "tid"),
        (Identity(issuer=AUTHORITY), "member_missing", "tid"),
        (Identity(issuer=AUTHORITY, tid=TID, oid=OID, sub="x"), "member_not_allowed", "sub"),
        (Identity(issuer=AUTHORITY, tid="home", oid=OID), "guid_malformed", "tid"),
        (Identity(issuer=AUTHORITY, tid=TID, oid="ada@staff.example"), "guid_malformed", "oid"),
        (Identity(issuer=AUTHORITY, tid=CONSUMER_TENANT, oid=OID), "consumer_tenant", "tid"),
        (Identity(issuer=AUTHORITY + "/common", tid=TID, oid=OID), "url_malformed", "issuer"),
        (Identity(issuer="https://login.microsoftonline.de", tid=TID, oid=OID), "authority_not_allowed", "issuer"),
        (Identity(issuer="http://id.staff.example", sub="x"), "url_not_loopback", "issuer"),
        (Identity(issuer=REALM.issuer, sub=""), "text_empty", "sub"),
        (Identity(issuer=REALM.issuer, sub="a\u202eb"), "text_not_allowed", "sub"),
        (Identity(issuer=REALM.issuer, sub="x" * 257), "text_too_long", "sub"),
    ],
)
def test_what_is_no_identity_is_refused(registry: Registry, identity: Identity, code: str, field: str):
    """Each with its code and member, and nothing is kept."""
    error = refused(registry, identity)
    assert (error.code, error.field) == (code, field)
    with reading(registry.engine) as session:
        assert identities.list_(session, "adm").items == ()


def test_unlinked_it_is_nobody(registry: Registry):
    """At once; what it was stays in the audit, and it may be linked anew, to somebody else too."""
    id_ = linked(registry, PERSON)
    with registry.work() as work:
        an_operator(work, id="grace", name="Grace")
    with pytest.raises(NotFoundError), registry.work() as work:
        identities.unlink(work, "grace", id_)
    with registry.work() as work:
        identities.unlink(work, "adm", id_)
    assert work.revision is None
    assert who(registry, PERSON) is None
    with reading(registry.engine) as session:
        entry = audit.list_(session, kind="operator_identity", newest_first=True).items[0]
    assert entry.before is not None
    assert (entry.action, entry.before["oid"], entry.after) == ("operator_identity.unlinked", OID.lower(), None)
    linked(registry, PERSON, "grace")
    assert who(registry, PERSON) == "grace"


def test_a_suspended_operator_is_nobody(registry: Registry):
    """Nor is anybody made an operator a second time because of it."""
    linked(registry, PERSON)
    with registry.work() as work:
        operators.suspend(work, "adm")
    with pytest.raises(CredentialError) as caught:
        who(registry, PERSON)
    assert caught.value.code == "operator_suspended"
    with pytest.raises(CredentialError), registry.work() as work:
        identities.enrol(work, identities.checked_identity(PERSON), name="Adm", role="Viewer")


def test_an_operator_who_is_not_there_has_no_identities(registry: Registry):
    """Neither to link, nor to list."""
    assert refused(registry, PERSON, "nobody").code == "operator_not_found"
    with reading(registry.engine) as session, pytest.raises(NotFoundError):
        identities.list_(session, "nobody")
