"""Policy files: `FileSource` over TOML and JSON, and with it every rule of `core.rules`.

An input is `T` and a TOML file, or `J` and a JSON file. Beside it lies `keys.json`, a key document it may name.
"""

from __future__ import annotations

import base64
import functools
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Final, get_args

import msgspec

from tenantgate.core.index import PolicyIndex
from tenantgate.core.keys import StaticKeys
from tenantgate.core.policy import (
    KINDS,
    AppOnlyRule,
    CredentialStrength,
    IssuerRow,
    PartnerState,
    PolicyError,
    PolicySnapshot,
    TokenRoles,
    decode_row,
    encode_row,
)
from tenantgate.core.rules import check_references, check_row
from tenantgate.feed.file import FileSource
from tests.builders import CONSUMER_TID, INITECH_CLIENT, INITECH_TID, json_bytes, policy_rows
from tests.fuzz.shapes import changed, document, text
from tests.fuzz.target import Change, Target, check_words, vector_files
from tests.fuzz.tokens import KEY
from tests.real_parts import ROOT

PAGE: Final = (ROOT / "docs" / "policy-file.md").read_text()
CODES: Final = frozenset(re.findall(r"`([a-z_0-9]+)`", PAGE.split("\n## Errors\n")[1].split("\n## ")[0]))
KEY_FILE: Final = json_bytes({"keys": [KEY.jwk()]})
TEMPLATES: Final = (
    "{tenantid}",
    "https://{tenantid}/",
    "https://sts.cloud.example/{tenantid}/",
    "https://a/{tenantid}{tenantid}",
)
IDS: Final = (
    "cloud",
    "oidc",
    "acme",
    "acme_tenant",
    "home",
    "acme_daemon",
    "orders",
    "orders_read",
    "a",
    "A",
    "",
    "nobody",
)
URLS: Final = (
    "https://login.cloud.example",
    "https://id.example/",
    "http://localhost:1",
    "https://a@b",
    "https://[::1",
    "x",
)
WORDS: Final[dict[str, tuple[Any, ...]]] = {
    **dict.fromkeys(("id", "issuer", "partner", "tenant", "daemon", "resource", "app_role"), IDS),
    **dict.fromkeys(("authority", "metadata_url", "v1_metadata_url"), URLS),
    **dict.fromkeys(("v1_issuer", "v2_issuer"), TEMPLATES),
    **dict.fromkeys(("ends_at", "not_before", "expires_at", "max_lifetime", "clock_skew"), (0, 1, 600, 2**60, 1.5)),
    **dict.fromkeys(("hosted", "tenant_wide_roles", "show_reasons", "insecure_allow_http"), (True, False)),
    **dict.fromkeys(("oid", "client_id", "tid"), (INITECH_CLIENT, INITECH_TID, INITECH_TID.upper(), CONSUMER_TID, "x")),
    **dict.fromkeys(("jwks_file", "v1_jwks_file"), ("keys.json", "../keys.json", "none.json", "\x00", ".")),
    **dict.fromkeys(("jwks", "v1_jwks"), (json.loads(KEY_FILE), {"keys": []}, {"keys": [{}]}, {})),
    "version": (1, 2, "1", True),
    "kind": ("entra", "oidc", "saml"),
    "state": (*get_args(PartnerState), "gone"),
    "app_only": get_args(AppOnlyRule),
    "token_roles": get_args(TokenRoles),
    "min_credential": get_args(CredentialStrength),
    "audiences": (["api://orders.example"], ["a", "a"], [INITECH_TID.upper()], [" "]),
    "value": ("Orders.Read", "Orders.Write", "a b", 'a"', "a,b", ""),
    "subject": ("svc", "e\u0301", "\u202e"),
    "name": ("Acme", "", " x", "\u2028"),
    "client_id_claim": ("cid", "c d"),
    "jwks_hosts": (["keys.example"], ["KEYS.example:443"], ["-"], ["[::1]"]),
    "algorithms": (["RS256"], ["EdDSA", "ES256"], ["none"], ["HS256"]),
    "token_types": (["JWT"], [], ["at+jwt", "x y"]),
    **{f"{kind}s": ([], [{}], {}, [{"id": "a"}]) for kind in KINDS},
}  # fmt: skip


@functools.cache
def folder() -> tempfile.TemporaryDirectory[str]:
    """Return the folder the files lie in: in memory where there is one, and gone when the process ends."""
    memory = Path("/dev/shm")
    made = tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)
    (Path(made.name) / "keys.json").write_bytes(KEY_FILE)
    return made


