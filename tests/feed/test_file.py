"""The policy file: both spellings, every way to be wrong with its code and path, and looking at it again."""

from __future__ import annotations

import json
import os
import threading
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tenantgate.core.decision import Granted
from tenantgate.core.index import PolicyIndex
from tenantgate.core.keys import StaticKeys
from tenantgate.core.policy import IssuerRow, PolicyDelta, PolicyError, PolicySnapshot, kind_of
from tenantgate.feed import file
from tenantgate.feed.file import FileSource
from tenantgate.feed.source import FeedError
from tests.builders import (
    NOW,
    V2_TEMPLATE,
    an_entra_issuer,
    ask,
    cloud_key,
    oidc_token,
    policy_rows,
    signer,
    v1_token,
    v2_token,
)
from tests.core.test_fetching import certificate

TOML = """
version = 1

[[issuers]]
id = "cloud"
kind = "entra"
authority = "https://login.cloud.example"
jwks_file = "keys/cloud.json"

[[partners]]
id = "acme"
name = "Acme"
ends_at = 1900000000

[[tenants]]
id = "acme_tenant"
issuer = "cloud"
partner = "acme"
tid = "BBBBBBBB-0000-4000-8000-000000000002"

[[daemons]]
id = "acme_daemon"
tenant = "acme_tenant"
client_id = "cccccccc-0000-4000-8000-000000000003"

[[resources]]
id = "orders"
audiences = ["aaaaaaaa-0000-4000-8000-000000000001"]

[[app_roles]]
id = "orders_read"
resource = "orders"
value = "Orders.Read"

[[role_assignments]]
id = "acme_reads"
app_role = "orders_read"
daemon = "acme_daemon"
"""


def a_document(**changes: Any) -> dict[str, Any]:
    """Return the built world as a policy file has it; `changes` replace or add members at the top."""
    document: dict[str, Any] = {"version": 1}
    for row in policy_rows():
        document.setdefault(f"{kind_of(row)}s", []).append(msgspec.to_builtins(row))
    return {**document, **changes}


def write(path: Path, content: Any) -> Path:
    """Write a policy or key file: text and bytes as they are, anything else as JSON."""
    raw = content if isinstance(content, bytes) else content.encode() if isinstance(content, str) else None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(json.dumps(content).encode() if raw is None else raw)
    return path


def keys_with(**member: Any) -> dict[str, Any]:
    """Return a key set with the cloud's key, a member added."""
    return {"keys": [cloud_key().jwk(issuer=V2_TEMPLATE, **member)]}


def a_toml_policy(folder: Path, text: str = TOML) -> Path:
    """Write the TOML policy and the key file it names."""
    write(folder / "keys" / "cloud.json", keys_with())
    return write(folder / "policy.toml", text)


def failure(path: Path) -> PolicyError:
    """Return what loading a file raises."""
    with pytest.raises(PolicyError) as raised:
        FileSource(path).load()
    return raised.value


class Looks:
    """Stands for the pause between two looks at the file: does the next thing instead of waiting."""

    def __init__(self, *actions: Callable[[], object]) -> None:
        self._actions = list(actions)
        self.seconds: list[float] = []

    def __call__(self, closed: threading.Event, seconds: float) -> bool:
        self.seconds.append(seconds)
        if self._actions:
            self._actions.pop(0)()
        return closed.is_set()


# Loading.


def test_json_is_read(tmp_path: Path) -> None:
    """Every kind of row arrives, and tokens are judged by them."""
    snapshot = FileSource(write(tmp_path / "policy.json", a_document())).load()

    assert {row.kind for row in snapshot.rows} == {kind_of(row) for row in policy_rows()}
    index = PolicyIndex.from_snapshot(snapshot)
    keys = StaticKeys(row.data for row in snapshot.rows if isinstance(row.data, IssuerRow))
    for token in (v2_token(), v1_token(), oidc_token()):
        assert isinstance(ask(token, index, keys), Granted)


