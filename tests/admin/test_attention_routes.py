"""`/attention` and `tenantgate attention`: the same, for programs and people."""

from __future__ import annotations

from typing import get_args

from tenantgate.admin.shapes_attention import AttentionKind
from tenantgate.registry.attention import KINDS
from tests.admin.world import Api
from tests.registry.builders import Registry
from tests.registry.test_access_requests import asked


def test_kinds_are_those_of_the_registry():
    """None is missing on the wire."""
    assert get_args(AttentionKind) == tuple(KINDS)


def test_what_needs_a_person(api: Api):
    """Counted by kind and shown with where it is, which can be followed; the template's keys end soon."""
    id_ = asked(Registry("", api.engine))
    shown = api.get("/attention", role="Viewer")
    assert shown["counts"]["access_request"] == 1
    assert shown["counts"]["role_ending"] == 0
    (item,) = [each for each in shown["items"] if each["kind"] == "access_request"]
    assert item["href"] == f"/api/v1/access-requests/{id_}"
    assert api.get(item["href"].removeprefix("/api/v1"))["id"] == id_
    only = api.get("/attention?kind=access_request")
    assert [each["id"] for each in only["items"]] == [id_]
    assert only["counts"] == shown["counts"]
    assert api.refused("GET", "/attention?kind=nothing")["errors"][0]["code"] == "value_unknown"
