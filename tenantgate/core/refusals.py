"""The one table of refusals: reason → public code → status and challenge → what it means → what helps.

Read by `gate.answer`, the trace, the command line and `docs/denials.md`. The public text helps nobody to
enumerate the allow-list: an unknown tenant, an unknown daemon and a suspended partner read alike
(RFC 6750 §3.1; the exact reason is for the operator). What is known of the one token at hand makes the
advice more exact (`core.advice`).
"""

from __future__ import annotations

from typing import Final

from tenantgate.core.answers import CODES as CODES
from tenantgate.core.answers import Answered as Answered
from tenantgate.core.answers import Refusal as Refusal
from tenantgate.core.caller_refusals import CALLER_REFUSALS, OTHER_REFUSALS, REQUEST_REFUSALS
from tenantgate.core.decision import DenialReason
from tenantgate.core.token_refusals import TOKEN_REFUSALS

REFUSALS: Final[dict[DenialReason, Refusal]] = {
    **REQUEST_REFUSALS,
    **TOKEN_REFUSALS,
    **CALLER_REFUSALS,
    **OTHER_REFUSALS,
}
"""Every reason's row, in the order of the enum."""