def test_toml_is_the_same_schema(tmp_path: Path) -> None:
    """A TOML file gives the rows that the same members in JSON give."""
    path = a_toml_policy(tmp_path)
    same = write(tmp_path / "policy.json", tomllib.loads(TOML))

    rows = FileSource(path).load().rows

    assert rows == FileSource(same).load().rows
    assert len(rows) == 7


def test_a_key_file_stands_for_the_key_set(tmp_path: Path) -> None:
    """`jwks_file` is relative to the policy's folder, becomes `jwks`, and its keys verify."""
    snapshot = FileSource(a_toml_policy(tmp_path)).load()
    issuer = next(row.data for row in snapshot.rows if isinstance(row.data, IssuerRow))

    assert issuer.jwks == keys_with()
    index = PolicyIndex.from_snapshot(snapshot)
    assert isinstance(ask(v2_token(), index, StaticKeys([issuer])), Granted)


def test_a_file_of_certificates_stands_for_them(tmp_path: Path) -> None:
    """`ca_bundle_file` is relative to the policy's folder and becomes `ca_bundle`; other bytes are refused."""
    path = a_toml_policy(tmp_path)
    text = path.read_text().replace("[[issuers]]\n", '[[issuers]]\nca_bundle_file = "keys/ca.pem"\n', 1)
    path.write_text(text)
    (tmp_path / "keys" / "ca.pem").write_text(certificate())

    issuer = next(row.data for row in FileSource(path).load().rows if isinstance(row.data, IssuerRow))

    assert issuer.ca_bundle == certificate()
    (tmp_path / "keys" / "ca.pem").write_bytes(b"\xff")
    with pytest.raises(PolicyError) as caught:
        FileSource(path).load()
    assert (caught.value.code, caught.value.path) == ("ca_bundle_malformed", "issuers[0].ca_bundle_file")


def test_rows_are_normalised(tmp_path: Path) -> None:
    """What the rules write out in full, and in lower case, is what the gate gets."""
    rows: dict[str, Any] = {row.id: row.data for row in FileSource(a_toml_policy(tmp_path)).load().rows}

    assert rows["acme_tenant"].tid == "bbbbbbbb-0000-4000-8000-000000000002"
    assert rows["cloud"].v2_issuer == V2_TEMPLATE
    assert rows["cloud"].metadata_url is None, "keys are given, so nothing is to be fetched"


def test_absolute_key_file(tmp_path: Path) -> None:
    """An absolute path of a key file is taken as it is."""
    keys = write(tmp_path / "elsewhere" / "cloud.json", keys_with())
    text = TOML.replace("keys/cloud.json", str(keys))

    snapshot = FileSource(write(tmp_path / "policy.toml", text)).load()

    assert len(snapshot.rows) == 7


def test_arrays_come_in_any_order(tmp_path: Path) -> None:
    """A row may stand before the one it refers to."""
    backwards = dict(reversed(a_document().items()))

    assert len(FileSource(write(tmp_path / "policy.json", backwards)).load().rows) == len(policy_rows())


# What is wrong, and where.


def spoiled(array: str, place: int = 0, /, **changes: Any) -> dict[str, Any]:
    """Return the document with members of one row changed; `...` leaves one out."""
    document = a_document()
    row = {**document[array][place], **changes}
    document[array][place] = {name: value for name, value in row.items() if value is not ...}
    return document


