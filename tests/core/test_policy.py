"""Rows travel as JSON and come back the same, or are refused by name."""

from __future__ import annotations

import json
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tenantgate.core.policy import (
    KINDS,
    DaemonRow,
    IssuerRow,
    PartnerRow,
    PolicyError,
    ResourceRow,
    Row,
    RowData,
    TenantRow,
    decode_row,
    encode_row,
    is_guid,
    is_id,
    kind_of,
    row_of,
)
from tests.builders import ACME_TID, json_bytes, policy_rows

SOUND = {"v": 1, "revision": 3, "kind": "partner", "id": "p", "op": "put", "data": {"id": "p", "name": "P"}}


@pytest.mark.parametrize("data", [pytest.param(row, id=row.id) for row in policy_rows()])
def test_a_row_comes_back_as_it_was(data: RowData) -> None:
    """Encoded and decoded, as bytes or as a decoded object, a row is the same."""
    row = row_of(data, 7)

    assert decode_row(encode_row(row)) == row
    assert decode_row(json.loads(encode_row(row))) == row
    assert row.kind == kind_of(data)


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_delete_comes_back_as_it_was(kind: str) -> None:
    """A delete has an id and no data."""
    row = Row(revision=2, kind=kind, id="gone", op="delete")

    assert decode_row(encode_row(row)) == row


def test_rows_are_small() -> None:
    """Defaults are not written: what travels is what was decided."""
    assert json.loads(encode_row(row_of(PartnerRow(id="p", name="P"), 3))) == SOUND


BAD = [
    ("version 2", {"v": 2}, "row_version_unknown"),
    ("version true", {"v": True}, "row_version_unknown"),
    ("version 1.0", {"v": 1.0}, "row_version_unknown"),
    ("version text", {"v": "1"}, "row_version_unknown"),
    ("no version", {"v": ...}, "row_malformed"),
    ("kind unknown", {"kind": "widget"}, "kind_unknown"),
    ("kind in capitals", {"kind": "Partner"}, "kind_unknown"),
    ("kind a list", {"kind": ["partner"]}, "row_malformed"),
    ("kind of other data", {"kind": "daemon"}, "row_malformed"),
    ("no kind", {"kind": ...}, "row_malformed"),
    ("op unknown", {"op": "patch"}, "row_malformed"),
    ("op an object", {"op": {}}, "row_malformed"),
    ("no op", {"op": ...}, "row_malformed"),
    ("put without data", {"data": ...}, "row_malformed"),
    ("put of null", {"data": None}, "row_malformed"),
    ("delete with data", {"op": "delete"}, "row_malformed"),
    ("data of another id", {"id": "q"}, "row_malformed"),
    ("data a list", {"data": []}, "row_malformed"),
    ("data with an unknown member", {"data": {"id": "p", "name": "P", "nme": "Q"}}, "row_malformed"),
    ("data without a needed member", {"data": {"id": "p"}}, "row_malformed"),
    ("data with a wrong type", {"data": {"id": "p", "name": 7}}, "row_malformed"),
    ("data with an unknown state", {"data": {"id": "p", "name": "P", "state": "expired"}}, "row_malformed"),
    ("data with a date as text", {"data": {"id": "p", "name": "P", "ends_at": "7"}}, "row_malformed"),
    ("data with a date as bool", {"data": {"id": "p", "name": "P", "ends_at": True}}, "row_malformed"),
    ("id a number", {"id": 7}, "row_malformed"),
    ("revision text", {"revision": "3"}, "row_malformed"),
    ("revision true", {"revision": True}, "row_malformed"),
    ("revision half", {"revision": 3.5}, "row_malformed"),
    ("an unknown member", {"extra": 1}, "row_malformed"),
]


@pytest.mark.parametrize(("changes", "code"), [pytest.param(*row[1:], id=row[0]) for row in BAD])
def test_a_row_that_cannot_be_read_is_refused_by_name(changes: dict[str, Any], code: str) -> None:
    """No version, kind, member or type is guessed at, in bytes or in a decoded object."""
    row = {name: value for name, value in {**SOUND, **changes}.items() if value is not ...}
    for raw in (row, json_bytes(row)):
        with pytest.raises(PolicyError) as caught:
            decode_row(raw)
        assert caught.value.code == code


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"null", b"[]", b'"row"', b"7", b"{", b"\xff", b'{"v":"\xff"}', b"\xef\xbb\xbf" + json_bytes(SOUND),
        b"[" * 100_000, b'{"v":' + b"[" * 100_000, b'{"v":' + b"9" * 5_000 + b"}", b'"\\ud800"',
        json_bytes(SOUND)[:-1] + b',"op":"delete"}', json_bytes(SOUND).replace(b'"name"', b'"name":"Q","name"'),
        json_bytes(SOUND) * 2, json.dumps(SOUND).encode("utf-16"),
    ],
)  # fmt: skip
def test_bytes_that_are_no_strict_json_are_no_row(raw: bytes) -> None:
    """Duplicate members, other encodings, depth: a feed is read as strictly as a token."""
    with pytest.raises(PolicyError) as caught:
        decode_row(raw)
    assert caught.value.code == "row_malformed"


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*SOUND, "extra"]), JSON, max_size=4), st.sampled_from(list(KINDS)))
def test_any_row_is_read_or_refused(changes: dict[str, Any], kind: str) -> None:
    """Whatever a source delivers, it is a row or a PolicyError; nothing else escapes."""
    try:
        row = decode_row({**SOUND, "kind": kind, **changes})
    except PolicyError as error:
        refused = error.code
    else:
        refused = ""
        assert row.op == "delete" or (row.data is not None and row.data.id == row.id)
    assert refused in ("", "row_malformed", "row_version_unknown", "kind_unknown")


