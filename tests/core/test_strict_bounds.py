"""Where the strict readers draw their lines, with limits of one's own, and the words with which they refuse."""

from __future__ import annotations

from typing import Any

import pytest

from tenantgate.core.decision import DenialReason as R
from tenantgate.core.limits import Limits
from tenantgate.core.strict import (
    ObjectReader,
    Unreadable,
    check_slowly,
    decode_base64url,
    decode_segment,
    prove_unique,
    read_document,
    shown,
)
from tenantgate.core.token import Refused, TokenReader
from tests.builders import b64url, json_bytes

SMALL = Limits(depth=3, members=16)
HEADER = {"alg": "RS256", "kid": "k"}


def words(read: Any, raw: Any) -> str:
    """Return what is said of something that is refused."""
    with pytest.raises(Unreadable) as caught:
        read(raw)
    return str(caught.value)


@pytest.mark.parametrize(
    "raw",
    [
        json_bytes({f"m{n}": n for n in range(16)}),
        json_bytes({"l": list(range(16))}),
        json_bytes({"l": [{}, *range(15)]}),
        json_bytes({"o": {f"m{n}": n for n in range(16)}}),
        b'{"a":{"b":{}}}',
        b'{"a":[[]]}',
    ],
)
def test_a_document_may_reach_its_limits(raw: bytes):
    """As many members, elements and levels as the limits say."""
    reader = ObjectReader(SMALL)

    assert reader.read(raw) == reader.decode(raw)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (json_bytes({f"m{n}": n for n in range(17)}), "more than 16 members"),
        (json_bytes({"l": list(range(17))}), "more than 16 members"),
        (json_bytes({"l": [{}, *range(16)]}), "more than 16 members"),
        (json_bytes({"o": {f"m{n}": n for n in range(17)}}), "more than 16 members"),
        (b'{"a":{"b":{"c":{}}}}', "nested deeper than 3"),
        (b'{"a":[[[]]]}', "nested deeper than 3"),
        (json_bytes({"l": [[[]] * 16] * 16}), "nested deeper than 3"),
        (json_bytes({f"m{n}": [{}] * 15 for n in range(5)}), "more than 64 objects and lists"),
        (b"\xff", "not JSON in UTF-8"),
        (b"[]", "not a JSON object"),
        (b'{"a":1,"a":2}', "not strict JSON: duplicate names, constants or encoding"),
    ],
)
def test_a_document_beyond_its_limits_is_refused_by_name(raw: bytes, said: str):
    """One beyond, in whatever place."""
    assert words(ObjectReader(SMALL).read, raw) == said


def test_a_long_list_is_decoded_the_long_way_and_refused():
    """The quick decoder knows the limit as well: it must not pass what the slow one refuses."""
    reader = ObjectReader(SMALL)

    assert reader.decode_flat(json_bytes({"l": list(range(16))})) == {"l": list(range(16))}
    with pytest.raises(Exception, match="length <= 16"):
        reader.decode_flat(json_bytes({"l": list(range(17))}))


def test_other_spellings_are_proved_by_the_slow_way():
    """White space is no duplicate."""
    prove_unique({"a": 1}, b'{ "a" : 1 }')
    assert words(check_slowly, b'{"a":1,"a":2}') == "not strict JSON: duplicate names, constants or encoding"


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'{"a":1,"b":2,"a":3}', "duplicate member a"),
        (b'{"b":1,"a":2,"a":3,"c":4}', "duplicate member a"),
        (b'{"x":{"a":1,"a":1}}', "duplicate member a"),
        (b'{"a":1e999}', "a number is out of range"),
        (b'{"a":-1e999}', "a number is out of range"),
        (b'{"a":NaN}', "NaN is not JSON"),
        (b'{"a":-Infinity}', "-Infinity is not JSON"),
        (b'{"a":"\\ud800"}', "a lone surrogate is no character"),
        (b'{"a":"\\uD800"}', "a lone surrogate is no character"),
        (b"\xff", "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b"{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
    ],
)
def test_an_operators_document_is_refused_in_words(raw: bytes, said: str):
    """What is wrong, where, and never a value."""
    assert words(read_document, raw) == said


@pytest.mark.parametrize("value", ["caf\u00e9", "\u20ac", "\U0001f600"])
def test_an_operators_document_may_hold_any_character(value: str):
    """Written as such, or as an escape beside one that is none."""
    assert read_document(json_bytes({"a": value, "b": "x"})) == {"a": value, "b": "x"}
    assert read_document(b'{"a":"\\ud83d\\ude00"}') == {"a": "\U0001f600"}


