"""The process that posts, with real endpoints: healthy, dead, two of it at once, no database."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from threading import Event
from time import monotonic, sleep

import pytest
from sqlalchemy import func, select, text, update

from franking import log
from franking.accounts.models import Account
from franking.db import Database, utcnow
from franking.sealing import Sealer
from franking.webhooks import endpoints, queue
from franking.webhooks.models import Delivery, Endpoint
from tests.receiver import Receiver
from tests.worker.webhooks.conftest import LAB, PATIENCE, Customer, Worker


def test_two_workers_deliver_each_once(
    customer: Customer, server: Receiver, start: Callable[[], Worker]
) -> None:
    customer.endpoint(f"{server.url}/ok/one")
    customer.endpoint(f"{server.url}/ok/two")
    start(), start()
    for _ in range(5):
        customer.happens(10)
    customer.until(delivered=100)
    got = Counter((request.path, request.headers["webhook-id"]) for request in server.requests)
    assert len(got) == 100 and set(got.values()) == {1}
    assert {json.loads(request.body)["type"] for request in server.requests} == {"balance.low"}


def test_dead_endpoints_delay_nobody(
    customer: Customer, server: Receiver, start: Callable[[], Worker]
) -> None:
    """Fifteen that say nothing for longer than this test takes, eight threads."""
    for number in range(15):
        customer.endpoint(f"{server.url}/hang/{number}")
    customer.endpoint(f"{server.url}/ok")
    customer.known_to_fail(15)
    worker = start()
    for _ in range(3):
        customer.happens(10)
    deadline = monotonic() + LAB.timeout * 0.9
    while sum(request.path == "/ok" for request in server.requests) < 30:
        assert monotonic() < deadline
        sleep(0.02)
    server.over.set()  # they hang up
    worker.stop()
    assert customer.states()["delivered"] == 30


def test_what_failed_comes_again_with_the_same_id(
    customer: Customer, database: Database, server: Receiver, start: Callable[[], Worker]
) -> None:
    customer.endpoint(f"{server.url}/ok")
    server.answered["/ok"] = 503
    start()
    customer.happens()
    server.wait_for(1)
    deadline = monotonic() + PATIENCE
    while not failed_once(database):
        assert monotonic() < deadline
        sleep(0.02)
    del server.answered["/ok"]
    with database.transaction() as session:
        session.execute(update(Delivery).values(due_at=utcnow()))
    customer.until(delivered=1)
    first, second = server.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body


def failed_once(database: Database) -> bool:
    with database.session() as session:
        return session.scalars(select(Delivery.last_status)).one() == 503


def test_gone_is_asked_no_more(
    customer: Customer, database: Database, server: Receiver, start: Callable[[], Worker]
) -> None:
    customer.endpoint(f"{server.url}/gone")
    customer.happens(3)
    start()
    customer.until(dead=3)
    assert len(server.requests) == 1
    with database.session() as session:
        assert session.get_one(Endpoint, 1).disabled_at is not None


def test_one_that_was_removed_takes_no_others_outcome_along(
    customer: Customer,
    database: Database,
    server: Receiver,
    start: Callable[[], Worker],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both outcomes wait for the lock under which it is removed, and are written together."""
    troubled = Event()
    monkeypatch.setattr(log, "database_trouble", lambda *_: troubled.set())
    removed = customer.endpoint(f"{server.url}/late/gone")
    customer.endpoint(f"{server.url}/late/ok")
    server.answered["/late/gone"] = 410
    start()
    customer.happens()
    server.wait_for(2)
    with database.transaction() as session:
        account = session.scalars(select(Account)).one()
        endpoints.remove(session, account, removed)
        server.over.set()
        assert troubled.wait(PATIENCE)
    customer.until(delivered=1, dead=1)
    assert len(server.requests) == 2


def test_a_worker_that_died_is_followed_by_another(
    customer: Customer, database: Database, server: Receiver, start: Callable[[], Worker]
) -> None:
    """It had claimed, and perhaps posted; nobody knows."""
    customer.endpoint(f"{server.url}/ok")
    customer.happens()
    with database.transaction() as session:
        assert len(queue.claim(session, 1, utcnow() - queue.LEASE, 1)) == 0  # not due then
        assert len(queue.claim(session, 1, utcnow(), 1)) == 1
        session.execute(update(Delivery).values(leased_until=utcnow() - timedelta(seconds=1)))
    start()
    customer.until(delivered=1)


def test_an_outage_of_the_database_loses_nothing(
    customer: Customer,
    database: Database,
    server: Receiver,
    start: Callable[[], Worker],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another writer holds the lock for longer than a statement waits for it."""
    troubled = Event()
    monkeypatch.setattr(log, "database_trouble", lambda *_: troubled.set())
    customer.endpoint(f"{server.url}/hang")
    customer.endpoint(f"{server.url}/ok")
    start()
    customer.happens(2)
    server.wait_for(3)  # /hang once: it is unproven
    with database.transaction() as session:
        session.execute(text("UPDATE account SET name = name"))
        server.over.set()  # what /hang answers cannot be written
        assert troubled.wait(PATIENCE)
    deadline = monotonic() + PATIENCE
    while attempts(database) < 3:
        assert monotonic() < deadline
        sleep(0.02)
    assert customer.states()["delivered"] == 2


def attempts(database: Database) -> int:
    with database.session() as session:
        return session.scalar(select(func.sum(Delivery.attempts))) or 0


def test_a_secret_of_another_master_key_is_no_crash(
    customer: Customer, database: Database, server: Receiver, start: Callable[[], Worker]
) -> None:
    broken = customer.endpoint(f"{server.url}/ok/broken")
    customer.endpoint(f"{server.url}/ok")
    with database.transaction() as session:
        sealed = Sealer(bytes(32)).seal(b"whsec_AAAA", f"endpoint:{broken}")
        row = session.get_one(Endpoint, broken)
        row.sealed_secret = sealed
    customer.happens()
    start()
    customer.until(delivered=1, waiting=1)
    assert [request.path for request in server.wait_for(1)] == ["/ok"]