@given(st.binary(max_size=80))
def test_any_bytes_are_no_row(raw: bytes) -> None:
    """Random bytes never make a row, and never more than a PolicyError."""
    with pytest.raises(PolicyError):
        decode_row(raw)


def test_only_rows_have_a_kind() -> None:
    """Something else handed in is refused by name."""
    with pytest.raises(PolicyError) as caught:
        kind_of(object())  # type: ignore[arg-type]
    assert caught.value.code == "kind_unknown"


def test_rows_cannot_be_changed() -> None:
    """A row is a value: readers share it without a lock."""
    row = DaemonRow(id="d", tenant="t", client_id="c")
    with pytest.raises(AttributeError):
        row.state = "suspended"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("value", "right"),
    [("a", True), ("acme-2_b.c", True), ("0", True), ("a" * 63, True), ("a" * 64, False), ("", False), ("A", False),
     ("-a", False), (".a", False), ("a b", False), ("a\n", False), ("é", False), ("a/b", False), ("١", False)],
)  # fmt: skip
def test_ids_are_slugs(value: str, right: bool) -> None:
    """Ids stand in addresses, logs and headers: lower case, digits and `._-`."""
    assert is_id(value) is right


@pytest.mark.parametrize(
    ("value", "right"),
    [(ACME_TID, True), (ACME_TID.upper(), True), (ACME_TID + "\n", False), (ACME_TID.replace("-", ""), False),
     ("", False), (f"{{{ACME_TID}}}", False), ("٠" * 8 + ACME_TID[8:], False)],
)  # fmt: skip
def test_guids_have_one_form(value: str, right: bool) -> None:
    """8-4-4-4-12 hexadecimal digits, either case."""
    assert is_guid(value) is right


def test_an_error_says_where() -> None:
    """The text names the member; the code and path stay apart for programs."""
    error = PolicyError("id_malformed", "an id is a slug", "tenants[2].id")

    assert str(error) == "tenants[2].id: an id is a slug"
    assert (error.code, error.path, error.message) == ("id_malformed", "tenants[2].id", "an id is a slug")
    assert str(PolicyError("x", "whole")) == "whole"


LITERALS = [
    (row, name, value)
    for row in {type(row): row for row in policy_rows()}.values()
    for name, hint in get_type_hints(type(row)).items()
    for value in get_args(hint)
    if get_origin(hint) is Literal
]


@pytest.mark.parametrize(
    ("row", "name", "value"), [pytest.param(*each, id=f"{each[1]} {each[2]}") for each in LITERALS]
)
def test_every_named_value_travels(row: RowData, name: str, value: str) -> None:
    """Each state, strength and rule comes back as it was; a value beside them is refused."""
    changed = replace(row, **{name: value})

    assert decode_row(encode_row(row_of(changed, 2))).data == changed
    with pytest.raises(PolicyError):
        decode_row(encode_row(row_of(replace(row, **{name: value + "x"}), 2)))


def test_the_named_values_are_the_designed_ones() -> None:
    """The words of states, strengths and rules are public: rows, pages and the REST API write them."""
    found: dict[str, set[str]] = {}
    for _, name, value in LITERALS:
        found.setdefault(name, set()).add(value)

    assert found == {
        "kind": {"entra", "oidc"},
        "state": {"invited", "active", "suspended", "archived"},
        "app_only": {"strict", "compatible"},
        "token_roles": {"ignore", "intersect"},
        "min_credential": {"none", "secret", "certificate"},
    }


def test_defaults_are_the_strict_ones() -> None:
    """What is not said is not allowed."""
    issuer = IssuerRow(id="i", kind="oidc")
    resource = ResourceRow(id="r", audiences=("a",))

    assert (issuer.allow_private_addresses, issuer.insecure_allow_http) == (False, False)
    assert issuer.token_types == ("JWT", "at+jwt")
    assert (resource.app_only, resource.token_roles, resource.min_credential) == ("strict", "ignore", "none")
    assert (resource.tenant_wide_roles, resource.show_reasons) == (False, False)
    assert (resource.max_lifetime, resource.clock_skew) == (86_400, 60)
    assert not TenantRow(id="t", issuer="i").hosted
