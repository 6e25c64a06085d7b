"""One token of the corpus, and what is to be said about it."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from tests.corpus.world import ROLES

TOKEN: Final = "token"
POLICY: Final = "policy"


class Case(NamedTuple):
    """A token, and the exact reason it is refused for (None: it is let in).

    `scope` is `token` where a validator of tokens could judge it, `policy` where the allow-list does. `trust` names
    the issuer it is aimed at. `roles` and `resource` are what the request asks for. `granted` is who comes in.
    """

    family: str
    name: str
    attacks: str
    token: str
    reason: str | None
    reference: str = ""
    trust: str = "acme-v2"
    scope: str = TOKEN
    forged: bool = False
    in_header: str = ""
    roles: tuple[str, ...] = ROLES
    resource: str = "orders"
    granted: tuple[str, str] | None = None

    def described(self) -> dict[str, Any]:
        """Return it as a file of the corpus has it: what is as usual is left out."""
        optional = {
            "reference": self.reference,
            "reason_in_header": self.in_header,
            "roles": list(self.roles) if self.roles != ROLES else None,
            "resource": self.resource if self.resource != "orders" else "",
            "granted_to": self.granted and {"partner": self.granted[0], "client_id": self.granted[1]},
        }
        return {
            "name": self.name,
            "attacks": self.attacks,
            "scope": self.scope,
            "trust": self.trust,
            "forged": self.forged,
            "reason": self.reason,
            **{name: value for name, value in optional.items() if value is not None and value != ""},
            "token": self.token,
        }
