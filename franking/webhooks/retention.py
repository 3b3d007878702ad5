"""What goes from the outbox, a few rows at a time: others write between two of these transactions.

Requests and answers are kept as long as the account's plan says (`retention.webhooks`).  What was
delivered goes as a whole; of what was given up a line stays for `DEAD`.  An endpoint that was
removed goes when all its deliveries have gone.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, and_, delete, or_, select, update
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.money.models import Plan
from franking.money.terms import terms_of
from franking.webhooks.models import Attempt, Delivery, Endpoint

DEAD = timedelta(days=30)
BATCH = 500

_row = Delivery.__table__.c


def forget(session: Session, now: datetime, limit: int = BATCH) -> int:
    """So many rows were too old, or without an endpoint; call it until there are fewer than
    `limit`."""
    count = _removed(session, limit)
    for days, plans in _retention(session).items():
        if count < limit:
            count += _old(session, now, timedelta(days=days), plans, limit - count)
    return count


def give_up(session: Session, now: datetime, limit: int = BATCH) -> int:
    """What still waits for endpoints that are disabled, beyond what was given up at once; call it
    until there are fewer than `limit`."""
    waiting = (
        select(_row.id, Endpoint.disabled_reason)
        .join(Endpoint, Endpoint.id == _row.endpoint_id)
        .where(Endpoint.disabled_at.is_not(None), *pending())
    )
    found = session.execute(_some(waiting, limit)).all()
    by_reason: dict[str, list[int]] = defaultdict(list)
    for number, reason in found:
        by_reason[reason or ""].append(number)
    for reason, numbers in by_reason.items():
        close = update(Delivery.__table__).where(_row.id.in_(numbers))  # type: ignore[arg-type]
        session.execute(close.values(dead_at=now, last_error=disabled(reason)))
    return len(found)


def pending() -> tuple[Any, ...]:
    return _row.delivered_at.is_(None), _row.dead_at.is_(None)


def disabled(reason: str) -> str:
    """The last error of what was given up with its endpoint."""
    return f"endpoint disabled: {reason}"[:500]


def _some(query: Select[Any], limit: int) -> Select[Any]:
    return query.limit(limit).with_for_update(of=Delivery, skip_locked=True)


def _retention(session: Session) -> dict[int, list[int]]:
    """Days: plans."""
    plans: dict[int, list[int]] = defaultdict(list)
    for number, terms in session.execute(select(Plan.id, Plan.terms)):
        plans[terms_of(terms).retention.webhooks].append(number)
    return plans


def _old(session: Session, now: datetime, kept: timedelta, plans: list[int], limit: int) -> int:
    """What was sent again meanwhile counts from its last end."""
    theirs = select(Endpoint.id).join(Account, Account.id == Endpoint.account_id)
    before = now - kept
    query = select(_row.id, _row.delivered_at, _row.dead_at).where(
        _row.endpoint_id.in_(theirs.where(Account.plan_id.in_(plans))),
        _row.created_at < before,
        or_(
            _row.delivered_at < before,
            and_(_row.dead_at < before, _row.body.is_not(None)),
            _row.dead_at < now - max(kept, DEAD),
        ),
    )
    found = session.execute(_some(query, limit)).all()
    stays = [row.id for row in found if row.dead_at and row.dead_at >= now - max(kept, DEAD)]
    if stays:
        session.execute(delete(Attempt).where(Attempt.delivery_id.in_(stays)))
        bare = update(Delivery.__table__).where(_row.id.in_(stays))  # type: ignore[arg-type]
        session.execute(bare.values(body=None))
    _delete(session, [row.id for row in found if row.id not in set(stays)])
    return len(found)


def _removed(session: Session, limit: int) -> int:
    removed = (
        select(Endpoint)
        .where(Endpoint.removed_at.is_not(None))
        .order_by(Endpoint.id)
        .with_for_update(skip_locked=True)
    )
    count = 0
    for endpoint in session.scalars(removed).all():
        query = select(_row.id).where(_row.endpoint_id == endpoint.id)
        numbers = list(session.scalars(_some(query, limit - count)))
        _delete(session, numbers)
        count += len(numbers)
        if count >= limit:
            break
        # Another transaction may have had one of them in its hands.
        left = select(_row.id).where(_row.endpoint_id == endpoint.id).limit(1)
        if session.scalar(left) is None:
            session.delete(endpoint)
            session.flush()
    return count


def _delete(session: Session, numbers: list[int]) -> None:
    """And their attempts: CASCADE."""
    if numbers:
        gone = delete(Delivery.__table__).where(_row.id.in_(numbers))  # type: ignore[arg-type]
        session.execute(gone)
