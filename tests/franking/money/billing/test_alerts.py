"""Told once that money runs low, once that it is used up, once that mail flows again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread

import pytest
from sqlalchemy import select, text

from franking.accounts import account as accounts
from franking.accounts.models import Account
from franking.db import Database
from franking.money import ledger, pricing
from franking.money.billing import alerts, preferences
from franking.money.billing.models import BillingSettings
from franking.money.models import Balance
from franking.money.statements.models import UsageDay
from franking.money.terms import Terms
from franking.notices import notices
from franking.notices.models import Notice

NOW = datetime(2026, 7, 14, 10, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=100)
PRICE = 1_000  # micro-units; amounts below are told in messages


@dataclass
class Shop:
    database: Database
    account_id: int
    told: int = 0

    def has(self, messages: float) -> None:
        """Money for so many."""
        with self.database.transaction() as session:
            self.told += 1
            difference = int(messages * PRICE) - ledger.balance(session, self.account_id).available
            if difference:
                ledger.adjust(
                    session, self.account_id, difference, note="test",
                    reference=f"{self.account_id}/{self.told}",
                )  # fmt: skip

    def used(self, messages: int, days_ago: int = 1) -> None:
        with self.database.transaction() as session:
            session.add(
                UsageDay(
                    account_id=self.account_id, dimension="account", value="", messages=messages,
                    day=NOW.date() - timedelta(days=days_ago), recipients=messages,
                    amount=messages * PRICE, refunded=0,
                )
            )  # fmt: skip

    def look(self, now: datetime = NOW) -> list[str]:
        """What the account is told by this look; one that follows tells nothing more."""
        before = len(self.notices())
        alerts.look(self.database, now)
        after = len(self.notices())
        assert alerts.look(self.database, now) == 0
        assert len(self.notices()) == after
        return [notice.kind for notice in self.notices()[before:]]

    def notices(self) -> list[Notice]:
        with self.database.session() as session:
            own = select(Notice).where(Notice.account_id == self.account_id).order_by(Notice.id)
            return list(session.scalars(own))

    def change(self, change: Callable[[Account], object]) -> None:
        with self.database.transaction() as session:
            change(session.get_one(Account, self.account_id))


Make = Callable[..., Shop]


@pytest.fixture
def make(database: Database) -> Make:
    def shop(*, name: str = "acme", terms: Terms | None = None) -> Shop:
        with database.transaction() as session:
            plan = pricing.create_plan(
                session, name, currency="EUR", unit_price=PRICE, terms=terms, now=LONG_AGO
            )
            made = accounts.create(session, name, plan=plan, now=LONG_AGO)
            return Shop(database, made.id)

    return shop


def test_low_once_until_it_has_recovered(make: Make) -> None:
    shop = make()
    shop.used(700)  # 100 a day, so low is below 200
    shop.has(200)
    assert shop.look() == []
    shop.has(199)
    assert shop.look() == ["balance.low"]
    shop.has(150)
    assert shop.look() == []
    shop.has(210)  # a few messages were given back: not recovered yet
    assert shop.look() == []
    shop.has(199)
    assert shop.look() == []
    shop.has(221)
    assert shop.look() == []
    shop.has(199)
    assert shop.look() == ["balance.low"]


def test_what_the_notice_says(make: Make) -> None:
    shop = make()
    shop.used(700)
    shop.has(150)
    shop.look()
    (notice,) = shop.notices()
    assert notice.detail == {
        "available": 150 * PRICE, "below": 200 * PRICE, "messages_left": 150, "days_left": 1.5,
        "account": "acme", "currency": "EUR",
    }  # fmt: skip
    assert notices.mail_state(notice) == "waiting"


def test_exhausted_and_restored(make: Make) -> None:
    shop = make()
    shop.used(700)
    shop.has(150)
    assert shop.look() == ["balance.low"]
    shop.has(1)
    assert shop.look() == []
    shop.has(0.999)
    assert shop.look() == ["balance.exhausted"]
    shop.has(9)  # some were given back: it may stay so
    assert shop.look() == []
    shop.has(0)
    assert shop.look() == []
    shop.has(150)  # pays again, and is still low
    assert shop.look() == ["balance.restored"]
    shop.has(1000)
    assert shop.look() == []
    shop.has(150)
    assert shop.look() == ["balance.low"]


def test_straight_to_nothing_is_told_once(make: Make) -> None:
    shop = make()
    shop.used(700)
    shop.has(1000)
    assert shop.look() == []
    shop.has(0)
    assert shop.look() == ["balance.exhausted"]
    shop.has(1000)
    assert shop.look() == ["balance.restored"]
    shop.has(150)
    assert shop.look() == ["balance.low"]


def test_a_chosen_amount_counts_instead_of_the_use(make: Make) -> None:
    shop = make()
    shop.used(700)
    with shop.database.transaction() as session:
        account = session.get_one(Account, shop.account_id)
        preferences.change(session, account, low_balance_at=50 * PRICE)
    shop.has(50)
    assert shop.look() == []
    shop.has(49)
    assert shop.look() == ["balance.low"]


def test_without_use_nothing_is_low(make: Make) -> None:
    shop = make()
    shop.has(2)
    assert shop.look() == []
    shop.used(10, days_ago=8)
    assert shop.look() == []


def test_who_never_had_anything_is_told_nothing(make: Make) -> None:
    assert make().look() == []


def test_included_units_of_a_month(make: Make) -> None:
    """Used up, mail costs money that is not there; the next month brings more."""
    shop = make(terms=Terms(included=100))
    with shop.database.transaction() as session:
        row = session.get_one(Balance, shop.account_id)
        row.volume, row.period = 99, NOW.date().replace(day=1)
    assert shop.look() == []
    with shop.database.transaction() as session:
        session.get_one(Balance, shop.account_id).volume = 100
    assert shop.look() == ["balance.exhausted"]
    assert shop.look(datetime(2026, 8, 1, tzinfo=UTC)) == ["balance.restored"]


@pytest.mark.parametrize(
    ("terms", "last", "told"),
    [
        (Terms(overdraft=20 * PRICE), -19, []),
        (Terms(on_empty="grace", grace=20), -19, ["balance.low"]),  # the money is used up
        (Terms(overdraft=10 * PRICE, on_empty="grace", grace=10), -19, ["balance.low"]),
        (Terms(on_empty="defer", grace=20), 1, []),  # grace is not what this plan gives
    ],
)
def test_overdraft_and_grace_pay_first(
    make: Make, terms: Terms, last: int, told: list[str]
) -> None:
    shop = make(terms=terms)
    shop.has(5)
    assert shop.look() == []
    shop.has(last)
    assert shop.look() == told
    shop.has(last - 0.001)
    assert shop.look() == ["balance.exhausted"]


def test_the_overdraft_lasts_two_days_too(make: Make) -> None:
    shop = make(terms=Terms(overdraft=500 * PRICE))
    shop.used(700)
    shop.has(-300)
    assert shop.look() == []
    shop.has(-301)
    assert shop.look() == ["balance.low"]


def test_suspended_accounts_are_told_when_they_are_back(make: Make) -> None:
    shop = make()
    shop.has(5)
    shop.has(0)
    shop.change(lambda account: setattr(account, "status", "suspended"))
    assert shop.look() == []
    shop.change(lambda account: setattr(account, "status", "active"))
    assert shop.look() == ["balance.exhausted"]


def test_many_accounts_each_by_itself(make: Make) -> None:
    shops = [make(name=f"shop-{number}") for number in range(20)]
    for number, shop in enumerate(shops):
        shop.has(number % 2 or 0.5)
    assert alerts.look(shops[0].database, NOW) == 10
    kinds = [[notice.kind for notice in shop.notices()] for shop in shops]
    assert kinds == [[] if number % 2 else ["balance.exhausted"] for number in range(20)]


def test_one_account_that_cannot_be_told_stops_nobody(make: Make, database: Database) -> None:
    broken, sound = make(name="broken"), make(name="sound")
    for shop in (broken, sound):
        shop.has(0.5)
    with database.transaction() as session:
        session.execute(
            text(
                f"CREATE TRIGGER refuse BEFORE INSERT ON notice WHEN NEW.account_id ="
                f" {broken.account_id} BEGIN SELECT RAISE(ABORT, 'a bug'); END"
            )
        )
    assert alerts.look(database, NOW) == 1
    assert [notice.kind for notice in sound.notices()] == ["balance.exhausted"]
    with database.transaction() as session:
        session.execute(text("DROP TRIGGER refuse"))
    assert broken.look() == ["balance.exhausted"]


def test_several_workers_tell_once(make: Make, database: Database) -> None:
    shops = [make(name=f"shop-{number}") for number in range(10)]
    for shop in shops:
        shop.has(0.5)
    workers = [Database(database.engine.url.render_as_string(hide_password=False)) for _ in "abc"]
    barrier, told = Barrier(len(workers)), []

    def work(own: Database) -> None:
        barrier.wait()
        told.append(alerts.look(own, NOW))
        own.close()

    threads = [Thread(target=work, args=(own,)) for own in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(told) == 10
    assert all(len(shop.notices()) == 1 for shop in shops)


def test_settings_that_others_wrote_stay(make: Make) -> None:
    shop = make()
    shop.has(0.5)
    with shop.database.transaction() as session:
        account = session.get_one(Account, shop.account_id)
        preferences.change(session, account, alerts_by_mail=False, tax_id="X1")
    assert shop.look() == ["balance.exhausted"]
    with shop.database.session() as session:
        row = session.get_one(BillingSettings, shop.account_id)
        assert (row.tax_id, row.alerts_by_mail, row.empty_since) == ("X1", False, NOW)
    assert notices.mail_state(shop.notices()[0]) == "off"
