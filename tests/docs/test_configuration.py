"""`docs/configuration.md` and the settings tell the same story, and bad settings end the start clearly."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tenantgate.core.limits import BOUNDS, LIMITS
from tenantgate.registry.engine import open_engine
from tenantgate.registry.errors import DatabaseError
from tenantgate.registry.master_key import new_master_key
from tenantgate.settings import Settings, SettingsError, check_settings, read_settings
from tests.real_parts import ROOT

PAGE = (ROOT / "docs" / "configuration.md").read_text()


def test_every_setting_has_its_heading():
    """Each setting is a heading on the page, and each such heading a setting."""
    headings = set(re.findall(r"(?m)^## TENANTGATE_([A-Z_]+)$", PAGE))
    assert headings == {name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs").glob("*.md")))
def test_no_table_is_cut_off_by_an_empty_line(page: str):
    """What comes after it would be shown as text."""
    assert re.findall(r"(?m)^\|.*\|\n\n\|(?!.*\n\|-).*$", (ROOT / "docs" / page).read_text()) == []


def test_example_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The page's example of a tenantgate.toml is one."""
    example = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    (tmp_path / "tenantgate.toml").write_text(example[1])
    monkeypatch.chdir(tmp_path)

    settings = read_settings({})

    assert (settings.resource, settings.host, settings.port) == ("orders", "127.0.0.1", 8440)


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("empty_folder")
@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("TENANTGATE_DATABASE_URI", "sqlite:///a.db", "is TENANTGATE_DATABASE_URL meant"),
        (
            "TENANTGATE_DATABASE_URL",
            "mysql://somewhere",
            "TENANTGATE_DATABASE_URL: must be sqlite:///PATH or postgresql://HOST/NAME",
        ),
        ("TENANTGATE_BIND", "8440", "TENANTGATE_BIND: must be HOST:PORT"),
        ("TENANTGATE_BIND", "127.0.0.1:99999", "TENANTGATE_BIND: must be HOST:PORT"),
        ("TENANTGATE_PUBLIC_URL", "http://partners.example", "TENANTGATE_PUBLIC_URL: must be https"),
        ("TENANTGATE_PUBLIC_URL", "https://user@partners.example", "TENANTGATE_PUBLIC_URL: must be an https address"),
        ("TENANTGATE_PUBLIC_URL", "https://:pw@partners.example", "TENANTGATE_PUBLIC_URL: must be an https address"),
        ("TENANTGATE_PUBLIC_URL", "https://partners.example/gate", "TENANTGATE_PUBLIC_URL: must be an https address w"),
        ("TENANTGATE_PUBLIC_URL", "https://partners.example:port", "TENANTGATE_PUBLIC_URL: "),
        ("TENANTGATE_PUBLIC_URL", "https://partners.example:0", "TENANTGATE_PUBLIC_URL: must be an https address"),
        ("TENANTGATE_PUBLIC_URL", "https://partn\u00e9rs.example", "TENANTGATE_PUBLIC_URL: must be an https address"),
        ("TENANTGATE_RESOURCE", "", "TENANTGATE_RESOURCE: must be the id of a resource"),
        ("TENANTGATE_RESOURCE", "b\u00e9", "TENANTGATE_RESOURCE: must be the id of a resource"),
        ("TENANTGATE_RESOURCE", 'a"b', "TENANTGATE_RESOURCE: must be the id of a resource"),
        ("TENANTGATE_RESOURCE", "a\nX-TG-Partner: acme", "TENANTGATE_RESOURCE: must be the id of a resource"),
        ("TENANTGATE_LOG_LEVEL", "loud", "TENANTGATE_LOG_LEVEL"),
        *(
            (
                f"TENANTGATE_MAX_{name.upper()}",
                value,
                f"TENANTGATE_MAX_{name.upper()}: must be a whole number between {low} and",
            )
            for name, (low, high) in BOUNDS.items()
            for value in (str(low - 1), str(high + 1), "-1", "1e3", " 64", "\u0661\u0662\u0668", "", "many")
        ),
    ],
)
def test_bad_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, complaint: str):
    """A setting that is unknown or unsafe ends in one message that names it."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=re.escape(complaint)):
        read_settings({name: value})


@pytest.mark.usefixtures("empty_folder")
@pytest.mark.parametrize("place", [0, 1], ids=["lowest", "highest"])
def test_limits_reach_as_far_as_the_page_says(monkeypatch: pytest.MonkeyPatch, place: int):
    """Each limit may be the lowest and the highest of its bounds, and becomes the member of its name."""
    for name, bounds in BOUNDS.items():
        monkeypatch.setenv(f"TENANTGATE_MAX_{name.upper()}", str(bounds[place]))

    limits = read_settings({}).limits

    assert {name: getattr(limits, name) for name in BOUNDS} == {name: bounds[place] for name, bounds in BOUNDS.items()}


@pytest.mark.parametrize("name", BOUNDS)
def test_every_limit_has_its_default_and_bounds_on_the_page(name: str):
    """Default and bounds on the page are those of the code."""
    low, high = BOUNDS[name]
    section = PAGE.split(f"## TENANTGATE_MAX_{name.upper()}\n", 1)[1].split("\n## ", 1)[0]

    assert f"{getattr(LIMITS, name)} where nothing is said, {low} to {high}." in " ".join(section.split())


@pytest.mark.parametrize("value", ["true", "16.0", '"0x10"', "[16]"])
def test_a_limit_in_the_file_is_a_whole_number(empty_folder: Path, value: str):
    """What merely looks like a number is none."""
    (empty_folder / "tenantgate.toml").write_text(f"max_kid_bytes = {value}\n")
    with pytest.raises(SettingsError, match="TENANTGATE_MAX_KID_BYTES: must be a whole number between 1 and 4096"):
        read_settings({})


@pytest.mark.usefixtures("empty_folder")
@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("https://Partners.Example:443/", "https://partners.example"),
        ("HTTPS://partners.example:8443", "https://partners.example:8443"),
        ("http://LocalHost:80", "http://localhost"),
        ("https://[2001:DB8::1]:443", "https://[2001:db8::1]"),
    ],
)
def test_the_public_address_has_one_spelling(given: str, meant: str):
    """That of a browser's `Origin`, with which it is compared."""
    assert read_settings({}, public_url=given).public_url == meant


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_with_a_master_key_is_its_owners_alone(empty_folder: Path, mode: int):
    """As the file of a master key is; without one others may read it."""
    file = empty_folder / "tenantgate.toml"
    file.write_text('resource = "orders"\n')
    file.chmod(mode)
    assert read_settings({}).resource == "orders"
    file.write_text(f'master_key = "{new_master_key(bytes_of_all_kinds)}"\n')
    with pytest.raises(SettingsError, match=r"tenantgate\.toml holds master_key: .* of mode 0600"):
        read_settings({})
    file.chmod(0o600)
    assert read_settings({}).given_master_key is not None


