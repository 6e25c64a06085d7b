"""What a fuzzing target is: a function over bytes that lets nothing out but a defect, and where to begin."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.real_parts import vectors_dir

Change = Callable[[bytes], bytes]
"""A byte mutation of the engine's own, for the places where no structure helps."""


class Target(NamedTuple):
    """`run` raises where an invariant is broken, or what it read let out an error nobody declared.

    `seeds`: inputs that lead deep. `mutate`: a change that keeps an input's structure, from an input, a number and
    the engine's byte mutation. `longest`: bytes of an input, at most.
    """

    run: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    mutate: Callable[[bytes, int, Change], bytes]
    longest: int


def check_words(words: str, longest: int = 1_000) -> None:
    """What an operator is told is one bounded line, whatever came in."""
    assert len(words) < longest
    assert words.isprintable(), words


def vector_files(folder: str, pattern: str = "*.json") -> list[Path]:
    """Return the files of a folder of published vectors; none where a machine has no vectors and need not."""
    try:
        return sorted(vectors_dir(folder).glob(pattern))
    except pytest.skip.Exception:
        return []
