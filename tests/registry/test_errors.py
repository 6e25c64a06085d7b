"""Codes are a promise: each is listed with its meaning, raised as its class, and tested."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tenantgate.core.policy import PolicyError
from tenantgate.registry import errors
from tenantgate.registry.errors import (
    CODES,
    CONFLICT_CODES,
    CREDENTIAL_CODES,
    DATABASE_CODES,
    MASTER_KEY_CODES,
    NOT_FOUND_CODES,
    PRECONDITION_CODES,
    ROW_CODES,
    SCHEMA_CODES,
    TRANSITION_CODES,
    ConflictError,
    InvalidError,
    RegistryError,
    from_policy_error,
)

ROOT = Path(__file__).resolve().parents[2]
CLASSES = {
    "InvalidError": ROW_CODES,
    "NotFoundError": NOT_FOUND_CODES,
    "ConflictError": CONFLICT_CODES,
    "TransitionError": TRANSITION_CODES,
    "CredentialError": CREDENTIAL_CODES,
    "DatabaseError": DATABASE_CODES,
    "MasterKeyError": MASTER_KEY_CODES,
    "SchemaError": SCHEMA_CODES,
    "PreconditionError": PRECONDITION_CODES,
}


def text_of(folder: str) -> str:
    """All source of a folder but this file."""
    paths = sorted((ROOT / folder).glob("*.py"))
    return "\n".join(path.read_text() for path in paths if path.name != Path(__file__).name)


def test_every_error_of_the_room_stands_under_its_base():
    """Who catches RegistryError catches all; each class has a list of codes."""
    classes = {name for name, value in vars(errors).items() if isinstance(value, type) and value is not PolicyError}

    assert classes == {"RegistryError", *CLASSES}
    assert all(issubclass(getattr(errors, name), RegistryError) for name in classes)


def test_no_code_means_two_things():
    """A code belongs to one class, and has a meaning."""
    assert sum(len(codes) for codes in CLASSES.values()) == len(CODES)
    assert all(meaning.endswith(".") for meaning in CODES.values())


@pytest.mark.parametrize("name", CLASSES)
def test_every_raised_code_is_listed(name: str):
    """Every code written in the source stands in the list of its class."""
    source = text_of("tenantgate/registry")
    raised = set(re.findall(rf'{name}\(\s*"([a-z0-9_]+)"', source))

    assert raised <= set(CLASSES[name])


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_tested(code: str):
    """Each code appears in a test of this folder, or of the REST API's."""
    assert f'"{code}"' in text_of("tests/registry") + text_of("tests/admin")


@pytest.mark.parametrize(("code", "kind"), [("tenant_duplicate", ConflictError), ("guid_malformed", InvalidError)])
def test_rules_of_core_become_errors_of_the_room(code: str, kind: type[RegistryError]):
    """What core's rules refuse keeps its code, message and member."""
    error = from_policy_error(PolicyError(code, "no", "tid"), holder="contoso")

    assert type(error) is kind
    assert (error.code, error.message, error.field, error.holder) == (code, "no", "tid", "contoso")
    assert str(error) == "no"
