"""Acceptance and money: what happens on an empty balance, and what caps let pass."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from franking.accounts.models import Credential
from franking.db import Database
from franking.mail import holding
from franking.mail.acceptance import Outcome
from franking.mail.models import HeldMessage
from franking.money import reservations, settling
from franking.money.pricing import Tier
from franking.money.reservations import UNBOUND, Bounds
from franking.money.terms import OnEmpty, Terms
from franking.reasons import CapReached, InsufficientBalance
from tests.franking.seller import NODE, NOW, Seller
from worker.housekeeping.held import Held

NO_MONEY = "Insufficient balance"
DELIVER, HOLD = Outcome.DELIVER, Outcome.HOLD


def shop(database: Database, money: int, **terms: object) -> Seller:
    made = Seller(database, terms=Terms(**terms))  # type: ignore[arg-type]
    if money:
        made.deposit(money)
    return made


def names(count: int) -> list[str]:
    return [f"Q{number}" for number in range(count)]


class TestOnEmpty:
    @pytest.mark.parametrize(
        ("on_empty", "reply"),
        [("reject", f"554 5.7.1 {NO_MONEY}"), ("defer", f"450 4.7.1 {NO_MONEY}")],
    )
    def test_refused(self, database: Database, on_empty: OnEmpty, reply: str) -> None:
        seller = shop(database, 299, on_empty=on_empty)
        assert [seller.send(name) for name in names(4)] == [DELIVER, DELIVER, reply, reply]
        assert seller.balance == (99, 200)
        with database.session() as session:
            assert reservations.of_message(session, NODE, "Q2") is None

    @pytest.mark.parametrize("grace", [1, 3])
    def test_grace_is_so_many_units(self, database: Database, grace: int) -> None:
        seller = shop(database, 200, on_empty="grace", grace=grace)
        got = [seller.send(name) for name in names(grace + 4)]
        assert got == [DELIVER] * (grace + 2) + [f"554 5.7.1 {NO_MONEY}"] * 2
        assert seller.balance == (-100 * grace, 100 * (grace + 2))
        assert seller.sound()

    def test_overdraft(self, database: Database) -> None:
        seller = shop(database, 0, overdraft=250)
        refused = f"554 5.7.1 {NO_MONEY}"
        assert [seller.send(name) for name in names(3)] == [DELIVER, DELIVER, refused]
        assert seller.balance == (-200, 200)
        seller.deposit(150)
        assert [seller.send(name) for name in "ABC"] == [DELIVER, DELIVER, refused]
        assert seller.balance == (-250, 400)

    def test_what_costs_nothing_needs_no_money(self, database: Database) -> None:
        seller = shop(database, 0, included=2)
        assert [seller.send(name) for name in names(2)] == [DELIVER, DELIVER]
        assert seller.send("Q2") == f"554 5.7.1 {NO_MONEY}"
        assert seller.used[0] == 2


class TestHold:
    """A message waits without money, until somebody pays."""

    @pytest.fixture
    def seller(self, database: Database) -> Seller:
        return shop(database, 0, on_empty="hold")

    def grant(self, seller: Seller, queue_id: str) -> None:
        with seller.database.session() as session:
            row = session.get_one(HeldMessage, (queue_id, NODE))
            holding.check(session, row, seller.now)
        with seller.database.transaction() as session:
            holding.grant(session, row, seller.now)

    def test_a_deposit_lets_it_go(self, seller: Seller) -> None:
        assert [seller.send("A"), seller.send("B")] == [HOLD, HOLD]
        assert seller.reservation("A").state == "waiting"
        assert seller.balance == (0, 0) and seller.used == (0, 0, 0)
        with pytest.raises(InsufficientBalance):
            self.grant(seller, "A")
        seller.deposit(150)
        seller.now = NOW + timedelta(days=1)
        self.grant(seller, "A")
        with seller.database.transaction() as session:  # a second time
            holding.grant(session, session.get_one(HeldMessage, ("A", NODE)), seller.now)
        with pytest.raises(InsufficientBalance):
            self.grant(seller, "B")
        row = seller.reservation("A")
        assert (row.state, row.reserved_at) == ("reserved", seller.now)
        assert seller.balance == (50, 100) and seller.used == (1, 100, 0)
        assert seller.sound()

    def test_its_price_is_that_of_its_acceptance(self, database: Database) -> None:
        seller = Seller(database, (Tier(0, 100), Tier(1, 80)), Terms(on_empty="hold"))
        seller.send("A")
        seller.deposit(1_000)
        seller.send("B")
        self.grant(seller, "A")
        assert [seller.reservation(name).amount for name in "AB"] == [100, 100]
        assert seller.used[0] == 2

    def test_limits_and_money(self, seller: Seller) -> None:
        """What a limit holds is paid when it is accepted, as far as there is money."""
        seller.rule("1/minute hold")
        seller.deposit(200)
        assert [seller.send(name) for name in "ABC"] == [DELIVER, HOLD, HOLD]
        states = [seller.reservation(name).state for name in "ABC"]
        assert states == ["reserved", "reserved", "waiting"]

    def test_given_up(self, seller: Seller) -> None:
        seller.rule("5/day")
        seller.send("A")
        with seller.database.transaction() as session:
            holding.drop_unpaid(session, NODE, {"A": "deleted"}, seller.now)
            holding.drop_unpaid(session, NODE, {"A": "again"}, seller.now)
        row = seller.reservation("A")
        assert (row.state, row.evidence) == ("voided", "deleted")
        assert (seller.message("A").status, seller.message("A").cost) == ("voided", 0)
        assert seller.balance == (0, 0) and seller.sound()
        seller.deposit(100)
        with seller.database.transaction() as session:
            assert not reservations.fund(session, NODE, "A", Bounds(), seller.now)

    def test_an_operator_lets_it_go(self, seller: Seller) -> None:
        seller.send("A")
        with seller.database.transaction() as session:
            holding.let_go(session, "A", seller.now)
        assert seller.balance == (-100, 100) and seller.sound()

    def test_reserved_ones_are_not_given_up_so(self, seller: Seller) -> None:
        seller.deposit(100)
        seller.send("A")
        with seller.database.transaction() as session:
            assert settling.give_up_waiting(session, NODE, {"A": "x"}, NOW) == set()
            assert not reservations.fund(session, NODE, "A", UNBOUND, NOW)
        assert seller.balance == (0, 100)


class TestCaps:
    def test_of_the_account(self, database: Database) -> None:
        seller = shop(database, 10_000)
        seller.cap(account=250)
        got = [seller.send(name) for name in names(3)]
        assert got[:2] == [DELIVER, DELIVER]
        assert "spending cap of this account" in str(got[2])
        seller.settle("voided", "Q0")
        assert seller.used == (1, 100, 0)
        assert seller.send("A") == DELIVER
        seller.now += timedelta(days=1)
        assert [seller.send("B"), seller.send("C")] == [DELIVER, DELIVER]
        assert seller.used == (4, 200, 0)

    def test_of_the_credential(self, database: Database) -> None:
        seller = shop(database, 10_000)
        seller.cap(credential=100)
        assert seller.send("A") == DELIVER
        assert "spending cap of this API key" in str(seller.send("B"))
        assert (seller.balance, seller.used) == ((9_900, 100), (1, 100, 100))
        seller.settle("voided", "A")
        assert seller.used == (0, 0, 0)
        assert seller.send("C") == DELIVER

    def test_counts_from_when_it_is_set(self, database: Database) -> None:
        seller = shop(database, 10_000)
        seller.send("A")
        seller.cap(credential=100)
        assert seller.send("B") == DELIVER
        seller.settle("voided", "A")  # was not counted, so it gives nothing back
        assert seller.used == (1, 100, 100)

    def test_money_that_waits_meets_the_cap_too(self, database: Database) -> None:
        seller = shop(database, 0, on_empty="hold")
        seller.cap(account=150)
        assert [seller.send("A"), seller.send("B")] == [HOLD, HOLD]
        seller.deposit(1_000)
        bounds = Bounds(account_cap=150)
        with database.transaction() as session:
            assert reservations.fund(session, NODE, "A", bounds, NOW)
        with pytest.raises(CapReached), database.transaction() as session:
            reservations.fund(session, NODE, "B", bounds, NOW)
        assert seller.reservation("B").state == "waiting"
        assert seller.balance == (900, 100)


def test_suppressed_recipients_are_no_units(database: Database) -> None:
    seller = shop(database, 1_000, billing_unit="recipient")
    people = ["a@dest.example", "b@dest.example", "c@dest.example"]
    assert seller.send("A", *people, suppressed=("b@dest.example",)) == DELIVER
    assert (seller.reservation("A").units, seller.balance) == (2, (800, 200))
    assert seller.send("B", *people, suppressed=tuple(people)) == Outcome.DISCARD
    with database.session() as session:
        assert reservations.of_message(session, NODE, "B") is None
    assert seller.used[0] == 2


class TestWaitingTooLong:
    def test_only_so_many_wait(self, database: Database) -> None:
        seller = shop(database, 0, on_empty="hold", hold_messages=2)
        refused = f"450 4.7.1 {NO_MONEY}"
        assert [seller.send(name) for name in names(4)] == [HOLD, HOLD, refused, refused]
        seller.deposit(200)
        assert [seller.send(name) for name in ("paid", "paid too")] == [DELIVER, DELIVER]

    def test_given_up_with_its_key(self, database: Database) -> None:
        """A key that was stolen and revoked must not send at the next deposit."""
        seller = shop(database, 0, on_empty="hold")
        assert seller.send("Q0") is HOLD
        with database.transaction() as session:
            session.execute(update(Credential).values(revoked_at=seller.now))
        seller.deposit(1000)
        with database.session() as session:
            held = session.get_one(HeldMessage, ("Q0", NODE))
            with pytest.raises(holding.GivenUp, match="revoked"):
                holding.check(session, held, seller.now)

    def test_given_up_after_days(self, database: Database, tmp_path: Path) -> None:
        seller = shop(database, 0, on_empty="hold", hold_days=2)
        for name in ("hold", "incoming", "active", "deferred"):
            (tmp_path / name).mkdir()
        deleted: list[str] = []

        def delete(queue_ids: Sequence[str]) -> bool:
            deleted.extend(queue_ids)
            for queue_id in queue_ids:
                (tmp_path / "hold" / queue_id).unlink()
            return True

        for name in names(2):
            assert seller.send(name) is HOLD
            path = tmp_path / "hold" / name
            path.touch()
            path.chmod(0o700)
            seller.now += timedelta(days=1)
        held = Held(database, NODE, tmp_path, lambda _: True, lambda: seller.now, delete=delete)
        held.look()
        assert deleted == []
        seller.now += timedelta(seconds=1)
        held.look()
        assert deleted == ["Q0"]
        with database.session() as session:
            first, second = (reservations.of_message(session, NODE, name) for name in names(2))
            assert first is not None and second is not None
            assert (first.state, first.evidence) == ("voided", "waited 2 days for money")
            assert second.state == "waiting"
        seller.deposit(100)
        held.look()
        assert seller.balance == (0, 100)
        assert seller.sound()
