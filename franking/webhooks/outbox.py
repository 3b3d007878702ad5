"""The outbox of webhooks: what is to be delivered to endpoints, and what became of it.

Notices are written here in the transaction of what they tell of; mail's events afterwards, by the
worker (`franking.webhooks.fanout`), so that mail never waits for it.  Who posts them goes by
`franking.webhooks.queue`.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, insert, select
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.mail.models import Message
from franking.reasons import Invalid, NotFound
from franking.webhooks import endpoints, schedule
from franking.webhooks.models import Attempt, Delivery, Endpoint

TEST = "endpoint.test"

State = Literal["delivered", "dead", "waiting"]

_IN_STATE: dict[State, tuple[ColumnElement[bool], ...]] = {
    "delivered": (Delivery.delivered_at.is_not(None),),
    "dead": (Delivery.dead_at.is_not(None),),
    "waiting": (Delivery.delivered_at.is_(None), Delivery.dead_at.is_(None)),
}


@dataclass(frozen=True)
class Sent:
    """One delivery, and where it goes."""

    delivery: Delivery
    url: str


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
    text = body(kind, data, now)
    session.execute(
        insert(Delivery), [row(endpoint.id, webhook_id, kind, text, now) for endpoint in wanting]
    )
    return len(wanting)


def test(session: Session, endpoint: Endpoint, now: datetime) -> Delivery:
    """An event for this endpoint alone, to see whether it arrives; tried once.  Raises Invalid."""
    if endpoint.disabled_at is not None:
        raise Invalid("the endpoint is disabled")
    name = f"test_{secrets.token_hex(10)}"
    text = body(TEST, {"id": name, "endpoint": endpoint.id}, now)
    delivery = Delivery(**row(endpoint.id, name, TEST, text, now))
    session.add(delivery)
    session.flush()
    return delivery


def row(endpoint_id: int, webhook_id: str, kind: str, text: str, now: datetime) -> dict[str, Any]:
    """A new delivery's columns."""
    return {
        "endpoint_id": endpoint_id, "webhook_id": webhook_id, "kind": kind, "body": text,
        "attempts": 0, "due_at": now, "created_at": now,
    }  # fmt: skip


def body(kind: str, data: Mapping[str, Any], now: datetime) -> str:
    """Signed and sent as it is stored here."""
    whole = {"type": kind, "timestamp": now.isoformat(), "data": dict(data)}
    return json.dumps(whole, separators=(",", ":"), ensure_ascii=False)


def state_of(delivery: Delivery) -> State:
    if delivery.delivered_at is not None:
        return "delivered"
    return "waiting" if delivery.dead_at is None else "dead"


def deliveries(
    session: Session,
    endpoint: Endpoint,
    *,
    state: State | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> Sequence[Delivery]:
    """To this endpoint, newest first; `dead` are the dead letters."""
    query = select(Delivery).where(Delivery.endpoint_id == endpoint.id)
    if state is not None:
        query = query.where(*_IN_STATE[state])
    if before_id is not None:
        query = query.where(Delivery.id < before_id)
    return session.scalars(query.order_by(Delivery.id.desc()).limit(limit)).all()


def get(session: Session, account: Account, delivery_id: int) -> Delivery:
    """Raises NotFound."""
    found = session.get(Delivery, delivery_id)
    if found is None:
        raise NotFound(f"there is no delivery {delivery_id}")
    endpoints.get(session, account, found.endpoint_id)
    return found


def attempts(session: Session, delivery: Delivery) -> Sequence[Attempt]:
    """Each request and its answer, oldest first."""
    query = select(Attempt).where(Attempt.delivery_id == delivery.id)
    return session.scalars(query.order_by(Attempt.id)).all()


def upcoming(delivery: Delivery, now: datetime) -> list[datetime]:
    """When it is still to be tried, the next one first; none unless it waits."""
    if state_of(delivery) != "waiting":
        return []
    if delivery.kind == TEST:
        return [delivery.due_at]
    return schedule.upcoming(delivery.attempts, max(delivery.due_at, now))


def of_message(session: Session, account: Account, message: Message) -> list[Sent]:
    """What was told of this message, oldest first; not what went in batches, which are of many."""
    query = (
        select(Delivery, Endpoint.url)
        .join(Endpoint, Endpoint.id == Delivery.endpoint_id)
        .where(
            Delivery.queue_id == message.queue_id,
            Delivery.node == message.node,
            Endpoint.account_id == account.id,
        )
        .order_by(Delivery.id)
    )
    return [Sent(delivery, url) for delivery, url in session.execute(query)]
