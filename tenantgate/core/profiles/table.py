"""The profiles by name, and what a policy may ask of them.

To add one: a file, its test, a line here, and a section in `docs/issuers.md`.
"""

from __future__ import annotations

from typing import Final

from tenantgate.core.policy import IssuerRow, PolicyError
from tenantgate.core.profiles.auth0 import AUTH0
from tenantgate.core.profiles.cognito import COGNITO
from tenantgate.core.profiles.github_actions import GITHUB_ACTIONS
from tenantgate.core.profiles.google import GOOGLE
from tenantgate.core.profiles.keycloak import KEYCLOAK
from tenantgate.core.profiles.kubernetes import KUBERNETES
from tenantgate.core.profiles.okta import OKTA
from tenantgate.core.profiles.profile import Profile
from tenantgate.core.profiles.rfc9068 import RFC9068
from tenantgate.core.profiles.standard import STANDARD

PROFILES: Final[dict[str, Profile]] = {
    profile.name: profile
    for profile in (STANDARD, RFC9068, KEYCLOAK, OKTA, AUTH0, GOOGLE, GITHUB_ACTIONS, KUBERNETES, COGNITO)
}
"""Every profile there is."""


def get_profile(name: str) -> Profile:
    """Return the profile of this name.

    Raises:
        PolicyError: `value_unknown`, at the member `profile`.
    """
    profile = PROFILES.get(name)
    if profile is None:
        raise PolicyError("value_unknown", f"must be one of {', '.join(PROFILES)}", "profile")
    return profile


def wants_pin(profile: Profile, row: IssuerRow) -> bool:
    """Whether a daemon of this issuer must name its `subject`: as its row says, else as its profile has it."""
    return profile.subject_pin if row.subject_pin is None else row.subject_pin


def narrowed_types(profile: Profile, listed: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of the listed `typ` that the profile takes: a row may narrow a profile, never widen it.

    Raises:
        PolicyError: `member_not_allowed`, where none is left.
    """
    if profile.token_types is None:
        return listed
    left = tuple(each for each in listed if each.lower().removeprefix("application/") in profile.token_types)
    if not left:
        allowed = ", ".join(profile.token_types)
        raise PolicyError("member_not_allowed", f"profile {profile.name} takes no typ but {allowed}", "token_types")
    return left
