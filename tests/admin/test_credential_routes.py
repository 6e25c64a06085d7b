"""Client certificates and subscription keys over HTTP."""

from __future__ import annotations

import pytest

from tests.admin.world import V1, Api
from tests.client_certificates import a_certificate, private_pem

PEM = a_certificate()
KEY = {"daemon": "nightly", "name": "primary", "expires_at": "2027-02-01T00:00:00Z"}


def test_a_certificate_from_first_to_last(api: Api):
    """Added, looked at, suspended, activated, revoked; the policy's revision stays where it is."""
    before = api.get("/policy")["revision"]
    answer = api.ask("POST", "/client-certificates", json={"daemon": "nightly", "certificate": PEM})
    made = answer.json()
    assert answer.headers["Location"] == f"{V1}/client-certificates/{made['id']}"
    assert "X-TG-Revision" not in answer.headers
    assert (made["subject"], made["not_after"]) == ("CN=nightly.contoso.example", "2040-01-01T00:00:00Z")
    path = f"/client-certificates/{made['id']}"
    assert api.get(path) == made
    assert api.get(f"/client-certificates?thumbprint={made['thumbprint']}")["items"] == [made]
    assert [api.change(f"{path}/{verb}")["state"] for verb in ("suspend", "activate", "revoke")] == [
        "suspended",
        "active",
        "revoked",
    ]
    assert api.refused("POST", f"{path}/activate")["code"] == "already_revoked"
    assert api.get("/policy")["revision"] == before


@pytest.mark.parametrize(
    ("pem", "code"),
    [
        (PEM + private_pem(), "certificate_private_key"),
        (PEM + PEM, "certificate_chain"),
        ("x" * 20_000, "certificate_too_large"),
        ("\x00\u202e<script>", "certificate_malformed"),
    ],
)
def test_a_bad_certificate_is_named(api: Api, pem: str, code: str):
    """The member and what is wrong with it; what was sent is not repeated."""
    answer = api.ask("POST", "/client-certificates", json={"daemon": "nightly", "certificate": pem})
    problem = answer.json()
    assert (problem["status"], problem["code"]) == (422, code)
    assert [each["field"] for each in problem["errors"]] == ["certificate"]
    assert pem[:20] not in answer.text
    assert api.get("/client-certificates")["items"] == []


def test_a_key_from_first_to_last(api: Api):
    """Its value stands in the answers that made it and nowhere else."""
    made = api.make("/subscription-keys", **KEY)
    rotated = api.make(f"/subscription-keys/{made['id']}/rotate", expires_at="2027-03-01T00:00:00Z", overlap=60)
    values = {made.pop("value"), rotated.pop("value")}
    assert len(values) == 2
    assert (rotated["name"], rotated["expires_at"]) == ("primary", "2027-03-01T00:00:00Z")
    assert api.get(f"/subscription-keys/{made['id']}")["expires_at"] == "2027-01-15T08:01:00Z"
    assert api.change(f"/subscription-keys/{rotated['id']}/revoke")["revoked_at"] == "2027-01-15T08:00:00Z"
    assert len(api.get("/subscription-keys?daemon=nightly")["items"]) == 2
    for path in ("/subscription-keys", f"/subscription-keys/{made['id']}", "/audit?limit=200"):
        text = api.ask("GET", path).text
        assert not any(value[-43:] in text for value in values)
        assert "secret_hash" not in text


def test_a_subscription_key_opens_nothing_here(api: Api):
    """It is a daemon's: the administration takes it for no key."""
    value = api.make("/subscription-keys", **KEY)["value"]
    for header in (f"Bearer {value}", f"Bearer tg_{value.removeprefix('tgs_')}"):
        assert api.ask("GET", "/me", headers={"Authorization": header}).status_code == 401
