"""A customer whose mail something happens to, and the endpoints that are told of it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.db import Database
from franking.mail.models import Event
from franking.sealing import Sealer
from franking.webhooks import endpoints, fanout, outbox, queue
from franking.webhooks.config import Webhooks
from franking.webhooks.filters import EVERYTHING, Filters
from franking.webhooks.models import Delivery, Endpoint
from franking.webhooks.queue import Claimed
from tests import factories

NOW = datetime(2026, 7, 14, 10, tzinfo=UTC)
SEALER = Sealer(factories.MASTER_KEY)


@dataclass
class Customer:
    """`domain` is verified, `username` may send from it."""

    database: Database
    account_id: int
    username: str
    credential_id: int
    domain_id: int
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def account(self, session: Session) -> Account:
        return session.get_one(Account, self.account_id)

    def endpoint(
        self,
        *events: str,
        batch: int = 1,
        filters: Filters = EVERYTHING,
        now: datetime = NOW,
    ) -> int:
        with self.database.transaction() as session:
            made = endpoints.create(
                session, self.account(session), "https://example.com/", events=events,
                filters=filters, batch=batch, sealer=SEALER,
                rules=Webhooks(), now=now,
            )  # fmt: skip
            return made.endpoint.id

    def send(self, *, at: datetime = NOW, tags: Sequence[str] = ()) -> str:
        """A message to one recipient: one event, `accepted`."""
        with self.database.transaction() as session:
            queue_id = f"4Zx{next(self._numbers):09d}"
            return factories.message(
                session, self.username, self.domain_id, queue_id, at, tags=tags
            )

    def happens(self, queue_id: str | None, kind: str, at: datetime = NOW, **more: Any) -> int:
        """The event's number.  A refusal of nobody known, when there is no message."""
        values: dict[str, Any] = {
            "account_id": self.account_id,
            "credential_id": self.credential_id if queue_id else None,
            "recipient": "anna@example.org",
            "detail": {},
        }
        with self.database.transaction() as session:
            event = Event(kind=kind, at=at, node="n1", queue_id=queue_id, **values | more)
            session.add(event)
            session.flush()
            return event.id

    def fan_out(self, now: datetime = NOW) -> int:
        """As the worker does; how many steps it took."""
        steps = 0
        while True:
            with self.database.session() as session:
                prepared = fanout.prepare(session, now)
            if prepared is None:
                return steps
            with self.database.transaction() as session:
                assert fanout.write(session, prepared, now)
            steps += 1

    def outbox(self, endpoint_id: int) -> list[Delivery]:
        with self.database.session() as session:
            query = select(Delivery).where(Delivery.endpoint_id == endpoint_id)
            return list(session.scalars(query.order_by(Delivery.id)))

    def kinds(self, endpoint_id: int) -> list[str]:
        return [delivery.kind for delivery in self.outbox(endpoint_id)]


@pytest.fixture
def customer(database: Database) -> Customer:
    with database.transaction() as session:
        account = factories.funded(session, "acme")
        credential = factories.credential(session, account).credential
        domain = factories.verified_domain(session, account)
        return Customer(database, account.id, credential.username, credential.id, domain.id)


def endpoint(session: Session, account: Account, *events: str) -> Endpoint:
    made = endpoints.create(
        session, account, "https://example.com/", events=events, sealer=SEALER, rules=Webhooks()
    )
    return made.endpoint


@pytest.fixture
def account_id(database: Database) -> int:
    """With one endpoint, number 1, for everything."""
    with database.transaction() as session:
        account = factories.account(session, "acme")
        endpoint(session, account)
        return account.id


def enqueue(database: Database, account_id: int, *names: str) -> None:
    with database.transaction() as session:
        for name in names:
            outbox.enqueue(
                session, account_id, "balance.low", {"id": name}, webhook_id=name, now=NOW
            )


def claim(database: Database, now: datetime = NOW, limit: int = 10) -> list[Claimed]:
    with database.transaction() as session:
        return queue.claim(session, 1, now, limit)
