"""`certificate` and `subscription-key`: the other credentials of daemons."""

from __future__ import annotations

from pathlib import Path

from tests.cli.desk import Desk
from tests.client_certificates import a_certificate, private_pem


def test_a_certificate_from_a_file(desk: Desk, tmp_path: Path):
    """Added, listed, shown, suspended, activated, revoked; none of it is policy."""
    (tmp_path / "nightly.pem").write_text(a_certificate())
    made = desk.json("certificate", "add", "nightly", str(tmp_path / "nightly.pem"), "--id", "own", "--name", "May")
    assert (made["id"], made["name"], made["state"], made.pop("revision")) == ("own", "May", "active", None)
    assert desk.json("certificate", "list", "--daemon", "nightly")["items"] == [made]
    assert desk.json("certificate", "list", "--thumbprint", made["thumbprint"].upper())["items"] == [made]
    assert desk.json("certificate", "show", "own") == made
    for verb, state in (("suspend", "suspended"), ("activate", "active"), ("revoke", "revoked")):
        assert desk.json("certificate", verb, "own")["state"] == state
    assert desk.refused("certificate", "activate", "own")[0] == "already_revoked"
    again = desk.refused("certificate", "add", "nightly", str(tmp_path / "nightly.pem"))
    assert again[0] == "certificate_duplicate"
    assert "CN=nightly" in desk.call("certificate", "list").out


def test_a_bad_file_is_refused(desk: Desk, tmp_path: Path):
    """None, a folder, a private key, something else, something large."""
    file = tmp_path / "nightly.pem"
    assert desk.refused("certificate", "add", "nightly", str(file))[0] == "file_unreadable"
    assert desk.refused("certificate", "add", "nightly", str(tmp_path))[0] == "file_unreadable"
    for content, code in (
        (private_pem().encode(), "certificate_private_key"),
        (b"\x00\xff", "certificate_malformed"),
        (b"x" * 100_000, "certificate_too_large"),
    ):
        file.write_bytes(content)
        assert desk.refused("certificate", "add", "nightly", str(file))[0] == code
    assert desk.json("certificate", "list")["items"] == []


def test_a_subscription_key_is_printed_once(desk: Desk):
    """The key alone on standard output; rotated there is another."""
    answer = desk.call("subscription-key", "create", "--daemon", "nightly", "--days", "30")
    value = answer.out.strip()
    assert value.startswith("tgs_sub-")
    assert "not shown again" in answer.err
    (row,) = desk.json("subscription-key", "list", "--daemon", "nightly")["items"]
    assert desk.json("subscription-key", "show", row["id"]) == row
    new = desk.json("subscription-key", "rotate", row["id"], "--overlap", "0", "--expires-at", "2031-01-31")
    assert new["value"] != value
    assert desk.json("subscription-key", "show", row["id"])["revoked_at"] is not None
    assert desk.json("subscription-key", "revoke", new["id"])["revoked_at"] is not None
    said = desk.call("subscription-key", "list").out + desk.call("audit", "list", "--json").out
    assert value[-43:] not in said
    assert new["value"][-43:] not in said
