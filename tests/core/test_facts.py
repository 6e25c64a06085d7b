"""What is known when a judgement is explained: read strictly, bounded, and believed in nothing before it is proved."""

from __future__ import annotations

from typing import Any

import pytest

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.facts import Asked, Facts, caller, read_facts
from tenantgate.core.limits import LIMITS
from tests.builders import (
    ACME_CLIENT,
    ACME_TID,
    GLOBEX_CLIENT,
    NOW,
    REMOVE,
    STRANGE_CLIENT,
    an_index,
    b64url,
    cloud_key,
    json_bytes,
    oidc_token,
    unchanged_index,
    v1_token,
    v2_claims,
    v2_token,
)
from tests.core.cases import home_token


def facts_of(token: str | bytes, index: Any = None) -> Facts:
    """Return what is known of an unproved token."""
    asked = Asked("orders", (), NOW)
    return read_facts(token, index or unchanged_index(), asked, R.SIGNATURE_INVALID, None, proved=False)


@pytest.mark.parametrize(
    ("token", "form"),
    [
        ("opaque", "opaque"),
        ("", "opaque"),
        ("a.b", "cut"),
        ("a.b.", "cut"),
        ("a.b.c", "parts"),
        ("a.b.c.d.e", "parts"),
        ("Bearer a.b.c", "prefixed"),
        ("bEARER  a.b.c", "prefixed"),
        ('"a.b.c"', "quoted"),
        ("'a.b.c'", "quoted"),
        ("<a.b.c>", "quoted"),
        ("a.b .c", "wrapped"),
        ("a.b.\nc", "wrapped"),
        (b"\xff.\xfe.", "cut"),
        ("é", "opaque"),
    ],
)
def test_the_ways_a_token_is_spoiled_are_told_apart(token: str | bytes, form: str) -> None:
    """By its text alone."""
    assert facts_of(token).form == form


def test_header_and_payload_are_read_each_by_itself() -> None:
    """A header that is refused leaves the payload readable, and the other way round."""
    header, payload, signature = v2_token().split(".")

    assert facts_of(f"!.{payload}.{signature}").header == {}
    assert facts_of(f"!.{payload}.{signature}").text("azp") == ACME_CLIENT
    assert facts_of(f"{header}.!.{signature}").header["alg"] == "RS256"
    assert facts_of(f"{header}.!.{signature}").payload == {}


@pytest.mark.parametrize("raw", [b"[]", b'"x"', b"{", b'{"a":1,"a":2}', b"\xff", b"nul"])
def test_what_is_not_strict_json_says_nothing(raw: bytes) -> None:
    """Duplicate names, other values, broken text: no claim is read from them."""
    assert facts_of(f"e30.{b64url(raw)}.AAAA").payload == {}


def test_sizes_are_bounded_before_anything_is_read() -> None:
    """What a judgement refuses by its size is not decoded for its explanation either."""
    large = cloud_key().sign(v2_claims(pad="x" * LIMITS.token_bytes))
    header = b64url(json_bytes({"alg": "RS256", "pad": "x" * LIMITS.header_bytes}))

    assert (facts_of(large).header, facts_of(large).payload) == ({}, {})
    assert facts_of(f"{header}.{b64url(json_bytes(v2_claims()))}.AAAA").payload == {}
    assert facts_of("." * 1_000_000).form == "cut"


@pytest.mark.parametrize(
    ("token", "client"),
    [
        (v2_token(azp=ACME_CLIENT.upper()), ACME_CLIENT),
        (v2_token(azp=REMOVE, appid=ACME_CLIENT), ""),
        (v2_token(azp="acme"), ""),
        (v2_token(azp=7), ""),
        (v1_token(), ACME_CLIENT),
        (v1_token(appid=REMOVE), ""),
        (oidc_token(), GLOBEX_CLIENT),
        (oidc_token(client_id=REMOVE, azp="other"), "other"),
        (oidc_token(client_id=7), ""),
        (v2_token(iss="https://nobody.example"), ""),
    ],
)
def test_an_unproved_client_is_who_the_token_names(token: str, client: str) -> None:
    """By the claim of its form, in the form it is looked up by; empty where there is none."""
    assert facts_of(token).client_id == client


def test_the_claim_an_issuer_is_configured_for_is_asked() -> None:
    """`client_id_claim` wins over the usual ones."""
    index = an_index(oidc={"client_id_claim": "cid"})

    assert facts_of(oidc_token(cid="0oaExample"), index).client_id == "0oaExample"
    assert facts_of(oidc_token(), index).client_id == ""


def test_rows_are_those_of_the_tokens_own_tenant() -> None:
    """Tenant, daemon and partner as the judgement finds them; in a hosted tenant the partner is the daemon's."""
    found = facts_of(v2_token())
    assert found.tenant is not None
    assert found.daemon is not None
    assert found.partner is not None
    assert (found.tenant.row.id, found.daemon.id, found.partner.id) == ("acme_tenant", "acme_daemon", "acme")

    hosted = facts_of(home_token())
    assert hosted.partner is not None
    assert hosted.partner.id == "initech"
    assert facts_of(home_token(azp=STRANGE_CLIENT)).partner is None


def test_a_policy_applied_by_half_is_asked_nothing() -> None:
    """No issuer, no resource: what is in it may be wrong."""
    index = an_index()
    index.broken = True
    found = facts_of(v2_token(), index)

    assert (found.match, found.resource, found.tenant) == (None, None, None)


def test_a_caller_is_told_in_words() -> None:
    """Client and tenant, or what little is known."""
    assert caller(facts_of(v2_token())) == f"client {ACME_CLIENT} of tid {ACME_TID}"
    assert caller(facts_of(oidc_token())) == f"client {GLOBEX_CLIENT} of issuer oidc"
    assert caller(facts_of(v2_token(azp=REMOVE))) == f"client unknown of tid {ACME_TID}"
    assert caller(facts_of("opaque")) == "iss None"
