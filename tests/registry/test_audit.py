"""The audit chain: whatever is done to it, the first bad entry is named."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from tenantgate.registry import audit, daemons, partners, tenants
from tenantgate.registry.audit import GENESIS, ChainReport, entry_hash, verify_chain
from tenantgate.registry.engine import reading
from tenantgate.registry.errors import DatabaseError, InvalidError, SchemaError
from tenantgate.registry.tables import AuditEntry, Revision
from tests.registry.builders import ACTOR, NOW, Registry, a_partner

NAUGHTY = "Ünï – 日本 😀\u200d \\ \" ' <script> %00 {}"


@pytest.fixture
def audited(registry: Registry) -> Registry:
    """A registry with eleven entries: eight of the beginning, and three changes."""
    with registry.work() as work:
        partners.suspend(work, "contoso")
        tenants.suspend(work, "contoso-entra")
    with registry.work(now=NOW + 9) as work:
        daemons.suspend(work, "nightly")
    return registry


def report_of(registry: Registry) -> ChainReport:
    """What verifying finds."""
    with reading(registry.engine) as session:
        return verify_chain(session)


def tamper(registry: Registry, *statements: str) -> None:
    """Do something to the database behind the registry's back."""
    with registry.engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_untouched_chain_is_sound(audited: Registry):
    """A chain nobody touched verifies, and its head is the counter's."""
    report = report_of(audited)

    with reading(audited.engine) as session:
        state = session.get_one(Revision, 1)
    assert report == ChainReport(True, 11, state.audit_hash)
    assert state.audit_sequence == 11


def test_empty_chain_is_sound(registry: Registry):
    """A registry in which nothing was done yet has the beginning as its head."""
    tamper(
        registry,
        "DELETE FROM audit_entry",
        f"UPDATE revision SET audit_sequence = 0, audit_hash = '{GENESIS}'",
    )

    assert report_of(registry) == ChainReport(True, 0, GENESIS)


@pytest.mark.parametrize("column", [name for name in AuditEntry.model_fields if name != "sequence"])
def test_edit_of_any_column_is_found(audited: Registry, column: str):
    """Whatever is changed in an entry, that entry is the first bad one."""
    value = "'{}'" if column in {"before", "after"} else "'0'"
    tamper(audited, f"UPDATE audit_entry SET {column} = {value} WHERE sequence = 10")

    report = report_of(audited)

    assert (report.sound, report.first_bad, report.entries) == (False, 10, 9)
    assert report.problem


TAMPERING: list[tuple[list[str], int, str]] = [
    (["DELETE FROM audit_entry WHERE sequence = 10"], 11, "entry 10 is gone"),
    (["DELETE FROM audit_entry WHERE sequence = 1"], 2, "entry 1 is gone"),
    (["DELETE FROM audit_entry WHERE sequence = 11"], 11, "after this one are gone"),
    (["DELETE FROM audit_entry"], 1, "after this one are gone"),
    (
        [
            "DELETE FROM audit_entry WHERE sequence = 10",
            "UPDATE audit_entry SET sequence = 10 WHERE sequence = 11",
        ],
        10,
        "does not follow",
    ),
    (
        [
            "UPDATE audit_entry SET sequence = 99 WHERE sequence = 10",
            "UPDATE audit_entry SET sequence = 10 WHERE sequence = 9",
            "UPDATE audit_entry SET sequence = 9 WHERE sequence = 99",
        ],
        9,
        "does not follow",
    ),
    (["UPDATE revision SET audit_hash = '0'"], 12, "head was changed"),
    (["UPDATE revision SET audit_sequence = 12"], 12, "are gone"),
]


@pytest.mark.parametrize(("statements", "first_bad", "problem"), TAMPERING)
def test_removal_and_reordering_are_found(audited: Registry, statements: list[str], first_bad: int, problem: str):
    """An entry taken out, at any place, or put elsewhere shows, and the first bad one is named."""
    tamper(audited, *statements)

    report = report_of(audited)

    assert (report.sound, report.first_bad) == (False, first_bad)
    assert problem in report.problem


LOOSE: dict[str, list[str]] = {
    "sqlite": [
        "CREATE TABLE loose AS SELECT * FROM audit_entry",
        "DROP TABLE audit_entry",
        "ALTER TABLE loose RENAME TO audit_entry",
    ],
    "postgresql": [
        "ALTER TABLE audit_entry DROP CONSTRAINT pk_audit_entry",
        *(f"ALTER TABLE audit_entry ALTER COLUMN {name} DROP NOT NULL" for name in AuditEntry.model_fields),
    ],
}
"""What takes every rule off the table, so that an entry can be made into anything."""


def loosened(registry: Registry, *statements: str) -> None:
    """Do something to entries that no rule of the database holds together any more."""
    tamper(registry, *LOOSE[registry.engine.dialect.name], *statements)


