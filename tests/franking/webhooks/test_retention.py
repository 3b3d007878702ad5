"""How long requests and answers are kept, and what removing an endpoint leaves."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from franking.db import Database
from franking.money import pricing
from franking.money.terms import Retention, Terms
from franking.reasons import NotFound
from franking.sealing import Sealer
from franking.webhooks import endpoints, outbox, retention
from franking.webhooks.config import Webhooks
from franking.webhooks.models import Attempt, Delivery, Endpoint
from tests import factories
from tests.franking.webhooks.conftest import NOW, Customer

DAY = timedelta(days=1)


def delivery(session: Session, endpoint_id: int, name: str, **more: datetime) -> None:
    session.add(
        Delivery(
            endpoint_id=endpoint_id, webhook_id=name, kind="rejected", body="{}",
            created_at=NOW - 8 * DAY, due_at=NOW, **more,
        )
    )  # fmt: skip
    session.flush()
    number = session.scalar(select(Delivery.id).where(Delivery.webhook_id == name))
    session.add(Attempt(delivery_id=number, at=NOW, took=0.1, url="https://example.com/"))


def forget(database: Database, now: datetime = NOW, limit: int = 500) -> int:
    with database.transaction() as session:
        return retention.forget(session, now, limit)


def left(database: Database) -> dict[str, tuple[bool, int]]:
    """Of each delivery: whether it has a body, and how many attempts."""
    with database.session() as session:
        attempts = select(func.count()).where(Attempt.delivery_id == Delivery.id).scalar_subquery()
        query = select(Delivery.webhook_id, Delivery.body.is_not(None), attempts)
        return {name: (body, count) for name, body, count in session.execute(query)}


def test_delivered_goes_and_dead_leaves_a_line(customer: Customer) -> None:
    number = customer.endpoint()
    week = NOW - 7 * DAY
    moment = timedelta(seconds=1)
    with customer.database.transaction() as session:
        delivery(session, number, "waits")
        delivery(session, number, "old", delivered_at=week - moment)
        delivery(session, number, "again", delivered_at=week + moment)
        delivery(session, number, "dead", dead_at=week - moment)
        delivery(session, number, "dead long ago", dead_at=NOW - 30 * DAY - moment)
    assert forget(customer.database) == 3
    assert forget(customer.database) == 0
    assert left(customer.database) == {"waits": (True, 1), "again": (True, 1), "dead": (False, 0)}
    assert forget(customer.database, NOW + 30 * DAY) == 2
    assert list(left(customer.database)) == ["waits"]


def test_each_plan_has_its_own_time(database: Database) -> None:
    with database.transaction() as session:
        for days in (1, 30):
            plan = pricing.create_plan(
                session, f"{days} days", currency="EUR", unit_price=1,
                terms=Terms(retention=Retention(webhooks=days)),
            )  # fmt: skip
            made = endpoints.create(
                session, factories.account(session, on=plan), "https://example.com/",
                sealer=Sealer(factories.MASTER_KEY), rules=Webhooks(),
            )  # fmt: skip
            delivery(session, made.endpoint.id, str(days), delivered_at=NOW - 7 * DAY)
    assert forget(database) == 1
    assert list(left(database)) == ["30"]


def test_a_few_at_a_time(customer: Customer) -> None:
    number = customer.endpoint()
    with customer.database.transaction() as session:
        for name in "abcde":
            delivery(session, number, name, delivered_at=NOW - 8 * DAY)
    assert [forget(customer.database, limit=2) for _ in range(4)] == [2, 2, 1, 0]


def test_what_was_removed_is_gone_at_once_and_its_rows_by_and_by(customer: Customer) -> None:
    number, kept = customer.endpoint(), customer.endpoint()
    customer.happens(None, "rejected"), customer.happens(None, "rejected")
    customer.fan_out()
    with customer.database.transaction() as session:
        endpoints.remove(session, customer.account(session), number, NOW)
    with customer.database.transaction() as session:
        account = customer.account(session)
        assert [each.id for each in endpoints.all_of(session, account)] == [kept]
        with pytest.raises(NotFound):
            endpoints.get(session, account, number)
        (theirs, _) = outbox.deliveries(session, session.get_one(Endpoint, number))
        with pytest.raises(NotFound):
            outbox.get(session, account, theirs.id)
    assert forget(customer.database, limit=1) == 1
    assert forget(customer.database) == 1
    with customer.database.session() as session:
        assert session.get(Endpoint, number) is None
    assert len(customer.outbox(kept)) == 2
