"""Bodies that can be sent as often as one likes: fresh each time, so that each makes something or changes something.

A text in one member of such a body is then all that an answer can be about.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tenantgate.admin.probing import A_MINUTE
from tenantgate.registry import access_requests
from tenantgate.registry.access_requests import id_of
from tenantgate.registry.engine import writing
from tenantgate.registry.moments import written
from tests.admin import staff
from tests.admin.world import LATER, Api
from tests.client_certificates import a_certificate
from tests.registry.builders import TID
from tests.registry.test_decisions import a_stranger

DAY: Final = 86_400
Body = dict[str, Any]


def guid(number: int) -> str:
    """A GUID of nobody's."""
    return str(uuid.UUID(int=0xEEEEEEEE_0000_4000_8000_000000000000 + number))


def kept_at_its_place(api: Api, answer: Any, member: str) -> Any:
    """What a thing that was made has, read again."""
    return api.get(answer.headers["Location"].removeprefix("/api/v1")).get(member)


@dataclass(frozen=True)
class Way:
    """How one route is asked: its body, fresh for each number; and how what was kept is read again."""

    body: Callable[[Api, int], Body]
    instead: Mapping[str, Body] = field(default_factory=dict)
    """By the member that a text goes into: what else of the body is different then; None takes a member out."""
    kept: Callable[[Api, Any, str], Any] | None = kept_at_its_place
    place: Callable[[Api, int], str] | None = None
    """Where it is asked, if that is not the path itself."""
    after: Callable[[Api, Any], object] = lambda api, answer: None
    """What makes room for the next one."""
    absent: bool = False
    """Whether the text names what is asked for, so that 404 is an answer."""

    def made(self, api: Api, number: int, member: str = "", value: Any = None) -> Body:
        """A body with a value in one member."""
        body = self.body(api, number) | self.instead.get(member, {}) | ({member: value} if member else {})
        return {name: each for name, each in body.items() if each is not None}


def make_world(api: Api) -> None:
    """What the bodies name, beside the one of each that is there."""
    api.make("/issuers", id="keycloak", kind="oidc", issuer="https://id.fabrikam.example/realms/main")
    api.make("/partners", id="fabrikam", name="Fabrikam")
    api.make("/tenants", id="fabrikam-own", issuer="keycloak", partner="fabrikam")
    api.make("/tenants", id="hosted", issuer="entra", hosted=True, tid=guid(1))
    api.make("/daemons", id="hourly", tenant="contoso-entra", client_id=guid(0))
    api.make("/app-roles", id="orders-write", resource="orders", value="Orders.Write")
    end = written(LATER)
    api.make("/role-assignments", id="nightly-write", app_role="orders-write", daemon="nightly", expires_at=end)
    api.change("/app-roles/orders-write/mark-sensitive")
    answer = api.ask("PATCH", "/resources/orders", json={"access_requests": True, "tenant_wide_roles": True})
    assert answer.status_code == 200, answer.text


def _asked(api: Api, number: int) -> str:
    # Each of a tenant and a subject of its own: of one, only some requests are kept.
    stranger = a_stranger(number, tid=guid(number), oid=guid(number))
    with writing(api.engine) as session:
        access_requests.note(session, [stranger])
    return f"/access-requests/{id_of(stranger.resource, stranger.issuer, stranger.tid, stranger.client_id)}/approve"


def _reason_of_grant(api: Api, answer: Any, member: str) -> Any:
    (grant,) = api.get(f"/role-assignments?daemon={answer.json()['daemon']}")["items"]
    return grant[member]


def _identity(api: Api, answer: Any, member: str) -> Any:
    (found,) = (
        each for each in api.get("/operators/adm/identities?limit=200")["items"] if each["id"] == answer.json()["id"]
    )
    return found[member]


def _in_audit(api: Api, answer: Any, member: str) -> Any:
    del answer
    (entry,) = api.get("/audit?limit=1")["items"]
    return entry["after"].get(member, "")


def _moving(word: str, id_: str, verb: str) -> Way:
    other = {"suspend": "activate", "activate": "suspend"}[verb]

    def body(api: Api, number: int) -> Body:
        del number
        api.ask("POST", f"/{word}/{other}", json={"ids": [id_]})
        return {"ids": [id_]}

    return Way(body, kept=_in_audit)


def _window(number: int) -> Body:
    begin = LATER + number * DAY
    return {"not_before": written(begin), "expires_at": written(begin + DAY)}


def _key_of_issuer(api: Api, answer: Any, member: str) -> Any:
    del member
    return api.get(f"/issuers/{answer.json()['id']}")["distrusted_keys"][-1]


