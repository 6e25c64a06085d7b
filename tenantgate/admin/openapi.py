"""The REST API's description: `python -m tenantgate.admin.openapi > docs/openapi.json`.

The file is committed; a test compares. What the framework cannot say (the media type of problems, the
credential, examples of answers) is added here.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final, NoReturn

import sqlalchemy as sa
from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from tenantgate.admin.context import AdminContext
from tenantgate.admin.examples import FILES, example_of
from tenantgate.admin.explaining import Explaining
from tenantgate.admin.probing import Probing
from tenantgate.admin.problems import Problem
from tenantgate.admin.routes import build_admin
from tenantgate.registry.master_key import MasterKey
from tenantgate.registry.product_keys import ProductKeys

_DESCRIPTION: Final = """\
Who may call the protected APIs, and with which roles. Conventions, examples and every problem code: `docs/rest-api.md`.

Every call needs an admin key, `Authorization: Bearer tg_…`, or an administrator's access token. Times are RFC 3339 in
UTC. A change answers with the thing as it is now and, in `X-TG-Revision`, with the revision of the policy it made. What
is wrong comes back as `application/problem+json` (RFC 9457) with a stable `code`.
"""


def document() -> dict[str, Any]:
    """Return the OpenAPI document of `/api/v1`."""
    app = FastAPI(title="TenantGate", version="1", description=_DESCRIPTION)
    app.include_router(build_admin(_nowhere()))
    found: dict[str, Any] = app.openapi()
    components = found["components"]
    _, schemas = models_json_schema([(Problem, "serialization")], ref_template="#/components/schemas/{model}")
    components["schemas"] |= schemas["$defs"]
    components["securitySchemes"] = {
        "admin_key": {"type": "http", "scheme": "bearer", "description": "An admin key, `tg_<id>_<secret>`."},
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "An access token of an issuer that the settings name for administration.",
        },
    }
    found["security"] = [{"admin_key": []}, {"bearer": []}]
    components["responses"] = _gathered(found["paths"])
    components["examples"] = _exemplified(found["paths"])
    return found


def rendered() -> str:
    """Return the document as it is committed: members sorted, so that a change of order is no change."""
    return json.dumps(document(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _gathered(paths: dict[str, Any]) -> dict[str, Any]:
    """Take the problems out of all operations, one of each status, and leave references there."""
    gathered: dict[str, Any] = {}
    for operations in paths.values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    gathered[f"Problem{status}"] = response
                    operation["responses"][status] = {"$ref": f"#/components/responses/Problem{status}"}
    return gathered


def _exemplified(paths: dict[str, Any]) -> dict[str, Any]:
    """Give everything that is sent or answered its example: files as they are, the rest by reference to what returns.

    The bodies' own stand in their schemas.
    """
    shown: dict[str, Any] = {}
    for path, operations in paths.items():
        for operation in operations.values():
            answers = [answer.get("content", {}) for answer in operation["responses"].values()]
            for contents in (operation.get("requestBody", {}).get("content", {}), *answers):
                for media_type, content in contents.items():
                    if (path, media_type) in FILES:
                        content["example"] = FILES[path, media_type]
                    elif contents in answers:
                        name, value = example_of(content["schema"]["$ref"].rpartition("/")[2], path)
                        shown[name] = {"value": value}
                        content["examples"] = {"one": {"$ref": f"#/components/examples/{name}"}}
    return shown


def _nowhere() -> AdminContext:
    def never(*_: object) -> NoReturn:
        raise RuntimeError("a description reads no clock and makes no ids")

    engine = sa.create_engine("sqlite://")
    keys = ProductKeys(engine, MasterKey(bytes(32)), now=never, clock=never, new_id=never, random_bytes=never)
    probing, explaining = Probing(never, never), Explaining(never)
    return AdminContext(engine, never, never, never, "https://tenantgate.example", probing, keys, explaining)


if __name__ == "__main__":
    sys.stdout.write(rendered())
