"""Webhooks: the log of deliveries, what each try said, and sending it again."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from franking.accounts.models import AuditEntry
from franking.db import Database, utcnow
from franking.webhooks import endpoints, outbox, queue, replays, schedule
from franking.webhooks.models import Delivery, Endpoint, Replay
from franking.webhooks.queue import Exchange, Outcome
from tests.webpanel.seed import HOSTILE, QUEUE_ID, Seed

REFUSED = Outcome(
    503,
    f"answered 503 {HOSTILE}",
    exchange=Exchange(
        utcnow(), 0.25, "https://hooks.example/seed", {"webhook-id": "evt_1"},
        {"Server": HOSTILE}, f"try later {HOSTILE}",
    ),
)  # fmt: skip
TAKEN = Outcome(204, exchange=Exchange(utcnow(), 0.1, "https://hooks.example/seed"))


def enqueue(database: Database, seed: Seed, *names: str, queue_id: str | None = None) -> None:
    with database.transaction() as session:
        for name in names:
            row = outbox.row(seed.hook, name, "delivered", f'{{"id":"{name}"}}', utcnow())
            session.add(Delivery(**row, queue_id=queue_id, node=queue_id and "n1"))


def attempt(database: Database, seed: Seed, outcome: Outcome, now: datetime | None = None) -> None:
    """One try of all that are due."""
    at = now or utcnow()
    with database.transaction() as session:
        claimed = queue.claim(session, seed.hook, at, 100)
        assert queue.record(session, [(each, outcome) for each in claimed], at)


def numbers(database: Database, *names: str) -> list[int]:
    with database.session() as session:
        found = dict(session.execute(select(Delivery.webhook_id, Delivery.id)).all())
        return [found[name] for name in names]


def states(database: Database) -> dict[str, str]:
    with database.session() as session:
        return {row.webhook_id: outbox.state_of(row) for row in session.scalars(select(Delivery))}


def audited(database: Database) -> list[dict[str, Any]]:
    with database.session() as session:
        rows = session.scalars(select(AuditEntry).where(AuditEntry.action == "endpoint.replay"))
        return [row.detail for row in rows]


def test_the_log_by_state_and_page(mine: FlaskClient, database: Database, seed: Seed) -> None:
    attempt(database, seed, TAKEN)
    enqueue(database, seed, *(f"evt_{number:03d}" for number in range(60)))
    path = f"/webhooks/{seed.hook}"
    first = mine.get(path).text
    assert "evt_059" in first and "evt_010" in first and "evt_009" not in first
    older = re.search(r'href="([^"]*before=\d+)"', first)
    assert older is not None
    second = mine.get(older[1]).text
    assert "evt_009" in second and "evt_010" not in second and "test_" in second
    for state, here in (("waiting", True), ("dead", False), ("delivered", False)):
        page = mine.get(path, query_string={"state": state}).text
        assert ("evt_059" in page) == here, state
    for nonsense in ("before=x", "before=0", f"before={1 << 64}", "state=x", "since=x"):
        assert "evt_059" in mine.get(f"{path}?{nonsense}").text


def test_one_with_every_try(mine: FlaskClient, database: Database, seed: Seed) -> None:
    attempt(database, seed, TAKEN)  # the seed's own
    enqueue(database, seed, "evt_1", queue_id=QUEUE_ID)
    (number,) = numbers(database, "evt_1")
    path = f"/webhooks/{seed.hook}/deliveries/{number}"
    page = mine.get(path).text
    assert "It was not tried yet." in page and "any moment" in page
    assert page.count("<li>") == len(schedule.WAITS) + 1
    assert f"/messages/{QUEUE_ID}" in page
    assert "{&#34;id&#34;:&#34;evt_1&#34;}" in page
    attempt(database, seed, REFUSED)
    page = mine.get(path).text
    assert "503" in page and "0.2 s" in page and "webhook-id: evt_1" in page
    assert page.count("try later") == 1
    assert page.count("<li>") == len(schedule.WAITS)
    assert "any moment" not in page
    assert HOSTILE not in page
    assert HOSTILE not in mine.get(f"/webhooks/{seed.hook}").text
    attempt(database, seed, TAKEN, utcnow() + timedelta(minutes=1))
    page = mine.get(path).text
    assert ">204</span>" in page and ">delivered</span>" in page and "<li>" not in page


def test_what_is_too_old(mine: FlaskClient, database: Database, seed: Seed) -> None:
    with database.transaction() as session:
        row = session.get_one(Delivery, seed.delivery)
        row.body, row.attempts, row.delivered_at = None, 2, utcnow()
    page = mine.get(f"/webhooks/{seed.hook}/deliveries/{seed.delivery}").text
    assert "not kept longer than 7 days" in page and "what was said then is not kept" in page
    assert "Send it again" not in page
    assert 'name="delivery"' not in mine.get(f"/webhooks/{seed.hook}").text
    answer = mine.post(f"/webhooks/{seed.hook}/again", data={"delivery": seed.delivery})
    assert "too old to be kept" in mine.get(answer.location).text


def test_a_test_event(mine: FlaskClient, database: Database, seed: Seed) -> None:
    page = mine.post(f"/webhooks/{seed.hook}/test", follow_redirects=True).text
    assert "endpoint.test" in page and "data-live" in page
    with database.transaction() as session:
        assert session.scalar(select(func.count()).select_from(Delivery)) == 2
        endpoints.close(session, session.get_one(Endpoint, seed.hook), "x", utcnow())
    page = mine.post(f"/webhooks/{seed.hook}/test", follow_redirects=True).text
    assert "The endpoint is disabled." in page


def test_one_a_selection_and_all_that_were_given_up(
    mine: FlaskClient, database: Database, seed: Seed
) -> None:
    path = f"/webhooks/{seed.hook}/again"
    enqueue(database, seed, "evt_1", "evt_2", "evt_3")
    attempt(database, seed, TAKEN)
    one, two, three = numbers(database, "evt_1", "evt_2", "evt_3")

    answer = mine.post(path, data={"delivery": one, "one": "yes"})
    assert answer.location == f"/webhooks/{seed.hook}/deliveries/{one}"
    assert "1 delivery is sent again" in mine.get(answer.location).text
    page = mine.post(path, data={"delivery": [two, three]}, follow_redirects=True).text
    assert "2 deliveries are sent again" in page
    assert {name for name, state in states(database).items() if state == "waiting"} == {
        "evt_1", "evt_2", "evt_3"
    }  # fmt: skip

    with database.transaction() as session:
        for number in (one, two):
            session.get_one(Delivery, number).dead_at = utcnow()
    assert "Send all that were given up" in mine.get(f"/webhooks/{seed.hook}?state=dead").text
    mine.post(f"{path}/dead")
    assert states(database)["evt_1"] == states(database)["evt_2"] == "waiting"
    assert audited(database) == [
        {"id": seed.hook, "deliveries": [one]},
        {"id": seed.hook, "deliveries": [two, three]},
        {"id": seed.hook, "dead": 2},
    ]


@pytest.mark.parametrize("chosen", [[], ["x"], ["-1"], [str(1 << 70)]])
def test_nothing_that_can_be_sent(mine: FlaskClient, seed: Seed, chosen: list[str]) -> None:
    answer = mine.post(f"/webhooks/{seed.hook}/again", data={"delivery": chosen})
    assert "Tick the deliveries" in mine.get(answer.location).text


def test_anothers_delivery_is_not_sent(
    mine: FlaskClient, theirs: FlaskClient, database: Database, seed: Seed
) -> None:
    """Neither by another account's endpoint nor by another endpoint of the same account."""
    attempt(database, seed, TAKEN)
    for client in (theirs, mine):
        answer = client.post("/webhooks", data={"url": "https://x.example/", "batch": "1"})
        found = re.search(r'data-reload="(/webhooks/\d+)"', answer.text)
        assert found is not None
        page = client.post(
            f"{found[1]}/again", data={"delivery": seed.delivery}, follow_redirects=True
        )
        assert "nothing to send again" in page.text
        assert client.get(f"{found[1]}/deliveries/{seed.delivery}").status_code == 404
    assert set(states(database).values()) == {"delivered"}


