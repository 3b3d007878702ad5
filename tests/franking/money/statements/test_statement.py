"""A month adds up, in the statement, in its table and in the list of months."""

from __future__ import annotations

import csv
import io
import json
from datetime import date, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from franking.accounts.models import Account
from franking.db import Database
from franking.money import ledger
from franking.money.models import BY_HAND
from franking.money.statements import export
from franking.money.statements.export import to_csv
from franking.money.statements.statement import Statement, months
from franking.reasons import NotFound

from .conftest import DEPOSIT, FIRST, LATER, OCTOBER, SECOND, SEPTEMBER, Shop, at


def lines(report: Statement) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(to_csv(report))))


@pytest.fixture
def busy(shop: Shop) -> Shop:
    """September: a deposit, one message.  October: of everything something."""
    shop.send(at(9, 30))
    sent = [shop.send(at(10, day)) for day in (1, 2, 2)]
    with shop.database.transaction() as session:
        ledger.deposit(session, shop.account_id, 500, reference="b2", now=at(10, 3))
        ledger.reverse_deposit(session, shop.account_id, 200, reference="b2", now=at(10, 4))
        ledger.charge_fee(session, shop.account_id, 70, reference="10", note="fee", now=at(10, 1))
        ledger.adjust(session, shop.account_id, -30, reference="a", note="x", now=at(10, 31, 23))
    shop.refund(sent[0], 400, at(10, 9))
    shop.accept(at(10, 20))  # still on its way
    shop.send(at(11, 1))
    return shop


def test_a_month(busy: Shop) -> None:
    report = busy.statement()
    assert (report.opening, report.closing) == (
        DEPOSIT - FIRST,
        DEPOSIT - FIRST - 2 * FIRST - SECOND + 500 - 200 - 70 - 30 + 400,
    )
    assert (report.deposits, report.reversals) == (500, -200)
    assert (report.charges, report.refunds) == (-2 * FIRST - SECOND, 400)
    assert (report.fees, report.adjustments) == (-70, -30)
    assert (report.over, report.held, report.difference) == (True, None, 0)
    assert [(p.tier, p.unit_price, p.units, p.amount, p.refunded) for p in report.prices] == [
        (1, FIRST, 2, 2 * FIRST, 400),
        (2, SECOND, 1, SECOND, 0),
    ]


def test_the_present_month_is_what_is_there(busy: Shop) -> None:
    report = busy.statement(date(2026, 11, 1))
    with busy.database.session() as session:
        balance = ledger.balance(session, busy.account_id)
        assert report.closing == balance.available + balance.held
        assert (report.over, report.held) == (False, balance.held)
        assert balance.held > 0


def test_months_follow_on_each_other(busy: Shop) -> None:
    with busy.database.session() as session:
        account = session.get_one(Account, busy.account_id)
        found = months(session, account, LATER)
        assert [row.period.month for row in found] == [11, 10, 9]
        assert found[-1].opening == 0
        assert found[0].opening == found[1].closing == busy.statement().closing
        assert [row.period.month for row in months(session, account, LATER, limit=2)] == [11, 10]
        assert months(session, account, LATER, limit=2)[1].opening == found[1].opening


@pytest.mark.parametrize("period", [date(2026, 8, 1), date(2026, 12, 1)])
def test_no_statement_of_other_times(shop: Shop, period: date) -> None:
    with pytest.raises(NotFound):
        shop.statement(period)


def test_the_table_adds_up(busy: Shop) -> None:
    report = busy.statement()
    rows = lines(report)
    assert (rows[0]["kind"], rows[0]["balance"]) == ("opening", "0.999")
    assert (rows[-1]["kind"], rows[-1]["balance"]) == ("closing", rows[-2]["balance"])
    kinds = [row["kind"] for row in rows[1:-1]]
    assert kinds == [
        "fee", "charge", "charge", "charge", "deposit", "reversal", "refund", "adjustment",
    ]  # fmt: skip
    assert [row["date"] for row in rows] == sorted(row["date"] for row in rows)
    assert rows[-1]["balance"] == f"{report.closing / 1e6:.6f}".rstrip("0")


