"""Lists: every row once and in order, by cursors that only say where to begin, and along indexes."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlmodel import Session

from tenantgate.core.fields import LATEST
from tenantgate.registry import (
    assignments,
    daemons,
    operators,
    partners,
    tenants,
)
from tenantgate.registry.engine import reading
from tenantgate.registry.errors import InvalidError
from tenantgate.registry.operators import KeySpec
from tenantgate.registry.pages import write_cursor
from tests.registry.builders import (
    NOW,
    Registry,
    a_daemon,
    a_grant,
    a_partner,
    a_resource,
    a_tenant,
    an_app_role,
    an_oidc_issuer,
    counting_bytes,
)

List = Callable[..., Any]

NAMES = ("zebra", "Äpfel", "apple", "Apple", "APPLE 2", "a", "A b", "a-b", "日本", "😀", "ß", "Zebra")
SORTED = sorted(NAMES, key=lambda name: name.encode().lower())


def walk(session: Session, list_: List, *, limit: int = 2, **how: Any) -> list[Any]:
    """Every row of a list, page by page."""
    found, after = [], None
    for _ in range(1_000):
        page = list_(session, limit=limit, after=after, **how)
        assert len(page.items) <= limit
        found += page.items
        if (after := page.after) is None:
            return found
    raise AssertionError("it never ends")


def ids(rows: list[Any]) -> list[str]:
    """Their ids."""
    return [row.id for row in rows]


def parent(registry: Registry) -> None:
    """Partners that differ in everything a list can be sorted by, some alike."""
    for place, name in enumerate(NAMES):
        with registry.work(now=NOW + place // 3) as work:
            ends_at = None if place % 3 == 0 else NOW + 1_000 - place // 2
            a_partner(work, id=f"p{place % 5}.{place}", name=name, ends_at=ends_at)


LATER = LATEST + 1
KEYS: dict[str, Callable[[Any], Any]] = {
    "id": lambda row: row.id.encode(),
    "name": lambda row: row.name.encode().lower(),
    "created_at": lambda row: row.created_at,
    "updated_at": lambda row: row.updated_at,
    "ends_at": lambda row: LATER if row.ends_at is None else row.ends_at,
}


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("name", KEYS)
def test_every_row_comes_once_and_in_order(registry: Registry, name: str, down: bool):
    """Sorted by each of them, either way round: by bytes, rows that are alike by id, those without an end last."""
    parent(registry)
    with reading(registry.engine) as session:
        found = walk(session, partners.list_, sort=f"{'-' * down}{name}", limit=3)

    assert len(found) == len(NAMES) + 1
    expected = sorted(found, key=lambda row: (KEYS[name](row), row.id.encode()), reverse=down)
    assert ids(found) == ids(expected)


def test_rows_that_come_and_go_shift_no_page(registry: Registry):
    """A page begins after the last row seen, whatever happened before it."""
    parent(registry)
    with reading(registry.engine) as session:
        first = partners.list_(session, sort="name", limit=4)
    with registry.work() as work:
        a_partner(work, id="before", name="0 comes before all")
    with reading(registry.engine) as session:
        rest = partners.list_(session, sort="name", limit=50, after=first.after)

    assert [row.name for row in (*first.items, *rest.items)] == sorted(
        [*NAMES, "Contoso"], key=lambda name: (name.encode().lower(), _id_of(name).encode())
    )


def _id_of(name: str) -> str:
    return f"p{NAMES.index(name) % 5}.{NAMES.index(name)}" if name in NAMES else "contoso"


def _encoded(document: object) -> str:
    return urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "contoso",
        "%00",
        "é",
        "A" * 3_000,
        _encoded({}),
        _encoded(["name"]),
        _encoded(["name", "a"]),
        _encoded(["name", "a", "b", "c"]),
        _encoded(["name", 1, "b"]),
        _encoded(["name", "a\0", "b"]),
        _encoded(["name", "a\ud800", "b"]),
        _encoded(["name", None, "b"]),
        _encoded(["-name", "a", "b"]),
        _encoded(["ends_at", NOW, "b"]),
        _encoded([[]]) + "!",
        write_cursor("created_at", NOW, "contoso"),
    ],
)
def test_a_cursor_of_no_such_list_is_refused(registry: Registry, cursor: str):
    """What no page of this list gave is told so, and is never looked for in the database."""
    with reading(registry.engine) as session, pytest.raises(InvalidError) as caught:
        partners.list_(session, sort="name", after=cursor)

    assert (caught.value.code, caught.value.field) == ("cursor_malformed", "cursor")


@pytest.mark.parametrize("value", [True, 1.5, 2**63, -(2**63), "1", None])
def test_a_cursor_of_times_holds_a_time(registry: Registry, value: object):
    """A place among times is a whole number that the database can compare with."""
    cursor = _encoded(["created_at", value, "contoso"])
    with reading(registry.engine) as session, pytest.raises(InvalidError) as caught:
        partners.list_(session, sort="created_at", after=cursor)

    assert caught.value.code == "cursor_malformed"


@pytest.mark.parametrize("sort", ["", "notes", "--name", "+name", "name desc", "state", "name\0"])
def test_what_no_list_is_sorted_by_is_refused(registry: Registry, sort: str):
    """Only what has an index: the refusal says what there is."""
    with reading(registry.engine) as session, pytest.raises(InvalidError, match="created_at") as caught:
        partners.list_(session, sort=sort or "nothing")

    assert (caught.value.code, caught.value.field) == ("value_unknown", "sort")


def test_a_search_has_its_own_order(registry: Registry):
    """What is searched comes in order of what matched: another order is refused, not passed over."""
    with reading(registry.engine) as session, pytest.raises(InvalidError) as caught:
        partners.list_(session, search="con", sort="name")

    assert (caught.value.code, caught.value.field) == ("member_not_allowed", "sort")


def crowd(registry: Registry) -> None:
    """Partners found by id, by name, by their tenants' tids and by their daemons' client ids, some by all of them."""
    with registry.work() as work:
        an_oidc_issuer(work, id="idp", issuer="https://idp.example")
        a_tenant(work, id="home", issuer="idp", tid=None, partner=None, hosted=True)
        for place in range(9):
            a_partner(work, id=f"abc{place}", name=f"ABCdef {place % 4}" if place % 2 else f"Other {place}")
            tid = f"abc{place:05}-2222-4333-8444-555555555555"
            a_tenant(work, id=f"t{place}", partner=f"abc{place}" if place % 3 else "contoso", tid=tid)
            client = f"abc{9 - place:05}-bbbb-4ccc-8ddd-eeeeeeeeeeee"
            a_daemon(work, id=f"d{place}", tenant=f"t{place}", client_id=client)
        for place in range(7):
            a_daemon(work, id=f"guest{place}", tenant="home", partner="abc8", client_id=f"ABCguest{place}")
        a_partner(work, id="other", name="Xyz")
        a_daemon(work, id="lone", tenant="home", partner="other", client_id="AbC")


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_a_partner_is_found_once_by_the_first_text_that_matches(registry: Registry, limit: int):
    """By id, name, tid or client id, in either case, on whatever page: each once, in the order of what matched."""
    crowd(registry)
    with reading(registry.engine) as session:
        found = walk(session, partners.list_, search="aBc", limit=limit)

        texts = list(_texts(session))
    first = {id_: min(text for text, owner in texts if owner == id_ and text.startswith("abc")) for _, id_ in texts}
    assert len(first) == 11
    assert ids(found) == sorted(first, key=lambda id_: (first[id_], id_))


def _texts(session: Session) -> Iterator[tuple[str, str]]:
    """Every text, in lower case, by which a partner is searched that is found, and whose it is."""
    owners = {tenant.id: tenant.partner for tenant in walk(session, tenants.list_)}
    found = [(tenant.tid, tenant.partner) for tenant in walk(session, tenants.list_) if tenant.partner and tenant.tid]
    found += [(each.client_id, each.partner or owners[each.tenant]) for each in walk(session, daemons.list_)]
    for partner in walk(session, partners.list_):
        found += [(partner.id, partner.id), (partner.name, partner.id)]
    matched = {owner for text, owner in found if text.lower().startswith("abc")}
    return ((text.lower(), owner) for text, owner in found if owner in matched)


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("abcd", ["abc1", "abc5", "abc3", "abc7"]),
        ("abc00008-b", ["abc1"]),
        ("abc00008-2", ["abc8"]),
        ("ABC00006", ["contoso"]),
        ("abcGUEST3", ["abc8"]),
        ("ab%", []),
        ("ab_", []),
        ("bc", []),
        ("\U0010ffff", []),
        ("abc\ud7ff", []),
        ("a\0", []),
    ],
)
def test_a_search_is_of_the_beginning(registry: Registry, search: str, expected: list[str]):
    """Not of the middle, and no character stands for others."""
    crowd(registry)
    with reading(registry.engine) as session:
        assert ids(walk(session, partners.list_, search=search)) == expected


def test_the_last_characters_are_found(registry: Registry):
    """A prefix that ends with the last character there is has everything that begins so."""
    with registry.work() as work:
        a_partner(work, id="last", name="\U0010ffff\U0010ffff")
        a_partner(work, id="before", name="\ud7ffx")
    with reading(registry.engine) as session:
        assert ids(walk(session, partners.list_, search="\U0010ffff")) == ["last"]
        assert ids(walk(session, partners.list_, search="\ud7ff")) == ["before"]


def test_a_search_is_filtered(registry: Registry):
    """A filter leaves what fits of what is found."""
    crowd(registry)
    with registry.work() as work:
        partners.suspend(work, "abc2")
        partners.suspend(work, "other")
    with reading(registry.engine) as session:
        assert ids(walk(session, partners.list_, search="abc", state="suspended")) == ["other", "abc2"]
        assert ids(walk(session, daemons.list_, search="abc", tenant="t3")) == ["d3"]
        assert walk(session, partners.list_, search="abc", state="a\0") == []


def test_a_search_that_shows_little_goes_on(registry: Registry):
    """Where hundreds of texts lead to one partner, pages may be short, and still nobody is missed or comes twice."""
    with registry.work() as work:
        an_oidc_issuer(work, id="idp", issuer="https://idp.example")
        a_tenant(work, id="home", issuer="idp", tid=None, partner=None, hosted=True)
        for place in range(60):
            a_daemon(work, id=f"d{place}", tenant="home", partner="contoso", client_id=f"same{place:03}")
        a_partner(work, id="zzz", name="Last")
        a_daemon(work, id="last", tenant="home", partner="zzz", client_id="same999")
    with reading(registry.engine) as session:
        assert ids(walk(session, partners.list_, search="same", limit=2)) == ["contoso", "zzz"]


def test_ends_are_filtered_and_sorted(registry: Registry):
    """From one moment on, before another; without an end is never; in the order in which they end."""
    with registry.work() as work:
        for name, end in (("b", NOW + 10), ("a", NOW + 20), ("c", NOW + 30), ("d", None)):
            a_partner(work, id=name, name=name, ends_at=end)
            an_app_role(work, id=f"r{name}", value=f"R.{name}")
            a_grant(work, id=f"g{name}", app_role=f"r{name}", expires_at=end)
            spec = KeySpec(operator="adm", name=name, expires_at=end or NOW + 99)
            operators.create_key(work, spec, random_bytes=counting_bytes())
    with reading(registry.engine) as session:
        assert ids(walk(session, partners.list_, ends_before=NOW + 30)) == ["b", "a"]
        assert ids(walk(session, partners.list_, ends_after=NOW + 20)) == ["a", "c"]
        assert ids(walk(session, partners.list_, ends_after=NOW + 11, ends_before=NOW + 30)) == ["a"]
        assert ids(walk(session, partners.list_, ends_before=NOW + 30, sort="id")) == ["a", "b"]
        assert ids(walk(session, assignments.list_, expires_before=NOW + 30)) == ["gb", "ga"]
        assert ids(walk(session, assignments.list_, expires_after=NOW + 30, sort="-expires_at")) == ["gc"]
        found = walk(session, operators.list_keys, expires_before=NOW + 30)
        assert [row.name for row in found] == ["b", "a"]


def test_what_is_a_partners_is_found_by_it(registry: Registry):
    """Tenants of it, daemons of its tenants and its own in hosted ones, roles of all of those."""
    with registry.work() as work:
        a_resource(work, id="open", audiences=("api://open",), tenant_wide_roles=True)
        an_app_role(work, id="wide", resource="open", value="Wide")
        a_grant(work, id="to-all", app_role="wide", tenant="contoso-entra", daemon=None)
        an_oidc_issuer(work, id="idp", issuer="https://idp.example")
        a_tenant(work, id="home", issuer="idp", tid=None, partner=None, hosted=True)
        a_daemon(work, id="guest", tenant="home", partner="contoso", client_id="guest")
        a_grant(work, id="guests", daemon="guest")
        a_partner(work, id="other", name="Other")
        a_daemon(work, id="stranger", tenant="home", partner="other", client_id="stranger")
        a_grant(work, id="strangers", daemon="stranger")
    with reading(registry.engine) as session:
        for list_, expected in (
            (tenants.list_, ["contoso-entra"]),
            (daemons.list_, ["guest", "nightly"]),
            (assignments.list_, ["guests", "nightly-read", "to-all"]),
        ):
            assert ids(walk(session, list_, limit=1, partner="contoso")) == expected
            assert ids(walk(session, list_, limit=1, partner="nobody")) == []
            assert walk(session, list_, partner="contoso\0") == []
