"""What Postfix did not keep is not counted in the limits; in which order rows are locked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import event, select, update

from franking.accounts import rules
from franking.accounts.models import RateCounter
from franking.accounts.rules import Rules, parse_window
from franking.mail import holding
from franking.mail.models import HeldMessage, Message
from franking.mail.queue_actions import Action
from franking.money.models import Plan
from franking.money.settling import Settled
from worker.maillog.gather import Changes
from worker.maillog.settle import settle, write

from ..conftest import Books

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
ORDER = ["held_message", "rate_counter", "balance"]


def limit(books: Books, *windows: str) -> None:
    stored = rules.stored(Rules(windows=tuple(map(parse_window, windows))))
    with books.database.transaction() as session:
        session.execute(update(Plan).values(rules=stored))


def used(books: Books) -> dict[str, int]:
    with books.database.session() as session:
        return {row.unit: row.used for row in session.scalars(select(RateCounter))}


def settled(books: Books, state: Settled, *queue_ids: str) -> None:
    with books.database.transaction() as session:
        settle(session, books.node, dict.fromkeys(queue_ids, (state, "test")), LATER)


@contextmanager
def written(books: Books) -> Iterator[list[str]]:
    """The tables that are updated meanwhile, in order."""
    tables: list[str] = []

    def note(_connection: Any, _cursor: Any, sql: str, *_: Any) -> None:
        if found := re.match(r"(?:UPDATE|INSERT INTO) (\w+)", sql):
            tables.append(found[1])

    event.listen(books.database.engine, "before_cursor_execute", note)
    yield tables
    event.remove(books.database.engine, "before_cursor_execute", note)


def test_voided_mail_is_not_counted(books: Books) -> None:
    """Whatever the plan says by then; and once, however often the log is read."""
    limit(books, "5/day", "9/hour recipients")
    for queue_id in ("A", "B", "C"):
        books.accept(queue_id, "one@ok.test", "two@ok.test", at=NOW)
    assert used(books) == {"day": 3, "hour": 6}
    limit(books, "5/month")
    settled(books, "captured", "A")
    settled(books, "unknown", "C")
    for _ in range(2):
        settled(books, "voided", "A", "B", "C")
    assert used(books) == {"day": 2, "hour": 4}
    assert [books.message(each) for each in "ABC"] == ["queued", "voided", "queued"]


def test_without_limits_nothing_is_stored(books: Books) -> None:
    books.accept("A", at=NOW)
    with books.database.session() as session:
        assert session.scalars(select(Message).where(Message.counted.is_(None))).one()
    settled(books, "voided", "A")
    assert used(books) == {}


def test_held_mail_gives_back_what_it_was_granted(books: Books) -> None:
    limit(books, "1/minute hold", "9/day")
    for queue_id in ("A", "B", "C"):
        books.accept(queue_id, at=NOW)
    assert books.waiting() == ["B", "C"]
    with books.database.transaction() as session:
        holding.grant(session, session.get_one(HeldMessage, ("B", books.node)), LATER)
    assert used(books)["day"] == 2
    settled(books, "voided", "B", "C")
    assert used(books)["day"] == 1
    assert books.waiting() == []
    with books.database.session() as session:
        start = select(RateCounter.used).where(RateCounter.starts_at == LATER)
        assert session.scalar(start) == 0


def test_rows_are_locked_in_one_order(books: Books) -> None:
    """Held, counters, balance: accepting and granting take them so, too."""
    limit(books, "2/minute hold")
    for queue_id in ("A", "B", "C", "D"):
        books.accept(queue_id, at=NOW)
    changes = Changes()
    changes.evidence.update({"A": ("voided", "test"), "B": ("captured", "test")})
    changes.act(Action("C", "released", LATER))
    changes.removed["D"] = LATER
    with written(books) as tables, books.database.transaction() as session:
        write(session, books.node, changes, LATER)
    last_held = len(tables) - tables[::-1].index("held_message") - 1
    assert last_held < tables.index("rate_counter") < tables.index("balance")
    with written(books) as tables:
        books.accept("E", at=LATER + timedelta(minutes=1))
    assert [table for table in tables if table in ORDER] == ORDER[1:]
