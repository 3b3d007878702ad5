"""The time in Postfix's long queue IDs.

They begin with the second in which the queue file was made, six digits in base 52, in the order of
ASCII: so a range of queue IDs is a range of time.  Source: Postfix, global/mail_queue.h
(MQID_LG_SEC_BASE) and util/safe_ultostr.c.
"""

from __future__ import annotations

from datetime import UTC, datetime

_DIGITS = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"  # no vowels
_SECONDS = 6  # digits


def since(moment: datetime) -> str:
    """Queue IDs of this second and later are not lower than this."""
    seconds, digits = int(moment.timestamp()), ""
    for _ in range(_SECONDS):
        seconds, digit = divmod(seconds, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits


def made_at(queue_id: str) -> datetime | None:
    """To the second; None when the queue ID is no long one."""
    seconds = 0
    for digit in queue_id[:_SECONDS]:
        if (value := _DIGITS.find(digit)) < 0:
            return None
        seconds = seconds * len(_DIGITS) + value
    return datetime.fromtimestamp(seconds, UTC)