def run(data: bytes) -> None:
    """Load a policy file. What is loaded is right by every rule, can be enforced, and can be written and read again."""
    suffix = {b"T": ".toml", b"J": ".json"}.get(data[:1])
    if suffix is None:
        return
    found, again = loaded(data[1:], suffix), loaded(data[1:], suffix)
    if found is None or again is None:
        assert found is again, "read twice, and once refused"
        return
    assert encoded(found) == encoded(again), "read twice, read otherwise"
    check_rules(found)
    check_rows(found)
    written = loaded(as_file(found), ".json")
    assert written is not None, "what was read, written down anew, is refused"
    assert encoded(written) == encoded(found), "what was read is not what is written"


def loaded(raw: bytes, suffix: str) -> PolicySnapshot | None:
    """Return the policy in a file, or None where it is refused: with a known code and the path of a member."""
    path = Path(folder().name) / f"policy{suffix}"
    path.write_bytes(raw)
    try:
        return FileSource(path).load()
    except PolicyError as error:
        check_refusal(error)
        return None


def check_refusal(error: PolicyError) -> None:
    """The code is on the page; the path is our own words, or a name from the file made visible."""
    assert error.code in CODES, error
    check_words(error.path, 10_000)
    assert error.path.replace("…", "").isascii()


def encoded(policy: PolicySnapshot) -> list[bytes]:
    """Return the rows as they travel."""
    return [encode_row(row) for row in policy.rows]


def check_rules(policy: PolicySnapshot) -> None:
    """Rows that were let through pass again unchanged, alone and together, and a gate can enforce them."""
    rows = [row.data for row in policy.rows if row.data is not None]
    assert len(rows) == len(policy.rows)
    for row in rows:
        assert msgspec.json.encode(check_row(row)) == msgspec.json.encode(row), "checked twice, changed twice"
    check_references(rows)
    index = PolicyIndex.from_snapshot(policy)
    StaticKeys(entry.row for entry in index.issuers.values())
    for row in rows:
        if isinstance(row, IssuerRow) and row.kind == "oidc":
            match = index.find_issuer(row.issuer or "")
            assert match is not None
            assert match.entry.row.id == row.id


def check_rows(policy: PolicySnapshot) -> None:
    """A row that travels arrives as it was sent."""
    for row in policy.rows:
        assert encode_row(decode_row(encode_row(row))) == encode_row(row)


def as_file(policy: PolicySnapshot) -> bytes:
    """Write a policy as a JSON file: every member, defaults and all."""
    whole: dict[str, Any] = {"version": 1}
    for row in policy.rows:
        whole.setdefault(f"{row.kind}s", []).append(json.loads(msgspec.json.encode(row.data)))
    return json_bytes(whole)


def seeds() -> Iterator[bytes]:
    """Yield the page's examples, the built policy whole and by parts, and published vectors as files."""
    for language, form in (("toml", b"T"), ("json", b"J")):
        yield from (form + each.encode() for each in re.findall(rf"(?ms)^```{language}\n(.*?)^```$", PAGE))
    keys = {"jwks": json.loads(KEY_FILE)}
    changes = {"cloud": {"jwks": None, "v1_jwks": None}, "oidc": keys}
    whole: dict[str, Any] = {"version": 1}
    for row in policy_rows(**changes):
        kind = next(kind for kind, struct in KINDS.items() if type(row) is struct)
        whole.setdefault(f"{kind}s", []).append(msgspec.to_builtins(row))
        yield b"J" + json_bytes(whole)
    yield b'Tversion = 1\n[[partners]]\nid = "acme"\nname = "Acme"\nends_at = 1979-05-27T07:32:00Z\n'
    yield b'Tversion = 1\n[[issuers]]\nid = "a"\nkind = "oidc"\nissuer = "https://a.example"\njwks_file = "keys.json"\n'
    for path in vector_files("jsontestsuite", "test_parsing.json"):
        for case in json.loads(path.read_bytes()):
            yield b'J{"version":1,"partners":' + base64.b64decode(case["b64"])[:4_000] + b"}"


def mutate(data: bytes, number: int, change: Change) -> bytes:
    """Change one member of a JSON file; of a TOML file the bytes."""
    random = Random(number)
    if data[:1] != b"J" or random.random() < 0.1:
        return change(data)
    return b"J" + text(changed(document(data[1:]), random, change, WORDS))


TARGET: Final = Target(run, seeds, mutate, 32_768)
