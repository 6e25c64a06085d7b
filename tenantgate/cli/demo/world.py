"""The demo's world, all invented: one API, three partner companies with a tenant each, and their daemons."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

API_CLIENT_ID: Final = "0a51c0de-0000-4000-8000-00000000a001"
APP_ID_URI: Final = "api://orders.publisher.example"
OTHER_API_CLIENT_ID: Final = "0a51c0de-0000-4000-8000-00000000a002"
OTHER_APP_ID_URI: Final = "api://billing.publisher.example"

KEY_COOLDOWN: Final = 0.5
"""Seconds between two fetches of an issuer's keys. Half a minute in service; the demo has not that much time."""


class Daemon(NamedTuple):
    """A daemon as its partner knows it. The secret is the emulator's own and opens nothing else."""

    name: str
    tid: str
    client_id: str
    oid: str
    secret: str


class Company(NamedTuple):
    """A company and its tenant."""

    slug: str
    name: str
    tid: str


ACME: Final = Company("acme", "Acme Logistics", "0a51c0de-0000-4000-8000-0000000000a1")
GLOBEX: Final = Company("globex", "Globex Trading", "0a51c0de-0000-4000-8000-0000000000b1")
INITECH: Final = Company("initech", "Initech Analytics", "0a51c0de-0000-4000-8000-0000000000c1")


def _daemon(company: Company, name: str, number: int) -> Daemon:
    stem = f"{company.tid[:-4]}{company.tid[-2]}"
    return Daemon(name, company.tid, f"{stem}1{number:02}", f"{stem}2{number:02}", f"demo-{company.slug}-{number}")


ACME_SYNC: Final = _daemon(ACME, "nightly-sync", 1)
ACME_REPORTS: Final = _daemon(ACME, "reports", 2)
GLOBEX_SYNC: Final = _daemon(GLOBEX, "order-sync", 1)
INITECH_SYNC: Final = _daemon(INITECH, "crawler", 1)


def authority_config() -> dict[str, Any]:
    """Return what the emulator is told: every tenant has the API, and every daemon the role Orders.Read there."""
    companies = {ACME: (ACME_SYNC, ACME_REPORTS), GLOBEX: (GLOBEX_SYNC,), INITECH: (INITECH_SYNC,)}
    return {
        "resources": [
            {"client_id": API_CLIENT_ID, "app_id_uris": [APP_ID_URI]},
            {"client_id": OTHER_API_CLIENT_ID, "app_id_uris": [OTHER_APP_ID_URI]},
        ],
        "tenants": [
            {"tid": company.tid, "name": company.slug, "daemons": [_as_config(each) for each in daemons]}
            for company, daemons in companies.items()
        ],
    }


def _as_config(daemon: Daemon) -> dict[str, Any]:
    return {
        "client_id": daemon.client_id,
        "client_secret": daemon.secret,
        "oid": daemon.oid,
        "roles": {APP_ID_URI: ["Orders.Read"]},
    }
