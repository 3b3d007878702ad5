"""How long the money lasts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from franking.accounts import account as accounts
from franking.accounts.models import Account
from franking.db import Database
from franking.money import ledger, pricing
from franking.money.billing import preferences
from franking.money.billing.forecast import Forecast, forecast, threshold
from franking.money.models import Balance
from franking.money.pricing import Tier
from franking.money.statements.models import UsageDay
from franking.money.terms import Terms

NOW = datetime(2026, 7, 14, 10, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=100)


def account(
    session: Session,
    *,
    money: int = 1_000_000,
    tiers: tuple[Tier, ...] = (Tier(0, 1_000),),
    terms: Terms | None = None,
    created: datetime = LONG_AGO,
) -> Account:
    plan = pricing.create_plan(session, "p", currency="EUR", tiers=tiers, terms=terms, now=LONG_AGO)
    made = accounts.create(session, "acme", plan=plan, now=created)
    if money:
        ledger.deposit(session, made.id, money, reference="d")
    return made


def used(
    session: Session, made: Account, days_ago: int, messages: int, recipients: int = 0
) -> None:
    session.add(
        UsageDay(
            account_id=made.id, dimension="account", value="", messages=messages,
            day=NOW.date() - timedelta(days=days_ago), recipients=recipients or messages,
            amount=1_000 * (recipients or messages), refunded=0,
        )
    )  # fmt: skip
    session.flush()


@pytest.mark.parametrize(
    ("use", "per_day"),
    [
        ({}, 0),
        ({1: 700}, 100),  # a mean of seven days
        ({7: 700}, 100),
        ({8: 700}, 0),  # too long ago
        ({1: 700, 0: 50}, 100),  # the day has just begun
        ({1: 700, 0: 400}, 400),  # a campaign
        ({0: 30}, 30),
    ],
)
def test_the_rate(database: Database, use: dict[int, int], per_day: float) -> None:
    with database.transaction() as session:
        made = account(session)
        for days_ago, messages in use.items():
            used(session, made, days_ago, messages)
        days = 1000 / per_day if per_day else None
        assert forecast(session, made, NOW) == Forecast(1000, days, per_day, 1_000_000)
        assert threshold(session, made, NOW) == per_day * 2 * 1_000


def test_a_young_account_has_a_mean_of_the_days_it_was_there(database: Database) -> None:
    with database.transaction() as session:
        made = account(session, created=NOW - timedelta(days=2))
        used(session, made, 1, 100)
        used(session, made, 2, 300)
        assert forecast(session, made, NOW).per_day == 200


def test_only_the_accounts_own_total_counts(database: Database) -> None:
    with database.transaction() as session:
        made = account(session)
        used(session, made, 1, 70)
        day = NOW.date() - timedelta(days=1)
        for dimension, value in (("credential", "1"), ("domain", "1"), ("tag", "news")):
            session.add(
                UsageDay(
                    account_id=made.id, dimension=dimension, value=value, day=day, messages=70,
                    recipients=70, amount=70_000, refunded=0,
                )
            )  # fmt: skip
        session.flush()
        assert forecast(session, made, NOW).per_day == 10


def test_tiers_and_included_units_from_this_months_volume_on(database: Database) -> None:
    tiers = (Tier(0, 1_000), Tier(500, 500))
    with database.transaction() as session:
        made = account(session, money=250_000, tiers=tiers, terms=Terms(included=100))
        # 100 for nothing, then 250 at the price of the first tier
        assert forecast(session, made, NOW).messages_left == 350
        row = session.get_one(Balance, made.id)
        row.volume, row.period = 500, NOW.date().replace(day=1)
        # 100 up to the end of the first tier, then 300 at half the price
        assert forecast(session, made, NOW).messages_left == 400
        row.period = NOW.date().replace(month=6, day=1)  # that was last month
        assert forecast(session, made, NOW).messages_left == 350


def test_recipients_are_counted_as_they_were_used(database: Database) -> None:
    with database.transaction() as session:
        made = account(session, terms=Terms(billing_unit="recipient"))
        assert forecast(session, made, NOW).messages_left == 1000
        used(session, made, 1, 70, recipients=280)
        assert forecast(session, made, NOW) == Forecast(250, 25, 10, 1_000_000)


def test_the_overdraft_is_money_and_debts_are_none(database: Database) -> None:
    with database.transaction() as session:
        made = account(session, money=0, terms=Terms(overdraft=50_000))
        assert forecast(session, made, NOW) == Forecast(50, None, 0, 50_000)
        ledger.adjust(session, made.id, -60_000, reference="x", note="x")
        assert forecast(session, made, NOW) == Forecast(0, None, 0, 0)


def test_what_costs_nothing_has_no_end(database: Database) -> None:
    with database.transaction() as session:
        made = account(session, tiers=(Tier(0, 1_000), Tier(100, 0)))
        used(session, made, 1, 70)
        assert forecast(session, made, NOW) == Forecast(None, None, 10, 1_000_000)


def test_a_chosen_threshold(database: Database) -> None:
    with database.transaction() as session:
        made = account(session)
        used(session, made, 1, 70)
        preferences.change(session, made, low_balance_at=5)
        assert threshold(session, made, NOW) == 5
        preferences.change(session, made, low_balance_at=0)
        assert threshold(session, made, NOW) == 0
