"""Mail that waits in Postfix's hold queue until its account's limits have room for it.

The milter accepts it with `hold`: it is paid and recorded like any other, and its credential's
later mail queues up behind it, else a busy sender's new mail would take all the room for ever.
Housekeeping of the message's node (`worker.housekeeping.held`) then, the oldest first,

    counts it     `grant`: its limits, as the plan has them now, have room; `granted_at` is set
    releases it   `postsuper -H`
    records it    `released`: status queued, event `released`; the mail log may have been faster

each step in a transaction of its own and each known to be done by what it left behind, so a crash
anywhere neither counts a message twice nor forgets one.

Whoever releases a message by hand does not beat the limit: a customer's request only puts it
first in its line.  An operator may let it go beyond the limit; then it is not counted.
While an account is suspended nothing of it is released.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from franking.accounts import limits
from franking.accounts.limits import Counted, Exceeded, Subject
from franking.accounts.models import Account, Credential
from franking.accounts.rules import Window, effective
from franking.mail.models import HeldMessage, Message
from franking.mail.transitions import record_held
from franking.money.models import Plan
from franking.reasons import AccountSuspended, NotFound

_BEHIND = (
    select(HeldMessage.queue_id)
    .where(
        HeldMessage.credential_id == bindparam("credential_id"),
        HeldMessage.released_at.is_(None),
        HeldMessage.granted_at.is_(None),
    )
    .limit(1)
)
_RULES = (
    select(Plan.rules, Credential.rules, Account.status, Account.suspended_reason)
    .select_from(Credential)
    .join(Account, Account.id == Credential.account_id)
    .join(Plan, Plan.id == Account.plan_id)
    .where(Credential.id == bindparam("credential_id"))
)


def admit(
    session: Session, windows: Sequence[Window], subject: Subject, recipients: int, now: datetime
) -> Exceeded | Counted:
    """Count a message that is about to be accepted, as `limits.count`, or say why it is held.

    Raises Exceeded when a limit refuses it.  A held message is not counted until it is released.
    """
    try:
        held = _queues_up(session, windows, subject, now)
        if held is None:
            return limits.count(session, windows, subject, recipients, now)
        if refused := limits.exceeded(session, windows, subject, now, recipients):
            raise refused
    except Exceeded as exceeded:
        if exceeded.on_excess != "hold":
            raise
        return exceeded
    return held


def _queues_up(
    session: Session, windows: Sequence[Window], subject: Subject, now: datetime
) -> Exceeded | None:
    """The limit for which earlier mail of this credential waits, if one of its limits holds."""
    holds = next((window for window in windows if window.on_excess == "hold"), None)
    if holds is None:
        return None
    values = {"credential_id": subject.credential_id}
    if session.connection().execute(_BEHIND, values).first() is None:
        return None
    return limits.closed(holds, now)


def hold(
    session: Session,
    *,
    node: str,
    queue_id: str,
    subject: Subject,
    exceeded: Exceeded,
    recipients: int,
    now: datetime,
) -> None:
    """Record that a message just stored as queued waits; `recipients` are those that count."""
    reason = str(exceeded)
    session.add(
        HeldMessage(
            queue_id=queue_id,
            node=node,
            account_id=subject.account_id,
            credential_id=subject.credential_id,
            recipients=recipients,
            reason=reason,
            held_at=now,
        )
    )
    session.flush()
    record_held(session, node, queue_id, reason, now)


def request_release(
    session: Session, account: Account, queue_id: str, now: datetime
) -> HeldMessage:
    """Put this message first in its line; it goes as soon as the limits have room.

    Raises NotFound when there is no such message of this account in the hold queue.
    """
    held = _held(session, queue_id, account)
    held.release_requested_at = held.release_requested_at or now
    return held


def let_go(session: Session, queue_id: str, now: datetime) -> HeldMessage:
    """For the operator: release this message whatever the limits say; it is not counted."""
    held = _held(session, queue_id)
    held.granted_at = held.granted_at or now
    return held


def _held(session: Session, queue_id: str, account: Account | None = None) -> HeldMessage:
    query = select(HeldMessage).where(
        HeldMessage.queue_id == queue_id, HeldMessage.released_at.is_(None)
    )
    if account is not None:
        query = query.where(HeldMessage.account_id == account.id)
    held = session.scalars(query.order_by(HeldMessage.held_at.desc()).with_for_update()).first()
    if held is None:
        raise NotFound(f"no message {queue_id!r} is held")
    return held


def check(session: Session, held: HeldMessage, now: datetime) -> None:
    """Raises what `grant` would raise; counts nothing."""
    windows, subject = _rules(session, held, _message(session, held))
    full = limits.exceeded(session, windows, subject, now, held.recipients, holds=True)
    if full is not None:
        raise full


def grant(session: Session, held: HeldMessage, now: datetime) -> None:
    """Count it, once; raises Exceeded when there is no room, AccountSuspended.

    Exceeded with `recipients` set: it has more of them than a limit ever takes, and waits until
    the plan changes or an operator lets it go.
    """
    key = (held.queue_id, held.node)
    row = session.get(HeldMessage, key, with_for_update=True, populate_existing=True)
    if row is None or row.granted_at is not None or row.released_at is not None:
        return
    message = _message(session, row)
    windows, subject = _rules(session, row, message)
    message.counted = limits.count(session, windows, subject, row.recipients, now) or None
    row.granted_at = now


def _message(session: Session, held: HeldMessage) -> Message:
    return session.get_one(Message, (held.queue_id, held.node))


def _rules(
    session: Session, held: HeldMessage, message: Message
) -> tuple[Sequence[Window], Subject]:
    """The limits as they are now: a better plan lets waiting mail go."""
    values = {"credential_id": held.credential_id}
    plan, own, status, reason = session.execute(_RULES, values).one()
    if status != "active":
        raise AccountSuspended(reason or "contact support")
    subject = Subject(
        held.account_id, held.credential_id, message.client_ip, test=message.mode == "test"
    )
    return effective(plan, own).counted(), subject


def of_node(session: Session, node: str, limit: int) -> list[HeldMessage]:
    """Up to `limit` granted ones, then up to `limit` of every credential: who asked comes first,
    then who has waited longest."""
    here = (HeldMessage.node == node, HeldMessage.released_at.is_(None))
    granted = select(HeldMessage).where(*here, HeldMessage.granted_at.is_not(None)).limit(limit)
    waiting: list[HeldMessage] = []
    for credential_id in session.scalars(select(HeldMessage.credential_id).where(*here).distinct()):
        own = select(HeldMessage).where(
            *here, HeldMessage.credential_id == credential_id, HeldMessage.granted_at.is_(None)
        )
        waiting += session.scalars(own.order_by(*_ORDER).limit(limit))
    return [*session.scalars(granted), *sorted(waiting, key=_place)]


_ORDER = (HeldMessage.release_requested_at.is_(None), HeldMessage.held_at, HeldMessage.queue_id)


def _place(held: HeldMessage) -> tuple[bool, datetime, str]:
    return held.release_requested_at is None, held.held_at, held.queue_id