@pytest.mark.parametrize(
    ("document", "code", "path"),
    [
        pytest.param(a_document(version=2), "version_unknown", "version", id="another version"),
        pytest.param(a_document(version=True), "version_unknown", "version", id="true is no version"),
        pytest.param(a_document(version="1"), "version_unknown", "version", id="a string is no version"),
        pytest.param({"partners": []}, "version_unknown", "version", id="no version"),
        pytest.param(a_document(partnrs=[]), "member_unknown", "partnrs", id="unknown array"),
        pytest.param(a_document(partners={}), "type_wrong", "partners", id="not an array"),
        pytest.param(a_document(partners=["acme"]), "type_wrong", "partners[0]", id="not an object"),
        pytest.param(spoiled("partners", 1, name=5), "type_wrong", "partners[1].name", id="wrong type"),
        pytest.param(spoiled("partners", ends_at=5.0), "type_wrong", "partners[0].ends_at", id="a float is no instant"),
        pytest.param(
            spoiled("resources", audiences=["api://a", 5]), "type_wrong", "resources[0].audiences[1]", id="in a list"
        ),
        *(
            pytest.param(
                spoiled("resources", required_claims=[{"claim": "a"}, {"claim": "b", **changes}]),
                code,
                f"resources[0].required_claims[1]{path}",
                id=f"required claim: {name}",
            )
            for name, changes, code, path in (
                ("wrong type", {"values": "a"}, "type_wrong", ".values"),
                ("no text", {"values": [5]}, "type_wrong", ".values[0]"),
                ("match", {"match": "one"}, "value_unknown", ".match"),
                ("member", {"value": "a"}, "member_unknown", ".value"),
                ("pointer", {"claim": "/a//b"}, "pointer_malformed", ".claim"),
                ("twice", {"claim": "a"}, "list_duplicate", ""),
            )
        ),
        pytest.param(
            spoiled("resources", required_claims=[{"values": ["a"]}]),
            "member_missing",
            "resources[0].required_claims[0].claim",
            id="required claim: none",
        ),
        pytest.param(
            spoiled("resources", report_only=[{"rule": "addresses"}]),
            "member_missing",
            "resources[0].report_only[0].until",
            id="reported only without an end",
        ),
        pytest.param(
            spoiled("resources", report_only=[{"rule": "signature", "until": 1}]),
            "value_unknown",
            "resources[0].report_only[0].rule",
            id="what is never reported only",
        ),
        pytest.param(
            spoiled("resources", issuers=["nobody"]), "reference_unknown", "resources[0].issuers[0]", id="its issuer"
        ),
        pytest.param(
            a_document(
                role_mappings=[{"id": "m", "issuer": "x", "claim": "a", "value": "b", "app_role": "orders_read"}]
            ),
            "reference_unknown",
            "role_mappings[0].issuer",
            id="issuer of a mapping",
        ),
        pytest.param(spoiled("issuers", kind="saml"), "value_unknown", "issuers[0].kind", id="kind"),
        pytest.param(spoiled("partners", state="expired"), "value_unknown", "partners[0].state", id="state"),
        pytest.param(spoiled("partners", ends_at=-1), "number_out_of_range", "partners[0].ends_at", id="range"),
        pytest.param(spoiled("partners", id="Acme"), "id_malformed", "partners[0].id", id="id"),
        pytest.param(spoiled("partners", id="globex"), "id_duplicate", "partners[1].id", id="id twice"),
        pytest.param(spoiled("tenants", 1, tid="x"), "guid_malformed", "tenants[1].tid", id="GUID"),
        pytest.param(spoiled("tenants", partner="nobody"), "reference_unknown", "tenants[0].partner", id="partner"),
        pytest.param(spoiled("tenants", issuer="nobody"), "reference_unknown", "tenants[0].issuer", id="issuer"),
        pytest.param(spoiled("daemons", 2, tenant="none"), "reference_unknown", "daemons[2].tenant", id="tenant"),
        pytest.param(
            spoiled("app_roles", resource="none"), "reference_unknown", "app_roles[0].resource", id="resource"
        ),
        pytest.param(
            spoiled("role_assignments", 1, daemon="none"),
            "reference_unknown",
            "role_assignments[1].daemon",
            id="daemon",
        ),
        pytest.param(
            spoiled("role_assignments", app_role="none"),
            "reference_unknown",
            "role_assignments[0].app_role",
            id="app role",
        ),
        pytest.param(spoiled("issuers", jwks={}), "jwks_malformed", "issuers[0].jwks", id="jwks without keys"),
        pytest.param(
            spoiled("issuers", jwks={"keys": [{"kty": "oct", "k": "AAAA"}]}),
            "jwks_malformed",
            "issuers[0].jwks",
            id="no usable key",
        ),
        pytest.param(
            spoiled("issuers", v1_jwks={"keys": [{}]}), "jwks_malformed", "issuers[0].v1_jwks", id="no usable v1 key"
        ),
        pytest.param(
            spoiled("issuers", jwks_file="keys.json"), "member_not_allowed", "issuers[0].jwks_file", id="keys twice"
        ),
        pytest.param(
            spoiled("issuers", jwks=..., jwks_file=5), "type_wrong", "issuers[0].jwks_file", id="key file: no path"
        ),
        pytest.param(
            spoiled("issuers", jwks=..., jwks_file="gone.json"),
            "file_unreadable",
            "issuers[0].jwks_file",
            id="key file: not there",
        ),
        pytest.param(
            spoiled("issuers", jwks=..., jwks_file="."), "file_unreadable", "issuers[0].jwks_file", id="a folder"
        ),
        pytest.param(
            spoiled("issuers", jwks=..., jwks_file="a\0b"),
            "file_unreadable",
            "issuers[0].jwks_file",
            id="NUL in a path",
        ),
        pytest.param(
            spoiled("issuers", 1, jwks=..., v1_jwks_file="x.json"),
            "file_unreadable",
            "issuers[1].v1_jwks_file",
            id="v1 key file: not there",
        ),
        pytest.param(
            spoiled("issuers", ca_bundle_file="."), "file_unreadable", "issuers[0].ca_bundle_file", id="no certificates"
        ),
        pytest.param(
            spoiled("issuers", ca_bundle_file="policy.json"),
            "ca_bundle_malformed",
            "issuers[0].ca_bundle_file",
            id="certificates: another file",
        ),
        pytest.param(
            spoiled("issuers", ca_bundle="x", ca_bundle_file="x"),
            "member_not_allowed",
            "issuers[0].ca_bundle_file",
            id="certificates twice",
        ),
        pytest.param(spoiled("issuers", proxy="x"), "proxy_malformed", "issuers[0].proxy", id="no proxy"),
    ],
)
def test_refuses_with_code_and_path(tmp_path: Path, document: dict[str, Any], code: str, path: str) -> None:
    """A policy that is wrong somewhere is refused whole, and says where."""
    error = failure(write(tmp_path / "policy.json", document))

    assert (error.code, error.path) == (code, path)
    assert str(error).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("member", "code"),
    [
        pytest.param({"nme": "x"}, "member_unknown", id="unknown"),
        pytest.param({"name": ...}, "member_missing", id="missing"),
    ],
)
def test_unknown_and_missing_members_are_named(tmp_path: Path, member: dict[str, Any], code: str) -> None:
    """The path ends in the member that is too many or missing."""
    error = failure(write(tmp_path / "policy.json", spoiled("partners", 1, **member)))

    assert (error.code, error.path) == (code, f"partners[1].{next(iter(member))}")


