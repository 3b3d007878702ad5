"""The queue of the outbox: one claim at a time, when it is tried again, what is kept of a try."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select

from franking.accounts.models import Account
from franking.db import Database
from franking.notices.models import Notice
from franking.webhooks import endpoints, outbox, queue, standing
from franking.webhooks.models import Delivery, Endpoint
from franking.webhooks.queue import LEASE, Claimed, Outcome
from franking.webhooks.schedule import WAITS

from .conftest import NOW, claim, enqueue

FAILED = Outcome(500, "HTTP 500")


def record(database: Database, claimed: Claimed, outcome: Outcome, now: datetime = NOW) -> bool:
    with database.transaction() as session:
        return bool(queue.record(session, [(claimed, outcome)], now))


def row(database: Database, name: str) -> Delivery:
    with database.session() as session:
        return session.scalars(select(Delivery).where(Delivery.webhook_id == name)).one()


def test_what_is_claimed_is_not_claimed_again(database: Database, account_id: int) -> None:
    enqueue(database, account_id, "a", "b", "c")
    assert [each.webhook_id for each in claim(database, limit=2)] == ["a", "b"]
    assert [each.webhook_id for each in claim(database)] == ["c"]
    with database.session() as session:
        assert queue.ready(session, NOW) == {}
        assert queue.ready(session, NOW + LEASE) == {1: False}
        assert queue.ready(session, NOW + LEASE, but=[1]) == {}
    assert len(claim(database, NOW + LEASE)) == 3


def test_who_lost_the_lease_writes_nothing(database: Database, account_id: int) -> None:
    enqueue(database, account_id, "a")
    (slow,) = claim(database)
    later = NOW + LEASE
    (quick,) = claim(database, later)
    assert not record(database, slow, FAILED, later)
    assert record(database, quick, Outcome(204), later)
    assert not record(database, quick, FAILED, later)
    found = row(database, "a")
    assert (found.delivered_at, found.attempts, found.last_status) == (later, 1, 204)
    assert claim(database, later + timedelta(days=9)) == []


def test_it_is_tried_for_three_days(database: Database, account_id: int) -> None:
    enqueue(database, account_id, "a")
    now = NOW
    for attempt, wait in enumerate(WAITS):
        (claimed,) = claim(database, now)
        assert claimed.attempts == attempt
        assert record(database, claimed, FAILED, now)
        due_at = row(database, "a").due_at
        assert 0.9 * wait <= due_at - now <= 1.1 * wait
        assert claim(database, due_at - timedelta(microseconds=1)) == []
        now = due_at
    (last,) = claim(database, now)
    assert timedelta(days=2.6) < now - NOW < timedelta(days=3.4)
    record(database, last, Outcome(None, "x" * 1000), now)
    found = row(database, "a")
    assert outbox.state_of(found) == "dead"
    assert (found.attempts, len(found.last_error or "")) == (13, 500)
    assert claim(database, now + timedelta(days=9)) == []


def test_gone_disables_the_endpoint(database: Database, account_id: int) -> None:
    enqueue(database, account_id, "a", "b")
    (claimed,) = claim(database, limit=1)
    done = [(claimed, Outcome(410, "the endpoint wants no more", gone=True))]
    with database.transaction() as session:
        (paused,) = standing.gone(session, queue.record(session, done, NOW), NOW)
        assert endpoints.standing_of(paused) == "paused"
        assert session.scalars(select(Notice.kind)).all() == ["endpoint.paused"]
    assert row(database, "a").last_error == "the endpoint wants no more"
    assert row(database, "b").last_error == "endpoint disabled: it answered 410 Gone"
    with database.session() as session:
        found = session.get_one(Endpoint, 1)
        assert found.disabled_at == NOW
        assert [outbox.state_of(d) for d in outbox.deliveries(session, found)] == ["dead", "dead"]
    enqueue(database, account_id, "c")
    assert claim(database) == []


def test_gone_after_it_was_removed(database: Database, account_id: int) -> None:
    enqueue(database, account_id, "a")
    (claimed,) = claim(database)
    with database.transaction() as session:
        endpoints.remove(session, session.get_one(Account, account_id), 1)
    assert not record(database, claimed, Outcome(410, "gone", gone=True))


def test_an_endpoint_fails_from_the_first_failure_to_the_next_success(
    database: Database, account_id: int
) -> None:
    enqueue(database, account_id, "a")
    hour = timedelta(hours=1)
    steps = ((True, None), (False, NOW + hour), (False, NOW + hour), (True, None))
    for number, (taken, since) in enumerate(steps):
        with database.transaction() as session:
            queue.standing(session, 1, taken=taken, now=NOW + number * hour)
        with database.session() as session:
            assert session.get_one(Endpoint, 1).failing_since == since
            assert queue.ready(session, NOW) == {1: since is not None}
