"""The form of a token: each row of what a layer on PyJWT must add, one test id each."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import example, given
from hypothesis import strategies as st

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.decision import Denied, Granted
from tenantgate.core.limits import LIMITS
from tenantgate.core.strict import (
    Unreadable,
    decode_base64url,
    guid_bytes,
    guid_text,
    guids_bytes,
    is_identity,
    read_document,
    read_object,
    shown,
)
from tenantgate.core.token import READER, Refused
from tests.builders import (
    ACME_TID,
    API_CLIENT_ID,
    NOW,
    Signer,
    ask,
    b64url,
    cloud_key,
    json_bytes,
    oidc_claims,
    oidc_key,
    oidc_token,
    v2_claims,
    v2_issuer,
    v2_token,
)

HEADER = {"typ": "JWT", "alg": "RS256", "kid": cloud_key().kid}


def reason_of(token: str | bytes) -> R | None:
    """Return why a token is refused in the unchanged world, or None."""
    decision = ask(token)
    return decision.reason if isinstance(decision, Denied) else None


def nested(depth: int) -> bytes:
    """Return a payload whose claim `deep` nests lists, `depth` levels in all."""
    return json_bytes(v2_claims())[:-1] + b',"deep":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


def deep_header(depth: int) -> bytes:
    """Return a header that is one object in another, `depth` times."""
    return b'{"a":' * depth + b"1" + b"}" * depth


def again(raw: bytes, member: str, value: Any, *, first: bool = False, escaped: bool = False) -> bytes:
    """Return a JSON object with one member written a second time."""
    name = f"\\u{ord(member[0]):04x}{member[1:]}" if escaped else member
    twin = f'"{name}":'.encode() + json_bytes(value)
    return b"{" + twin + b"," + raw[1:] if first else raw[:-1] + b"," + twin + b"}"


DUPLICATES = [
    *[(f"header {name} {'first' if first else 'last'}", "header", name, value, first, False)
      for name, value in (("alg", "RS256"), ("alg", "none"), ("kid", "x"), ("typ", "JWT")) for first in (True, False)],
    *[(f"payload {name} {'first' if first else 'last'}", "payload", name, value, first, False)
      for name, value in (
          ("iss", v2_issuer(ACME_TID)), ("exp", NOW * 2), ("tid", ACME_TID), ("aud", "x"), ("idtyp", "user"),
      )
      for first in (True, False)],
    ("header alg, escaped", "header", "alg", "none", False, True),
    ("payload exp, escaped", "payload", "exp", 0, False, True),
]  # fmt: skip


@pytest.mark.parametrize(
    ("where", "name", "value", "first", "escaped"),
    [pytest.param(*row[1:], id=f"{row[0]} {row[3]}") for row in DUPLICATES],
)
def test_duplicate_member_names_are_refused(where: str, name: str, value: Any, first: bool, escaped: bool) -> None:
    """Which of two members counts is a matter of taste among parsers, so neither counts."""
    header, payload = json_bytes(HEADER), json_bytes(v2_claims())
    if where == "header":
        header = again(header, name, value, first=first, escaped=escaped)
    else:
        payload = again(payload, name, value, first=first, escaped=escaped)

    assert reason_of(cloud_key().sign(payload, header)) is R.TOKEN_MALFORMED


@pytest.mark.parametrize("inner", [b'{"a":1,"a":2}', b'[{"a":1,"a":1}]', b'{"b":{"a":1,"\\u0061":1}}'])
def test_duplicate_names_are_refused_at_any_depth(inner: bytes) -> None:
    """A duplicate in a nested object is as ambiguous as one on top."""
    payload = json_bytes(v2_claims())[:-1] + b',"x":' + inner + b"}"

    assert reason_of(cloud_key().sign(payload)) is R.TOKEN_MALFORMED


ENCODINGS: list[tuple[str, Callable[[str], bytes]]] = [
    ("BOM", lambda text: b"\xef\xbb\xbf" + text.encode()),
    ("UTF-16", lambda text: text.encode("utf-16")),
    ("UTF-16 LE without BOM", lambda text: text.encode("utf-16-le")),
    ("UTF-32", lambda text: text.encode("utf-32")),
    (
        "Latin-1",
        lambda text: text.replace("opaque", "é").encode("latin-1") if "opaque" in text else b"\xe9" + text.encode(),
    ),
    ("overlong", lambda text: text.encode().replace(b"a", b"\xc1\xa1", 1)),
    ("surrogate bytes", lambda text: text.encode().replace(b"a", b"\xed\xa0\x80", 1)),
    ("leading NUL", lambda text: b"\x00" + text.encode()),
    ("trailing garbage", lambda text: text.encode() + b"x"),
    ("two documents", lambda text: text.encode() * 2),
    ("comment", lambda text: text.encode() + b"//"),
    ("single quotes", lambda text: text.encode().replace(b'"', b"'")),
    ("trailing comma", lambda text: text.encode()[:-1] + b",}"),
    ("NaN", lambda text: text.encode()[:-1] + b',"n":NaN}'),
    ("Infinity", lambda text: text.encode()[:-1] + b',"n":-Infinity}'),
    ("a number beyond floats", lambda text: text.encode()[:-1] + b',"n":1e999}'),
    ("a number of 5000 digits", lambda text: text.encode()[:-1] + b',"n":' + b"9" * 5000 + b"}"),
    ("leading zero", lambda text: text.encode()[:-1] + b',"n":01}'),
    ("lone surrogate", lambda text: text.encode()[:-1] + b',"n":"\\ud800"}'),
    ("raw control character", lambda text: text.encode()[:-1] + b',"n":"\x01"}'),
    ("empty", lambda text: b""),
    ("null", lambda text: b"null"),
    ("array", lambda text: b"[" + text.encode() + b"]"),
    ("string", lambda text: json_bytes(text)),
]


@pytest.mark.parametrize("where", ["header", "payload"])
@pytest.mark.parametrize("spoil", [pytest.param(spoil, id=name) for name, spoil in ENCODINGS])
def test_only_strict_json_in_utf8_is_read(where: str, spoil: Callable[[str], bytes]) -> None:
    """No byte-order mark, no other encoding, nothing that is not JSON (RFC 8259), in header or payload."""
    header, payload = json.dumps(HEADER), json.dumps(v2_claims())
    token = cloud_key().sign(spoil(payload)) if where == "payload" else cloud_key().sign(v2_claims(), spoil(header))

    assert reason_of(token) in (R.TOKEN_MALFORMED, R.TOKEN_TOO_LARGE)


def test_white_space_and_escapes_are_json() -> None:
    """An issuer that indents or escapes its JSON is strange, not wrong."""
    header = json.dumps(HEADER, indent=1).encode()
    payload = json.dumps(v2_claims(uti="\u00e9"), indent=1, ensure_ascii=True).encode()

    assert isinstance(ask(cloud_key().sign(payload, header)), Granted)


@pytest.mark.parametrize("number", ["1800003900", "1800003900.5", "1.8000039e9", "1800003900.0"])
def test_a_numeric_date_is_any_finite_json_number(number: str) -> None:
    """RFC 7519 §2: a NumericDate may have a fraction and, JSON being JSON, an exponent."""
    payload = json_bytes(v2_claims()).replace(b'"exp":1800003900', f'"exp":{number}'.encode())

    assert isinstance(ask(cloud_key().sign(payload)), Granted)


@pytest.mark.parametrize("claim", ["sub", "oid", "azp", "tid"])
@pytest.mark.parametrize("spoil", ["\x00", "\x7f", "\u0085", "\u202e", "\ufeff", "\u200b", "\ue000"])
def test_control_characters_in_identity_claims_are_refused(claim: str, spoil: str) -> None:
    """NUL, bidi and zero-width characters make one identity look like another."""
    claims = v2_claims()

    assert reason_of(cloud_key().sign(v2_claims(**{claim: claims[claim] + spoil}))) is R.CLAIM_MALFORMED


@pytest.mark.parametrize("spoil", ["a\u0000b", "a\u202eb", "e\u0301", "", "x" * 513])
def test_identities_of_other_issuers_are_clean_too(spoil: str) -> None:
    """Client id and subject of an OIDC issuer are free text, so their form is checked: NFC, printable, bounded."""
    assert reason_of(oidc_token(client_id=spoil)) is R.CLAIM_MALFORMED
    assert reason_of(oidc_token(sub=spoil)) is R.CLAIM_MALFORMED
    assert reason_of(oidc_key().sign(oidc_claims(), kid=spoil)) is R.HEADER_NOT_ALLOWED


def test_the_limits_are_the_documented_ones() -> None:
    """16 KiB, 4 KiB, 256 characters, 64 audiences, 16 levels, 256 members: what the documentation promises."""
    limits = (LIMITS.token_bytes, LIMITS.header_bytes, LIMITS.kid_bytes, LIMITS.audiences, LIMITS.depth, LIMITS.members)

    assert limits == (16_384, 4_096, 256, 64, 16, 256)


BIG = [
    pytest.param(lambda: "." * 1_000_000, R.TOKEN_TOO_LARGE, id="a million dots"),
    pytest.param(lambda: "." * 1_000, R.TOKEN_MALFORMED, id="a thousand dots"),
    pytest.param(lambda: v2_token(pad="x" * 2_000_000), R.TOKEN_TOO_LARGE, id="payload of 2 MB"),
    pytest.param(lambda: cloud_key().sign(v2_claims(), kid="x" * 1_000_000), R.TOKEN_TOO_LARGE, id="kid of 1 MB"),
    pytest.param(
        lambda: cloud_key().sign(v2_claims(), pad="x" * LIMITS.header_bytes), R.TOKEN_TOO_LARGE, id="header of 5 KB"
    ),
    pytest.param(lambda: cloud_key().sign(v2_claims(), kid="x" * 257), R.HEADER_NOT_ALLOWED, id="kid of 257"),
    pytest.param(lambda: v2_token(aud=[API_CLIENT_ID, *["x"] * 9_999]), R.TOKEN_TOO_LARGE, id="10 000 audiences"),
    pytest.param(lambda: v2_token(aud=[API_CLIENT_ID, *["x"] * 256]), R.TOKEN_MALFORMED, id="257 audiences"),
    pytest.param(lambda: v2_token(aud=[API_CLIENT_ID, *["x"] * 64]), R.CLAIM_MALFORMED, id="65 audiences"),
    pytest.param(lambda: v2_token(**{f"c{n}": n for n in range(257)}), R.TOKEN_MALFORMED, id="257 claims"),
    pytest.param(lambda: v2_token(x={f"c{n}": n for n in range(257)}), R.TOKEN_MALFORMED, id="257 members"),
    pytest.param(lambda: v2_token(roles=["x"] * 257), R.TOKEN_MALFORMED, id="257 roles"),
    pytest.param(lambda: cloud_key().sign(nested(17)), R.TOKEN_MALFORMED, id="depth 17"),
    pytest.param(lambda: cloud_key().sign(nested(900)), R.TOKEN_MALFORMED, id="depth 900"),
    pytest.param(lambda: cloud_key().sign(nested(5_000)), R.TOKEN_MALFORMED, id="depth 5 000"),
    pytest.param(lambda: cloud_key().sign(nested(100_000)), R.TOKEN_TOO_LARGE, id="depth 100 000"),
    pytest.param(lambda: cloud_key().sign(v2_claims(), deep_header(700)), R.TOKEN_TOO_LARGE, id="deep header of 6 KB"),
    pytest.param(lambda: cloud_key().sign(v2_claims(), deep_header(400)), R.TOKEN_MALFORMED, id="deep header of 3 KB"),
]  # fmt: skip


@pytest.mark.threat(11, 12, 13)
@pytest.mark.parametrize(("token", "reason"), BIG)
def test_what_is_too_big_or_too_deep_is_refused(token: Callable[[], str], reason: R) -> None:
    """Every size is bounded before anything is decoded: bytes, header, kid, members, audiences, depth."""
    assert reason_of(token()) is reason


def test_the_limits_themselves_are_allowed() -> None:
    """Limits are inclusive: 16 levels, 64 audiences, 256 claims, a kid of 256 characters."""
    assert isinstance(ask(cloud_key().sign(nested(LIMITS.depth))), Granted)
    assert isinstance(ask(v2_token(aud=[API_CLIENT_ID, *["x"] * 63])), Granted)
    claims = v2_claims()
    assert isinstance(ask(v2_token(**{f"c{n}": n for n in range(LIMITS.members - len(claims))})), Granted)
    key = Signer("ES256", oidc_key().private, "k" * 256)
    assert isinstance(ask(key.sign(oidc_claims()), oidc={"jwks": {"keys": [key.jwk()]}}), Granted)


def test_a_token_of_exactly_the_limit_is_read() -> None:
    """16 KiB is accepted, one byte more is not."""
    fill = (LIMITS.token_bytes - len(cloud_key().sign(v2_claims(pad=""), pad=""))) * 3 // 4 - 8
    sizes = (
        cloud_key().sign(v2_claims(pad="x" * (fill + more)), pad="x" * header)
        for more in range(9)
        for header in range(3)
    )
    token = next(token for token in sizes if len(token) == LIMITS.token_bytes)

    assert isinstance(ask(token), Granted)
    assert reason_of(token + "A") is R.TOKEN_TOO_LARGE


SPELLINGS = [
    pytest.param(lambda token: token + "=", id="="),
    pytest.param(lambda token: token + "==", id="=="),
    pytest.param(lambda token: token + "\n", id="line feed"),
    pytest.param(lambda token: " " + token, id="space"),
    pytest.param(lambda token: token.replace(".", "=.", 1), id="padded header"),
    pytest.param(lambda token: token.replace(".", "..", 1), id="empty part"),
    pytest.param(lambda token: token[:-1] + "+", id="plain base64 +"),
    pytest.param(lambda token: token[:-1] + "/", id="plain base64 /"),
    pytest.param(lambda token: token[:9] + "\r\n" + token[9:], id="folded"),
    pytest.param(lambda token: token[:9] + "%2e" + token[9:], id="percent"),
    pytest.param(lambda token: token.replace(".", "\u3002", 1), id="ideographic full stop"),
    pytest.param(lambda token: token[:-1], id="one character less"),
]


@pytest.mark.threat(26)
@pytest.mark.parametrize("spell", SPELLINGS)
def test_a_token_has_one_spelling(spell: Callable[[str], str]) -> None:
    """A second spelling of a token would be a second identity of it for caches and deny-lists."""
    assert reason_of(spell(v2_token())) is R.TOKEN_MALFORMED


@pytest.mark.threat(26)
def test_unused_bits_of_the_last_character_are_zero() -> None:
    """Two characters that decode alike are not the same token: only the canonical one is read (RFC 4648 §3.5)."""
    token = v2_token()  # 256 bytes of signature: 342 characters, 4 unused bits
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twins = [token[:-1] + alphabet[alphabet.index(token[-1]) + bit] for bit in (1, 7, 15)]

    assert [reason_of(twin) for twin in twins] == [R.TOKEN_MALFORMED] * 3


@pytest.mark.threat(26)
def test_the_other_ecdsa_signature_of_a_token_is_no_other_token() -> None:
    """(r, n - s) is as valid as (r, s), so nobody may know a token by its signature: both are judged alike."""
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    assert isinstance(oidc_key().private.curve, ec.SECP256R1)
    token = oidc_token()
    signed, _, signature = token.rpartition(".")
    raw = decode_base64url(signature.encode())
    s = order - int.from_bytes(raw[32:], "big")
    twin = f"{signed}.{b64url(raw[:32] + s.to_bytes(32, 'big'))}"

    assert twin != token
    assert ask(twin) == ask(token)


JSON_FORMS = [
    pytest.param(lambda h, p, s: json.dumps({"payload": p, "protected": h, "signature": s}), id="flattened"),
    pytest.param(
        lambda h, p, s: json.dumps({"payload": p, "signatures": [{"protected": h, "signature": s}]}), id="general"
    ),
    pytest.param(lambda h, p, s: json.dumps({"": f"{h}.{p}.{s}"}), id="hybrid"),
    pytest.param(lambda h, p, s: f'{h}.{p}.{s}{{"payload":"{p}"}}', id="compact, then JSON"),
    pytest.param(lambda h, p, s: f"{h}..{s}", id="detached"),
    pytest.param(lambda h, p, s: f"Bearer {h}.{p}.{s}", id="with its scheme"),
]  # fmt: skip


@pytest.mark.threat(8)
@pytest.mark.parametrize("form", JSON_FORMS)
def test_only_the_compact_form_is_read(form: Callable[[str, str, str], str]) -> None:
    """One form, one parser: JSON serialisations, hybrids and detached payloads are not tokens here."""
    assert reason_of(form(*v2_token().split("."))) is R.TOKEN_MALFORMED


@pytest.mark.threat(6)
@pytest.mark.parametrize("crit", [["exp"], ["b64"], [], "b64", ["x", "x"], ["alg"], None, {}])
def test_any_crit_is_refused(crit: Any) -> None:
    """We implement no extension, so whatever is critical is not understood (RFC 7515 §4.1.11)."""
    assert reason_of(cloud_key().sign(v2_claims(), crit=crit)) is R.HEADER_NOT_ALLOWED
    assert reason_of(cloud_key().sign(v2_claims(), crit=crit, b64=False)) is R.HEADER_NOT_ALLOWED


@pytest.mark.threat(4)
def test_a_key_in_the_header_is_never_followed() -> None:
    """A token that brings its own key, and is soundly signed by it, is refused before any key is looked up."""
    own = Signer("RS256", oidc_key().private, None)

    class Watched:
        def key_set(self, ref: object) -> Any:
            raise AssertionError("a key was looked up")

    for member in ({"jwk": cloud_key().jwk()}, {"x5c": ["AAAA"]}, {"jku": "https://keys.example/"}):
        token = Signer("ES256", own.private, "own").sign(v2_claims(), **member)
        decision = ask(token, keys=Watched())
        assert isinstance(decision, Denied)
        assert decision.reason is R.HEADER_NOT_ALLOWED


def test_the_thumbprint_of_a_certificate_is_no_key() -> None:
    """`x5t` stands in every v1 token of Entra's and is ignored."""
    assert isinstance(ask(cloud_key().sign(v2_claims(), x5t="FAKEkid0000000000000000000A")), Granted)


