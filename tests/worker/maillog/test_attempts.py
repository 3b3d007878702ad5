"""Everything that the log says of an attempt, and what follows when it failed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from franking.mail.models import Suppression
from franking.nodes import blocked
from franking.notices.models import Notice
from worker.maillog.gather import gather
from worker.maillog.recent import Recent
from worker.maillog.settle import write

from ..conftest import Books

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
QID = "4jWnPz0hWRzJ9t9"
QID2 = "4jWnPz0ky1zJ9tB"
TLS = "smtp: Trusted TLS connection established to mx.y.test[192.0.2.1]:25: TLSv1.3 with cipher X"


def attempt(status: str, dsn: str, reply: str, recipient: str = "a@y.test", qid: str = QID) -> str:
    return (
        f"smtp: {qid}: to=<{recipient}>, relay=mx.y.test[192.0.2.1]:25, delay=9.5,"
        f" delays=9/0.25/0.05/0.2, dsn={dsn}, status={status} ({reply})"
    )


def said(reply: str) -> str:
    return f"host mx.y.test[192.0.2.1] said: {reply} (in reply to RCPT TO command)"


GONE = attempt("bounced", "5.1.1", said("550 5.1.1 no such user"))
LISTED = attempt("bounced", "5.7.1", said("554 5.7.1 192.0.2.9 is blocked using zen.spamhaus.org"))
ALIGNED = attempt("bounced", "5.7.26", said("550 5.7.26 DMARC policy of shop.test"))


def feed(books: Books, *texts: str, at: datetime = NOW) -> None:
    stamp = f"{at - timedelta(hours=1):%b %d %H:%M:%S}"
    log = [
        f"{stamp} relay postfix/{process}[7]: {body}".encode()
        for process, _, body in (text.partition(": ") for text in texts)
    ]
    changes = gather(log, Recent(), at, UTC)
    with books.database.transaction() as session:
        write(session, books.node, changes, at)


def test_an_attempt_has_everything(books: Books) -> None:
    books.accept(QID, "a@y.test")
    feed(books, TLS, attempt("sent", "2.0.0", "250 2.0.0 Ok: queued as 1234"))
    (event,) = books.events(QID)
    assert (event.kind, event.smtp_code, event.enhanced_code) == ("delivered", 250, "2.0.0")
    assert event.reply == "250 2.0.0 Ok: queued as 1234"
    assert (event.remote_host, event.remote_ip) == ("mx.y.test", "192.0.2.1")
    assert (event.delay, event.category) == (9.5, None)
    assert event.detail == {
        "agent": "smtp",
        "relay": "mx.y.test[192.0.2.1]:25",
        "tls": "TLSv1.3 with cipher X",
        "delays": [9.0, 0.25, 0.05, 0.2],
        "queued": 9.25,
    }


@pytest.mark.parametrize(
    ("line", "category"),
    [
        (GONE, "invalid_recipient"),
        (LISTED, "spam_block"),
        (attempt("deferred", "4.2.2", said("452 4.2.2 full")), "mailbox_full"),
        (attempt("deferred", "4.4.1", "connect to mx.y.test[192.0.2.1]:25: Connection refused"),
         "connect_failure"),
        (f"qmgr: {QID}: from=<a@b>, status=expired, returned to sender", "expired"),
        (f"qmgr: {QID}: from=<a@b>, status=force-expired, returned to sender", "expired"),
        (f"postsuper: {QID}: removed", None),
    ],
)  # fmt: skip
def test_why_it_failed(books: Books, line: str, category: str | None) -> None:
    books.accept(QID, "a@y.test")
    feed(books, line)
    (event,) = books.events(QID)
    assert event.category == category
    assert event.detail.get("by") == ("operator" if "force" in line or "post" in line else None)


def listed(books: Books) -> list[tuple[str, int | None]]:
    with books.database.session() as session:
        return [(row.address, row.event_id) for row in session.scalars(select(Suppression))]


def test_who_does_not_exist_is_suppressed_for_that_event(books: Books) -> None:
    books.accept(QID, "a@y.test", "b@y.test")
    feed(books, attempt("sent", "2.0.0", "250 ok", "b@y.test"), GONE)
    (event,) = (event for event in books.events(QID) if event.kind == "bounced")
    assert listed(books) == [("a@y.test", event.id)]


def test_a_refusal_of_our_address_suppresses_nobody_and_alarms(books: Books) -> None:
    books.accept(QID, "a@y.test", "b@y.test")
    with capture_logs() as logged:
        feed(books, LISTED, LISTED.replace("to=<a@", "to=<b@"))
        feed(books, LISTED)
    assert listed(books) == []
    with books.database.session() as session:
        (row,) = blocked.present(session, NOW)
        assert (row.receiver, row.refusals, row.queue_id) == ("y.test", 2, QID)
        assert blocked.present(session, NOW + timedelta(days=1)) == []
    (alarm,) = (line for line in logged if line["event"] == "address_blocked")
    assert (alarm["log_level"], alarm["receiver"]) == ("critical", "y.test")


def told(books: Books) -> list[tuple[str, str]]:
    with books.database.session() as session:
        rows = session.scalars(select(Notice).order_by(Notice.id))
        return [(row.detail["domain"], row.detail["category"]) for row in rows]


def test_the_customer_is_told_once_a_day_what_is_wrong_with_the_domain(books: Books) -> None:
    for number, at in enumerate((NOW, NOW + timedelta(hours=23), NOW + timedelta(hours=25))):
        queue_id = f"4jWnPz0hWRzJ9t{number}"
        books.accept(queue_id, "a@y.test", "b@y.test")
        line = ALIGNED.replace(QID, queue_id)
        feed(books, line, line.replace("to=<a@", "to=<b@"), at=at)
        assert len(told(books)) == (2 if number == 2 else 1)
    assert set(told(books)) == {("shop.test", "auth_policy")}
    assert listed(books) == []
