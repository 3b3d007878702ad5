"""How many payments an account may have begun and not paid."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from franking.db import utcnow
from franking.money.deposits import deposits
from franking.money.deposits.deposits import MANUAL_WAITS, MOST_PENDING
from franking.money.deposits.manual import ManualProvider
from franking.money.deposits.models import Deposit
from franking.reasons import Invalid
from tests import factories

from .conftest import EUR, Till


def begin(till: Till) -> Deposit:
    return deposits.begin(
        till.database.transaction, till.settings, ManualProvider(), till.account_id, 20 * EUR,
        actor="anna@example.com",
    )  # fmt: skip


@pytest.fixture
def full(till: Till) -> Till:
    for _ in range(MOST_PENDING):
        begin(till)
    return till


def test_one_more_is_refused(full: Till) -> None:
    with pytest.raises(Invalid, match="Open one of them in the list and pay that one, or wait"):
        begin(full)
    with full.database.session() as session:
        assert len(session.scalars(select(Deposit)).all()) == MOST_PENDING


def test_each_account_has_its_own(full: Till) -> None:
    with full.database.transaction() as session:
        full.account_id = factories.account(session).id
    begin(full)


@pytest.mark.parametrize(
    "change",
    [
        {"state": "expired"},
        {"state": "paid"},
        {"automatic": True},
        {"created_at": utcnow() - MANUAL_WAITS - timedelta(seconds=1)},  # nobody has looked yet
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_does_not_count(full: Till, change: dict[str, object]) -> None:
    with full.database.transaction() as session:
        session.execute(update(Deposit).where(Deposit.id == 1).values(**change))
    begin(full)
    with pytest.raises(Invalid):
        begin(full)