@pytest.mark.parametrize(
    ("content", "path"),
    [
        ('{"version": 1, "version": 1}', "version"),
        ('{"version": 1, "partners": [{"id": "a"}, {"id": "b", "name": "A", "name": "B"}]}', "partners[1].name"),
        ('{"issuers": [{"jwks": {"keys": [{"kid": "a", "k\\u0069d": "b"}]}}]}', "issuers[0].jwks.keys[0].kid"),
        ('{"a\\nb": 1, "a\\nb": 1}', "a\\nb"),
    ],
)
def test_a_duplicate_member_is_named(tmp_path: Path, content: str, path: str) -> None:
    """A name that stands twice in a JSON object is refused at its place (in TOML the parser names the line)."""
    error = failure(write(tmp_path / "policy.json", content))

    assert (error.code, error.path) == ("member_duplicate", path)


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31m", "\u202eb"])
def test_odd_names_are_shown_visibly(tmp_path: Path, name: str) -> None:
    """What an error repeats of a file is visible ASCII in one line, fit for a terminal and a log."""
    for document in (a_document(**{name: []}), spoiled("partners", **{name: 1}), spoiled("partners", state=name)):
        text = str(failure(write(tmp_path / "policy.json", document)))

        assert text.isascii()
        assert text.isprintable()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("p.toml", "version = 1\nversion = 1\n", id="duplicate member, TOML"),
        pytest.param(
            "p.toml", 'version = 1\n[[partners]]\nid = "a"\nname = "A"\nname = "B"\n', id="deep duplicate, TOML"
        ),
        pytest.param("p.json", "", id="empty, JSON"),
        pytest.param("p.json", "[]", id="not an object"),
        pytest.param("p.json", '{"version": 1', id="cut off, JSON"),
        pytest.param("p.toml", "version = ", id="cut off, TOML"),
        pytest.param("p.json", '{"version": NaN}', id="NaN, JSON"),
        pytest.param("p.json", '{"version": 1, "partners": [{"id": "a", "ends_at": -Infinity}]}', id="infinity, JSON"),
        pytest.param("p.json", b'{"version": 1, "x": "\xff"}', id="not UTF-8, JSON"),
        pytest.param("p.toml", b'version = 1\nx = "\xff"\n', id="not UTF-8, TOML"),
        pytest.param("p.json", b'\xef\xbb\xbf{"version": 1}', id="byte order mark, JSON"),
        pytest.param("p.toml", b"\xef\xbb\xbfversion = 1\n", id="byte order mark, TOML"),
        pytest.param("p.json", '{"version": 1, "partners": [{"id": "a", "name": "\\ud800"}]}', id="lone surrogate"),
        pytest.param("p.json", "[" * 100_000, id="nested deeply, JSON"),
        pytest.param("p.toml", "a = " + "[" * 100_000, id="nested deeply, TOML"),
        pytest.param("p.json", '{"version": 1, "partners": [{"ends_at": 1' + "0" * 5000 + "}]}", id="endless number"),
        pytest.param("p.yaml", '{"version": 1}', id="JSON under another name is read as TOML"),
    ],
)
def test_malformed_files_are_refused(tmp_path: Path, name: str, content: str | bytes) -> None:
    """What is not strict TOML or JSON is refused as a whole, whatever the parser underneath made of it."""
    assert failure(write(tmp_path / name, content)).code == "file_malformed"


