"""Whom the settings may name for administration: one tenant each, told apart, with audiences of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tenantgate.admin.trusted import AdminIssuer, Trusted
from tenantgate.core.policy import CONSUMER_TENANT, PolicyError
from tenantgate.settings import SettingsError, check_settings, read_settings
from tests.admin.staff import CLOUD, ENTRA, HOME, KEYCLOAK, PARTNER, REALM

ANOTHER = {**ENTRA, "tenant": PARTNER, "audiences": ("api://other",)}


def without(members: dict[str, Any], *names: str) -> dict[str, Any]:
    """The members but for some."""
    return {name: value for name, value in members.items() if name not in names}


@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        (without(ENTRA, "authority"), "needs authority and tenant (Entra), or issuer"),
        (ENTRA | {"issuer": REALM}, "and not both"),
        (without(ENTRA, "tenant"), "needs tenant"),
        (without(ENTRA, "audiences"), "needs audiences"),
        (ENTRA | {"audiences": ()}, "needs audiences"),
        (ENTRA | {"audiences": ("",)}, "audiences"),
        *((ENTRA | {"authority": f"{CLOUD}/{name}"}, "more than one tenant") for name in ("common", "Organizations/")),
        (ENTRA | {"authority": f"{CLOUD}/consumers"}, "more than one tenant"),
        (ENTRA | {"authority": f"{CLOUD}/{HOME}"}, "without a tenant"),
        *(
            (ENTRA | {"tenant": name}, "must be the id (a GUID) of one tenant")
            for name in ("common", "organizations", "consumers", "", "staff.example", "{tenantid}", "*")
        ),
        (ENTRA | {"tenant": CONSUMER_TENANT}, "personal"),
        (ENTRA | {"tenant": CONSUMER_TENANT.upper()}, "personal"),
        (ENTRA | {"authority": "http://login.staff.example"}, "https"),
        (KEYCLOAK | {"tenant": HOME}, "one tenant by itself"),
        (KEYCLOAK | {"issuer": "https://login.microsoftonline.com/common/v2.0"}, "for Entra give authority and tenant"),
        (KEYCLOAK | {"issuer": f"https://sts.windows.net/{HOME}/"}, "for Entra give authority and tenant"),
        (KEYCLOAK | {"issuer": "https://"}, "address"),
        (KEYCLOAK | {"profile": "keyclock"}, "must be one of"),
        (without(ENTRA, "admin", "operator", "viewer"), "must not be empty"),
        (ENTRA | {"viewer": ("TenantGate.Admin",)}, "listed twice"),
        (ENTRA | {"roles_claim": "upn"}, "can be changed by those it names"),
        (ENTRA | {"roles_claim": "/realm_access/"}, "must be 1 to 8 names"),
        (ENTRA | {"admins": ("x",)}, "Extra inputs"),
        (ENTRA | {"insecure_allow_http": "yes"}, "valid boolean"),
        (ENTRA | {"proxy": "http://user:secret@proxy.example"}, "proxy"),
    ],
)
def test_what_is_unsafe_or_missing_is_refused(members: dict[str, Any], complaint: str):
    """Each with a sentence that says what to do."""
    with pytest.raises(ValidationError) as caught:
        AdminIssuer(**members)
    assert complaint in str(caught.value)


def test_one_cloud_may_have_several_tenants():
    """Two tenants of one cloud share its keys and nothing else: each has its own audience and values."""
    trusted = Trusted([AdminIssuer(**ENTRA), AdminIssuer(**ANOTHER), AdminIssuer(**KEYCLOAK)])
    assert [row.id for row in trusted.rows] == ["administration-0", "administration-2"]
    assert trusted.audiences == {*ENTRA["audiences"], "api://other", *KEYCLOAK["audiences"]}


@pytest.mark.parametrize(
    ("second", "code"),
    [
        (ENTRA, "tenant_duplicate"),
        (ANOTHER | {"max_key_age": 3_600}, "issuer_duplicate"),
        (KEYCLOAK | {"issuer": f"{CLOUD}/{PARTNER}/v2.0"}, "issuer_duplicate"),
    ],
)
def test_two_that_cannot_be_told_apart_are_refused(second: dict[str, Any], code: str):
    """The same tenant twice, the same cloud in two ways, and one that another one covers."""
    with pytest.raises(PolicyError) as caught:
        Trusted([AdminIssuer(**ENTRA), AdminIssuer(**second)])
    assert caught.value.code == code
    with pytest.raises(PolicyError):
        Trusted([AdminIssuer(**KEYCLOAK)] * 2)


def test_they_are_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As an array of the file, or as JSON in the environment."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tenantgate.toml").write_text(
        f'database_url = "sqlite:///a.db"\n[[admin_issuers]]\nauthority = "{CLOUD}"\ntenant = "{HOME}"\n'
        'audiences = ["api://admin"]\nadmin = ["TenantGate.Admin"]\n'
    )
    settings = read_settings({})
    check_settings(settings)
    assert settings.admin_audiences == {"api://admin"}
    assert settings.told() == f"admin_issuers={CLOUD}/{HOME}, database_url=sqlite:///a.db"

    monkeypatch.setenv("TENANTGATE_ADMIN_ISSUERS", json.dumps([KEYCLOAK]))
    assert [str(each) for each in read_settings({}).admin_issuers] == [REALM]


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("nonsense", "TENANTGATE_ADMIN_ISSUERS: must be a list of objects in JSON"),
        ("{}", "TENANTGATE_ADMIN_ISSUERS: "),
        (json.dumps([without(ENTRA, "tenant")]), "TENANTGATE_ADMIN_ISSUERS.0: needs tenant"),
        (json.dumps([ENTRA | {"admins": []}]), "TENANTGATE_ADMIN_ISSUERS.0.admins: "),
        (json.dumps([ENTRA, ENTRA]), "TENANTGATE_ADMIN_ISSUERS: "),
        (json.dumps([ENTRA | {"tenant": "common"}]), "TENANTGATE_ADMIN_ISSUERS.0: tenant: must be the id"),
    ],
)
def test_the_start_names_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, complaint: str):
    """In one line that begins with the setting and its place in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TENANTGATE_ADMIN_ISSUERS", value)
    with pytest.raises(SettingsError) as caught:
        read_settings({"TENANTGATE_ADMIN_ISSUERS": value})
    assert str(caught.value).startswith(complaint)


def test_a_policy_file_is_not_administered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Where there is no registry, an issuer for administration is a mistake."""
    monkeypatch.chdir(tmp_path)
    settings = read_settings({}, policy=tmp_path / "policy.toml", resource="orders", admin_issuers=[ENTRA])
    with pytest.raises(SettingsError, match="TENANTGATE_ADMIN_ISSUERS needs TENANTGATE_DATABASE_URL"):
        check_settings(settings)