@pytest.mark.parametrize("typ", [None, "JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "Application/JWT"])
def test_access_token_types_are_taken(typ: str | None) -> None:
    """`typ` may be absent, or name an access token in any case, with or without `application/` (RFC 9068 §4)."""
    assert isinstance(ask(cloud_key().sign(v2_claims(), typ=... if typ is None else typ)), Granted)


def test_a_typ_of_64_characters_is_the_longest() -> None:
    """An issuer may have a `typ` of its own, up to 64 characters."""
    for length, reason in ((64, None), (65, R.TOKEN_TYPE_NOT_ALLOWED)):
        typ = "x" * length
        decision = ask(oidc_key().sign(oidc_claims(), typ=typ), oidc={"token_types": (typ,)})
        assert (decision.reason if isinstance(decision, Denied) else None) is reason


def test_an_issuer_may_be_held_to_its_token_types() -> None:
    """RFC 9068 strict mode: an issuer whose `token_types` is `at+jwt` alone has plain JWTs refused."""
    strict = {"oidc": {"token_types": ("at+jwt",)}}

    assert isinstance(ask(oidc_key().sign(oidc_claims(), typ="at+jwt"), **strict), Granted)
    refused = ask(oidc_token(), **strict)
    assert isinstance(refused, Denied)
    assert refused.reason is R.TOKEN_TYPE_NOT_ALLOWED


def test_headers_are_remembered_by_their_bytes_alone() -> None:
    """A remembered header cannot be changed, nor reached by another spelling; a refusal is found anew each time."""
    segment = v2_token().split(".")[0].encode()
    header = READER.parse_header(segment)

    assert READER.parse_header(bytes(bytearray(segment))) is header
    with pytest.raises(AttributeError):
        header.alg = "none"  # type: ignore[misc]
    bad = b64url(json_bytes({"alg": "none"})).encode()
    for _ in range(2):
        with pytest.raises(Refused):
            READER.parse_header(bad)


@pytest.mark.threat(11)
def test_a_refusal_never_quotes_the_token() -> None:
    """Details say what is wrong by name and number; the bytes stay where they are."""
    for token in (v2_token(pad="x" * 20_000), v2_token() + "==", v2_token().replace(".", ""), "secret-opaque-token"):
        with pytest.raises(Refused) as caught:
            READER.prove(READER.take_apart(token))
        assert len(caught.value.detail) < 200
        assert not any(part and part in caught.value.detail for part in token.split("."))


# The ground: base64url, JSON, identities, GUIDs.


@pytest.mark.parametrize("place", range(8))
def test_no_other_byte_stands_in_base64url(place: int) -> None:
    """Each of the 192 bytes outside the alphabet is refused wherever it stands."""
    alphabet = set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    for byte in range(256):
        segment = b"A" * place + bytes([byte]) + b"A" * (7 - place)
        if byte in alphabet:
            assert b64url(decode_base64url(segment)).encode() == segment
        else:
            with pytest.raises(Unreadable):
                decode_base64url(segment)


@given(st.binary(max_size=70))
def test_every_value_has_one_base64url_spelling(raw: bytes) -> None:
    """What is read is what would be written: no other spelling decodes to the same bytes."""
    assert decode_base64url(b64url(raw).encode()) == raw


@given(st.one_of(st.binary(max_size=12), st.text("AQgwZz09-_+/= \n\r\t.\x00\x0b\x7f", max_size=14).map(str.encode)))
def test_base64url_is_read_only_as_it_is_written(segment: bytes) -> None:
    """Whatever decodes at all encodes back to itself."""
    try:
        raw = decode_base64url(segment)
    except Unreadable:
        return
    assert b64url(raw).encode() == segment


JSON_VALUES = st.one_of(
    st.none(), st.booleans(), st.floats(allow_nan=False, allow_infinity=False), st.integers(), st.text()
)


@given(st.dictionaries(st.text(max_size=5), JSON_VALUES, max_size=5))
def test_json_is_read_as_python_reads_it(value: dict[str, Any]) -> None:
    """The fast reader and the standard library agree on every strict document."""
    raw = json.dumps(value).encode()

    assert read_object(raw) == json.loads(raw) == read_document(raw)


@pytest.mark.parametrize(
    ("value", "sane"),
    [
        ("a", True), ("a b", True), ("é", True), ("日本", True), ("x" * 512, True), ("x" * 513, False), ("", False),
        ("e\u0301", False), ("a\tb", False), ("\u200b", False), ("\u202e", False), ("\U000e0001", False),
        ("\ud800", False), (None, False), (7, False), (b"a", False), (["a"], False),
    ],
)  # fmt: skip
def test_an_identity_is_printable_and_normalised(value: object, sane: bool) -> None:
    """Who is named in logs and compared byte for byte must look like what it is."""
    assert is_identity(value) is sane


@pytest.mark.parametrize(
    "value",
    [
        "", ACME_TID[:-1], ACME_TID + "0", f"{{{ACME_TID}}}", ACME_TID.replace("-", ""), ACME_TID.replace("-", "_"),
        ACME_TID.replace("b", "g"), " " + ACME_TID[1:], ACME_TID[:35] + "\n", "٠" * 8 + ACME_TID[8:],
        "０" + ACME_TID[1:],
        "-" * 36, None, 7, [ACME_TID], b"x" * 36, f"{ACME_TID[:7]}--{ACME_TID[9:]}",
    ],
)  # fmt: skip
def test_what_is_no_guid_is_none(value: object) -> None:
    """GUIDs are 8-4-4-4-12 ASCII hexadecimal digits and nothing else."""
    assert guid_bytes(value) is None
    if isinstance(value, str):
        assert guids_bytes([ACME_TID, value, ACME_TID]) is None


_GUIDS = st.uuids().map(str) | st.uuids().map(lambda each: str(each).upper())
_NEARLY = st.tuples(_GUIDS, st.integers(0, 36), st.integers(0, 3), st.text(alphabet="0-aG \n٠\ud800", max_size=3)).map(
    lambda each: each[0][: each[1]] + each[3] + each[0][each[1] + each[2] :]
)


@given(st.lists(_GUIDS | _NEARLY, max_size=5))
@example([ACME_TID[:-1], "0" + ACME_TID])
@example([ACME_TID, ACME_TID])
def test_many_guids_are_read_as_each_is(values: list[str]) -> None:
    """All of them, or none: what is too short is not made up for by what follows it."""
    each = [guid_bytes(value) for value in values]

    found = guids_bytes(values)

    assert found is None if None in each else list(found or ()) == each


def test_guids_differ_in_case_only_on_paper() -> None:
    """A GUID in capitals is the same 16 bytes; it is written in lower case."""
    raw = guid_bytes(ACME_TID.upper())

    assert raw is not None
    assert guid_text(raw) == ACME_TID


@given(st.one_of(st.text(), st.binary(), st.integers(), st.lists(st.text())))
def test_shown_values_are_bounded_visible_ascii(value: object) -> None:
    """A value from a token cannot break a line, forge a field or fill a log."""
    text = shown(value)

    assert len(text) <= 100
    assert text.replace("…", "").isascii()
    assert text.replace("…", "").isprintable()


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'{"a":1,"a":2}', "duplicate member a"),
        (b"\xff", "not UTF-8"),
        (b'{"a":NaN}', "NaN is not JSON"),
        (b'{"a":1e999}', "out of range"),
        (b'{"a":-1.5e309}', "out of range"),
        (b"{", "line 1 column 2"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":"\\ud800"}', "lone surrogate"),
        (b'{"\\uDFFF":1}', "lone surrogate"),
    ],
)
def test_an_operators_document_is_read_strictly_too(raw: bytes, said: str) -> None:
    """A policy file of any size is held to the same rules, and the error names the place."""
    with pytest.raises(Unreadable, match=said):
        read_document(raw)


def test_escaped_characters_are_characters() -> None:
    """A pair of surrogates spells one character; a backslash before `ud800` spells none."""
    assert read_document(b'["\\ud83d\\ude00", "\\\\ud800"]') == ["\U0001f600", "\\ud800"]
