"""A day's cap that is reached is told once a day: the account's own, and each credential's."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select, update

from franking.accounts.models import Account, Credential
from franking.accounts.rules import Narrowing, stored
from franking.db import Database
from franking.money import pricing
from franking.money.billing import caps, preferences
from franking.money.models import Balance
from franking.notices.models import Notice
from tests import factories

NOW = datetime(2026, 7, 14, 10, tzinfo=UTC)
TODAY = NOW.date()
PRICE = factories.PRICE
CAP = 10 * PRICE


@pytest.fixture
def username(database: Database) -> str:
    """Of account 1, that has a cap itself."""
    with database.transaction() as session:
        plan = pricing.create_plan(
            session, "p", currency="EUR", unit_price=PRICE, now=NOW - timedelta(days=1)
        )
        account = factories.funded(session, "acme", on=plan)
        preferences.change(session, account, daily_cap=CAP)
        return factories.credential(session, account).credential.username


def spent(database: Database, messages: float, day: date = TODAY) -> None:
    with database.transaction() as session:
        session.execute(update(Balance).values(spent=int(messages * PRICE), spent_on=day))


def spent_by_credential(database: Database, messages: float, day: date = TODAY) -> None:
    with database.transaction() as session:
        values = {
            "spent": int(messages * PRICE),
            "spent_on": day,
            "rules": stored(Narrowing(daily_spend=CAP)),
        }
        session.execute(update(Credential).values(values))


def details(database: Database) -> list[dict[str, object]]:
    with database.session() as session:
        assert set(session.scalars(select(Notice.kind))) <= {"cap.reached"}
        return list(session.scalars(select(Notice.detail).order_by(Notice.id)))


def test_the_accounts_own(database: Database, username: str) -> None:
    assert caps.look(database, NOW) == 0
    spent(database, 9)
    assert caps.look(database, NOW) == 0
    spent(database, 9.01)
    assert caps.look(database, NOW) == 1
    spent(database, 10)
    assert caps.look(database, NOW) == 0
    assert details(database) == [
        {"cap": CAP, "day": TODAY.isoformat(), "account": "acme", "currency": "EUR"}
    ]
    tomorrow = NOW + timedelta(days=1)
    assert caps.look(database, tomorrow) == 0  # nothing was spent on that day
    spent(database, 10, tomorrow.date())
    assert caps.look(database, tomorrow) == 1


def test_a_credentials(database: Database, username: str) -> None:
    spent_by_credential(database, 9)
    assert caps.look(database, NOW) == 0
    spent_by_credential(database, 10)
    assert caps.look(database, NOW) == 1
    assert caps.look(database, NOW) == 0
    assert details(database)[0]["credential"] == username


def test_no_cap_no_word(database: Database, username: str) -> None:
    spent(database, 1000)
    spent_by_credential(database, 1000)
    with database.transaction() as session:
        preferences.change(session, session.get_one(Account, 1), daily_cap=None)
        session.execute(update(Credential).values(rules="{}"))
    assert caps.look(database, NOW) == 0
