"""What is written after the answer, and that nothing waits for it."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from franking import log
from franking.accounts.models import Credential
from franking.db import Base, Database, utcnow
from franking.mail import cap, replies
from franking.mail.models import Event
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


def test_last_use_once_a_minute(database: Database, refusal: Refusal) -> None:
    time = 0.0
    journal = Journal(database, "n1", clock=lambda: time)
    start = utcnow()
    for time in (0.0, 59.0, 60.0, 61.0):  # the clock reads it
        at = start + timedelta(seconds=time)
        journal.used(Use(refusal.credential_id, f"192.0.2.{time:.0f}", at))
    journal.close()
    with database.session() as session:
        credential = session.get_one(Credential, refusal.credential_id)
    assert credential.last_used_ip == "192.0.2.60"
    assert credential.last_used_at == start + timedelta(seconds=60)


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
            journal.used(Use(1_000 + number, None, refusal.at))
    journal.close()
    assert len(told) >= 50
