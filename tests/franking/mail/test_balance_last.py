"""The balance is the row that all who send for an account want: whoever has it only commits.

With it locked, a message's other statements would be everybody's wait, and so would a thousand
lines of the log (docs/decisions/0015).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from franking.db import Database
from franking.money.pricing import Tier
from franking.money.terms import Terms
from tests.franking.seller import NODE, NOW, Seller
from worker.maillog.gather import gather
from worker.maillog.recent import Recent
from worker.maillog.settle import write

QUEUE_ID = "4jWnmN5TfSzJDL5"
LINES = f"""\
Nov 21 12:00:01 relay postfix/qmgr[7]: {QUEUE_ID}: from=<a@x.test>, size=1, nrcpt=1 (queue active)
Nov 21 12:00:02 relay postfix/smtp[8]: {QUEUE_ID}: to=<one@dest.example>, relay=mx[192.0.2.1]:25, \
delay=0.1, delays=0/0/0/0.1, dsn=2.0.0, status=sent (250 2.0.0 Ok)
"""
TOTALS = {"INSERT usage_day", "INSERT charge_day"}


@contextmanager
def changes(database: Database) -> Iterator[list[str]]:
    """`INSERT table`, `UPDATE table`, `SELECT … FOR UPDATE` as they are executed."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        words = statement.split()
        if words[0] in {"INSERT", "UPDATE", "DELETE"}:
            seen.append(f"{words[0]} {words[2 if words[0] != 'UPDATE' else 1]}")

    event.listen(database.engine, "before_cursor_execute", note)
    yield seen
    event.remove(database.engine, "before_cursor_execute", note)


@pytest.mark.parametrize(
    ("tiers", "terms"),
    [
        ((Tier(0, 100),), Terms()),
        ((Tier(0, 100), Tier(50_000, 80)), Terms(billing_unit="recipient")),
        ((Tier(0, 100),), Terms(on_empty="hold")),
    ],
    ids=["one price", "tiers", "may wait for money"],
)
def test_accepting(database: Database, tiers: tuple[Tier, ...], terms: Terms) -> None:
    seller = Seller(database, tiers=tiers, terms=terms)
    seller.deposit(1000)
    with changes(database) as seen:
        seller.send("Q1")
    assert {"INSERT message", "INSERT event", "INSERT reservation", "INSERT ledger_entry"} <= {
        *seen
    }
    assert seen[-1] == "UPDATE balance" and seen.count("UPDATE balance") == 1


def test_reading_the_log(database: Database) -> None:
    seller = Seller(database)
    seller.deposit(1000)
    seller.send(QUEUE_ID)
    lines = LINES.encode().splitlines()
    with changes(database) as seen, database.transaction() as session:
        write(session, NODE, gather(lines, Recent(), NOW), NOW)
    behind = seen[seen.index("UPDATE balance") + 1 :]
    assert set(behind) == TOTALS and "INSERT event" in seen
    assert seller.message(QUEUE_ID).status == "delivered" and seller.balance == (900, 0)
