from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from worker.maillog.follow import Position
from worker.maillog.gather import gather
from worker.maillog.recent import Recent
from worker.maillog.settle import load_position, save_position, write

from ..conftest import MONEY, PRICE, Books

DATA = Path(__file__).parents[2] / "data/maillog"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
QID = "4jWnPz0hWRzJ9t9"
QID2 = "4jWnPz0ky1zJ9tB"


def log_lines(name: str) -> list[bytes]:
    return (DATA / f"{name}.log").read_bytes().splitlines()


def feed(books: Books, lines: list[bytes], recent: Recent | None = None) -> dict[str, str]:
    changes = gather(lines, recent or Recent(), NOW, UTC)
    with books.database.transaction() as session:
        return write(session, books.node, changes, NOW)


def lines(*texts: str) -> list[bytes]:
    """`process: text`, one a line."""
    return [
        f"Nov 21 09:45:{number:02} relay postfix/{process}[7]: {body}".encode()
        for number, (process, _, body) in enumerate(text.partition(": ") for text in texts)
    ]


ACTIVE = f"qmgr: {QID}: from=<news@shop.test>, size=300, nrcpt=1 (queue active)"
CLIENT = f"smtpd: {QID}: client=a[192.0.2.1], sasl_method=PLAIN, sasl_username=frank_x"


def attempt(recipient: str, status: str, queue_id: str = QID, delay: str = "1") -> str:
    return (
        f"smtp: {queue_id}: to=<{recipient}>, relay=mx[192.0.2.1]:25, delay={delay},"
        f" delays=0/0/0/1, dsn=2.0.0, status={status} (250 ok)"
    )


def accept_all(books: Books, log: list[bytes]) -> list[str]:
    """What the milter has written before these lines: recipients as they are in the log."""
    text = b"\n".join(log).decode()
    ids = list(dict.fromkeys(re.findall(r"smtpd\[\d+\]: (\w+): client=", text)))
    for queue_id in ids:
        found = re.findall(rf"{queue_id}: to=<(\S+)>,(?: orig_to=<(\S+)>,)?", text)
        recipients = {original or address for address, original in found}
        books.accept(queue_id, *sorted(recipients or {"nobody@ok.test"}))
    return ids


def test_captured_deliveries(books: Books) -> None:
    log = log_lines("sent")
    ids = accept_all(books, log)
    assert feed(books, log) == {}
    assert {books.state(queue_id) for queue_id in ids} == {"captured"}
    assert {books.message(queue_id) for queue_id in ids} == {"delivered"}
    assert books.balance() == (MONEY - PRICE * len(ids), 0)
    assert books.sound()
    events = [event for queue_id in ids for event in books.events(queue_id)]
    secured = {event.recipient: event.detail["tls"] for event in events if "tls" in event.detail}
    assert secured == {"plain@tls.test": "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384"}


def test_captured_failures(books: Books) -> None:
    log = log_lines("failed")
    ids = accept_all(books, log)
    feed(books, log)
    found = {
        event.recipient: (event.kind, event.smtp_code, event.enhanced_code)
        for queue_id in ids
        for event in books.events(queue_id)
    }
    assert found["bare@ok.test"] == ("bounced", 550, "5.0.0")
    assert found["grey@ok.test"] == ("deferred", 451, "4.7.1")
    assert found["forged@ok.test"] == ("deferred", 451, "4.7.1")
    assert found["x@busy.test"] == ("deferred", 421, "4.3.2")
    assert found["drop@ok.test"] == ("deferred", None, "4.4.2")
    assert found["x@late.test"] == ("bounced", None, "5.1.2")
    assert found["fail@pipe.test"] == ("bounced", None, "5.3.0")
    assert {books.state(queue_id) for queue_id in ids} == {"captured"}
    assert books.sound()


def test_captured_refusals(books: Books) -> None:
    """Of five messages with a queue ID two were refused at the end, one was too large, one cut."""
    log = log_lines("refused")
    ids = accept_all(books, log)
    feed(books, log)
    states = [books.state(queue_id) for queue_id in ids]
    assert states == ["voided", "voided", "captured", "reserved", "reserved"]
    assert books.message(ids[0]) == "voided"
    (event,) = books.events(ids[0])
    assert (event.kind, event.recipient) == ("voided", None)
    assert "Insufficient balance" in (event.reply or "")
    assert books.balance() == (MONEY - 3 * PRICE, 2 * PRICE)
    assert books.sound()


