"""From log attempts to events, recipients' states and a message's state."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from franking.accounts import account as accounts
from franking.accounts import credentials
from franking.accounts.models import Account
from franking.db import Database
from franking.domains.models import Domain
from franking.mail import acceptance, events, messages
from franking.mail.authority import authority
from franking.mail.events import Attempt
from franking.mail.states import summarise
from franking.money import ledger, pricing
from franking.reasons import AccountSuspended, Invalid, NotFound

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
RECIPIENTS = ["a@example.net", "b@example.net"]


@pytest.fixture
def username(database: Database) -> str:
    with database.transaction() as session:
        plan = pricing.create_plan(session, "standard", currency="EUR", unit_price=800, now=NOW)
        account = accounts.create(session, "acme", plan=plan)
        accounts.create(session, "other", plan=plan)
        ledger.deposit(session, account.id, 10_000, reference="d1")
        session.add(Domain(account_id=account.id, name="example.com", ownership_token="t"))
        return credentials.create(session, account, "web", prefix="frank").credential.username


def accept(database: Database, username: str, queue_id: str, **changes: object) -> None:
    with database.session() as session:
        standing = authority(session, username, NOW)
        domain_id = session.scalars(select(Domain.id)).one()
    assert standing is not None
    fields: dict[str, object] = {
        "node": "n1",
        "queue_id": queue_id,
        "authority": standing,
        "domain_id": domain_id,
        "from_address": "shop@example.com",
        "envelope_sender": "bounce@example.com",
        "recipients": RECIPIENTS,
        "subject": "Hello",
        "message_id": f"<{queue_id}@example.com>",
        "size": 1234,
        "now": NOW,
    }
    with database.transaction() as session:
        acceptance.accept(session, acceptance.Acceptance(**(fields | changes)))  # type: ignore[arg-type]


def attempt(recipient: str, kind: str, minutes: int = 1, queue_id: str = "Q1") -> Attempt:
    return Attempt(queue_id, recipient, kind, NOW + timedelta(minutes=minutes), reply="said")


def status(database: Database, queue_id: str = "Q1") -> str:
    with database.session() as session:
        return messages.find(session, queue_id).status


def kinds(database: Database, queue_id: str = "Q1") -> list[tuple[str, int]]:
    with database.session() as session:
        found = messages.timeline(session, messages.find(session, queue_id))
        return [(event.kind, event.attempt) for event in found]


def test_accept_writes_everything_and_holds_the_money(database: Database, username: str) -> None:
    accept(database, username, "Q1", tags=["a"])
    assert kinds(database) == [("accepted", 0), ("accepted", 0)]
    with database.session() as session:
        account = accounts.get(session, "acme")
        balance = ledger.balance(session, account.id)
        assert (balance.available, balance.held) == (9_200, 800)
        message = messages.get(session, account, "Q1")
        assert (message.cost, message.tags, message.recipient_count) == (800, ["a"], 2)


def test_a_queue_id_is_accepted_once(database: Database, username: str) -> None:
    accept(database, username, "Q1")
    with pytest.raises(acceptance.DuplicateQueueId):
        accept(database, username, "Q1")
    with database.session() as session:
        assert ledger.balance(session, accounts.get(session, "acme").id).available == 9_200


def test_no_money_no_message(database: Database, username: str) -> None:
    for number in range(12):
        accept(database, username, f"Q{number}")
    with pytest.raises(acceptance.NotAccepted, match="Insufficient balance"):
        accept(database, username, "Q12")
    with database.session() as session, pytest.raises(NotFound):
        messages.find(session, "Q12")


def test_suspended_between_login_and_end_of_message(database: Database, username: str) -> None:
    with database.transaction() as session:
        account = accounts.get(session, "acme")
        account.status, account.suspended_reason = "suspended", "spam"
    with pytest.raises(AccountSuspended, match="spam"):
        accept(database, username, "Q1")


def test_states_follow_the_attempts(database: Database, username: str) -> None:
    accept(database, username, "Q1")
    steps = [
        ([attempt("a@example.net", "delivered")], "queued"),
        ([attempt("b@example.net", "deferred", 2)], "deferred"),
        ([attempt("b@example.net", "deferred", 9)], "deferred"),
        ([attempt("B@Example.net", "bounced", 20)], "partial"),
    ]
    for attempts, expected in steps:
        with database.transaction() as session:
            assert len(events.record(session, "n1", attempts)) == 1
        assert status(database) == expected
    assert kinds(database)[2:] == [
        ("delivered", 1), ("deferred", 1), ("deferred", 2), ("bounced", 3)
    ]  # fmt: skip


def test_a_recipient_ends_once(database: Database, username: str) -> None:
    accept(database, username, "Q1")
    with database.transaction() as session:
        events.record(session, "n1", [attempt("a@example.net", "delivered")] * 2)
        assert len(events.record(session, "n1", [attempt("a@example.net", "bounced", 5)])) == 0
    assert [kind for kind, _ in kinds(database)].count("delivered") == 1


def test_strange_queue_files_and_recipients_are_ignored(database: Database, username: str) -> None:
    accept(database, username, "Q1")
    with database.transaction() as session:
        strangers = [
            attempt("a@example.net", "delivered", queue_id="QX"),
            attempt("nobody@example.net", "delivered"),
        ]
        assert len(events.record(session, "n1", strangers)) == 0
        assert len(events.record(session, "n2", [attempt("a@example.net", "delivered")])) == 0
    assert status(database) == "queued"


def test_expired_ends_who_had_no_end(database: Database, username: str) -> None:
    accept(database, username, "Q1")
    with database.transaction() as session:
        events.record(session, "n1", [attempt("a@example.net", "delivered")])
        assert len(events.record_expired(session, "n1", [("Q1", NOW), ("QX", NOW)])) == 1
        assert len(events.record_expired(session, "n1", [("Q1", NOW)])) == 0
    assert status(database) == "partial"


def test_voided(database: Database, username: str) -> None:
    accept(database, username, "Q1")
    with database.transaction() as session:
        assert events.record_voided(session, "n1", {"Q1": "milter-reject"}, NOW) == 1
    assert status(database) == "voided"
    assert kinds(database)[-1] == ("voided", 0)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (messages.Filter(), ["Q4", "Q3", "Q2", "Q1", "Q0"]),
        (messages.Filter(status="delivered"), []),
        (messages.Filter(recipient="A@example.net"), ["Q4", "Q3", "Q2", "Q1", "Q0"]),
        (messages.Filter(recipient="c@example.net"), []),
        (messages.Filter(sender="SHOP@example.com"), ["Q4", "Q3", "Q2", "Q1", "Q0"]),
        (messages.Filter(tag="t1"), ["Q1"]),
        (messages.Filter(tag="t%"), []),
        (messages.Filter(text="Q2"), ["Q2"]),
        (messages.Filter(text="Q3@example.com"), ["Q3"]),
        (messages.Filter(since=NOW + timedelta(seconds=4)), ["Q4"]),
        (messages.Filter(until=NOW + timedelta(seconds=1)), ["Q0"]),
    ],
)
def test_search(
    database: Database, username: str, wanted: messages.Filter, found: list[str]
) -> None:
    for n in range(5):
        accept(database, username, f"Q{n}", now=NOW + timedelta(seconds=n), tags=[f"t{n}", "x"])
    with database.session() as session:
        mine = accounts.get(session, "acme")
        assert [m.queue_id for m in messages.search(session, mine, wanted).rows] == found
        assert messages.search(session, accounts.get(session, "other"), wanted).rows == []


def walk(database: Database, account: Account, limit: int) -> list[str]:
    seen: list[str] = []
    cursor = None
    while True:
        with database.session() as session:
            page = messages.search(session, account, messages.Filter(), cursor, limit)
        seen += [message.queue_id for message in page.rows]
        cursor = page.next_cursor
        if cursor is None:
            return seen


def test_pages_join_without_gap_or_overlap(database: Database, username: str) -> None:
    for n in range(7):
        accept(database, username, f"Q{n}", now=NOW + timedelta(seconds=n // 3))
    with database.session() as session:
        account = accounts.get(session, "acme")
    for limit in (1, 2, 3, 7, 50):
        assert walk(database, account, limit) == [f"Q{n}" for n in (6, 5, 4, 3, 2, 1, 0)]


@pytest.mark.parametrize("cursor", ["x", "!!!!", "AAAA", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OS9R"])
def test_a_broken_cursor_is_a_clear_error(database: Database, username: str, cursor: str) -> None:
    with database.session() as session, pytest.raises(Invalid, match="first page"):
        messages.search(session, accounts.get(session, "acme"), messages.Filter(), cursor)


@pytest.mark.parametrize(
    ("states", "summary"),
    [
        (["delivered"], "delivered"),
        (["delivered", "queued"], "queued"),
        (["deferred", "queued"], "deferred"),
        (["delivered", "bounced"], "partial"),
        (["bounced", "bounced"], "bounced"),
        (["suppressed", "delivered"], "delivered"),
        (["suppressed", "suppressed"], "suppressed"),
    ],
)
def test_summary(states: list[str], summary: str) -> None:
    assert summarise(states) == summary
