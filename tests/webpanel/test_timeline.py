"""A message's timeline: everything that was recorded of it, also long after it was delivered."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from franking.db import Database, utcnow
from franking.mail import events, failures, late, queue_actions
from franking.mail.config import Suppressions
from franking.mail.events import Attempt
from franking.mail.late import Late
from franking.mail.queue_actions import Action, Notification
from franking.webhooks.models import Delivery
from tests.webpanel import seed as seeds

QUEUE_ID = "4bCdEf9999zXyW"
ANNA, BERT = "anna@example.org", "bert@example.org"


@pytest.fixture(autouse=True)
def _sent(seed: seeds.Seed, database: Database) -> None:
    with database.transaction() as session:
        seeds.message(session, seed, QUEUE_ID)


def attempt(database: Database, kind: str, reply: str, code: str, **more: object) -> None:
    with database.transaction() as session:
        said = Attempt(
            QUEUE_ID, ANNA, kind, utcnow(), int(reply[:3]), code, reply,
            remote_host="mx.example.org", remote_ip="198.51.100.9", delay=9.5,
            detail={"delays": [9.0, 0.2, 0.1, 0.2], **more},
        )  # fmt: skip
        written = events.record(session, "n1", [said])
        failures.consider(session, "n1", written, Suppressions(), utcnow())


def report(database: Database, what: Late) -> None:
    with database.transaction() as session:
        assert late.record(session, "n1", what, Suppressions(), utcnow()) is not None


def act(database: Database, *actions: Action) -> None:
    with database.transaction() as session:
        assert queue_actions.record_actions(session, "n1", actions) == len(actions)


def shown(mine: FlaskClient) -> str:
    answer = mine.get(f"/messages/{QUEUE_ID}")
    assert answer.status_code == 200
    return answer.text.replace("&#39;", "'")


def test_an_attempt_says_why_and_where_the_time_went(mine: FlaskClient, database: Database) -> None:
    attempt(database, "deferred", "452 4.2.2 full", "4.2.2", tls="TLSv1.3")
    page = shown(mine)
    assert "mailbox full (soft)" in page
    assert "9.0 s before the queue manager, 0.2 s in it, 0.1 s connecting" in page
    assert "TLSv1.3" in page and "mx.example.org [198.51.100.9]" in page


def test_a_bounce_after_delivery(mine: FlaskClient, database: Database) -> None:
    attempt(database, "delivered", "250 2.0.0 ok", "2.0.0")
    report(database, Late(
        QUEUE_ID, ANNA, "bounced", utcnow(), 550, "5.2.1", f"550 5.2.1 disabled {seeds.HOSTILE}",
        "inactive_mailbox", detail={
            "reported_by": "inner.example.org", "reported_as": "a@inner.example", "guessed": True
        },
    ))  # fmt: skip
    page = shown(mine)
    assert "Bounced after delivery" in page and "inner.example.org" in page
    assert "a@inner.example" in page and "guessed from the words of a report" in page
    assert "This mailbox is disabled" in page
    assert seeds.HOSTILE not in page


def test_what_suppresses_leads_to_the_list(mine: FlaskClient, database: Database) -> None:
    attempt(database, "bounced", "550 5.1.1 user unknown", "5.1.1")
    assert f"/suppressions?q={ANNA}" in shown(mine)
    with database.transaction() as session:
        events.record(session, "n1", [Attempt(QUEUE_ID, BERT, "delivered", utcnow())])
    assert f"/suppressions?q={BERT}" not in shown(mine)


@pytest.mark.parametrize(
    ("kind", "title"), [("complained", "Complaint"), ("unsubscribed", "Unsubscribed")]
)
def test_what_recipients_say(
    mine: FlaskClient, database: Database, kind: late.Kind, title: str
) -> None:
    attempt(database, "delivered", "250 2.0.0 ok", "2.0.0")
    report(database, Late(QUEUE_ID, ANNA, kind, utcnow(), detail={"feedback_type": "abuse"}))
    assert f">{title}</h3>" in shown(mine)


def test_what_the_operator_did(mine: FlaskClient, database: Database) -> None:
    now = utcnow().replace(microsecond=0)
    act(database, Action(QUEUE_ID, "held", now))
    page = shown(mine)
    assert "The operator has put it on hold" in page
    assert "Send it next" not in page
    act(database, Action(QUEUE_ID, "released", now + timedelta(seconds=1)),
        Action(QUEUE_ID, "requeued", now + timedelta(seconds=2), "4bCdEg0000zXyW"))  # fmt: skip
    page = shown(mine)
    assert "The operator has put it on hold" not in page
    assert ">Requeued</h3>" in page and "4bCdEg0000zXyW" in page
    assert mine.get("/messages/4bCdEg0000zXyW").status_code == 200


def test_what_postfix_wrote_to_the_sender(mine: FlaskClient, database: Database) -> None:
    told = Notification(QUEUE_ID, "sender delay notification", "4bCdEg0000zXyW", utcnow())
    with database.transaction() as session:
        assert queue_actions.record_notifications(session, "n1", [told]) == 1
    page = shown(mine)
    assert "sender delay notification" in page and "bounces@example.com" in page


def test_webhooks_about_it(
    mine: FlaskClient, theirs: FlaskClient, seed: seeds.Seed, database: Database
) -> None:
    with database.transaction() as session:
        row = session.get_one(Delivery, seed.delivery)
        row.queue_id, row.node, row.kind = QUEUE_ID, "n1", "delivered"
    assert f"/webhooks/{seed.hook}/deliveries/{seed.delivery}" in shown(mine)
    assert theirs.get(f"/messages/{QUEUE_ID}").status_code == 404