@pytest.mark.parametrize("column", [name for name in AuditEntry.model_fields if name != "sequence"])
def test_a_value_taken_away_is_found(audited: Registry, column: str):
    """NULL in any column; entry 10 had a value in each."""
    loosened(audited, f"UPDATE audit_entry SET {column} = NULL WHERE sequence = 10")

    assert (report_of(audited).first_bad, report_of(audited).entries) == (10, 9)


DEEP = "[" * 100_000
ODD = {
    "no JSON": "'{\"id\": '",
    "empty": "''",
    "too deep": f"'{DEEP}'",
    "a number of 5,000 digits": f"'{'9' * 5_000}'",
    "a lone surrogate": '\'{"name": "\\ud800"}\'',
    "not a number": "'NaN'",
    "large": f'\'{{"name": "{"x" * 5_000_000}"}}\'',
}


@pytest.mark.parametrize("column", ["before", "after"])
@pytest.mark.parametrize("odd", ODD)
@pytest.mark.file
def test_a_document_that_is_none_is_found(audited: Registry, odd: str, column: str):
    """What cannot be read, or hashed, is the first bad entry all the same; the database is not blamed."""
    tamper(audited, f"UPDATE audit_entry SET {column} = {ODD[odd]} WHERE sequence = 6")

    report = report_of(audited)

    assert (report.sound, report.first_bad, report.entries) == (False, 6, 5)
    assert "was changed after it was written" in report.problem


NO_OBJECT = '[1, "2"]'
HUGE = '{"n": ' + "9" * 5_000 + "}"
LONE = '{"name": "\\ud800"}'
NESTED = "[" * 1_200 + "]" * 1_200
LARGE = '{"name": "' + "x" * 5_000_000 + '"}'


@pytest.mark.parametrize("value", [NO_OBJECT, HUGE, LONE, NESTED, LARGE, "null"], ids=lambda text: text[:9])
def test_a_document_that_the_database_takes_for_one_is_found(audited: Registry, value: str):
    """Both engines keep what no reader of JSON, or no writer of UTF-8, makes anything of."""
    tamper(audited, f"UPDATE audit_entry SET after = '{value}' WHERE sequence = 6")

    assert report_of(audited).first_bad == 6


@pytest.mark.parametrize("column", [name for name in AuditEntry.model_fields if name != "sequence"])
@pytest.mark.parametrize("value", ["x'ff00fe'", "CAST(x'ff00fe' AS TEXT)", "1.5"])
@pytest.mark.file
def test_a_value_of_another_type_is_found(audited: Registry, column: str, value: str):
    """SQLite keeps bytes and numbers in any column, and texts that are no UTF-8."""
    loosened(audited, f"UPDATE audit_entry SET {column} = {value} WHERE sequence = 6")

    assert (report_of(audited).first_bad, report_of(audited).entries) == (6, 5)


@pytest.mark.parametrize(
    ("statement", "first_bad"),
    [
        ("INSERT INTO audit_entry SELECT * FROM audit_entry WHERE sequence = 6", 6),
        ("INSERT INTO audit_entry SELECT * FROM audit_entry WHERE sequence = 11", 11),
        ("UPDATE audit_entry SET sequence = 5 WHERE sequence = 6", 5),
        ("UPDATE audit_entry SET sequence = -6 WHERE sequence = 6", -6),
        ("UPDATE audit_entry SET sequence = NULL WHERE sequence = 6", 7),
        ("UPDATE audit_entry SET sequence = NULL WHERE sequence = 11", 11),
    ],
)
def test_a_number_given_twice_or_taken_away_is_found(audited: Registry, statement: str, first_bad: int):
    """Numbers are no way to hide an entry, or to slip one in."""
    loosened(audited, statement)

    report = report_of(audited)

    assert (report.sound, report.first_bad) == (False, first_bad)


def test_an_entry_without_a_number_is_found(audited: Registry):
    """Beside a chain that is sound by itself, too."""
    columns = ", ".join(name for name in AuditEntry.model_fields if name != "sequence")
    loosened(audited, f"INSERT INTO audit_entry ({columns}) SELECT {columns} FROM audit_entry WHERE sequence = 6")

    report = report_of(audited)

    assert (report.sound, report.first_bad, report.problem) == (False, 12, "an entry has no number")


@pytest.mark.parametrize("value", ["'six'", "x'ff'", "11.5", "CAST(x'ff00fe' AS TEXT)"])
@pytest.mark.file
def test_a_number_that_is_none_is_found(audited: Registry, value: str):
    """SQLite keeps anything as a number."""
    loosened(audited, f"UPDATE audit_entry SET sequence = {value} WHERE sequence = 11")

    report = report_of(audited)

    assert (report.sound, report.first_bad) == (False, 11)


def test_a_document_that_cannot_be_read_is_said_to_be_one(audited: Registry):
    """To whoever lists entries, on both engines: no failure that nobody foresaw."""
    tamper(audited, f"UPDATE audit_entry SET after = '{HUGE}' WHERE sequence = 6")

    with pytest.raises(DatabaseError) as caught, reading(audited.engine) as session:
        audit.list_(session)
    assert caught.value.code == "row_malformed"