OTHER = [b"A", b"AAAAA", b"AA\nA", b"A A", b"AA.A", b"\xff\xff\xff\xff"]


@pytest.mark.parametrize(
    ("decode", "segment"),
    [
        *((decode_base64url, segment) for segment in (b"AA==", b"A+AA", b"A/AA", *OTHER)),
        *((decode_segment, segment) for segment in OTHER),
    ],
)
def test_what_is_no_base64url_is_refused_in_words(decode: Any, segment: bytes):
    """One sentence, whatever is wrong."""
    assert words(decode, segment) == "not base64url without padding"


@pytest.mark.parametrize("segment", [b"AB", b"AAB", b"A9", b"AA-"])
def test_bits_that_nobody_reads_must_be_zero(segment: bytes):
    """Else one value had several spellings."""
    assert words(decode_segment, segment) == "not canonical base64url: unused bits are set"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x" * 100, "x" * 100),
        ("x" * 101, "x" * 99 + "…"),
        ("a'b", "a'b"),
        ("'", "'"),
        ("a\\b", "a\\\\b"),
        ("\\", "\\\\"),
        ("'\\", "'\\\\"),
        ("a'\"b", "a\\'\"b"),
        ('a"b', 'a"b'),
        ("a\nb", "a\\nb"),
        ("é", "\\xe9"),
        ("é" * 25, "\\xe9" * 25),
        ("é" * 26, ("\\xe9" * 26)[:99] + "…"),
        (7, "7"),
        (["a"], "['a']"),
        (None, "None"),
    ],
)
def test_a_value_is_shown_to_the_letter(value: object, text: str):
    """Bounded at a hundred characters, escaped where one of them could do anything."""
    assert shown(value) == text


def test_a_value_is_shown_as_short_as_is_asked_for():
    """The last of the allowed characters says that there was more."""
    assert [shown("abcd", limit) for limit in (3, 4, 5)] == ["ab…", "abcd", "abcd"]


def a_token(
    header: bytes | dict[str, Any] = HEADER, payload: bytes | dict[str, Any] = b"{}", signature: str = "AA"
) -> str:
    """Return an unsigned token, split as a token is."""
    head, body = (b64url(each if isinstance(each, bytes) else json_bytes(each)) for each in (header, payload))
    return f"{head}.{body}.{signature}"


def read_by(reader: TokenReader, token: str | bytes) -> bytes:
    """Read a token whole."""
    return reader.prove(reader.take_apart(token))


def refused(token: str | bytes, **limits: int) -> tuple[R, str]:
    """Return the reason and the words with which a reader of these limits refuses a token."""
    with pytest.raises(Refused) as caught:
        read_by(TokenReader(Limits(**limits)), token)
    assert str(caught.value) == caught.value.detail
    return caught.value.reason, caught.value.detail


def test_a_reader_has_the_limits_it_was_made_with():
    """Each of them, to the byte: on the line it reads, one beyond it refuses."""
    long_kid = a_token({"alg": "RS256", "kid": "k" * 120})
    wide, deep = a_token(payload={f"m{n}": "x" * 30 for n in range(17)}), a_token(payload={"a": {"b": {"c": 1}}})
    size, head = len(wide), len(long_kid.partition(".")[0])
    reader = TokenReader(Limits(token_bytes=size, header_bytes=head, kid_bytes=120, members=17, depth=3))

    for token in (long_kid, wide, deep):
        assert reader.prove(reader.take_apart(token)) == b"\x00"
    assert reader.limits.members == 17
    assert refused(wide, members=16) == (R.TOKEN_MALFORMED, "payload: more than 16 members")
    said = "kid is not a string of 1 to 119 bytes of printable characters"
    assert refused(long_kid, kid_bytes=119) == (R.HEADER_NOT_ALLOWED, said)
    assert refused(deep, depth=2) == (R.TOKEN_MALFORMED, "payload: nested deeper than 2")
    assert refused(wide, token_bytes=size - 1) == (R.TOKEN_TOO_LARGE, f"{size} bytes; {size - 1} are accepted")
    said = f"header of {head} bytes; {head - 1} are accepted"
    assert refused(long_kid, header_bytes=head - 1) == (R.TOKEN_TOO_LARGE, said)


