"""Hypothesis without clocks: a slow or busy machine is no failure, and a failure can be run again."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# The first draw of text on a fresh checkout builds tables for seconds; deadlines would be timing assertions.
settings.register_profile(
    "unhurried", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow], max_examples=150
)
settings.load_profile("unhurried")
