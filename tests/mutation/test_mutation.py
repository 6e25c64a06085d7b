"""The list of survivors is held to a run, not believed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.mutation import __main__ as command
from tests.mutation import tables
from tests.mutation.results import Change, Count, Results, collect, function_of
from tests.mutation.survivors import FILE, Listed, as_toml, find_faults, read_list

LIVES = Change("judge._pin", "return a", "return b")
OTHER = Change("keys.KeySet.find", "return a", "return b")


def results(*survived: Change, killed: int = 99, untried: int = 0) -> Results:
    """Return a run of one module in which these mutants live."""
    return Results({"judge": Count(killed, len(survived), untried), "keys": Count(killed, 0, 0)}, survived)


def listed(change: Change = LIVES, times: int = 1) -> tuple[Listed, ...]:
    """Return a list of one entry."""
    return (Listed(change, "nobody can see it", times),)


@pytest.mark.parametrize(
    ("run", "known", "whole", "fault"),
    [
        pytest.param(results(), (), True, None, id="all dead"),
        pytest.param(results(LIVES), listed(), True, None, id="listed"),
        pytest.param(results(LIVES), (), False, "is not listed", id="a claim check's survivor"),
        pytest.param(results(LIVES, LIVES), listed(), False, "is not listed", id="another of the same change"),
        pytest.param(results(OTHER), (), False, None, id="elsewhere"),
        pytest.param(results(), listed(), False, "lives 0 times", id="listed and dead"),
        pytest.param(results(untried=5), listed(), False, None, id="listed and not tried"),
        pytest.param(results(untried=5), (), True, "5 not tried", id="not tried"),
        pytest.param(results(*[OTHER] * 23), (), False, "is below 90%", id="too many live"),
    ],
)
def test_a_run_is_held_to_the_list(run: Results, known: tuple[Listed, ...], whole: bool, fault: str | None):
    """Every survivor of a claim check is listed, nothing else is, and nine of ten mutants die."""
    faults = find_faults(run, known, whole=whole)

    assert (faults == []) is (fault is None)
    assert all(fault in each for each in faults[:1] if fault is not None)


def test_the_score_counts_what_was_tried():
    """Killed of killed and survived; what nobody tried is neither."""
    assert results(OTHER, OTHER, killed=49, untried=1000).score == 0.98
    assert Results({}, ()).score == 0.0


def test_the_list_can_be_read():
    """Each entry of the list in the repository names a change and a reason."""
    entries = read_list(FILE.read_text())

    assert entries
    assert all(each.change.was != each.change.now for each in entries)
    assert len({each.change for each in entries}) == len(entries)


def test_an_entry_without_a_reason_is_refused():
    """A reason is what the list is for."""
    with pytest.raises(AssertionError, match="without a reason"):
        read_list(as_toml([LIVES]))


def test_new_survivors_are_printed_in_the_lists_own_form():
    """With a reason written in, what was printed is read back."""
    text = as_toml([LIVES, OTHER, LIVES]).replace('reason = ""', 'reason = "r"')

    assert read_list(text) == (Listed(LIVES, "r", 2), Listed(OTHER, "r", 1))


SOURCE = """
import re
LIMIT: Final = 2 * 8
MARKS = frozenset(("a", "b"))
NAMES = {"one": (1, 2)}
FLAG = True
CHECKS = (Check("x", lambda c: ("never", "looked at")),)
MADE = Made(named=1)
def f(): return ("a", "b")
"""


def test_each_member_of_a_table_is_left_out_once():
    """Tables at any depth, dictionaries included; a number is one more; functions are mutmut's."""
    made = {(change.function, change.was): source for change, source in tables.changes("m", SOURCE)}

    assert made.keys() == {
        ("m.LIMIT", "2 * 8"),
        ("m.MARKS", "'a'"),
        ("m.MARKS", "'b'"),
        ("m.NAMES", "'one': (1, 2)"),
        ("m.NAMES", "1"),
        ("m.NAMES", "2"),
        ("m.CHECKS", "Check('x', lambda c: ('never', 'looked at'))"),
        ("m.MADE", "named=1"),
    }
    assert "MADE = Made()" in made["m.MADE", "named=1"]
    assert "LIMIT: Final = 2 * 8 + 1" in made["m.LIMIT", "2 * 8"]
    assert "MARKS = frozenset(('b',))" in made["m.MARKS", "'a'"]
    assert "NAMES = {}" in made["m.NAMES", "'one': (1, 2)"]
    assert "NAMES = {'one': (1,)}" in made["m.NAMES", "2"]
    assert all(source.count("FLAG = True") == 1 for source in made.values())


@pytest.mark.parametrize(
    ("mutant", "function"),
    [
        ("tenantgate.core.keys.x_check_rsa__mutmut_12", "keys.check_rsa"),
        ("tenantgate.core.keys.xǁKeySetǁfind__mutmut_3", "keys.KeySet.find"),
        ("tenantgate.core.index.xǁPolicyIndexǁ_fit__mutmut_1", "index.PolicyIndex._fit"),
        ("tenantgate.core.profiles.okta.x_no_user__mutmut_1", "profiles.okta.no_user"),
    ],
)
def test_a_mutant_is_known_by_its_function(mutant: str, function: str):
    """mutmut's names carry a number that changes whenever the function does."""
    assert function_of(mutant) == function


def test_results_are_read_from_what_mutmut_leaves(tmp_path: Path):
    """Exit codes of the tests: killed, timed out, and not tried yet."""
    folder = tmp_path / "mutants" / "tenantgate" / "core"
    folder.mkdir(parents=True)
    codes = {"a__mutmut_1": 1, "a__mutmut_2": 36, "a__mutmut_3": None, "a__mutmut_4": 3}
    (folder / "keys.py.meta").write_text(json.dumps({"exit_code_by_key": codes}))
    (folder / "decision.py.meta").write_text(json.dumps({"exit_code_by_key": {}}))
    (folder / "profiles").mkdir()
    for name in ("okta", "auth0"):
        (folder / "profiles" / f"{name}.py.meta").write_text(json.dumps({"exit_code_by_key": codes}))

    assert collect(tmp_path) == Results({"keys": Count(3, 0, 1), "profiles": Count(6, 0, 2)}, ())


def test_the_report_says_what_is_wrong(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Figures and faults in words or JSON; the exit status is 1 when there is a fault."""
    monkeypatch.setattr(command, "collect", lambda root: results(LIVES, killed=9))
    monkeypatch.setattr(command, "read_list", lambda text: ())

    assert command.main(["report", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["modules"]["judge"] == {"killed": 9, "survived": 1, "untried": 0}
    assert told["score"] == 18 / 19
    assert len(told["faults"]) == 1
    assert command.main(["report"]) == 1
    assert "judge._pin" in capsys.readouterr().out
    assert command.main(["report", "--toml"]) == 1
    assert capsys.readouterr().out == as_toml([LIVES])
