"""The last-known-good keys of an issuer as a file holds them: what is written, and what of it is believed again.

Only public keys are in it. Its keys are weighed as fetched ones are, and it counts only for the very row that it was
written for. Whether the file is this process's own at all is the business of `discovery.disk`.

On disk times are wall-clock seconds, in the process monotonic ones. Beside the time of a fetch stands the age it had
reached when the file was written: a clock that was set back cannot make keys younger than they were seen to be.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from tenantgate.core.keys import KeySet, KeySetRef, Unusable, VerifyKey, parse_jwk, public_jwk
from tenantgate.core.limits import BOUNDS, Limits
from tenantgate.core.policy import IssuerRow
from tenantgate.core.strict import ObjectReader, Unreadable
from tenantgate.discovery.errors import JwksUriRefused
from tenantgate.discovery.metadata import Document, Metadata, check_jwks_uri, expected_issuer
from tenantgate.discovery.published import Published
from tenantgate.discovery.state import IssuerState

VERSION: Final = 1
LONGEST_KEPT: Final = 31 * 86_400.0
"""Seconds for which what another process wrote is kept beside our own: longer than any keys may judge."""
KEYS_STAY: Final = (
    "profile", "client_id_claim", "roles_claim", "subject_pin", "token_types",
    "distrusted_keys", "max_key_age", "proxy",
)  # fmt: skip
"""Members of an issuer's row that say how tokens are read, which keys not to use and how long: not whose they are."""

_read: Final = ObjectReader(Limits(members=BOUNDS["members"][1])).read  # withdrawn keys stand beside the listed ones


class Clocks(NamedTuple):
    """One moment on both clocks: `steady` monotonic seconds, `wall` epoch seconds."""

    steady: float
    wall: float

    def to_wall(self, steady: float) -> float:
        """Return a moment of the process as epoch seconds."""
        return self.wall - (self.steady - steady)

    def to_steady(self, wall: float) -> float:
        """Return an epoch second as a moment of the process; one that has not come yet as now."""
        return self.steady - max(0.0, self.wall - wall)


class StoredSet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One key set. Times are epoch seconds; `age`: how many seconds old the keys were known to be at the writing.

    `jwks_uri` and `metadata_at`: what the metadata said, and when. `keys`: those listed and those withdrawn, the latter
    with the time of the first fetch that lacked them in `absent`, and in `absent_for` how long that was ago at the
    writing. `nameless`: the key for tokens without a kid.
    """

    document: Document
    appid: str | None = None
    jwks_uri: str
    metadata_at: float
    fetched_at: float
    age: float
    keys: tuple[dict[str, Any], ...]
    nameless: dict[str, Any] | None = None
    absent: dict[str, float] = {}
    absent_for: dict[str, float] = {}
    first_seen: dict[str, float] = {}
    last_seen: dict[str, float] = {}

    @property
    def name(self) -> tuple[str, str | None]:
        """What tells an issuer's key sets apart."""
        return self.document, self.appid

    def rank(self, wall: float) -> tuple[bool, float, float]:
        """Return what is greater the newer this is."""
        return self.fetched_at <= wall, self.fetched_at, self.age


