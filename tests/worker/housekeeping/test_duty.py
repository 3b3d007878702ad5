"""Duties side by side: whatever one runs into, the others are done."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from franking import log
from franking.accounts import users
from franking.accounts.models import Account, RateCounter
from franking.db import utcnow
from franking.money import ledger
from franking.nodes.models import Node
from franking.notices import notices
from franking.notices.config import Notices
from franking.notices.models import Notice
from franking.settings import Housekeeping, Maillog, Settings
from franking.tables import Base
from worker.duty import Duty
from worker.housekeeping import alerts
from worker.housekeeping.service import Service

from ..conftest import Books

PATIENCE = 30.0  # seconds


@pytest.fixture
def own(books: Books, tmp_path: Path) -> Settings:
    return Settings(
        node=books.node,
        database_url=books.url,
        maillog=Maillog(queue_directory=tmp_path),
        housekeeping=Housekeeping(every=0.01, alerts_every=0.01),
    )


def spend(books: Books) -> None:
    """All of the account's money."""
    with books.database.transaction() as session:
        money = ledger.balance(session, 1).available
        ledger.adjust(session, 1, -money, reference="gone", note="test")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (RuntimeError("a bug"), "unexpected"),
        (OperationalError("x", None, Exception("away")), "database_trouble"),
    ],
)
def test_a_failure_is_logged_and_tried_again(
    error: Exception, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[str] = []
    monkeypatch.setattr(log, line, lambda where, _: logged.append(where))
    results: list[Callable[[], None]] = []
    done: list[str] = []

    def fail() -> None:
        raise error

    def work() -> None:
        results.pop(0)()

    results += [fail, lambda: done.append("done")]
    duty = Duty("test", work)
    duty.turn()
    duty.turn()
    assert logged == ["test"]
    assert done == ["done"]


def test_every_so_often() -> None:
    done: list[str] = []
    duty = Duty("test", lambda: done.append("done"), 3600)
    duty.turn()
    duty.turn()
    assert done == ["done"]


def test_alerts_are_one_nodes_turn(books: Books) -> None:
    spend(books)
    hour = timedelta(hours=1)
    assert alerts.look(books.database, "n1", hour) == 1
    assert alerts.look(books.database, "n2", hour) == 0
    with books.database.session() as session:
        assert session.scalars(select(Notice.kind)).all() == ["balance.exhausted"]


def test_a_bug_in_one_duty_does_not_stop_the_others(books: Books, own: Settings) -> None:
    """Alerts cannot be given; the node's condition and old rows, before and after, are seen to."""
    spend(books)
    with books.database.transaction() as session:
        session.execute(
            text(
                "CREATE TRIGGER refuse BEFORE INSERT ON duty"
                " BEGIN SELECT RAISE(ABORT, 'a bug'); END"
            )
        )
        old = utcnow().replace(year=2000)
        session.add(RateCounter(subject="account:1", unit="day", starts_at=old, used=1))
    stop = Event()
    thread = Thread(target=Service(own, stop, release=lambda _: True).run)
    thread.start()
    until(lambda: not rows(books, RateCounter))
    until(lambda: rows(books, Node))
    stop.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert not rows(books, Notice)


def test_a_mail_server_that_says_nothing_delays_only_mail(books: Books, own: Settings) -> None:
    """It takes the connection and does not greet; alerts go on being given."""
    with books.database.transaction() as session:
        users.create(session, session.get_one(Account, 1), "ann@acme.test", "correct horse")
        notices.give(session, 1, "deposit.paid")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        silent.settimeout(PATIENCE)
        port = silent.getsockname()[1]
        mail = Notices(from_address="billing@franking.test", smtp_host="127.0.0.1", smtp_port=port)
        stop = Event()
        service = Service(own.model_copy(update={"notices": mail}), stop, release=lambda _: True)
        thread = Thread(target=service.run)
        thread.start()
        connection, _ = silent.accept()
        spend(books)
        until(lambda: "balance.exhausted" in kinds(books))
        stop.set()
        connection.close()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def rows(books: Books, model: type[Base]) -> bool:
    with books.database.session() as session:
        return session.scalars(select(model)).first() is not None


def kinds(books: Books) -> list[str]:
    with books.database.session() as session:
        return list(session.scalars(select(Notice.kind)))
