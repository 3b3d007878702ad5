"""In the log: mail that waits for money, and mail that gets its money back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import select, update

from franking.mail.models import Message
from franking.money import ledger
from franking.money.models import LedgerEntry, Plan
from franking.money.terms import Terms, stored
from worker.maillog.gather import gather
from worker.maillog.recent import Recent
from worker.maillog.settle import settle, write

from ..conftest import MONEY, PRICE, Books

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
QID = "4jWnPz0hWRzJ9t9"
PARKED = f"postsuper: {QID}: placed on hold"
RELEASED = f"postsuper: {QID}: released from hold"
ACTIVE = f"qmgr: {QID}: from=<news@shop.test>, size=300, nrcpt=2 (queue active)"
DELETED = f"postsuper: {QID}: removed"
EXPIRED = f"qmgr: {QID}: from=<news@shop.test>, status=expired, returned to sender"
BLOCKED = "554 5.7.1 Client host [192.0.2.9] blocked using zen.spamhaus.org"


def terms(books: Books, **chosen: object) -> None:
    with books.database.transaction() as session:
        text = stored(Terms(**chosen))  # type: ignore[arg-type]
        session.execute(update(Plan).values(terms=text))


def feed(books: Books, *texts: str, recent: Recent | None = None) -> dict[str, str]:
    log = [
        f"Nov 21 09:45:{number:02} relay postfix/{process}[7]: {body}".encode()
        for number, (process, _, body) in enumerate(text.partition(": ") for text in texts)
    ]
    changes = gather(log, recent or Recent(), NOW, UTC)
    with books.database.transaction() as session:
        return write(session, books.node, changes, NOW)


def bounced(recipient: str, reply: str = BLOCKED) -> str:
    return (
        f"smtp: {QID}: to=<{recipient}>, relay=mx.y.test[192.0.2.1]:25, delay=1, delays=0/0/0/1,"
        f" dsn={reply.split()[1]}, status=bounced (host mx.y.test[192.0.2.1] said: {reply}"
        " (in reply to RCPT TO command))"
    )


def sent(recipient: str) -> str:
    return (
        f"smtp: {QID}: to=<{recipient}>, relay=mx.y.test[192.0.2.1]:25, delay=1, delays=0/0/0/1,"
        " dsn=2.0.0, status=sent (250 2.0.0 ok)"
    )


def refunds(books: Books) -> list[tuple[int, bool]]:
    """Amounts, and whether each names the event that caused it."""
    query = select(LedgerEntry.amount, LedgerEntry.event_id.is_not(None)).where(
        LedgerEntry.cause == "refund", LedgerEntry.book == "available"
    )
    with books.database.session() as session:
        return [(amount, told) for amount, told in session.execute(query)]


@pytest.fixture
def poor(books: Books) -> Books:
    """One message waits for money."""
    terms(books, on_empty="hold")
    with books.database.transaction() as session:
        ledger.adjust(session, 1, -MONEY, reference="x", note="empty")
    books.accept(QID, "a@y.test", "b@y.test")
    assert (books.state(QID), books.message(QID), books.waiting()) == ("waiting", "held", [QID])
    return books


def test_released_by_hand_is_charged(poor: Books, capsys: pytest.CaptureFixture[str]) -> None:
    """Below zero: Postfix sends it whatever we say."""
    feed(poor, RELEASED, ACTIVE)
    assert (poor.state(QID), poor.message(QID)) == ("captured", "queued")
    assert poor.balance() == (-PRICE, 0)
    assert "unpaid_released" in capsys.readouterr().out
    once = poor.contents()
    feed(poor, RELEASED, ACTIVE)
    assert poor.contents() == once
    assert poor.sound()


def test_deleted_has_cost_nothing(poor: Books) -> None:
    feed(poor, DELETED)
    feed(poor, DELETED)
    assert (poor.state(QID), poor.message(QID), poor.waiting()) == ("voided", "voided", [])
    assert poor.balance() == (0, 0) and poor.sound()


def test_parked_again_waits_on(poor: Books) -> None:
    feed(poor, PARKED)
    assert (poor.state(QID), poor.waiting(), poor.balance()) == ("waiting", [QID], (0, 0))


def test_deleted_on_its_way_is_not_free(poor: Books) -> None:
    feed(poor, RELEASED, ACTIVE, DELETED)
    assert (poor.state(QID), poor.balance()) == ("captured", (-PRICE, 0))


def test_never_kept(poor: Books) -> None:
    with poor.database.transaction() as session:
        settle(session, poor.node, {QID: ("voided", "queue: no file")}, NOW)
    assert (poor.state(QID), poor.message(QID), poor.balance()) == ("voided", "voided", (0, 0))


def test_expired_in_our_queue(books: Books) -> None:
    books.accept(QID, "a@y.test", "b@y.test")
    feed(books, ACTIVE, bounced("a@y.test"))
    assert books.balance() == (MONEY - PRICE, 0)
    feed(books, EXPIRED)
    assert books.balance() == (MONEY, 0)
    assert refunds(books) == [(PRICE, True)]
    with books.database.session() as session:
        assert session.scalars(select(Message.refunded)).one() == PRICE
    assert books.sound()
    once = books.contents()
    feed(books, ACTIVE, bounced("a@y.test"), EXPIRED)
    assert books.contents() == once


@pytest.mark.parametrize("size", [1, 4])
def test_each_recipient_that_blocks_us(books: Books, size: int) -> None:
    terms(books, billing_unit="recipient")
    books.accept(QID, "a@y.test", "b@y.test", "c@y.test")
    log = [
        ACTIVE, bounced("a@y.test"), bounced("b@y.test", "550 5.1.1 user unknown"),
        bounced("c@y.test"),
    ]  # fmt: skip
    for start in range(0, len(log), size):
        feed(books, *log[start : start + size])
    assert refunds(books) == [(PRICE, True)] * 2
    assert books.balance() == (MONEY - PRICE, 0) and books.sound()


def test_what_was_delivered_stays_paid(books: Books) -> None:
    books.accept(QID, "a@y.test", "b@y.test")
    feed(books, ACTIVE, sent("a@y.test"), bounced("b@y.test"))
    assert refunds(books) == [] and books.balance() == (MONEY - PRICE, 0)


def test_not_on_every_plan(books: Books) -> None:
    terms(books, refunds=())
    books.accept(QID)
    feed(books, ACTIVE, EXPIRED)
    assert refunds(books) == [] and books.balance() == (MONEY - PRICE, 0)
