"""`docs/corpus.md` tells what the corpus and the libraries say: its figures are measured again."""

from __future__ import annotations

import platform
import re
from importlib.metadata import version
from typing import Any

import pytest

from tenantgate.emulator.hostile.catalogue import RECIPES
from tests.corpus.compare import compare, main, table
from tests.corpus.files import documents, filed
from tests.corpus.peers import OURS, PEERS
from tests.real_parts import ROOT, missing

PAGE = (ROOT / "docs" / "corpus.md").read_text(encoding="utf-8")
MEASURED_WITH = re.search(r"CPython ((\d+\.\d+)\.\d+), cryptography (\S+)\. ", PAGE)


def section(heading: str) -> str:
    """Return what stands below a heading."""
    return PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]


def test_the_results_are_those_of_the_script() -> None:
    """The page's table is what `compare` prints with the same versions of Python and the libraries."""
    assert MEASURED_WITH is not None
    results = compare(PEERS)
    for name, result in results.items():
        if "absent" in result:
            missing(f"{name} ({result['absent']})")
    if platform.python_version_tuple()[:2] != tuple(MEASURED_WITH[2].split(".")):
        missing(f"CPython {MEASURED_WITH[2]}, which the page's figures are from")

    assert "".join(re.findall(r"(?m)^\|.*\n", section("Results"))) == table(results)
    assert MEASURED_WITH[3] == version("cryptography")


def test_the_counts_are_right() -> None:
    """The numbers of tokens on the page are those of the files, and of the emulator's list."""
    cases = [each.case for each in filed()]
    hostile = [case for case in cases if case["reason"] is not None]
    counts = (
        len(cases),
        sum(case["scope"] == "token" for case in hostile),
        sum(case["scope"] == "policy" for case in hostile),
        sum(case["reason"] is None for case in cases),
    )

    found = re.search(r"holds (\d+) tokens: (\d+) .*?, (\d+) .*?, and (\d+) ", " ".join(PAGE.split()))
    assert found is not None
    assert tuple(map(int, found.groups())) == counts
    assert f"one good token spoiled ({len(RECIPES)} of them)" in PAGE
    assert f"about the {counts[1]} tokens" in PAGE


def test_every_name_on_the_page_is_one() -> None:
    """A family or case that the page names is there."""
    names = {each.name for each in filed()} | set(documents())
    told = re.findall(
        r"`([a-z0-9-]+-[a-z0-9-]+)`", section("What the figures say") + section("What is by design in a library")
    )

    assert told
    assert [name for name in told if name not in names] == []


SPECIFIED = {
    "text or true": {"exp-text", "nbf-text", "iat-text", "iat-true"},
    "NaN": {"exp-nan", "exp-infinity", "exp-beyond-any-float"},
    "padding": {"signature-padded", "payload-padded"},
    "base64url": {"standard-alphabet"},
    "UTF-16": {"payload-in-utf16", "payload-in-utf32", "header-in-utf16"},
    "no text": {"sub-number", "sub-list", "jti-number", "jti-list", "aud-beside-number"},
}


def test_who_accepts_what_a_specification_refuses_is_told_rightly() -> None:
    """Each row of that table names the libraries that accept its tokens, all of them or none."""
    results = compare(PEERS)
    if any("absent" in result for result in results.values()):
        missing("one of the libraries (dependency group bench)")
    rows = re.findall(r"(?m)^\| (.*) \| (RFC .*) \| (.*) \|$", section("Where a specification asks for the refusal"))

    assert len(rows) == len(SPECIFIED)
    for (what, _, who), (word, names) in zip(rows, SPECIFIED.items(), strict=True):
        assert word in what
        accepting = {name for name, result in results.items() if names <= set(_accepted(result))}
        refusing = {name for name, result in results.items() if names.isdisjoint(_accepted(result))}
        assert set(who.split(", ")) == accepting
        assert accepting | refusing == set(results)


def _accepted(result: dict[str, Any]) -> list[str]:
    return [name for family in result["families"].values() for name in family["accepted"]]


def test_tenantgate_answers_every_token_rightly() -> None:
    """Asked as the libraries are, TenantGate accepts no hostile token, refuses no good one and raises nothing."""
    ours = compare(peer for peer in PEERS if peer.name == OURS)[OURS]

    assert (ours["accepted"], ours["good_refused"], ours["undeclared_errors"]) == (0, [], {})
    assert ours["judged"] > 350
    assert ours["good_judged"] > 30


def test_a_library_that_is_not_there_is_named() -> None:
    """What is not installed has a reason in place of figures, and no column."""
    absent = PEERS[-1]._replace(distribution="no-such-distribution")

    results = compare([PEERS[0], absent])

    assert "no-such-distribution" in results[absent.name]["absent"]
    assert absent.name not in table(results)


def test_a_wrong_yes_fails_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The command's status tells whether TenantGate was wrong: here it is made to accept everything."""
    credulous = PEERS[0]._replace(prepare=lambda _filed: lambda token: token)
    monkeypatch.setattr("tests.corpus.compare.PEERS", [credulous])

    assert main([]) == 1
    assert "388 of 388" in capsys.readouterr().out
