"""Limits of a token's form: every one has bounds, and no gate is made outside of them."""

from __future__ import annotations

import pytest

from tenantgate.core.limits import BOUNDS, LIMITS, Limits


def test_every_limit_has_bounds_around_its_default() -> None:
    """No limit without bounds, no bounds without a limit, and each default lies between."""
    assert set(BOUNDS) == set(Limits.__struct_fields__)
    assert all(low < getattr(LIMITS, name) < high for name, (low, high) in BOUNDS.items())


@pytest.mark.parametrize("name", BOUNDS)
def test_a_limit_reaches_to_its_bounds_and_no_further(name: str) -> None:
    """The lowest and the highest value are taken, one beyond either is refused and named."""
    low, high = BOUNDS[name]

    assert getattr(Limits(**{name: low}), name) == low
    assert getattr(Limits(**{name: high}), name) == high
    for value in (low - 1, high + 1, -high):
        with pytest.raises(ValueError, match=f"{name} must be between {low} and {high}"):
            Limits(**{name: value})
