"""Webhooks of mail: one message's whole way, and the outbox on both engines under two workers."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sessions import log_in, offer
from sqlalchemy import select
from standardwebhooks import Webhook

from franking.accounts.models import Account
from franking.db import Database, utcnow
from franking.mail.models import Event
from franking.sealing import Sealer
from franking.webhooks import endpoints, fanout, outbox, queue, replays, retention, standing
from franking.webhooks.config import Webhooks
from franking.webhooks.models import Delivery, Endpoint
from franking.webhooks.queue import Exchange, Outcome
from stack.running import RunningStack
from tests import factories
from tests.receiver import receiver


def test_a_message_is_told_from_acceptance_to_its_end(stack: RunningStack) -> None:
    sender = stack.sender("tells")
    with receiver() as server, log_in(stack, sender) as client:
        made = stack.cli("endpoint", "create", f"{server.url}/ok", "--account", sender.account)
        other = stack.cli(
            "endpoint", "create", f"{server.url}/ok/bounces", "--event", "bounced", "--batch", "10",
            "--account", sender.account,
        )  # fmt: skip
        good = offer(client, sender, f"From: {sender.address}", to="plain@tells.test")
        bad = offer(client, sender, f"From: {sender.address}", to="bounce@tells.test")
        secret, batch_secret = Webhook(made["secret"]), Webhook(other["secret"])

        def told() -> list[dict[str, object]]:
            got = [r for r in list(server.requests) if r.path == "/ok"]
            return [secret.verify(r.body, dict(r.headers.items())) for r in got]

        stack.until(lambda: {event["event"] for event in told()} >= {"delivered", "bounced"})
        stack.until(lambda: any(r.path == "/ok/bounces" for r in list(server.requests)))
        events = [event for event in told() if event["event"] != "notified"]
        batches = [r for r in server.requests if r.path == "/ok/bounces"]
    assert good.startswith("250 ") and bad.startswith("250 ")
    kinds = Counter((event["event"], event["recipient"]) for event in events)
    assert kinds == {
        ("accepted", "plain@tells.test"): 1,
        ("delivered", "plain@tells.test"): 1,
        ("accepted", "bounce@tells.test"): 1,
        ("bounced", "bounce@tells.test"): 1,
    }
    by_kind = {str(event["event"]): event for event in events}
    assert str(by_kind["delivered"]["message_id"]) in good
    assert by_kind["bounced"]["bounce_category"]
    assert len({event["id"] for event in events}) == 4
    (batch,) = batches
    body = batch_secret.verify(batch.body, dict(batch.headers.items()))
    assert [event["id"] for event in body["events"]] == [by_kind["bounced"]["id"]]


# --- both engines -------------------------------------------------------------------------------


@pytest.fixture
def account_id(two: list[Database]) -> int:
    with two[0].transaction() as session:
        return factories.account(session).id


def endpoint(database: Database, account_id: int, *, batch: int = 1) -> int:
    with database.transaction() as session:
        return endpoints.create(
            session, session.get_one(Account, account_id), "https://example.com/", batch=batch,
            sealer=Sealer(factories.MASTER_KEY), rules=Webhooks(),
        ).endpoint.id  # fmt: skip


def happens(database: Database, account_id: int, count: int, linger: float = 0.0) -> None:
    """In one transaction that stays open for so many seconds."""
    with database.transaction() as session:
        session.add_all(
            Event(account_id=account_id, node="n1", kind="rejected", at=utcnow(), detail={})
            for _ in range(count)
        )
        session.flush()
        time.sleep(linger)


def fan_out(database: Database) -> bool:
    with database.session() as session:
        prepared = fanout.prepare(session, utcnow())
    if prepared is None:
        return False
    with database.transaction() as session:
        fanout.write(session, prepared, utcnow())
    return True


def test_each_event_once_whoever_commits_when(two: list[Database], account_id: int) -> None:
    """Transactions that began first commit last, and two workers read at the same time."""
    number = endpoint(two[0], account_id)
    over = threading.Event()

    def write(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(12):
            happens(two[seed % 2], account_id, chance.randint(1, 3), chance.random() * 0.02)

    def read(database: Database) -> None:
        while not over.is_set() or fan_out(database):
            fan_out(database)

    with ThreadPoolExecutor(6) as threads:
        readers = [threads.submit(read, database) for database in two]
        for done in [threads.submit(write, seed) for seed in range(4)]:
            done.result()
        over.set()
        for done in readers:
            done.result()
    with two[0].session() as session:
        events = session.scalars(select(Event.id).where(Event.account_id == account_id)).all()
        query = select(Delivery.webhook_id).where(Delivery.endpoint_id == number)
        assert sorted(session.scalars(query)) == sorted(f"evt_{each}" for each in events)


def test_the_whole_life_of_an_outbox(two: list[Database], account_id: int) -> None:
    """What the pure tests show on SQLite is understood by PostgreSQL, too."""
    database, now = two[0], utcnow()
    number, batched = endpoint(database, account_id), endpoint(database, account_id, batch=2)
    happens(database, account_id, 3)
    while fan_out(database):
        pass
    exchange = Exchange(now, 0.1, "https://example.com/", {"a": "b"}, {"c": "d"}, "e")
    with database.transaction() as session:
        claimed = queue.claim(session, number, utcnow(), 10)
        assert len(claimed) == 3
        queue.release(session, claimed[2:])
        done = [
            (claimed[0], Outcome(200, exchange=exchange)),
            (claimed[1], Outcome(500, "HTTP 500", exchange=exchange)),
        ]
        assert queue.record(session, done, now) == done
    with database.transaction() as session:
        assert {number: True, batched: False}.items() <= queue.ready(session, utcnow()).items()
        account = session.get_one(Account, account_id)
        replay = replays.since(session, account, number, now - timedelta(hours=1), utcnow())
        assert replays.again(session, account, number, [claimed[0].id], utcnow()) == 1
    with database.session() as session:
        assert replays.open_replays(session) == [replay.id]
        step = replays.prepare(session, replay.id, utcnow())
    assert step is not None and step.events == 3
    with database.transaction() as session:
        assert replays.write(session, step, utcnow())
        assert standing.look(session, now + timedelta(days=2)) == []
        (paused,) = standing.look(session, now + timedelta(days=4))
        assert paused.id == number
    with database.transaction() as session:
        account = session.get_one(Account, account_id)
        endpoints.remove(session, account, batched)
        assert retention.give_up(session, utcnow()) == 0
        later = now + timedelta(days=31)
        assert retention.forget(session, later) == 8  # two batches, three events, three notices
        assert session.get(Endpoint, batched) is None
    with database.session() as session:
        left = outbox.deliveries(session, session.get_one(Endpoint, number))
        assert [(outbox.state_of(each), each.body) for each in left] == [("dead", None)] * 4
