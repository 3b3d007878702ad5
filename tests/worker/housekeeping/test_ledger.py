"""The hourly proof of the books, and the alarm."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from franking import log
from franking.db import utcnow
from franking.money import verification
from franking.money.models import Balance
from franking.nodes.models import Duty
from worker.housekeeping import ledger

from ..conftest import Books

Alarms = list[tuple[str, int]]


@pytest.fixture
def alarms(monkeypatch: pytest.MonkeyPatch) -> Alarms:
    raised: Alarms = []
    monkeypatch.setattr(log, "ledger_wrong", lambda first, count: raised.append((first, count)))
    return raised


def due_again(books: Books) -> None:
    with books.database.transaction() as session:
        session.execute(update(Duty).values(due_at=utcnow()))


def test_once_an_hour_by_one_of_all(books: Books, alarms: Alarms) -> None:
    books.accept("A1")
    assert ledger.check(books.database, "n1") == []
    assert ledger.check(books.database, "n1") is None
    assert ledger.check(books.database, "n2") is None
    with books.database.session() as session:
        duty = session.get_one(Duty, ledger.NAME)
        assert timedelta(minutes=59) < duty.due_at - utcnow() <= ledger.EVERY
    due_again(books)
    assert ledger.check(books.database, "n2") == []
    assert alarms == []


def test_wrong_books_raise_the_alarm(books: Books, alarms: Alarms) -> None:
    with books.database.transaction() as session:
        session.execute(update(Balance).values(available=Balance.available + 1))
    found = ledger.check(books.database, "n1")
    assert found is not None
    assert found[0] == "account 1: available is 100000001, its entries say 100000000"
    assert alarms == [(found[0], len(found))]


def test_whoever_dies_over_it_is_followed_by_another(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as dying:
        dying.setattr(verification, "verify", dies)
        with pytest.raises(MemoryError):
            ledger.check(books.database, "n1")
    assert ledger.check(books.database, "n2") is None
    due_again(books)  # its lease is over
    assert ledger.check(books.database, "n2") == []


def test_a_clock_that_was_ahead_does_not_end_the_proof(books: Books) -> None:
    assert ledger.check(books.database, "n1") == []
    with books.database.transaction() as session:
        session.execute(update(Duty).values(due_at=utcnow() + timedelta(days=20)))
    assert ledger.check(books.database, "n1") == []
