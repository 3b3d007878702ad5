"""What an operator does with postsuper, and what bounce(8) sends, as events of the message."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from franking.accounts.models import Account
from franking.mail import messages
from franking.mail.transitions import record_released
from worker.maillog.gather import gather
from worker.maillog.recent import Recent
from worker.maillog.settle import write

from ..conftest import Books

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
QID = "4jWnPz0hWRzJ9t9"
QID2 = "4jWnPz0ky1zJ9tB"
HELD = f"postsuper: {QID}: placed on hold"
RELEASED = f"postsuper: {QID}: released from hold"
REQUEUED = (
    f"postsuper: {QID}: requeued",
    f"pickup: {QID2}: uid=102 from=<news@shop.test> orig_id={QID}",
)
BOUNCE = f"bounce: {QID}: sender non-delivery notification: {QID2}"


def attempt(status: str, queue_id: str = QID, recipient: str = "a@y.test") -> str:
    return (
        f"smtp: {queue_id}: to=<{recipient}>, relay=mx[192.0.2.1]:25, delay=9.5,"
        f" delays=9/0.25/0.05/0.2, dsn=4.7.1, status={status} (host mx[192.0.2.1] said: 451 later"
        " (in reply to RCPT TO command))"
    )


Line = tuple[int, str]


def feed(books: Books, *lines: str | Line, recent: Recent | None = None) -> None:
    """Each a second after the one before, unless it says which second it was."""
    log, second = [], 0
    for line in lines:
        second, text = line if isinstance(line, tuple) else (second + 1, line)
        process, _, body = text.partition(": ")
        log.append(f"Nov 21 09:45:{second:02} relay postfix/{process}[7]: {body}".encode())
    changes = gather(log, recent or Recent(), NOW, UTC)
    with books.database.transaction() as session:
        write(session, books.node, changes, NOW)


def kinds(books: Books) -> list[str]:
    return [event.kind for event in books.events(QID)]


def test_hold_and_release(books: Books) -> None:
    books.accept(QID, "a@y.test", "b@y.test")
    feed(books, attempt("deferred"), HELD)
    assert (books.message(QID), set(books.recipients(QID).values())) == ("held", {"held"})
    (*_, event) = books.events(QID)
    assert (event.kind, event.recipient, event.detail) == ("held", None, {"by": "operator"})
    assert event.at == datetime(2026, 11, 21, 9, 45, 2, tzinfo=UTC)
    feed(books, (7, RELEASED))
    assert books.message(QID) == "deferred"
    assert books.recipients(QID) == {"a@y.test": "deferred", "b@y.test": "queued"}
    assert kinds(books) == ["deferred", "held", "released"]


ALL = [attempt("deferred"), HELD, RELEASED, HELD, RELEASED, attempt("deferred"), HELD]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_any_number_of_times_in_any_batches_and_again(books: Books, size: int) -> None:
    books.accept(QID, "a@y.test")
    numbered = list(enumerate(ALL, 1))
    for start in range(0, len(ALL), size):
        feed(books, *numbered[start : start + size])
    assert kinds(books) == [
        "deferred", "held", "released", "held", "released", "deferred", "held"
    ]  # fmt: skip
    assert books.message(QID) == "held"
    once = books.contents()
    for start in range(len(ALL)):
        feed(books, *numbered[start:])
        feed(books, *numbered[: start + 1])
    assert books.contents() == once


def test_what_we_released_is_not_released_again(books: Books) -> None:
    books.hold(QID, "a@y.test", at=NOW)
    with books.database.transaction() as session:
        assert record_released(session, books.node, [QID], NOW) == {QID}
    feed(books, RELEASED)
    assert kinds(books) == ["held", "released"]


def test_requeued_mail_is_found_under_both_queue_ids(books: Books) -> None:
    books.accept(QID, "a@y.test")
    feed(books, *REQUEUED)
    feed(books, *REQUEUED)
    (event,) = books.events(QID)
    assert (event.kind, event.detail) == ("requeued", {"by": "operator", "requeued_as": QID2})
    with books.database.session() as session:
        owner = session.scalars(select(Account)).one()
        assert messages.get(session, owner, QID2).queue_id == QID


@pytest.mark.parametrize("status", ["sent", "deferred"])
def test_its_lines_are_understood_by_who_has_not_seen_it_requeued(
    books: Books, status: str
) -> None:
    books.accept(QID, "a@y.test")
    feed(books, *REQUEUED)
    feed(books, attempt(status, QID2), recent=Recent())
    event = books.events(QID)[-1]
    assert event.detail["requeued_as"] == QID2
    assert books.message(QID) == {"sent": "delivered"}.get(status, status)


def test_what_postfix_tells_the_sender(books: Books) -> None:
    books.accept(QID, "a@y.test")
    delay = f"bounce: {QID}: sender delay notification: {QID2}"
    feed(books, delay, BOUNCE)
    feed(books, delay, BOUNCE)
    first, second = books.events(QID)
    assert (first.kind, first.recipient) == ("notified", None)
    assert first.detail == {
        "kind": "sender delay notification", "notice_id": QID2, "to": "news@shop.test",
    }  # fmt: skip
    assert second.detail["kind"] == "sender non-delivery notification"


def test_strangers_queue_files(books: Books) -> None:
    books.accept(QID, "a@y.test")
    before = books.contents()
    feed(books, f"postsuper: {QID2}: placed on hold", f"postsuper: {QID2}: released from hold",
         f"bounce: {QID2}: sender non-delivery notification: 4jWnPz0ky1zJ9tC")  # fmt: skip
    assert books.contents() == before
