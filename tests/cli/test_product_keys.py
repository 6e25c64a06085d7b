"""`master-key` and `product-key`: keys are made, changed and forgotten, and never shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tenantgate.cli.app import app
from tenantgate.registry.master_key import new_master_key, parse_master_key, write_master_key
from tests.registry.builders import an_engine, counting_bytes, product_keys, url_of, work_on
from tests.registry.builders import everything as one_of_each

RANDOM = counting_bytes(60)


def call(*words: str, status: int = 0, **environment: str | None) -> str:
    """What a command prints, errors included."""
    done = CliRunner().invoke(app, list(words), env={"COLUMNS": None, **environment})
    assert done.exit_code == status, done.output
    return done.output


@pytest.fixture
def url(tmp_path: Path) -> str:
    engine = an_engine(tmp_path / "registry.db")
    with work_on(engine) as work:
        one_of_each(work)
    engine.dispose()
    return url_of(tmp_path / "registry.db")


def test_create_prints_a_key_and_keeps_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Another one each time, in the form that is taken."""
    monkeypatch.chdir(tmp_path)
    made = {call("master-key", "create") for _ in range(3)}
    assert len(made) == 3
    for text in made:
        parse_master_key(text.removesuffix("\n"))
    assert list(tmp_path.iterdir()) == []


def test_a_key_gets_versions_and_old_ones_are_forgotten(url: str, tmp_path: Path):
    """The table shows when and by whom; the audit has each step, and no key is anywhere."""
    for _ in range(2):
        call("product-key", "rotate", "session", "--database", url)
    made = json.loads(call("product-key", "rotate", "session", "--forget-older", "--json", "--database", url))
    assert made == {"name": "session", "version": 3, "forgotten": 2}
    listed = json.loads(call("product-key", "list", "--json", "--database", url))["items"]
    assert [(each["name"], each["version"]) for each in listed] == [("session", 3)]
    assert "session" in call("product-key", "list", "--database", url)
    audit = call("audit", "list", "--kind", "product_key", "--json", "--database", url)
    assert audit.count("product_key.created") == 3
    assert audit.count("product_key.forgotten") == 2
    key = (tmp_path / "registry.db.master-key").read_text().strip()
    assert key not in audit
    assert "in order" in call("audit", "verify", "--database", url)


def test_the_file_is_replaced_and_the_keys_go_on(url: str, tmp_path: Path):
    """Sealed anew in one work, under a key that was in place before it was needed."""
    call("product-key", "rotate", "session", "--database", url)
    file = tmp_path / "registry.db.master-key"
    before = file.read_text()
    assert json.loads(call("master-key", "rotate", "--json", "--database", url)) == {"sealed": 1, "file": str(file)}
    assert file.read_text() != before
    call("product-key", "rotate", "session", "--database", url)
    assert "settings_invalid: --to goes with" in call(
        "master-key", "rotate", "--to", str(file), "--database", url, status=2
    )


def test_a_key_that_is_set_is_changed_for_one_in_a_file(url: str, tmp_path: Path):
    """The old one opens nothing afterwards."""
    old, new = new_master_key(RANDOM), new_master_key(RANDOM)
    write_master_key(tmp_path / "new", new)
    call("product-key", "rotate", "session", "--database", url, TENANTGATE_MASTER_KEY=old)
    for words, why in (((), "--to is needed"), (("--to", str(tmp_path / "no")), "there is no file")):
        assert why in call("master-key", "rotate", *words, "--database", url, status=2, TENANTGATE_MASTER_KEY=old)

    told = call("master-key", "rotate", "--to", str(tmp_path / "new"), "--database", url, TENANTGATE_MASTER_KEY=old)
    assert new not in told
    wrong = call("product-key", "rotate", "session", "--database", url, status=1, TENANTGATE_MASTER_KEY=old)
    assert wrong.startswith("master_key_wrong: ")
    call("product-key", "rotate", "session", "--database", url, TENANTGATE_MASTER_KEY=new)
    assert not (tmp_path / "registry.db.master-key").exists()


def test_a_lost_master_key_is_begun_anew_only_when_said(url: str, tmp_path: Path):
    """`reset` needs --yes; afterwards the next start makes new keys."""
    call("product-key", "rotate", "session", "--database", url)
    (tmp_path / "registry.db.master-key").unlink()
    missing = call("product-key", "rotate", "session", "--database", url, status=1)
    assert missing.startswith("master_key_missing: ")
    call("product-key", "reset", "--database", url, status=2)
    assert "1 keys were forgotten" in call("product-key", "reset", "--yes", "--database", url)
    call("product-key", "rotate", "session", "--database", url)


@pytest.mark.parametrize("value", ["secret-that-must-not-be-shown", "A" * 43, ""])
def test_a_setting_that_is_no_master_key_is_named_and_not_shown(url: str, value: str):
    """Exit status 2, as every setting at fault."""
    told = call("product-key", "list", "--database", url, status=2, TENANTGATE_MASTER_KEY=value)
    assert told.startswith("settings_invalid: TENANTGATE_MASTER_KEY: ")
    assert not value or value not in told


def test_commands_of_an_emergency_need_no_master_key(url: str):
    """Whoever may write the database may suspend, whatever became of the keys."""
    product_keys(an_engine(Path(url.removeprefix("sqlite:///")))).check()
    call("partner", "suspend", "contoso", "--database", url)

    shown = json.loads(call("partner", "show", "contoso", "--json", "--database", url))
    assert shown["state"] == "suspended"
