"""The benchmarks run, measure the right answers and print what docs/performance.md promises. No time is judged here."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import judge, peers, propagation, registry, report, scale, world
from benchmarks.__main__ import BENCHMARKS, main
from tenantgate.core.decide import decide
from tenantgate.core.decision import Granted
from tests.real_parts import ROOT

NOW = 1_800_000_600

JUDGE_KEYS = {
    "raw_us",
    "cold_over_raw",
    "overhead_over_floor",
    "warm_over_raw",
    "warm_us",
    "refusal_over_raw",
}
START_KEYS = {"from_policy_2_ms", "from_disk_2_ms"}
SCALE_KEYS = {"bytes_per_daemon", "lookup_1e6_over_1e3", "change_us", "collection_ms"}


def printed(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, Any]:
    """Run a benchmark and return the one JSON object it printed."""
    assert main([*argv, "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    found = json.loads(lines[0])
    assert isinstance(found, dict)
    return found


def is_figure(value: Any) -> bool:
    """Whether a value is a positive number, or a positive median with its spread."""
    if isinstance(value, dict):
        return set(value) == {"median", "spread"} and value["median"] > 0 and value["spread"] >= 0
    return isinstance(value, int | float) and value > 0


def test_start_prints_every_key(capsys: pytest.CaptureFixture[str]) -> None:
    """Each process was let in with keys from where it was told; the run stops otherwise."""
    figures = printed(capsys, "start", "--rounds", "1", "--issuers", "2")

    assert all(is_figure(figures[key]) for key in START_KEYS)


@pytest.mark.postgres
def test_propagation_prints_every_key(capsys: pytest.CaptureFixture[str], postgres: Any) -> None:
    """Every gate of every engine was heard, and none granted while nobody was to come in."""
    del postgres  # where there is no server, this is skipped and says so
    figures = printed(capsys, "propagation", "--suspensions", "3", "--gates", "2")

    names = ("postgres_p50_ms", "postgres_p99_ms", "sqlite_p50_ms", "sqlite_p99_ms", "postgres_judged", "sqlite_judged")
    assert all(is_figure(figures[key]) for key in names)
    assert (figures["violations"], figures["suspensions"], figures["postgres_gates"]) == (0, 3, 2)


SUSPENDED = (range(8, 9), range(10, 12))
"""Suspended by revision 8, active by 9; suspended by 10, active by 12."""


@pytest.mark.parametrize(
    ("told", "wrong"),
    [
        pytest.param("+7 -8 +9 -10 -11 +12", 0, id="as it should be"),
        pytest.param("+7 -8 +8 -8 +9", 1, id="let in again by the revision that suspends"),
        pytest.param("+7 +8 +9", 1, id="never refused"),
        pytest.param("+7 -8 +9 -10 +11 +12", 1, id="by a later revision than the one that suspends"),
        pytest.param("+7 +9 -11 +12", 0, id="by no revision that it passed over"),
        pytest.param("+7 -8 +7 +9", 1, id="back to an older revision"),
        pytest.param("+7 +8 +10 +11 +12", 3, id="each of them"),
    ],
)
def test_a_grant_while_suspended_is_a_violation(told: str, wrong: int) -> None:
    """Whatever the gate answers before and after it, and whenever it was."""
    lines = [propagation.Told(each[0] == "+", int(each[1:]), 0.0) for each in told.split()]
    assert propagation.wrong_grants(lines, SUSPENDED) == wrong


@pytest.mark.postgres
def test_registry_prints_every_key(capsys: pytest.CaptureFixture[str], postgres: Any) -> None:
    """The short form (a hundredth): every search found what it looked for, and every start judged by the policy."""
    del postgres  # where there is no server, this is skipped and says so
    figures = printed(capsys, "registry", "--partners", "1000", "--rounds", "3", "--snapshots", "1")

    assert all(is_figure(figures[key]) for key in ("list_p95_ms", "snapshot_s", "disk_s"))
    for engine in ("postgres", "sqlite"):
        found = figures[engine]["requests"]
        assert set(found) == {*(f"list {name}" for name in registry.LISTS), *registry.QUESTIONS}
        assert all(is_figure(each[key]) for each in found.values() for key in ("p50", "p95", "p99"))
        assert figures["list_p95_ms"] >= max(each["p95"] for each in found.values())
    assert (figures["partners"], figures["daemons"]) == (1000, 10_000)


def test_judge_prints_every_key(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The object has each promised key as a figure, and a peer is a figure or the reason why it is absent."""
    monkeypatch.setattr(judge, "node_peers", lambda _world, _rounds: {"jose": "not asked here"})

    figures = printed(capsys, "judge", "--rounds", "2", "--tokens", "2")

    assert set(figures) >= JUDGE_KEYS
    # With two rounds an overhead may come out below nothing on a busy machine; that it is a number is what counts.
    assert all(is_figure(figures[key]) for key in JUDGE_KEYS - {"overhead_over_floor"})
    assert set(figures["overhead_over_floor"]) == {"median", "spread"}
    assert {"pyjwt", "joserfc", "authlib", "fastapi-azure-auth"} <= set(figures["peers"])
    assert all(is_figure(peer) or (isinstance(peer, str) and peer) for peer in figures["peers"].values())
    assert is_figure(figures["peers"]["pyjwt"])
    assert figures["machine"]["cores"] >= 1
    assert {"cryptography", "msgspec"} <= set(figures["versions"])