def test_toml_has_infinities_and_dates_but_no_row_does(tmp_path: Path) -> None:
    """What TOML can say and a row cannot is a wrong type, at its place."""
    for value in ("nan", "inf", "2030-01-01T00:00:00Z", "1.9e9"):
        error = failure(a_toml_policy(tmp_path, TOML.replace("1900000000", value)))

        assert (error.code, error.path) == ("type_wrong", "partners[0].ends_at")


def test_nesting_inside_a_key_set_is_refused(tmp_path: Path) -> None:
    """A key set may hold anything, and still nothing but an error of ours comes out."""
    nested: Any = []
    for _ in range(300):
        nested = [nested]

    error = failure(write(tmp_path / "policy.json", spoiled("issuers", jwks={"keys": [nested]})))

    assert (error.code, error.path) == ("jwks_malformed", "issuers[0].jwks")


@pytest.mark.parametrize("content", ["no JSON", b'{"keys": "\xff"}', '{"keys": [], "keys": []}', '{"keys": [NaN]}', ""])
def test_a_malformed_key_file_is_refused(tmp_path: Path, content: str | bytes) -> None:
    """A key file is read as strictly as the policy, and the member that names it is at fault."""
    path = a_toml_policy(tmp_path)
    write(tmp_path / "keys" / "cloud.json", content)

    error = failure(path)

    assert (error.code, error.path) == ("jwks_malformed", "issuers[0].jwks_file")


