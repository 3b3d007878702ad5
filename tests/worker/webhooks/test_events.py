"""Mail's events on their way to endpoints: at once, with a log of each request, and again."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from time import monotonic, sleep

from sqlalchemy import select
from standardwebhooks import Webhook

from franking.accounts.models import Account
from franking.db import Database, utcnow
from franking.sealing import Sealer
from franking.webhooks import endpoints, outbox, replays
from franking.webhooks.models import Attempt, Delivery
from tests import factories
from tests.receiver import Receiver
from tests.worker.webhooks.conftest import PATIENCE, Customer, Worker


def test_an_event_arrives_and_the_log_has_what_was_said(
    customer: Customer, database: Database, server: Receiver, start: Callable[[], Worker]
) -> None:
    number = customer.endpoint(f"{server.url}/cookie")
    start()
    customer.refused()
    (request,) = server.wait_for(1)
    customer.until(delivered=1)
    with database.session() as session:
        account = session.get_one(Account, customer.account_id)
        endpoint = endpoints.get(session, account, number)
        secret = endpoints.reveal(endpoint, Sealer(factories.MASTER_KEY))
        (delivery,) = outbox.deliveries(session, endpoint)
        (attempt,) = outbox.attempts(session, delivery)
    event = Webhook(secret).verify(request.body, dict(request.headers.items()))
    assert (event["type"], event["reason"]) == ("rejected", "no")
    assert request.headers["webhook-id"] == event["id"] == delivery.webhook_id
    assert request.body.decode() == delivery.body
    assert attempt.request_headers["webhook-signature"] == request.headers["webhook-signature"]
    assert attempt.url == f"{server.url}/cookie"
    assert (attempt.status, attempt.error) == (200, None)
    assert attempt.response == "answer to /cookie"
    assert attempt.response_headers["Set-Cookie"] == "tenant=one; Path=/"
    assert 0 < attempt.took < PATIENCE


def test_two_workers_send_each_once_and_in_batches(
    customer: Customer, server: Receiver, start: Callable[[], Worker]
) -> None:
    customer.endpoint(f"{server.url}/ok/alone")
    customer.endpoint(f"{server.url}/ok/batch", batch=7)
    start(), start()
    for _ in range(5):
        customer.refused(20)
    got: dict[str, list[str]] = {"/ok/alone": [], "/ok/batch": []}
    deadline = monotonic() + PATIENCE
    while min(map(len, got.values())) < 100:
        assert monotonic() < deadline, {path: len(ids) for path, ids in got.items()}
        sleep(0.05)
        got = {path: _ids(server, path) for path in got}
    for ids in got.values():
        assert len(ids) == len(set(ids)) == 100


def _ids(server: Receiver, path: str) -> list[str]:
    bodies = [json.loads(each.body) for each in list(server.requests) if each.path == path]
    return [event["id"] for body in bodies for event in body.get("events", [body])]


def test_an_answer_that_a_database_cannot_keep(
    customer: Customer, database: Database, server: Receiver, start: Callable[[], Worker]
) -> None:
    customer.endpoint(f"{server.url}/binary")
    start()
    customer.refused()
    customer.until(delivered=1)
    with database.session() as session:
        attempt = session.scalars(select(Attempt)).one()
    assert attempt.response == "a\ufffdb\ufffd" + "x" * 4092
    assert attempt.response_headers["X-Odd"] == "a b"


def test_what_was_taken_once_is_sent_again(
    customer: Customer, database: Database, server: Receiver, start: Callable[[], Worker]
) -> None:
    number = customer.endpoint(f"{server.url}/ok")
    customer.refused(3)
    start()
    customer.until(delivered=3)
    with database.transaction() as session:
        account = session.get_one(Account, customer.account_id)
        replays.since(session, account, number, utcnow() - timedelta(hours=1), utcnow())
    ids = [request.headers["webhook-id"] for request in server.wait_for(6)]
    assert sorted(ids[:3]) == sorted(ids[3:])


def test_what_a_stop_has_claimed_and_not_posted_is_there_at_once(
    customer: Customer, database: Database, server: Receiver, start: Callable[[], Worker]
) -> None:
    """One that is fast at first gets many at a time, and then keeps all its threads."""
    customer.endpoint(f"{server.url}/ok")
    first = start()
    customer.refused(5)
    customer.until(delivered=5)
    server.gate.clear()
    customer.refused(60)
    server.wait_for(9)
    server.gate.set()
    first.stop()
    with database.session() as session:
        leased = select(Delivery.id).where(Delivery.leased_until.is_not(None))
        assert session.scalars(leased).all() == []
    start()
    customer.until(delivered=65)
    assert len(server.requests) == 65
