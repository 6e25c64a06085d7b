"""JSONTestSuite's parsing cases, and what our readers make of them: stricter than upstream, never laxer."""

from __future__ import annotations

import base64
import json
from typing import Final, NamedTuple

from tests.real_parts import vectors_dir

_TWICE: Final = "a member name twice"
_TOO_LARGE: Final = "a number beyond what a float holds"
_SURROGATE: Final = "a lone surrogate"
_NOT_UTF8: Final = "not UTF-8"
_BOM: Final = "a byte-order mark"
_DEEP: Final = "nested deeper than 16"

STRICTER: Final = {
    "y_object_duplicated_key.json": _TWICE,
    "y_object_duplicated_key_and_value.json": _TWICE,
}
"""Must be accepted by upstream's label, refused here, and why."""

REFUSED: Final = {
    "i_number_huge_exp.json": _TOO_LARGE,
    "i_number_neg_int_huge_exp.json": _TOO_LARGE,
    "i_number_pos_double_huge_exp.json": _TOO_LARGE,
    "i_number_real_neg_overflow.json": _TOO_LARGE,
    "i_number_real_pos_overflow.json": _TOO_LARGE,
    "i_object_key_lone_2nd_surrogate.json": _SURROGATE,
    "i_string_1st_surrogate_but_2nd_missing.json": _SURROGATE,
    "i_string_1st_valid_surrogate_2nd_invalid.json": _SURROGATE,
    "i_string_UTF-16LE_with_BOM.json": _NOT_UTF8,
    "i_string_UTF-8_invalid_sequence.json": _NOT_UTF8,
    "i_string_UTF8_surrogate_U+D800.json": _NOT_UTF8,
    "i_string_incomplete_surrogate_and_escape_valid.json": _SURROGATE,
    "i_string_incomplete_surrogate_pair.json": _SURROGATE,
    "i_string_incomplete_surrogates_escape_valid.json": _SURROGATE,
    "i_string_invalid_lonely_surrogate.json": _SURROGATE,
    "i_string_invalid_surrogate.json": _SURROGATE,
    "i_string_invalid_utf-8.json": _NOT_UTF8,
    "i_string_inverted_surrogates_U+1D11E.json": _SURROGATE,
    "i_string_iso_latin_1.json": _NOT_UTF8,
    "i_string_lone_second_surrogate.json": _SURROGATE,
    "i_string_lone_utf8_continuation_byte.json": _NOT_UTF8,
    "i_string_not_in_unicode_range.json": _NOT_UTF8,
    "i_string_overlong_sequence_2_bytes.json": _NOT_UTF8,
    "i_string_overlong_sequence_6_bytes.json": _NOT_UTF8,
    "i_string_overlong_sequence_6_bytes_null.json": _NOT_UTF8,
    "i_string_truncated-utf-8.json": _NOT_UTF8,
    "i_string_utf16BE_no_BOM.json": _NOT_UTF8,
    "i_string_utf16LE_no_BOM.json": _NOT_UTF8,
    "i_structure_500_nested_arrays.json": _DEEP,
    "i_structure_UTF-8_BOM_empty_object.json": _BOM,
}
"""Left to the implementation by upstream, refused here, and why. The rest of that class are numbers, and read."""


class Document(NamedTuple):
    """One case: its name, what upstream says (must-accept, must-reject, implementation-defined), its bytes."""

    name: str
    label: str
    raw: bytes

    @property
    def readable(self) -> bool:
        """Whether our readers take it where any JSON value may stand."""
        return self.label != "must-reject" and self.name not in STRICTER and self.name not in REFUSED

    @property
    def is_object(self) -> bool:
        """Whether it is one of the readable cases that are a JSON object."""
        return self.readable and self.raw.strip(b" \n\r\t").startswith(b"{")


def read() -> list[Document]:
    """Return all cases."""
    packed = json.loads((vectors_dir("jsontestsuite") / "test_parsing.json").read_bytes())
    return [Document(each["name"], each["class"], base64.b64decode(each["b64"])) for each in packed]


def within(raw: bytes, document: Document) -> bytes:
    """Return a JSON object with the document as the value of one more member."""
    return raw[:-1] + b',"case":' + document.raw + b"}"
