"""Whether a provider refused a call since nobody pays for it: waiting does not help then, topping up does."""

import re
from typing import Any, Final

from langgraph_conductor.containment import said
from langgraph_conductor.workers.error_bodies import (
    bodies,
    fault_in,
    http_status,
    kept,
    status_in,
    words_in,
)
from langgraph_conductor.workers.retry_after import wait_asked

OUT_OF_CREDIT: Final = (
    "the account with the provider is out of credit, or has reached its spending limit: add credit or raise the "
    "limit there, then run again"
)
"""What to do, in a sentence."""

_PAYMENT_REQUIRED: Final = 402
_MOST_WORDS: Final = 20_000
_QUOTA: Final = "insufficient_quota"
_CODES: Final = frozenset({
    _QUOTA, "insufficient_credits", "insufficient_balance", "insufficient_funds", "billing_error",
    "billing_hard_limit_reached", "billing_not_active", "billing_disabled", "credit_balance_exhausted",
    "credits_exhausted", "payment_required", "exceeded_current_quota_error", "arrearage", "accountoverdueerror",
})  # fmt: skip
"""Providers' words for an account that cannot pay, in place of a code or type."""
_WORDS: Final = re.compile(
    r"credit balance|out of credits?\b|insufficient[ _]quota"
    r"|(?:insufficient|not enough|no|more) (?:api |account |prepaid )?(?:credits?|balance|funds)\b"
    r"|credits? (?:are|is|have been|has been) (?:depleted|exhausted|used up)"
    r"|(?:check|update|verify) your (?:plan and )?(?:billing|payment)|payment required|payment method"
    r"|billing (?:hard )?limit|billing to be enabled|enable billing"
    r"|billing (?:account )?(?:is |has been )?(?:not active|inactive|disabled|not enabled|not set up)"
    r"|spend(?:ing)? (?:limit|cap)|monthly (?:spend|budget)|specified api usage limits|key limit exceeded"
    r"|overdue|in arrears|inactive subscription"
    r"|\u4f59\u989d\u4e0d\u8db3|\u6b20\u8d39",  # Chinese: the balance does not suffice; in arrears
    re.IGNORECASE,
)
_LIMIT_OF_TIME: Final = re.compile(r"per[ _-]?(?:second|minute|hour|day)|rate[ _-]limit", re.IGNORECASE)


def lacks_credit(error: BaseException, *, answered: bool) -> bool:
    """Whether a provider says that the account has no credit left, or is at the limit its owner set.

    Google's and Azure's errors for quotas by the minute hold the same words: one that says how long to wait, or
    speaks of such a limit, is a rate limit.

    Args:
        error: The exception itself; what caused it does not count.
        answered: Whether what it holds is certain to be a server's answer, though it has no error status.
    """
    status = http_status(error)
    if status == _PAYMENT_REQUIRED:
        return True
    if status not in (None, 400, 401, 403, 429) or (status is None and not answered):
        return False
    told = [*bodies(error)]
    if status is None and any(status_in(body) == _PAYMENT_REQUIRED for body in told):
        return True
    words = (" ".join(map(words_in, told)) or said(error))[:_MOST_WORDS]
    codes = {_word(fault_in(body).get(name)) for body in told for name in ("code", "type")}
    if found := codes & _CODES:
        return found != {_QUOTA} or not _LIMIT_OF_TIME.search(words)
    return bool(_WORDS.search(words)) and not _LIMIT_OF_TIME.search(words) and wait_asked([error]) is None


def is_answered(error: BaseException) -> bool:
    """Whether an error's body is a server's: anyone may raise an exception that holds a mapping."""
    return kept(error, "body") is not None or kept(error, "response") is not None


def _word(value: Any) -> str:
    return value.lower() if isinstance(value, str) else ""
