"""Any history of fetches, failures, time, kids and restarts, against the rules as they are written down.

The model is the text of docs/decisions/0032, 0033 and 0036 and knows nothing of the code: which keys serve, when a
request may cause a fetch, and what a restart keeps.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tenantgate.core.keys import KeySet, KeySetRef, NoKeys
from tests.builders import Signer, signer
from tests.discovery.fakes import JWKS, METADATA, World, a_row, key_document, metadata

REF = KeySetRef("globex")
COOLDOWN, UNKNOWN, RETIRE, HARD = 30.0, 60.0, 300.0, 3600.0
KIDS = ("a", "b", "c")
NAMES = [None, *(f"{kid}-ES256" for kid in (*KIDS, "nobody", "no-one"))]
PUBLISHED = st.sets(st.sampled_from(KIDS), max_size=3)
SECONDS = st.sampled_from([0.5, 29.0, 30.0, 31.0, 59.0, 60.0, 61.0, 250.0, 299.0, 300.0, 301.0, 3299.0, 3600.0, 4000.0])
FAILURES = st.sampled_from(["metadata", "keys", "empty", "garbage"])


class KeyringHistory(RuleBasedStateMachine):
    """A keyring and the model of it, side by side. Requests alone cause fetches: the background is not running."""

    @initialize()
    def begin(self) -> None:
        """Start with nothing known, and an issuer that publishes one key."""
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp())
        self.published: set[str] = {"a"}
        self.other: set[str] = set()  # kids under which another key is published now
        self.failure: str | None = None
        # The model.
        self.listed: dict[str, bool] = {}
        self.absent: dict[str, float] = {}
        self.materials: dict[str, bool] = {}
        self.fetched_at: float | None = None
        self.fetched_wall = 0.0
        self.written: Any = None  # what the last landing left on disk
        self.known_place = False
        self._start(1000.0, 1_800_000_000.0)

    def _start(self, steady: float, epoch: float) -> None:
        self.world = World(folder=self.folder, rows=[], hard_age=HARD, retire_other=RETIRE)
        self.world.clock.now, self.world.epoch = steady, epoch
        self.world.keyring.set_issuers([a_row()])
        self.open_at = float("-inf")
        self.refused: dict[str | None, float] = {}
        self.attempts = 0

    def teardown(self) -> None:
        """End the process."""
        if hasattr(self, "loop"):
            self.loop.run_until_complete(self.world.end())
            self.loop.close()
            shutil.rmtree(self.folder)

    @property
    def now(self) -> float:
        """Monotonic seconds of the process."""
        return self.world.clock.now

    def _key(self, kid: str) -> Signer:
        made = signer("ES256", kid)
        return signer("ES256", f"{kid}-other").using("ES256") if kid in self.other else made

    def _documents(self) -> None:
        keys = [self._key(kid).jwk(kid=f"{kid}-ES256") for kid in sorted(self.published)]
        self.world.door.documents = {METADATA: metadata(), JWKS: key_document()}
        from tests.builders import json_bytes

        self.world.door.documents[JWKS] = json_bytes({"keys": keys})
        if self.failure == "metadata":
            del self.world.door.documents[METADATA]
        elif self.failure == "keys":
            del self.world.door.documents[JWKS]
        elif self.failure == "empty":
            self.world.door.documents[JWKS] = b'{"keys":[]}'
        elif self.failure == "garbage":
            self.world.door.documents[JWKS] = b"<html>"

    # What happens.

    @rule(published=PUBLISHED, other=PUBLISHED)
    def publish(self, published: set[str], other: set[str]) -> None:
        """The issuer publishes other keys, some of them new ones under an old name."""
        self.published, self.other = published, other

    @rule(failure=st.none() | FAILURES)
    def behave(self, failure: str | None) -> None:
        """The issuer breaks, or is mended."""
        self.failure = failure

    @rule(seconds=SECONDS)
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.loop.run_until_complete(self.world.clock.advance(seconds))

    @rule(kid=st.sampled_from(NAMES))
    def ask(self, kid: str | None) -> None:
        """A token names a key."""
        self._documents()
        wanted = self._wants(kid)
        assert self.world.keyring.wants(REF, kid) is wanted
        before = self.world.fetches
        self.loop.run_until_complete(self.world.keyring.ensure(REF, kid))
        self.world.written()
        reached = self.failure != "metadata" or self.known_place
        assert self.world.fetches - before == (1 if wanted and reached else 0)
        if wanted:
            self._fetched(kid)

    @rule(down=SECONDS, set_back=st.booleans())
    def restart(self, down: float, set_back: bool) -> None:
        """The process ends, and another one begins some time later, maybe with a clock that was set back."""
        wall = self.world.wall() + (-86_400.0 if set_back else down)
        self.loop.run_until_complete(self.world.end())
        steady, written = 50.0, self.written
        self.known_place = written is not None
        self.fetched_at = None
        if written is not None:
            self.fetched_wall, age, absent, self.materials, self.listed = written
            self.fetched_at = steady - max(wall - self.fetched_wall, age)
            self.absent = {kid: steady - max(0.0, wall - at) for kid, at in absent.items()}
        self._start(steady, wall - steady)

    # What the rules say.

    def _serves(self) -> bool:
        return self.fetched_at is not None and self.now < self.fetched_at + HARD

    def _wants(self, kid: str | None) -> bool:
        if self._serves() and (self._finds(kid) or self.refused.get(kid, self.now) > self.now):
            return False
        return self.now >= self.open_at

    def _finds(self, kid: str | None) -> bool:
        if kid is not None:
            return kid.removesuffix("-ES256") in self.materials
        return len(self.listed) == 1

    def _fetched(self, kid: str | None) -> None:
        self.open_at = self.now + COOLDOWN
        if self.failure != "metadata":
            self.known_place = True
        succeeds = bool(self.published) and self.failure in (None, *(["metadata"] if self.known_place else []))
        if succeeds:
            self._succeeded(kid)
        if self.fetched_at is not None:
            absent = {each: self.world.epoch + at for each, at in self.absent.items()}
            self.written = self.fetched_wall, self.now - self.fetched_at, absent, self.materials, self.listed

    def _succeeded(self, kid: str | None) -> None:
        fresh = {each: each in self.other for each in self.published}
        absent = {}
        if self._serves():
            for each in self.materials:
                since = self.absent.get(each, self.now)
                if each not in fresh and self.now - since < RETIRE:
                    absent[each] = since
        self.materials = {each: self.materials[each] for each in absent} | fresh
        self.listed, self.absent, self.fetched_at, self.fetched_wall = fresh, absent, self.now, self.world.wall()
        if not self._finds(kid):
            self.refused[kid] = self.now + UNKNOWN

    # What must hold.

    @precondition(lambda self: hasattr(self, "world"))
    @invariant()
    def the_same_keys_serve(self) -> None:
        """Those of the model, or none for the model's reason."""
        found = self.world.keyring.key_set(REF)
        if not self._serves():
            assert isinstance(found, NoKeys)
            assert found.too_old is (self.fetched_at is not None)
            return
        assert isinstance(found, KeySet)
        assert {kid.removesuffix("-ES256") for kid in found.keys} == set(self.materials)
        for kid, other in self.materials.items():
            token = (signer("ES256", f"{kid}-other") if other else signer("ES256", kid)).sign({"sub": "x"})
            signed, _, signature = token.rpartition(".")
            from tenantgate.core.strict import decode_base64url

            assert found.keys[f"{kid}-ES256"].verify(signed.encode(), decode_base64url(signature.encode()))


TestKeyringHistory = KeyringHistory.TestCase
TestKeyringHistory.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
