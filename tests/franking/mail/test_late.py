"""Reports about mail that was delivered already."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from franking.db import Database
from franking.mail import events, late, messages
from franking.mail.config import Suppressions
from franking.mail.events import Attempt
from franking.mail.late import Late, NotYet
from franking.mail.models import Event, Recipient, Suppression
from tests import factories

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ANNA, BERT = "anna@example.net", "bert@example.net"
GONE = Late(
    "Q1",
    ANNA,
    "bounced",
    NOW + timedelta(hours=1),
    smtp_code=550,
    enhanced_code="5.1.1",
    reply="550 5.1.1 no such user",
    category="invalid_recipient",
    remote_host="mx.example.net",
    detail={"reported_by": "mx.example.net"},
)


@pytest.fixture
def sent(database: Database) -> str:
    """Q1 to Anna and to Bert, and Q2 to Anna alone: the user name of who has sent them."""
    with database.transaction() as session:
        owner = factories.funded(session)
        domain = factories.verified_domain(session, owner)
        username = factories.credential(session, owner).credential.username
        factories.message(session, username, domain.id, "Q1", NOW, recipients=[ANNA, BERT])
        factories.message(session, username, domain.id, "Q2", NOW, recipients=[ANNA])
    return username


def deliver(database: Database, *recipients: str, queue_id: str = "Q1") -> None:
    with database.transaction() as session:
        events.record(
            session, "n1", [Attempt(queue_id, each, "delivered", NOW) for each in recipients]
        )


def report(database: Database, what: Late, node: str = "n1") -> int | None:
    with database.transaction() as session:
        return late.record(session, node, what, Suppressions(), NOW + timedelta(hours=1))


def status(database: Database, queue_id: str = "Q1") -> tuple[str, dict[str, str]]:
    with database.session() as session:
        rows = session.scalars(select(Recipient).where(Recipient.queue_id == queue_id))
        return messages.find(session, queue_id).status, {r.address: r.status for r in rows}


def listed(database: Database) -> list[tuple[str, str, int | None]]:
    with database.session() as session:
        rows = session.scalars(select(Suppression))
        return [(row.address, row.reason, row.event_id) for row in rows]


def test_what_was_delivered_bounces_once(database: Database, sent: str) -> None:
    deliver(database, ANNA, BERT)
    event_id = report(database, replace(GONE, recipient=ANNA.upper()))
    assert event_id is not None
    assert status(database) == ("partial", {ANNA: "bounced", BERT: "delivered"})
    with database.session() as session:
        event = session.get_one(Event, event_id)
        assert (event.kind, event.attempt, event.recipient) == ("bounced", 0, ANNA)
        assert (event.category, event.remote_host) == ("invalid_recipient", "mx.example.net")
        assert event.detail == {"reported_by": "mx.example.net"}
    assert report(database, GONE) is None
    assert report(database, replace(GONE, reply="again")) is None


def test_it_suppresses_with_its_event(database: Database, sent: str) -> None:
    deliver(database, ANNA, queue_id="Q2")
    event_id = report(database, replace(GONE, queue_id="Q2"))
    assert listed(database) == [(ANNA, "hard_bounce", event_id)]


def test_a_guess_suppresses_nobody(database: Database, sent: str) -> None:
    deliver(database, ANNA, queue_id="Q2")
    assert report(database, replace(GONE, queue_id="Q2", heuristic=True)) is not None
    assert listed(database) == []


def test_a_report_that_is_faster_than_our_log_waits(database: Database, sent: str) -> None:
    with pytest.raises(NotYet):
        report(database, GONE)
    deliver(database, ANNA)
    assert report(database, GONE) is not None
    assert status(database) == ("queued", {ANNA: "bounced", BERT: "queued"})


def test_what_ended_without_a_delivery_does_not_end_again(database: Database, sent: str) -> None:
    with database.transaction() as session:
        events.record(session, "n1", [Attempt("Q1", ANNA, "bounced", NOW)])
    assert report(database, GONE) is None


def test_strangers(database: Database, sent: str) -> None:
    deliver(database, ANNA, BERT)
    assert report(database, replace(GONE, queue_id="Q9")) is None
    assert report(database, GONE, node="n2") is None
    assert report(database, replace(GONE, recipient="carl@example.net")) is None
    assert report(database, replace(GONE, recipient=None)) is None  # which of the two?


def test_the_only_recipient_needs_no_name(database: Database, sent: str) -> None:
    deliver(database, ANNA, queue_id="Q2")
    assert report(database, replace(GONE, queue_id="Q2", recipient=None)) is not None
    assert status(database, "Q2") == ("bounced", {ANNA: "bounced"})


@pytest.mark.parametrize("kind", ["complained", "unsubscribed"])
def test_a_complaint_is_known_once_and_changes_no_state(
    database: Database, sent: str, kind: late.Kind
) -> None:
    deliver(database, ANNA, queue_id="Q2")
    said = Late("Q2", None, kind, NOW, detail={"feedback_type": "abuse"})
    event_id = report(database, said)
    assert report(database, replace(said, recipient=ANNA)) is None
    assert status(database, "Q2") == ("delivered", {ANNA: "delivered"})
    reason = {"complained": "complaint", "unsubscribed": "unsubscribe"}[kind]
    assert listed(database) == [(ANNA, reason, event_id)]


def test_a_complaint_without_a_name_is_the_messages(database: Database, sent: str) -> None:
    deliver(database, ANNA, BERT)
    said = Late("Q1", None, "complained", NOW)
    event_id = report(database, said)
    assert event_id is not None
    assert report(database, said) is None
    assert listed(database) == []
    with database.session() as session:
        assert session.get_one(Event, event_id).recipient is None


def test_each_notice_is_told_once(database: Database, sent: str) -> None:
    deliver(database, ANNA, BERT)
    first = Late("Q1", ANNA, "notified", NOW, detail={"notice": "a"})
    assert report(database, first) is not None
    assert report(database, replace(first, detail={"notice": "b"})) is not None
    assert report(database, first) is None
