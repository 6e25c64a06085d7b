"""Every recipe there is, by name and by family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tenantgate.emulator.errors import NameUnknown
from tenantgate.emulator.hostile.claims import AUDIENCE, CLAIMS, CONFIRMATION, TIME
from tenantgate.emulator.hostile.forgery import KEYS
from tenantgate.emulator.hostile.headers import HEADER_MEMBERS
from tenantgate.emulator.hostile.identity import ENTRA_BINDING, ISSUER
from tenantgate.emulator.hostile.json_text import JSON
from tenantgate.emulator.hostile.kind import APP_ONLY, ENTRA_CLAIMS, KIND
from tenantgate.emulator.hostile.recipe import Recipe
from tenantgate.emulator.hostile.shape import STRUCTURE
from tenantgate.emulator.hostile.spelling import ENCODING
from tenantgate.emulator.hostile.unsigned import ALGORITHMS, UNSIGNED

RECIPES: Final = (
    *UNSIGNED,
    *ALGORITHMS,
    *HEADER_MEMBERS,
    *ENCODING,
    *JSON,
    *STRUCTURE,
    *KEYS,
    *ISSUER,
    *AUDIENCE,
    *TIME,
    *CLAIMS,
    *KIND,
    *CONFIRMATION,
    *ENTRA_BINDING,
    *ENTRA_CLAIMS,
    *APP_ONLY,
)

_BY_NAME: Final[Mapping[str, Recipe]] = {recipe.name: recipe for recipe in RECIPES}


def get_recipe(name: str) -> Recipe:
    """Return the recipe called `name` (untrusted); raise NameUnknown."""
    if recipe := _BY_NAME.get(name):
        return recipe
    raise NameUnknown(f"no hostile token is called {name!r}")


def described(recipe: Recipe) -> dict[str, Any]:
    """Return what there is to say about a recipe, as JSON members."""
    return {
        "name": recipe.name,
        "family": recipe.family,
        "attacks": recipe.attacks,
        "reference": recipe.reference,
        "forged": recipe.forged,
        "reason": recipe.reason,
        "reason_in_header": recipe.in_header or recipe.reason,
        "version": "1.0" if recipe.version == 1 else "2.0",
    }