class Stored(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one file holds. `row` stands for the issuer's row without KEYS_STAY."""

    v: int = VERSION
    issuer: str
    row: str
    sets: tuple[StoredSet, ...]


class UnusableStored(Exception):
    """What was stored does not serve. `code` is stable; the message names no content."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def row_digest(row: IssuerRow) -> str:
    """Return what a row's keys hang on as one text: where they come from and what they may be used with."""
    members = {name: value for name, value in msgspec.structs.asdict(row).items() if name not in KEYS_STAY}
    return hashlib.sha256(msgspec.json.encode(members, order="sorted")).hexdigest()


def write_stored(stored: Stored) -> bytes:
    """Return a file's bytes: one line of JSON, and one with its checksum, so that a torn file is known for one."""
    body = msgspec.json.encode(stored)
    return body + b"\nsha256 " + hashlib.sha256(body).hexdigest().encode() + b"\n"


def read_stored(raw: bytes, row: IssuerRow) -> Stored:
    """Read a file of an issuer's keys.

    Raises:
        UnusableStored: `stored_damaged`, `stored_malformed`, or `stored_for_another_row`.
    """
    body, _, rest = raw.partition(b"\n")
    if rest != b"sha256 " + hashlib.sha256(body).hexdigest().encode() + b"\n":
        raise UnusableStored("stored_damaged", "the checksum does not hold: it was not written to the end, or changed")
    try:
        stored = msgspec.convert(_read(body), Stored)
    except (Unreadable, msgspec.ValidationError) as error:
        raise UnusableStored("stored_malformed", f"it is of another form: {type(error).__name__}") from None
    if stored.v != VERSION:
        raise UnusableStored("stored_malformed", f"it is of version {stored.v}, and {VERSION} is understood")
    if stored.issuer != row.id or stored.row != row_digest(row):
        raise UnusableStored(
            "stored_for_another_row", "it was written for an issuer with other addresses or algorithms"
        )
    return stored


def newest(ours: Stored, theirs: Stored, wall: float) -> Stored:
    """Return the newest of each key set. `theirs` is of the same row; its other sets stay, the ancient ones apart.

    Of one fetch the greatest age counts. A fetch that is yet to come was timed by a wrong clock: any other is newer.
    """
    kept = {each.name: each for each in theirs.sets if each.fetched_at >= wall - LONGEST_KEPT}
    for each in ours.sets:
        kept[each.name] = max(kept.get(each.name, each), each, key=lambda one: one.rank(wall))
    return msgspec.structs.replace(ours, sets=tuple(kept.values()))


class Restored(NamedTuple):
    """A key set as an earlier process knew it, on this process's clock."""

    metadata: Metadata
    metadata_at: float
    published: Published


def to_stored(row: IssuerRow, states: Iterable[IssuerState], now: Clocks) -> Stored:
    """Return what is written down of an issuer: of `states`, those of its key sets that were fetched."""
    sets = (_set_of(state, now) for state in states if state.ref.issuer == row.id and not state.static)
    return Stored(issuer=row.id, row=row_digest(row), sets=tuple(each for each in sets if each is not None))


def _set_of(state: IssuerState, now: Clocks) -> StoredSet | None:
    metadata, published = state.metadata, state.published  # each a whole value, replaced by the Keeper's loop
    if metadata is None or published is None:
        return None
    keys = published.keys
    nameless = keys.nameless if keys.nameless is not None and keys.nameless.kid is None else None
    return StoredSet(
        document=state.document,
        appid=state.ref.appid,
        jwks_uri=metadata.jwks_uri,
        metadata_at=now.to_wall(state.metadata_at),
        fetched_at=published.fetched_wall,
        age=now.steady - published.fetched_at,
        keys=tuple(public_jwk(key) for key in keys.keys.values()),
        nameless=None if nameless is None else public_jwk(nameless),
        absent=_on(published.absent, now),
        absent_for={kid: now.steady - at for kid, at in published.absent.items()},
        first_seen=_on(published.first_seen, now),
        last_seen=_on(published.last_seen, now),
    )


def from_stored(stored: Stored, row: IssuerRow, now: Clocks, hard_age: float) -> dict[KeySetRef, Restored]:
    """Return an issuer's key sets as they were when they were written down, as old as they must be by now.

    Raises:
        UnusableStored: `stored_malformed`.
    """
    return {KeySetRef(row.id, each.document, each.appid): _restored(each, row, now, hard_age) for each in stored.sets}


def _restored(stored: StoredSet, row: IssuerRow, now: Clocks, hard_age: float) -> Restored:
    """Weigh and date one key set.

    Raises:
        UnusableStored: `stored_malformed`: an address that the row does not lead to, or a key nobody could use.
    """
    issuer = expected_issuer(row, stored.document)
    try:
        check_jwks_uri(stored.jwks_uri, row, stored.document)
        keys = [parse_jwk(each, row) for each in stored.keys]
        nameless = None if stored.nameless is None else parse_jwk(stored.nameless, row)
    except (JwksUriRefused, Unusable):
        raise UnusableStored("stored_malformed", "it holds what the issuer's row does not allow") from None
    named = {key.kid: key for key in keys if key.kid is not None}
    if issuer is None or len(named) != len(keys) or not (named or nameless) or not named.keys() >= stored.absent.keys():
        raise UnusableStored("stored_malformed", "its keys do not belong together")
    fetched_at = now.steady - max(now.wall - stored.fetched_at, stored.age, 0.0)
    published = Published(
        KeySet(named, nameless or _only_listed(named, stored.absent)),
        fetched_at,
        fetched_at + hard_age,
        {kid: _since(at, stored.absent_for.get(kid, 0.0), now) for kid, at in stored.absent.items()},
        {kid: now.to_steady(stored.first_seen.get(kid, stored.fetched_at)) for kid in named},
        {kid: now.to_steady(stored.last_seen.get(kid, stored.fetched_at)) for kid in named},
        stored.fetched_at,
    )
    return Restored(Metadata(issuer, stored.jwks_uri), now.to_steady(stored.metadata_at), published)


def _since(at: float, reached: float, now: Clocks) -> float:
    """Return since when a key is absent: by the wall clock, or by how long it was at the writing, if that is longer."""
    return now.steady - max(now.wall - at, reached, 0.0)


def _only_listed(named: Mapping[str, VerifyKey], absent: Mapping[str, float]) -> VerifyKey | None:
    """Return the one listed key, where withdrawn ones stand beside it: a token without a kid means that one."""
    listed = [key for kid, key in named.items() if kid not in absent]
    return listed[0] if absent and len(listed) == 1 else None


def _on(moments: Mapping[str, float], now: Clocks) -> dict[str, float]:
    return {kid: now.to_wall(at) for kid, at in moments.items()}
