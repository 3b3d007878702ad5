"""Sent again: one, a selection, or all since a time; the same `webhook-id`, and no flood."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest
from sqlalchemy import update

from franking.money.models import Plan
from franking.money.terms import Retention, Terms, stored
from franking.notices import notices
from franking.reasons import Invalid, NotFound
from franking.webhooks import endpoints, outbox, queue, replays
from franking.webhooks.filters import Filters
from franking.webhooks.models import Delivery
from franking.webhooks.queue import Outcome
from tests import factories
from tests.franking.webhooks.conftest import NOW, Customer

HOUR = timedelta(hours=1)


def taken(customer: Customer, endpoint_id: int, now: datetime = NOW) -> list[str]:
    """Everything that is due is delivered; their IDs."""
    with customer.database.transaction() as session:
        claimed = queue.claim(session, endpoint_id, now, 1000)
        queue.record(session, [(each, Outcome(200)) for each in claimed], now)
    return [each.webhook_id for each in claimed]


def ask(customer: Customer, endpoint_id: int, since: datetime, now: datetime = NOW) -> int:
    with customer.database.transaction() as session:
        return replays.since(session, customer.account(session), endpoint_id, since, now).id


def step(customer: Customer, now: datetime = NOW) -> bool:
    """One of each replay, as the worker does."""
    with customer.database.session() as session:
        steps = [replays.prepare(session, n, now) for n in replays.open_replays(session)]
    with customer.database.transaction() as session:
        written = [replays.write(session, each, now) for each in steps if each]
    return any(written)


def again(customer: Customer, number: int, *deliveries: Delivery) -> int:
    with customer.database.transaction() as session:
        ids = [delivery.id for delivery in deliveries]
        return replays.again(session, customer.account(session), number, ids, NOW)


def test_one_and_several(customer: Customer) -> None:
    number, other = customer.endpoint(), customer.endpoint()
    for _ in range(3):
        customer.happens(None, "rejected")
    customer.fan_out()
    assert len(taken(customer, number)) == 3
    first, second, third = customer.outbox(number)
    foreign = customer.outbox(other)[0]
    assert again(customer, number, first, third, foreign) == 2
    assert taken(customer, number) == [first.webhook_id, third.webhook_id]
    assert customer.outbox(number)[0].attempts == 1  # it began anew
    assert again(customer, number, second) == 1
    with customer.database.transaction() as session:
        stranger = factories.account(session)
        with pytest.raises(NotFound):
            replays.again(session, stranger, number, [first.id], NOW)
        session.execute(update(Delivery).values(body=None))
    with pytest.raises(Invalid, match="too old"):
        again(customer, number, first)


def test_what_is_being_posted_is_left_alone(customer: Customer) -> None:
    number = customer.endpoint()
    customer.happens(None, "rejected")
    customer.fan_out()
    with customer.database.transaction() as session:
        (claimed,) = queue.claim(session, number, NOW, 1)
    assert again(customer, number, *customer.outbox(number)) == 0
    with customer.database.transaction() as session:
        assert queue.record(session, [(claimed, Outcome(200))], NOW)


def test_dead_letters(customer: Customer) -> None:
    number = customer.endpoint()
    for _ in range(2):
        customer.happens(None, "rejected")
    customer.fan_out()
    with customer.database.transaction() as session:
        endpoints.disable(session, customer.account(session), number, "x", NOW)
    with customer.database.transaction() as session:
        with pytest.raises(Invalid, match="disabled"):
            replays.again_all_dead(session, customer.account(session), number, NOW)
        row = endpoints.enable(session, customer.account(session), number)
        assert len(outbox.deliveries(session, row, state="dead")) == 2
        assert outbox.deliveries(session, row, state="waiting") == []
        assert replays.again_all_dead(session, customer.account(session), number, NOW) == 2
        assert outbox.deliveries(session, row, state="dead") == []
    assert len(taken(customer, number)) == 2


def test_everything_since_a_time(customer: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also what nobody had enqueued; in the order in which it happened, step by step."""
    monkeypatch.setattr(replays, "EVENTS", 4)
    for hours in (3, 2):
        customer.happens(None, "rejected", NOW - hours * HOUR)
        customer.happens(None, "delivered", NOW - hours * HOUR)
    customer.fan_out()
    number = customer.endpoint()
    ids = [customer.happens(None, "rejected", NOW - HOUR + timedelta(seconds=n)) for n in range(5)]
    late = customer.happens(None, "deferred", NOW - HOUR - timedelta(seconds=1))
    with customer.database.transaction() as session:
        notice = notices.give(session, customer.account_id, "balance.low", {"available": 5}, NOW)
    first = ask(customer, number, NOW - 2 * HOUR)
    with pytest.raises(Invalid, match="under way"):
        ask(customer, number, NOW - HOUR)
    assert [step(customer) for _ in range(4)] == [True, True, True, False]
    got = taken(customer, number)
    assert {f"notice_{notice.id}", f"evt_{late}"} < set(got)
    assert got[-5:] == [f"evt_{each}" for each in ids]
    with customer.database.session() as session:
        (done,) = replays.of(session, endpoints.get(session, customer.account(session), number))
        assert (done.id, done.events, done.done_at, done.reached) == (first, 9, NOW, NOW)
    assert len(set(got)) == len(got) == 9


