"""Endpoints in every state, with what was delivered to them; and a newsletter to unsubscribe from.

Everything is written by the functions that write it in production.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import update
from sqlalchemy.orm import Session

from franking.accounts import credentials, users
from franking.accounts.credentials import Options
from franking.accounts.models import Account
from franking.domains.models import Domain
from franking.mail import streams
from franking.sealing import Sealer
from franking.webhooks import endpoints, outbox, queue, replays
from franking.webhooks.config import Webhooks
from franking.webhooks.endpoints import Filters
from franking.webhooks.models import Delivery, Endpoint
from franking.webhooks.queue import Exchange, Outcome
from tests import factories
from tests.browser import seed
from tests.browser.seed import Seeded

FRESH = "new@shop.example"
NEWS = "4fQ99mZ3xNz1bTk"  # a message of the newsletter
LONG = "https://integrations.a-customer-relationship-platform.example/v2/inbound/" + "7f3a" * 24
SEALER = Sealer(factories.MASTER_KEY)
UNKNOWN = (
    '{"error":"unknown tenant","trace":"' + "0123456789abcdef" * 6 + '"}'
)  # what a server says that does not know us


def populate(session: Session, now: datetime) -> Seeded:
    seeded = seed.populate(session, now)
    account = session.query(Account).filter_by(name="shop").one()
    newsletter = credentials.create(
        session, account, "Weekly news", prefix=factories.PREFIX, options=Options(stream="news")
    ).credential
    streams.mark(session, account, "news", bulk=True)
    domain = session.query(Domain).filter_by(name="shop.example").one()
    factories.message(session, newsletter.username, domain.id, NEWS, now)
    _endpoints(session, account, newsletter.username, now)
    users.create(session, factories.funded(session, "fresh"), FRESH, seed.PASSWORD)
    return replace(seeded, queue_ids=seeded.queue_ids | {"news": NEWS})


def _endpoints(session: Session, account: Account, username: str, now: datetime) -> None:
    busy = _create(session, account, "https://shop.example/hooks/mail")
    for number in range(58):
        _deliver(session, busy, f"evt_{4000 + number}", now - timedelta(minutes=60 - number))
    _try(session, busy, Outcome(204, exchange=_exchange(busy, now, 0.08, None)), now)
    _deliver(session, busy, "evt_4711", now - timedelta(minutes=1), seed_message=True)
    for ago in (40, 35):
        at = now - timedelta(seconds=ago)
        said = _exchange(busy, at, 0.31, UNKNOWN)
        _try(session, busy, Outcome(503, "answered 503", exchange=said), at)
    _deliver(session, busy, "batch_4712_4731_1", now, events=20)
    past = replays.since(session, account, busy.id, now - timedelta(days=2), now)
    past.done_at, past.events, past.reached = now, 58, past.until
    current = replays.since(session, account, busy.id, now - timedelta(hours=3), now)
    current.reached, current.events = current.since + timedelta(hours=2), 37

    failing = _create(
        session, account, LONG,
        events=("delivered", "bounced", "complained", "unsubscribed", "suppressed"),
        filters=Filters(("shop.example",), (username,), ("order", "campaign"), ("news",)), batch=50,
    )  # fmt: skip
    failing.failing_since = now - timedelta(hours=5)
    paused = _create(session, account, "https://old.shop.example/hook", events=("balance.low",))
    _deliver(session, paused, "evt_3000", now - timedelta(days=3))
    endpoints.close(session, paused, endpoints.TOOK_NOTHING, now - timedelta(hours=2))
    disabled = _create(session, account, "https://test.shop.example/hook")
    endpoints.disable(session, account, disabled.id, f"by {seed.EMAIL}", now - timedelta(days=1))


def _create(
    session: Session,
    account: Account,
    url: str,
    *,
    events: tuple[str, ...] = (),
    filters: Filters = Filters(),  # noqa: B008 - frozen
    batch: int = 1,
) -> Endpoint:
    return endpoints.create(
        session, account, url, events=events, filters=filters, batch=batch,
        sealer=SEALER, rules=Webhooks(),
    ).endpoint  # fmt: skip


def _deliver(
    session: Session,
    endpoint: Endpoint,
    name: str,
    at: datetime,
    *,
    events: int = 1,
    seed_message: bool = False,
) -> None:
    body = json.dumps({"type": "delivered", "id": name, "recipient": "tom@inbox.example"} | {
        "message_id": NEWS, "reason": seed.DELIVERED, "tags": ["campaign"], "cost": "0.0008",
    })  # fmt: skip
    row = outbox.row(endpoint.id, name, "delivered", body, at)
    queue_id = NEWS if seed_message else None
    session.add(Delivery(**row, events=events, queue_id=queue_id, node=queue_id and "n1"))
    session.flush()


def _try(session: Session, endpoint: Endpoint, outcome: Outcome, now: datetime) -> None:
    due = update(Delivery).where(Delivery.delivered_at.is_(None)).values(due_at=now)
    session.execute(due.execution_options(synchronize_session=False))
    claimed = queue.claim(session, endpoint.id, now, 100)
    assert queue.record(session, [(each, outcome) for each in claimed], now)
    session.expire_all()


def _exchange(endpoint: Endpoint, at: datetime, took: float, said: str | None) -> Exchange:
    return Exchange(
        at, took, endpoint.url,
        {
            "content-type": "application/json", "user-agent": "Franking",
            "webhook-id": "evt_4711", "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
        },
        {"Server": "nginx", "Content-Type": "application/json", "Retry-After": "30"}, said,
    )  # fmt: skip