@pytest.mark.parametrize("content", ["null", "[]", "1", '"keys"', "false"])
def test_a_key_file_that_says_nothing_is_refused(tmp_path: Path, content: str) -> None:
    """An issuer whose keys are a file never turns into one whose keys are fetched, whatever the file holds."""
    path = a_toml_policy(tmp_path)
    write(tmp_path / "keys" / "cloud.json", content)

    error = failure(path)

    assert (error.code, error.path) == ("jwks_malformed", "issuers[0].jwks_file")


def test_a_pipe_is_no_policy_and_no_key_file(tmp_path: Path) -> None:
    """What is no regular file is refused at once: a pipe would be waited for, a device has no end."""
    path = a_toml_policy(tmp_path)
    (tmp_path / "keys" / "cloud.json").unlink()
    os.mkfifo(tmp_path / "keys" / "cloud.json")
    error = failure(path)
    assert (error.code, error.path) == ("file_unreadable", "issuers[0].jwks_file")

    os.mkfifo(tmp_path / "policy.pipe")
    with pytest.raises(FeedError) as raised:
        FileSource(tmp_path / "policy.pipe").load()
    assert raised.value.code == "file_unreadable"


@pytest.mark.parametrize("content", [[1], {}, {"keys": []}, {"keys": [{"kty": "oct", "k": "AAAA"}]}])
def test_a_key_file_without_a_usable_key_is_refused(tmp_path: Path, content: Any) -> None:
    """JSON that is no key set is refused at the issuer that names the file."""
    path = a_toml_policy(tmp_path)
    write(tmp_path / "keys" / "cloud.json", content)

    error = failure(path)

    assert error.code in {"jwks_malformed", "type_wrong"}
    assert error.path == "issuers[0].jwks_file"


def test_a_bad_key_beside_a_good_one_is_no_error(tmp_path: Path) -> None:
    """A key that cannot be used is dropped; the set serves with the others."""
    jwks = {"keys": [{"kty": "oct", "k": "AAAA"}, cloud_key().jwk(issuer=V2_TEMPLATE)]}

    assert FileSource(write(tmp_path / "p.json", spoiled("issuers", jwks=jwks))).load().rows


@pytest.mark.parametrize("name", ["gone.toml", "folder.toml"])
def test_an_unreadable_file_is_a_feed_error(tmp_path: Path, name: str) -> None:
    """Where there is no file there is no policy, and the name is all that is said of the path."""
    (tmp_path / "folder.toml").mkdir()

    with pytest.raises(FeedError) as raised:
        FileSource(tmp_path / name).load()

    assert raised.value.code == "file_unreadable"
    assert name in str(raised.value)
    assert str(tmp_path) not in str(raised.value)


# Epoch and revision.


def test_epoch_is_the_name_and_revisions_count_contents(tmp_path: Path) -> None:
    """The first policy is revision 1, each newer one is one more, and its rows carry it."""
    path = write(tmp_path / "policy.json", a_document())
    source = FileSource(path, pause=Looks(lambda: write(path, a_document(role_assignments=[]))))

    first, second = source.load(), source.wait(1.0)

    assert isinstance(second, PolicySnapshot)
    assert first.epoch == second.epoch == "file:policy.json"
    assert (first.revision, second.revision) == (1, 2)
    assert {row.revision for row in first.rows} == {1}
    assert {row.revision for row in second.rows} == {2}


def test_contents_that_come_back_are_a_new_revision(tmp_path: Path) -> None:
    """Going back to an older policy is a change like any other: revisions only grow."""
    path = write(tmp_path / "policy.json", a_document())
    source = FileSource(
        path,
        pause=Looks(
            lambda: write(path, a_document(partners=[], tenants=[], daemons=[], role_assignments=[])),
            lambda: write(path, a_document()),
        ),
    )
    first = source.load()
    source.wait(1.0)

    again = source.wait(1.0)

    assert isinstance(again, PolicySnapshot)
    assert again.revision == 3
    assert [row.data for row in again.rows] == [row.data for row in first.rows]


# Looking again.