def test_the_first_of_several_is_named(audited: Registry, monkeypatch: pytest.MonkeyPatch):
    """An unreadable entry does not hide one before it that was changed, nor one of a later batch."""
    monkeypatch.setattr(audit, "_BATCH", 4)
    tamper(audited, f"UPDATE audit_entry SET after = '{HUGE}' WHERE sequence IN (7, 10)")
    assert report_of(audited).first_bad == 7
    tamper(audited, "UPDATE audit_entry SET operator = 'mallory' WHERE sequence = 6")
    assert report_of(audited).first_bad == 6


def test_a_database_that_cannot_be_read_is_no_bad_entry(audited: Registry):
    """It is said to be unavailable: nobody is told that an entry was changed."""
    tamper(audited, "DROP TABLE audit_entry")

    with pytest.raises(DatabaseError):
        report_of(audited)


def test_edit_with_its_hash_made_anew_is_found(audited: Registry):
    """Who changes an entry and computes its hash anew breaks the link to the next one."""
    with reading(audited.engine) as session:
        entry = session.get_one(AuditEntry, 10)
        entry.operator = "mallory"
        forged = entry_hash(entry)
    tamper(audited, f"UPDATE audit_entry SET operator = 'mallory', hash = '{forged}' WHERE sequence = 10")

    report = report_of(audited)

    assert (report.first_bad, report.problem) == (11, "does not follow the entry before it")


def test_last_entry_forged_with_its_hash_is_found(audited: Registry):
    """Who forges the last entry must change the counter too."""
    with reading(audited.engine) as session:
        entry = session.get_one(AuditEntry, 11)
        entry.at = 0
        forged = entry_hash(entry)
    tamper(audited, f"UPDATE audit_entry SET at = 0, hash = '{forged}' WHERE sequence = 11")

    assert "head was changed" in report_of(audited).problem


def test_chain_without_counter_cannot_be_verified(audited: Registry):
    """A database that lost its counter is said to have lost it."""
    tamper(audited, "DELETE FROM revision")

    with pytest.raises(SchemaError) as caught:
        report_of(audited)

    assert caught.value.code == "revision_missing"


def test_any_text_survives_the_chain(registry: Registry):
    """Quotes, emoji and other scripts in names are hashed as they are read back."""
    with registry.work() as work:
        a_partner(work, id="naughty", name=NAUGHTY, notes=NAUGHTY + "\n\tmore")

    assert report_of(registry).sound
    with reading(registry.engine) as session:
        after = audit.list_(session, kind="partner", row_id="naughty").items[0].after
    assert after is not None
    assert after["name"] == NAUGHTY


def test_long_chain_is_walked_in_batches(registry: Registry, monkeypatch: pytest.MonkeyPatch):
    """A chain longer than a batch is walked whole."""
    monkeypatch.setattr(audit, "_BATCH", 3)

    assert report_of(registry) == ChainReport(True, 8, report_of(registry).head)


def test_hash_is_of_canonical_json():
    """The hash can be computed by others: SHA-256 over sorted, compact JSON in UTF-8."""
    entry = AuditEntry(
        sequence=1,
        revision=1,
        at=2,
        operator="adm",
        scheme="cli",
        address="",
        request_id="",
        action="partner.created",
        kind="partner",
        row_id="contoso",
        before=None,
        after={"name": "Ü", "id": "contoso"},
        previous_hash=GENESIS,
        hash="",
    )

    # printf '%s' '{"action":"partner.created","address":"",…}' | sha256sum
    assert entry_hash(entry) == "20517f4def3bcc80c526dd3901c728eab15bf79ea9bc0577b1abac7526226725"


@pytest.mark.parametrize(
    ("filters", "sequences"),
    [
        ({}, list(range(1, 12))),
        ({"kind": "partner"}, [2, 9]),
        ({"row_id": "nightly"}, [4, 11]),
        ({"operator": ACTOR.operator_id, "kind": "daemon"}, [4, 11]),
        ({"operator": "nobody"}, []),
        ({"after": 9}, [10, 11]),
        ({"newest_first": True, "limit": 2}, [11, 10]),
        ({"newest_first": True, "after": 3}, [2, 1]),
    ],
)
def test_entries_are_listed(audited: Registry, filters: dict[str, object], sequences: list[int]):
    """Entries are found by what they are about and who did it, in either direction."""
    with reading(audited.engine) as session:
        page = audit.list_(session, **filters)  # type: ignore[arg-type]

    assert [entry.sequence for entry in page.items] == sequences
    assert page.after == (10 if filters.get("limit") else None)


def test_size_of_a_page_is_bounded(audited: Registry):
    """A page of the audit is bounded like any other."""
    with reading(audited.engine) as session, pytest.raises(InvalidError):
        audit.list_(session, limit=501)


def test_entries_cannot_share_a_number(audited: Registry):
    """The database itself refuses a second entry with the same number."""
    with pytest.raises(sa.exc.IntegrityError):
        tamper(audited, "INSERT INTO audit_entry SELECT * FROM audit_entry WHERE sequence = 3")
