"""Tells an account something that is about no single message.

`give` is called in the transaction of what happened, so that a thing and its notice are there
together or not at all; mail and webhooks go out afterwards, by the worker.  It tells once per
call: the caller gives it where a state changes, not where it is looked at.

What a `detail` has (plain JSON; amounts in micro-units, instants in ISO 8601), besides `account`
and `currency`, which are added here:

    balance.*         available, below, messages_left, days_left
    deposit.paid      amount, reference, provider, automatic
    deposit.reversed  amount, reference, provider, reason
    topup.failed      amount, reason, failures, switched_off
    invoice.issued    number, period, net, tax, total
    cap.reached       cap, credential (its user name; none for the account's own), day
    delivery.misconfigured  domain, category, queue_id, recipient, reply
    endpoint.*        endpoint (its number), url, since, until or reason
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.money.amounts import format_amount
from franking.money.billing.preferences import preferences
from franking.notices.kinds import AMOUNTS, KINDS
from franking.notices.models import Notice
from franking.reasons import NotFound
from franking.tables import utcnow
from franking.webhooks import outbox

MailState = Literal["off", "waiting", "sent", "failed"]


def give(
    session: Session,
    account_id: int,
    kind: str,
    detail: Mapping[str, Any] | None = None,
    now: datetime | None = None,
) -> Notice:
    """Write it down, to be mailed unless the account has switched that off, and for webhooks."""
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is no kind of notice")
    at = now or utcnow()
    account = session.get_one(Account, account_id)
    about = {**(detail or {}), "account": account.name, "currency": account.plan.currency}
    by_mail = preferences(session, account_id).alerts_by_mail
    notice = Notice(
        account_id=account_id, kind=kind, at=at, detail=about, mail_due_at=at if by_mail else None
    )
    session.add(notice)
    session.flush()
    name = f"notice_{notice.id}"
    outbox.enqueue(
        session, account_id, kind, {"id": name, **published(about)}, webhook_id=name, now=at
    )
    return notice


def published(detail: Mapping[str, Any]) -> dict[str, Any]:
    """A detail as customers get it: amounts as decimal text, `"12.50"`."""
    return {
        name: _decimal(value) if name in AMOUNTS and isinstance(value, int) else value
        for name, value in detail.items()
    }


def _decimal(micros: int) -> str:
    return format_amount(micros, "").strip().replace(",", "")


def listed(
    session: Session, account: Account, *, before_id: int | None = None, limit: int = 50
) -> Sequence[Notice]:
    """The account's notices, newest first."""
    query = select(Notice).where(Notice.account_id == account.id)
    if before_id is not None:
        query = query.where(Notice.id < before_id)
    return session.scalars(query.order_by(Notice.id.desc()).limit(limit)).all()


def get(session: Session, account: Account, notice_id: int) -> Notice:
    """Raises NotFound."""
    notice = session.get(Notice, notice_id)
    if notice is None or notice.account_id != account.id:
        raise NotFound(f"there is no notice {notice_id}")
    return notice


def mail_state(notice: Notice) -> MailState:
    """`failed`: given up, or refused for somebody; `mail_error` says why."""
    if notice.mail_due_at is not None:
        return "waiting"
    if notice.mail_error is not None:
        return "failed"
    return "off" if notice.mailed_at is None else "sent"
