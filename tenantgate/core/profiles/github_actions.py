"""GitHub Actions, and an Enterprise Server's: a workflow run, known by the numbers of its repository and its owner.

Names are free again after a rename, a transfer or a deletion, and `sub` is made of names (since July 2026 of names
and numbers, for new, renamed and transferred repositories). A repository keeps its number when it gets another owner.
"""

from __future__ import annotations

from typing import Any, Final

from tenantgate.core.profiles.profile import OWNED, Profile


def no_user(payload: dict[str, Any], client: str, sub: str) -> bool | None:
    """Only workflow runs get tokens of this issuer; `actor` is who set one off, not who holds the token."""
    return True


GITHUB_ACTIONS: Final = Profile(
    name="github_actions",
    client=(("repository_owner_id",), ("repository_id",)),
    joined=True,
    no_user=no_user,
    client_form=OWNED,
    # The numbers alone let in every branch that anybody who may push to the repository makes.
    subject_pin=True,
)
