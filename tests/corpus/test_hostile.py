"""The corpus: every token has exactly the answer its file says, and the files are what the script makes."""

from __future__ import annotations

import base64
import copy
import functools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from tenantgate.core.decide import decide
from tenantgate.core.decision import Decision, DenialReason, Denied, Granted
from tenantgate.core.index import PolicyIndex
from tenantgate.core.keys import StaticKeys
from tenantgate.core.policy import PolicySnapshot, row_of
from tenantgate.feed.file import parse_policy
from tenantgate.gate.gate import Gate
from tests.core.cases import NO_REASON_BY_TOKEN
from tests.corpus.files import FOLDER, Filed, documents, filed
from tests.corpus.keys import SMALL_ORDER
from tests.corpus.make import FAMILIES, main
from tests.gate.world import a_gate, a_view

CASES = filed()
every_case = pytest.mark.parametrize("filed", [pytest.param(each, id=each.name) for each in CASES])

# Not a token's doing: keys of an age that no file can have, and a policy that knows no such resource.
BESIDE = frozenset((DenialReason.KEY_SET_TOO_OLD, DenialReason.POLICY_UNAVAILABLE, DenialReason.SUBJECT_NOT_PINNED))


@functools.cache
def snapshot(family: str) -> PolicySnapshot:
    """Return the policy that a file carries."""
    rows = parse_policy(copy.deepcopy(documents()[family]["policy"]), Path())
    return PolicySnapshot(epoch=family, revision=1, rows=tuple(row_of(row, 1) for row in rows))


@functools.cache
def judged_by(family: str) -> tuple[PolicyIndex, StaticKeys]:
    """Return that policy as an index, with the keys its issuers carry."""
    index = PolicyIndex.from_snapshot(snapshot(family))
    return index, StaticKeys(entry.row for entry in index.issuers.values())


Gates = Callable[[Filed], Gate]


@pytest.fixture(scope="module")
def gate_for() -> Iterator[Gates]:
    """Returns the gate a case is asked at: over its file's policy, for its resource, the clock at the file's `now`."""
    made: dict[tuple[str, str], Gate] = {}

    def get(filed: Filed) -> Gate:
        family, now = filed.document["family"], filed.document["now"]
        place = (family, filed.resource)
        if place not in made:
            made[place] = a_gate(news=snapshot(family), now=lambda: now, resource=filed.resource)
        return made[place]

    yield get
    for gate in made.values():
        gate.close()


def same(decision: Decision, case: dict[str, Any], reason: str | None) -> bool:
    """Whether a decision is the one a case wants: the very reason, or the very caller."""
    if isinstance(decision, Denied):
        return decision.reason.value == reason
    who = case.get("granted_to")
    return reason is None and (decision.principal.partner, decision.principal.client_id) == (
        who["partner"],
        who["client_id"],
    )


@every_case
def test_each_token_is_judged_as_its_file_says(filed: Filed) -> None:
    """The whole judgement of a token gives exactly the file's reason, or lets in exactly whom it names."""
    index, keys = judged_by(filed.document["family"])

    decision = decide(filed.case["token"], index, keys, filed.resource, filed.roles, filed.document["now"])

    assert isinstance(decision, Granted | Denied)
    assert same(decision, filed.case, filed.case["reason"]), decision


@every_case
def test_each_token_has_the_same_answer_at_a_gate(filed: Filed, gate_for: Gates) -> None:
    """Presented in a header, a token has the same answer, new and remembered, unless the header is refused before."""
    reason = filed.case.get("reason_in_header", filed.case["reason"])

    for _ in range(2):
        decision = gate_for(filed).decide(a_view(filed.case["token"]), filed.roles)
        assert same(decision, filed.case, reason), decision