def bytes_of_all_kinds(size: int) -> bytes:
    """Bytes that look random enough."""
    return bytes(range(size))


def test_environment_wins_over_the_file(empty_folder: Path, monkeypatch: pytest.MonkeyPatch):
    """The same setting in both: the environment's counts."""
    (empty_folder / "tenantgate.toml").write_text('resource = "billing"\n')
    monkeypatch.setenv("TENANTGATE_RESOURCE", "orders")
    assert read_settings({"TENANTGATE_RESOURCE": "orders"}).resource == "orders"


@pytest.mark.parametrize(
    "text",
    ["resource = ", 'resorce = "orders"\n', f"resource = {'[' * 3_000}{']' * 3_000}"],
    ids=["not TOML", "unknown member", "nested too deeply"],
)
def test_bad_file_is_named(empty_folder: Path, text: str):
    """A settings file that is no TOML, or has an unknown member, is an error."""
    (empty_folder / "tenantgate.toml").write_text(text)
    with pytest.raises(SettingsError, match=r"tenantgate\.toml"):
        read_settings({})


def test_folder_in_place_of_the_file_is_named(empty_folder: Path):
    """What stands where the settings file belongs and is none is an error, never passed over."""
    (empty_folder / "tenantgate.toml").mkdir()
    with pytest.raises(SettingsError, match=r"tenantgate\.toml is not a file"):
        read_settings({})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('bnid = "127.0.0.1:1"\n', "tenantgate.toml: bnid is not a setting; is bind meant?"),
        ("zzz = 1\n", "tenantgate.toml: zzz is not a setting"),
        ('bind = "127.0.0.1:1"\nresource "x"\n', "tenantgate.toml is not TOML: "),
    ],
)
def test_a_slip_in_the_file_is_named(empty_folder: Path, text: str, complaint: str):
    """As one in the environment is; and where it is no TOML, the line."""
    (empty_folder / "tenantgate.toml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        read_settings({})
    assert str(caught.value).startswith(complaint)
    if "TOML" in complaint:
        assert "line 2" in str(caught.value)


def test_a_password_in_an_address_is_not_told(empty_folder: Path):
    """What doctor shows of the settings can be shown to others."""
    del empty_folder
    settings = read_settings({}, database_url="postgresql://me:not-to-be-told@db.example/list", resource="orders")
    assert settings.told() == "database_url=postgresql://me:***@db.example/list, resource=orders"
    assert read_settings({}).told() == "none are given"


@pytest.mark.usefixtures("empty_folder")
@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("postgresql://h/tg?user=tg&password=hunter2", "postgresql://h/tg?user=***&password=***"),
        ("postgresql://h/tg?password=hunter2=&sslmode=", "postgresql://h/tg?password=***&sslmode=***"),
        ("postgresql://h/tg?hunter2", "postgresql://h/tg?***"),
        ("postgresql://me@h/tg?password=hunter@2#x", "postgresql://me@h/tg?password=***"),
        ("postgres://me:hun?ter&2=@h/tg?x=hunter@2", "postgres://me:***@h/tg?x=***"),
        ("postgresql://me:hun@ter2@h/tg", "postgresql://me:***@h/tg"),
        ("postgresql://h/tg", "postgresql://h/tg"),
        ("sqlite:///a.db", "sqlite:///a.db"),
    ],
)
def test_a_password_anywhere_in_an_address_is_not_told(address: str, told: str):
    """It may stand in the query too: of that only the names are shown."""
    assert read_settings({}, database_url=address).told() == f"database_url={told}"