def test_what_was_delivered_keeps_its_id_and_what_waits_is_not_disturbed(
    customer: Customer,
) -> None:
    number = customer.endpoint()
    customer.happens(None, "rejected", NOW - HOUR)
    customer.fan_out()
    (taken_once,) = taken(customer, number)
    customer.happens(None, "rejected", NOW - HOUR)
    customer.fan_out()
    with customer.database.transaction() as session:
        (waiting,) = queue.claim(session, number, NOW, 1)
        assert waiting.webhook_id != taken_once
        queue.record(session, [(waiting, Outcome(500, "HTTP 500"))], NOW)
    ask(customer, number, NOW - 2 * HOUR)
    step(customer)
    assert taken(customer, number) == [taken_once]
    assert [row.attempts for row in customer.outbox(number)] == [1, 1]


def test_what_is_read_later_is_enqueued_once(customer: Customer) -> None:
    number = customer.endpoint()
    customer.happens(None, "rejected", NOW - HOUR)
    ask(customer, number, NOW - 2 * HOUR)
    step(customer)
    customer.fan_out()
    assert len(customer.outbox(number)) == 1


def test_only_what_the_endpoint_wants_and_in_its_batches(customer: Customer) -> None:
    number = customer.endpoint("bounced", "accepted", batch=2, filters=Filters(tags=["a"]))
    customer.send(at=NOW - HOUR, tags=["a"]), customer.send(at=NOW - HOUR)
    for _ in range(2):
        queue_id = customer.send(at=NOW - HOUR, tags=["a"])
        customer.happens(queue_id, "bounced", NOW - HOUR)
        customer.happens(queue_id, "delivered", NOW - HOUR)
    ask(customer, number, NOW - 2 * HOUR)
    step(customer)
    bodies = [json.loads(row.body or "") for row in customer.outbox(number)]
    kinds = [[event["type"] for event in body["events"]] for body in bodies]
    assert kinds == [["accepted", "accepted"], ["bounced", "accepted"], ["bounced"]]


def test_no_more_than_the_endpoint_takes(
    customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replays, "EVENTS", 3)
    monkeypatch.setattr(replays, "AHEAD", 5)
    number = customer.endpoint()
    for _ in range(10):
        customer.happens(None, "rejected", NOW - HOUR)
    ask(customer, number, NOW - 2 * HOUR)
    while step(customer):
        pass
    assert len(customer.outbox(number)) == 6
    assert len(taken(customer, number)) == 6
    while step(customer):
        pass
    assert len(taken(customer, number)) == 4


def test_who_was_overtaken_writes_nothing(customer: Customer) -> None:
    number = customer.endpoint()
    customer.happens(None, "rejected", NOW - HOUR)
    replay = ask(customer, number, NOW - 2 * HOUR)
    with customer.database.session() as session:
        slow = replays.prepare(session, replay, NOW)
    assert slow is not None
    assert step(customer)
    with customer.database.transaction() as session:
        assert not replays.write(session, slow, NOW)
    with customer.database.session() as session:
        assert replays.prepare(session, replay, NOW) is None


def test_it_ends_with_its_endpoint(customer: Customer) -> None:
    number = customer.endpoint()
    ask(customer, number, NOW - HOUR)
    with customer.database.transaction() as session:
        endpoints.disable(session, customer.account(session), number, "x", NOW)
    assert not step(customer)
    with customer.database.session() as session:
        assert replays.open_replays(session) == []


def test_no_further_back_than_events_are_kept(customer: Customer) -> None:
    number = customer.endpoint()
    with customer.database.transaction() as session:
        terms = Terms(retention=Retention(events=10))
        session.execute(update(Plan).values(terms=stored(terms)))
    for wrong in (NOW - timedelta(days=11), NOW, NOW + HOUR):
        with pytest.raises(Invalid, match="within the last 10 days"):
            ask(customer, number, wrong)
    ask(customer, number, NOW - timedelta(days=9))
