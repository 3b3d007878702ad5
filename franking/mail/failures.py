"""What follows from attempts that failed, in the transaction that writes them, before the money.

the recipient     may be suppressed              `franking.mail.suppressing`
our address       is refused: the operator       `franking.nodes.blocked`
the sender's DNS  is wrong: the customer hears   `delivery.misconfigured`, at most once a day
                  of it                          for each account, domain and category
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal, cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.mail import suppressing
from franking.mail.config import Suppressions
from franking.mail.events import FAILED, Written
from franking.mail.suppressing import Failure
from franking.nodes import blocked
from franking.nodes.blocked import Refusal
from franking.notices import notices
from franking.notices.models import Notice

MISCONFIGURED = "delivery.misconfigured"
TOLD = frozenset({"sender_rejected", "auth_policy"})  # what the customer's DNS can cure
ONCE_IN = timedelta(days=1)
LONGEST = 300  # characters of a reply


def consider(
    session: Session, node: str, written: Sequence[Written], rules: Suppressions, now: datetime
) -> None:
    failed = [_failure(node, each) for each in written if _has_ended(each)]
    if failed:
        suppressing.consider(session, failed, rules, now)
    refused = [_refusal(each) for each in written if each.finding and each.finding.ours]
    if refused:
        blocked.record(session, node, refused)
    _tell(session, written, now)


def _has_ended(each: Written) -> bool:
    """What an operator has deleted has no finding."""
    return each.attempt.kind in FAILED and each.finding is not None


def _failure(node: str, each: Written) -> Failure:
    return Failure(
        account_id=each.account_id,
        address=each.recipient,
        queue_id=each.attempt.queue_id,
        node=node,
        event_id=each.event_id,
        kind=cast(Literal["bounced", "expired"], each.attempt.kind),
        category=each.finding.category.name if each.finding else None,
    )


def _refusal(each: Written) -> Refusal:
    said = each.attempt
    receiver = said.remote_host or each.recipient.rpartition("@")[2]
    return Refusal(receiver, said.at, said.remote_ip, said.reply or "", said.queue_id)


def _tell(session: Session, written: Iterable[Written], now: datetime) -> None:
    wrong = {
        (each.account_id, each.sender.rpartition("@")[2].lower(), each.finding.category.name): each
        for each in written
        if each.finding and each.finding.category.name in TOLD and not each.finding.ours
    }
    for (account_id, domain, category), each in sorted(wrong.items(), key=lambda item: item[0]):
        if not _told(session, account_id, domain, category, now):
            detail = {
                "domain": domain,
                "category": category,
                "queue_id": each.attempt.queue_id,
                "recipient": each.recipient,
                "reply": (each.attempt.reply or "")[:LONGEST],
            }
            notices.give(session, account_id, MISCONFIGURED, detail, now)


def _told(session: Session, account_id: int, domain: str, category: str, now: datetime) -> bool:
    """Two nodes at the same moment may both tell it; nobody is harmed."""
    earlier = session.scalars(
        select(Notice.detail).where(
            Notice.account_id == account_id,
            Notice.kind == MISCONFIGURED,
            Notice.at > now - ONCE_IN,
        )
    )
    return any((d.get("domain"), d.get("category")) == (domain, category) for d in earlier)
