"""One form of token, read once: what is verified is what is read, and no other form has a path of its own."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied, Granted
from tenantgate.core.limits import LIMITS
from tenantgate.core.strict import Unreadable, read_object
from tenantgate.core.token import Refused
from tests.builders import ask, b64url, json_bytes, oidc_claims, oidc_key, oidc_token, v1_token, v2_token
from tests.parsed import parse_token


def unencoded(payload: bytes, *, detached: bool, **header: Any) -> bytes:
    """Return a JWS over a payload that is not base64 (RFC 7797 §3), truly signed."""
    members = {"alg": "ES256", "kid": oidc_key().kid, "b64": False, **header}
    protected = b64url(json_bytes(members)).encode()
    signature = b64url(oidc_key().signature(protected + b"." + payload)).encode()
    return b".".join((protected, b"" if detached else payload, signature))


@pytest.mark.threat(7)
@pytest.mark.parametrize("crit", [{}, {"crit": ["b64"]}], ids=["without crit", "crit"])
@pytest.mark.parametrize("detached", [False, True], ids=["attached", "detached"])
@pytest.mark.parametrize("size", [0, 10_000_000], ids=["small", "10 MB"])
def test_an_unencoded_payload_is_refused(crit: dict[str, Any], size: int, *, detached: bool) -> None:
    """`b64` false is no way around a limit: truly signed, attached or detached, it is refused by header or size."""
    payload = b'{"iss":"nobody","pad":"' + b"x" * size + b'"}'
    token = unencoded(payload, detached=detached, **crit)
    decision = ask(token)

    assert isinstance(decision, Denied)
    assert decision.reason is (R.TOKEN_TOO_LARGE if size and not detached else R.HEADER_NOT_ALLOWED)
    assert len(decision.detail) < 200


@pytest.mark.threat(7)
@pytest.mark.parametrize("b64", [True, False, None, "false", 0])
def test_the_b64_header_is_refused_whatever_it_says(b64: object) -> None:
    """Even `true`, which would change nothing: we implement no extension that could name it."""
    decision = ask(oidc_key().sign(oidc_claims(), b64=b64))

    assert isinstance(decision, Denied)
    assert decision.reason is R.HEADER_NOT_ALLOWED


SPELLINGS = [
    v2_token(),
    v1_token(),
    oidc_token(),
    oidc_key().sign(json.dumps(oidc_claims(), indent=2).encode()),
    oidc_key().sign(json_bytes(oidc_claims()).replace(b'"iss"', b'"\\u0069ss"')),
]


@pytest.mark.threat(8)
@pytest.mark.parametrize("token", SPELLINGS, ids=["v2", "v1", "oidc", "indented", "escaped"])
def test_the_bytes_that_are_verified_are_the_bytes_that_are_read(token: str) -> None:
    """Header and payload come from the very bytes the signature is over, and the three parts are the whole token."""
    read = parse_token(token)
    header, payload = read.signed.split(b".")

    assert f"{read.signed.decode()}.{b64url(read.signature)}" == token
    assert read.payload == json.loads(base64.urlsafe_b64decode(payload + b"=="))
    assert read.header.alg == json.loads(base64.urlsafe_b64decode(header + b"=="))["alg"]
    assert isinstance(ask(token), Granted)


def hybrids() -> dict[str, str]:
    """Return texts that one parser takes for a compact token and another for JSON, the good one inside or around."""
    good, other = oidc_token(), oidc_token(client_id="other", sub="other")
    header, payload, signature = good.split(".")
    _, other_payload, _ = other.split(".")
    flat = {"protected": header, "payload": payload, "signature": signature}
    return {
        "flattened": json.dumps(flat),
        "flattened, other payload in the tail": json.dumps(flat) + f".{other_payload}.{signature}",
        "general": json.dumps({"payload": payload, "signatures": [{"protected": header, "signature": signature}]}),
        "compact as a name": json.dumps({f"{header}.": other_payload, f".{payload}.": signature}),
        "compact as a member": json.dumps({"jwt": good}),
        "JSON before compact": json.dumps(flat) + good,
        "compact before JSON": good + json.dumps(flat),
        "quoted": json.dumps(good),
        "compact twice": f"{good},{other}",
        "two payloads": f"{header}.{payload}.{other_payload}.{signature}",
        "two signatures": f"{good}.{signature}",
        "JSON as the header segment": f'{{"alg":"ES256"}}.{payload}.{signature}',
        "JSON as the payload segment": f"{header}.{json.dumps({'sub': 'other'})}.{signature}",
    }


@pytest.mark.threat(8)
@pytest.mark.parametrize("name", hybrids())
def test_no_second_parser_takes_what_the_first_refuses(name: str) -> None:
    """JSON serialisations and mixtures of both forms, around a good token, are no token."""
    text = hybrids()[name]
    with pytest.raises(Refused):
        parse_token(text)
    decision = ask(text)

    assert isinstance(decision, Denied)
    assert decision.reason in {R.TOKEN_MALFORMED, R.TOKEN_ENCRYPTED}


@pytest.mark.parametrize("nested", ["{}", "[]", '{"a":1}', "[[]]"])
def test_objects_and_lists_are_counted_in_all(nested: str) -> None:
    """Lists of small things are bounded as a whole: 1,024 objects and lists pass, one more does not."""
    each = nested.count("{") + nested.count("[")
    most = 4 * LIMITS.members - 1
    assert read_object(as_json(nested, most, each)) is not None
    with pytest.raises(Unreadable, match="1024 objects and lists"):
        read_object(as_json(nested, most + each, each))


def as_json(nested: str, containers: int, each: int) -> bytes:
    """Return an object with as many lists and objects in it: lists of 200 nested values, then empty ones."""
    lists, left = [], containers
    while left > each:
        count = min(200, (left - 1) // each)
        lists.append("[" + ",".join([nested] * count) + "]")
        left -= 1 + count * each
    lists += ["[]"] * left
    return ("{" + ",".join(f'"m{number}":{each}' for number, each in enumerate(lists)) + "}").encode()
