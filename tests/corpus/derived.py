"""The emulator's recipes with the corpus's keys: all of them for Acme's Entra tenant, many for Globex as well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tenantgate.emulator.hostile.catalogue import RECIPES, get_recipe
from tenantgate.emulator.hostile.recipe import Recipe, Sound
from tests.corpus.case import Case
from tests.corpus.world import entra, oidc

ALSO_OIDC: Final = (
    "alg-none", "alg-none-mixed", "alg-absent", "signature-removed", "alg-lower-case",
    "jwk-of-the-attacker", "crit-unknown", "b64-false", "kid-nul", "kid-number",
    "signature-padded", "signature-twin", "payload-twin", "payload-behind-bom", "payload-in-utf16",
    "alg-twice", "exp-twice", "exp-nan", "depth-17",
    "foreign-key-own-kid", "signature-flipped", "signature-shortened", "signature-lengthened", "kid-of-a-query",
    "iss-absent", "iss-prefix", "iss-slash-more", "iss-list", "iss-other-scheme",
    "aud-absent", "aud-empty-list", "aud-of-another", "aud-object", "aud-longer",
    "exp-absent", "exp-past", "exp-text", "exp-true", "iat-future", "nbf-future", "lifetime-without-end",
    "sub-absent", "sub-nul", "jti-number",
    "typ-logout", "typ-dpop", "id-token-nonce", "events", "act",
    "cnf-certificate", "cnf-dpop",
)  # fmt: skip
"""Recipes that ask nothing of Entra's claims or of an RSA key."""


def cases() -> Iterator[Case]:
    """Yield every recipe once for Acme, and those of `ALSO_OIDC` for Globex, whose key is on a curve."""
    for recipe in RECIPES:
        yield _case(recipe, entra(recipe.version), f"acme-v{recipe.version}", recipe.name)
    for name in ALSO_OIDC:
        yield _case(get_recipe(name), oidc(), "globex", f"oidc-{name}")


def _case(recipe: Recipe, sound: Sound, trust: str, name: str) -> Case:
    return Case(
        recipe.family,
        name,
        recipe.attacks,
        recipe.spoil(sound),
        recipe.reason,
        recipe.reference,
        trust,
        forged=recipe.forged,
        in_header=recipe.in_header,
    )
