"""What was typed into a form that lists a daemon, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tenantgate.web.forms import Form, end_of_day
from tenantgate.web.texts import texts


@dataclass(slots=True)
class Filled:
    """What was typed, and what is wrong with it, by field; the empty name is for what no field can mend."""

    values: dict[str, str]
    roles: tuple[str, ...] = ()
    errors: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, form: Form, fields: Iterable[str]) -> Filled:
        """Return a posted form (untrusted): its fields of one value; `roles` may be sent many times."""
        return cls({name: form.text(name) for name in fields}, form.texts("roles"))


def day(filled: Filled, name: str) -> int | None:
    """Return the end of the day that was typed, in epoch seconds; None for none, and for what is no day: a fault."""
    typed = filled.values[name]
    end = end_of_day(typed) if typed else None
    if typed and end is None:
        filled.errors[name] = texts()["onboard.date_malformed"]
    return end