def test_looks_once_a_second_until_the_time_is_up(tmp_path: Path) -> None:
    """Nothing changed: None after so many looks, the last pause being what was left."""
    looks = Looks()
    source = FileSource(write(tmp_path / "policy.json", a_document()), pause=looks)
    source.load()

    assert source.wait(2.5) is None
    assert looks.seconds == [1.0, 1.0, 0.5]


def test_a_file_written_alike_is_no_change(tmp_path: Path) -> None:
    """What counts is the bytes, not when they were written."""
    path = write(tmp_path / "policy.json", a_document())
    source = FileSource(path, pause=Looks(lambda: write(path, a_document())))
    source.load()

    assert source.wait(1.0) is None


def test_a_changed_key_file_is_a_change(tmp_path: Path) -> None:
    """Keys rotate without a touch of the policy itself."""
    path = a_toml_policy(tmp_path)
    other = signer("RS256", "next")
    rotated = {"keys": [other.jwk(issuer=V2_TEMPLATE)]}
    source = FileSource(path, pause=Looks(lambda: write(tmp_path / "keys" / "cloud.json", rotated)))
    source.load()

    news = source.wait(1.0)

    assert isinstance(news, PolicySnapshot)
    assert news.revision == 2
    issuer = next(row.data for row in news.rows if isinstance(row.data, IssuerRow))
    assert issuer.jwks == rotated


def test_a_bad_file_is_reported_once_and_costs_no_revision(tmp_path: Path) -> None:
    """What was delivered stays the caller's; the mended file is the next revision."""
    path = write(tmp_path / "policy.json", a_document())
    source = FileSource(
        path,
        pause=Looks(
            lambda: write(path, '{"version": 1'), lambda: None, lambda: write(path, a_document(role_assignments=[]))
        ),
    )
    source.load()

    with pytest.raises(PolicyError) as raised:
        source.wait(1.0)
    assert raised.value.code == "file_malformed"
    assert source.wait(1.0) is None, "reported already"
    mended = source.wait(1.0)
    assert isinstance(mended, PolicySnapshot)
    assert mended.revision == 2


def test_a_key_file_gone_is_reported_once(tmp_path: Path) -> None:
    """A key file that vanishes is an error of the policy that names it; back as it was, it is read anew."""
    path = a_toml_policy(tmp_path)
    keys = tmp_path / "keys" / "cloud.json"
    source = FileSource(path, pause=Looks(keys.unlink, lambda: None, lambda: write(keys, keys_with())))
    source.load()

    with pytest.raises(PolicyError) as raised:
        source.wait(1.0)
    assert (raised.value.code, raised.value.path) == ("file_unreadable", "issuers[0].jwks_file")
    assert source.wait(1.0) is None
    assert isinstance(source.wait(1.0), PolicySnapshot)


