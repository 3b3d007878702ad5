"""The outbox as the worker sees it: what is due is claimed, posted, and written down.

Each endpoint has a queue of its own.  A worker claims deliveries with a lease, posts them while no
transaction is open, and records how that ended; whoever has lost the lease records nothing.  So a
delivery is made at least once; its `webhook_id` stays the same, and receivers know repeats by it.
On PostgreSQL claiming workers skip each other's rows (FOR UPDATE SKIP LOCKED).
Endpoints are locked before deliveries, both in the order of their numbers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, insert, or_, select, update
from sqlalchemy.orm import Session

from franking.webhooks import schedule
from franking.webhooks.models import Attempt, Delivery, Endpoint
from franking.webhooks.outbox import TEST

LEASE = timedelta(seconds=90)  # more than resolving a name and a whole answer may take

_row = Delivery.__table__.c
_PENDING = (_row.delivered_at.is_(None), _row.dead_at.is_(None))


@dataclass(frozen=True)
class Claimed:
    """One delivery that is ours until `lease`, and where it goes."""

    id: int
    webhook_id: str
    kind: str
    body: str
    attempts: int
    lease: datetime
    endpoint_id: int


@dataclass(frozen=True)
class Exchange:
    """What was asked and answered; `took` in seconds, `response` as text, cut off."""

    at: datetime
    took: float
    url: str
    request_headers: Mapping[str, str] = field(default_factory=dict)
    response_headers: Mapping[str, str] = field(default_factory=dict)
    response: str | None = None


@dataclass(frozen=True)
class Outcome:
    """How a try ended.  `status` is HTTP's; `error` is None when it was taken."""

    status: int | None
    error: str | None = None
    gone: bool = False  # the endpoint wants no more, ever
    exchange: Exchange | None = field(default=None, compare=False)


Done = tuple[Claimed, Outcome]


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
    query = select(_row.id, _row.webhook_id, _row.kind, _row.body, _row.attempts).where(
        _row.endpoint_id == endpoint_id, *_due(now)
    )
    first = query.order_by(_row.due_at).limit(limit).with_for_update(skip_locked=True)
    connection = session.connection()
    found = connection.execute(first).all()
    lease = now + LEASE
    if found:
        connection.execute(
            update(Delivery.__table__)  # type: ignore[arg-type]
            .where(_row.id.in_([row.id for row in found]))
            .values(leased_until=lease)
        )
    return [
        Claimed(row.id, row.webhook_id, row.kind, row.body or "", row.attempts, lease, endpoint_id)
        for row in found
    ]


def _due(now: datetime) -> tuple[Any, ...]:
    free = or_(_row.leased_until.is_(None), _row.leased_until <= now)
    return *_PENDING, _row.due_at <= now, free


def release(session: Session, unposted: Sequence[Claimed]) -> None:
    """They were claimed and not begun: anybody may have them at once."""
    by_lease: dict[datetime, list[int]] = defaultdict(list)
    for claimed in unposted:
        by_lease[claimed.lease].append(claimed.id)
    for lease, ids in by_lease.items():
        session.connection().execute(
            update(Delivery.__table__)  # type: ignore[arg-type]
            .where(_row.id.in_(ids), _row.leased_until == lease)
            .values(leased_until=None)
        )


def record(session: Session, done: Sequence[Done], now: datetime) -> list[Done]:
    """Write down how tries ended, and what that says of the endpoints.  Returns those that are
    written: of the others the lease is lost, and somebody else tries, or their endpoint was removed
    meanwhile, and its deliveries with it.

    An endpoint that is gone is only locked: `franking.webhooks.standing.gone` comes next.
    """
    _standing(session, done, now)
    written = _take(session, [each for each in done if each[1].error is None], now)
    for each in sorted(done, key=lambda each: each[0].id):
        if each[1].error is not None and _failed(session, *each, now):
            written.append(each)
    exchanges = [_attempt(*each) for each in written if each[1].exchange is not None]
    if exchanges:
        session.connection().execute(_ATTEMPT, exchanges)
    return written


def _standing(session: Session, done: Iterable[Done], now: datetime) -> None:
    """Whether endpoints took their last delivery; a test that fails says nothing."""
    last: dict[int, Outcome] = {}
    for claimed, outcome in done:
        if outcome.error is None or claimed.kind != TEST:
            last[claimed.endpoint_id] = outcome
    for endpoint_id in sorted(last):
        standing(session, endpoint_id, taken=last[endpoint_id].error is None, now=now)
        if last[endpoint_id].gone:
            session.get(Endpoint, endpoint_id, with_for_update=True)


def standing(session: Session, endpoint_id: int, *, taken: bool, now: datetime) -> None:
    """Writes only when it is not as it was."""
    since = Endpoint.failing_since
    changed = update(Endpoint).where(
        Endpoint.id == endpoint_id, since.is_not(None) if taken else since.is_(None)
    )
    values = {"failing_since": None, "warned_at": None} if taken else {"failing_since": now}
    session.connection().execute(changed.values(values))


def _take(session: Session, taken: Sequence[Done], now: datetime) -> list[Done]:
    """One statement for all of a lease: there may be hundreds."""
    alike: dict[tuple[datetime, int | None], dict[int, Done]] = defaultdict(dict)
    for each in taken:
        alike[each[0].lease, each[1].status][each[0].id] = each
    written = []
    for (lease, status), by_id in alike.items():
        mine = _TAKEN.where(_row.id.in_(sorted(by_id)), _row.leased_until == lease)
        values = {"now": now, "status": status}
        written += [by_id[number] for number in session.connection().scalars(mine, values)]
    return written


_TAKEN = (
    update(Delivery.__table__)  # type: ignore[arg-type]
    .where(*_PENDING)
    .values(
        attempts=_row.attempts + 1, leased_until=None, last_error=None,
        last_status=bindparam("status"), delivered_at=bindparam("now"),
    )
    .returning(_row.id)
)  # fmt: skip
_ATTEMPT = insert(Attempt.__table__)  # type: ignore[arg-type]


def _failed(session: Session, claimed: Claimed, outcome: Outcome, now: datetime) -> bool:
    values: dict[str, Any] = {
        "attempts": claimed.attempts + 1, "leased_until": None, "last_status": outcome.status,
        "last_error": (outcome.error or "")[:500],
    }  # fmt: skip
    wait = schedule.wait(claimed.attempts)
    if outcome.gone or wait is None or claimed.kind == TEST:
        values["dead_at"] = now
    else:
        values["due_at"] = now + wait
    mine = update(Delivery.__table__).where(  # type: ignore[arg-type]
        _row.id == claimed.id, _row.leased_until == claimed.lease, *_PENDING
    )
    return bool(session.connection().execute(mine.values(values)).rowcount)


def _attempt(claimed: Claimed, outcome: Outcome) -> dict[str, Any]:
    exchange = outcome.exchange
    assert exchange is not None
    return {
        "delivery_id": claimed.id,
        "at": exchange.at,
        "took": exchange.took,
        "url": exchange.url,
        "status": outcome.status,
        "error": outcome.error and outcome.error[:500],
        "request_headers": dict(exchange.request_headers),
        "response_headers": dict(exchange.response_headers),
        "response": exchange.response,
    }
