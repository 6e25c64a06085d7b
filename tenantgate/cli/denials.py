"""The page of all denial reasons, written from the table: `python -m tenantgate.cli.denials > docs/denials.md`."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from typing import Final

from tenantgate.core.advice import HINTS
from tenantgate.core.decision import DenialReason as R
from tenantgate.core.refusals import CODES, REFUSALS

INTRODUCTION: Final = """\
# Why a request was refused

Written from the table itself (`python -m tenantgate.cli.denials`).

TenantGate answers every refusal with a status, a public code in the header `X-TG-Reason` and the decision's id in
`X-TG-Decision`. The public code is all that a caller learns, unless the resource has `show_reasons` on: then the body
of the answer also carries the exact reason and what the partner can do (below; often it is to ask).

A publisher finds the exact reason of any token with `tenantgate token explain`: step by step, with what was expected
beside what was received, what helps, what stands and what is still missing ([a first token](first-token.md)). With
`--for partner` it tells what may be sent to whoever runs the daemon: about their own token, nothing about the list.
"""

AFTER_THE_CODES: Final = """\
A 401 means: get another token. A 403 means: another token will not help, talk to the publisher. A 503 means: the fault
is on the publisher's side, keep the token and try again after `Retry-After`. An unknown tenant, an unknown daemon and a
suspended partner read alike on purpose, so that nobody can find out from outside who is on the list.

Below, *partner* is whoever runs the daemon, *publisher* whoever runs the API. *Told apart* are the cases in which
`token explain`, and an answer that shows its reason, say something more exact. A reason marked *reserved* belongs to a
check that is not built yet; its name is settled, and nothing gives it today.
"""

HEADINGS: Final = {
    R.NO_CREDENTIAL: "The request carries no usable credential",
    R.TOKEN_MALFORMED: "The token's form",
    R.ISSUER_UNKNOWN: "Who signed it",
    R.CLAIM_MISSING: "What it says",
    R.TENANT_NOT_LISTED: "Authentic, and not on the list",
    R.CERTIFICATE_REQUIRED: "Client certificates",
    R.SUBSCRIPTION_KEY_UNKNOWN: "Subscription keys",
    R.KEY_SET_UNAVAILABLE: "We cannot judge",
}
"""The first reason of each group → the group's heading."""


def page() -> str:
    """Return the whole page."""
    return "\n".join([INTRODUCTION, *_codes(), AFTER_THE_CODES, *(_section(reason) for reason in R)])


def _codes() -> Iterator[str]:
    yield "## Public codes\n"
    yield "| Code | Status | OAuth error | What the caller reads |\n|---|---|---|---|"
    for code, row in CODES.items():
        error = f"`{row.oauth_error}`" if row.oauth_error else "none"
        yield f"| `{code.value}` | {row.status} | {error} | {row.text} |"
    yield ""


def _section(reason: R) -> str:
    row = REFUSALS[reason]
    reserved = "*Reserved.* " if row.reserved else ""
    lines = [
        _filled(f"`{row.code.value}`, {CODES[row.code].status}. {reserved}{row.meaning}", ""),
        _filled(f"- *Partner:* {row.partner}"),
        _filled(f"- *Publisher:* {row.publisher}"),
    ]
    apart = [hint.when for hint in HINTS.get(reason, ()) if hint.when]
    if apart:
        lines.append(_filled(f"- *Told apart:* {'; '.join(apart)}."))
    heading = f"## {HEADINGS[reason]}\n\n" if reason in HEADINGS else ""
    return f"{heading}### `{reason.value}`\n\n" + "\n".join(lines) + "\n"


def _filled(text: str, indent: str = "  ") -> str:
    return textwrap.fill(text, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    sys.stdout.write(page())