def test_operators_commands_and_requeued_mail(books: Books) -> None:
    log = log_lines("operator")
    ids = accept_all(books, log)
    feed(books, log)
    first, deleted, expired, soft = ids
    assert {books.state(queue_id) for queue_id in ids} == {"captured"}
    assert set(books.recipients(first).values()) == {"expired"}  # under its second queue ID
    kinds = [(event.kind, event.recipient) for event in books.events(first)]
    assert [kind for kind, recipient in kinds if recipient is None] == [
        "held", "released", "requeued", "notified"
    ]  # fmt: skip
    assert [event.kind for event in books.events(deleted)] == ["deferred", "held", "expired"]
    (told,) = (event.detail["kind"] for event in books.events(soft) if event.kind == "notified")
    assert told == "sender delay notification"
    assert kinds.count(("expired", "x@refused.test")) == 1
    assert kinds.count(("deferred", "y@refused.test")) == 2
    assert books.message(deleted) == "expired"
    assert books.events(deleted)[-1].reply == "removed from the queue by the operator"
    assert books.recipients(expired) == {"plain@ok.test": "delivered", "x@refused.test": "expired"}
    assert books.recipients(soft)["multi@ok.test"] == "deferred"
    refunded = PRICE  # of the first: all its recipients have expired in our queue
    assert books.balance() == (MONEY - PRICE * len(ids) + refunded, 0)


@pytest.mark.parametrize("name", ["sent", "failed", "refused", "operator", "injected"])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_replaying_changes_nothing(books: Books, name: str, size: int) -> None:
    log = log_lines(name)
    accept_all(books, log)
    recent = Recent()
    for start in range(0, len(log), size):
        feed(books, log[start : start + size], recent)
    once = books.contents()
    for start in range(0, len(log), 13):  # from anywhere, with and without what was in memory
        feed(books, log[start : start + 50])
        feed(books, log[:start], recent)
    feed(books, log)
    assert books.contents() == once


def test_batches_do_not_matter(books: Books) -> None:
    """A recipient's end is what came first, in one batch or in two."""
    books.accept(QID, "a@y.test", "b@y.test")
    feed(books, lines(attempt("a@y.test", "deferred"), attempt("a@y.test", "sent", delay="9"),
                      attempt("a@y.test", "bounced")))  # fmt: skip
    assert books.recipients(QID) == {"a@y.test": "delivered", "b@y.test": "queued"}
    assert [event.kind for event in books.events(QID)] == ["deferred", "delivered"]


def test_two_deferrals_in_one_second_are_two(books: Books) -> None:
    books.accept(QID, "a@y.test")
    batch = lines(attempt("a@y.test", "deferred", delay="1"))
    feed(books, batch + [line.replace(b"delay=1,", b"delay=1.2,") for line in batch])
    assert len(books.events(QID)) == 2


def test_taken_beats_thrown_away(books: Books) -> None:
    books.accept(QID)
    feed(books, lines(f"cleanup: {QID}: milter-reject: END-OF-MESSAGE from a[1.2.3.4]: 4.7.1 no",
                      ACTIVE))  # fmt: skip
    assert books.state(QID) == "captured"


def test_mail_nobody_paid_for_is_told_once(books: Books) -> None:
    recent = Recent()
    assert feed(books, lines(CLIENT, ACTIVE), recent) == {QID: "frank_x"}
    assert feed(books, lines(ACTIVE), recent) == {}


def test_mail_whose_money_was_given_back_is_told(books: Books) -> None:
    books.accept(QID)
    recent = Recent()
    feed(books, lines(CLIENT, f"cleanup: {QID}: reject: header X from a[1.2.3.4]; x"), recent)
    assert feed(books, lines(ACTIVE), recent) == {QID: "frank_x"}


def test_mail_of_the_system_itself_needs_no_reservation(books: Books) -> None:
    client = f"smtpd: {QID}: client=localhost[127.0.0.1]"
    assert feed(books, lines(client, ACTIVE, attempt("x@y.test", "sent"))) == {}
    assert books.events(QID) == []


def test_a_stranger_as_recipient_is_no_event(books: Books) -> None:
    books.accept(QID, "a@y.test")
    feed(books, lines(attempt("stranger@y.test", "sent")))
    assert books.events(QID) == []
    assert books.state(QID) == "captured"


def test_requeued_twice(books: Books) -> None:
    books.accept(QID, "a@y.test")
    third = "4jWnPz0ky1zJ9tC"
    feed(books, lines(f"pickup: {QID2}: uid=1 from=<a@b> orig_id={QID}",
                      f"pickup: {third}: uid=1 from=<a@b> orig_id={QID2}",
                      attempt("a@y.test", "sent", third)))  # fmt: skip
    assert books.state(QID) == "captured"
    first, second, event = books.events(QID)
    assert (first.kind, first.detail["requeued_as"]) == ("requeued", QID2)
    assert (second.kind, second.detail["requeued_as"]) == ("requeued", third)
    assert (event.kind, event.detail["requeued_as"]) == ("delivered", third)


def test_the_position_and_its_gap(books: Books) -> None:
    later = NOW + timedelta(hours=1)
    with books.database.transaction() as session:
        save_position(session, "local", Position(1, 2, "a"), "boot", NOW, gap=True)
        save_position(session, "local", Position(1, 9, "a"), "boot", later, gap=False)
    with books.database.session() as session:
        row = load_position(session, "local")
        assert row is not None
        assert (row.offset, row.read_at, row.gap_until) == (9, later, NOW)
