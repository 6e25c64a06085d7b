"""Kubernetes service accounts, by tokens that are made for an audience and end (never those kept in secrets).

A name in a namespace can be deleted and made anew by somebody else; its `uid` cannot.
"""

from __future__ import annotations

from typing import Any, Final

from tenantgate.core.pointer import find
from tenantgate.core.profiles.profile import GUID, Fixed, Profile

_NAMESPACE: Final = ("kubernetes.io", "namespace")
_NAME: Final = ("kubernetes.io", "serviceaccount", "name")


def no_user(payload: dict[str, Any], client: str, sub: str) -> bool | None:
    """`sub` is the account that the cluster's own claim names."""
    return sub == f"system:serviceaccount:{find(payload, _NAMESPACE)}:{find(payload, _NAME)}"


KUBERNETES: Final = Profile(
    name="kubernetes",
    client=(("kubernetes.io", "serviceaccount", "uid"),),
    no_user=no_user,
    client_form=GUID,
    fixed=(Fixed(_NAMESPACE), Fixed(_NAME)),
    user_marks=frozenset(),  # a cluster knows no users
)
