"""Everything a stranger's bytes can do is declared: what was once found stays mended, and the engine finds nothing."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import pytest

from tenantgate.core.decision import Granted, Principal
from tenantgate.core.keys import build_key_set
from tenantgate.core.policy import AppRoleRow, PolicyError, PolicySnapshot, row_of
from tenantgate.discovery.metadata import Metadata
from tests.builders import OIDC_ISSUER, json_bytes, oidc_claims
from tests.fuzz import __main__ as command
from tests.fuzz import discovery, jwks, policy, tokens
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS
from tests.real_parts import ROOT, missing

REGRESSIONS = Path(__file__).parent / "regressions"
ANY_ADDRESS = json_bytes({"issuer": OIDC_ISSUER, "jwks_uri": "https://evil.example/"})
TWO_KEYS = json_bytes({"keys": [tokens.KEY.jwk(), {"kid": "weak"}]})
FORGED = b"F" + json_bytes(tokens.HEADER) + b"\n" + json_bytes(oidc_claims())


@pytest.mark.parametrize("name", TARGETS)
def test_every_kept_input_is_taken(name: str):
    """What has found a defect once, here or in the target itself, finds none now."""
    kept = sorted((REGRESSIONS / name).iterdir())

    assert kept
    command.replay(TARGETS[name], kept)


def test_only_targets_have_kept_inputs():
    """A folder of kept inputs whose target was renamed would be replayed by nobody."""
    assert {path.name for path in REGRESSIONS.iterdir()} == TARGETS.keys()


@pytest.mark.parametrize("name", TARGETS)
def test_every_seed_and_its_changes_are_taken(name: str):
    """The seeds, and a few hundred inputs made from them, without the engine."""
    target, random = TARGETS[name], Random(7)
    seeds = list(target.seeds())

    def change(data: bytes) -> bytes:
        place = random.randrange(len(data) + 1)
        return data[:place] + random.randbytes(random.randrange(3)) + data[place + random.randrange(2) :]

    for seed in seeds:
        target.run(seed)
    for _ in range(300):
        target.run(target.mutate(random.choice(seeds), random.getrandbits(32), change))


def _grants(*_: object) -> Granted:
    return Granted(Principal(partner="a", tenant="a", daemon="a", client_id="a", oid=None, roles=(), resource="orders"))


def _believes(raw: bytes, *_: object) -> Metadata:
    return Metadata(OIDC_ISSUER, json.loads(raw)["jwks_uri"])


def _keeps_first(raw: bytes, issuer: Any) -> Any:
    return build_key_set({"keys": json.loads(raw)["keys"][:1]}, issuer)


class _ReadsAnything:
    """A source that reads any file as a policy no rule would let through: a role of a resource that is not there."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> PolicySnapshot:
        return PolicySnapshot(epoch="e", revision=1, rows=(row_of(AppRoleRow(id="a", resource="b", value="c"), 1),))


@pytest.mark.parametrize(
    ("module", "name", "planted", "data"),
    [
        pytest.param(tokens, "decide", _grants, FORGED, id="a judge that grants anything"),
        pytest.param(discovery, "parse_metadata", _believes, ANY_ADDRESS, id="any address"),
        pytest.param(jwks, "parse_jwks", _keeps_first, TWO_KEYS, id="keys that get lost"),
        pytest.param(policy, "FileSource", _ReadsAnything, b"J{}", id="a policy that breaks the rules"),
    ],
)
def test_a_planted_defect_is_found(
    module: ModuleType, name: str, planted: Callable[..., Any], data: bytes, monkeypatch: pytest.MonkeyPatch
):
    """The invariants have teeth: with a defect in the parser or the judge, the target fails."""
    monkeypatch.setattr(module, name, planted)

    with pytest.raises((AssertionError, PolicyError)):
        module.TARGET.run(data)


def test_a_failing_input_ends_the_replay(tmp_path: Path):
    """`python -m tests.fuzz TARGET FILE` runs the input and lets its error out."""

    def run(data: bytes) -> None:
        raise AssertionError(data)

    (tmp_path / "kept").write_bytes(b"x")
    with pytest.raises(AssertionError, match="x"):
        command.replay(Target(run, tuple, lambda data, *_: data, 1), [tmp_path / "kept"])


def test_the_engines_figures_are_read():
    """Executions, coverage and what was found stand in the report as the engine's log has them."""
    log = (
        "#2\tINITED cov: 3 ft: 4 corp: 1/1b exec/s: 0 rss: 60Mb\n"
        "#77\tDONE   cov: 605 ft: 1091 corp: 136/42Kb lim: 16448 exec/s: 7 rss: 79Mb\n"
        "stat::number_of_executed_units: 77\nstat::peak_rss_mb:              79\n"
        "artifact_prefix='./'; Test unit written to ./crash-1\n"
    )

    assert command.read(log) == {
        "executions": 77,
        "edges": 605,
        "features": 1091,
        "corpus": 136,
        "peak_mb": 79,
        "found": ["./crash-1"],
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_the_engine_finds_nothing_in_ten_seconds(name: str, tmp_path: Path):
    """The engine itself, guided by coverage, with the command that is documented."""
    if importlib.util.find_spec("atheris") is None:
        missing("atheris (dependency group fuzz)")
    asked = [sys.executable, "-m", "tests.fuzz", name, "--seconds", "10", "--seed", "1", "--found", str(tmp_path)]

    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)

    assert done.returncode == 0, done.stderr[-4_000:]
    report = json.loads(done.stdout)
    assert (report["target"], report["found"], report["status"]) == (name, [], 0)
    assert report["executions"] > 500
    assert report["edges"] > 100
    assert list(tmp_path.iterdir()) == []