@pytest.mark.usefixtures("empty_folder")
@pytest.mark.parametrize("address", ["sqlite:///a b%/r.db", "sqlite:///a%20b%25/r.db", "sqlite:///./a%20b%25/r.db"])
def test_what_belongs_to_a_database_lies_beside_it_however_it_is_spelled(empty_folder: Path, address: str):
    """One file, one master key, one state folder, whose mark tells of a restore."""
    (empty_folder / "a b%").mkdir()
    settings = read_settings({}, database_url=address)
    open_engine(address).dispose()
    assert (empty_folder / "a b%" / "r.db").is_file()
    assert (settings.master_key_file, settings.state_folder) == (
        Path("a b%/r.db.master-key"),
        Path("a b%/r.db.state"),
    )


@pytest.mark.usefixtures("empty_folder")
@pytest.mark.parametrize("address", ["sqlite:///", "sqlite:///:memory:", "sqlite:///a.db?mode=ro", "sqlite:///file:a"])
def test_what_is_no_file_has_nothing_beside_it(address: str):
    """And whoever opens it is told that it must be one, not that PostgreSQL wants a master key."""
    settings = read_settings({}, database_url=address)
    check_settings(settings)
    assert (settings.master_key_file, settings.state_folder) == (None, None)
    with pytest.raises(DatabaseError) as caught:
        open_engine(address)
    assert caught.value.code == "database_url_unsupported"