def test_a_key_file_that_may_not_be_read_is_an_error_of_the_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the system says of a key file, nothing but the declared errors leaves a source."""
    path = a_toml_policy(tmp_path)
    read = Path.read_bytes

    def refuse_keys(self: Path) -> bytes:
        if self.name == "cloud.json":
            raise PermissionError(13, "Permission denied")
        return read(self)

    source = FileSource(path, pause=Looks(lambda: monkeypatch.setattr(Path, "read_bytes", refuse_keys)))
    source.load()

    with pytest.raises(PolicyError) as raised:
        source.wait(1.0)
    assert (raised.value.code, raised.value.path) == ("file_unreadable", "issuers[0].jwks_file")
    assert source.wait(2.0) is None, "reported already"


def test_a_policy_that_names_another_key_file_is_one_change(tmp_path: Path) -> None:
    """The new key file is known from the reading of the policy, and is no second change of its own."""
    path = a_toml_policy(tmp_path)
    write(tmp_path / "keys" / "next.json", keys_with(x5t="another"))
    source = FileSource(path, pause=Looks(lambda: write(path, TOML.replace("cloud.json", "next.json"))))
    source.load()

    assert isinstance(source.wait(1.0), PolicySnapshot)
    assert source.wait(3.0) is None


def test_a_bad_policy_that_names_another_key_file_is_reported_once(tmp_path: Path) -> None:
    """One mistake is one report, also where the key files changed with it."""
    path = a_toml_policy(tmp_path)
    write(tmp_path / "keys" / "next.json", keys_with(x5t="another"))
    bad = TOML.replace("cloud.json", "next.json").replace('name = "Acme"', 'name = ""')
    source = FileSource(path, pause=Looks(lambda: write(path, bad)))
    source.load()

    with pytest.raises(PolicyError):
        source.wait(1.0)
    assert source.wait(3.0) is None


def test_keys_that_change_while_the_policy_is_read_are_seen_at_the_next_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What counts is the key file that was read, not the one that stood there a moment later."""
    path = a_toml_policy(tmp_path)
    rotated = {"keys": [signer("RS256", "next").jwk(issuer=V2_TEMPLATE)]}
    parse = file.parse_policy

    def parse_and_rotate(*arguments: Any) -> Any:
        rows = parse(*arguments)
        write(tmp_path / "keys" / "cloud.json", rotated)
        return rows

    source = FileSource(path, pause=Looks())
    monkeypatch.setattr(file, "parse_policy", parse_and_rotate)
    source.load()
    monkeypatch.setattr(file, "parse_policy", parse)

    news = source.wait(1.0)

    assert isinstance(news, PolicySnapshot)
    assert next(row.data for row in news.rows if isinstance(row.data, IssuerRow)).jwks == rotated


def test_a_file_gone_is_an_error_and_back_no_change(tmp_path: Path) -> None:
    """While the file is away every look says so; the same bytes back are the policy in force."""
    path = write(tmp_path / "policy.json", a_document())
    source = FileSource(path, pause=Looks(path.unlink, lambda: None, lambda: write(path, a_document())))
    source.load()

    for _ in range(2):
        with pytest.raises(FeedError) as raised:
            source.wait(1.0)
        assert raised.value.code == "file_unreadable"
    assert source.wait(1.0) is None


def test_a_source_that_never_loaded_delivers_the_file_once_it_is_right(tmp_path: Path) -> None:
    """After a failed start the first good contents are revision 1."""
    path = write(tmp_path / "policy.json", "nothing yet")
    source = FileSource(path, pause=Looks(lambda: write(path, a_document())))
    with pytest.raises(PolicyError):
        source.load()

    news = source.wait(1.0)

    assert isinstance(news, PolicySnapshot)
    assert news.revision == 1


def test_close_wakes_a_wait_under_way(tmp_path: Path) -> None:
    """A thread that waits for a minute ends as soon as the source is closed."""
    source = FileSource(write(tmp_path / "policy.json", a_document()))
    source.load()
    news: list[PolicySnapshot | PolicyDelta | None] = []
    waiting = threading.Thread(target=lambda: news.append(source.wait(60.0)))
    waiting.start()

    source.close()
    waiting.join(timeout=20.0)

    assert not waiting.is_alive()
    assert news == [None]
    assert source.wait(60.0) is None, "closed is closed"


def test_acknowledging_is_harmless(tmp_path: Path) -> None:
    """A file has nobody to tell, so it is told in vain."""
    path = write(tmp_path / "policy.json", a_document())
    source = FileSource(path, pause=Looks())
    source.load()

    source.acknowledge(1)

    assert source.wait(1.0) is None
    assert path.read_bytes() == json.dumps(a_document()).encode()


def test_a_snapshot_holds_no_state_of_now(tmp_path: Path) -> None:
    """Loading asks no clock: a partner that has ended is delivered as it stands, and judged when it is asked for."""
    path = write(tmp_path / "policy.json", spoiled("partners", ends_at=NOW))
    snapshot = FileSource(path).load()
    index = PolicyIndex.from_snapshot(snapshot)
    keys = StaticKeys([an_entra_issuer()])

    assert isinstance(ask(v2_token(), index, keys, now=NOW - 1), Granted)
    assert not isinstance(ask(v2_token(), index, keys, now=NOW), Granted)
