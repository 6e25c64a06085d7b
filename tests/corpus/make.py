"""`python -m tests.corpus.make`: write the corpus's files, or with `--check` say which are not what would be written.

Nothing is drawn by lot: keys are fixed (`tests.corpus.keys`), and every signature comes out the same each time.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from tests.builders import NOW
from tests.corpus import allow_list, derived, good, platforms, signatures
from tests.corpus.case import Case
from tests.corpus.files import FOLDER
from tests.corpus.policy import policy
from tests.corpus.world import RESOURCE, ROLES, TRUST

FAMILIES: Final = {
    "unsigned": "Tokens that nobody signed.",
    "algorithms": "Algorithms that are not the key's.",
    "header-members": "Header members that are never followed, and names of keys that are none.",
    "encoding": "Other spellings of the same bytes, and text that is not plain UTF-8.",
    "json": "JSON that is none, or that two readers read differently.",
    "structure": "Other shapes than three parts, and parts of two tokens.",
    "keys": "Signatures by other keys, by the public key as a secret, and degenerate ones.",
    "key-documents": "Keys that are published and must not be used, and keys that are not named.",
    "issuer": "Spellings of the issuer.",
    "audience": "Tokens for somebody else.",
    "time": "Ends and beginnings that are missing, past, to come, or no instants.",
    "claims": "Subjects, clients and ids that are missing or no sane text.",
    "kind": "Other kinds of JWT than access tokens of a client.",
    "confirmation": "Tokens that are bound to a proof which was not given.",
    "entra-binding": "Entra: tenant, issuer, version and key that do not belong together.",
    "entra-claims": "Entra: claims about the client that are missing or malformed.",
    "app-only": "Entra: tokens behind which a user or an agent stands, or of which nothing says that none does.",
    "allow-list": "Authentic tokens of callers who are not on the list, or not for this.",
    "good": "Tokens that must be let in.",
}
"""Every family, a file each, and what is in it."""

_WIDTH: Final = 120
_WHOLE: Final = frozenset(("allow-list", "good"))
_ALSO: Final = {"entra-binding": {"second"}}

_RULES: Final = (
    "`trust` says for each issuer what any validator of JWTs needs; the cases of scope `token` ask for no more.",
    "Judge at `now` (epoch seconds); clocks may differ by `leeway` seconds at exp, nbf and iat.",
    "A token may live for `max_lifetime` seconds from iat to exp, and 300 more, since issuers backdate iat.",
    "Only access tokens of a client without a user are let in, and something in the token must say so.",
    "With Entra that is idtyp `app`; with other issuers sub is the client, or a claim tells of client credentials.",
    "`policy` says who is on the list: tenant, partner and daemon must be listed and active.",
    "The daemon must hold all of the case's `roles` on its `resource` at `now`; with no roles named, any one of them.",
    "A case with a `reason` must be refused; a case whose reason is null must be let in.",
)


def cases() -> list[Case]:
    """Return every case, in the order of their files."""
    found = [
        *derived.cases(),
        *signatures.cases(),
        *platforms.cases(),
        *allow_list.cases(),
        *good.cases(),
    ]
    order = list(FAMILIES)
    return sorted(found, key=lambda case: order.index(case.family))


def document(family: str, members: Iterable[Case]) -> dict[str, Any]:
    """Return one file: a family's cases and all that is needed to judge them."""
    listed = list(members)
    trusted = [name for name in TRUST if any(case.trust == name for case in listed)]
    issuers = {TRUST[name].policy_issuer for name in trusted} | _ALSO.get(family, set())
    return {
        "format": 1,
        "family": family,
        "about": FAMILIES[family],
        "licence": "Apache-2.0",
        "warning": "The keys are published test keys. They protect nothing; never trust one of them.",
        "rules": list(_RULES),
        "now": NOW,
        "leeway": 60,
        "max_lifetime": 86_400,
        "resource": RESOURCE,
        "roles": list(ROLES),
        "trust": {name: TRUST[name].described() for name in trusted},
        "policy": policy(None if family in _WHOLE else issuers),
        "cases": [case.described() for case in listed],
    }


def files() -> dict[Path, str]:
    """Return every file of the corpus and its text."""
    every = cases()
    return {
        FOLDER / f"{family}.json": written(document(family, [case for case in every if case.family == family])) + "\n"
        for family in FAMILIES
    }


def written(value: Any, depth: int = 0) -> str:
    """Return JSON for people: what fits into a line stands in one."""
    flat = json.dumps(value)
    if not value or not isinstance(value, dict | list) or depth + len(flat) < _WIDTH:
        return flat
    inner = " " * (depth + 1)
    if isinstance(value, dict):
        first, last = "{", "}"
        items = [f"{json.dumps(name)}: {written(each, depth + 1)}" for name, each in value.items()]
    else:
        first, last = "[", "]"
        items = [written(each, depth + 1) for each in value]
    return f"{first}\n{inner}" + f",\n{inner}".join(items) + f"\n{' ' * depth}{last}"


def main(argv: Sequence[str] | None = None) -> int:
    """Write the files, or say which differ; 1 where some do."""
    parser = argparse.ArgumentParser(prog="python -m tests.corpus.make", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where a file differs")
    only_check = parser.parse_args(argv).check
    wanted = files()
    present = {path: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    differing = sorted(path for path in wanted.keys() | present.keys() if wanted.get(path) != present.get(path))
    for path in differing:
        sys.stdout.write(f"{path.name} {'differs' if only_check else 'written' if path in wanted else 'removed'}\n")
        if not only_check:
            _put(path, wanted.get(path))
    return 1 if only_check and differing else 0


def _put(path: Path, text: str | None) -> None:
    if text is None:
        path.unlink()
    else:
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
