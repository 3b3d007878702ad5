"""Fees and invoices: once a month, whichever node and however often it looks."""

from __future__ import annotations

from datetime import UTC, date, datetime
from threading import Event

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from franking.accounts import account as accounts
from franking.accounts.models import Account
from franking.db import Database
from franking.money import ledger, pricing, verification
from franking.money.models import LedgerEntry, Plan
from franking.money.statements import fees, invoice
from franking.money.statements.config import Invoices
from franking.money.statements.models import Invoice
from franking.money.terms import Terms, stored
from franking.nodes.models import Duty
from franking.reasons import Invalid
from tests import factories
from worker.housekeeping.month import Month

FEE = 5_000_000
ISSUER = Invoices(issuer_name="Posthaste GmbH")
BEFORE = datetime(2026, 9, 10, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 10, 1, 0, 0, 5, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def set(self, month: int, day: int, hour: int = 0, minute: int = 0) -> None:
        self.now = datetime(2026, month, day, hour, minute, tzinfo=UTC)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def plan(database: Database) -> Plan:
    with database.transaction() as session:
        return pricing.create_plan(
            session, "p", currency="EUR", unit_price=1, terms=Terms(monthly_fee=FEE), now=BEFORE
        )


def open_account(session: Session, name: str, plan: Plan, when: datetime = BEFORE) -> int:
    account = accounts.create(session, name, plan=session.get_one(Plan, plan.id), now=when)
    ledger.deposit(session, account.id, 2 * FEE, reference=name, now=when)
    return account.id


def node(database: Database, clock: Clock, name: str = "n1", settings: Invoices = ISSUER) -> Month:
    return Month(database, name, settings, Event(), clock)


def paid(database: Database) -> list[tuple[int, str]]:
    with database.session() as session:
        query = select(LedgerEntry.account_id, LedgerEntry.reference).where(
            LedgerEntry.cause == "fee", LedgerEntry.book == "revenue"
        )
        rows = session.execute(query.order_by(LedgerEntry.id))
        return [(row[0], row[1].rpartition("/")[2]) for row in rows]


def issued(database: Database) -> list[tuple[int, int, date]]:
    with database.session() as session:
        rows = session.scalars(select(Invoice).order_by(Invoice.number))
        return [(row.number, row.account_id, row.period) for row in rows]


def test_the_fee_is_charged_once_a_month(database: Database, clock: Clock, plan: Plan) -> None:
    with database.transaction() as session:
        one = open_account(session, "one", plan)
    first, second = node(database, clock), node(database, clock, "n2")
    for _ in range(2):
        first.look()
        second.look()
    node(database, clock).look()  # restarted
    assert paid(database) == [(one, "2026-10")]
    clock.set(10, 31, 23, 59)
    first.look()
    assert len(paid(database)) == 1
    for month in (11, 12):
        clock.set(month, 1)
        second.look()
    assert [period for _, period in paid(database)] == ["2026-10", "2026-11", "2026-12"]
    with database.session() as session:  # the third one went below zero
        assert ledger.balance(session, one).available == -FEE
        assert verification.verify(session) == []


def test_who_pays(database: Database, clock: Clock, plan: Plan) -> None:
    with database.transaction() as session:
        free = factories.plan(session)
        one = open_account(session, "one", plan)
        late = open_account(session, "late", plan, clock.now)
        suspended = open_account(session, "suspended", plan)
        open_account(session, "free", free)
        factories.suspend(session, session.get_one(Account, suspended))
    node(database, clock).look()
    assert paid(database) == [(one, "2026-10")]
    clock.set(11, 1)
    node(database, clock).look()
    assert paid(database)[1:] == [(one, "2026-11"), (late, "2026-11")]


def test_a_fee_that_is_set_within_a_month(database: Database, clock: Clock, plan: Plan) -> None:
    with database.transaction() as session:
        session.get_one(Plan, plan.id).terms = "{}"
        open_account(session, "one", plan)
    node(database, clock).look()
    with database.transaction() as session:
        session.get_one(Plan, plan.id).terms = stored(Terms(monthly_fee=FEE))
    clock.set(10, 20)
    node(database, clock).look()
    assert paid(database) == []
    clock.set(11, 1)
    node(database, clock).look()
    assert [period for _, period in paid(database)] == ["2026-11"]


def test_invoices_of_the_month_that_is_over(database: Database, clock: Clock, plan: Plan) -> None:
    with database.transaction() as session:
        ids = [open_account(session, name, plan) for name in ("one", "two")]
        open_account(session, "free", factories.plan(session))
    month = node(database, clock)
    month.look()
    clock.set(11, 1, 0, 30)
    month.look()
    assert issued(database) == []  # something of October may still be on its way
    clock.set(11, 1, 1)
    for name in ("n1", "n2"):
        node(database, clock, name).look()
    october = date(2026, 10, 1)
    assert issued(database) == [(1, ids[0], october), (2, ids[1], october)]
    clock.set(11, 30)
    month.look()
    assert len(issued(database)) == 2
    clock.set(12, 1, 1)
    month.look()
    assert [row[2].month for row in issued(database)] == [10, 10, 11, 11]


def test_an_account_whose_books_are_wrong_does_not_stop_the_others(
    database: Database, clock: Clock, plan: Plan
) -> None:
    with database.transaction() as session:
        one, two = (open_account(session, name, plan) for name in ("one", "two"))
    month = node(database, clock)
    month.look()
    with database.transaction() as session:
        ledger.move(session, one, available=1)
    clock.set(11, 2)
    month.look()
    assert [row[:2] for row in issued(database)] == [(1, two)]


def test_what_was_refused_is_tried_until_it_is_done(
    database: Database, clock: Clock, plan: Plan
) -> None:
    """For months, from any node, and told of once an hour; the next month is issued meanwhile."""
    with database.transaction() as session:
        one, two = (open_account(session, name, plan) for name in ("one", "two"))
    nodes = [node(database, clock, name) for name in ("n1", "n2")]
    nodes[0].look()
    with database.transaction() as session:
        ledger.move(session, one, available=1)
    clock.set(11, 2)
    with capture_logs() as logs:
        for minute in range(180):
            clock.set(11, 2, minute // 60, minute % 60)
            nodes[minute % 2].look()
    refusals = [line["why"] for line in logs if line["event"] == "invoice_not_issued"]
    assert len(refusals) == 3
    assert "2026-10: daily totals and books of one differ by 1" in refusals[0]
    clock.set(12, 2)
    nodes[0].look()
    assert {row[1] for row in issued(database)} == {two}
    with database.transaction() as session:
        ledger.move(session, one, available=-1, floor=FEE + 1)
    clock.set(12, 2, 1)
    nodes[1].look()
    months_of_one = sorted(row[2].month for row in issued(database) if row[1] == one)
    assert months_of_one == [10, 11]
    with database.session() as session:
        assert set(session.scalars(select(Duty.name))) == {"invoices", "monthly fees"}


def test_a_fee_that_was_refused_is_tried_again(
    database: Database, clock: Clock, plan: Plan
) -> None:
    with database.transaction() as session:
        one, two = (open_account(session, name, plan) for name in ("one", "two"))
    original = fees.charge

    def refusing(session: Session, account_id: int, *rest: object) -> bool:
        if account_id == one:
            raise Invalid("not now")
        return original(session, account_id, *rest)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch, capture_logs() as logs:
        patch.setattr(fees, "charge", refusing)
        node(database, clock).look()
        clock.set(10, 1, 0, 59)
        node(database, clock).look()
    told = [(line["event"], line["account_id"]) for line in logs if line["log_level"] == "error"]
    assert told == [("fee_not_charged", one)]
    assert paid(database) == [(two, "2026-10")]
    clock.set(10, 1, 1, 1)
    node(database, clock).look()
    assert paid(database) == [(two, "2026-10"), (one, "2026-10")]


def test_what_a_dead_node_left_undone(database: Database, clock: Clock, plan: Plan) -> None:
    """Its lease is over after an hour; what it did is not done again."""
    with database.transaction() as session:
        one, two = (open_account(session, name, plan) for name in ("one", "two"))
    dies = Month(database, "n1", ISSUER, stop := Event(), clock)

    def stopping(session: Session, settings: Invoices, account: Account, *rest: object) -> object:
        stop.set()
        return original(session, settings, account, *rest)  # type: ignore[arg-type]

    node(database, clock).look()
    clock.set(11, 2)
    original = invoice.issue
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(invoice, "issue", stopping)
        dies.look()
    assert [row[1] for row in issued(database)] == [one]
    other = node(database, clock, "n2")
    other.look()
    assert len(issued(database)) == 1
    clock.set(11, 2, 1, 1)
    other.look()
    assert [row[1] for row in issued(database)] == [one, two]


def test_nobody_issues(database: Database, clock: Clock, plan: Plan) -> None:
    with database.transaction() as session:
        open_account(session, "one", plan)
    node(database, clock, settings=Invoices()).look()
    clock.set(11, 2)
    node(database, clock, settings=Invoices()).look()
    assert issued(database) == []
    node(database, clock).look()  # as soon as the settings say who
    assert len(issued(database)) == 1
