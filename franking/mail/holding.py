"""Mail that waits in Postfix's hold queue until its account has room, or money, for it.

The milter accepts it with `hold` and records it like any other.  What waits for a limit is paid
already, and its credential's later mail queues up behind it, else a busy sender's new mail would
take all the room for ever.  What waits for money (`unpaid`; plans with on_empty = hold) is priced.
Housekeeping of the message's node (`worker.housekeeping.held`) then, the oldest first,

    counts it     `grant`: its limits, as the plan has them now, have room, and what was not paid
                  is paid; `granted_at` is set
    releases it   `postsuper -H`
    records it    `released`: status queued, event `released`; the mail log may have been faster

each step in a transaction of its own and each known to be done by what it left behind, so a crash
anywhere neither counts a message twice nor forgets one.

Whoever releases a message by hand does not beat the limit: a customer's request only puts it
first in its line.  An operator may let it go beyond the limit; then it is not counted, and what
was not paid brings the balance below zero.
While an account is suspended nothing of it is released.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from franking.accounts import limits
from franking.accounts.limits import Counted, Exceeded, Subject
from franking.accounts.models import Account, Credential
from franking.accounts.rules import Window, effective
from franking.mail import events
from franking.mail.models import HeldMessage, Message
from franking.mail.transitions import give_up, record_held
from franking.money import reservations, settling
from franking.money.billing.models import BillingSettings
from franking.money.models import Balance, Plan, Reservation
from franking.money.periods import day_of
from franking.money.reservations import UNBOUND, Bounds
from franking.money.terms import terms_of
from franking.reasons import AccountSuspended, CapReached, InsufficientBalance, NotFound, Refused

_BEHIND = (
    select(HeldMessage.queue_id)
    .where(
        HeldMessage.credential_id == bindparam("credential_id"),
        HeldMessage.released_at.is_(None),
        HeldMessage.granted_at.is_(None),
    )
    .limit(1)
)
_UNPAID = select(func.count()).select_from(
    select(HeldMessage.queue_id)
    .where(
        HeldMessage.credential_id == bindparam("credential_id"),
        HeldMessage.released_at.is_(None),
        HeldMessage.unpaid,
    )
    .limit(bindparam("most"))
    .subquery()
)
_MEANS = (
    select(
        Plan.rules.label("plan_rules"), Credential.rules.label("own_rules"), Plan.terms,
        Account.status, Account.suspended_reason, Credential.revoked_at,
        Balance.available, Balance.spent, Balance.spent_on, BillingSettings.daily_cap,
    )
    .select_from(Credential)
    .join(Account, Account.id == Credential.account_id)
    .join(Plan, Plan.id == Account.plan_id)
    .join(Balance, Balance.account_id == Account.id)
    .outerjoin(BillingSettings, BillingSettings.account_id == Account.id)
    .where(Credential.id == bindparam("credential_id"))
)  # fmt: skip


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
    reason: str,
    recipients: int,
    now: datetime,
    unpaid: bool = False,
) -> None:
    """Record that a message just stored as queued waits; `recipients` are those that count."""
    session.add(
        HeldMessage(
            queue_id=queue_id,
            node=node,
            account_id=subject.account_id,
            credential_id=subject.credential_id,
            recipients=recipients,
            reason=reason,
            unpaid=unpaid,
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
    """For the operator: release this message whatever the limits and the balance say."""
    held = _held(session, queue_id)
    if held.granted_at is None:
        held.granted_at = now
        session.flush()
        reservations.fund(session, held.node, held.queue_id, UNBOUND, now)
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


class GivenUp(Refused):
    """What waits for money is not to be sent any more; the text says why."""


def may_wait(session: Session, credential_id: int, most: int) -> bool:
    """Whether fewer than `most` messages of this credential wait for money."""
    asked = {"credential_id": credential_id, "most": most}
    return (session.scalar(_UNPAID, asked) or 0) < most


def check(session: Session, held: HeldMessage, now: datetime) -> None:
    """Raises what `grant` would raise, or GivenUp; counts nothing and takes no money."""
    message = _message(session, held)
    means = _means(session, held, message)
    if held.unpaid and means.revoked:
        raise GivenUp("its API key was revoked while it waited for money")
    if held.unpaid and now - held.held_at > timedelta(means.days):
        raise GivenUp(f"waited {means.days} days for money")
    full = limits.exceeded(session, means.windows, means.subject, now, held.recipients, holds=True)
    if full is not None and not _is_counted(held, message):
        raise full
    if held.unpaid:
        _check_money(means, message.cost, now)


def _check_money(means: _Means, cost: int, now: datetime) -> None:
    if means.available - cost < -means.bounds.floor:
        raise InsufficientBalance("Insufficient balance")
    cap = means.bounds.account_cap
    if cap is not None and day_of(now).so_far(means.spent, means.spent_on) + cost > cap:
        raise CapReached("account")


def grant(session: Session, held: HeldMessage, now: datetime) -> None:
    """Count and pay it, once; raises Exceeded when there is no room, InsufficientBalance,
    CapReached, AccountSuspended.

    Exceeded with `recipients` set: it has more of them than a limit ever takes, and waits until
    the plan changes or an operator lets it go.
    """
    key = (held.queue_id, held.node)
    row = session.get(HeldMessage, key, with_for_update=True, populate_existing=True)
    if row is None or row.granted_at is not None or row.released_at is not None:
        return
    if row.unpaid:  # the lock order
        session.get(Reservation, key, with_for_update=True)
    message = _message(session, row)
    means = _means(session, row, message)
    if not _is_counted(row, message):
        counted = limits.count(session, means.windows, means.subject, row.recipients, now)
        message.counted = counted or None
    row.granted_at = now
    session.flush()  # the money comes last
    if row.unpaid:
        reservations.fund(session, row.node, row.queue_id, means.bounds, now)


def _message(session: Session, held: HeldMessage) -> Message:
    return session.get_one(Message, (held.queue_id, held.node))


def _is_counted(held: HeldMessage, message: Message) -> bool:
    """What waits for nothing but money was counted when it was accepted."""
    return held.unpaid and message.counted is not None


@dataclass(frozen=True)
class _Means:
    """Limits and money as they are now: a better plan lets waiting mail go."""

    windows: Sequence[Window]
    subject: Subject
    available: int
    spent: int
    spent_on: date | None
    bounds: Bounds
    days: int
    revoked: bool


def _means(session: Session, held: HeldMessage, message: Message) -> _Means:
    values = {"credential_id": held.credential_id}
    row = session.execute(_MEANS, values).one()
    if row.status != "active":
        raise AccountSuspended(row.suspended_reason or "contact support")
    subject = Subject(
        held.account_id, held.credential_id, message.client_ip, test=message.mode == "test"
    )
    terms = terms_of(row.terms)
    units = max(1, held.recipients if terms.billing_unit == "recipient" else 1)
    rules = effective(row.plan_rules, row.own_rules)
    cap = None if rules.daily_spend is None else (held.credential_id, rules.daily_spend)
    bounds = Bounds(terms.floor(message.cost // units), row.daily_cap, cap)
    return _Means(
        rules.counted(), subject, row.available, row.spent, row.spent_on, bounds,
        terms.hold_days, row.revoked_at is not None,
    )  # fmt: skip


def drop_unpaid(session: Session, node: str, reasons: Mapping[str, str], now: datetime) -> None:
    """These waited for money, and have no queue file any more: queue ID → why, in words."""
    give_up(session, node, reasons, now, states=("waiting",))
    dropped = settling.give_up_waiting(session, node, reasons, now)
    if dropped:
        events.record_voided(session, node, {q: reasons[q] for q in sorted(dropped)}, now)


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