@pytest.mark.parametrize(
    ("token", "reason", "said"),
    [
        ("", R.TOKEN_MALFORMED, "1 parts; a compact JWS has 3"),
        ("a", R.TOKEN_MALFORMED, "1 parts; a compact JWS has 3"),
        ("a.b", R.TOKEN_MALFORMED, "2 parts; a compact JWS has 3"),
        (".", R.TOKEN_MALFORMED, "2 parts; a compact JWS has 3"),
        ("a.b.c.d", R.TOKEN_MALFORMED, "4 parts; a compact JWS has 3"),
        ("a.b..", R.TOKEN_MALFORMED, "4 parts; a compact JWS has 3"),
        ("a.b..d", R.TOKEN_MALFORMED, "4 parts; a compact JWS has 3"),
        ("a.b.c.d.e", R.TOKEN_ENCRYPTED, "five parts: an encrypted token"),
        ("a..c.d.e", R.TOKEN_ENCRYPTED, "five parts: an encrypted token"),
        ("." * 200, R.TOKEN_MALFORMED, "100 parts; a compact JWS has 3"),
        ("é.b.c", R.TOKEN_MALFORMED, "characters outside ASCII"),
        ("a+b.c.d", R.TOKEN_MALFORMED, "not base64url without padding"),
        ("a/b.c.d", R.TOKEN_MALFORMED, "not base64url without padding"),
        ("a.c=.d", R.TOKEN_MALFORMED, "not base64url without padding"),
        (a_token(signature="A+"), R.TOKEN_MALFORMED, "not base64url without padding"),
        (a_token(signature="A/"), R.TOKEN_MALFORMED, "not base64url without padding"),
        (a_token(signature="A="), R.TOKEN_MALFORMED, "not base64url without padding"),
        (a_token(signature="A"), R.TOKEN_MALFORMED, "payload or signature: not base64url without padding"),
        (a_token(b"x"), R.TOKEN_MALFORMED, "header: not JSON in UTF-8"),
        (a_token(payload=b"[]"), R.TOKEN_MALFORMED, "payload: not a JSON object"),
        (
            a_token(payload=b'{"a":1,"a":2}'),
            R.TOKEN_MALFORMED,
            "payload or signature: not strict JSON: duplicate names, constants or encoding",
        ),
        (a_token({"alg": "RS256", "enc": "A128GCM"}), R.TOKEN_ENCRYPTED, "header names a content encryption"),
        (a_token({"alg": "HS256"}), R.ALGORITHM_NOT_ALLOWED, "alg is HS256"),
        (a_token({}), R.ALGORITHM_NOT_ALLOWED, "alg is None"),
        (a_token({"alg": "RS256", "jwk": {}, "crit": []}), R.HEADER_NOT_ALLOWED, "header holds crit"),
        (a_token({"alg": "RS256", "typ": "x" * 65}), R.TOKEN_TYPE_NOT_ALLOWED, "typ is not a short string"),
        (a_token({"alg": "RS256", "typ": 7}), R.TOKEN_TYPE_NOT_ALLOWED, "typ is not a short string"),
    ],
)  # fmt: skip
def test_a_token_is_refused_in_words(token: str, reason: R, said: str):
    """What is wrong with its form, and never its bytes."""
    assert refused(token) == (reason, said)


def test_a_header_is_remembered_by_its_bytes():
    """The same bytes give the same object, up to a bound; the oldest is forgotten."""
    reader = TokenReader()
    segments = [b64url(json_bytes({"alg": "RS256", "kid": f"k{n}"})).encode() for n in range(513)]
    first = reader.parse_header(segments[0])
    assert reader.parse_header(segments[0]) is first
    assert reader.parse_header(b64url(json_bytes({"alg": "RS256", "typ": "x" * 64})).encode()).typ == "x" * 64

    for segment in segments[1:]:
        reader.parse_header(segment)
    assert reader.parse_header(segments[0]) is not first
    assert reader._header.cache_info().maxsize == 512


def test_a_reader_may_take_longer_kids_than_anybody_has():
    """As long as its limit says, and no byte longer."""
    reader = TokenReader(Limits(kid_bytes=600, header_bytes=4096))

    for kid, taken in (("k" * 600, True), ("k" * 601, False), ("\u00e9" * 300, True), ("\u00e9" * 301, False)):
        token = a_token({"alg": "RS256", "kid": kid})
        if taken:
            assert reader.take_apart(token).header.kid == kid
        else:
            with pytest.raises(Refused):
                reader.take_apart(token)
