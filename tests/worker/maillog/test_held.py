"""Held mail in the log: released by housekeeping or by hand, deleted, and what proves what."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from franking.mail.transitions import record_released
from worker.maillog.gather import gather
from worker.maillog.recent import Recent
from worker.maillog.settle import write

from ..conftest import MONEY, PRICE, Books

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
QID = "4jWnPz0hWRzJ9t9"
QID2 = "4jWnPz0ky1zJ9tB"
HOLD = (
    f"cleanup: {QID}: milter-hold: END-OF-MESSAGE from a[192.0.2.1]: milter triggers HOLD action;"
    " from=<news@shop.test> to=<a@y.test> proto=ESMTP helo=<a>"
)
RELEASED = f"postsuper: {QID}: released from hold"
ACTIVE = f"qmgr: {QID}: from=<news@shop.test>, size=300, nrcpt=2 (queue active)"
REMOVED = f"qmgr: {QID}: removed"


def sent(recipient: str, queue_id: str = QID) -> str:
    return (
        f"smtp: {queue_id}: to=<{recipient}>, relay=mx[192.0.2.1]:25, delay=9,"
        " delays=9/0/0/0, dsn=2.0.0, status=sent (250 ok)"
    )


DELIVERED = (RELEASED, ACTIVE, sent("a@y.test"), sent("b@y.test"), REMOVED)


@pytest.fixture
def held(books: Books) -> Books:
    books.hold(QID, "a@y.test", "b@y.test")
    return books


def feed(books: Books, *texts: str, recent: Recent | None = None) -> None:
    log = [
        f"Nov 21 09:45:{number:02} relay postfix/{process}[7]: {body}".encode()
        for number, (process, _, body) in enumerate(text.partition(": ") for text in texts)
    ]
    changes = gather(log, recent or Recent(), NOW, UTC)
    with books.database.transaction() as session:
        write(session, books.node, changes, NOW)


def kinds(books: Books) -> list[tuple[str, str | None]]:
    return [(event.kind, event.recipient) for event in books.events(QID)]


def test_the_hold_itself_proves_nothing(held: Books) -> None:
    """cleanup logs it before it commits the file; the reconciler finds the file."""
    feed(held, HOLD)
    assert (held.state(QID), held.message(QID)) == ("reserved", "held")


@pytest.mark.parametrize("size", [1, 2, 5])
def test_released_and_delivered(held: Books, size: int) -> None:
    for batch in _batches(size):
        feed(held, *batch)
    assert kinds(held) == [
        ("held", None), ("released", None), ("delivered", "a@y.test"), ("delivered", "b@y.test"),
    ]  # fmt: skip
    assert (held.state(QID), held.message(QID)) == ("captured", "delivered")
    assert held.balance() == (MONEY - PRICE, 0)
    assert held.waiting() == []
    once = held.contents()
    feed(held, *DELIVERED)
    with held.database.transaction() as session:  # housekeeping comes last
        assert record_released(session, held.node, [QID], NOW) == set()
    assert held.contents() == once


def _batches(size: int) -> list[tuple[str, ...]]:
    return [DELIVERED[start : start + size] for start in range(0, len(DELIVERED), size)]


def test_housekeeping_may_come_first(held: Books) -> None:
    with held.database.transaction() as session:
        assert record_released(session, held.node, [QID], NOW) == {QID}
    feed(held, *DELIVERED)
    assert [kind for kind, _ in kinds(held)] == ["held", "released", "delivered", "delivered"]


def test_the_line_of_the_release_may_be_lost(held: Books) -> None:
    """As in a gap of the log: what follows is true all the same."""
    feed(held, ACTIVE, sent("a@y.test"))
    assert held.recipients(QID) == {"a@y.test": "delivered", "b@y.test": "held"}
    assert held.message(QID) == "held"
    with held.database.transaction() as session:
        record_released(session, held.node, [QID], NOW)
    assert held.message(QID) == "queued"
    feed(held, sent("b@y.test"))
    assert held.message(QID) == "delivered"


def test_deleted_in_the_hold_queue_it_is_paid_and_over(held: Books) -> None:
    """Postfix had taken it: that is what is paid (DESIGN §6)."""
    feed(held, f"postsuper: {QID}: removed")
    assert (held.state(QID), held.message(QID)) == ("captured", "expired")
    assert set(held.recipients(QID).values()) == {"expired"}
    assert held.events(QID)[-1].reply == "removed from the queue by the operator"
    assert held.waiting() == []


def test_requeued_it_leaves_the_hold_queue(held: Books) -> None:
    feed(
        held,
        f"postsuper: {QID}: requeued",
        f"pickup: {QID2}: uid=102 from=<news@shop.test> orig_id={QID}",
        sent("a@y.test", QID2),
    )
    assert held.waiting() == []
    assert held.recipients(QID) == {"a@y.test": "delivered", "b@y.test": "queued"}


def test_an_operators_own_hold_is_his(books: Books) -> None:
    books.accept(QID, "a@y.test")
    feed(books, ACTIVE, f"postsuper: {QID}: placed on hold", RELEASED)
    assert books.message(QID) == "queued"
    assert [event.detail for event in books.events(QID)] == [{"by": "operator"}] * 2
    assert books.waiting() == []


def test_a_hold_that_postfix_did_not_keep(held: Books) -> None:
    feed(held, HOLD, f"cleanup: {QID}: milter-reject: END-OF-MESSAGE from a[192.0.2.1]: 4.7.1 no")
    assert (held.state(QID), held.message(QID)) == ("voided", "voided")
    assert held.waiting() == []
    assert held.balance() == (MONEY, 0)
