"""One invoice for an account and month, numbered without gaps, saying for ever what it said."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from decimal import Decimal
from threading import Barrier, Thread

import pytest
from sqlalchemy import event, select

from franking.accounts.models import Account
from franking.db import Database
from franking.money import ledger
from franking.money.billing import preferences
from franking.money.statements import invoice
from franking.money.statements.config import Invoices
from franking.money.statements.document import Document
from franking.money.statements.models import ChargeDay, Invoice
from franking.notices.models import Notice
from franking.reasons import Invalid, NotFound, Taken
from tests import factories

from .conftest import FIRST, ISSUER, LATER, OCTOBER, SECOND, SEPTEMBER, Shop, at


def issue(
    shop: Shop, period: date = OCTOBER, now: datetime = LATER, settings: Invoices = ISSUER
) -> Document:
    with shop.database.transaction() as session:
        account = session.get_one(Account, shop.account_id)
        return invoice.document(invoice.issue(session, settings, account, period, now))


def numbers(database: Database) -> list[int]:
    with database.session() as session:
        return list(session.scalars(select(Invoice.number).order_by(Invoice.id)))


def test_what_it_says(shop: Shop) -> None:
    sent = [shop.send(at(10, day)) for day in (1, 2, 3)]
    shop.refund(sent[0], 200, at(10, 4))
    with shop.database.transaction() as session:
        account = session.get_one(Account, shop.account_id)
        preferences.change(
            session,
            account,
            invoice_name="Σία & Co\x07",
            invoice_address=" A 1 \r\n B ",
            tax_id="X1",
        )
        ledger.charge_fee(session, account.id, 5_000, reference="10", note="Fee", now=at(10, 1))
        ledger.deposit(session, account.id, 9, reference="b", now=at(10, 2))
        ledger.adjust(session, account.id, 9, reference="b", note="x", now=at(10, 2))
    said = issue(shop, settings=ISSUER.model_copy(update={"tax_percent": Decimal(25)}))
    assert (said.number, said.title, said.account) == ("FR-2026-000001", "Invoice", "shop")
    assert (said.period, said.last_day) == (OCTOBER, date(2026, 10, 31))
    assert said.customer.model_dump() == {"name": "Σία & Co", "address": "A 1\nB", "tax_id": "X1"}
    assert said.issuer.address == "Hafenstraße 12\n20457 Hamburg"
    assert [(line.description, line.quantity, line.amount) for line in said.lines] == [
        ("Messages, tier 1", 2, 2 * FIRST),
        ("Messages, tier 2", 1, SECOND),
        ("Fee", None, 5_000),
        ("Refunds for messages that could not be delivered", None, -200),
    ]
    assert (said.sum, said.rounding) == (7_600, 2_400)
    assert (said.net, said.tax, said.total) == (10_000, 0, 10_000)
    assert (said.paid, said.due) == (10_000, 0)


def test_it_stays_as_it_was(shop: Shop) -> None:
    shop.send(at(10, 1))
    before = issue(shop)
    with shop.database.transaction() as session:
        account = session.get_one(Account, shop.account_id)
        preferences.change(session, account, invoice_name="Other Ltd")
        account.plan.currency = "USD"
        session.query(ChargeDay).delete()
    with shop.database.session() as session:
        after = invoice.document(invoice.get(session, shop.account_id, 1))
    assert after == before
    assert after.customer.name == "shop"


def test_once_for_a_month(shop: Shop) -> None:
    shop.send(at(10, 1))
    issue(shop)
    with pytest.raises(Taken):
        issue(shop)
    with pytest.raises(Taken):
        issue(shop, date(2026, 10, 17))
    assert numbers(shop.database) == [1]


def test_numbers_run_on(shop: Shop) -> None:
    settings = ISSUER.model_copy(update={"first_number": 40, "number_format": "{number}/{year}"})
    shop.send(at(9, 5))
    shop.send(at(10, 5))
    made = [
        issue(shop, SEPTEMBER, at(10, 2), settings).number,
        issue(shop, OCTOBER, LATER.replace(year=2027), settings).number,
    ]
    assert made == ["40/2026", "41/2027"]


def test_nothing_to_invoice(shop: Shop) -> None:
    shop.accept(at(10, 5))
    with shop.database.transaction() as session:
        ledger.deposit(session, shop.account_id, 9, reference="b", now=at(10, 2))
    with pytest.raises(NotFound):
        issue(shop)
    with shop.database.session() as session:
        assert invoice.open_accounts(session, OCTOBER) == []
    assert numbers(shop.database) == []


def test_a_month_that_only_gives_back(shop: Shop) -> None:
    queue_id = shop.send(at(9, 30))
    shop.refund(queue_id, FIRST, at(10, 3))
    said = issue(shop, settings=ISSUER.model_copy(update={"tax_percent": Decimal(20)}))
    assert (said.title, said.sum, said.total, said.due) == ("Credit note", -FIRST, 0, 0)
    assert (said.rounding, said.paid) == (FIRST, 0)
    assert issue(shop, SEPTEMBER).sum == FIRST


@pytest.mark.parametrize(
    ("period", "now"),
    [
        (OCTOBER, at(10, 31)),
        (OCTOBER, datetime.combine(date(2026, 11, 1), LATER.timetz()).replace(hour=0, minute=59)),
        (date(2027, 1, 1), LATER),
    ],
)
def test_not_before_the_month_is_over(shop: Shop, period: date, now: datetime) -> None:
    shop.send(at(10, 1))
    with pytest.raises(Invalid, match="can be invoiced from"):
        issue(shop, period, now)


def test_an_hour_after_its_end(shop: Shop) -> None:
    shop.send(at(10, 1))
    assert issue(shop, OCTOBER, at(11, 1, 1)).number == "FR-2026-000001"


def test_somebody_must_issue_it(shop: Shop) -> None:
    shop.send(at(10, 1))
    with pytest.raises(Invalid, match="issuer"):
        issue(shop, settings=Invoices())


def test_not_on_wrong_books(shop: Shop) -> None:
    shop.send(at(10, 1))
    with shop.database.transaction() as session:
        session.query(ChargeDay).one().amount += 1
    with pytest.raises(Invalid, match="differ"):
        issue(shop)


def test_it_is_told(shop: Shop) -> None:
    shop.send(at(10, 1))
    issue(shop)
    with shop.database.session() as session:
        notice = session.scalars(select(Notice)).one()
    assert notice.kind == "invoice.issued"
    assert (notice.detail["number"], notice.detail["period"]) == ("FR-2026-000001", "2026-10")


def test_whose_it_is(shop: Shop) -> None:
    shop.send(at(10, 1))
    issue(shop)
    with shop.database.transaction() as session:
        other = factories.account(session)
        assert invoice.listed(session, other.id) == []
        with pytest.raises(NotFound):
            invoice.get(session, other.id, 1)
        assert [row.number for row in invoice.listed(session, shop.account_id)] == [1]
        assert invoice.listed(session, shop.account_id, before_number=1) == []
        assert invoice.named(session, "FR-2026-000001") is invoice.named(session, "1")
        for text in ("2", "FR-2025-000001", "", "9" * 40):
            with pytest.raises(NotFound):
                invoice.named(session, text)


def test_open_months_are_found_by_day(shop: Shop) -> None:
    """Not by reading the totals of all accounts and days."""
    asked: list[tuple[str, object]] = []

    @event.listens_for(shop.database.engine, "before_cursor_execute")
    def _note(_c: object, _cursor: object, statement: str, values: object, *_: object) -> None:
        asked.append((statement, values))

    shop.send(at(10, 1))
    asked.clear()
    with shop.database.session() as session:
        assert invoice.open_accounts(session, OCTOBER) == [shop.account_id]
        statement, values = asked[-1]
        plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)  # type: ignore[arg-type]
        steps = [row[3] for row in plan if "charge_day" in row[3]]
    assert steps == [
        "SEARCH charge_day USING COVERING INDEX ix_charge_day_day_account_id (day>? AND day<?)"
    ]


def test_data_is_plain_json(shop: Shop) -> None:
    shop.send(at(10, 1))
    issue(shop)
    with shop.database.session() as session:
        row = invoice.get(session, shop.account_id, 1)
        assert json.loads(row.data)["issued_on"] == "2026-11-05"
        assert (row.net, row.tax, row.total, row.currency) == (0, 0, 0, "EUR")


def test_threads_that_fail_leave_no_gap(shop: Shop) -> None:
    """Every third transaction is rolled back after it had its number."""
    periods = [date(2026, 9, 1), date(2026, 10, 1)]
    with shop.database.transaction() as session:
        ids = [factories.account(session).id for _ in range(9)]
        for account_id in ids:
            for period in periods:
                row = {"tier": 1, "unit_price": 10_000, "messages": 1, "units": 1}
                session.add(
                    ChargeDay(account_id=account_id, day=period, amount=10_000, refunded=0, **row)
                )
            ledger.deposit(session, account_id, 20_000, reference=f"{account_id}", now=at(9, 1))
            ledger.move(session, account_id, available=-20_000)
    jobs = [(account_id, period) for period in periods for account_id in ids]
    barrier = Barrier(6)

    def work(mine: list[tuple[int, date]]) -> None:
        barrier.wait()
        for number, (account_id, period) in enumerate(mine):
            for fails in [True, False] if number % 3 == 0 else [False]:
                try:
                    with shop.database.transaction() as session:
                        account = session.get_one(Account, account_id)
                        invoice.issue(session, ISSUER, account, period, LATER + timedelta(days=1))
                        if fails:
                            raise Crash
                except Crash:
                    pass

    threads = [Thread(target=work, args=(jobs[n::6],)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers(shop.database)) == list(range(1, len(jobs) + 1))


class Crash(Exception):
    pass
