"""The threat catalogue: what went wrong elsewhere, and the tests here that would catch it.

A test says by its decorator which rows it covers, `@pytest.mark.threat(13)`; the marks are read from the
source, so that the page needs no test run. A row without a test, and a page that differs, fail
`tests/docs/test_threats.py`.

    python -m tests.threats          # print docs/threats.md
    python -m tests.threats --write  # write it
"""

from __future__ import annotations

import ast
import functools
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "threats.md"

ROWS: Final[dict[int, str]] = {
    1: "A token without a signature was let in: `none` in some spelling, or no algorithm at all.",
    2: "An HMAC made with an issuer's public key passed for its signature.",
    3: "A key verified with whatever algorithm of its family the token named.",
    4: "The verification key was taken out of the token itself.",
    5: "A key address led to a file, to plain http, to another host or inside the own network.",
    6: "A header extension marked as critical was passed over by who did not know it.",
    7: "An unencoded payload took a path of its own, past the limits of size.",
    8: "Two parsers read one token, and what was verified was not what was believed.",
    9: "An encrypted or compressed token was opened where a signed one was wanted, and filled the memory.",
    10: "A header named how many rounds of key derivation to run, and they were run.",
    11: "Headers and segments without bound were read, and whole tokens landed in error texts and logs.",
    12: "A token of millions of dots was split into as many parts.",
    13: "Deep nesting ran a parser out of stack, and the error came out as a crash.",
    14: "An empty or short shared secret was taken for a key.",
    15: "A part of the issuer's name was enough, for it was searched and not compared.",
    16: "One good entry in a list was enough where a single issuer, tenant or client was expected.",
    17: "A token for another API was taken, or one without an audience.",
    18: "Two issuers shared their keys, and nobody asked which of them the token was from.",
    19: "A template that takes every tenant's issuer let every tenant of the world in.",
    20: "A sound signature by a key of another class of issuer was believed.",
    21: "A token inside a token named somebody to act for, and the outer one's tenant was not compared.",
    22: "Callers were told apart by a name they could change: e-mail address or user name.",
    23: "An app of a stranger, or a guest, got a token for our audience from its own administrator.",
    24: "A check met a value it did not know, and passed.",
    25: "No rule matched, or a token was optional beside several issuers, and the request went through.",
    26: "A deny-list knew a token by its text, and the token had a second spelling.",
    27: "Degenerate signatures and points of a curve held for any message.",
    28: "Weak or giant keys of a partner were taken: broken by anybody, or a burden to compute with.",
    29: "Each unknown key name caused a fetch, and a failed fetch threw the good keys away.",
    30: "One malformed key made a whole key set unusable.",
    31: "Random issuers and tenants grew state without end, and their names filled the logs.",
    32: "A key name ended up in a path, a query or a log line.",
    44: "A key was stored readable, compared letter by letter, or written where others read.",
    45: "A page was driven by another site: forged posts, planted cookies, names that became markup.",
    46: "A request set what only the server sets, or reached what belongs to another role.",
    47: "Two decided on the same thing at once, and both went through.",
    48: "An answer given before a revocation was given again after it.",
    49: "The clock was off, or stepped, and time was compared with an older now.",
    50: "A pattern written by a partner took minutes to match.",
    53: "What was sent became a piece of a statement, a pattern, a path, a header or a formula.",
}
"""By number: what went wrong, in one sentence. The numbers are permanent; the gaps belong to parts not built yet."""

_HEAD: Final = """\
# Threats and the tests that would catch them

What has gone wrong in the same job elsewhere, one row each, and the tests that ask whether it could happen here. The
numbers stay; those missing belong to gateways, certificates, token exchange and other parts that have no tests yet.
Written by `python -m tests.threats --write` from the marks on the tests; a row without a test fails the suite.

| Row | What went wrong | Tests |
|---|---|---|
"""


Marks = dict[str, tuple[object, ...]]


def read_marks(folder: Path = ROOT / "tests") -> Marks:
    """Return the rows that each marked test names, by `tests/core/test_token.py::test_name`.

    Raises:
        ValueError: a mark stands anywhere but on a function: nobody would read it.
    """
    found: Marks = {}
    for path in sorted(folder.rglob("*.py")):
        name = path.relative_to(folder.parent).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        marks = {node for node in ast.walk(tree) if _is_mark(node)}
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                own = [each for each in node.decorator_list if each in marks]
                marks.difference_update(own)
                if own:
                    found[f"{name}::{node.name}"] = tuple(row for each in own for row in _rows_of(each))
        if marks:
            raise ValueError(f"{name}: a mark that is on no test")
    return found


def _is_mark(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).endswith("mark.threat")


def _rows_of(mark: ast.expr) -> list[object]:
    assert isinstance(mark, ast.Call)
    return [ast.literal_eval(argument) for argument in mark.args]


@functools.cache
def marks() -> Marks:
    """Return the marks of this repository, read once."""
    return read_marks()


def covering(found: Marks) -> dict[int, list[str]]:
    """Return the tests of each row, in the order of their files.

    Raises:
        ValueError: a mark names a row that is not in the catalogue.
    """
    by_row: dict[int, list[str]] = {row: [] for row in ROWS}
    for test, rows in found.items():
        for row in rows:
            if not isinstance(row, int) or row not in ROWS:
                raise ValueError(f"{test} names row {row!r}, which is not in the catalogue")
            by_row[row].append(test)
    return by_row


def page() -> str:
    """Return the page as it should be."""
    lines = [
        f"| {row} | {ROWS[row]} | {'<br>'.join(f'`{test}`' for test in tests) or '**none**'} |\n"
        for row, tests in covering(marks()).items()
    ]
    return _HEAD + "".join(lines)


def main(arguments: list[str]) -> int:
    """Print the page, or write it."""
    if arguments == ["--write"]:
        PAGE.write_text(page(), encoding="utf-8")
    elif arguments:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    else:
        sys.stdout.write(page())
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
