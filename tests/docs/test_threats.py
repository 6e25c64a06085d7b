"""`docs/threats.md` names for each row of the catalogue the tests that would catch it, and there are some."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.threats import PAGE, ROWS, covering, main, marks, page, read_marks


@pytest.mark.parametrize("row", ROWS)
def test_every_row_has_a_test(row: int):
    """A threat that no test asks about is a promise nobody keeps."""
    assert covering(marks())[row], ROWS[row]


def test_the_page_is_what_the_marks_say():
    """The page is written, not edited: `python -m tests.threats --write`."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_marks_are_on_tests():
    """A mark on anything that pytest does not run would cover nothing."""
    for test, rows in marks().items():
        path, _, name = test.partition("::")
        assert name.startswith("test_"), test
        assert Path(path).name.startswith("test_"), test
        assert rows, test
        assert len(set(rows)) == len(rows), test


SOURCE = """
import pytest

@pytest.mark.slow
@pytest.mark.threat(3, 5)
async def test_one(): ...

@pytest.mark.parametrize("a", [1])
@pytest.mark.threat(4)
@pytest.mark.threat(6)
def test_two(a): ...

def test_three(): ...
"""


def written(folder: Path, source: str) -> Path:
    """Return a folder of tests with one file in it."""
    tests = folder / "tests"
    tests.mkdir()
    (tests / "test_a.py").write_text(source)
    return tests


def test_marks_are_read_from_the_source(tmp_path: Path):
    """Rows are found without a test run, on functions of any kind, beside other decorators."""
    found = read_marks(written(tmp_path, SOURCE))

    assert found == {"tests/test_a.py::test_one": (3, 5), "tests/test_a.py::test_two": (4, 6)}


@pytest.mark.parametrize("stray", ["pytestmark = pytest.mark.threat(3)", "x = [pytest.param(1, marks=mark.threat(3))]"])
def test_a_mark_that_is_on_no_test_is_refused(tmp_path: Path, stray: str):
    """A whole module, or one case of a test, cannot be marked: such a mark would be silently passed over."""
    with pytest.raises(ValueError, match="on no test"):
        read_marks(written(tmp_path, SOURCE + stray + "\n"))


@pytest.mark.parametrize("row", [999, 0, "3", None, 33])
def test_a_row_that_is_not_there_is_refused(row: object):
    """A mark with a mistyped number is an error, not a row that nobody sees."""
    with pytest.raises(ValueError, match="not in the catalogue"):
        covering({"tests/test_a.py::test_one": (row,)})


def test_the_command_prints_and_refuses_what_it_does_not_know(capsys: pytest.CaptureFixture[str]):
    """Without an argument the page goes to standard output; an unknown one is status 2."""
    assert main([]) == 0
    assert capsys.readouterr().out == page()
    assert main(["--wirte"]) == 2
    assert "--write" in capsys.readouterr().err
