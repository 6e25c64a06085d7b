"""One rule, several places where it may be left out: each of them leaves out the same."""

from __future__ import annotations

import dataclasses
import inspect

import msgspec

from tenantgate.cli import resource
from tenantgate.core.policy import ResourceRow
from tenantgate.registry.resources import ResourceSpec

IN_THE_ROW = {field.name: field.default for field in msgspec.structs.fields(ResourceRow) if not field.required}


def test_a_resource_of_the_registry_has_the_rows_defaults():
    """A rule that was not chosen means the same in a policy file and in the registry."""
    spec = {each.name: each.default for each in dataclasses.fields(ResourceSpec)}

    assert {name: spec[name] for name in IN_THE_ROW} == IN_THE_ROW


def test_what_can_be_chosen_for_a_new_resource_can_be_changed():
    """`create` and `change` take the same rules, and those are the row's."""
    new, later = inspect.signature(resource.create).parameters, inspect.signature(resource.change).parameters

    assert IN_THE_ROW.keys() <= new.keys()
    assert new.keys() - later.keys() == set()
    assert later.keys() - new.keys() == {"clear"}
