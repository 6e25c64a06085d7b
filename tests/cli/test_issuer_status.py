"""`issuer status`: what running gates tell of the issuers' keys, over a real database and a real authority."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tenantgate import open_gate
from tenantgate.core.keys import KeySetRef
from tests.cli.desk import Desk
from tests.emulator.program import RunningEmulator

pytestmark = pytest.mark.slow


@pytest.fixture
def own(desk: Desk, emulator: RunningEmulator) -> Desk:
    """A registry with the authority in it, and one issuer that is nowhere."""
    local = f"--id local --kind entra --authority {emulator.authority} --insecure-allow-http"
    gone = "--id gone --kind oidc --issuer http://127.0.0.1:1/x --insecure-allow-http"
    for words in (local, gone):
        assert desk.call("issuer", "create", *words.split()).status == 0
    return desk


def eventually(look: Callable[[], Any], *, most: float = 60.0) -> Any:
    """Return what is seen once there is something."""
    until = time.monotonic() + most
    while not (found := look()):
        assert time.monotonic() < until
        time.sleep(0.1)
    return found


def test_a_running_gate_tells_how_keys_are_doing(own: Desk):
    """Each key set of each issuer: keys, age, class of the last error; gone when the gate is."""

    def known() -> Any:
        told = own.call("issuer", "status", "--json").document
        sets = {(each["issuer"], one["document"]): one for each in told for one in each["key_sets"]}
        well, ill = sets.get(("local", "v2")), sets.get(("gone", "v2"))
        return (well, ill) if well and well["keys"] and ill and ill["last_error"] else None

    begun = time.monotonic()
    gate = open_gate(own.url, resource="orders")
    gate._keys.authentic(KeySetRef("local"), 301.0)  # as a token of Entra looks when it comes at once
    try:
        well, ill = eventually(known)
        lasted = time.monotonic() - begun  # the authority's answer may have been on its way for so long
        table = own.call("issuer", "status", "local", COLUMNS="220")
        narrow = own.call("issuer", "status", "local", COLUMNS="80").out
        one = own.call("issuer", "status", "gone", "--json").document
        slip = own.call("issuer", "distrust-key", "local", "not-a-kid")
        meant = own.call("issuer", "distrust-key", "local", well["keys"][0]["thumbprint"])
    finally:
        gate.close()

    assert (well["last_error"], well["failures"], well["static"], well["restored"]) == (None, 0, False, False)
    assert well["keys"][0]["state"] == "serving"
    assert len(well["keys"][0]["thumbprint"]) == 43
    assert abs(well["clock_ahead"]) <= 2 + lasted
    assert well["history"][0]["change"] == "added"
    assert (ill["last_error"], ill["keys"], ill["fetched_at"]) == ("connect", [], None)
    assert ill["failures"] >= 1
    assert [each["issuer"] for each in one] == ["gone"]
    assert well["keys"][0]["kid"] in table.out
    assert "last_error" in table.out
    assert f"keys        {well['keys'][0]['kid']}\n" in narrow
    assert "state       serving\n" in narrow
    assert "last_error" not in narrow  # what there is nothing to say of takes no line
    assert slip.err == "note: no running instance has a key of this kid or thumbprint now\n"
    assert (slip.status, meant.status, meant.err) == (0, 0, "")
    assert well["clock_ahead_at_most"] == 301
    assert "at most +301 s by its tokens" in " ".join(table.out.split())
    assert own.call("issuer", "status", "--json").document == []


def test_nobody_tells_anything_where_no_gate_runs(own: Desk):
    """And an issuer that is not there is refused."""
    assert own.call("issuer", "status", "--json").document == []
    assert own.call("issuer", "status").out == "No running instance has reported. Gates over a policy file never do.\n"
    assert own.refused("issuer", "status", "nobody")[0] == "issuer_not_found"
