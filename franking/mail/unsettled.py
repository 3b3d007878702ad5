"""An operator's verdict on mail of which evidence could not say whether Postfix had taken it.

`captured`: it was sent, as far as can be known; it is paid, and a refund that was due in the
meantime is given.  `voided`: it was not; it costs nothing, counts for no limit and has ended.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from sqlalchemy.orm import Session

from franking.mail import events
from franking.mail.transitions import give_up
from franking.money import refunds, settling
from franking.money.models import Reservation

Verdict = Literal["captured", "voided"]


def settle(
    session: Session, node: str, queue_id: str, verdict: Verdict, *, note: str, now: datetime
) -> Reservation:
    """Raises NotFound, or Invalid when the reservation is not unknown."""
    session.get(Reservation, (queue_id, node), with_for_update=True)  # the order of locks
    if verdict == "voided":
        give_up(session, node, [queue_id], now, states=("unknown",))
    refunds.lock(session, node, [queue_id])
    row = settling.settle_unknown(session, node, queue_id, verdict, note=note, now=now)
    if verdict == "voided":
        events.record_voided(session, node, {queue_id: row.evidence or ""}, now)
    else:
        refunds.give_back(session, node, [queue_id], now)
    return row
