"""Endpoints that take nothing: told after a day, paused after three; and the texts of it."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select

from franking.notices import texts
from franking.notices.models import Notice
from franking.webhooks import endpoints, outbox, queue, retention, standing
from franking.webhooks.config import Webhooks
from franking.webhooks.models import Delivery
from franking.webhooks.queue import Outcome
from tests.franking.webhooks.conftest import NOW, Customer

FAILED = Outcome(None, "no connection")
DAY = timedelta(days=1)


def posted(customer: Customer, number: int, outcome: Outcome, now: datetime) -> None:
    with customer.database.transaction() as session:
        claimed = queue.claim(session, number, now, 1)
        assert claimed
        queue.record(session, [(each, outcome) for each in claimed], now)


def look(customer: Customer, now: datetime) -> list[int]:
    with customer.database.transaction() as session:
        return [endpoint.id for endpoint in standing.look(session, now)]


def told(customer: Customer) -> list[Notice]:
    with customer.database.session() as session:
        return list(session.scalars(select(Notice).order_by(Notice.id)))


def test_warned_then_paused(customer: Customer) -> None:
    number, other = customer.endpoint("rejected"), customer.endpoint()
    customer.happens(None, "rejected")
    customer.fan_out()
    posted(customer, number, FAILED, NOW)
    assert look(customer, NOW + DAY - timedelta(seconds=1)) == [] == told(customer)
    assert look(customer, NOW + DAY) == look(customer, NOW + 2 * DAY) == []
    (warning,) = told(customer)
    assert warning.kind == "endpoint.failing"
    assert texts.sentence(warning.kind, warning.detail) == (
        "The webhook endpoint https://example.com/ has taken nothing since"
        " 2026-07-14T10:00:00+00:00. If that goes on until 2026-07-17T10:00+00:00, we stop."
    )
    assert look(customer, NOW + 3 * DAY) == [number]
    assert look(customer, NOW + 4 * DAY) == []
    _, paused = told(customer)
    assert paused.kind == "endpoint.paused"
    assert "took nothing for three days" in texts.sentence(paused.kind, paused.detail)
    (given_up,) = customer.outbox(number)
    assert outbox.state_of(given_up) == "dead"
    assert customer.kinds(other) == ["rejected", "endpoint.failing", "endpoint.paused"]
    with customer.database.transaction() as session:
        account = customer.account(session)
        row = endpoints.get(session, account, number)
        assert endpoints.standing_of(row) == "paused"
        assert endpoints.standing_of(endpoints.enable(session, account, number)) == "active"
        assert (row.failing_since, row.warned_at) == (None, None)


def test_one_that_takes_something_is_not_failing(customer: Customer) -> None:
    number = customer.endpoint("rejected")
    for _ in range(2):
        customer.happens(None, "rejected")
    customer.fan_out()
    posted(customer, number, FAILED, NOW)
    look(customer, NOW + DAY)
    with customer.database.session() as session:
        row = endpoints.get(session, customer.account(session), number)
        assert endpoints.standing_of(row) == "failing"
    posted(customer, number, Outcome(200), NOW + DAY)
    assert look(customer, NOW + 9 * DAY) == []
    with customer.database.session() as session:
        row = endpoints.get(session, customer.account(session), number)
        assert (row.failing_since, row.warned_at) == (None, None)


def test_another_address_has_not_failed(customer: Customer) -> None:
    number = customer.endpoint("rejected")
    customer.happens(None, "rejected")
    customer.fan_out()
    posted(customer, number, FAILED, NOW)
    with customer.database.transaction() as session:
        endpoints.change(
            session, customer.account(session), number, rules=Webhooks(), url="https://example.org/"
        )
    assert look(customer, NOW + 9 * DAY) == []


def test_a_test_is_tried_once_and_is_no_failure(customer: Customer) -> None:
    number = customer.endpoint()
    with customer.database.transaction() as session:
        row = endpoints.get(session, customer.account(session), number)
        delivery = outbox.test(session, row, NOW)
        assert outbox.upcoming(delivery, NOW) == [NOW]
    posted(customer, number, FAILED, NOW)
    (found,) = customer.outbox(number)
    assert (outbox.state_of(found), outbox.upcoming(found, NOW)) == ("dead", [])
    with customer.database.session() as session:
        row = endpoints.get(session, customer.account(session), number)
        assert row.failing_since is None


def test_of_many_that_wait_the_rest_is_given_up_later(customer: Customer) -> None:
    """Not in one long transaction, in which nobody else could write."""
    number = customer.endpoint("rejected")
    with customer.database.transaction() as session:
        session.add_all(
            Delivery(endpoint_id=number, webhook_id=f"x{n}", kind="rejected", body="{}")
            for n in range(retention.BATCH + 3)
        )
    with customer.database.transaction() as session:
        row = endpoints.disable(session, customer.account(session), number, "x", NOW)
        assert len(outbox.deliveries(session, row, state="waiting")) == 3
        assert queue.ready(session, NOW + DAY) == {}
    with customer.database.transaction() as session:
        assert retention.give_up(session, NOW) == 3
        assert retention.give_up(session, NOW) == 0
    assert {row.last_error for row in customer.outbox(number)} == {"endpoint disabled: x"}