def _distrusted(api: Api, number: int) -> Body:
    """One key that can be trusted again; so can each of those that the way before left."""
    api.ask("POST", "/issuers/entra/distrust-key", json={"key": f"t{number}"})
    return {"key": f"t{number}"}


def _linked(api: Api, number: int) -> Body:
    return {"identity": api.make("/operators/adm/identities", issuer=staff.REALM, sub=f"to-unlink-{number}")["id"]}


def _probed(api: Api, number: int) -> Body:
    api.clock.now += 60 // A_MINUTE + 1
    return _an_issuer(api, number)


def _an_issuer(api: Api, number: int) -> Body:
    del api
    return {"kind": "oidc", "issuer": f"{OIDC}/{number}"}


AT_ENTRA: Final[dict[str, Body]] = {
    member: {"kind": "entra", "issuer": None, "authority": "https://login.elsewhere.example"}
    for member in ("authority", "v1_issuer", "v2_issuer", "v1_metadata_url")
}
OIDC: Final = "https://id.fabrikam.example/realms"
WAYS: Final[dict[str, Way]] = {
    "/access-requests/{id}/approve": Way(
        lambda api, number: {"partner": "fabrikam", "app_roles": ["orders-read"]},
        kept=_reason_of_grant,
        place=_asked,
    ),
    "/admin-keys": Way(lambda api, number: {"operator": "adm", "name": "n", "expires_at": written(LATER)}),
    "/app-roles": Way(lambda api, number: {"resource": "orders", "value": f"Role.{number}"}),
    "/client-certificates": Way(
        lambda api, number: {"daemon": "nightly", "certificate": a_certificate(serial=number)},
    ),
    "/daemons": Way(
        lambda api, number: {"tenant": "contoso-entra", "client_id": guid(number)},
        {
            "client_id": {"tenant": "fabrikam-own"},
            "subject": {"tenant": "fabrikam-own"},
            "partner": {"tenant": "hosted"},
        },
    ),
    **{
        f"/{word}/{verb}": _moving(word, id_, verb)
        for word, id_ in (("partners", "contoso"), ("tenants", "contoso-entra"), ("daemons", "nightly"))
        for verb in ("suspend", "activate")
    },
    "/explain": Way(lambda api, number: {"token": "a.b.c", "resource": "orders"}, kept=None),
    "/invitations": Way(
        lambda api, number: {
            "partner": "contoso",
            "issuer": "entra",
            "resource": "orders",
            "app_roles": ["orders-read"],
        }
    ),
    "/issuers": Way(_an_issuer, AT_ENTRA),
    "/issuers/probe": Way(_probed, AT_ENTRA, kept=None),
    "/issuers/{id}/distrust-key": Way(lambda api, number: {"key": f"k{number}"}, kept=_key_of_issuer),
    "/issuers/{id}/trust-key": Way(_distrusted, kept=None, absent=True),
    "/operators": Way(lambda api, number: {"name": "n", "role": "Viewer"}),
    "/operators/{id}/identities": Way(
        lambda api, number: {"issuer": staff.REALM, "sub": f"sub-{number}"},
        {member: {"issuer": staff.CLOUD, "sub": None, "tid": TID, "oid": TID} for member in ("tid", "oid")},
        kept=_identity,
    ),
    "/operators/{id}/unlink-identity": Way(_linked, kept=None, absent=True),
    "/partners": Way(lambda api, number: {"name": "Fabrikam"}),
    "/pending-grants": Way(
        lambda api, number: {"assignment": "nightly-write"},
        after=lambda api, answer: api.change(f"/pending-grants/{answer.json()['id']}/withdraw"),
    ),
    "/resources": Way(lambda api, number: {"audiences": [f"api://of-{number}"]}),
    "/role-assignments": Way(
        lambda api, number: {"app_role": "orders-read", "daemon": "hourly"} | _window(number),
        {"tenant": {"daemon": None}},
    ),
    "/role-mappings": Way(
        lambda api, number: {
            "issuer": "keycloak",
            "claim": "/realm_access/roles",
            "value": f"reader-{number}",
            "app_role": "orders-read",
        }
    ),
    "/subscription-keys": Way(
        lambda api, number: {"daemon": "nightly", "name": "n", "expires_at": written(LATER)},
        after=lambda api, answer: api.change(f"/subscription-keys/{answer.json()['id']}/revoke"),
    ),
    "/tenants": Way(lambda api, number: {"issuer": "entra", "partner": "fabrikam", "tid": guid(number)}),
}
"""By path, below the prefix: every POST that takes a text."""