@pytest.mark.parametrize(
    ("note", "cell"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+49 40 1234", "'+49 40 1234"),
        ("-5 + cmd", "'-5 + cmd"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("-5.20", "-5.20"),
        ('a,"b"\nc', 'a,"b"\nc'),
        ("Ünïcode", "Ünïcode"),
    ],
)
def test_notes_are_no_formulas(shop: Shop, note: str, cell: str) -> None:
    with shop.database.transaction() as session:
        ledger.deposit(session, shop.account_id, 1, reference="n", note=note, now=at(10, 1))
    assert lines(shop.statement())[1]["description"] == cell


def test_negative_amounts_stay_numbers(busy: Shop) -> None:
    amounts = [row["amount"] for row in lines(busy.statement())[1:-1]]
    assert "-0.00007" in amounts and not any("'" in amount for amount in amounts)


def test_json(busy: Shop) -> None:
    plain = json.loads(json.dumps(export.plain(busy.statement())))
    assert (plain["period"], plain["last"]) == ("2026-10", "2026-10-31")
    assert plain["closing"] == busy.statement().closing
    assert len(plain["movements"]) == 4


def test_it_reads_through_indexes(busy: Shop) -> None:
    """The movements that people make are found without those of messages."""
    query = f"select at from ledger_entry where account_id = 1 and {BY_HAND} and at < '2026-10-01'"
    with busy.database.session() as session:
        plan = " ".join(row[3] for row in session.execute(text(f"explain query plan {query}")))
    assert "ix_ledger_entry_account_id_at (account_id=? AND at<?)" in plan


DAYS = st.integers(1, 30)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), DAYS),
        st.tuples(st.just("refund"), DAYS),
        st.tuples(st.just("deposit"), DAYS),
        st.tuples(st.just("reverse"), DAYS),
        st.tuples(st.just("adjust"), DAYS),
        st.tuples(st.just("hold"), DAYS),
    ),
    max_size=12,
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS)
def test_any_month_adds_up(shop: Shop, steps: list[tuple[str, int]]) -> None:
    """The examples share the account, so each adds to what others did."""
    database: Database = shop.database
    before = shop.statement(date(2026, 11, 1)).closing
    for kind, day in steps:
        when = at(10, day)
        if kind == "send":
            shop.send(when)
        elif kind == "hold":
            shop.accept(when)
        elif kind == "refund":
            shop.refund(shop.send(when), 300, when)
        else:
            _by_hand(database, shop.account_id, kind, when)
    report, september = shop.statement(OCTOBER), shop.statement(SEPTEMBER)
    assert report.difference == 0
    assert report.opening == september.closing
    assert lines(report)[-1]["balance"] == lines(report)[-2]["balance"]
    now = shop.statement(date(2026, 11, 1))
    assert (now.opening, now.closing) == (report.closing, report.closing)
    moved = sum(_worth(kind) for kind, _ in steps if kind not in {"send", "refund"})
    assert now.closing - before <= moved
    with database.session() as session:
        balance = ledger.balance(session, shop.account_id)
        assert now.closing == balance.available + balance.held


WORTH = {"deposit": 5_000, "reverse": -700, "adjust": 90, "hold": 0}


def _worth(kind: str) -> int:
    return WORTH[kind]


def _by_hand(database: Database, account_id: int, kind: str, when: datetime) -> None:
    do = {
        "deposit": ledger.deposit,
        "reverse": ledger.reverse_deposit,
        "adjust": ledger.adjust,
    }[kind]
    with database.transaction() as session:
        number = session.scalar(text("select count(*) from ledger_entry"))
        do(session, account_id, abs(WORTH[kind]), reference=f"{number}", note="x", now=when)
