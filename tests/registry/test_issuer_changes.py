"""An issuer changed and deleted: who it is stays, what hangs on it is kept, and every gate hears of it."""

from __future__ import annotations

from typing import Any

import pytest

from tenantgate.core.policy import IssuerRow
from tenantgate.registry import daemons, issuers, resources
from tenantgate.registry.audit import list_ as audit_entries
from tenantgate.registry.daemons import DaemonSpec
from tenantgate.registry.engine import reading
from tenantgate.registry.errors import ConflictError, InvalidError, NotFoundError
from tenantgate.registry.snapshot import read_changes
from tests.builders import signer
from tests.registry.builders import Registry, a_mapping, a_tenant, an_oidc_issuer

KEYS = {"keys": [signer("ES256", "own").jwk(alg="ES256")]}
OTHER = {"keys": [signer("ES256", "other").jwk(alg="ES256")]}


def changes_since(registry: Registry, revision: int) -> list[tuple[str, str, Any]]:
    """Return kind, op and data of what was changed."""
    with reading(registry.engine) as session:
        delta = read_changes(session, revision)
    assert delta is not None
    return [(row.kind, row.op, row.data) for row in delta.rows]


def test_a_change_is_told_and_audited(registry: Registry):
    """What is named becomes so, the rest stays; gates get the whole row, and the audit what it was and is."""
    with registry.work() as work:
        issuers.change(work, "entra", {"max_key_age": 7200, "proxy": "http://proxy.example:3128"})

    (kind, op, row), *more = changes_since(registry, 1)
    assert (kind, op, more) == ("issuer", "put", [])
    assert isinstance(row, IssuerRow)
    assert (row.max_key_age, row.proxy, row.authority) == (
        7200,
        "http://proxy.example:3128",
        "https://login.microsoftonline.com",
    )
    with reading(registry.engine) as session:
        entry = audit_entries(session, newest_first=True).items[0]
    assert (entry.action, entry.row_id) == ("issuer.changed", "entra")
    assert entry.before is not None
    assert entry.after is not None
    assert (entry.before["max_key_age"], entry.after["max_key_age"]) == (None, 7200)


def test_what_is_so_already_makes_no_revision(registry: Registry):
    """Nothing is written, nobody is told."""
    with registry.work() as work:
        issuers.change(work, "entra", {"max_key_age": None, "token_types": ("JWT", "at+jwt")})
    assert work.revision is None


def test_given_keys_are_rotated_and_fetched_ones_given(registry: Registry):
    """A site without internet replaces its file; one that gets a network has them fetched again."""
    with registry.work() as work:
        an_oidc_issuer(work)
    steps: list[tuple[dict[str, Any], dict[str, Any] | None, bool]] = [
        ({"jwks": KEYS}, KEYS, False),
        ({"jwks": OTHER}, OTHER, False),
        ({"jwks": None}, None, True),
    ]
    for members, jwks, fetched in steps:
        with registry.work() as work:
            row = issuers.change(work, "keycloak", members)
            assert (row.jwks, row.metadata_url is not None) == (jwks, fetched)


@pytest.mark.parametrize(
    ("members", "code", "field"),
    [
        ({"kind": "oidc"}, "member_not_allowed", "kind"),
        ({"authority": "https://login.example"}, "member_not_allowed", "authority"),
        ({"distrusted_keys": ()}, "member_not_allowed", "distrusted_keys"),
        ({"nothing": 1}, "member_not_allowed", "nothing"),
        ({"max_key_age": 1}, "number_out_of_range", "max_key_age"),
        ({"proxy": "proxy.example"}, "proxy_malformed", "proxy"),
        ({"jwks": {"keys": [{"kty": "oct"}]}}, "jwks_malformed", "jwks"),
        ({"metadata_url": "http://login.example"}, "url_not_https", "metadata_url"),
    ],
)
def test_what_may_not_be_is_refused(registry: Registry, members: dict[str, Any], code: str, field: str):
    """And everything is as it was."""
    with pytest.raises(InvalidError) as caught, registry.work() as work:
        issuers.change(work, "entra", members)
    assert (caught.value.code, caught.value.field) == (code, field)
    assert changes_since(registry, 1) == []


def test_a_reading_that_a_daemon_does_not_fit_is_refused(registry: Registry):
    """Its tokens could be nobody's: the daemon is named, and can be changed or removed first."""
    with registry.work() as work:
        an_oidc_issuer(work)
        a_tenant(work, id="fabrikam", issuer="keycloak", tid=None)
        daemons.create(work, DaemonSpec(id="pump", tenant="fabrikam", client_id="pump"))
    with pytest.raises(InvalidError) as caught, registry.work() as work:
        issuers.change(work, "keycloak", {"subject_pin": True})
    assert (caught.value.code, caught.value.holder) == ("member_missing", "pump")
    with registry.work() as work:
        assert (
            issuers.change(work, "keycloak", {"roles_claim": "realm_access.roles"}).roles_claim == "realm_access.roles"
        )


def test_an_issuer_that_nothing_names_is_deleted(registry: Registry):
    """It is gone, gates hear of it, and what it was stays in the audit."""
    with registry.work() as work:
        an_oidc_issuer(work)
    with registry.work() as work:
        issuers.delete(work, "keycloak")

    assert changes_since(registry, 2) == [("issuer", "delete", None)]
    with reading(registry.engine) as session, pytest.raises(NotFoundError):
        issuers.get(session, "keycloak")
    with reading(registry.engine) as session:
        entry = audit_entries(session, newest_first=True).items[0]
    assert (entry.action, entry.after) == ("issuer.deleted", None)
    assert entry.before is not None
    assert entry.before["issuer"] == "https://id.fabrikam.example/realms/main"


def test_an_issuer_that_something_names_stays(registry: Registry):
    """A tenant, a role mapping, or a resource that accepts its tokens."""
    with registry.work() as work:
        an_oidc_issuer(work)
        an_oidc_issuer(work, id="named", issuer="https://named.example")
        a_mapping(work, issuer="keycloak")
        resources.change(work, "orders", {"issuers": ("entra", "named")})
    for id_, holder in (("entra", "contoso-entra"), ("keycloak", "readers"), ("named", "orders")):
        with pytest.raises(ConflictError) as caught, registry.work() as work:
            issuers.delete(work, id_)
        assert (caught.value.code, caught.value.holder) == ("issuer_in_use", holder)
    with pytest.raises(NotFoundError), registry.work() as work:
        issuers.delete(work, "nobody")
    with pytest.raises(NotFoundError), registry.work() as work:
        issuers.change(work, "nobody", {"max_key_age": 7200})
