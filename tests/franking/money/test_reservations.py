"""Money is set aside once, leaves once, and the books always sum to zero."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from franking.accounts import account as accounts
from franking.db import Database
from franking.money import ledger, pricing, reservations, settling, verification
from franking.money.pricing import Tariff, Tier
from franking.money.reservations import Purchase
from franking.reasons import InsufficientBalance, Taken

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
PRICE = 800


def make_account(session: Session) -> tuple[int, int]:
    """(account id, price list id) of a fresh account with nothing on it."""
    plan = pricing.create_plan(session, "standard", currency="EUR", unit_price=PRICE, now=NOW)
    account = accounts.create(session, "acme", plan=plan)
    return account.id, pricing.tariff_at(session, plan, NOW).price_list_id


def reserve(session: Session, ids: tuple[int, int], queue_id: str, amount: int = PRICE) -> None:
    account_id, price_list_id = ids
    tariff = Tariff(price_list_id, (Tier(0, amount),))
    purchase = Purchase("n1", queue_id, account_id, 1, tariff)
    reservations.reserve(session, purchase, reservations.offer(session, purchase, NOW), NOW)


def test_capture_moves_held_to_revenue(database: Database) -> None:
    with database.transaction() as session:
        ids = make_account(session)
        ledger.deposit(session, ids[0], 2000, reference="d1")
        reserve(session, ids, "Q1")
    with database.transaction() as session:
        changed = settling.settle(session, "n1", {"Q1": ("captured", "active")}, NOW)
        assert changed == {"Q1"}
    with database.session() as session:
        balance = ledger.balance(session, ids[0])
        assert (balance.available, balance.held) == (1200, 0)
        assert verification.verify(session) == []


def test_settling_again_changes_nothing(database: Database) -> None:
    with database.transaction() as session:
        ids = make_account(session)
        ledger.deposit(session, ids[0], 2000, reference="d1")
        reserve(session, ids, "Q1")
        settling.settle(session, "n1", {"Q1": ("voided", "milter-reject")}, NOW)
    for state in ("captured", "voided", "unknown"):
        with database.transaction() as session:
            assert settling.settle(session, "n1", {"Q1": (state, "late")}, NOW) == set()
    with database.session() as session:
        assert ledger.balance(session, ids[0]).available == 2000


def test_another_node_cannot_settle_it(database: Database) -> None:
    with database.transaction() as session:
        ids = make_account(session)
        ledger.deposit(session, ids[0], 2000, reference="d1")
        reserve(session, ids, "Q1")
        assert settling.settle(session, "n2", {"Q1": ("captured", "")}, NOW) == set()


def test_no_money_no_reservation(database: Database) -> None:
    with database.transaction() as session:
        ids = make_account(session)
        ledger.deposit(session, ids[0], PRICE - 1, reference="d1")
    with pytest.raises(InsufficientBalance), database.transaction() as session:
        reserve(session, ids, "Q1")
    with database.session() as session:
        assert reservations.of_message(session, "n1", "Q1") is None
        assert ledger.balance(session, ids[0]).available == PRICE - 1


def test_a_deposit_is_booked_once(database: Database) -> None:
    with database.transaction() as session:
        ids = make_account(session)
        ledger.deposit(session, ids[0], 5, reference="bank-7")
    with pytest.raises(Taken), database.transaction() as session:
        ledger.deposit(session, ids[0], 5, reference="bank-7")
    with database.session() as session:
        assert ledger.balance(session, ids[0]).available == 5


def test_unknown_keeps_the_money_held(database: Database) -> None:
    with database.transaction() as session:
        ids = make_account(session)
        ledger.deposit(session, ids[0], 2000, reference="d1")
        reserve(session, ids, "Q1")
        settling.settle(session, "n1", {"Q1": ("unknown", "log gap")}, NOW)
    with database.session() as session:
        balance = ledger.balance(session, ids[0])
        assert (balance.available, balance.held) == (1200, 800)
        assert verification.verify(session) == []


def test_open_before_finds_only_the_old_and_open(database: Database) -> None:
    with database.transaction() as session:
        ids = make_account(session)
        ledger.deposit(session, ids[0], 10_000, reference="d1")
        for queue_id in ("Q1", "Q2"):
            reserve(session, ids, queue_id)
        settling.settle(session, "n1", {"Q1": ("captured", "")}, NOW)
    with database.session() as session:
        later = NOW + timedelta(seconds=1)
        found = reservations.open_before(session, "n1", later)
        assert [row.queue_id for row in found] == ["Q2"]
        assert reservations.open_before(session, "n1", NOW) == []
