"""The outbox of webhooks: what happened is written here in the transaction in which it happens.

Each endpoint has a queue of its own.  A worker claims deliveries with a lease, posts them while no
transaction is open, and records how that ended; whoever has lost the lease records nothing.  So a
delivery is made at least once; its `webhook_id` stays the same, and receivers know repeats by it.
On PostgreSQL claiming workers skip each other's rows (FOR UPDATE SKIP LOCKED).
"""

from __future__ import annotations

import json
import random
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import insert, or_, select, update
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.reasons import Invalid
from franking.webhooks import endpoints
from franking.webhooks.models import Delivery, Endpoint

TEST = "endpoint.test"
LEASE = timedelta(seconds=90)  # more than resolving a name and a whole answer may take
JITTER = 0.1  # of each wait, both ways
# Between the tries: 13 of them in three days.
WAITS = (
    *(timedelta(seconds=s) for s in (5, 30, 120, 600, 1800)),
    *(timedelta(hours=h) for h in (1, 2, 4, 8, 12, 20, 24)),
)

State = Literal["delivered", "dead", "waiting"]

_PENDING = (Delivery.delivered_at.is_(None), Delivery.dead_at.is_(None))


@dataclass(frozen=True)
class Claimed:
    """One delivery that is ours until `lease`, and where it goes."""

    id: int
    webhook_id: str
    body: str
    attempts: int
    lease: datetime
    endpoint_id: int


@dataclass(frozen=True)
class Outcome:
    """How a try ended.  `status` is HTTP's; `error` is None when it was taken."""

    status: int | None
    error: str | None = None
    gone: bool = False  # the endpoint wants no more, ever


def enqueue(
    session: Session,
    account_id: int,
    kind: str,
    data: Mapping[str, Any],
    *,
    webhook_id: str,
    now: datetime,
) -> int:
    """Write one delivery for each endpoint that wants this kind; returns how many."""
    query = select(Endpoint).where(
        Endpoint.account_id == account_id, Endpoint.disabled_at.is_(None)
    )
    wanting = [e for e in session.scalars(query) if not e.events or kind in e.events]
    if not wanting or not endpoints.allowed(session.get_one(Account, account_id)):
        return 0
    body = _body(kind, data, now)
    session.execute(
        insert(Delivery),
        [_row(endpoint.id, webhook_id, kind, body, now) for endpoint in wanting],
    )
    return len(wanting)


def test(session: Session, endpoint: Endpoint, now: datetime) -> Delivery:
    """An event for this endpoint alone, to see whether it arrives.  Raises Invalid."""
    if endpoint.disabled_at is not None:
        raise Invalid("the endpoint is disabled")
    name = f"test_{secrets.token_hex(10)}"
    body = _body(TEST, {"id": name, "endpoint": endpoint.id}, now)
    delivery = Delivery(**_row(endpoint.id, name, TEST, body, now))
    session.add(delivery)
    session.flush()
    return delivery


def _row(endpoint_id: int, webhook_id: str, kind: str, body: str, now: datetime) -> dict[str, Any]:
    return {
        "endpoint_id": endpoint_id, "webhook_id": webhook_id, "kind": kind, "body": body,
        "attempts": 0, "due_at": now, "created_at": now,
    }  # fmt: skip


def _body(kind: str, data: Mapping[str, Any], now: datetime) -> str:
    """Signed and sent as it is stored here."""
    whole = {"type": kind, "timestamp": now.isoformat(), "data": dict(data)}
    return json.dumps(whole, separators=(",", ":"), ensure_ascii=False)


def ready(session: Session, now: datetime, *, but: Collection[int] = ()) -> dict[int, bool]:
    """Endpoints for which something is due, except those in `but`, and whether each is failing."""
    waits = select(Delivery.id).where(Delivery.endpoint_id == Endpoint.id, *_due(now)).exists()
    query = select(Endpoint.id, Endpoint.failing_since.is_not(None))
    query = query.where(Endpoint.disabled_at.is_(None), waits)
    if but:
        query = query.where(Endpoint.id.not_in(but))
    return {endpoint_id: bool(failing) for endpoint_id, failing in session.execute(query)}


def claim(session: Session, endpoint_id: int, now: datetime, limit: int) -> list[Claimed]:
    """The oldest of one endpoint that are due; commit before posting them."""
    query = select(Delivery).where(Delivery.endpoint_id == endpoint_id, *_due(now))
    first = query.order_by(Delivery.due_at).limit(limit).with_for_update(skip_locked=True)
    lease = now + LEASE
    claimed = []
    for row in session.scalars(first):
        row.leased_until = lease
        claimed.append(
            Claimed(row.id, row.webhook_id, row.body or "", row.attempts, lease, endpoint_id)
        )
    return claimed


def _due(now: datetime) -> tuple[Any, ...]:
    free = or_(Delivery.leased_until.is_(None), Delivery.leased_until <= now)
    return *_PENDING, Delivery.due_at <= now, free


def record(session: Session, claimed: Claimed, outcome: Outcome, now: datetime) -> bool:
    """Write down how a try ended; False when the lease is lost and another tries, or the endpoint
    was removed meanwhile, and its deliveries with it."""
    values: dict[str, Any] = {
        "attempts": claimed.attempts + 1, "leased_until": None, "last_status": outcome.status,
        "last_error": outcome.error and outcome.error[:500],
    }  # fmt: skip
    if outcome.error is None:
        values["delivered_at"] = now
    elif outcome.gone or claimed.attempts >= len(WAITS):
        values["dead_at"] = now
    else:
        values["due_at"] = now + wait(claimed.attempts)
    if outcome.gone:  # locked first, as `endpoints.disable` does
        endpoint = session.get(Endpoint, claimed.endpoint_id, with_for_update=True)
    mine = update(Delivery).where(
        Delivery.id == claimed.id, Delivery.leased_until == claimed.lease, *_PENDING
    )
    if not session.connection().execute(mine.values(values)).rowcount:
        return False
    if outcome.gone and endpoint is not None:
        endpoints.close(session, endpoint, f"it answered {outcome.status} Gone", now)
    return True


def standing(session: Session, endpoint_id: int, *, taken: bool, now: datetime) -> None:
    """Write down whether an endpoint took its last delivery; before what came of each."""
    since = Endpoint.failing_since
    changed = update(Endpoint).where(
        Endpoint.id == endpoint_id, since.is_not(None) if taken else since.is_(None)
    )
    session.connection().execute(changed.values(failing_since=None if taken else now))


def wait(attempts: int) -> timedelta:
    """Until the next try, after so many before this one that failed too."""
    return WAITS[attempts] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret


def state_of(delivery: Delivery) -> State:
    if delivery.delivered_at is not None:
        return "delivered"
    return "waiting" if delivery.dead_at is None else "dead"


def deliveries(
    session: Session, endpoint: Endpoint, *, before_id: int | None = None, limit: int = 50
) -> Sequence[Delivery]:
    """To this endpoint, newest first."""
    query = select(Delivery).where(Delivery.endpoint_id == endpoint.id)
    if before_id is not None:
        query = query.where(Delivery.id < before_id)
    return session.scalars(query.order_by(Delivery.id.desc()).limit(limit)).all()
