"""What is written after the answer, and that nothing waits for it."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from franking import log
from franking.accounts import credentials
from franking.accounts.models import Credential
from franking.db import Base, Database, utcnow
from franking.mail import cap, replies
from franking.mail.models import Event
from franking.nodes.models import Tally
from policyd import journal as module
from policyd.journal import Journal, Refusal, Use

Told = list[tuple[object, ...]]


@pytest.fixture
def refusal(database: Database, people: dict[str, str]) -> Refusal:
    with database.session() as session:
        credential = session.scalars(
            select(Credential).where(Credential.username == people["poor"])
        ).one()
    return Refusal(
        credential.account_id,
        credential.id,
        replies.insufficient_balance(),
        utcnow(),
        sender="shop@example.com",
        recipient="someone@example.net",
        detail={"helo": "app.example"},
    )


def recorded(database: Database) -> list[Event]:
    with database.session() as session:
        return list(session.scalars(select(Event).order_by(Event.id)))


def test_a_refusal_becomes_an_event(database: Database, journal: Journal, refusal: Refusal) -> None:
    journal.refused(refusal)
    journal.close()
    (event,) = recorded(database)
    assert (event.kind, event.smtp_code, event.enhanced_code) == ("rejected", 554, "5.7.1")
    assert (event.account_id, event.credential_id) == (refusal.account_id, refusal.credential_id)
    assert (event.sender, event.recipient) == (refusal.sender, refusal.recipient)
    assert event.reply == "Insufficient balance" and event.node == "n1"
    assert event.detail["helo"] == "app.example"
    assert event.detail["reply_key"] == "insufficient_balance"


def test_the_same_question_is_recorded_once(
    database: Database, journal: Journal, refusal: Refusal
) -> None:
    for once in (("i", "r", "RCPT"), ("i", "r", "RCPT"), ("i", "s", "RCPT"), None, None):
        journal.refused(replace(refusal, once=once))
    journal.close()
    assert len(recorded(database)) == 4


def test_a_client_in_a_loop_does_not_fill_the_database(
    database: Database, journal: Journal, refusal: Refusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: Told = []
    monkeypatch.setattr(log, "refusals_capped", lambda *values: told.append(values))
    for _ in range(cap.REFUSALS + 40):
        journal.refused(refusal)
    journal.close()
    assert len(recorded(database)) == cap.REFUSALS
    assert told == [(refusal.account_id, 40)]


def use(refusal: Refusal, second: float, hint: str = "aaaa", ip: str = "192.0.2.7") -> Use:
    at = refusal.at + timedelta(seconds=second)
    return Use(refusal.credential_id, ip, at, secret_hint=hint, listener="submission")


def clients(database: Database, refusal: Refusal) -> dict[str, tuple[str | None, timedelta]]:
    """hint → what it called itself, and how long after the start it was used last."""
    with database.session() as session:
        credential = session.get_one(Credential, refusal.credential_id)
        return {
            row.secret_hint: (row.client_helo, row.last_used_at - refusal.at)
            for row in credentials.uses(session, credential)
        }


def test_a_client_is_noted_once_a_minute(database: Database, refusal: Refusal) -> None:
    time = 0.0
    journal = Journal(database, "n1", clock=lambda: time)
    for time in (0.0, 59.0, 60.0, 61.0):  # the clock reads it
        journal.used(use(refusal, time))
    time = 62.0
    journal.used(use(refusal, time, hint="bbbb"))
    journal.close()
    assert clients(database, refusal) == {
        "aaaa": (None, timedelta(seconds=60)),
        "bbbb": (None, timedelta(seconds=62)),
    }


def test_the_ehlo_name_joins_the_login_before_it(database: Database, refusal: Refusal) -> None:
    time = 0.0
    journal = Journal(database, "n1", clock=lambda: time)

    def greeted(helo: str) -> None:
        at = refusal.at + timedelta(seconds=time)
        journal.greeted(refusal.credential_id, "::ffff:192.0.2.7", helo, at)

    for time, hint, helo in (
        (1.0, "aaaa", "old.example"),
        (2.0, "bbbb", "new.example"),
        (3.0, "aaaa", "old.example"),  # not noted again, and yet not taken for the newer one
        (63.0, "aaaa", "old.example"),
    ):
        journal.used(use(refusal, time, hint))
        greeted(helo)
    journal.close()
    assert clients(database, refusal) == {
        "aaaa": ("old.example", timedelta(seconds=63)),
        "bbbb": ("new.example", timedelta(seconds=2)),
    }
    with database.session() as session:
        credential = session.get_one(Credential, refusal.credential_id)
    assert credential.last_used_helo == "old.example"


def test_a_session_from_before_the_start_is_the_newest_clients(
    database: Database, refusal: Refusal
) -> None:
    before = Journal(database, "n1")
    before.used(use(refusal, 0, "aaaa"))
    before.used(use(refusal, 1, "bbbb"))
    before.close()
    after = Journal(database, "n1")
    at = refusal.at + timedelta(seconds=9)
    after.greeted(refusal.credential_id, "192.0.2.7", "pool.example", at)
    after.greeted(refusal.credential_id, "192.0.2.8", "pool.example", at)
    after.close()
    assert clients(database, refusal) == {
        "aaaa": (None, timedelta(seconds=0)),
        "bbbb": ("pool.example", timedelta(seconds=9)),
    }


def test_trouble_is_logged_and_the_next_entry_is_written(
    database: Database, journal: Journal, refusal: Refusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = threading.Event()
    monkeypatch.setattr(log, "journal_dropped", lambda *_: lost.set())
    Base.metadata.drop_all(database.engine, [Base.metadata.tables["event"]])
    journal.refused(refusal)
    assert lost.wait(10)
    Base.metadata.create_all(database.engine)
    journal.refused(refusal)
    journal.close()
    assert len(recorded(database)) == 1


def test_a_stuck_database_delays_nobody_and_the_queue_is_bounded(
    database: Database, journal: Journal, refusal: Refusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: Told = []
    monkeypatch.setattr(log, "journal_dropped", lambda *values: told.append(values))
    with database.transaction():  # holds the only write lock
        for number in range(module.LONGEST_QUEUE + module.LARGEST_BATCH + 50):
            journal.used(Use(1_000 + number, None, refusal.at, "aaaa"))
    journal.close()
    assert len(told) >= 50


def test_what_is_counted_is_added_up(
    database: Database, journal: Journal, refusal: Refusal
) -> None:
    """However many there are, they take no more room than one."""
    for _ in range(2):
        for _ in range(module.LONGEST_QUEUE * 2):
            journal.counted("inbound_forged")
        journal.counted("inbound_expired")
        journal.refused(refusal)
    journal.close()
    with database.session() as session:
        counts = {row.name: row.count for row in session.scalars(select(Tally))}
    assert counts == {"inbound_forged": module.LONGEST_QUEUE * 4, "inbound_expired": 2}
    assert len(recorded(database)) == 2