def test_scale_prints_every_key(capsys: pytest.CaptureFixture[str]) -> None:
    """The object has each promised key as a figure, and the sizes it was measured at."""
    figures = printed(capsys, "scale", "--most", "1500", "--rounds", "2")

    assert all(is_figure(figures[key]) for key in SCALE_KEYS)
    assert figures["daemons"] == [1000, 1500]
    assert set(figures["lookup_us"]) == {"1000", "1500"}


@pytest.mark.parametrize(
    ("most", "sizes"),
    [(500, [500]), (1000, [1000]), (100_000, [1000, 10_000, 100_000]), (20_000, [1000, 10_000, 20_000])],
)
def test_sizes_grow_tenfold_up_to_the_most(most: int, sizes: list[int]) -> None:
    """The largest policy has exactly as many daemons as were asked for."""
    assert scale._sizes(most) == sizes


def test_help_lists_every_benchmark() -> None:
    """`python -m benchmarks --help` names each benchmark there is."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )

    assert all(name in done.stdout for name in BENCHMARKS)


def test_table_has_a_line_for_each_figure(capsys: pytest.CaptureFixture[str]) -> None:
    """Without --json the figures are lines for people, median and spread side by side."""
    text = report.table({"raw_us": {"median": 31.5, "spread": 0.25}, "peers": {"jose": "no program node"}, "rounds": 3})

    assert [line.split() for line in text.splitlines()] == [
        ["raw_us", "31.5", "±", "0.25"],
        ["peers.jose", "no", "program", "node"],
        ["rounds", "3"],
    ]
    assert main(["scale", "--most", "100", "--rounds", "2"]) == 0
    assert capsys.readouterr().out.startswith("daemons ")


def test_tokens_are_as_large_as_entras_and_granted() -> None:
    """Every token is about 1.2 kB, differs from the others and is let in; the strangers' are not."""
    made = world.build(now=NOW, tokens=12, daemons=30)

    assert len(set(made.tokens)) == 12
    assert all(1150 <= len(token) <= 1300 for token in made.tokens)
    for token in made.tokens:
        assert isinstance(decide(token, made.index, made.keys, world.RESOURCE, (world.ROLE,), NOW), Granted)
    for token in made.strangers:
        assert not isinstance(decide(token, made.index, made.keys, world.RESOURCE, (world.ROLE,), NOW), Granted)


def test_a_wrong_answer_is_not_measured() -> None:
    """A subject whose answer is not the expected one stops the benchmark: its time would mean nothing."""
    made = world.build(now=NOW, tokens=2, daemons=10)

    with pytest.raises(AssertionError, match="wrong answer"):
        judge.cold(replace(made, tokens=made.strangers))
    with pytest.raises(AssertionError, match="wrong answer"):
        judge.refusal(replace(made, strangers=made.tokens))


def test_absent_peers_say_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that cannot be measured is named with the reason."""
    made = world.build(now=NOW, tokens=2, daemons=10)
    monkeypatch.setenv("TENANTGATE_NODE_MODULES", str(tmp_path / "nowhere"))
    expired = replace(made, tokens=tuple(made.signer.sign({**world.claims(0, 0, NOW), "exp": 1}) for _ in range(2)))

    assert set(peers.node_peers(made, 1)) == {"jose", "fast-jwt"}
    assert all(isinstance(reason, str) for reason in peers.node_peers(made, 1).values())
    assert "does not accept the token" in peers.python_peers(expired).absent["pyjwt"]
