"""Changes of JSON documents that leave them JSON: members set, dropped, doubled, wrapped, swapped."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any, Final

from tests.fuzz.target import Change

ODD: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 1, 0.5, 2**53, 2**63, 2**64, 10**30, 1e300, "", " ", "\x00", "\u202e", "e\u0301", "٧",
    "{tenantid}", [], {}, [[]], [{}], {"": ""}, "x" * 300, ["x"] * 65, "https://id.example/", "http://[::1]/", "a@b",
)  # fmt: skip


def document(raw: bytes) -> Any:
    """Return the value of a JSON text; a lone string where it is none (so that changing it starts anew)."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return ""


def text(value: Any) -> bytes:
    """Return a value as compact JSON, lone surrogates and all."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def changed(value: Any, random: Random, change: Change, words: Mapping[str, Sequence[Any]]) -> Any:
    """Change one place of a value in place, or return another one. `words`: values that suit a member's name."""
    containers = [each for each in walk(value) if each]
    if not containers:
        return {
            name: random.choice(values) for name, values in random.sample(sorted(words.items()), min(3, len(words)))
        }
    place = random.choice(containers)
    keys = list(place) if isinstance(place, dict) else range(len(place))
    key = random.choice(keys)
    if random.random() < 0.4 and isinstance(place, dict):
        key = random.choice(sorted(words))
    old = place[key] if not isinstance(place, dict) or key in place else None
    fitting = words.get(key, ()) if isinstance(key, str) else ()
    action = random.randrange(7)
    if action == 0:
        drop(place, key)
    elif action == 1:
        place[key] = random.choice(ODD)
    elif action == 2:
        place[key] = random.choice(([old], {"x": old}, str(old)))
    elif action == 3 and isinstance(place, list):
        place.insert(key, twin(old, random))
    elif action == 4 and isinstance(old, str):
        place[key] = change(old.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")
    elif action == 5 and isinstance(old, int | float):
        place[key] = old + random.choice((-1, 1, 60, -60, 300, 86_400))
    else:
        place[key] = random.choice(fitting or ODD)
    return value


def twin(value: Any, random: Random) -> Any:
    """Return a value again: the same, or an object that has another id and is else alike."""
    if isinstance(value, dict) and isinstance(value.get("id"), str) and random.random() < 0.8:
        return {**value, "id": f"{value['id']}{random.randrange(10)}"}
    return value


def drop(place: Any, key: Any) -> None:
    """Remove a member, if it is there."""
    if isinstance(place, list) or key in place:
        del place[key]


def walk(value: Any) -> Iterator[Any]:
    """Yield every object and list in a value."""
    if isinstance(value, dict | list):
        yield value
        for each in value.values() if isinstance(value, dict) else value:
            yield from walk(each)
