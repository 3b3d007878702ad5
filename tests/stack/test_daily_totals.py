"""Two nodes, one PostgreSQL: daily totals are exact, invoices are numbered without gaps."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from itertools import cycle
from threading import Event

import pytest
from sqlalchemy import func, make_url, select, text

from franking import migrations
from franking.accounts.models import Account
from franking.db import Database
from franking.money import ledger, settling, verification
from franking.money.ledger import Transfer
from franking.money.statements import invoice, statement, usage
from franking.money.statements.config import Invoices
from franking.money.statements.models import ChargeDay, Invoice, UsageDay
from stack.cluster import Cluster
from tests import factories
from tests.upgrades import upgraded_with_domains
from worker.housekeeping.month import Month

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
AFTER = datetime(2026, 12, 1, 2, tzinfo=UTC)
NOVEMBER = date(2026, 11, 1)
ISSUER = Invoices(issuer_name="Posthaste GmbH")
BATCHES, OF = 24, 5  # messages
PRICE = factories.PRICE
pytestmark = [pytest.mark.one_engine, pytest.mark.rest]

Job = Callable[[Database, int], object]


def together(databases: list[Database], count: int, job: Job) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(job, cycle(databases), range(count)))


def test_each_message_once_and_no_deadlock(both: list[Database]) -> None:
    """Batches of mixed accounts and tags, their refunds among them, in any order."""
    with both[0].transaction() as session:
        senders = []
        for name in ("a", "b", "c"):
            account = factories.funded(session, name)
            username = factories.credential(session, account).credential.username
            domain = factories.verified_domain(session, account, f"{name}.example")
            senders.append((account.id, username, domain.id))
        for number in range(BATCHES * OF):
            _, username, domain_id = senders[number % 3]
            tags = [f"t{number % 4}", f"t{(number + 1) % 4}"]
            factories.message(session, username, domain_id, f"Q{number}", NOW, tags=tags)

    def settle(database: Database, batch: int) -> None:
        mine = [f"Q{batch * OF + n}" for n in range(OF)]
        with database.transaction() as session:
            verdict = dict.fromkeys(mine if batch % 2 else mine[::-1], ("captured", "active"))
            settling.settle(session, "n1", verdict, NOW)  # type: ignore[arg-type]
        number = batch * OF
        with database.transaction() as session:
            transfer = Transfer(
                senders[number % 3][0], 100, "refunds", "available", "refund", f"refund:{number}"
            )
            ledger.book(session, transfer, NOW)
            usage.refunded(session, "n1", {f"Q{number}": 100}, NOW)

    together(both, BATCHES, settle)
    messages = BATCHES * OF
    with both[1].session() as session:
        for dimension, times in (("account", 1), ("credential", 1), ("domain", 1), ("tag", 2)):
            query = select(
                func.sum(UsageDay.messages), func.sum(UsageDay.amount), func.sum(UsageDay.refunded)
            ).where(UsageDay.dimension == dimension)
            expected = (times * messages, times * messages * PRICE, times * BATCHES * 100)
            assert tuple(session.execute(query).one()) == expected
        assert session.scalar(select(func.sum(ChargeDay.units))) == messages
        assert verification.verify(session) == []
        for row in session.scalars(select(Account)):
            assert statement.statement(session, row, NOVEMBER, NOW).difference == 0


def billable(database: Database, count: int) -> list[int]:
    """Accounts that paid a fee in November."""
    with database.transaction() as session:
        plan = factories.plan(session)
        ids = [factories.funded(session, on=plan).id for _ in range(count)]
        for account_id in ids:
            ledger.charge_fee(session, account_id, 5_000_000, reference=f"{account_id}", now=NOW)
        return ids


def numbered(database: Database) -> list[int]:
    with database.session() as session:
        return sorted(session.scalars(select(Invoice.number)))


def test_no_gap_no_number_twice(both: list[Database]) -> None:
    ids = billable(both[0], 30)

    def issue(database: Database, number: int) -> None:
        for fails in [True, False] if number % 3 == 0 else [False]:
            with database.session() as session:
                account = session.get_one(Account, ids[number])
                invoice.issue(session, ISSUER, account, NOVEMBER, AFTER)
                if fails:
                    session.rollback()
                else:
                    session.commit()

    together(both, len(ids), issue)
    assert numbered(both[0]) == list(range(1, len(ids) + 1))


def test_two_nodes_issue_each_invoice_once(both: list[Database]) -> None:
    ids = billable(both[0], 10)

    def look(database: Database, number: int) -> None:
        Month(database, f"n{number}", ISSUER, Event(), lambda: AFTER).look()

    together(both, 4, look)
    assert numbered(both[0]) == list(range(1, len(ids) + 1))


BEFORE = (
    "insert into plan (name, currency, created_at) values ('p', 'EUR', '2026-01-01')",
    "insert into price_tier (plan_id, unit_price, starts_at) values (1, 800, '2026-01-01')",
    "insert into account (name, plan_id, status, created_at)"
    " values ('a', 1, 'active', '2026-01-01')",
    "insert into balance (account_id, available, held) values (1, 400, 800)",
    "insert into reservation (queue_id, node, account_id, amount, unit_price, price_tier_id, state,"
    " reserved_at, settled_at) values"
    " ('q1', 'n', 1, 800, 800, 1, 'captured', '2026-01-31', '2026-01-31 23:59:59.9+00'),"
    " ('q2', 'n', 1, 800, 800, 1, 'captured', '2026-02-01', '2026-02-01 00:00:00+00'),"
    " ('q3', 'n', 1, 800, 800, 1, 'reserved', '2026-02-02', null)",
    "insert into ledger_entry (account_id, book, amount, cause, reference, at) values"
    " (1, 'available', 2800, 'deposit', 'd', '2026-01-01')",
)


def test_what_was_sent_before_the_upgrade(cluster: Cluster) -> None:
    """Runs last: it leaves the tables of a real installation behind."""
    database = Database(cluster.url)
    migrations.upgrade(database.engine, "0002")
    with database.transaction() as session:
        for each in BEFORE:
            session.execute(text(each))
    migrations.upgrade(database.engine)
    with database.session() as session:
        rows = session.execute(select(ChargeDay.day, ChargeDay.units, ChargeDay.amount))
        assert sorted(tuple(row) for row in rows) == [
            (date(2026, 1, 31), 1, 800),
            (date(2026, 2, 1), 1, 800),
        ]
        assert statement.verify(session) == []
    database.close()


def test_domains_that_were_there_before_the_upgrade(cluster: Cluster) -> None:
    """In a database of its own."""
    database = Database(cluster.url)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CREATE DATABASE domains"))
    database.close()
    url = make_url(cluster.url).set(database="domains")
    database = Database(url.render_as_string(hide_password=False))
    upgraded_with_domains(database)
    database.close()
