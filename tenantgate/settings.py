"""The settings of a process: environment `TENANTGATE_*`, then `tenantgate.toml`, checked once at start.

Anything unknown, missing or unsafe ends the start with one clear line (`docs/configuration.md`).
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings import SettingsError as SourceError

from tenantgate.admin.trusted import AdminIssuer, Trusted
from tenantgate.core.fields import is_loopback
from tenantgate.core.limits import BOUNDS, LIMITS, Limits
from tenantgate.core.policy import PolicyError, is_id, one_spelling

if TYPE_CHECKING:
    from tenantgate.registry.master_key import MasterKey

PREFIX: Final = "TENANTGATE_"
FILE: Final = "tenantgate.toml"
_PASSWORD: Final = re.compile(r"(://[^/@:]*:)[^@]*@([^/?]*@)?")
_FOR_TESTS: Final = frozenset(("VECTORS", "REQUIRE_REAL", "NODE_MODULES", "SCREENSHOTS"))

_POSTGRES: Final = ("postgresql://", "postgres://")
_DATABASES: Final = ("sqlite:///", *_POSTGRES)
_LIMITS: Final = tuple(f"max_{name}" for name in BOUNDS)


class SettingsError(Exception):
    """A setting is unknown, missing or unsafe. The message names it and never shows a secret."""


class Settings(BaseSettings):
    """Every setting, read once and handed on by value. See `docs/configuration.md` for each."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, toml_file=FILE, extra="forbid", frozen=True)

    database_url: str | None = None
    master_key: SecretStr | None = None
    policy: Path | None = None
    resource: str | None = None
    bind: str = "127.0.0.1:8440"
    metrics_bind: str | None = None
    public_url: str | None = None
    state_dir: Path | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    max_policy_age: int = 86_400
    decision_days: int = 30
    decision_sample: float = 0.01
    admin_issuers: tuple[AdminIssuer, ...] = ()
    admin_unmapped_role: Literal["none", "Viewer"] = "none"
    admin_unlinked: Literal["refuse", "create"] = "refuse"
    admin_rate: int = 6_000
    max_token_bytes: int = LIMITS.token_bytes
    max_header_bytes: int = LIMITS.header_bytes
    max_kid_bytes: int = LIMITS.kid_bytes
    max_audiences: int = LIMITS.audiences
    max_depth: int = LIMITS.depth
    max_members: int = LIMITS.members

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(_DATABASES):
            raise ValueError("must be sqlite:///PATH or postgresql://HOST/NAME")
        return value

    @field_validator("master_key")
    @classmethod
    def _random_bits(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            from tenantgate.registry.errors import MasterKeyError  # a gate over a policy file does without
            from tenantgate.registry.master_key import parse_master_key

            try:
                parse_master_key(value.get_secret_value())
            except MasterKeyError as error:
                raise ValueError(error.message) from None
        return value

    @field_validator("bind", "metrics_bind")
    @classmethod
    def _host_and_port(cls, value: str | None) -> str | None:
        if value is None:
            return None
        host, _, port = value.rpartition(":")
        if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise ValueError("must be HOST:PORT")
        return value

    @field_validator("resource")
    @classmethod
    def _slug(cls, value: str | None) -> str | None:
        # It stands in every challenge: what is no slug would be a broken header, and no policy could hold it.
        if value is not None and not is_id(value):
            raise ValueError("must be the id of a resource: 1 to 63 of a-z 0-9 . _ -, first a letter or digit")
        return value

    @field_validator("public_url")
    @classmethod
    def _safe_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if not value.isascii() or not value.isprintable() or (parts.port is not None and parts.port == 0):
            raise ValueError("must be an https address with a port, if any, from 1 to 65535")
        if (
            parts.scheme not in ("https", "http")
            or not parts.hostname
            or parts.query
            or parts.fragment
            or "@" in parts.netloc
        ):
            raise ValueError("must be an https address without user, query or fragment")
        if parts.path.strip("/"):
            raise ValueError("must be an https address without a path: everything is at its root")
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise ValueError("must be https; plain http is for loopback only")
        return _origin_of(parts)

    @field_validator("admin_issuers")
    @classmethod
    def _told_apart(cls, value: tuple[AdminIssuer, ...]) -> tuple[AdminIssuer, ...]:
        try:
            Trusted(value)
        except PolicyError as error:
            raise ValueError(str(error)) from None
        return value

    @field_validator(*_LIMITS, mode="before")
    @classmethod
    def _within_bounds(cls, value: object, info: ValidationInfo) -> int:
        low, high = BOUNDS[(info.field_name or "").removeprefix("max_")]
        number = int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() else value
        if type(number) is not int or not low <= number <= high:
            raise ValueError(f"must be a whole number between {low} and {high}")
        return number

    @field_validator("admin_rate", mode="before")
    @classmethod
    def _some_a_minute(cls, value: object) -> int:
        number = int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() else value
        if type(number) is not int or not 60 <= number <= 600_000:
            raise ValueError("must be a whole number between 60 and 600000")
        return number

    @field_validator("max_policy_age", mode="before")
    @classmethod
    def _of_an_hour_or_a_month(cls, value: object) -> int:
        number = int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() else value
        if type(number) is not int or not 60 <= number <= 2_678_400:
            raise ValueError("must be a whole number between 60 and 2678400")
        return number

    @field_validator("decision_days", mode="before")
    @classmethod
    def _a_year_at_most(cls, value: object) -> int:
        number = int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() else value
        if type(number) is not int or not 1 <= number <= 366:
            raise ValueError("must be a whole number between 1 and 366")
        return number

    @field_validator("decision_sample", mode="before")
    @classmethod
    def _a_part(cls, value: object) -> float:
        number = float(value) if isinstance(value, str) and re.fullmatch(r"[01](\.[0-9]{1,6})?", value) else value
        if type(number) not in (int, float) or not 0 <= number <= 1:  # type: ignore[operator]
            raise ValueError("must be a number between 0 and 1, as 0.01")
        return float(number)  # type: ignore[arg-type]

    @property
    def given_master_key(self) -> MasterKey | None:
        """The master key that is set."""
        if self.master_key is None:
            return None
        from tenantgate.registry.master_key import parse_master_key

        return parse_master_key(self.master_key.get_secret_value())

    @property
    def master_key_file(self) -> Path | None:
        """Where the master key is kept that no setting gives: beside an SQLite file; nowhere for PostgreSQL."""
        file = self._database_file
        return None if file is None else Path(f"{file}.master-key")

    @property
    def limits(self) -> Limits:
        """How much of a token is read."""
        return Limits(**{name: getattr(self, f"max_{name}") for name in BOUNDS})

    @property
    def state_folder(self) -> Path | None:
        """Where what outlives the process is kept: as set, else beside the database, else nowhere."""
        file = self._database_file
        if self.state_dir is not None or file is None:
            return self.state_dir
        return Path(f"{file}.state")

    @property
    def _database_file(self) -> Path | None:
        """The SQLite file, as it is opened, however the address spells it; None where the database is none."""
        if self.database_url is None or not self.database_url.startswith("sqlite:///"):
            return None
        from tenantgate.registry.engines.sqlite import database_path  # a gate over a policy file does without
        from tenantgate.registry.errors import DatabaseError

        try:
            return database_path(self.database_url)
        except DatabaseError:  # whoever opens it is told
            return None

    @property
    def admin_audiences(self) -> frozenset[str]:
        """What administrators' tokens are made for, in one spelling: no resource may accept it."""
        return frozenset(one_spelling(each) for issuer in self.admin_issuers for each in issuer.audiences)

    def told(self) -> str:
        """Return the settings that are given as one line for people: a password in an address is not in it."""
        given = {name: getattr(self, name) for name in sorted(self.model_fields_set)}
        if self.database_url is not None:
            given["database_url"] = _shown_address(self.database_url)
        if self.admin_issuers:
            given["admin_issuers"] = " ".join(map(str, self.admin_issuers))
        return ", ".join(f"{name}={value}" for name, value in given.items()) or "none are given"

    @property
    def host(self) -> str:
        """The address to listen on."""
        return split_address(self.bind)[0]

    @property
    def port(self) -> int:
        """The port to listen on; 0 lets the system choose."""
        return split_address(self.bind)[1]

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the file. No dotenv: a stray file must not change who is let in."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def _shown_address(address: str) -> str:
    """Return the address of a database without its password, in whichever place: of a query the names alone."""
    head, mark, query = _PASSWORD.sub(r"\1***@", address).partition("?")
    names = (each.partition("=") for each in query.split("&"))
    return head + mark + "&".join(f"{name}=***" if equals else "***" for name, equals, _ in names) if mark else head


def _origin_of(parts: SplitResult) -> str:
    """Return the origin of a checked address as browsers write it (RFC 6454 §6.2), with which it is compared."""
    host = parts.hostname or ""
    port = "" if parts.port in (None, {"https": 443, "http": 80}[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"


def split_address(address: str) -> tuple[str, int]:
    """Return host (without the brackets of IPv6) and port of a checked HOST:PORT."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def read_settings(environment: Mapping[str, str], **given: Any) -> Settings:
    """Read the settings of this process. `given` (command-line options) wins.

    Raises:
        SettingsError: naming every setting at fault.
    """
    known = set(Settings.model_fields)
    for name in environment:
        short = name.removeprefix(PREFIX)
        if name.startswith(PREFIX) and short.lower() not in known and short not in _FOR_TESTS:
            near = _near(short.lower())
            hint = f"; is {PREFIX}{near.upper()} meant?" if near else ""
            raise SettingsError(f"{name} is not a setting{hint}")
    if Path(FILE).exists() and not Path(FILE).is_file():  # it would be passed over in silence
        raise SettingsError(f"{FILE} is not a file")
    try:
        _check_file()
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        raise SettingsError("; ".join(_complaint(each) for each in error.errors(include_input=False))) from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{FILE} is not TOML: {error}") from None  # what is wrong and where, and no value
    except SourceError:  # the one setting that is more than a text
        raise SettingsError(f"{PREFIX}ADMIN_ISSUERS: must be a list of objects in JSON") from None
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"{FILE} cannot be read: {type(error).__name__}") from None


def _check_file() -> None:
    """Refuse a file with a master key in it that others may read, as the key's own file is refused.

    Raises:
        SettingsError, OSError, ValueError (TOML): it cannot be read.
    """
    path = Path(FILE)
    if not path.exists():
        return
    with path.open("rb") as file:
        found = os.fstat(file.fileno())
        has_key = "master_key" in tomllib.load(file)
    if has_key and (found.st_uid != os.geteuid() or found.st_mode & 0o077):
        raise SettingsError(f"{FILE} holds master_key: it must be a file of this user's own, of mode 0600")


def check_settings(settings: Settings) -> None:
    """Refuse settings with which `serve` cannot start. Raises SettingsError."""
    if settings.database_url is None and settings.policy is None:
        raise SettingsError("give TENANTGATE_DATABASE_URL, or TENANTGATE_POLICY for a gate without administration")
    if settings.database_url is not None and settings.policy is not None:
        raise SettingsError("give TENANTGATE_DATABASE_URL or TENANTGATE_POLICY, not both: one list decides")
    if settings.admin_issuers and settings.database_url is None:
        raise SettingsError(
            "TENANTGATE_ADMIN_ISSUERS needs TENANTGATE_DATABASE_URL: with a policy file nobody administers"
        )
    if settings.policy is not None and settings.resource is None:
        raise SettingsError(
            "TENANTGATE_RESOURCE is needed with TENANTGATE_POLICY: which resource does /auth/check judge?"
        )
    if settings.metrics_bind is not None and settings.resource is None:
        raise SettingsError("TENANTGATE_METRICS_BIND needs TENANTGATE_RESOURCE: what is measured is the gate")
    if settings.master_key is None and (settings.database_url or "").startswith(_POSTGRES):
        raise SettingsError(
            "TENANTGATE_MASTER_KEY is needed with PostgreSQL: the same on every server; `tenantgate master-key create`"
        )
    if settings.public_url is None and not is_loopback(settings.host):
        raise SettingsError("TENANTGATE_PUBLIC_URL is needed where TENANTGATE_BIND is not loopback")


def _near(name: str) -> str | None:
    """Return the setting that is spelled most like this, if one is."""
    return next(iter(difflib.get_close_matches(name, Settings.model_fields, 1)), None)


def _complaint(error: Any) -> str:
    name = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden" and "." not in name:
        near = _near(name)
        return f"{FILE}: {name} is not a setting" + (f"; is {near} meant?" if near else "")
    first, *rest = name.split(".")
    known = first in Settings.model_fields
    where = f"{PREFIX}{first.upper()}{''.join(f'.{each}' for each in rest)}" if known else f"{FILE}: {name}"
    return f"{where}: {error['msg'].removeprefix('Value error, ')}"
