"""`python -m tests.corpus.compare`: which hostile tokens other validators accept, as a table, names, or JSON.

Asked are the cases of scope `token`: none of the others has an allow-list. Exits with 1 where TenantGate itself
accepts a hostile token or refuses a good one.
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from tests.corpus.case import TOKEN
from tests.corpus.files import Filed, filed
from tests.corpus.make import FAMILIES
from tests.corpus.peers import OURS, PEERS, Accept, Peer


class Answer(NamedTuple):
    """What a validator did with one case. `raised` is the name of an error it does not declare."""

    filed: Filed
    accepted: bool
    raised: str = ""


Result = dict[str, Any]


def compare(peers: Iterable[Peer]) -> dict[str, Result]:
    """Ask every validator that is installed; the others have a reason instead of figures."""
    return {peer.name: _result(peer) for peer in peers}


def _result(peer: Peer) -> Result:
    logging.disable(logging.CRITICAL)  # some log every token that they refuse
    try:
        with warnings.catch_warnings(record=True):  # one insists on showing its own, about its future
            warnings.simplefilter("ignore")
            return _figures(peer, list(_answers(peer)))
    except ImportError:
        return {"absent": f"not installed: {peer.distribution} (dependency group bench)"}
    finally:
        logging.disable(logging.NOTSET)


def _answers(peer: Peer) -> Iterator[Answer]:
    declared = peer.declared()
    ready: dict[tuple[str, str], Accept] = {}
    for each in filed():
        trust = each.case["trust"]
        if each.case["scope"] != TOKEN or (peer.trusts is not None and trust not in peer.trusts):
            continue
        place = (each.document["family"], trust)
        if place not in ready:
            ready[place] = peer.prepare(each)
        yield _answer(each, ready[place], declared)


def _answer(each: Filed, accept: Accept, declared: tuple[type[Exception], ...]) -> Answer:
    try:
        accept(each.case["token"])
    except declared:
        return Answer(each, accepted=False)
    except Exception as error:  # noqa: BLE001 - an error nobody declared is still no yes; its name is told
        return Answer(each, accepted=False, raised=type(error).__name__)
    return Answer(each, accepted=True)


def _figures(peer: Peer, answers: Sequence[Answer]) -> Result:
    hostile = [each for each in answers if each.filed.case["reason"] is not None]
    good = [each for each in answers if each.filed.case["reason"] is None]
    families = {}
    for family in FAMILIES:
        asked = [each for each in hostile if each.filed.document["family"] == family]
        if asked:
            families[family] = {"judged": len(asked), "accepted": _names(each for each in asked if each.accepted)}
    return {
        "version": peer.version,
        "judged": len(hostile),
        "accepted": sum(each.accepted for each in hostile),
        "accepted_forged": _names(each for each in hostile if each.accepted and each.filed.case["forged"]),
        "families": families,
        "good_judged": len(good),
        "good_refused": _names(each for each in good if not each.accepted),
        "undeclared_errors": {each.filed.name: each.raised for each in answers if each.raised},
    }


def _names(answers: Iterable[Answer]) -> list[str]:
    return [each.filed.name for each in answers]


def table(results: dict[str, Result]) -> str:
    """Return a Markdown table: hostile tokens accepted of those judged, a family a row."""
    present = {name: result for name, result in results.items() if "absent" not in result}
    asked = [family for family in FAMILIES if any(family in result["families"] for result in present.values())]
    rows = [
        ["accepted of judged", *(f"{name} {result['version']}" for name, result in present.items())],
        ["---"] * (len(present) + 1),
        *([f"`{family}`", *(_cell(result["families"].get(family)) for result in present.values())] for family in asked),
        ["all hostile tokens", *(f"{result['accepted']} of {result['judged']}" for result in present.values())],
        ["of them forged", *(str(len(result["accepted_forged"])) for result in present.values())],
        ["good tokens refused", *(_refused(result) for result in present.values())],
        ["other errors than declared", *(str(len(result["undeclared_errors"])) for result in present.values())],
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _cell(figures: Result | None) -> str:
    return "–" if figures is None else f"{len(figures['accepted'])} of {figures['judged']}"


def _refused(result: Result) -> str:
    return f"{len(result['good_refused'])} of {result['good_judged']}"


def names(results: dict[str, Result]) -> str:
    """Return what each validator accepted, refused and raised, by name."""
    lines: list[str] = []
    for name, result in results.items():
        if "absent" in result:
            lines.append(f"{name}: {result['absent']}")
            continue
        for family, figures in result["families"].items():
            if figures["accepted"]:
                whole = len(figures["accepted"]) == figures["judged"]
                lines.append(f"{name} accepts ({family}): {'all' if whole else ', '.join(figures['accepted'])}")
        for what, found in (
            ("accepts, though forged", result["accepted_forged"]),
            ("refuses, though good", result["good_refused"]),
            ("raises", [f"{error} at {case}" for case, error in result["undeclared_errors"].items()]),
        ):
            if found:
                lines.append(f"{name} {what}: {', '.join(found)}")
    return "".join(f"{line}\n" for line in lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Print what was found; 1 where TenantGate answers wrongly."""
    parser = argparse.ArgumentParser(prog="python -m tests.corpus.compare", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    as_json = parser.parse_args(argv).json
    results = compare(PEERS)
    if as_json:
        document = {"python": platform.python_version(), "validators": results}
        sys.stdout.write(json.dumps(document) + "\n")
    else:
        sys.stdout.write(f"{table(results)}\n{names(results)}")
    ours = results[OURS]
    return 1 if ours["accepted"] or ours["good_refused"] or ours["undeclared_errors"] else 0


if __name__ == "__main__":
    sys.exit(main())