def test_all_since_a_time(mine: FlaskClient, database: Database, seed: Seed) -> None:
    path = f"/webhooks/{seed.hook}"
    since = utcnow() - timedelta(hours=2)
    answer = mine.post(f"{path}/again/since", data={"since": f"{since:%Y-%m-%dT%H:%M}"})
    assert answer.location == f"{path}#again"
    page = mine.get(path).text
    assert "being put together" in page and "so far" in page and "data-live" in page
    again = mine.post(f"{path}/again/since", data={"since": f"{since:%Y-%m-%dT%H:%M}"})
    assert again.status_code == 400
    assert "A replay is under way." in again.text
    with database.transaction() as session:
        (asked,) = session.scalars(select(Replay))
        assert asked.since == since.replace(second=0, microsecond=0)
        for number in replays.open_replays(session):
            step = replays.prepare(session, number, utcnow())
            assert step is not None and replays.write(session, step, utcnow())
    page = mine.get(path).text
    assert "so far" not in page and "done" in page
    assert audited(database) == [{"id": seed.hook, "since": f"{since:%FT%H:%M}:00Z"}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Write a day and a time"),
        ("yesterday", "Write a day and a time"),
        ("2020-01-01T00:00", "within the last 90 days"),
        ("9999-12-31T23:59", "within the last 90 days"),
        ("0001-01-01T00:00", "within the last 90 days"),
    ],
)
def test_times_that_cannot_be(mine: FlaskClient, seed: Seed, text: str, said: str) -> None:
    answer = mine.post(f"/webhooks/{seed.hook}/again/since", data={"since": text})
    assert answer.status_code == 400
    assert re.search(rf'id="since-error">[^<]*{said}', answer.text)
