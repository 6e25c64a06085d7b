"""What a recipe is: a good token, the one thing that is spoiled in it, and what that attacks.

Recipes draw no randomness of their own, so that the same good token and keys always give the same spoiled one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from tenantgate.emulator.directory import TokenVersion
from tenantgate.emulator.keys import SigningKey, base64url

ABSENT: Final = ...
"""As the value of a member: take it away."""


class Key(Protocol):
    """What signs: a key with a name."""

    @property
    def kid(self) -> str:
        """The name the key is published under."""
        ...

    def sign(self, signing_input: bytes) -> bytes:
        """Sign as the issuer's good tokens are signed."""
        ...


@dataclass(frozen=True, slots=True)
class Sound:
    """A good token before it is spoiled. `now` is epoch seconds.

    `key` is published for the issuer that `claims` name. `stranger` is published by nobody. `bound` is published
    for another tenant alone; None where there is no such key.
    """

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    key: Key
    stranger: SigningKey
    bound: Key | None
    now: int

    @property
    def rsa(self) -> SigningKey:
        """The issuer's key, for recipes that need its RSA form."""
        assert isinstance(self.key, SigningKey)
        return self.key

    def iss_of(self, tid: str) -> str:
        """Return the `iss` of another tenant of the same cloud."""
        return str(self.claims["iss"]).replace(self.claims["tid"], tid)

    def token(
        self,
        header: Mapping[str, Any] | bytes | None = None,
        payload: Mapping[str, Any] | bytes | None = None,
        sign: Sign | None = None,
    ) -> str:
        """Return a compact token (RFC 7515 §7.1); bytes are taken as they are, None is what is sound."""
        return self.compact(
            base64url(_octets(self.header if header is None else header)),
            base64url(_octets(self.claims if payload is None else payload)),
            sign,
        )

    def compact(self, header: str, payload: str, sign: Sign | None = None) -> str:
        """Return a token over two segments as they are spelled, signed by the issuer's key unless `sign` is given."""
        signed = f"{header}.{payload}".encode("ascii")
        return f"{header}.{payload}.{base64url(self.key.sign(signed) if sign is None else sign(self, signed))}"


Sign = Callable[[Sound, bytes], bytes]
"""Makes the signature over a signing input, whatever the header claims."""

Spoil = Callable[[Sound], str]


class Recipe(NamedTuple):
    """One spoiled token. `attacks` is one sentence; `reference` is a section, an advisory, or nothing.

    `reason` is the refusal that TenantGate's default rules give; `in_header` is given instead where the token comes
    in an Authorization header that is refused as such. `forged`: the issuer has made no such signature. `version`
    is the form of the good token it starts from.
    """

    name: str
    reason: str
    attacks: str
    reference: str
    spoil: Spoil
    forged: bool = False
    version: TokenVersion = 2
    in_header: str = ""
    family: str = ""


def json_bytes(value: Any) -> bytes:
    """Return compact JSON in UTF-8 (NaN and infinities as Python writes them, lone surrogates as escapes)."""
    return json.dumps(value, separators=(",", ":")).encode()


def changed(base: Mapping[str, Any], changes: Mapping[str, Any], sound: Sound) -> dict[str, Any]:
    """Return `base` with `changes` on top: ABSENT takes a member away, a function is asked with the good token."""
    answers = {name: value(sound) if callable(value) else value for name, value in changes.items()}
    return {name: value for name, value in {**base, **answers}.items() if value is not ABSENT}


def spoil_header(
    name: str,
    reason: str,
    attacks: str,
    reference: str = "",
    *,
    sign: Sign | None = None,
    **members: Any,
) -> Recipe:
    """Change members of the header. With `sign` somebody else signs, and the token is forged."""

    def spoil(sound: Sound) -> str:
        return sound.token(header=changed(sound.header, members, sound), sign=sign)

    return Recipe(name, reason, attacks, reference, spoil, forged=sign is not None)


def spoil_claims(
    name: str, reason: str, attacks: str, reference: str = "", *, version: TokenVersion = 2, **claims: Any
) -> Recipe:
    """Change claims; the issuer signs what comes out."""

    def spoil(sound: Sound) -> str:
        return sound.token(payload=changed(sound.claims, claims, sound))

    return Recipe(name, reason, attacks, reference, spoil, version=version)


def spoil_payload(
    name: str, reason: str, attacks: str, reference: str, payload: Callable[[Mapping[str, Any]], bytes]
) -> Recipe:
    """Write the payload's bytes; the issuer signs them."""
    return Recipe(name, reason, attacks, reference, lambda sound: sound.token(payload=payload(sound.claims)))


def family(name: str, *recipes: Recipe) -> tuple[Recipe, ...]:
    """Return the recipes with their family's name."""
    return tuple(recipe._replace(family=name) for recipe in recipes)


def _octets(value: Mapping[str, Any] | bytes) -> bytes:
    return value if isinstance(value, bytes) else json_bytes(value)
