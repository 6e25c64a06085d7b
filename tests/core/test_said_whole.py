"""What explanations say, whole and word for word, in one file that people read: `said_whole.txt`.

python -m tests.core.test_said_whole      # writes the file; then read what changed in it
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from tenantgate.core.policy import ReportOnly, RequiredClaim, RoleAssignmentRow, RoleMappingRow, RowData
from tenantgate.core.trace import Trace, explain
from tests.builders import (
    ACME_OID,
    NOW,
    REMOVE,
    STRANGE_CLIENT,
    STRANGE_TID,
    an_index,
    oidc_token,
    static_keys,
    stranger_key,
    v1_token,
    v2_claims,
    v2_issuer,
    v2_token,
)
from tests.core.cases import NeverFetched, home_token

FILE: Final = Path(__file__).with_name("said_whole.txt")
READ, WRITE = ("Orders.Read",), ("Orders.Write",)
STRANGER = {"iss": v2_issuer(STRANGE_TID), "tid": STRANGE_TID}
MAPPING = RoleMappingRow(id="m", issuer="oidc", claim="groups", value="writers", app_role="orders_write")
WIDE = RoleAssignmentRow(id="wide", app_role="orders_write", tenant="acme_tenant", expires_at=NOW + 60)


class Scene(NamedTuple):
    """One question: a token, the roles asked for, what the world has besides, and what of it is changed."""

    token: Callable[[], str]
    wanted: tuple[str, ...] = READ
    extra: tuple[RowData, ...] = ()
    keys: Any = None
    resource: str = "orders"
    peer: str | None = None
    world: dict[str, Any] = {}  # noqa: RUF012 - never changed


SCENES: Final = {
    "v2, let in": Scene(v2_token),
    "v1, let in": Scene(v1_token),
    "another issuer, let in": Scene(oidc_token),
    "hosted, let in": Scene(home_token, wanted=()),
    "opaque": Scene(lambda: "opaque"),
    "of an issuer nobody trusts": Scene(lambda: v2_token(iss="https://nobody.example")),
    "forged": Scene(lambda: stranger_key().sign(v2_claims(), kid=v2_kid())),
    "by an unknown key": Scene(lambda: stranger_key().sign(v2_claims(), kid="k\u00e9y")),
    "before keys were fetched": Scene(v2_token, keys=NeverFetched()),
    "of a tenant nobody listed": Scene(lambda: v2_token(**STRANGER)),
    "of a tenant nobody listed, forged": Scene(lambda: stranger_key().sign(v2_claims(**STRANGER), kid=v2_kid())),
    "of an issuer without its tenant": Scene(
        oidc_token, world={"globex_tenant": ..., "globex_daemon": ..., "globex_reads": ...}
    ),
    "of a suspended tenant": Scene(v2_token, world={"acme_tenant": {"state": "suspended"}}),
    "of an invited partner": Scene(v2_token, world={"acme": {"state": "invited"}}),
    "of a suspended partner": Scene(v2_token, world={"acme": {"state": "suspended"}}),
    "of an archived partner": Scene(v2_token, world={"acme": {"state": "archived"}}),
    "of a partner that ended": Scene(v2_token, world={"acme": {"ends_at": NOW - 1}}),
    "of a partner that ends": Scene(v2_token, world={"acme": {"ends_at": NOW + 1}}),
    "of no partner": Scene(v2_token, world={"acme_tenant": {"partner": "nobody"}}),
    "of a daemon nobody listed": Scene(lambda: v2_token(azp=STRANGE_CLIENT)),
    "of another issuer's daemon": Scene(lambda: oidc_token(client_id="o'hara & co", sub="o'hara & co")),
    "of a hosted daemon nobody listed": Scene(lambda: home_token(azp=STRANGE_CLIENT)),
    "of a suspended daemon": Scene(v2_token, world={"acme_daemon": {"state": "suspended"}}),
    "of another object": Scene(v2_token, world={"acme_daemon": {"oid": STRANGE_CLIENT}}),
    "of the pinned object": Scene(v2_token, world={"acme_daemon": {"oid": ACME_OID}}),
    "of another subject": Scene(oidc_token, world={"globex_daemon": {"subject": "somebody"}}),
    "too weak": Scene(lambda: v2_token(azpacr="1"), world={"acme_daemon": {"min_credential": "certificate"}}),
    "without a role": Scene(v2_token, wanted=(), world={"acme_reads": ...}),
    "without the role": Scene(v2_token, wanted=WRITE),
    "asked for a role that nobody defined": Scene(v2_token, wanted=("Orders.Nothing", "Orders.Write")),
    "with a role that ended": Scene(v2_token, world={"acme_reads": {"expires_at": NOW}}),
    "with a role that begins": Scene(v2_token, world={"acme_reads": {"not_before": NOW + 1}}),
    "with its tenant's role": Scene(
        v2_token, wanted=WRITE, extra=(WIDE,), world={"orders": {"tenant_wide_roles": True}}
    ),
    "with a role from a claim": Scene(lambda: oidc_token(groups=["writers"]), wanted=WRITE, extra=(MAPPING,)),
    "with a role that the token lacks": Scene(
        lambda: v2_token(roles=["x"]), world={"orders": {"token_roles": "intersect"}}
    ),
    "expired": Scene(lambda: v2_token(exp=NOW - 61)),
    "not begun": Scene(lambda: v2_token(nbf=NOW + 61)),
    "for another resource": Scene(lambda: v2_token(aud="api://other")),
    "a user's": Scene(lambda: v2_token(idtyp=REMOVE, scp="Orders.Read", name="x")),
    "bound": Scene(lambda: v2_token(cnf={"jkt": "x"})),
    "for a resource that is not there": Scene(v2_token, resource="nothing"),
    "held to every rule": Scene(
        v2_token,
        peer="192.0.2.7",
        world={
            "orders": {
                "issuers": ("cloud",),
                "clients": (STRANGE_CLIENT,),
                "token_versions": ("1.0",),
                "min_credential": "secret",
                "required_claims": (RequiredClaim(claim="plan", values=("gold",)),),
                "addresses": ("192.0.2.0/24",),
                "report_only": tuple(
                    ReportOnly(rule=rule, until=NOW + 9) for rule in ("clients", "token_versions", "required_claims")
                ),
            }
        },
    ),
}


def v2_kid() -> str:
    """Return the kid of the cloud's key."""
    from tests.builders import cloud_key

    return cloud_key().kid or ""


def traced(scene: Scene) -> Trace:
    """Explain a scene."""
    index = an_index(*scene.extra, **scene.world)
    keys = scene.keys or static_keys(index)
    return explain(scene.token(), index, keys, scene.resource, scene.wanted, NOW, peer=scene.peer)


def spelled() -> Iterator[str]:
    """Yield the file's lines."""
    for name, scene in SCENES.items():
        trace = traced(scene)
        yield f"== {name}: {trace.reason or 'granted'}"
        yield from (
            f"{'+' if each.passed else '-'} {each.name}: {each.expected} | {each.received}" for each in trace.steps
        )
        yield f"means {trace.meaning}"
        yield f"partner {trace.partner}"
        yield f"publisher {trace.publisher}"
        for each in trace.stands:
            yield f"stands {each.name} {each.stands}: {each.detail}"
            if each.fix is not None:
                yield from (
                    f"  fix {line}"
                    for part in (each.fix.text, each.fix.command, each.fix.rows)
                    for line in part.split("\n")
                )
        yield ""


def test_what_is_said_is_what_the_file_says() -> None:
    """Every word of every scene."""
    assert "\n".join(spelled()) == FILE.read_text()


if __name__ == "__main__":
    FILE.write_text("\n".join(spelled()))
