"""Notices by mail, to a real mail server: what arrives, whom it refuses, two workers, no server."""

from __future__ import annotations

import email
import email.policy
import socket
from collections.abc import Iterator
from datetime import timedelta
from email.message import EmailMessage
from threading import Barrier, Thread
from typing import Any

import pytest
from sqlalchemy import select, update

from franking.accounts import users
from franking.db import Database, utcnow
from franking.notices import notices
from franking.notices.config import Notices
from franking.notices.models import Notice
from franking.settings import Settings
from tests import factories
from tests.receiver import Mailbox, mailbox
from worker.housekeeping.mail import Mailing

FROM = "billing@franking.test"
ANN, BOB = "ann@acme.test", "bob@acme.test"


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mailbox() as found:
        yield found


@pytest.fixture
def account_id(database: Database) -> int:
    """With two people."""
    with database.transaction() as session:
        account = factories.account(session, "acme")
        for address in (ANN, BOB):
            users.create(session, account, address, "correct horse")
        return account.id


def mailing(database: Database, settings: Settings, port: int) -> Mailing:
    own = Notices(from_address=FROM, smtp_host="127.0.0.1", smtp_port=port, timeout=20)
    return Mailing(database, settings.model_copy(update={"notices": own}))


def give(database: Database, account_id: int) -> None:
    with database.transaction() as session:
        detail = {"available": 1_200_000, "messages_left": 1200, "days_left": 1.6}
        notices.give(session, account_id, "balance.low", detail)


def state(database: Database) -> Notice:
    with database.session() as session:
        return session.scalars(select(Notice)).one()


def due_again(database: Database) -> None:
    with database.transaction() as session:
        session.execute(update(Notice).values(mail_due_at=utcnow() - timedelta(seconds=1)))


def read(content: bytes) -> EmailMessage:
    return email.message_from_bytes(content, policy=email.policy.SMTP)


def test_one_message_for_each_person(
    database: Database, settings: Settings, account_id: int, box: Mailbox
) -> None:
    give(database, account_id)
    assert mailing(database, settings, box.port).look() == 1
    assert [recipients for recipients, _ in box.messages] == [[ANN], [BOB]]
    message, other = (read(content) for _, content in box.messages)
    assert message["From"] == f"Franking <{FROM}>"
    assert message["To"] == ANN
    assert message["Subject"] == "Franking: Balance low (acme)"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"] != other["Message-ID"]
    text, html = (message.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None and html is not None
    assert "about 1,200 messages, about 2 days" in text.get_content()
    assert "https://panel.example.net/billing" in text.get_content()
    assert "about 1,200 messages, about 2 days" in html.get_content()
    assert notices.mail_state(state(database)) == "sent"
    assert mailing(database, settings, box.port).look() == 0
    assert len(box.messages) == 2


def test_a_person_who_is_refused_is_not_tried_again(
    database: Database, settings: Settings, account_id: int, box: Mailbox
) -> None:
    box.answers[ANN] = "550 5.1.1 no such user"
    give(database, account_id)
    assert mailing(database, settings, box.port).look() == 1
    assert box.recipients == [BOB]
    assert state(database).mail_error == f"{ANN}: 550 5.1.1 no such user"
    assert notices.mail_state(state(database)) == "failed"


def test_a_delay_for_one_person_sends_nothing_twice(
    database: Database, settings: Settings, account_id: int, box: Mailbox
) -> None:
    box.answers[BOB] = "451 4.7.1 later"
    give(database, account_id)
    assert mailing(database, settings, box.port).look() == 0
    found = state(database)
    assert notices.mail_state(found) == "waiting"
    assert found.mail_error is not None and "451" in found.mail_error
    del box.answers[BOB]
    assert mailing(database, settings, box.port).look() == 0  # not yet
    due_again(database)
    assert mailing(database, settings, box.port).look() == 1
    assert box.recipients == [ANN, BOB]
    assert notices.mail_state(state(database)) == "sent"


@pytest.mark.parametrize("stage", ["RCPT", "DATA"])
def test_a_delay_for_one_keeps_nobody_else_waiting(
    database: Database, settings: Settings, account_id: int, box: Mailbox, stage: str
) -> None:
    """Neither the other person of the account nor another account, however often it is tried."""
    answers = box.answers if stage == "RCPT" else box.answers_to_data
    answers[ANN] = "452 4.2.2 mailbox full" if stage == "RCPT" else "554 5.7.1 we do not like it"
    with database.transaction() as session:
        other = factories.account(session, "other")
        users.create(session, other, "carl@other.test", "correct horse")
        other_id = other.id
    give(database, account_id)
    give(database, other_id)
    assert mailing(database, settings, box.port).look() == 1
    assert box.recipients == [BOB, "carl@other.test"]


def test_no_server(database: Database, settings: Settings, account_id: int, box: Mailbox) -> None:
    give(database, account_id)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        assert mailing(database, settings, taken.getsockname()[1]).look() == 0
    found = state(database)
    assert found.mail_error == "ConnectionRefusedError: [Errno 111] Connection refused"
    assert (notices.mail_state(found), found.mail_attempts) == ("waiting", 1)
    due_again(database)
    assert mailing(database, settings, box.port).look() == 1
    assert box.recipients == [ANN, BOB]


def test_without_a_sender_nothing_is_mailed(
    database: Database, settings: Settings, account_id: int
) -> None:
    give(database, account_id)
    assert Mailing(database, settings).look() == 0
    assert notices.mail_state(state(database)) == "waiting"


def test_two_workers_send_each_once(
    database: Database, settings: Settings, account_id: int, box: Mailbox
) -> None:
    for _ in range(30):
        give(database, account_id)
    url = database.engine.url.render_as_string(hide_password=False)
    own = [Database(url) for _ in range(2)]
    barrier, done = Barrier(len(own)), []

    def work(number: int) -> None:
        barrier.wait()
        done.append(mailing(own[number], settings, box.port).look())
        own[number].close()

    threads = [Thread(target=work, args=(number,)) for number in range(len(own))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(done) == 30
    names = [read(content)["Message-ID"] for _, content in box.messages]
    assert len(names) == len(set(names)) == 60


def test_a_repeat_after_a_crash_has_the_same_name(
    database: Database, settings: Settings, account_id: int, box: Mailbox
) -> None:
    """Sent, but that was never written down."""
    give(database, account_id)
    mailing(database, settings, box.port).look()
    with database.transaction() as session:
        again: dict[str, Any] = {"mail_due_at": utcnow(), "mailed_at": None, "mail_results": {}}
        session.execute(update(Notice).values(again))
    mailing(database, settings, box.port).look()
    names = [read(content)["Message-ID"] for _, content in box.messages]
    assert len(names) == 4 and len(set(names)) == 2