def test_the_files_are_what_the_script_makes(capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m tests.corpus.make --check` finds nothing that differs."""
    assert main(["--check"]) == 0
    assert capsys.readouterr().out == ""


def test_check_finds_what_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A changed, a missing and a superfluous file are each named, and nothing is written."""
    monkeypatch.setattr("tests.corpus.make.FOLDER", tmp_path)
    assert main([]) == 0
    (tmp_path / "time.json").write_text("{}")
    (tmp_path / "json.json").unlink()
    (tmp_path / "other.json").write_text("{}")
    capsys.readouterr()

    assert main(["--check"]) == 1
    assert capsys.readouterr().out.split() == ["json.json", "differs", "other.json", "differs", "time.json", "differs"]
    assert main([]) == 0
    assert main(["--check"]) == 0


def test_there_are_enough_tokens_of_each_sort() -> None:
    """More than 120 hostile tokens for any validator, and good ones of every form, so that refusing all is no pass."""
    hostile = [each for each in CASES if each.case["reason"] is not None]

    assert len([each for each in hostile if each.case["scope"] == "token"]) > 350
    assert len([each for each in hostile if each.case["scope"] == "policy"]) > 25
    good = Counter(each.case["trust"] for each in CASES if each.case["reason"] is None)
    assert set(good) == {"acme-v1", "acme-v2", "globex", "hooli", "umbrella", "soylent"}


def test_names_are_unique() -> None:
    """A name means one token, whatever file it is in."""
    assert [name for name, count in Counter(each.name for each in CASES).items() if count > 1] == []


def test_no_token_stands_twice_without_another_question() -> None:
    """A second copy of a token under another name would only look like one more."""
    asked = Counter((each.case["token"], each.roles, each.resource) for each in CASES)

    assert [question for question, count in asked.items() if count > 1] == []


def test_every_reason_a_token_leads_to_appears() -> None:
    """Each reason that a token can be refused for has a token here."""
    told = {DenialReason(each.case["reason"]) for each in CASES if each.case["reason"] is not None}

    assert told == set(DenialReason) - NO_REASON_BY_TOKEN - BESIDE


def test_every_family_has_its_file() -> None:
    """The files are the families, each with its sentence and the members that the page describes."""
    assert set(documents()) == set(FAMILIES)
    for family, document in documents().items():
        assert document["family"] == family
        assert document["about"] == FAMILIES[family]
        assert document["cases"]


def test_each_case_says_what_it_attacks() -> None:
    """A sentence, a scope, an issuer that the file has, and who comes in where somebody does."""
    for each in CASES:
        case = each.case
        assert re.fullmatch(r"[a-z0-9-]+", case["name"])
        assert re.fullmatch(r"[A-Z].*\.", case["attacks"]), case["name"]
        assert case["scope"] in ("token", "policy")
        assert case["trust"] in each.document["trust"]
        assert (case["reason"] is None) == ("granted_to" in case)


def test_the_page_describes_every_member() -> None:
    """tests/corpus/README.md has each member of a file and of a case, and no other."""
    page = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
    told = set(re.findall(r"(?m)^\| `(\w+)` \|", page))
    used = {name for document in documents().values() for name in document}
    used |= {name for each in CASES for name in each.case}
    used |= {name for document in documents().values() for trust in document["trust"].values() for name in trust}

    assert told == used


def refuse_all(*_: object) -> None:
    """Let nothing in."""
    raise PermissionError


def test_the_example_for_other_projects_works() -> None:
    """README's function finds every good token where all is refused, and every hostile one where nothing is."""
    page = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
    [block] = re.findall(r"(?ms)^```python\n(.*?)^```$", page)
    module: dict[str, Any] = {}
    exec(block, module)
    asked = [each for each in CASES if each.case["scope"] == "token"]

    wrong = module["wrong_answers"](FOLDER, refuse_all)
    assert sorted(wrong) == sorted(each.name for each in asked if each.case["reason"] is None)
    wrong = module["wrong_answers"](FOLDER, lambda *_: None)
    assert sorted(wrong) == sorted(each.name for each in asked if each.case["reason"] is not None)


# Is `forged` true? Asked of `cryptography`, not of the code under test.


def octets(text: str) -> bytes:
    """Decode base64url, forgiving what is not of it."""
    kept = re.sub(r"[^A-Za-z0-9_-]", "", text)
    return base64.urlsafe_b64decode(kept + "=" * (-len(kept) % 4))


def number(text: str) -> int:
    """Return a number of a JWK."""
    return int.from_bytes(octets(text), "big")


def holds(jwk: dict[str, Any], signed: bytes, spelled: str) -> bool:
    """Whether a signature is this key's over `signed`, in the key's own algorithm."""
    try:
        signature = octets(spelled)
        if jwk["kty"] == "RSA":
            salted = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
            scheme = salted if jwk.get("alg") == "PS256" else padding.PKCS1v15()
            public = rsa.RSAPublicNumbers(number(jwk["e"]), number(jwk["n"])).public_key()
            public.verify(signature, signed, scheme, hashes.SHA256())
        elif jwk["kty"] == "EC":
            point = ec.EllipticCurvePublicNumbers(number(jwk["x"]), number(jwk["y"]), ec.SECP256R1()).public_key()
            der = utils.encode_dss_signature(
                *(int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
            )
            point.verify(der if len(signature) == 64 else b"", signed, ec.ECDSA(hashes.SHA256()))
        elif jwk["kty"] == "OKP":
            ed25519.Ed25519PublicKey.from_public_bytes(octets(jwk["x"])).verify(signature, signed)
        else:
            return False
    except (InvalidSignature, ValueError):
        return False
    return True


def compact(token: str) -> str:
    """Return a token as its issuer spelled it: without JSON around it, or escapes in it."""
    parts = json.loads(token) if token.startswith("{") else {}
    if parts and parts.keys() <= {"protected", "payload", "signature", "signatures"}:
        one = parts["signatures"][1] if "signatures" in parts else parts
        return f"{one['protected']}.{parts['payload']}.{one['signature']}"
    return token.replace("%2E", ".")


def named_key(filed: Filed, header: str) -> dict[str, Any]:
    """Return the key that a header names in the issuer's document, or else the first, which signs good tokens."""
    jwks = filed.trust["jwks"]["keys"]
    if filed.name == "tid-at-another-cloud":  # the other cloud's own, and so no other's forgery
        [jwks] = [each["jwks"]["keys"] for each in filed.document["policy"]["issuers"] if each["id"] == "second"]
    try:
        kid = json.loads(octets(header))["kid"]
    except (ValueError, KeyError, TypeError):
        kid = None
    return next((jwk for jwk in jwks if jwk["kid"] == kid), jwks[0])


def is_for(jwk: dict[str, Any], filed: Filed) -> bool:
    """Whether a published key is for the signatures of the issuer's tokens, and its owner's alone to make."""
    issuer = jwk.get("issuer", filed.trust["issuer"])
    return (
        jwk.get("use", "sig") == "sig"
        and "verify" in jwk.get("key_ops", ["verify"])
        and jwk.get("alg", "RS256") in filed.trust["algorithms"]
        and ("{tenantid}" in issuer or issuer == filed.trust["issuer"])
        and "d" not in jwk
        and octets(jwk.get("x", "")) != SMALL_ORDER
    )


@every_case
def test_forged_is_what_the_issuer_did_not_sign(filed: Filed) -> None:
    """A key the issuer publishes for this signed what is not called forged, and nothing that is."""
    signed, _, signature = compact(filed.case["token"]).rpartition(".")
    jwk = named_key(filed, signed.partition(".")[0])

    assert (holds(jwk, signed.encode(), signature) and is_for(jwk, filed)) is not filed.case["forged"]
